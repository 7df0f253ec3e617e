/**
 * `approx_percentile`: DDSketch, after C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile
 * Sketch with Relative-Error Guarantees", PVLDB 12(12), 2019, §2: values are counted in buckets so narrow that any value of
 * a bucket is within the relative error of any other's representative. Buckets are never collapsed.
 *
 * The mapping is the fast one of §4 with the logarithm interpolated linearly between powers of two, so that a bucket is a
 * double's sign, exponent and first 6 bits of the mantissa: [a, b) with b <= a · 65/64. Its representative 2ab/(a + b) is
 * within (b - a)/(b + a) <= 1/129 of each of its values, under the 1 % promised.
 *
 *   (group, sign and exponent)  ->  page of 64 counters, one for each 6 bits
 *
 * Invariants:
 * 1. The answer depends on the values only, never on their order or on merges.
 * 2. NaN is above all, infinities are exact, and what is below 2^-1022 counts as 0.
 */
import type { Column } from '../../columnar/batch.ts'
import { PairTable } from './keys.ts'
import { type AggregateState, forValues, type GroupedRows, grownNumbers, noGroup } from './state.ts'

const mantissaBits = 6
const pageSize = 1 << mantissaBits
/** Octaves are numbered in the order of their values: negative ones first, then zero, positive ones, NaN. */
const zeroOctave = 2048
const nanOctave = 4096
const infinityExponent = 2047

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)

export class QuantileSketchState implements AggregateState {
  readonly #pages = new PairTable()
  /** By page, `pageSize` each. */
  #counts = new Float64Array(0)
  /** By group. */
  #totals = new Float64Array(0)
  /** Pages by group, `starts[g]` to `starts[g + 1]`; those of a group in the order of their values once it is `done`. */
  #sorted: { readonly pages: Uint32Array; readonly starts: Uint32Array; readonly done: Uint8Array } | undefined
  #lastGroup = -1
  #lastOctave = -1
  #lastPage = -1

  get byteLength(): number {
    return this.#pages.byteLength + this.#counts.byteLength + this.#totals.byteLength
  }
  reserve(groups: number): void {
    this.#totals = grownNumbers(this.#totals, groups) as Float64Array<ArrayBuffer>
  }

  add(column: Column, rows: GroupedRows): void {
    const values = column.values as Float64Array
    forValues(column, rows, (row, group) => this.#add(group, values[row]!))
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    const { valid } = column
    const values = column.values as Float64Array
    for (let row = from; row < to; row++) if (valid === undefined || valid[row] === 1) this.#add(group, values[row]!)
  }

  merge(other: QuantileSketchState, groups: Uint32Array): void {
    for (let page = 0; page < other.#pages.size; page++) {
      const group = groups[other.#pages.left(page)]!
      if (group === noGroup) continue
      const into = this.#page(group, other.#pages.right(page)) * pageSize
      const from = page * pageSize
      for (let i = 0; i < pageSize; i++) {
        this.#counts[into + i]! += other.#counts[from + i]!
        this.#totals[group]! += other.#counts[from + i]!
      }
    }
    this.#sorted = undefined
  }

  /** The value at rank ceil(p · n), 1 being the smallest. */
  percentile(group: number, p: number): number | null {
    const total = this.#totals[group]!
    if (total === 0) return null
    const { pages, starts, done } = (this.#sorted ??= this.#partition())
    if (done[group] === 0) {
      pages.subarray(starts[group]!, starts[group + 1]!).sort((a, b) => this.#pages.right(a) - this.#pages.right(b))
      done[group] = 1
    }
    let rank = Math.max(1, Math.ceil(p * total))
    for (let i = starts[group]!; i < starts[group + 1]!; i++) {
      const page = pages[i]!
      const octave = this.#pages.right(page)
      // Among negative numbers, larger bits are smaller values.
      const isNegative = octave < zeroOctave
      for (let k = 0; k < pageSize; k++) {
        const sub = isNegative ? pageSize - 1 - k : k
        rank -= this.#counts[page * pageSize + sub]!
        if (rank <= 0) return representative(octave, sub)
      }
    }
    return null
  }

  #add(group: number, value: number): void {
    double[0] = value
    const high = words[1]!
    const exponent = (high >>> 20) & 0x7ff
    let octave: number
    let sub = (high >>> (20 - mantissaBits)) & (pageSize - 1)
    if (Number.isNaN(value)) {
      octave = nanOctave
      sub = 0
    } else if (exponent === 0) {
      octave = zeroOctave
      sub = 0
    } else octave = high >>> 31 === 1 ? zeroOctave - exponent : zeroOctave + exponent
    const page = group === this.#lastGroup && octave === this.#lastOctave ? this.#lastPage : this.#page(group, octave)
    this.#counts[page * pageSize + sub]!++
    this.#totals[group]!++
    this.#sorted = undefined
  }

  #page(group: number, octave: number): number {
    const page = this.#pages.id(group, octave)
    this.#counts = grownNumbers(this.#counts, (page + 1) * pageSize) as Float64Array<ArrayBuffer>
    this.#lastGroup = group
    this.#lastOctave = octave
    this.#lastPage = page
    return page
  }

  /** A counting sort by group. */
  #partition() {
    const { size } = this.#pages
    const groups = this.#totals.length
    const starts = new Uint32Array(groups + 1)
    for (let page = 0; page < size; page++) starts[this.#pages.left(page) + 1]!++
    for (let group = 0; group < groups; group++) starts[group + 1]! += starts[group]!
    const next = starts.slice()
    const pages = new Uint32Array(size)
    for (let page = 0; page < size; page++) pages[next[this.#pages.left(page)]!++] = page
    return { pages, starts, done: new Uint8Array(groups) }
  }
}

function representative(octave: number, sub: number): number {
  if (octave === nanOctave) return NaN
  if (octave === zeroOctave) return 0
  const exponent = Math.abs(octave - zeroOctave)
  const sign = octave < zeroOctave ? -1 : 1
  if (exponent === infinityExponent) return sign * Infinity
  const scale = 2 ** (exponent - 1023)
  const low = 1 + sub / pageSize
  const high = 1 + (sub + 1) / pageSize
  return sign * scale * ((2 * low * high) / (low + high))
}
