/** Rows of one metric that come as columns: what programs give. */
import type { Dictionary } from '../../columnar/batch.ts'

/** Tags of a series. Empty, null and undefined ones are absent. */
export type TagSet = Readonly<Record<string, string | null | undefined>>

/** Small integers, a row each: indexes from 0. */
export type IndexArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array

/** Numbers, a row each. Those of a `BigInt64Array` are within ±2^53. */
export type NumberArray = Float64Array | Float32Array | IndexArray | BigInt64Array

/** Times, a row each: integers in the `precision` of the call. In an array also Dates and ISO 8601 texts. */
export type TimeColumn = Float64Array | BigInt64Array | readonly (number | bigint | string | Date)[]

/** Numbers whose type is given; `valid`: 0 where there is none. */
export interface GivenNumbers {
  readonly type: 'float' | 'integer'
  readonly values: NumberArray
  readonly valid?: Uint8Array | undefined
}
/** Booleans: 0 is false. `valid`: 0 where there is none. */
export interface GivenBooleans {
  readonly type: 'boolean'
  readonly values: Uint8Array
  readonly valid?: Uint8Array | undefined
}
/** Texts, as codes into a dictionary; it may have more texts than rows use. `valid`: 0 where there is none. */
export interface GivenStrings {
  readonly type: 'string'
  readonly values: IndexArray
  readonly dictionary: readonly string[] | Dictionary
  readonly valid?: Uint8Array | undefined
}

/**
 * The values of a field, a row each.
 *
 * - `Float64Array`, `Float32Array`: floats. NaN is a value like any other, as it is in rows: what is missing says `valid`.
 * - `BigInt64Array`, and arrays of smaller integers: integers; floats where the field is one. A bare `Uint8Array` may mean
 *   booleans, and is refused.
 * - An array of numbers, booleans or texts by the rules of rows: null and undefined are missing, numbers are floats.
 * - `{ type, values, valid }`: type and what is missing by themselves. The columns of a result (`batches()`) are such.
 */
export type FieldColumn =
  | Exclude<NumberArray, Uint8Array>
  | readonly (number | boolean | string | null | undefined)[]
  | GivenNumbers
  | GivenBooleans
  | GivenStrings

/**
 * Rows of one metric as columns: row i is the i-th element of each. Of one series, or of many with `seriesOf`.
 *
 * @example
 * const oneSeries: ColumnRows = {
 *   series: 'cpu', tags: { host: 'a' }, ts: Float64Array.of(1700000000000, 1700000010000),
 *   fields: { usage: Float64Array.of(0.64, 0.61), state: ['ok', null] },
 * }
 * const twoSeries: ColumnRows = {
 *   series: 'cpu', tags: [{ host: 'a' }, { host: 'b' }], seriesOf: Uint32Array.of(0, 1),
 *   ts: BigInt64Array.of(1700000000000n, 1700000000000n),
 *   fields: { requests: { type: 'integer', values: Int32Array.of(17, 0), valid: Uint8Array.of(1, 0) } },
 * }
 */
export interface ColumnRows {
  /** The metric of all rows. */
  readonly series: string
  /** Of all rows; or several, of which `seriesOf` says which are a row's. Those that no row has are no series. */
  readonly tags?: TagSet | readonly TagSet[] | undefined
  /** By row, an index into `tags`. */
  readonly seriesOf?: IndexArray | undefined
  readonly ts: TimeColumn
  /** By name. Each row has a value in one of them at least. */
  readonly fields: Readonly<Record<string, FieldColumn>>
}
