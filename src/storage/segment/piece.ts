/**
 * GroupPiece: one row group as queries see it. Knows from the footer what it may hold; reads when asked.
 *
 * Invariants:
 * 1. Making one reads nothing. Its statistics come from the footer, its rows from head, time and wanted fields only.
 */
import type { RowBuffer } from '../row-buffer.ts'
import type { FieldBound, FieldStatistics, Piece, ReadRequest, SeriesRanges } from '../types.ts'
import type { SegmentEnvironment } from './environment.ts'
import { type ColumnEntry, columnsOf, type FooterMetric, type GroupEntry } from './footer.ts'
import { loadGroup, loadHead } from './load-group.ts'
import type { OpenFooter } from './open-footer.ts'
import { nextBegin } from './read-group.ts'
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

  /** Returns when the first block after those read begins. */
  #read(
    fromUs: number,
    toUs: number,
    into: RowBuffer,
    bounds: readonly FieldBound[],
    begins: { readonly fromUs: number; readonly toUs: number } | undefined,
  ): number {
    const { statistics } = this.#request
    const group = this.#group
    const columns = this.#columns()
    if (
      group.maxTimeUs < fromUs ||
      group.minTimeUs >= toUs ||
      bounds.some(bound => excludes(columns[bound.field], bound))
    ) {
      statistics.blocksPruned += group.blockCount
      return Infinity
    }
    const loaded = loadGroup(this.#environment, this.#file, this.#firstKey, this.#metric, group, columns, bytes => {
      statistics.bytesRead += bytes
    })
    const { ordinals } = this.#open
    const ordinal = (run: number) => ordinals[group.firstSeries + run]!
    const wanted = { runs: this.#runs, ordinal, fromUs, toUs, bounds, begins }
    const progress = { field: -1 }
    this.#file.guard(
      () => columns[progress.field]?.at ?? group.time.at,
      'column',
      () => this.#environment.groups.read(loaded, wanted, into, statistics, progress),
    )
    return begins === undefined ? Infinity : nextBegin(loaded, begins.toUs, wanted)
  }
}

/** Whether no row of the group can satisfy the bound. */
function excludes(column: ColumnEntry | undefined, { min, max, nan }: FieldBound): boolean {
  if (column === undefined) return true
  const { statistics } = column
  if (statistics.kind !== 'number' || (nan && statistics.nanCount > 0)) return false
  return !(statistics.max >= min && statistics.min <= max)
}
