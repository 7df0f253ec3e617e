/**
 * Per-series aggregates — `rate irate increase delta derivative integral time_weighted_avg` — from pairs of samples that
 * `pairs.ts` has made: what a pair changed (an area in value · µs), and how many µs it spans.
 *
 *   (group, series)  ->  change, elapsed µs, pairs         then over the series of a group
 *
 * Invariants:
 * 1. A series without a pair in the group, or for a value per second without elapsed time, has no value there; a group
 *    none of whose series has one is null.
 * 2. A pair knows all about itself: pairs may come in any order, and states merge.
 */
import type { Column } from '../../columnar/batch.ts'
import type { Kernels, Summary } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import { EntriesByGroup } from './entries.ts'
import { PairTable } from './keys.ts'
import { type AggregateState, forValues, type GroupedRows, grownNumbers, type RowOrdering } from './state.ts'

/** Shorter ranges are added here: a kernel call costs about as much. */
const kernelRowsMin = 48

const usPerSecond = 1e6

/** What becomes of a series' pairs, and then of the series of a group. */
export type SeriesTotal = 'change' | 'change per second' | 'area' | 'mean area over time'

/** `all` pairs of a series in a group, or only its `last` one. */
export type CountedPairs = 'all' | 'last'

export class PairSumsState implements AggregateState {
  readonly #kernels: Kernels
  readonly #counted: CountedPairs
  /** (group, series). */
  readonly #cells = new PairTable()
  /** By cell: of all its pairs, or of the last one. */
  #changes = new Float64Array(0)
  #elapsed = new Float64Array(0)
  /** How many pairs; of the last one its time, in µs. 0 and NaN: none. */
  #marks = new Float64Array(0)
  #groupCount = 0
  readonly #totals = new Map<SeriesTotal, Float64Array>()
  readonly #ofGroups = new EntriesByGroup()
  readonly #summary: Summary = { count: 0, nanCount: 0, min: Infinity, max: -Infinity, sum: 0 }

  constructor(kernels: Kernels, counted: CountedPairs) {
    this.#kernels = kernels
    this.#counted = counted
  }

  get byteLength(): number {
    return this.#cells.byteLength + this.#changes.byteLength * 3 + this.#totals.size * this.#groupCount * 16
  }
  reserve(groups: number): void {
    this.#groupCount = groups
  }

  add(changes: Column, rows: GroupedRows, elapsed?: Column): void {
    assert(elapsed !== undefined, 'the elapsed time of pairs')
    const { order } = rows
    let lastGroup = -1
    let lastSeries = -1
    let cell = 0
    forValues(changes, rows, (row, group) => {
      const series = order?.series?.[row] ?? 0
      if (group !== lastGroup || series !== lastSeries) cell = this.#cell(group, series)
      lastGroup = group
      lastSeries = series
      this.#addPair(cell, changes.values[row] as number, elapsed.values[row] as number, order, row)
    })
  }

