/**
 * Sorting and merging of rows in a RowBuffer: the heart of scans, of flushes and of compaction.
 *
 *   (b,2) (a,1) (a,2) (a,1')   sortRows 'series-time'   ->   (a,1+1') (a,2) (b,2)
 *
 * Invariants:
 * 1. Rows of one (series, time) become one: of each field, the value of the later row in the buffer that has one
 *    (`last`), or of the earlier (`first`). A null never overwrites.
 * 2. Values move bit by bit: NaN payloads and -0 stay.
 * 3. Two rows of one (series, time) are neighbours after sorting, in every order.
 */
import type { FieldBuffer, RowBuffer } from './row-buffer.ts'
import { type RowOrder, type SortScratch, scratchFor, sortPermutation } from './sort-permutation.ts'

export { type RowOrder, SortScratch } from './sort-permutation.ts'

export type Duplicates = 'last' | 'first'

/**
 * Sorts the rows by (series rank, time), (time, series rank), or (time descending, series rank), and merges those of one
 * (series, time). `ranks` is indexed by series (`CatalogReader.ranks`).
 */
export function sortRows(
  buffer: RowBuffer,
  order: RowOrder,
  ranks: Uint32Array,
  duplicates: Duplicates,
  scratch: SortScratch = scratchFor(buffer.length),
): void {
  const permutation = sortPermutation(buffer.series, buffer.timeUs, buffer.length, order, ranks, scratch)
  if (permutation !== undefined) permuteRows(buffer, permutation, scratch)
  mergeNeighbours(buffer, 0, duplicates)
}

/** Moves row `permutation[i]` to place i, in place. The permutation covers all rows of the buffer. */
export function permuteRows(buffer: RowBuffer, permutation: Uint32Array, scratch = scratchFor(buffer.length)): void {
  const { length } = buffer
  scratch.reserve(length)
  gather32(buffer.series, permutation, scratch.keysA, length)
  gather64(buffer.timeUs, permutation, scratch.packedA, length)
  for (const field of buffer.fields) {
    const { values } = field
    if (values instanceof Float64Array) gather64(values, permutation, scratch.packedA, length)
    else if (values instanceof Uint32Array) gather32(values, permutation, scratch.keysA, length)
    else gather8(values, permutation, scratch.keysA, length)
    if (field.nulls) gather8(field.valid, permutation, scratch.keysA, length)
  }
}

// One function a type, each seeing one kind of array: the loops stay monomorphic.

function gather64(values: Float64Array, permutation: Uint32Array, scratch: Float64Array, length: number): void {
  for (let i = 0; i < length; i++) scratch[i] = values[permutation[i]!]!
  values.set(scratch.subarray(0, length))
}

function gather32(values: Uint32Array, permutation: Uint32Array, scratch: Uint32Array, length: number): void {
  for (let i = 0; i < length; i++) scratch[i] = values[permutation[i]!]!
  values.set(scratch.subarray(0, length))
}

function gather8(values: Uint8Array, permutation: Uint32Array, scratch: Uint32Array, length: number): void {
  const bytes = new Uint8Array(scratch.buffer, 0, length)
  for (let i = 0; i < length; i++) bytes[i] = values[permutation[i]!]!
  values.set(bytes)
}

/** Merges neighbours of equal (series, time) among rows [from, length) and shortens the buffer. */
export function mergeNeighbours(buffer: RowBuffer, from: number, duplicates: Duplicates): void {
  const { series, timeUs, length } = buffer
  const first = firstRepeated(series, timeUs, from, length)
  if (first === length) return
  // Rows before `begin` stay where they are. A group ends where the next one starts.
  const begin = first - 1
  const starts = new Uint32Array(length - begin + 1)
  let groups = 0
  for (let row = begin; row < length; row++)
    if (row === begin || timeUs[row] !== timeUs[row - 1] || series[row] !== series[row - 1]) starts[groups++] = row
  starts[groups] = length
  for (let group = 0; group < groups; group++) {
    const start = starts[group]!
    series[begin + group] = series[start]!
    timeUs[begin + group] = timeUs[start]!
  }
  for (const field of buffer.fields) mergeField(field, starts, groups, begin, duplicates === 'last')
  buffer.length = begin + groups
}

/** The first row in (from, length) with the (series, time) of the row before it, or `length`. */
function firstRepeated(series: Uint32Array, timeUs: Float64Array, from: number, length: number): number {
  for (let row = from + 1; row < length; row++)
    if (timeUs[row] === timeUs[row - 1] && series[row] === series[row - 1]) return row
  return length
}

function mergeField(field: FieldBuffer, starts: Uint32Array, groups: number, from: number, lastWins: boolean): void {
  const { values, valid, nulls } = field
  for (let group = 0; group < groups; group++) {
    const start = starts[group]!
    const end = starts[group + 1]! - 1
    let row = lastWins ? end : start
    if (nulls) {
      if (lastWins) while (row > start && valid[row] === 0) row--
      else while (row < end && valid[row] === 0) row++
    }
    values[from + group] = values[row]!
    valid[from + group] = valid[row]!
  }
}
