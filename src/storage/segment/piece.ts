/**
 * GroupPiece: one row group as queries see it. Knows from the footer what it may hold; reads when asked.
 *
 * Invariants:
 * 1. Making one reads nothing. Its statistics come from the footer, its rows from head, time and wanted fields only.
 */
import type { RowBuffer } from '../row-buffer.ts'
import type { FieldBound, FieldStatistics, FoundRows, Piece, ReadRequest, SeriesRanges } from '../types.ts'
import type { SegmentEnvironment } from './environment.ts'
import { type ColumnEntry, columnsOf, type FooterMetric, type GroupEntry } from './footer.ts'
import { FoundGroup, type PlaceField } from './found-rows.ts'
import type { GroupHead } from './group-head.ts'
import { loadField, loadGroup, loadHead } from './load-group.ts'
import type { OpenFooter } from './open-footer.ts'
import { type LoadedField, type LoadedGroup, nextBegin, type Progress, type RowsWanted } from './read-group.ts'
import type { SegmentFile } from './segment-file.ts'

const noStatistics: FieldStatistics = {
  count: 0,
  nanCount: 0,
  min: Infinity,
  max: -Infinity,
  sum: 0,
  first: Number.NaN,
  firstTimeUs: Number.NaN,
  last: Number.NaN,
  lastTimeUs: Number.NaN,
}

export class GroupPiece implements Piece {
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly series: number | undefined
  readonly whole: boolean
  readonly source: object
  readonly #environment: SegmentEnvironment
  readonly #file: SegmentFile
  readonly #firstKey: number
  readonly #open: OpenFooter
  readonly #metric: FooterMetric
  readonly #group: GroupEntry
  readonly #request: ReadRequest
  readonly #fields: readonly number[]
  readonly #runs: Uint32Array | undefined
  #found: readonly (ColumnEntry | undefined)[] | undefined

  /** `fields`: indexes in the segment's metric, -1 where it lacks the field; `runs`: the wanted ones, undefined: all. */
  constructor(
    environment: SegmentEnvironment,
    file: SegmentFile,
    firstKey: number,
    open: OpenFooter,
    metric: FooterMetric,
    group: GroupEntry,
    request: ReadRequest,
    fields: readonly number[],
    runs: Uint32Array | undefined,
  ) {
    this.#environment = environment
    this.#file = file
    this.#firstKey = firstKey
    this.#open = open
    this.#metric = metric
    this.#group = group
    this.#request = request
    this.#fields = fields
    this.#runs = runs
    this.source = file
    this.rows = group.rows
    this.minTimeUs = group.minTimeUs
    this.maxTimeUs = group.maxTimeUs
    this.series = group.runCount === 1 ? open.ordinals[group.firstSeries]! : undefined
    this.whole = runs === undefined && group.minTimeUs >= request.fromUs && group.maxTimeUs < request.toUs
  }

  statistics(field: number): FieldStatistics | undefined {
    const { type } = this.#request.fields[field]!
    if (type !== 'float' && type !== 'integer') return undefined
    const statistics = this.#columns()[field]?.statistics
    if (statistics === undefined) return noStatistics
    return statistics.kind === 'number' ? statistics : undefined
  }

