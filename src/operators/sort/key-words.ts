/**
 * Sort keys as words: 32-bit unsigned numbers whose order, word by word, is the order of the key.
 *
 *   number   two words, the bits of the double so flipped that they ascend; integers of a small range, one word
 *   boolean  one word
 *   text     one word, the rank among the texts that occur
 *
 * Invariants:
 * 1. Descending keys are complemented; nulls are below or above every value, as the key says.
 * 2. NaN is above every number, -0 equals +0.
 * 3. `comparableWords` depend on the value alone, so that rows of different batches compare; `rankedWords` are about the
 *    rows given, and fewer.
 */
import type { Column, NumberColumn, StringColumn } from '../../columnar/batch.ts'
import { textRanks } from './text-ranks.ts'

export interface SortColumn {
  /** Index of the column among those of the rows. */
  readonly column: number
  readonly descending: boolean
  readonly nulls: 'first' | 'last'
}

/** Most significant first; each is as long as there are rows. */
export type KeyWords = readonly Uint32Array[]

const bits = new Float64Array(1)
const halves = new Uint32Array(bits.buffer)
const word = 2 ** 32

/** What a null's words are: beyond the words of every number, -Infinity to NaN, in either direction. */
const nullWord = (key: SortColumn): number => (key.nulls === 'first' ? 0 : 0xffffffff)

/** Two words a row: any two rows of any two columns of numbers compare by them. */
export function comparableWords(
  column: Exclude<Column, StringColumn>,
  rows: number,
  key: SortColumn,
): [Uint32Array, Uint32Array] {
  const { values, valid } = column
  const high = new Uint32Array(rows)
  const low = new Uint32Array(rows)
  const none = nullWord(key)
  const flip = key.descending ? 0xffffffff : 0
  for (let row = 0; row < rows; row++) {
    if (valid !== undefined && valid[row] === 0) {
      high[row] = none
      low[row] = none
      continue
    }
    const value = values[row]!
    // `+ 0` makes 0 of -0; a NaN may come with any bits.
    bits[0] = value + 0
    if (Number.isNaN(value)) {
      halves[0] = 0
      halves[1] = 0x7ff80000
    }
    const top = halves[1]!
    // Positive: above the negative. Negative: the greater its magnitude, the less.
    const sign = top >>> 31 === 0 ? 0 : 0xffffffff
    high[row] = top ^ sign ^ (sign === 0 ? 0x80000000 : 0) ^ flip
    low[row] = halves[0]! ^ sign ^ flip
  }
  return [high, low]
}

/** The fewest words that order these rows by the key. */
export function rankedWords(column: Column, rows: number, key: SortColumn): KeyWords {
  if (column.type === 'string') return [ranks(textRanks(column, rows), column.valid, rows, key)]
  if (column.type === 'boolean') return [ranks(column.values, column.valid, rows, key)]
  const range = column.type === 'float' ? undefined : integerRange(column, rows)
  return range === undefined ? comparableWords(column, rows, key) : integerWords(column, rows, key, range)
}

/** Small numbers from 0 as a word: 0 and the greatest word are for nulls. */
function ranks(
  values: Uint32Array | Uint8Array,
  valid: Uint8Array | undefined,
  rows: number,
  key: SortColumn,
): Uint32Array {
  let max = 0
  for (let row = 0; row < rows; row++)
    if (values[row]! > max && (valid === undefined || valid[row] === 1)) max = values[row]!
  const words = new Uint32Array(rows)
  const none = key.nulls === 'first' ? 0 : max + 2
  for (let row = 0; row < rows; row++) {
    if (valid !== undefined && valid[row] === 0) words[row] = none
    else words[row] = key.descending ? max - values[row]! + 1 : values[row]! + 1
  }
  return words
}

interface Range {
  readonly min: number
  readonly max: number
}

/** undefined where some value is no integer: a duration may be the result of a division. */
function integerRange({ values, valid }: NumberColumn, rows: number): Range | undefined {
  let min = Infinity
  let max = -Infinity
  for (let row = 0; row < rows; row++) {
    if (valid !== undefined && valid[row] === 0) continue
    const value = values[row]!
    if (Math.trunc(value) !== value) return undefined
    if (value < min) min = value
    if (value > max) max = value
  }
  if (min > max) return { min: 0, max: 0 }
  return max - min < Number.MAX_SAFE_INTEGER - 2 ? { min, max } : undefined
}

/** Distances from the least value: one word, or two with the first as full as can be, which then decides most. */
function integerWords({ values, valid }: NumberColumn, rows: number, key: SortColumn, { min, max }: Range): KeyWords {
  const span = max - min + 2
  const none = key.nulls === 'first' ? 0 : span
  const high = new Uint32Array(rows)
  if (span < word) {
    for (let row = 0; row < rows; row++) {
      if (valid !== undefined && valid[row] === 0) high[row] = none
      else high[row] = key.descending ? max - values[row]! + 1 : values[row]! - min + 1
    }
    return [high]
  }
  const low = new Uint32Array(rows)
  const unit = 2 ** (Math.floor(Math.log2(span)) + 1 - 32)
  for (let row = 0; row < rows; row++) {
    const isNull = valid !== undefined && valid[row] === 0
    const distance = isNull ? none : key.descending ? max - values[row]! + 1 : values[row]! - min + 1
    const top = Math.floor(distance / unit)
    high[row] = top
    low[row] = distance - top * unit
  }
  return [high, low]
}