  addRange(
    changes: Column,
    from: number,
    to: number,
    group: number,
    order: RowOrdering | undefined,
    elapsed?: Column,
  ): void {
    assert(elapsed !== undefined, 'the elapsed time of pairs')
    const { valid } = changes
    let first = from
    let last = to
    while (valid !== undefined && first < last && valid[first] === 0) first++
    while (valid !== undefined && first < last && valid[last - 1] === 0) last--
    if (first === last) return
    const cell = this.#cell(group, order?.series?.[first] ?? 0)
    const changeValues = changes.values as Float64Array
    const elapsedValues = elapsed.values as Float64Array
    if (this.#counted === 'last')
      this.#addPair(cell, changeValues[last - 1]!, elapsedValues[last - 1]!, order, last - 1)
    else if (last - first >= kernelRowsMin) {
      this.#marks[cell]! += this.#summarized(changeValues, valid, first, last).count
      this.#changes[cell]! += this.#summary.sum
      this.#elapsed[cell]! +=
        valid === undefined && order !== undefined
          ? elapsedValues[first]! + order.timesUs[last - 1]! - order.timesUs[first]!
          : this.#summarized(elapsedValues, valid, first, last).sum
    } else
      for (let row = first; row < last; row++)
        if (valid === undefined || valid[row] === 1)
          this.#addPair(cell, changeValues[row]!, elapsedValues[row]!, order, row)
  }

  merge(other: PairSumsState, from: Uint32Array, to: Uint32Array): void {
    const entries = other.#ofGroups
    entries.extend(other.#cells.size, other.#groupCount, cell => other.#cells.left(cell))
    for (let i = 0; i < from.length; i++)
      for (let theirs = entries.newest(from[i]!); theirs >= 0; theirs = entries.before(theirs)) {
        const cell = this.#cell(to[i]!, other.#cells.right(theirs))
        if (this.#counted === 'all') {
          this.#changes[cell]! += other.#changes[theirs]!
          this.#elapsed[cell]! += other.#elapsed[theirs]!
          this.#marks[cell]! += other.#marks[theirs]!
        } else if (!(other.#marks[theirs]! < this.#marks[cell]!)) {
          this.#changes[cell] = other.#changes[theirs]!
          this.#elapsed[cell] = other.#elapsed[theirs]!
          this.#marks[cell] = other.#marks[theirs]!
        }
      }
  }

  total(group: number, how: SeriesTotal): number | null {
    let totals = this.#totals.get(how)
    if (totals === undefined) {
      totals = this.#addSeries(how)
      this.#totals.set(how, totals)
    }
    const series = totals[2 * group + 1]!
    if (series === 0) return null
    return how === 'mean area over time' ? totals[2 * group]! / series : totals[2 * group]!
  }

  /** Per group: the sum over its series, and how many of them have a value. */
  #addSeries(how: SeriesTotal): Float64Array {
    const totals = new Float64Array(2 * this.#groupCount)
    for (let cell = 0; cell < this.#cells.size; cell++) {
      const change = this.#changes[cell]!
      const elapsedUs = this.#elapsed[cell]!
      if ((how === 'change per second' || how === 'mean area over time') && elapsedUs === 0) continue
      const at = 2 * this.#cells.left(cell)
      totals[at]! += seriesValue(how, change, elapsedUs)
      totals[at + 1]!++
    }
    return totals
  }

  #cell(group: number, series: number): number {
    if (this.#totals.size > 0) this.#totals.clear()
    const known = this.#cells.size
    const cell = this.#cells.id(group, series)
    if (cell === known && cell >= this.#changes.length) {
      this.#changes = grownNumbers(this.#changes, cell + 1) as Float64Array<ArrayBuffer>
      this.#elapsed = grownNumbers(this.#elapsed, cell + 1) as Float64Array<ArrayBuffer>
      const empty = this.#counted === 'all' ? 0 : NaN
      this.#marks = grownNumbers(this.#marks, cell + 1, empty) as Float64Array<ArrayBuffer>
    }
    return cell
  }

  #addPair(cell: number, change: number, elapsedUs: number, order: RowOrdering | undefined, row: number): void {
    if (this.#counted === 'all') {
      this.#changes[cell]! += change
      this.#elapsed[cell]! += elapsedUs
      this.#marks[cell]!++
      return
    }
    // Of pairs at one time the later to come is the last.
    const timeUs = order?.timesUs[row] ?? 0
    if (timeUs < this.#marks[cell]!) return
    this.#changes[cell] = change
    this.#elapsed[cell] = elapsedUs
    this.#marks[cell] = timeUs
  }

  #summarized(values: Float64Array, valid: Uint8Array | undefined, from: number, to: number): Summary {
    const summary = this.#summary
    summary.count = summary.nanCount = summary.sum = 0
    summary.min = Infinity
    summary.max = -Infinity
    this.#kernels.summarize(values, valid, from, to, summary)
    return summary
  }
}

function seriesValue(how: SeriesTotal, change: number, elapsedUs: number): number {
  switch (how) {
    case 'change':
      return change
    case 'change per second':
      return change / (elapsedUs / usPerSecond)
    case 'area':
      return change / usPerSecond
    case 'mean area over time':
      return change / elapsedUs
  }
}