  seriesRanges(): SeriesRanges {
    const { firstSeries, runCount } = this.#group
    const { runMinUs, runMaxUs } = loadHead(this.#environment, this.#file, this.#firstKey, this.#group, bytes => {
      this.#request.statistics.bytesRead += bytes
    })
    const series = this.#open.ordinals.subarray(firstSeries, firstSeries + runCount)
    return { series, minTimeUs: runMinUs, maxTimeUs: runMaxUs }
  }

  /** The requested fields' columns; undefined where no row has the field. */
  #columns(): readonly (ColumnEntry | undefined)[] {
    if (this.#found !== undefined) return this.#found
    const { footer } = this.#open
    const columns = this.#file.guard(this.#group.columnsAt, 'footer', () =>
      columnsOf(footer, this.#metric, this.#group),
    )
    return (this.#found = this.#fields.map(wanted => columns.find(({ field }) => field === wanted)))
  }

  read(fromUs: number, toUs: number, into: RowBuffer, bounds: readonly FieldBound[] = []): void {
    this.#read(Math.max(fromUs, this.#request.fromUs), Math.min(toUs, this.#request.toUs), into, bounds, undefined)
  }

  readBlocks(fromUs: number, toUs: number, into: RowBuffer, bounds: readonly FieldBound[]): number {
    const request = this.#request
    return this.#read(request.fromUs, request.toUs, into, bounds, { fromUs, toUs })
  }

  findBlocks(
    fromUs: number,
    toUs: number,
    into: RowBuffer,
    bounds: readonly FieldBound[],
    together: number,
  ): FoundRows {
    const request = this.#request
    const group = this.#group
    if (this.#isPruned(request.fromUs, request.toUs, bounds)) return new FoundGroup([], Infinity, nothingToPlace)
    // All are read at once, and kept until they are placed, where those of all pieces take no more than this of the cache.
    const columns = this.#columns()
    const areKept = group.columnsLength * together <= this.#environment.cache.bytesMax * keptShare
    const first = areKept ? columns : columns.map((column, i) => (isBound(bounds, i) ? column : undefined))
    const loaded = this.#load(first)
    const wanted = this.#wanted(request.fromUs, request.toUs, bounds, { fromUs, toUs })
    const blocks = this.#guarded(progress =>
      this.#environment.groups.find(loaded, wanted, into, request.statistics, progress),
    )
    const place: PlaceField = (found, field, buffer, places, at) => {
      const column = columns[field]
      const chunk = areKept ? loaded.fields[field]?.chunk : column && this.#loadField(column, loaded.head).chunk
      this.#file.guard(column?.at ?? group.columnsAt, 'column', () =>
        this.#environment.placer.place(chunk, loaded.head, found, buffer, places, at),
      )
    }
    return new FoundGroup(blocks, nextBegin(loaded, toUs, wanted), place)
  }

  #loadField(column: ColumnEntry, head: GroupHead): LoadedField {
    const { statistics } = this.#request
    return loadField(this.#environment, this.#file, this.#firstKey, this.#metric, this.#group, column, head, bytes => {
      statistics.bytesRead += bytes
    })
  }

  /** Returns when the first block after those read begins. */
  #read(
    fromUs: number,
    toUs: number,
    into: RowBuffer,
    bounds: readonly FieldBound[],
    begins: { readonly fromUs: number; readonly toUs: number } | undefined,
  ): number {
    if (this.#isPruned(fromUs, toUs, bounds)) return Infinity
    const loaded = this.#load(this.#columns())
    const wanted = this.#wanted(fromUs, toUs, bounds, begins)
    this.#guarded(progress => this.#environment.groups.read(loaded, wanted, into, this.#request.statistics, progress))
    return begins === undefined ? Infinity : nextBegin(loaded, begins.toUs, wanted)
  }

  /** Whether nothing of it is wanted, which is counted. */
  #isPruned(fromUs: number, toUs: number, bounds: readonly FieldBound[]): boolean {
    const group = this.#group
    const columns = this.#columns()
    const isPruned =
      group.maxTimeUs < fromUs || group.minTimeUs >= toUs || bounds.some(bound => excludes(columns[bound.field], bound))
    if (isPruned) this.#request.statistics.blocksPruned += group.blockCount
    return isPruned
  }

  #load(columns: readonly (ColumnEntry | undefined)[]): LoadedGroup {
    const { statistics } = this.#request
    return loadGroup(this.#environment, this.#file, this.#firstKey, this.#metric, this.#group, columns, bytes => {
      statistics.bytesRead += bytes
    })
  }

  #wanted(
    fromUs: number,
    toUs: number,
    bounds: readonly FieldBound[],
    begins: { readonly fromUs: number; readonly toUs: number } | undefined,
  ): RowsWanted {
    const { ordinals } = this.#open
    const { firstSeries } = this.#group
    const ordinal = (run: number) => ordinals[firstSeries + run]!
    return { runs: this.#runs, ordinal, fromUs, toUs, bounds, begins }
  }

  /** Tells damage as of the column that was at work. */
  #guarded<T>(task: (progress: Progress) => T): T {
    const progress = { field: -1 }
    return this.#file.guard(
      () => this.#columns()[progress.field]?.at ?? this.#group.time.at,
      'column',
      () => task(progress),
    )
  }
}

/** What waits to be placed may take this share of the cache. */
const keptShare = 1 / 2
const nothingToPlace: PlaceField = () => {}
const isBound = (bounds: readonly FieldBound[], field: number): boolean => bounds.some(bound => bound.field === field)

/** Whether no row of the group can satisfy the bound. */
function excludes(column: ColumnEntry | undefined, { min, max, nan }: FieldBound): boolean {
  if (column === undefined) return true
  const { statistics } = column
  if (statistics.kind !== 'number' || (nan && statistics.nanCount > 0)) return false
  return !(statistics.max >= min && statistics.min <= max)
}
