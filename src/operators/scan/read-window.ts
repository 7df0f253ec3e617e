/**
 * Reads one time window of some pieces into a row buffer, merged and in order.
 *
 * Invariants:
 * 1. Afterwards the buffer's rows are unique by (series, time), unless `read` said false.
 * 2. Blocks are skipped by their statistics only in pieces that overlap no other.
 */
import type { CatalogReader } from '../../storage/catalog/types.ts'
import { type RowOrder, sortRows } from '../../storage/merge.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { FieldBound, MetricInfo, Piece } from '../../storage/types.ts'

/** Rows a window aims at by default; one that turns out twice as large is split. */
export const windowRowsDefault = 262_144
/** The first window is small, so that the first row leaves early; then windows grow by `windowGrowth`. */
export const firstWindowRows = 8192
export const windowGrowth = 4

/** `any`: rows of one series come together and by time within a piece, nothing more. */
export type WindowOrder = 'any' | RowOrder

export interface WindowReader {
  readonly order: WindowOrder
  readonly metric: MetricInfo
  readonly catalog: CatalogReader
  readonly duplicates: 'last' | 'first'
  readonly bounds: readonly FieldBound[]
  readonly rowsMax: number
}

export interface ActivePiece {
  readonly piece: Piece
  readonly isolated: boolean
}

/** False when the window holds too many rows and should be split; the buffer's contents are then meaningless. */
export function readWindow(
  { order, metric, catalog, duplicates, bounds, rowsMax }: WindowReader,
  active: readonly ActivePiece[],
  fromUs: number,
  toUs: number,
  into: RowBuffer,
): boolean {
  const divisible = toUs - fromUs > 1
  let merging = false
  const read = ({ piece, isolated }: ActivePiece): boolean => {
    if (isolated) piece.read(fromUs, toUs, into, bounds)
    else {
      piece.read(fromUs, toUs, into)
      merging = true
    }
    return into.length <= 2 * rowsMax || !divisible
  }

  if (order === 'any') {
    for (const each of active) if (!each.isolated && !read(each)) return false
    if (merging) sortRows(into, 'series-time', catalog.ranks(metric.id), duplicates)
    for (const each of active) if (each.isolated && !read(each)) return false
    return true
  }
  const ranks = catalog.ranks(metric.id)
  // Rows of a piece are in order of (series, time).
  let areInOrder = order === 'series-time'
  for (const each of active) {
    const before = into.length
    if (!read(each)) return false
    areInOrder &&= before === 0 || before === into.length || isAfter(into, before, ranks)
  }
  if (merging || !areInOrder) sortRows(into, order, ranks, duplicates)
  return true
}

/** Whether the row comes after the one before it in order of (series, time). */
function isAfter({ series, timeUs }: RowBuffer, row: number, ranks: Uint32Array): boolean {
  const one = series[row]!
  const before = series[row - 1]!
  return one === before ? timeUs[row]! >= timeUs[row - 1]! : ranks[one]! > ranks[before]!
}

/** Walks windows in one direction and says which pieces reach into each. */
export function activePieces(
  pieces: readonly Piece[],
  isolated: Uint8Array,
  descending: boolean,
): (fromUs: number, toUs: number) => ActivePiece[] {
  const waiting = Uint32Array.from(pieces.keys()).sort((a, b) =>
    descending ? pieces[b]!.maxTimeUs - pieces[a]!.maxTimeUs : pieces[a]!.minTimeUs - pieces[b]!.minTimeUs,
  )
  let next = 0
  let active: number[] = []
  const begun = (piece: Piece, fromUs: number, toUs: number) =>
    descending ? piece.maxTimeUs >= fromUs : piece.minTimeUs < toUs
  const ended = (piece: Piece, fromUs: number, toUs: number) =>
    descending ? piece.minTimeUs >= toUs : piece.maxTimeUs < fromUs
  return (fromUs, toUs) => {
    while (next < waiting.length && begun(pieces[waiting[next]!]!, fromUs, toUs)) active.push(waiting[next++]!)
    active = active.filter(index => !ended(pieces[index]!, fromUs, toUs))
    // Write order decides which of two rows wins.
    active.sort((a, b) => a - b)
    return active.map(index => ({ piece: pieces[index]!, isolated: isolated[index] === 1 }))
  }
}
