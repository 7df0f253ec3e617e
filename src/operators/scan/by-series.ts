/** Scans in storage order: series in the order they print in, each by time. */
import type { Batch } from '../../columnar/batch.ts'
import type { Piece, SeriesSet } from '../../storage/types.ts'
import { byWindows, isolatedPieces, type Reading, readPieces } from './by-windows.ts'
import type { ActivePiece } from './read-window.ts'
import { seriesSet } from './series.ts'

/** Of pieces of one series each about so many rows are read at once: no block is decoded twice, and ten fields fit the second cache. */
const seriesRowsMax = 20_000
/** A series of no more rows is read whole. */
const seriesWholeRowsMax = 65_536

/** Series in the order they print in; as many at once as a window holds, those with more by windows of time. */
export function* bySeries(reading: Reading, pieces: readonly Piece[]): Generator<Batch> {
  const { execution, request, emitter, window, perSeries } = reading
  const { catalog } = execution
  const ordinals = request.series?.ordinals ?? catalog.seriesOf(request.metric.id)
  const ranks = catalog.ranks(request.metric.id)
  const ranked = Uint32Array.from(ordinals).sort((a, b) => ranks[a]! - ranks[b]!)
  const areOfOne = pieces.every(piece => piece.series !== undefined)
  const rowsMax = areOfOne ? Math.min(window.rowsMax, seriesRowsMax) : window.rowsMax
  const together = Math.max(1, Math.floor((rowsMax * ranked.length) / Math.max(rowsOf(pieces), 1)))
  const piecesOf = areOfOne ? piecesBySeries(pieces) : piecesAskedFor(reading)
  const chunks: Uint32Array[] = []
  for (let from = 0; from < ranked.length; from += together) chunks.push(ranked.subarray(from, from + together))
  chunks.reverse()

  for (let chunk = chunks.pop(); chunk !== undefined && !emitter.ended; chunk = chunks.pop()) {
    const own = chunk.length === ranked.length ? pieces : piecesOf(chunk)
    // By windows where some rows may be enough, or there are many.
    if (chunk.length === 1 && (reading.isLimited || rowsOf(own) > Math.min(window.rowsMax, seriesWholeRowsMax))) {
      const [series] = chunk
      const enough = () => perSeries?.hasAll(series!) === true
      yield* byWindows(reading, own, isolatedPieces(own), request, false, enough)
      continue
    }
    const isolated = isolatedPieces(own)
    const all = own.map((piece, index): ActivePiece => ({ piece, isolated: isolated[index] === 1 }))
    reading.buffer.clear()
    reading.buffer.reserve(Math.min(rowsOf(own), rowsMax))
    if (readPieces(reading, all, request.fromUs, request.toUs)) yield* emitter.emit(reading.buffer, undefined)
    else {
      const half = chunk.length >>> 1
      chunks.push(chunk.subarray(half), chunk.subarray(0, half))
    }
  }
}

const rowsOf = (pieces: readonly Piece[]): number => pieces.reduce((rows, piece) => rows + piece.rows, 0)

/** Gives the pieces of a few series, in the order of these. */
function piecesBySeries(pieces: readonly Piece[]): (chunk: Uint32Array) => readonly Piece[] {
  const bySeries = new Map<number, Piece[]>()
  for (const piece of pieces) {
    const own = bySeries.get(piece.series!)
    if (own === undefined) bySeries.set(piece.series!, [piece])
    else own.push(piece)
  }
  return chunk => Array.from(chunk, series => bySeries.get(series) ?? []).flat()
}

const piecesAskedFor =
  ({ execution, request, asked }: Reading) =>
  (chunk: Uint32Array): readonly Piece[] => {
    const series: SeriesSet = seriesSet(Uint32Array.from(chunk).sort())
    return execution.version.pieces({ ...request, series, statistics: asked })
  }
