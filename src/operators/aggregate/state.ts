/**
 * Aggregate states: what is kept per group while rows come in, as arrays indexed by dense group ids.
 *
 *   add rows | add a range of one group | merge another state   ->   a value per group
 *
 * Invariants:
 * 1. `reserve(n)` comes before ids below n are used.
 * 2. The order in which rows, ranges and other states are added does not change a value, but for the rounding of sums.
 * 3. Nulls are skipped.
 */
import { type ArrayMemory, ownArrays } from '../../columnar/arena.ts'
import type { Column } from '../../columnar/batch.ts'

/** Rows to add. Columns and `groups` are indexed by row; only those of `selection` (or [0, length)) count. */
export interface GroupedRows {
  readonly length: number
  readonly selection: Uint32Array | undefined
  readonly groups: Uint32Array
  /** What rows follow one another by, for states that mind it: undefined where rows come as they come. */
  readonly order: RowOrdering | undefined
}

/** Rows by (time, then printed series, or whatever tells their sequences apart). */
export interface RowOrdering {
  readonly timesUs: Float64Array
  /** undefined: every row has a time. */
  readonly timesValid: Uint8Array | undefined
  /** Which sequence each row is of: ordinals of series, or dense ids; undefined where all rows are one. */
  readonly series: Uint32Array | undefined
  /** By the numbers in `series`: asked for when two rows of one time meet. */
  readonly ranks: Uint32Array | undefined
}

/** Rows without a time come after all that have one. */
export const timeOf = ({ timesUs, timesValid }: RowOrdering, row: number): number =>
  timesValid === undefined || timesValid[row] === 1 ? timesUs[row]! : Infinity

/** Stands for the group of a row that has none. */
export const noGroup = 0xffffffff

/** Stands for the series of rows that come without one. */
export const noSeries = 0xffffffff

export interface AggregateState {
  readonly byteLength: number
  reserve(groups: number): void
  /** `column` is undefined for `count(*)` alone; `second` is there for states of two arguments. */
  add(column: Column | undefined, rows: GroupedRows, second?: Column): void
  /** Adds rows [from, to), all of one group; where a state minds the order, also of one series and ascending in time. */
  addRange(
    column: Column | undefined,
    from: number,
    to: number,
    group: number,
    order: RowOrdering | undefined,
    second?: Column,
  ): void
  /**
   * States that keep values, not only a few numbers per group, give them out, so that they wait in temporary files: each
   * value with its group and how often it is there (undefined: once). The state is not used afterwards.
   */
  drain?(): Generator<DrainedValues>
  /** Says that results of these groups are wanted next, for states that have something to prepare. */
  gather?(groups: Uint32Array): void
  /** Drops all groups but these, which ascend and become 0, 1, …: for states that do it cheaper than a new one is merged. */
  keep?(groups: Uint32Array): void
  /** Gives memory back for others to use. The state is not used afterwards. */
  release?(): void
  /**
   * Adds the other state's group `from[i]` to `to[i]`, for each i; `from` has no group twice. The other is of the same class
   * and stays as it is.
   */
  merge(other: AggregateState, from: Uint32Array, to: Uint32Array): void
}

/** Borrowed until the next are pulled; rows [0, length). */
export interface DrainedValues {
  readonly length: number
  readonly groups: Uint32Array
  readonly values: Column
  readonly rows: Float64Array | undefined
}

/** Calls `visit` for each row that counts and is not null. */
export function forValues(column: Column, rows: GroupedRows, visit: (row: number, group: number) => void): void {
  const { selection, groups } = rows
  const { valid } = column
  const count = selection?.length ?? rows.length
  for (let k = 0; k < count; k++) {
    const row = selection === undefined ? k : selection[k]!
    if (valid === undefined || valid[row] === 1) visit(row, groups[row]!)
  }
}

/** At least `length` long, twice the old length when it grows; new elements are `fill`. */
export function grownNumbers(
  array: Float64Array,
  length: number,
  fill = 0,
  memory: ArrayMemory = ownArrays,
): Float64Array {
  if (array.length >= length) return array
  const larger = memory.float64(Math.max(length, 2 * array.length, 16))
  larger.set(array)
  larger.fill(fill, array.length)
  return larger
}
export function grownCodes(array: Uint32Array, length: number, memory: ArrayMemory = ownArrays): Uint32Array {
  if (array.length >= length) return array
  const larger = memory.uint32(Math.max(length, 2 * array.length, 16))
  larger.set(array)
  larger.fill(0, array.length)
  return larger
}
