/**
 * RollupBuckets: sorted rows of one metric -> a row per (series, bucket), in a buffer of which all but the last may be let go.
 *
 *   rows  a 00:01 00:07 00:12 | b 00:03          width 10 min
 *   out   a 00:00 (2)  00:10 (1) | b 00:00 (1)
 *
 * Invariants:
 * 1. Rows of a series may come in several calls, one after the other: a bucket that ends one call goes on in the next.
 * 2. Sums are those of `Kernels.bucketRuns`, as queries over the rows add them up, but for what is noise; where calls cut a
 *    bucket, of its parts.
 */
import { firstAtOrAfter } from '../../columnar/search.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { FieldInfo, MetricInfo } from '../types.ts'
import { columnName, isNumeric, type NumberColumn, rowsColumn } from './columns.ts'

/** count, NaN count, min, max, sum: the layout of `Kernels.bucketRuns`. */
const cellWidth = 5

/** Of one field, where its columns are among those of the rollup. */
type Places = Readonly<Record<NumberColumn, number>>

export class RollupBuckets {
  readonly buffer: RowBuffer
  /** Of the rows. */
  readonly fields: readonly FieldInfo[]
  readonly widthUs: number
  readonly #kernels: Kernels
  readonly #places: readonly (Places | number)[]
  readonly #rowsPlace: number
  /** Of the rows at hand: each bucket's start, its first row and the row after its last, and its place in the buffer. */
  #starts = new Float64Array(0)
  #from = new Uint32Array(0)
  #to = new Uint32Array(0)
  #at = new Uint32Array(0)
  /** Whether the first bucket at hand was there before. */
  #goesOn = false
  #cells = new Float64Array(0)

