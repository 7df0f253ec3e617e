/**
 * Rows as values, and what has changed between two lists of them.
 *
 * Invariants:
 * 1. Values are equal as the language has it: NaN is NaN, -0 is 0, null is null.
 * 2. Where rows have no key, one that is there three times and then five times was added twice.
 */
import type { Batch, Column } from '../../columnar/batch.ts'
import type { Scalar } from '../../columnar/value.ts'
import { SydraError } from '../../lib/errors.ts'
import type { BatchStream } from '../operator.ts'
import { isMultiset } from './keys.ts'
import type { LiveColumns, LiveDelta, LiveRow } from './types.ts'

/** A row's key as something a Map can find: equal where the values of the key columns are. */
export type RowKey = Scalar

export function rowKeyOf(keys: readonly number[]): (row: LiveRow) => RowKey {
  // A Map finds NaN by NaN and 0 by -0.
  if (keys.length === 1) return row => row[keys[0]!]!
  return row => {
    let text = ''
    for (const key of keys) text += keyPart(row[key]!)
    return text
  }
}

function keyPart(value: Scalar): string {
  if (typeof value === 'string') return `${value.length}:${value}`
  // `${-0}` is 0
  if (typeof value === 'number') return `n${value};`
  return value === null ? '_' : value ? 't' : 'f'
}

export function sameRow(a: LiveRow, b: LiveRow): boolean {
  for (let column = 0; column < a.length; column++) {
    const [one, other] = [a[column]!, b[column]!]
    if (one !== other && !Object.is(one, other)) return false
  }
  return true
}

/** What a removed row is told as. */
export function keyRow(row: LiveRow, { schema, keys }: LiveColumns): LiveRow {
  if (keys.length === schema.length) return row
  const out: Scalar[] = new Array<Scalar>(schema.length).fill(null)
  for (const key of keys) out[key] = row[key]!
  return out
}

/** From the rows before to those after. */
export function difference(before: readonly LiveRow[], after: readonly LiveRow[], columns: LiveColumns): LiveDelta {
  return isMultiset(columns) ? differenceOfMany(before, after, columns) : differenceByKey(before, after, columns)
}

function differenceByKey(before: readonly LiveRow[], after: readonly LiveRow[], columns: LiveColumns): LiveDelta {
  const keyOf = rowKeyOf(columns.keys)
  const left = new Map(before.map(row => [keyOf(row), row]))
  const added: LiveRow[] = []
  const changed: LiveRow[] = []
  for (const row of after) {
    const key = keyOf(row)
    const known = left.get(key)
    if (known === undefined) added.push(row)
    else {
      left.delete(key)
      if (!sameRow(known, row)) changed.push(row)
    }
  }
  return { added, changed, removed: Array.from(left.values(), row => keyRow(row, columns)) }
}

function differenceOfMany(before: readonly LiveRow[], after: readonly LiveRow[], { keys }: LiveColumns): LiveDelta {
  const keyOf = rowKeyOf(keys)
  const left = new Map<RowKey, { readonly row: LiveRow; count: number }>()
  for (const row of before) {
    const key = keyOf(row)
    const known = left.get(key)
    if (known === undefined) left.set(key, { row, count: 1 })
    else known.count++
  }
  const added: LiveRow[] = []
  for (const row of after) {
    const known = left.get(keyOf(row))
    if (known !== undefined && known.count > 0) known.count--
    else added.push(row)
  }
  const removed: LiveRow[] = []
  for (const { row, count } of left.values()) for (let times = 0; times < count; times++) removed.push(row)
  return { added, changed: [], removed }
}

/** The rows of a batch that count, as values of their own. */
export function appendRows(batch: Batch, into: LiveRow[]): void {
  const { selection, columns } = batch
  const count = selection?.length ?? batch.length
  // Copies of an array that holds anything already: engines need not learn of each what it will hold.
  const empty = new Array<Scalar>(columns.length).fill(null)
  const rows = Array.from({ length: count }, () => empty.slice())
  for (let c = 0; c < columns.length; c++) fillColumn(columns[c]!, selection, c, rows)
  for (const row of rows) into.push(row)
}

/** Writes the column's values that are not null. */
function fillColumn(column: Column, selection: Uint32Array | undefined, c: number, rows: readonly Scalar[][]): void {
  const { values, valid, type } = column
  let lastCode = -1
  let text = ''
  for (let k = 0; k < rows.length; k++) {
    const at = selection === undefined ? k : selection[k]!
    if (valid !== undefined && valid[at] === 0) continue
    const value = values[at]!
    if (type === 'string') {
      if (value !== lastCode) {
        text = column.dictionary.at(value)
        lastCode = value
      }
      rows[k]![c] = text
    } else rows[k]![c] = type === 'boolean' ? value === 1 : value
  }
}

/** All rows of a stream; `too_many_points` when there are more than `rowsMax`. */
export async function readRows(stream: BatchStream, rowsMax: number): Promise<LiveRow[]> {
  const rows: LiveRow[] = []
  for await (const batch of stream) {
    appendRows(batch, rows)
    if (rows.length > rowsMax) throw tooManyRows(rowsMax)
  }
  return rows
}

export const tooManyRows = (rowsMax: number): SydraError =>
  new SydraError('too_many_points', `the live query has more than ${rowsMax} rows`, {
    hint: 'narrow it by time, tags or a limit, or raise live.rows_max',
  })
