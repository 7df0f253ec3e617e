/**
 * Reading by windows of time: what a scan reads with, and the windows of its pieces one after another.
 *
 * Invariants: a window that turns out too large is read again in halves; its rows count once.
 */
import type { Batch } from '../../columnar/batch.ts'
import { overlapGroups } from '../../storage/overlap.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { Piece, ReadRequest, ReadStatistics } from '../../storage/types.ts'
import type { Execution } from '../execution.ts'
import type { Emitter } from './emit.ts'
import {
  type ActivePiece,
  activePieces,
  firstWindowRows,
  readWindow,
  type WindowReader,
  windowGrowth,
} from './read-window.ts'
import type { SeriesLimit } from './series-limit.ts'
import { type TimeSpan, WindowPlan } from './windows.ts'

/** Where few rows are likely enough: with a block at hand, so many rows of a piece cost little. */
const likelyPieceRows = 4

export interface Reading {
  readonly execution: Execution
  readonly request: ReadRequest
  readonly window: WindowReader
  readonly buffer: RowBuffer
  readonly emitter: Emitter
  readonly perSeries: SeriesLimit | undefined
  /** About how many rows are enough; undefined: that is not known. */
  readonly likelyRows: number | undefined
  /** It need not give all rows. */
  readonly isLimited: boolean
  /** Counts of pieces that are listed anew: segments are counted otherwise. */
  readonly asked: ReadStatistics
}

/** 1 for each piece that no other overlaps. */
export function isolatedPieces(pieces: readonly Piece[]): Uint8Array {
  const source = pieces[0]?.source
  if (pieces.length <= 1 || (source !== undefined && pieces.every(piece => piece.source === source)))
    return new Uint8Array(pieces.length).fill(1)
  const alone = new Set<Piece>()
  for (const group of overlapGroups(pieces)) if (group.pieces.length === 1) alone.add(group.pieces[0]!)
  return Uint8Array.from(pieces, piece => (alone.has(piece) ? 1 : 0))
}

/**
 * The pieces' windows, one after another; descending when the order is. It stops when `enough` says so, and gives what it
 * has not read of the range.
 */
export function* byWindows(
  reading: Reading,
  pieces: readonly Piece[],
  isolated: Uint8Array,
  range: TimeSpan,
  watermarks: boolean,
  enough: () => boolean = () => false,
): Generator<Batch, TimeSpan> {
  const { window, emitter, perSeries, likelyRows = Infinity } = reading
  const plan = new WindowPlan(pieces, range)
  const { extent } = plan
  if (extent === undefined) return nowhere
  const isWanted = ({ piece }: ActivePiece): boolean => piece.series === undefined || !perSeries!.hasAll(piece.series)
  const descending = window.order === 'time-series desc'
  const active = activePieces(pieces, isolated, descending)
  let { fromUs, toUs } = extent
  let rows = Math.min(firstWindowRows, window.rowsMax, Math.max(likelyRows, pieces.length * likelyPieceRows))
  while (fromUs < toUs && !emitter.ended && !enough()) {
    let from = descending ? plan.beginBefore(toUs, rows) : fromUs
    let to = descending ? toUs : plan.endAfter(fromUs, rows)
    for (;;) {
      const reached = active(from, to)
      if (readPieces(reading, perSeries === undefined ? reached : reached.filter(isWanted), from, to)) break
      const half = Math.floor((to - from) / 2)
      if (descending) from = to - half
      else to = from + half
    }
    yield* reading.emitter.emit(reading.buffer, watermarks ? to : undefined)
    if (descending) toUs = from
    else fromUs = to
    rows = Math.min(rows * windowGrowth, window.rowsMax)
  }
  return { fromUs, toUs }
}

const nowhere: TimeSpan = { fromUs: 0, toUs: 0 }

/** Fills the buffer with the pieces' rows of a time; false: they are too many. */
export function readPieces(reading: Reading, active: readonly ActivePiece[], fromUs: number, toUs: number): boolean {
  const { window, buffer, asked, execution } = reading
  const scanned = execution.read.rowsScanned
  const askedScanned = asked.rowsScanned
  buffer.clear()
  const fits = readWindow(window, active, fromUs, toUs, buffer)
  if (fits) account(reading)
  else {
    // They are read again in smaller windows: rows count once.
    execution.read.rowsScanned = scanned
    asked.rowsScanned = askedScanned
  }
  return fits
}

/** Pieces count the rows they read; the buffer's memory is counted here. */
export function account({ buffer, execution }: Reading): void {
  execution.memory.hold(buffer, buffer.byteLength)
}
