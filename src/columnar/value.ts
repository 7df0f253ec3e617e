/**
 * Single values of columns, and the one order they have everywhere: NaN equals itself and is above every number,
 * -0 equals +0, false is below true, text compares by its UTF-8 bytes.
 */
import { compareUtf8 } from '../lib/text.ts'
import type { Column } from './batch.ts'

/** A value outside its column. Timestamps and durations are µs. */
export type Scalar = number | string | boolean | null

export function valueAt(column: Column, row: number): Scalar {
  if (column.valid !== undefined && column.valid[row] === 0) return null
  if (column.type === 'string') return column.dictionary.at(column.values[row]!)
  if (column.type === 'boolean') return column.values[row] === 1
  return column.values[row]!
}

/** Negative, zero or positive, as for `Array.sort`. */
export function compareNumbers(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  return (Number.isNaN(a) ? 1 : 0) - (Number.isNaN(b) ? 1 : 0)
}

/** Compares two values of one type, neither of them null. */
export function compareScalars(a: Exclude<Scalar, null>, b: Exclude<Scalar, null>): number {
  if (typeof a === 'string') return compareUtf8(a, b as string)
  return compareNumbers(Number(a), Number(b))
}
