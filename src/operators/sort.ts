/**
 * Sort orders all rows, or with a limit the first so many. Beyond the query's memory it goes on in temporary files.
 *
 * Invariants:
 * 1. Stable: rows that compare equal keep the order of the input.
 * 2. NaN is above every number, -0 equals +0, text compares by UTF-8 bytes, nulls go where each key says.
 */
import { type Batch, type ColumnInfo, columnIndex, rowCount, type Schema } from '../columnar/batch.ts'
import type { SortNode } from '../sydraql/plan.ts'
import { compile } from './compile.ts'
import type { Execution } from './execution.ts'
import { columnType, type Evaluator } from './functions/evaluator.ts'
import type { BatchStream } from './operator.ts'
import type { SortColumn } from './sort/key-words.ts'
import { Sorter } from './sort/sorter.ts'

export async function* sort(node: SortNode, schema: Schema, input: BatchStream, execution: Execution): BatchStream {
  const { stored, keys, computed } = storedRows(node, schema)
  const sorter = new Sorter(stored, keys, execution, node.limit)
  try {
    if (node.limit === 0) return
    for await (const batch of input) {
      if (rowCount(batch) === 0) continue
      const columns = computed.map(key => key.evaluate(batch))
      const rows = columns.length === 0 ? batch : { ...batch, columns: [...batch.columns, ...columns] }
      await sorter.add(rows)
    }
    for await (const batch of sorter.sorted()) yield withoutKeys(batch, schema)
  } finally {
    sorter.close()
    await input.return()
  }
}

/** Keys that are no columns of the input are kept as columns after them. */
function storedRows(node: SortNode, schema: Schema) {
  const added: ColumnInfo[] = []
  const computed: Evaluator[] = []
  const keys = node.keys.map(({ expr, descending, nulls }): SortColumn => {
    let column = expr.kind === 'column' ? columnIndex(schema, expr.name) : -1
    if (column < 0) {
      const key = compile(expr, schema)
      column = schema.length + computed.length
      computed.push(key)
      added.push({ name: `key ${column}`, type: columnType(key.type), nullable: true })
    }
    return { column, descending, nulls }
  })
  return { stored: [...schema, ...added], keys, computed }
}

const withoutKeys = (batch: Batch, { length }: Schema): Batch =>
  batch.columns.length === length ? batch : { ...batch, columns: batch.columns.slice(0, length) }
