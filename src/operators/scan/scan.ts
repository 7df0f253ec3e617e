/**
 * Scan reads the rows of one metric from a version, merged and in the order asked for.
 *
 *   pieces  ->  windows of time  ->  row buffer: gather, merge, sort  ->  batches (views of the buffer)
 *
 *   none         pieces one by one where nothing overlaps; the rest by windows
 *   windows      time windows ascending, rows of one series together within a window
 *   series in windows   the same, and each series ascends: within a window by (series, time)
 *   time, desc   time windows, each sorted
 *   series,time  one series (or several small ones) after another, each by time windows
 *
 * Invariants:
 * 1. Memory is one window of about `rowsMax` rows, whatever the range; the first window is small.
 * 2. A (series, time) leaves once, merged by write order.
 * 3. In the orders by windows a batch's `watermarkUs` is the end of its window.
 * 4. Nothing is read before the first pull, nor after the limit is reached.
 * 5. In order of time pieces are listed as far as it comes, see `listing.ts`. With a limit per series, what holds only series
 *    that have given their rows is not read: pieces are listed anew, for those that are left, whenever half of them are done.
 * 6. Last and first values that sources know come first, as rows of their series; only the other series are read.
 */
import type { Batch } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import { newReadStatistics } from '../../storage/read-statistics.ts'
import type { RollupChoice, RollupPart } from '../../storage/rollup/choose.ts'
import { RowBuffer } from '../../storage/row-buffer.ts'
import type { End } from '../../storage/series-ends.ts'
import type { FieldInfo, MetricInfo, Piece, ReadRequest } from '../../storage/types.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { ScanNode, ScanOrder } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import { fieldBounds } from './bounds.ts'
import { byBlocks, fitsBlocks } from './by-blocks.ts'
import { bySeries } from './by-series.ts'
import { account, byWindows, isolatedPieces, type Reading } from './by-windows.ts'
import { emitter, fieldNames } from './emit.ts'
import { appendKnownEnds } from './known-ends.ts'
import { Listings } from './listing.ts'
import { type WindowOrder, type WindowReader, windowRowsDefault } from './read-window.ts'
import { selectSeries, seriesSet } from './series.ts'
import { seriesLimit } from './series-limit.ts'
import type { TimeSpan } from './windows.ts'

export type PhysicalOrder = ScanOrder | 'windows' | 'series in windows'

/** Pieces for this many windows are listed at first. */
const listedWindows = 4

/** A scan that has read nothing yet. Its pieces are looked for when they are asked for. */
export interface OpenScan {
  readonly fields: readonly FieldInfo[]
  readonly pieces: readonly Piece[]
  /** 1 where no other piece overlaps. */
  readonly isolated: Uint8Array
  /** What answers for the rows that are in no piece. */
  readonly rollups: OpenRollups | undefined
  /** Reads the pieces of these indexes; undefined: all. */
  batches(pieces?: readonly number[]): Generator<Batch>
}

const windowOrders: Readonly<Record<PhysicalOrder, WindowOrder>> = {
  none: 'any',
  windows: 'any',
  'series in windows': 'series-time',
  'series,time': 'series-time',
  time: 'time-series',
  'time desc': 'time-series desc',
}

export interface ScanOptions {
  readonly order: PhysicalOrder
  /** Skip blocks by what the row predicate says of fields. */
  readonly blockBounds: boolean
  /** Read each series up to its first row for which this is true. Not together with a row predicate or limits. */
  readonly until: Expr | undefined
  /** What `until` looks for is the last, or first, value of the one field, a number: some may be known without reading rows. */
  readonly end: End | undefined
  /** Where true, a scan by `windows` reads in order `none` instead. */
  readonly isSmall: IsSmall | undefined
  /** Chooses rollups to answer for some of the rows. */
  readonly rollups: RollupChooser | undefined
}

