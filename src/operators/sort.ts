/**
 * Sort orders all rows, or with a limit the first so many.
 *
 * Invariants:
 * 1. Stable: rows that compare equal keep the order of the input.
 * 2. NaN is above every number, -0 equals +0, text compares by UTF-8 bytes, nulls go where each key says.
 * 3. With a limit N, at most about 2 N rows plus `topRowsMin` are held.
 */
import { type Batch, type Column, rowCount, type Schema } from '../columnar/batch.ts'
import { BatchBuilder, ColumnBuilder } from '../columnar/builder.ts'
import { compareNumbers } from '../columnar/value.ts'
import { compareUtf8 } from '../lib/text.ts'
import type { SortKey, SortNode } from '../sydraql/plan.ts'
import { compile } from './compile.ts'
import type { Execution } from './execution.ts'
import { columnType } from './functions/evaluator.ts'
import type { BatchStream } from './operator.ts'

/** Rows beyond twice the limit that are held before the worse half is dropped. */
const topRowsMin = 8192

export async function* sort(node: SortNode, schema: Schema, input: BatchStream, execution: Execution): BatchStream {
  const keys = node.keys.map(key => compile(key.expr, schema))
  const held = new Held(
    schema,
    keys.map(key => columnType(key.type)),
  )
  const rowsMax = node.limit === undefined ? Infinity : 2 * node.limit + topRowsMin
  let worst: Worst | undefined
  try {
    if (node.limit === 0) return
    for await (const batch of input) {
      if (rowCount(batch) === 0) continue
      const keyColumns = keys.map(key => key.evaluate(batch))
      held.append(
        worst === undefined ? batch : { ...batch, selection: notWorse(batch, keyColumns[0]!, worst) },
        keyColumns,
      )
      if (held.rows.length > rowsMax) {
        held.retain(sortedRows(node, held).subarray(0, node.limit))
        worst = worstOf(node.keys[0]!, held.keys[0]!.column(), held.rows.length - 1)
      }
      // The order of the rows and the keys' ranks come on top of the rows themselves.
      execution.memory.hold(held, held.byteLength + held.rows.length * (4 + 8 * keys.length))
    }
    const order = sortedRows(node, held)
    const count = Math.min(order.length, node.limit ?? Infinity)
    const all = held.rows.batch()
    for (let from = 0; from < count; from += execution.batchRows) {
      const selection = order.subarray(from, Math.min(from + execution.batchRows, count))
      const out = new BatchBuilder(schema, selection.length)
      out.gather(all, selection)
      yield out.batch()
      await execution.pace()
    }
  } finally {
    execution.memory.release(held)
    await input.return()
  }
}

/** Rows with the values of their keys. */
class Held {
  readonly rows: BatchBuilder
  keys: ColumnBuilder[]
  readonly #schema: Schema
  constructor(schema: Schema, keyTypes: readonly Column['type'][]) {
    this.#schema = schema
    this.rows = new BatchBuilder(schema)
    this.keys = keyTypes.map(type => new ColumnBuilder(type))
  }
  get byteLength(): number {
    return this.rows.byteLength + this.keys.reduce((bytes, key) => bytes + key.byteLength, 0)
  }
  /** `keys` are as long as the batch; its selection counts for them too. */
  append(batch: Batch, keys: readonly Column[]): void {
    this.rows.append(batch)
    for (let k = 0; k < keys.length; k++) this.keys[k]!.append(keys[k]!, 0, batch.length, batch.selection)
  }
  /** Keeps these rows, in this order. */
  retain(rows: Uint32Array): void {
    const kept = new BatchBuilder(this.#schema, rows.length)
    kept.gather(this.rows.batch(), rows)
    this.rows.clear()
    this.rows.append(kept.batch())
    this.keys = this.keys.map(key => {
      const builder = new ColumnBuilder(key.type, rows.length)
      builder.append(key.column(), 0, 0, rows)
      return builder
    })
  }
}

/** The first key of the last row that a top-N keeps: rows beyond it need not be held. */
interface Worst {
  readonly value: number
  readonly descending: boolean
  readonly keepNulls: boolean
}

/** Known for numbers; a null or NaN says nothing. */
function worstOf(key: SortKey, column: Column, row: number): Worst | undefined {
  if (column.type === 'string' || column.type === 'boolean') return undefined
  if (column.valid !== undefined && column.valid[row] === 0) return undefined
  const value = column.values[row]!
  if (Number.isNaN(value)) return undefined
  return { value, descending: key.descending, keepNulls: key.nulls === 'first' }
}

/** Rows whose first key is not beyond the worst. */
function notWorse(batch: Batch, column: Column, { value, descending, keepNulls }: Worst): Uint32Array {
  const { selection } = batch
  const { values, valid } = column
  const count = rowCount(batch)
  const out = new Uint32Array(count)
  let kept = 0
  for (let k = 0; k < count; k++) {
    const row = selection === undefined ? k : selection[k]!
    if (valid !== undefined && valid[row] === 0) {
      if (keepNulls) out[kept++] = row
      continue
    }
    // Descending, NaN comes first: it is above every number.
    if (descending ? !(values[row]! < value) : values[row]! <= value) out[kept++] = row
  }
  return out.subarray(0, kept)
}

/** Row numbers in order. */
function sortedRows(node: SortNode, { rows, keys }: Held): Uint32Array {
  const comparisons = node.keys.map((key, k) =>
    comparison(keys[k]!.column(), rows.length, key.descending ? -1 : 1, key.nulls === 'first' ? -1 : 1),
  )
  const order = new Uint32Array(rows.length)
  for (let row = 0; row < order.length; row++) order[row] = row
  const [only] = comparisons
  if (comparisons.length === 1) return order.sort((a, b) => only!(a, b) || a - b)
  return order.sort((a, b) => {
    for (let k = 0; k < comparisons.length; k++) {
      const result = comparisons[k]!(a, b)
      if (result !== 0) return result
    }
    return a - b
  })
}

function comparison(column: Column, rows: number, direction: number, nulls: number): (a: number, b: number) => number {
  const { valid } = column
  const values: ArrayLike<number> = column.type === 'string' ? textRanks(column, rows) : column.values
  const ofValues = (a: number, b: number) => compareNumbers(values[a]!, values[b]!) * direction
  if (valid === undefined) return ofValues
  return (a, b) => {
    if (valid[a] === 0) return valid[b] === 0 ? 0 : nulls
    return valid[b] === 0 ? -nulls : ofValues(a, b)
  }
}

/** Per row the rank of its text among those that occur: equal texts have equal ranks. */
function textRanks(column: Extract<Column, { type: 'string' }>, rows: number): Float64Array {
  const { values, valid, dictionary } = column
  const texts = new Map<number, string>()
  for (let row = 0; row < rows; row++) {
    const code = values[row]!
    if ((valid === undefined || valid[row] === 1) && !texts.has(code)) texts.set(code, dictionary.at(code))
  }
  const sorted = [...texts].sort(([, a], [, b]) => compareUtf8(a, b))
  const ranks = new Map<number, number>()
  let rank = -1
  let previous: string | undefined
  for (const [code, text] of sorted) {
    if (text !== previous) rank++
    previous = text
    ranks.set(code, rank)
  }
  const out = new Float64Array(rows)
  for (let row = 0; row < rows; row++) out[row] = ranks.get(values[row]!) ?? 0
  return out
}
