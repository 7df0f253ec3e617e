/**
 * Tombstones: which rows were deleted, as ranges of time of all series of a metric or of some.
 *
 *   Deletion + LSN -> Tombstone        Tombstones, an immutable set: each delete makes the next one
 *
 * Invariants:
 * 1. A tombstone concerns rows with a lower LSN only. No source of rows (a segment, a layer of a memtable) has concerned
 *    rows on both sides of it: it concerns the source if its LSN is above the source's highest, and not at all otherwise.
 * 2. "All series" are those there were at the delete. Series that came later hold later rows only, so it means all.
 * 3. What a set holds never changes, though sets share arrays.
 * 4. A tombstone that a later one covers is left out: whatever it concerns, the later one does.
 */
import { SydraError } from '../../lib/errors.ts'
import type { Lsn, ReadRequest } from '../types.ts'
import { type DeletedRanges, mergeRanges } from './ranges.ts'

/** Tombstones that may be live at once. Each costs every query of its metric a look. */
export const tombstonesMax = 10_000
/** Series that all live tombstones may list together: 4 bytes each in memory, 11 in the manifest. */
export const tombstoneSeriesMax = 2 ** 21

/** What a delete is told that a set has no room for. */
export const tooManyTombstones = (): SydraError =>
  new SydraError(
    'overloaded',
    `${tombstonesMax} deletes, or deletes of ${tombstoneSeriesMax} listed series, still hide rows in segments`,
    { hint: 'delete larger ranges, or all series of a metric, in one statement' },
  )

/** What a delete says: rows of these series with `fromUs <= time < toUs`. */
export interface Deletion {
  /** Id of the metric. */
  readonly metric: number
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals, ascending, not empty; undefined: all series of the metric. */
  readonly series: Uint32Array | undefined
}

export interface Tombstone extends Deletion {
  readonly lsn: Lsn
}

export class Tombstones {
  static readonly none = new Tombstones(new Map(), 0, 0)
  readonly #byMetric: ReadonlyMap<number, MetricTombstones>
  readonly size: number
  /** Series listed, all tombstones together. */
  readonly seriesCount: number

  private constructor(byMetric: ReadonlyMap<number, MetricTombstones>, size: number, seriesCount: number) {
    this.#byMetric = byMetric
    this.size = size
    this.seriesCount = seriesCount
  }

  /** Of tombstones none of which covers another. */
  static of(tombstones: readonly Tombstone[]): Tombstones {
    const byMetric = Map.groupBy(
      tombstones.toSorted((a, b) => a.lsn - b.lsn),
      ({ metric }) => metric,
    )
    const metrics = new Map([...byMetric].map(([metric, list]) => [metric, MetricTombstones.of(list)]))
    return new Tombstones(metrics, tombstones.length, seriesIn(tombstones))
  }

