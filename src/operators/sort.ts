/**
 * Sort orders all rows, or with a limit the first so many. Beyond the query's memory it goes on in temporary files. Where
 * rows come in the order of the first key, a limit ends with the rows that are equal to its last one by that.
 *
 * Invariants:
 * 1. Stable: rows that compare equal keep the order of the input.
 * 2. NaN is above every number, -0 equals +0, text compares by UTF-8 bytes, nulls go where each key says.
 */
import { type Batch, type ColumnInfo, columnIndex, rowCount, type Schema } from '../columnar/batch.ts'
import { sliceBatch } from '../columnar/slice.ts'
import type { SortNode } from '../sydraql/plan.ts'
import { compile } from './compile.ts'
import type { Execution } from './execution.ts'
import { columnType, type Evaluator } from './functions/evaluator.ts'
import type { BatchStream } from './operator.ts'
import type { SortColumn } from './sort/key-words.ts'
import { Sorter } from './sort/sorter.ts'

/** `isByFirstKey`: rows come in the order of the first key, a column without nulls. */
export async function* sort(
  node: SortNode,
  schema: Schema,
  input: BatchStream,
  execution: Execution,
  isByFirstKey = false,
): BatchStream {
  const { stored, keys, computed } = storedRows(node, schema)
  const sorter = new Sorter(stored, keys, execution, node.limit)
  const end = isByFirstKey ? endOfTop(keys[0]!.column, node.limit!) : undefined
  try {
    if (node.limit === 0) return
    for await (const batch of input) {
      if (rowCount(batch) === 0) continue
      const columns = computed.map(key => key.evaluate(batch))
      const rows = columns.length === 0 ? batch : { ...batch, columns: [...batch.columns, ...columns] }
      const wanted = end === undefined ? rows : end(rows)
      await sorter.add(wanted)
      if (wanted !== rows) break
    }
    for await (const batch of sorter.sorted()) yield withoutKeys(batch, schema)
  } finally {
    sorter.close()
    await input.return()
  }
}

/** The batches up to the last row that may count: the one in which it is, is cut. */
function endOfTop(column: number, limit: number): (batch: Batch) => Batch {
  let seen = 0
  let last: number | undefined
  return batch => {
    const { values } = batch.columns[column]!
    const { selection } = batch
    const valueAt = (index: number): number => values[selection === undefined ? index : selection[index]!]!
    const rows = rowCount(batch)
    if (last === undefined && seen + rows >= limit) last = valueAt(limit - seen - 1)
    let end = last === undefined ? rows : Math.max(0, limit - seen)
    seen += rows
    if (last === undefined || valueAt(rows - 1) === last) return batch
    while (valueAt(end) === last) end++
    return sliceBatch(batch, 0, end)
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
