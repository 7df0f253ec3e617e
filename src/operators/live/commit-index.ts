/**
 * Where a commit has rows of a series: worked out once for all queries that look.
 *
 *   table   open addressing by ordinal -> its first row
 *   next    by row: the next row of its series, -1 after the last
 */
import type { MetricRows } from '../../storage/types.ts'

export class CommitIndex {
  /** The greatest ordinal that has rows; -1 without rows. */
  readonly lastOrdinal: number
  readonly #rows: MetricRows
  #table: Table | undefined

  constructor(rows: MetricRows) {
    this.#rows = rows
    let last = -1
    for (let row = 0; row < rows.length; row++) if (rows.series[row]! > last) last = rows.series[row]!
    this.lastOrdinal = last
  }

  /** Writes the indexes of rows of these series from `out[0]` on, those of each ascending; how many. */
  rowsOf(ordinals: ArrayLike<number>, out: Uint32Array): number {
    const { slots, ordinalAt, firstRow, next } = (this.#table ??= tableOf(this.#rows))
    let count = 0
    for (let k = 0; k < ordinals.length; k++) {
      const ordinal = ordinals[k]!
      let slot = hash(ordinal) & (slots - 1)
      while (firstRow[slot] !== -1 && ordinalAt[slot] !== ordinal) slot = (slot + 1) & (slots - 1)
      for (let row = firstRow[slot]!; row !== -1; row = next[row]!) out[count++] = row
    }
    return count
  }
}

interface Table {
  /** A power of two, at least twice the rows. */
  readonly slots: number
  readonly ordinalAt: Uint32Array
  /** -1: the slot is free. */
  readonly firstRow: Int32Array
  readonly next: Int32Array
}

function tableOf({ series, length }: MetricRows): Table {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(2, 2 * length)))
  const ordinalAt = new Uint32Array(slots)
  const firstRow = new Int32Array(slots).fill(-1)
  const next = new Int32Array(length)
  // From the last, so that each list begins with its first row.
  for (let row = length - 1; row >= 0; row--) {
    const ordinal = series[row]!
    let slot = hash(ordinal) & (slots - 1)
    while (firstRow[slot] !== -1 && ordinalAt[slot] !== ordinal) slot = (slot + 1) & (slots - 1)
    next[row] = firstRow[slot]!
    firstRow[slot] = row
    ordinalAt[slot] = ordinal
  }
  return { slots, ordinalAt, firstRow, next }
}

/** Fibonacci hashing: neighbours lie far apart. */
const hash = (ordinal: number): number => Math.imul(ordinal, 0x9e3779b1) >>> 8

const known = new WeakMap<MetricRows, CommitIndex>()

export function commitIndex(rows: MetricRows): CommitIndex {
  let index = known.get(rows)
  if (index === undefined) known.set(rows, (index = new CommitIndex(rows)))
  return index
}