  /** By LSN. */
  get list(): readonly Tombstone[] {
    return [...this.#byMetric.values()].flatMap(({ list }) => list).sort((a, b) => a.lsn - b.lsn)
  }

  /** This set and one more, of a higher LSN. */
  with(tombstone: Tombstone): Tombstones {
    const before = this.#byMetric.get(tombstone.metric) ?? MetricTombstones.of([])
    const after = before.with(tombstone)
    return new Tombstones(
      new Map(this.#byMetric).set(tombstone.metric, after),
      this.size - before.size + after.size,
      this.seriesCount - before.seriesCount + after.seriesCount,
    )
  }

  /** This set and a later one. */
  withAll(later: Tombstones): Tombstones {
    if (later.size === 0) return this
    const isLeft = (older: Tombstone): boolean => later.#byMetric.get(older.metric)?.covers(older) !== true
    return Tombstones.of([...this.list.filter(isLeft), ...later.list])
  }

  /** Whether the set with this deletion keeps the limits. */
  hasRoomFor(deletion: Deletion): boolean {
    if (this.size < tombstonesMax && this.seriesCount + seriesIn([deletion]) <= tombstoneSeriesMax) return true
    const after = this.with({ ...deletion, lsn: Number.POSITIVE_INFINITY })
    return after.size <= tombstonesMax && after.seriesCount <= tombstoneSeriesMax
  }

  filter(keep: (tombstone: Tombstone) => boolean): Tombstones {
    return Tombstones.of(this.list.filter(keep))
  }

  /** Those of the request's metric; undefined when none concerns its series and times. */
  touching(request: ReadRequest): MetricTombstones | undefined {
    if (this.size === 0) return undefined
    const own = this.#byMetric.get(request.metric.id)
    return own?.touches(request) ? own : undefined
  }
}

function seriesIn(deletions: readonly Deletion[]): number {
  let count = 0
  for (const { series } of deletions) count += series?.length ?? 0
  return count
}

/** Whether all that `older` concerns is concerned by `newer` as well, which has the higher LSN. */
function covers(newer: Deletion, older: Deletion): boolean {
  if (newer.fromUs > older.fromUs || newer.toUs < older.toUs) return false
  if (newer.series === undefined) return true
  return older.series !== undefined && isSubset(older.series, newer.series)
}

/** Of ascending numbers. */
function isSubset(part: Uint32Array, whole: Uint32Array): boolean {
  if (part.length > whole.length || part[0]! < whole[0]! || part.at(-1)! > whole.at(-1)!) return false
  let at = 0
  for (const one of part) {
    while (at < whole.length && whole[at]! < one) at++
    if (whole[at] !== one) return false
  }
  return true
}

/** Where the number is, or would be, among ascending ones. */
function placeOf(ascending: Uint32Array, wanted: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ascending[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return low
}

export const holdsSeries = (ascending: Uint32Array, series: number): boolean =>
  ascending[placeOf(ascending, series)] === series

/** Tombstones that list more series are asked one by one; of the others an index is made. */
const indexedSeriesMax = 1024

/** series -> tombstones that list it: `which[i]` is the place in the list of one that lists `series[i]`, ascending. */
interface SeriesIndex {
  readonly series: Uint32Array
  readonly which: Uint32Array
  /** Places of those that list more series than are indexed. */
  readonly large: readonly number[]
}

/**
 * The tombstones of one metric, by LSN: the first `size` of an array that later sets append to, so that ten thousand
 * deletes, one after the other, do not copy it ten thousand times.
 */
export class MetricTombstones {
  readonly size: number
  readonly seriesCount: number
  readonly #all: Tombstone[]
  #index: SeriesIndex | undefined
  readonly #sources = new Map<number, SourceTombstones>()

  private constructor(all: Tombstone[], size: number, seriesCount: number) {
    this.#all = all
    this.size = size
    this.seriesCount = seriesCount
  }

  /** Takes the array over. */
  static of(list: Tombstone[]): MetricTombstones {
    return new MetricTombstones(list, list.length, seriesIn(list))
  }

  get list(): readonly Tombstone[] {
    return this.#all.slice(0, this.size)
  }

  with(tombstone: Tombstone): MetricTombstones {
    for (let place = 0; place < this.size; place++) {
      if (!covers(tombstone, this.#all[place]!)) continue
      return MetricTombstones.of([...this.list.filter(other => !covers(tombstone, other)), tombstone])
    }
    const all = this.#all.length === this.size ? this.#all : this.#all.slice(0, this.size)
    all.push(tombstone)
    return new MetricTombstones(all, all.length, this.seriesCount + seriesIn([tombstone]))
  }

  /** Whether one of them, all later, covers it. */
  covers(older: Tombstone): boolean {
    for (let place = 0; place < this.size; place++) if (covers(this.#all[place]!, older)) return true
    return false
  }

  /** Those that concern a source of rows with LSNs up to this one. */
  above(maxLsn: Lsn): SourceTombstones | undefined {
    let from = 0
    let high = this.size
    while (from < high) {
      const middle = (from + high) >>> 1
      if (this.#all[middle]!.lsn <= maxLsn) from = middle + 1
      else high = middle
    }
    if (from === this.size) return undefined
    let source = this.#sources.get(from)
    if (source === undefined) this.#sources.set(from, (source = new SourceTombstones(this, from)))
    return source
  }

  /** Whether any may concern rows of the request. Of many series it does not ask one by one. */
  touches({ fromUs, toUs, series }: ReadRequest): boolean {
    const all = this.above(0)!
    if (all.everySeries.overlaps(fromUs, toUs)) return true
    if (!all.someSeries.overlaps(fromUs, toUs)) return false
    if (series === undefined || series.ordinals.length > indexedSeriesMax) return true
    return series.ordinals.some(ordinal => all.rangesOf(ordinal).overlaps(fromUs, toUs))
  }

  /** Those from place `from` on that list the series. */
  listing(series: number, from: number): Tombstone[] {
    const found: Tombstone[] = []
    const index = (this.#index ??= this.#makeIndex())
    for (let at = placeOf(index.series, series); index.series[at] === series; at++)
      if (index.which[at]! >= from) found.push(this.#all[index.which[at]!]!)
    for (const place of index.large)
      if (place >= from && holdsSeries(this.#all[place]!.series!, series)) found.push(this.#all[place]!)
    return found
  }

  #makeIndex(): SeriesIndex {
    const listed = (place: number): number => this.#all[place]!.series?.length ?? 0
    const places = Array.from({ length: this.size }, (_, place) => place).filter(place => listed(place) > 0)
    const small = places.filter(place => listed(place) <= indexedSeriesMax)
    // series and place as one number: both are exact in a double, and typed arrays sort without a function
    const keys = new Float64Array(small.reduce((sum, place) => sum + listed(place), 0))
    let at = 0
    for (const place of small) for (const one of this.#all[place]!.series!) keys[at++] = one * this.size + place
    keys.sort()
    return {
      series: Uint32Array.from(keys, key => Math.floor(key / this.size)),
      which: Uint32Array.from(keys, key => key % this.size),
      large: places.filter(place => listed(place) > indexedSeriesMax),
    }
  }
}

/** The tombstones of a metric from some LSN on: those that concern one source. */
export class SourceTombstones {
  /** Deleted for all series. */
  readonly everySeries: DeletedRanges
  /** Deleted for at least one. */
  readonly someSeries: DeletedRanges
  readonly #metric: MetricTombstones
  readonly #from: number
  #lastSeries = -1
  #lastRanges: DeletedRanges

  constructor(metric: MetricTombstones, from: number) {
    const list = metric.list.slice(from)
    this.#metric = metric
    this.#from = from
    this.everySeries = mergeRanges(list.filter(({ series }) => series === undefined))
    this.someSeries = mergeRanges(list.filter(({ series }) => series !== undefined))
    this.#lastRanges = this.everySeries
  }

  /** Deleted for this series. */
  rangesOf(series: number): DeletedRanges {
    if (this.someSeries.isEmpty) return this.everySeries
    if (series === this.#lastSeries) return this.#lastRanges
    const own = this.#metric.listing(series, this.#from)
    this.#lastSeries = series
    this.#lastRanges = own.length === 0 ? this.everySeries : mergeRanges([...own, ...this.everySeries])
    return this.#lastRanges
  }
}
