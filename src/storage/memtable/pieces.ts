/**
 * How rows of a memtable are read: chunk by chunk, or series by series along their links.
 *
 * Invariants:
 * 1. A piece sees the rows below the count it was made with, whatever is appended later.
 * 2. `read` gives rows in (series rank, time) order, those of one (series, time) merged.
 */

import type { CatalogReader } from '../catalog/types.ts'
import type { Duplicates } from '../merge.ts'
import { mergeNeighbours } from '../merge.ts'
import type { RowBuffer } from '../row-buffer.ts'
import type { Piece, ReadRequest } from '../types.ts'
import type { Chunk } from './chunk.ts'
import { chunkRowsMax } from './chunk-memory.ts'
import { gatherRows } from './gather.ts'
import type { SeriesRows } from './series-rows.ts'
import type { MetricTable } from './table.ts'

/** Following a link costs as much as scanning so many rows: fewer rows a series, and chunks are scanned. */
const rowsPerLinkMin = 8

/** What pieces of one memtable need beside their rows. */
export interface PieceContext {
  readonly newest: SeriesRows
  readonly duplicates: Duplicates
}

/** Pieces over the first `rows` rows of the table that may hold rows of the request, in write order. */
export function tablePieces(
  table: MetricTable,
  rows: number,
  request: ReadRequest,
  catalog: CatalogReader,
  context: PieceContext,
): Piece[] {
  if (request.series !== undefined && request.series.ordinals.length * rowsPerLinkMin <= rows) {
    const piece = seriesPiece(table, rows, request, catalog, context)
    return piece === undefined ? [] : [piece]
  }
  const pieces: Piece[] = []
  for (let index = 0; index * chunkRowsMax < rows; index++) {
    const chunk = table.chunks[index]!
    if (chunk.minTimeUs >= request.toUs || chunk.maxTimeUs < request.fromUs) continue
    const count = Math.min(rows - index * chunkRowsMax, chunkRowsMax)
    const piece = chunkPiece(table, chunk, count, request, catalog, context.duplicates)
    if (piece.minTimeUs < request.toUs && piece.maxTimeUs >= request.fromUs) pieces.push(piece)
  }
  return pieces
}

// ---- one chunk ----------------------------------------------------------------------------------------------------

function chunkPiece(
  table: MetricTable,
  chunk: Chunk,
  rows: number,
  request: ReadRequest,
  catalog: CatalogReader,
  duplicates: Duplicates,
): Piece {
  const { min, max } = timeRange(chunk, rows)
  return {
    rows,
    minTimeUs: min,
    maxTimeUs: max,
    series: undefined,
    // two of its rows may merge: only reading tells how many there are
    whole: false,
    seriesRanges: () => chunk.seriesRanges(rows, catalog.ranks(request.metric.id)),
    statistics: () => undefined,
    read(fromUs, toUs, into) {
      const from = Math.max(fromUs, request.fromUs)
      const to = Math.min(toUs, request.toUs)
      const at = into.length
      const order = chunk.permutation(rows, catalog.ranks(request.metric.id))
      if (order === undefined && request.series === undefined && min >= from && max < to) {
        gatherRows(chunk, undefined, 0, rows, into, table.dictionary)
        request.statistics.rowsScanned += rows
      } else {
        const picked = pickRows(chunk, order, rows, from, to, request)
        gatherRows(chunk, picked, 0, picked.length, into, table.dictionary)
        request.statistics.rowsScanned += picked.length
      }
      mergeNeighbours(into, at, duplicates)
    },
  }
}

function timeRange(chunk: Chunk, rows: number): { readonly min: number; readonly max: number } {
  if (rows === chunk.rows) return { min: chunk.minTimeUs, max: chunk.maxTimeUs }
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let row = 0; row < rows; row++) {
    const time = chunk.timeUs[row]!
    if (time < min) min = time
    if (time > max) max = time
  }
  return { min, max }
}

/** One chunk is picked from at a time. */
const picks = new Uint32Array(chunkRowsMax)

function pickRows(
  chunk: Chunk,
  order: Uint32Array | undefined,
  rows: number,
  fromUs: number,
  toUs: number,
  { series: wanted }: ReadRequest,
): Uint32Array {
  const { series, timeUs } = chunk
  let count = 0
  let lastSeries = -1
  let lastWanted = wanted === undefined
  for (let i = 0; i < rows; i++) {
    const row = order === undefined ? i : order[i]!
    const time = timeUs[row]!
    if (time < fromUs || time >= toUs) continue
    // Rows come series by series: asked once each.
    if (wanted !== undefined && series[row] !== lastSeries) {
      lastSeries = series[row]!
      lastWanted = wanted.has(lastSeries)
    }
    if (lastWanted) picks[count++] = row
  }
  return picks.subarray(0, count)
}

