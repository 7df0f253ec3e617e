/**
 * The rows of one metric of several segments, merged, a slice of neighbouring series at a time.
 *
 *   sources      a a b    |  a b b c              decoded one behind the other, in write order
 *   permutation  a a a b b b c                    runs of a series side by side, by time; runs that overlap are merged
 *   neighbours   of one (series, time) become one row, field by field
 *
 * Rows are never sorted: those of a source are in order, and most runs of a series end before the next begin, so that
 * merging is mostly copying. Where one source alone has the rows of a slice, not even that.
 *
 * Invariants:
 * 1. A slice holds whole series, at most `most` rows together; a longer series comes alone, in slices by time.
 * 2. Deletes and the horizon are applied to each source's rows before they meet others'.
 * 3. A slice is borrowed until the next.
 */
import { mergeNeighbours, permuteRows } from '../merge.ts'
import { RowBuffer } from '../row-buffer.ts'
import { dropDeleted } from '../tombstones/mask.ts'
import type { SourceTombstones } from '../tombstones/tombstones.ts'
import type { FieldInfo } from '../types.ts'
import type { SeriesPart, SourceMetric } from './source.ts'

const sliceRowsMax = 32_768
const sliceBytesMax = 8 * 2 ** 20
/** Of the strings that slices have in common. */
const dictionaryBytesMax = 16 * 2 ** 20

export interface MergedSource {
  readonly rows: SourceMetric
  /** Of each of its series the place among the merged. */
  readonly places: Uint32Array
  /** What was deleted of its rows. */
  readonly tombstones: SourceTombstones | undefined
}

export interface MetricSlices {
  /** In write order. */
  readonly sources: readonly MergedSource[]
  /** Catalog ordinals of all series, in order. */
  readonly series: Uint32Array
  /** Of the result. */
  readonly fields: readonly FieldInfo[]
  readonly duplicates: 'last' | 'first'
  /** Rows with a lower time are left out. */
  readonly fromUs: number
  /** Rows of a slice; default by memory. */
  readonly rowsMax?: number
}

export interface Slice {
  readonly rows: RowBuffer
  /** False where its series goes on from the slice before. */
  readonly beginsSeries: boolean
}

/** @example for (const { rows } of mergedSlices(metric)) writer.rows(info, rows, undefined) */
export function* mergedSlices(metric: MetricSlices): Generator<Slice, void> {
  const { sources, series, fields, fromUs } = metric
  const most = Math.min(metric.rowsMax ?? sliceRowsMax, Math.floor(sliceBytesMax / (12 + 9 * fields.length)))
  const slice = new SliceRows(metric, most)
  // Of each source the first series that is not in a slice yet.
  const next = sources.map(() => 0)
  let pending: readonly SeriesPart[] | undefined
  for (let place = 0; place < series.length; ) {
    const begin = place
    const from = [...next]
    let weight = 0
    let parts: readonly SeriesPart[] = []
    while (place < series.length) {
      parts = pending ?? partsOf(sources, next, place)
      pending = undefined
      const own = weightOf(parts)
      if (place > begin && weight + own > most) {
        pending = parts
        break
      }
      weight += own
      for (const [i, { places }] of sources.entries()) if (places[next[i]!] === place) next[i]!++
      place++
    }
    const range = { begin, end: place, from, to: next }
    if (weight <= most) yield* slice.read(range, fromUs, Infinity, true)
    else {
      let begins = true
      let at = fromUs
      for (const cut of [...cutsOf(parts, most), Infinity]) {
        if (cut <= at) continue
        for (const part of slice.read(range, at, cut, begins)) {
          yield part
          begins = false
        }
        at = cut
      }
    }
  }
}

/** Where the rows of the series at this place lie, in all sources. */
function partsOf(sources: readonly MergedSource[], next: readonly number[], place: number): SeriesPart[] {
  const parts: SeriesPart[] = []
  for (const [i, { rows, places }] of sources.entries())
    if (places[next[i]!] === place) parts.push(...rows.parts(next[i]!))
  return parts
}

/** Text counts as rows of so many bytes. */
const textRowBytes = 128

const weightOf = (parts: readonly SeriesPart[]): number =>
  parts.reduce((sum, { rows, textBytes }) => sum + rows + textBytes / textRowBytes, 0)

/** Times at which parts of a long series begin, so that between two of them lie about so many rows. */
function cutsOf(parts: readonly SeriesPart[], most: number): number[] {
  const cuts: number[] = []
  let weight = 0
  let last = -Infinity
  for (const part of parts.toSorted((a, b) => a.minTimeUs - b.minTimeUs)) {
    const own = weightOf([part])
    if (weight > 0 && weight + own > most && part.minTimeUs > last) {
      cuts.push(part.minTimeUs)
      last = part.minTimeUs
      weight = 0
    }
    weight += own
  }
  return cuts
}

/** Places [begin, end) among the merged, which are series [from, to) of each source. */
interface SeriesRange {
  readonly begin: number
  readonly end: number
  readonly from: readonly number[]
  readonly to: readonly number[]
}

class SliceRows {
  readonly #metric: MetricSlices
  readonly #order: MergeOrder
  #buffer: RowBuffer
  /** Arrays that grow are there twice. */
  readonly #rowsExpected: number