/** Of the pieces with rows of the request, whatever is expired of it; undefined: none. */
export type RollupChooser = (
  pieces: readonly Piece[],
  request: ReadRequest,
  execution: Execution,
) => RollupChoice | undefined

/** Buckets to be read instead of rows. */
export interface OpenRollups {
  readonly parts: readonly RollupPart[]
  readonly request: ReadRequest
}

/** Of the pieces to read, and how many series they may be of. */
export type IsSmall = (pieces: readonly Piece[], series: number) => boolean

export const openScan = (node: ScanNode, options: ScanOptions, present: Execution): OpenScan =>
  new Scan(node, options, executionAt(node, present))

interface Listed {
  readonly pieces: readonly Piece[]
  readonly isolated: Uint8Array
  readonly rollups: OpenRollups | undefined
}

class Scan implements OpenScan {
  readonly fields: readonly FieldInfo[]
  readonly #node: ScanNode
  readonly #options: ScanOptions
  readonly #execution: Execution
  readonly #metric: MetricInfo
  readonly #ordinals: Uint32Array
  /** Without what is expired. */
  readonly #request: ReadRequest
  /** With it. */
  readonly #asked: ReadRequest
  readonly #none: boolean
  readonly #isByTime: boolean
  #listed: Listed | undefined

  constructor(node: ScanNode, options: ScanOptions, execution: Execution) {
    const { catalog, kernels, version } = execution
    const metric = catalog.metric(node.metric)
    assert(metric !== undefined, `metric ${node.metric} is known`)
    const fields = fieldNames(node).map(name => fieldOf(metric, name))
    const series = selectSeries(metric, node.seriesIds, node.seriesPredicate, catalog, kernels)
    const { fromUs, toUs } = within(node.range, execution.span)
    this.fields = fields
    this.#node = node
    this.#options = options
    this.#execution = execution
    this.#metric = metric
    this.#ordinals = series?.ordinals ?? catalog.seriesOf(metric.id)
    this.#asked = { metric, fields, fromUs, toUs, series, statistics: execution.read }
    this.#request = { ...this.#asked, fromUs: Math.max(fromUs, version.horizonUs(metric)) }
    this.#none = series?.ordinals.length === 0 || node.limit === 0 || node.seriesLimit === 0
    this.#isByTime = options.order === 'time' || options.order === 'time desc'
  }

  get pieces(): readonly Piece[] {
    return this.#list().pieces
  }
  get isolated(): Uint8Array {
    return this.#list().isolated
  }
  get rollups(): OpenRollups | undefined {
    // By time rollups stand for expired rows alone, of which there are no pieces.
    return this.#isByTime && this.#chooseRollups([]) === undefined ? undefined : this.#list().rollups
  }

