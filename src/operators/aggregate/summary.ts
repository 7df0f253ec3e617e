/** Count, sum, min, max of numbers in one state: `count sum avg min max spread` of one argument share it. */
import { type ArrayMemory, ownArrays } from '../../columnar/arena.ts'
import type { Column } from '../../columnar/batch.ts'
import type { Kernels, Summary } from '../../kernels/kernels.ts'
import { type AggregateState, type GroupedRows, grownNumbers } from './state.ts'

/** Per group: count, NaN count, min and max without NaN, sum — the layout of `Kernels.bucketRuns`. */
const width = 5
const empty = [0, 0, Infinity, -Infinity, 0] as const
/** Shorter ranges are added here: a kernel call costs about as much. */
const kernelRowsMin = 48

export class SummaryState implements AggregateState {
  #cells: Float64Array = new Float64Array(0)
  readonly #kernels: Kernels
  readonly #arrays: ArrayMemory
  readonly #summary: Summary = { count: 0, nanCount: 0, min: Infinity, max: -Infinity, sum: 0 }

  constructor(kernels: Kernels, arrays: ArrayMemory = ownArrays) {
    this.#kernels = kernels
    this.#arrays = arrays
  }

  get byteLength(): number {
    return this.#cells.byteLength
  }

  reserve(groups: number): void {
    const before = this.#cells.length
    if (before >= groups * width) return
    const larger = this.#arrays.float64(width * Math.max(groups, (2 * before) / width, 4))
    larger.set(this.#cells)
    for (let at = before; at < larger.length; at += width) larger.set(empty, at)
    this.#cells = larger
  }

  add(column: Column, rows: GroupedRows): void {
    const { selection, groups } = rows
    const { valid } = column
    const values = column.values as Float64Array
    const cells = this.#cells
    const count = selection?.length ?? rows.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) continue
      const at = groups[row]! * width
      const value = values[row]!
      cells[at]!++
      if (Number.isNaN(value)) cells[at + 1]!++
      if (value < cells[at + 2]!) cells[at + 2] = value
      if (value > cells[at + 3]!) cells[at + 3] = value
      cells[at + 4]! += value
    }
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    const { valid } = column
    const values = column.values as Float64Array
    if (to - from >= kernelRowsMin) {
      const summary = this.#summary
      summary.count = summary.nanCount = summary.sum = 0
      summary.min = Infinity
      summary.max = -Infinity
      this.#kernels.summarize(values, valid, from, to, summary)
      this.addSummary(group, summary)
      return
    }
    const cells = this.#cells
    const at = group * width
    for (let row = from; row < to; row++) {
      if (valid !== undefined && valid[row] === 0) continue
      const value = values[row]!
      cells[at]!++
      if (Number.isNaN(value)) cells[at + 1]!++
      if (value < cells[at + 2]!) cells[at + 2] = value
      if (value > cells[at + 3]!) cells[at + 3] = value
      cells[at + 4]! += value
    }
  }

  addSummary(group: number, { count, nanCount, min, max, sum }: Readonly<Summary>): void {
    if (count === 0) return
    const cells = this.#cells
    const at = group * width
    cells[at]! += count
    cells[at + 1]! += nanCount
    if (min < cells[at + 2]!) cells[at + 2] = min
    if (max > cells[at + 3]!) cells[at + 3] = max
    cells[at + 4]! += sum
  }

  /** Adds `runs` summaries in the layout of `Kernels.bucketRuns` to a group each. */
  addRuns(groups: Uint32Array, summaries: Float64Array, runs: number): void {
    for (let run = 0; run < runs; run++) this.#addCells(groups[run]!, summaries, run * width)
  }

  /** Adds the summary of each row of [0, length) to its group. */
  addSummaries(groups: Uint32Array, length: number, { valid, counts, nans, mins, maxs, sums }: KnownSummaries): void {
    const cells = this.#cells
    for (let row = 0; row < length; row++) {
      if (valid !== undefined && valid[row] === 0) continue
      const at = groups[row]! * width
      cells[at]! += counts[row]!
      if (nans !== undefined && nans.valid[row] === 1) cells[at + 1]! += nans.values[row]!
      if (mins !== undefined && mins[row]! < cells[at + 2]!) cells[at + 2] = mins[row]!
      if (maxs !== undefined && maxs[row]! > cells[at + 3]!) cells[at + 3] = maxs[row]!
      if (sums !== undefined) cells[at + 4]! += sums[row]!
    }
  }

  merge(other: SummaryState, from: Uint32Array, to: Uint32Array): void {
    for (let i = 0; i < from.length; i++) this.#addCells(to[i]!, other.#cells, from[i]! * width)
  }

  #addCells(group: number, from: Float64Array, fromAt: number): void {
    if (from[fromAt] === 0) return
    const cells = this.#cells
    const at = group * width
    cells[at]! += from[fromAt]!
    cells[at + 1]! += from[fromAt + 1]!
    if (from[fromAt + 2]! < cells[at + 2]!) cells[at + 2] = from[fromAt + 2]!
    if (from[fromAt + 3]! > cells[at + 3]!) cells[at + 3] = from[fromAt + 3]!
    cells[at + 4]! += from[fromAt + 4]!
  }

  count(group: number): number {
    return this.#cells[group * width]!
  }
  sum(group: number): number | null {
    return this.count(group) === 0 ? null : this.#cells[group * width + 4]!
  }
  avg(group: number): number | null {
    const count = this.count(group)
    return count === 0 ? null : this.#cells[group * width + 4]! / count
  }
  /** NaN is above every number. A zero comes out as +0, whichever was first. */
  min(group: number): number | null {
    const count = this.count(group)
    if (count === 0) return null
    return this.#nanCount(group) === count ? NaN : this.#cells[group * width + 2]! + 0
  }
  max(group: number): number | null {
    if (this.count(group) === 0) return null
    return this.#nanCount(group) > 0 ? NaN : this.#cells[group * width + 3]! + 0
  }
  spread(group: number): number | null {
    const min = this.min(group)
    const max = this.max(group)
    return min === null || max === null ? null : max === min ? 0 : max - min
  }

  #nanCount(group: number): number {
    return this.#cells[group * width + 1]!
  }
}