  constructor(metric: MetricSlices, rowsMost: number) {
    this.#metric = metric
    const rows = metric.sources.reduce(
      (sum, source) => source.rows.metric.groups.reduce((rowsOf, group) => rowsOf + group.rows, sum),
      0,
    )
    this.#rowsExpected = Math.min(rows, rowsMost)
    this.#order = new MergeOrder(metric.sources.length)
    this.#buffer = new RowBuffer(metric.fields)
  }

  /** One slice, or none where no row is left. */
  *read(range: SeriesRange, fromUs: number, toUs: number, beginsSeries: boolean): Generator<Slice, void> {
    const { sources, series, duplicates, fields } = this.#metric
    if (this.#buffer.fields.some(({ dictionary }) => (dictionary?.byteLength ?? 0) > dictionaryBytesMax))
      this.#buffer = new RowBuffer(fields)
    const rows = this.#buffer
    rows.clear()
    rows.reserve(this.#rowsExpected)
    const starts = [0]
    let filled = 0
    for (const [i, { rows: source, tombstones }] of sources.entries()) {
      const at = rows.length
      if (range.from[i]! < range.to[i]!) source.read(range.from[i]!, range.to[i]!, fromUs, toUs, rows)
      if (tombstones !== undefined && rows.length > at) dropDeleted(rows, at, tombstones)
      if (rows.length > at) filled++
      starts.push(rows.length)
    }
    if (rows.length === 0) return
    if (filled > 1) {
      const { permutation, hasTies } = this.#order.of(rows, series.subarray(range.begin, range.end), starts)
      if (permutation !== undefined) permuteRows(rows, permutation)
      if (hasTies) mergeNeighbours(rows, 0, duplicates)
    }
    yield { rows, beginsSeries }
  }
}

/** The order of rows that lie by source, then series, then time: by series, then time, then source. */
class MergeOrder {
  #permutation = new Uint32Array(0)
  #scratch = new Uint32Array(0)
  readonly #from: number[]
  readonly #to: number[]

  constructor(sources: number) {
    this.#from = new Array<number>(sources).fill(0)
    this.#to = new Array<number>(sources).fill(0)
  }

  /**
   * `starts`: where each source's rows begin, and where the last's end. The permutation is undefined where rows are in order
   * as they lie, and borrowed else. `hasTies`: rows of one (series, time) are neighbours in it.
   */
  of(
    { series, timeUs, length }: RowBuffer,
    wanted: Uint32Array,
    starts: readonly number[],
  ): { permutation: Uint32Array | undefined; hasTies: boolean } {
    if (this.#permutation.length < length) {
      this.#permutation = new Uint32Array(length)
      this.#scratch = new Uint32Array(length)
    }
    const permutation = this.#permutation
    const runFrom = this.#from
    const runTo = this.#to
    const next = starts.slice(0, -1)
    let at = 0
    let inPlace = true
    let hasTies = false
    for (const ordinal of wanted) {
      let runs = 0
      let disjoint = true
      for (let source = 0; source < next.length; source++) {
        const from = next[source]!
        const end = starts[source + 1]!
        if (from === end || series[from] !== ordinal) continue
        let to = from + 1
        while (to < end && series[to] === ordinal) to++
        next[source] = to
        if (runs > 0) disjoint &&= timeUs[runTo[runs - 1]! - 1]! < timeUs[from]!
        runFrom[runs] = from
        runTo[runs++] = to
      }
      const first = at
      for (let run = 0; run < runs; run++) {
        const from = runFrom[run]!
        const to = runTo[run]!
        inPlace &&= from === at
        for (let row = from; row < to; row++) permutation[at++] = row
        runFrom[run] = at - (to - from)
        runTo[run] = at
      }
      if (disjoint) continue
      inPlace = false
      hasTies = this.#mergeRuns(timeUs, runs, first, at) || hasTies
    }
    return { permutation: inPlace ? undefined : permutation, hasTies }
  }

  /**
   * Merges neighbouring runs of the permutation in pairs until one is left, which keeps rows of one time in write order.
   * Returns whether two rows have one time.
   */
  #mergeRuns(timeUs: Float64Array, count: number, first: number, end: number): boolean {
    const runTo = this.#to
    let from = this.#permutation
    let to = this.#scratch
    let ties = false
    for (let runs = count; runs > 1; runs = Math.ceil(runs / 2)) {
      let start = first
      for (let run = 0; run < runs; run += 2) {
        const middle = runTo[run]!
        const stop = run + 1 < runs ? runTo[run + 1]! : middle
        ties = mergeTwo(timeUs, from, to, start, middle, stop) || ties
        runTo[run / 2] = stop
        start = stop
      }
      const merged = to
      to = from
      from = merged
    }
    if (from !== this.#permutation) this.#permutation.set(from.subarray(first, end), first)
    return ties
  }
}

/** Merges `from[start, middle)` and `from[middle, stop)`, rows by time, into `to[start, stop)`; tells of equal times. */
function mergeTwo(
  timeUs: Float64Array,
  from: Uint32Array,
  to: Uint32Array,
  start: number,
  middle: number,
  stop: number,
): boolean {
  let a = start
  let b = middle
  let at = start
  let ties = false
  while (a < middle && b < stop) {
    const timeA = timeUs[from[a]!]!
    const timeB = timeUs[from[b]!]!
    if (timeA === timeB) ties = true
    to[at++] = timeA <= timeB ? from[a++]! : from[b++]!
  }
  to.set(from.subarray(a, middle), at)
  to.set(from.subarray(b, stop), at + middle - a)
  return ties
}