  get #isEmpty(): boolean {
    return this.#none || this.#request.fromUs >= this.#request.toUs
  }

  #chooseRollups(found: readonly Piece[]): RollupChoice | undefined {
    const asked = this.#asked
    if (this.#none || asked.fromUs >= asked.toUs) return undefined
    return this.#options.rollups?.(found, asked, this.#execution)
  }

  #list(): Listed {
    if (this.#listed !== undefined) return this.#listed
    const found = this.#isEmpty ? [] : this.#execution.version.pieces(this.#request)
    const chosen = this.#chooseRollups(found)
    const pieces = chosen?.pieces ?? found
    const rollups = chosen && { parts: chosen.parts, request: this.#asked }
    return (this.#listed = { pieces, isolated: isolatedPieces(pieces), rollups })
  }

  *batches(wanted?: readonly number[]): Generator<Batch> {
    const isListedByTime = this.#isByTime && wanted === undefined && this.#listed?.rollups === undefined
    const { pieces, isolated } = isListedByTime ? nothing : this.#list()
    const { isSmall, end } = this.#options
    const isReadAsItLies = this.#options.order === 'windows' && isSmall?.(pieces, this.#ordinals.length)
    const order = isReadAsItLies ? 'none' : this.#options.order
    const reading = this.#reading(order)
    const { execution, request, emitter, asked } = reading
    const some = wanted === undefined ? pieces : wanted.map(index => pieces[index]!)
    const alone = wanted === undefined ? isolated : Uint8Array.from(wanted, index => isolated[index]!)
    try {
      if (isListedByTime && !this.#isEmpty) {
        if (end !== undefined && this.fields.length === 1) yield* known(reading, this.#ordinals, end)
        if (emitter.ended) return
        const alone = reading.isLimited ? undefined : piecesOfOne(reading)
        if (alone === undefined) yield* byTime(reading)
        else yield* inStorageOrder(reading, alone, new Uint8Array(alone.length).fill(1))
      } else if (isListedByTime) return
      else if (order === 'none') yield* inStorageOrder(reading, some, alone)
      else if (order === 'series,time') yield* bySeries(reading, some)
      else if (order === 'windows' && fitsBlocks(some, alone, reading)) yield* byBlocks(reading, some, alone, request)
      else yield* byWindows(reading, some, alone, request, order === 'windows' || order === 'series in windows')
    } finally {
      execution.read.bytesRead += asked.bytesRead
      execution.read.blocksScanned += asked.blocksScanned
      execution.read.blocksPruned += asked.blocksPruned
      execution.read.rowsScanned += asked.rowsScanned
      execution.memory.release(reading.buffer)
    }
  }

  #reading(order: PhysicalOrder): Reading {
    const node = this.#node
    const execution = this.#execution
    const { blockBounds, until } = this.#options
    const rowsOfEach = until === undefined ? node.seriesLimit : 1
    const perSeries = rowsOfEach === undefined ? undefined : seriesLimit(rowsOfEach, this.#ordinals)
    const window: WindowReader = {
      order: windowOrders[order],
      metric: this.#metric,
      catalog: execution.catalog,
      duplicates: execution.duplicates,
      bounds: blockBounds ? fieldBounds(node.rowPredicate, this.fields) : [],
      rowsMax: execution.windowRowsMax ?? windowRowsDefault,
    }
    return {
      execution,
      request: this.#request,
      window,
      buffer: new RowBuffer(this.fields, undefined, undefined, execution.arrays),
      emitter: emitter(node, perSeries, until, execution),
      perSeries,
      likelyRows: likelyRows(node, rowsOfEach, this.#ordinals.length),
      isLimited: node.limit !== undefined || perSeries !== undefined,
      asked: newReadStatistics(),
    }
  }
}

/** A predicate may leave any share of what is read. */
function likelyRows(
  { rowPredicate, limit, likelyRows = Infinity }: ScanNode,
  rowsOfEach: number | undefined,
  series: number,
): number | undefined {
  const rows = Math.min(limit ?? Infinity, likelyRows, rowsOfEach === undefined ? Infinity : rowsOfEach * series)
  return rowPredicate !== undefined || rows === Infinity ? undefined : rows
}

const nothing = { pieces: [], isolated: new Uint8Array(0) }

/** With the version that the scan reads. */
function executionAt({ asOf }: ScanNode, execution: Execution): Execution {
  if (asOf === undefined) return execution
  assert(execution.versionAt !== undefined, 'a scan of a snapshot has its version')
  return { ...execution, version: execution.versionAt(asOf.ref) }
}

const within = (range: TimeSpan, span: TimeSpan | undefined): TimeSpan =>
  span === undefined ? range : { fromUs: Math.max(range.fromUs, span.fromUs), toUs: Math.min(range.toUs, span.toUs) }

function fieldOf(metric: MetricInfo, name: string): FieldInfo {
  const field = metric.fields.find(info => info.name === name)
  assert(field !== undefined, `${metric.name} has a field ${name}`)
  return field
}

/** Of one series, ascending: its pieces as they follow one another, if they do and nothing is to be merged. */
function piecesOfOne({ execution, request, asked, window }: Reading): readonly Piece[] | undefined {
  if (request.series?.ordinals.length !== 1 || window.order !== 'time-series') return undefined
  const pieces = execution.version.pieces({ ...request, statistics: asked })
  pieces.sort((a, b) => a.minTimeUs - b.minTimeUs)
  for (let i = 1; i < pieces.length; i++) if (pieces[i]!.minTimeUs <= pieces[i - 1]!.maxTimeUs) return undefined
  execution.read.segmentsScanned += asked.segmentsScanned
  execution.read.segmentsPruned += asked.segmentsPruned
  return pieces
}

/** The rows that are known without reading. */
function* known(reading: Reading, ordinals: Uint32Array, end: End): Generator<Batch> {
  const { execution, request, asked, buffer, emitter } = reading
  appendKnownEnds(execution.version, { ...request, statistics: asked }, ordinals, end, buffer)
  if (buffer.length === 0) return
  account(reading)
  yield* emitter.emit(buffer, undefined)
  // Where rows are read, too, segments are counted with them.
  if (emitter.ended) execution.read.segmentsScanned += asked.segmentsScanned
}

/** Windows of one listing after another, until all is read or every series has given its rows. */
function* byTime(reading: Reading): Generator<Batch> {
  const { emitter, execution, request, asked, window, perSeries, isLimited } = reading
  const descending = window.order === 'time-series desc'
  const takesAll = !descending && !isLimited
  const rows = listedWindows * window.rowsMax
  const listings = new Listings(execution.version, { ...request, statistics: asked }, descending, rows)
  let { fromUs, toUs } = listings.extent
  let series = request.series
  let open = perSeries?.all ?? 0
  try {
    while (fromUs < toUs && !emitter.ended) {
      if (perSeries !== undefined && perSeries.open() < open) {
        series = seriesSet(perSeries.openOrdinals())
        open = perSeries.open()
      }
      const { span, pieces } = listings.next({ fromUs, toUs }, series)
      const enough = (): boolean => perSeries !== undefined && perSeries.open() * 2 <= open
      const isolated = isolatedPieces(pieces)
      const unread =
        takesAll && fitsBlocks(pieces, isolated, reading)
          ? yield* byBlocks(reading, pieces, isolated, span)
          : yield* byWindows(reading, pieces, isolated, span, false, enough)
      const isRead = unread.fromUs >= unread.toUs
      if (descending) toUs = isRead ? span.fromUs : unread.toUs
      else fromUs = isRead ? span.toUs : unread.fromUs
    }
  } finally {
    listings.countInto(execution.read)
  }
}

/** Pieces that stand alone as they are; those that overlap by windows, where they merge. */
function* inStorageOrder(reading: Reading, pieces: readonly Piece[], isolated: Uint8Array): Generator<Batch> {
  const { buffer, emitter, execution, request, window } = reading
  let ready = true
  for (let index = 0; index < pieces.length && !emitter.ended; index++) {
    if (isolated[index] === 0) continue
    const piece = pieces[index]!
    if (ready) buffer.clear()
    if (piece.rows > window.rowsMax) {
      if (!ready) yield* emitAll(reading)
      yield* byWindows(reading, [piece], Uint8Array.of(1), request, false)
      ready = true
      continue
    }
    piece.read(request.fromUs, request.toUs, buffer, window.bounds)
    ready = buffer.length >= execution.batchRows
    if (ready) yield* emitAll(reading)
  }
  if (!ready) yield* emitAll(reading)
  const overlapping = pieces.filter((_, index) => isolated[index] === 0)
  if (overlapping.length > 0) yield* byWindows(reading, overlapping, new Uint8Array(overlapping.length), request, false)
}

function* emitAll(reading: Reading): Generator<Batch> {
  account(reading)
  yield* reading.emitter.emit(reading.buffer, undefined)
}