// ---- few series ---------------------------------------------------------------------------------------------------

function seriesPiece(
  table: MetricTable,
  rows: number,
  request: ReadRequest,
  catalog: CatalogReader,
  { newest, duplicates }: PieceContext,
): Piece | undefined {
  const ranks = catalog.ranks(request.metric.id)
  // Row numbers are of one table: a series of another metric has none here.
  const wanted = request.series!.ordinals.filter(series => catalog.metricOf(series).id === request.metric.id)
  wanted.sort((a, b) => ranks[a]! - ranks[b]!)
  const found = new LinkedRows(table, rows, request)
  let lastSeries: number | undefined
  for (const series of wanted) if (found.add(newest.newest(series))) lastSeries = series
  if (found.runs.length === 0) return undefined
  return {
    rows: found.rows.length,
    minTimeUs: found.minTimeUs,
    maxTimeUs: found.maxTimeUs,
    series: found.runs.length === 1 ? lastSeries : undefined,
    whole: false,
    statistics: () => undefined,
    read(fromUs, toUs, into) {
      const at = into.length
      for (const { start, end } of found.runs) {
        const from = found.firstFrom(start, end, fromUs)
        const to = found.firstFrom(from, end, toUs)
        found.gather(from, to, into)
        request.statistics.rowsScanned += to - from
      }
      mergeNeighbours(into, at, duplicates)
    },
  }
}

/** The rows of some series within the request's range, series after series, each in (time, arrival) order. */
class LinkedRows {
  /** Row numbers of the table, and their times. */
  readonly rows: number[] = []
  readonly times: number[] = []
  readonly runs: { readonly start: number; readonly end: number }[] = []
  minTimeUs = Number.POSITIVE_INFINITY
  maxTimeUs = Number.NEGATIVE_INFINITY
  readonly #table: MetricTable
  readonly #visible: number
  readonly #request: ReadRequest

  constructor(table: MetricTable, visible: number, request: ReadRequest) {
    this.#table = table
    this.#visible = visible
    this.#request = request
  }

  /** Follows the links from row `link - 1` back; false when no row is in the range. */
  add(link: number): boolean {
    const { chunks } = this.#table
    const { fromUs, toUs } = this.#request
    const rows: number[] = []
    while (link !== 0) {
      const row = link - 1
      const index = Math.floor(row / chunkRowsMax)
      if (this.#table.latestTimeUs(index) < fromUs) break
      const chunk = chunks[index]!
      const place = row % chunkRowsMax
      const time = chunk.timeUs[place]!
      if (row < this.#visible && time >= fromUs && time < toUs) rows.push(row)
      link = chunk.previous[place]!
    }
    if (rows.length === 0) return false
    rows.reverse()
    const timeOf = (row: number): number => chunks[Math.floor(row / chunkRowsMax)]!.timeUs[row % chunkRowsMax]!
    if (rows.some((row, i) => i > 0 && timeOf(row) < timeOf(rows[i - 1]!))) rows.sort((a, b) => timeOf(a) - timeOf(b))
    const start = this.rows.length
    for (const row of rows) {
      this.rows.push(row)
      this.times.push(timeOf(row))
    }
    this.runs.push({ start, end: this.rows.length })
    this.minTimeUs = Math.min(this.minTimeUs, this.times[start]!)
    this.maxTimeUs = Math.max(this.maxTimeUs, this.times.at(-1)!)
    return true
  }

  /** The first index of [start, end) whose time is at least `timeUs`, or `end`. */
  firstFrom(start: number, end: number, timeUs: number): number {
    let low = start
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.times[middle]! < timeUs) low = middle + 1
      else high = middle
    }
    return low
  }

  gather(from: number, to: number, into: RowBuffer): void {
    for (let i = from; i < to; ) {
      const index = Math.floor(this.rows[i]! / chunkRowsMax)
      let count = 0
      while (i < to && Math.floor(this.rows[i]! / chunkRowsMax) === index && count < chunkRowsMax)
        picks[count++] = this.rows[i++]! % chunkRowsMax
      gatherRows(this.#table.chunks[index]!, picks, 0, count, into, this.#table.dictionary)
    }
  }
}
