/**
 * Masks: what of a request's pieces tombstones leave.
 *
 *   untouched   as it is, with its statistics        covered   gone        touched   read, then the deleted rows dropped
 *
 * Invariants:
 * 1. A touched piece is not whole and has no statistics; its rows, times and series are bounds of what reading gives.
 * 2. Rows are dropped before they can merge with others: a later row at a deleted place has none of the older values.
 */
import { firstAtOrAfter } from '../../columnar/search.ts'
import type { RowBuffer } from '../row-buffer.ts'
import type { Lsn, Piece } from '../types.ts'
import type { MetricTombstones, SourceTombstones } from './tombstones.ts'

/** What the metric's tombstones leave of the pieces of a source whose rows have LSNs up to `newestLsn`. */
export function maskedPieces(pieces: Piece[], metric: MetricTombstones | undefined, newestLsn: Lsn): Piece[] {
  const tombstones = pieces.length === 0 ? undefined : metric?.above(newestLsn)
  if (tombstones === undefined) return pieces
  const left: Piece[] = []
  for (const piece of pieces) {
    const { series, minTimeUs } = piece
    const toUs = endOf(piece)
    const always = series === undefined ? tombstones.everySeries : tombstones.rangesOf(series)
    if (always.contains(minTimeUs, toUs)) continue
    const isTouched =
      always.overlaps(minTimeUs, toUs) || (series === undefined && tombstones.someSeries.overlaps(minTimeUs, toUs))
    left.push(isTouched ? masked(piece, tombstones) : piece)
  }
  return left
}

/** Times are whole µs. */
const endOf = ({ maxTimeUs }: Piece): number => maxTimeUs + 1

function masked(piece: Piece, tombstones: SourceTombstones): Piece {
  return {
    rows: piece.rows,
    minTimeUs: piece.minTimeUs,
    maxTimeUs: piece.maxTimeUs,
    series: piece.series,
    source: piece.source,
    ...(piece.seriesRanges === undefined ? {} : { seriesRanges: () => piece.seriesRanges!() }),
    whole: false,
    statistics: () => undefined,
    read(fromUs, toUs, into, bounds) {
      const at = into.length
      piece.read(fromUs, toUs, into, bounds)
      dropDeleted(into, at, tombstones)
    },
  }
}

/** Drops deleted rows among [from, length), which are by series and, within one, by time. */
export function dropDeleted(rows: RowBuffer, from: number, tombstones: SourceTombstones): void {
  const { series, timeUs, length } = rows
  // [start, end) of stretches that stay, one after the other
  const kept: number[] = []
  for (let start = from; start < length; ) {
    let end = start + 1
    while (end < length && series[end] === series[start]) end++
    const ranges = tombstones.rangesOf(series[start]!)
    let range = ranges.firstAfter(timeUs[start]!)
    for (let at = start; at < end; range++) {
      const keptTo = firstAtOrAfter(timeUs, ranges.fromUs(range), at, end)
      if (keptTo > at) {
        if (kept.length > 0 && kept.at(-1) === at) kept[kept.length - 1] = keptTo
        else kept.push(at, keptTo)
      }
      at = firstAtOrAfter(timeUs, ranges.toUs(range), keptTo, end)
    }
    start = end
  }
  if (kept.length === 2 && kept[0] === from && kept[1] === length) return
  keepStretches(rows, from, kept)
}

/** Moves stretches [start, end), one after the other in `kept`, together, behind the rows [0, from). */
export function keepStretches(rows: RowBuffer, from: number, kept: readonly number[]): void {
  const columns: { copyWithin(target: number, start: number, end: number): unknown }[] = [rows.series, rows.timeUs]
  for (const { values, valid } of rows.fields) columns.push(values, valid)
  for (const column of columns) {
    let at = from
    for (let i = 0; i < kept.length; i += 2) {
      const start = kept[i]!
      const end = kept[i + 1]!
      if (at !== start) column.copyWithin(at, start, end)
      at += end - start
    }
  }
  let length = from
  for (let i = 0; i < kept.length; i += 2) length += kept[i + 1]! - kept[i]!
  rows.length = length
}