  /** `fields`: of the rows that will come; `metric`: `rollupMetric` of them. */
  constructor(metric: MetricInfo, fields: readonly FieldInfo[], widthUs: number, kernels: Kernels) {
    this.buffer = new RowBuffer(metric.fields)
    this.fields = fields
    this.widthUs = widthUs
    this.#kernels = kernels
    const placeOf = (name: string): number => {
      const place = metric.fields.findIndex(field => field.name === name)
      assert(place >= 0, `the rollup has the column ${name}`)
      return place
    }
    this.#rowsPlace = placeOf(rowsColumn)
    this.#places = fields.map(({ name, type }) => {
      const of = (column: NumberColumn) => placeOf(columnName(name, column))
      if (!isNumeric(type)) return of('count')
      return {
        count: of('count'),
        nan: of('nan'),
        sum: of('sum'),
        min: of('min'),
        max: of('max'),
        first: of('first'),
        first_at: of('first_at'),
        last: of('last'),
        last_at: of('last_at'),
      }
    })
  }

  /** Adds rows [from, to), all of one series. Returns how many buckets are new. */
  add(rows: RowBuffer, from: number, to: number): number {
    const buckets = this.#cut(rows, from, to)
    const before = this.buffer.length
    this.#appendBuckets(rows.series[from]!, buckets)
    for (let field = 0; field < this.#places.length; field++) {
      const places = this.#places[field]!
      const source = rows.fields[field]!
      if (typeof places === 'number') this.#addCounts(source, places, buckets)
      else this.#addNumbers(rows, source, places, from, to, buckets)
    }
    return this.buffer.length - before
  }

  #cut({ timeUs }: RowBuffer, from: number, to: number): number {
    const { widthUs } = this
    if (this.#starts.length < to - from) {
      this.#starts = new Float64Array(to - from)
      this.#from = new Uint32Array(to - from)
      this.#to = new Uint32Array(to - from)
      this.#at = new Uint32Array(to - from)
      this.#cells = new Float64Array((to - from) * cellWidth)
    }
    let buckets = 0
    for (let row = from; row < to; buckets++) {
      const startUs = Math.floor(timeUs[row]! / widthUs) * widthUs
      this.#starts[buckets] = startUs
      this.#from[buckets] = row
      row = firstAtOrAfter(timeUs, startUs + widthUs, row, to)
      this.#to[buckets] = row
    }
    return buckets
  }

  #appendBuckets(ordinal: number, buckets: number): void {
    const { buffer } = this
    buffer.reserve(buckets)
    const { series, timeUs } = buffer
    const last = buffer.length - 1
    this.#goesOn = last >= 0 && series[last] === ordinal && timeUs[last] === this.#starts[0]
    const first = this.#goesOn ? last : last + 1
    const column = buffer.fields[this.#rowsPlace]!
    for (let i = 0; i < buckets; i++) {
      const at = first + i
      const before = i === 0 && this.#goesOn ? column.values[at]! : 0
      this.#at[i] = at
      series[at] = ordinal
      timeUs[at] = this.#starts[i]!
      column.values[at] = before + this.#to[i]! - this.#from[i]!
      column.valid[at] = 1
    }
    buffer.length = first + buckets
  }

  #isThere(bucket: number, column: FieldBuffer): boolean {
    return bucket === 0 && this.#goesOn && column.valid[this.#at[0]!] === 1
  }

  #addCounts(source: FieldBuffer, place: number, buckets: number): void {
    const column = this.buffer.fields[place]!
    for (let i = 0; i < buckets; i++) {
      let count = this.#isThere(i, column) ? column.values[this.#at[i]!]! : 0
      if (!source.nulls) count += this.#to[i]! - this.#from[i]!
      else for (let row = this.#from[i]!; row < this.#to[i]!; row++) count += source.valid[row]!
      put(column, this.#at[i]!, count, count > 0)
    }
  }

  #addNumbers(
    { timeUs }: RowBuffer,
    source: FieldBuffer,
    places: Places,
    from: number,
    to: number,
    buckets: number,
  ): void {
    const cells = this.#cells
    const values = source.values as Float64Array
    const valid = source.nulls ? source.valid : undefined
    const cut = this.#kernels.bucketRuns(timeUs, values, valid, from, to, 0, this.widthUs, this.#starts, cells)
    assert(cut === buckets, 'kernels cut buckets as rollups do')
    const column = (name: NumberColumn): FieldBuffer => this.buffer.fields[places[name]]!
    const counts = column('count')
    const nans = column('nan')
    const sums = column('sum')
    const mins = column('min')
    const maxs = column('max')
    const firsts = column('first')
    const firstAts = column('first_at')
    const lasts = column('last')
    const lastAts = column('last_at')
    for (let i = 0; i < buckets; i++) {
      const at = this.#at[i]!
      const cell = i * cellWidth
      const count = cells[cell]!
      const goesOn = this.#isThere(i, counts)
      if (count === 0) {
        // What an earlier call put there stays.
        if (!goesOn) for (const place of Object.values(places)) put(this.buffer.fields[place]!, at, 0, false)
        continue
      }
      const nan = cells[cell + 1]! + (goesOn && nans.valid[at] === 1 ? nans.values[at]! : 0)
      const first = firstValid(valid, this.#from[i]!)
      const last = lastValid(valid, this.#to[i]! - 1)
      put(nans, at, nan, nan > 0)
      put(lasts, at, values[last]!, true)
      put(lastAts, at, timeUs[last]! - this.#starts[i]!, true)
      if (goesOn) {
        counts.values[at]! += count
        sums.values[at] = withoutNoise(sums.values[at]! + cells[cell + 4]!)
        mins.values[at] = Math.min(mins.values[at]!, cells[cell + 2]!)
        maxs.values[at] = Math.max(maxs.values[at]!, cells[cell + 3]!)
        continue
      }
      put(counts, at, count, true)
      put(mins, at, cells[cell + 2]!, true)
      put(maxs, at, cells[cell + 3]!, true)
      put(sums, at, withoutNoise(cells[cell + 4]!), true)
      put(firsts, at, values[first]!, true)
      put(firstAts, at, timeUs[first]! - this.#starts[i]!, true)
    }
  }
}

const noise = 1e-14
const sumDecimalsMax = 4

/** The sum of a few decimals as a decimal: the noise of adding doubles would take all 8 bytes of each sum to keep. */
function withoutNoise(sum: number): number {
  for (let decimals = 0, scale = 1; decimals <= sumDecimalsMax; decimals++, scale *= 10) {
    const scaled = sum * scale
    if (!(Math.abs(scaled) < Number.MAX_SAFE_INTEGER)) return sum
    const decimal = Math.round(scaled) / scale
    if (Math.abs(decimal - sum) <= noise * Math.abs(sum)) return decimal
  }
  return sum
}

function put(column: FieldBuffer, at: number, value: number, isThere: boolean): void {
  column.values[at] = value
  column.valid[at] = isThere ? 1 : 0
  if (!isThere) column.nulls = true
}

function firstValid(valid: Uint8Array | undefined, from: number): number {
  let row = from
  if (valid !== undefined) while (valid[row] === 0) row++
  return row
}

function lastValid(valid: Uint8Array | undefined, from: number): number {
  let row = from
  if (valid !== undefined) while (valid[row] === 0) row--
  return row
}