/** Summaries that are known, row by row; what is undefined nobody asks for. */
export interface KnownSummaries {
  /** 0: the row has none; undefined: all have one. */
  readonly valid: Uint8Array | undefined
  readonly counts: Float64Array
  /** null: none is NaN. */
  readonly nans: { readonly values: ArrayLike<number>; readonly valid: Uint8Array } | undefined
  readonly mins: Float64Array | undefined
  readonly maxs: Float64Array | undefined
  readonly sums: Float64Array | undefined
}

/** Counts rows, or non-null values of any type. */
export class CountState implements AggregateState {
  #counts = new Float64Array(0)

  get byteLength(): number {
    return this.#counts.byteLength
  }
  reserve(groups: number): void {
    this.#counts = grownNumbers(this.#counts, groups) as Float64Array<ArrayBuffer>
  }

  add(column: Column | undefined, rows: GroupedRows): void {
    const { selection, groups } = rows
    const valid = column?.valid
    const counts = this.#counts
    const count = selection?.length ?? rows.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid === undefined || valid[row] === 1) counts[groups[row]!]!++
    }
  }

  addRange(column: Column | undefined, from: number, to: number, group: number): void {
    const valid = column?.valid
    if (valid === undefined) this.#counts[group]! += to - from
    else for (let row = from; row < to; row++) this.#counts[group]! += valid[row]!
  }

  addCount(group: number, rows: number): void {
    this.#counts[group]! += rows
  }

  merge(other: CountState, from: Uint32Array, to: Uint32Array): void {
    for (let i = 0; i < from.length; i++) this.#counts[to[i]!]! += other.#counts[from[i]!]!
  }

  count(group: number): number {
    return this.#counts[group]!
  }
}
