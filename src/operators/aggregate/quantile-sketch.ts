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
import { EntriesByGroup } from './entries.ts'
import { PairTable } from './keys.ts'
import { type AggregateState, forValues, type GroupedRows, grownNumbers } from './state.ts'

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
  readonly #ofGroups = new EntriesByGroup()
  #lastGroup = -1
  #lastOctave = -1
  #lastPage = -1

  get byteLength(): number {
    return this.#pages.byteLength + this.#counts.byteLength + this.#totals.byteLength + this.#ofGroups.byteLength
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

  merge(other: QuantileSketchState, from: Uint32Array, to: Uint32Array): void {
    for (let i = 0; i < from.length; i++)
      for (const page of other.#pagesOf(from[i]!)) {
        const group = to[i]!
        const into = this.#page(group, other.#pages.right(page)) * pageSize
        const theirs = page * pageSize
        for (let sub = 0; sub < pageSize; sub++) this.#counts[into + sub]! += other.#counts[theirs + sub]!
      }
    for (let i = 0; i < from.length; i++) this.#totals[to[i]!]! += other.#totals[from[i]!]!
  }

  /** The value at rank ceil(p · n), 1 being the smallest. */
  percentile(group: number, p: number): number | null {
    const total = this.#totals[group]!
    if (total === 0) return null
    let rank = Math.max(1, Math.ceil(p * total))
    for (const page of this.#pagesOf(group).sort((a, b) => this.#pages.right(a) - this.#pages.right(b))) {
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
  }

  #page(group: number, octave: number): number {
    const page = this.#pages.id(group, octave)
    this.#counts = grownNumbers(this.#counts, (page + 1) * pageSize) as Float64Array<ArrayBuffer>
    this.#lastGroup = group
    this.#lastOctave = octave
    this.#lastPage = page
    return page
  }

  #pagesOf(group: number): number[] {
    const entries = this.#ofGroups
    entries.extend(this.#pages.size, this.#totals.length, page => this.#pages.left(page))
    const pages: number[] = []
    for (let page = entries.newest(group); page >= 0; page = entries.before(page)) pages.push(page)
    return pages
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
