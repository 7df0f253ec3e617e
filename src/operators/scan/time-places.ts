/**
 * Places of rows in order of time, for rows that come as runs of one series each with ascending times: runs are visited by
 * rank, and each row takes the next place of its time. That is a stable counting sort by time, in two looks at a row.
 *
 *   rows    a0 a1 a2 a3 | b0 b1 b2 b3         frontier after time 2
 *   places  0  2  4  6  | 1  3  5  7          those before it by (time, rank), the others after them, as they came
 *
 * Invariants:
 * 1. Rows before the frontier have the places [0, ready) by (time, rank). Those after it keep together by series, and ascend.
 * 2. Where rows come otherwise, or the clock has more ticks than there are rows, a sort finds the places: the same up to `ready`.
 */
import { type ArrayMemory, ownArrays } from '../../columnar/arena.ts'
import { firstAtOrAfter } from '../../columnar/search.ts'
import { invert } from '../../storage/placing.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import { clockUnit, sortPermutation } from '../../storage/sort-permutation.ts'

export interface Placed {
  /** Of each row; undefined: they stay where they are. Borrowed until the next are found. */
  readonly places: Uint32Array | undefined
  readonly ready: number
}

/** Shorter runs on average are sorted. */
const runRowsMin = 8
/** Ticks before the frontier for each row, and in all: the counts of so many stay in the caches. */
const ticksPerRowMax = 2
const ticksMax = 1 << 18
/** Stands for the tick of a row that is not before the frontier. */
const later = 0xffffffff

export class TimePlaces {
  readonly #memory: ArrayMemory
  #places: Uint32Array = new Uint32Array(0)
  #ticks: Uint32Array = new Uint32Array(0)
  /** By tick: how many rows have the one before, then the next free place. */
  #counts: Uint32Array = new Uint32Array(0)
  /** Where runs begin, and where the last ends. */
  #runs: Uint32Array = new Uint32Array(0)

  constructor(memory: ArrayMemory = ownArrays) {
    this.#memory = memory
  }

  get byteLength(): number {
    return 4 * (this.#places.length + this.#ticks.length + this.#counts.length + this.#runs.length)
  }

  /** No row comes before `fromUs`. */
  find(rows: RowBuffer, ranks: Uint32Array, fromUs: number, frontierUs: number): Placed {
    const { series, timeUs, length } = rows
    this.#reserve(length)
    const counted = this.#count(series, timeUs, length, ranks, fromUs, frontierUs)
    if (counted !== undefined) return counted
    const order = sortPermutation(series, timeUs, length, 'time-series', ranks)
    if (order === undefined) return { places: undefined, ready: firstAtOrAfter(timeUs, frontierUs, 0, length) }
    let ready = length
    while (ready > 0 && timeUs[order[ready - 1]!]! >= frontierUs) ready--
    invert(order, length, this.#places)
    return { places: this.#places, ready }
  }

  #count(
    series: Uint32Array,
    timeUs: Float64Array,
    length: number,
    ranks: Uint32Array,
    fromUs: number,
    frontierUs: number,
  ): Placed | undefined {
    if (length === 0) return undefined
    const unit = clockUnit(timeUs, length)
    const firstUs = timeUs[0]! - Math.floor((timeUs[0]! - fromUs) / unit) * unit
    const ticks = Math.max(0, Math.ceil((frontierUs - firstUs) / unit))
    if (ticks > ticksMax || ticks > length * ticksPerRowMax + 1024) return undefined
    const counts = this.#countsOf(ticks)
    const runs = this.#runs
    const found = findTicks(series, timeUs, length, firstUs, unit, frontierUs, this.#ticks, counts, runs)
    if (found === 0) return undefined
    let ready = 0
    for (let tick = 0; tick <= ticks; tick++) counts[tick] = ready += counts[tick]!
    const order = byRank(series, runs, found, ranks)
    if (found === 1) return { places: undefined, ready }
    let next = ready
    for (let i = 0; i < found; i++) {
      const run = order === undefined ? i : order[i]!
      next = takePlaces(this.#ticks, runs[run]!, runs[run + 1]!, counts, this.#places, next)
    }
    return { places: this.#places, ready }
  }

  #reserve(rows: number): void {
    if (this.#places.length >= rows) return
    const capacity = Math.max(rows, 2 * this.#places.length)
    this.#places = this.#memory.uint32(capacity)
    this.#ticks = this.#memory.uint32(capacity)
    this.#runs = this.#memory.uint32(Math.ceil(capacity / runRowsMin) + 1)
  }

  #countsOf(ticks: number): Uint32Array {
    if (this.#counts.length < ticks + 1)
      this.#counts = this.#memory.uint32(Math.max(ticks + 1, 2 * this.#counts.length))
    this.#counts.fill(0, 0, ticks + 1)
    return this.#counts
  }
}

/** Writes each row's tick, counts them, and finds the runs; returns how many there are, 0: too many, or the unit does not fit. */
function findTicks(
  series: Uint32Array,
  timeUs: Float64Array,
  length: number,
  firstUs: number,
  unit: number,
  frontierUs: number,
  ticks: Uint32Array,
  counts: Uint32Array,
  runs: Uint32Array,
): number {
  const runsMax = Math.max(1, Math.floor(length / runRowsMin))
  const perUs = 1 / unit
  let found = 0
  let ordinal = -1
  let beforeUs = 0
  for (let row = 0; row < length; row++) {
    const one = series[row]!
    const rowUs = timeUs[row]!
    if (one !== ordinal || rowUs < beforeUs) {
      if (found === runsMax) return 0
      runs[found++] = row
      ordinal = one
    }
    beforeUs = rowUs
    if (rowUs >= frontierUs) {
      ticks[row] = later
      continue
    }
    const delta = rowUs - firstUs
    const tick = Math.floor(delta * perUs + 0.5)
    if (tick * unit !== delta) return 0
    ticks[row] = tick
    counts[tick + 1]!++
  }
  runs[found] = length
  return found
}

/** The runs by rank, those of one as they come; undefined: they come so. */
function byRank(series: Uint32Array, runs: Uint32Array, count: number, ranks: Uint32Array): Uint32Array | undefined {
  let falls = false
  for (let run = 1; run < count && !falls; run++) falls = ranks[series[runs[run]!]!]! < ranks[series[runs[run - 1]!]!]!
  if (!falls) return undefined
  const keys = new Float64Array(count)
  for (let run = 0; run < count; run++) keys[run] = ranks[series[runs[run]!]!]! * count + run
  keys.sort()
  return Uint32Array.from(keys, key => key % count)
}

/** Gives the rows of a run their places, those after the frontier the ones from `next` on; returns where these end. */
function takePlaces(
  ticks: Uint32Array,
  from: number,
  to: number,
  counts: Uint32Array,
  places: Uint32Array,
  next: number,
): number {
  let row = from
  for (; row < to; row++) {
    const tick = ticks[row]!
    if (tick === later) break
    const place = counts[tick]!
    counts[tick] = place + 1
    places[row] = place
  }
  let free = next
  for (; row < to; row++) places[row] = free++
  return free
}
