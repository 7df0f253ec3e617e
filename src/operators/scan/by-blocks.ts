/**
 * Windows of whole blocks: a block is read in the window in which it begins, to its end, so that it is decoded once.
 *
 *   series a   |███████|███████|███        rows after the frontier wait in the buffer, or leave early where no order
 *   series b   |  ██|███████|███████       is asked for: a batch's watermark says how far in time all have come
 *   frontier   ─────────────┘              where the next block begins that was not read
 *
 * Pieces without blocks, and those that overlap and must merge, are read row by row up to the window's end, which is the
 * frontier then.
 *
 * Invariants:
 * 1. All rows before the frontier have been read, and none twice.
 * 2. Where there is an order, rows leave by (time, series rank), those before the frontier alone: see `in-time-order.ts`.
 * 3. Beside a window there is one block of each series, for which `fitsBlocks` found room.
 */
import type { Batch } from '../../columnar/batch.ts'
import { firstAtOrAfter } from '../../columnar/search.ts'
import { blockRowsMax } from '../../kernels/kernels.ts'
import { sortRows } from '../../storage/merge.ts'
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { Piece } from '../../storage/types.ts'
import type { Execution } from '../execution.ts'
import type { Emitter } from './emit.ts'
import { InTimeOrder } from './in-time-order.ts'
import { type ActivePiece, activePieces, firstWindowRows, type WindowReader, windowGrowth } from './read-window.ts'
import { type TimeSpan, WindowPlan } from './windows.ts'

/** A window's rows in order of time: larger ones only cost memory, as nothing is decoded twice. */
const orderedRowsMax = 65_536
/** Where rows leave in no order they wait for nothing here, but groups may hold their values: so many windows of them, */
const unorderedWindows = 4
/** in this share of the query's memory. */
const heldShare = 1 / 8

export interface BlockReading {
  readonly execution: Execution
  readonly window: WindowReader
  readonly buffer: RowBuffer
  readonly emitter: Emitter
}

/** Whether blocks may be read whole: at no time too many rows of blocks that have begun are to wait. */
export function fitsBlocks(pieces: readonly Piece[], isolated: Uint8Array, reading: BlockReading): boolean {
  const most = (isOrdered(reading) ? reading.window.rowsMax : unorderedRowsMax(reading)) / blockRowsMax
  const waiting = pieces.filter((piece, index) => isolated[index] === 1 && piece.readBlocks !== undefined)
  // Of one series there is one block at a time, of several any.
  const blocks = Uint32Array.from(waiting, ({ series, rows }) =>
    series === undefined ? Math.ceil(rows / blockRowsMax) : 1,
  )
  const count = blocks.reduce((sum, each) => sum + each, 0)
  if (count <= most) return count > 0
  const [begins, ends] = [new Float64Array(count), new Float64Array(count)]
  let at = 0
  for (const [index, { minTimeUs, maxTimeUs }] of waiting.entries()) {
    begins.fill(minTimeUs, at, at + blocks[index]!)
    ends.fill(maxTimeUs, at, at + blocks[index]!)
    at += blocks[index]!
  }
  begins.sort()
  ends.sort()
  for (let begun = 0, ended = 0; begun < count; begun++) {
    while (ends[ended]! < begins[begun]!) ended++
    if (begun + 1 - ended > most) return false
  }
  return true
}

const isOrdered = ({ window }: BlockReading): boolean => window.order !== 'any'

function unorderedRowsMax({ window, buffer, execution }: BlockReading): number {
  const most = window.rowsMax * unorderedWindows
  const { memoryMaxBytes } = execution
  // Groups can wait in files, a window that is read row by row cannot.
  if (2 * window.rowsMax * (buffer.byteLength / buffer.capacity) > memoryMaxBytes) return most
  const rowBytes = Float64Array.BYTES_PER_ELEMENT * Math.max(1, buffer.fields.length)
  return Math.min(most, Math.floor((memoryMaxBytes * heldShare) / rowBytes))
}

/** The pieces' rows ascending in time, or in any order with watermarks; gives what it has not read of the range. */
export function* byBlocks(
  reading: BlockReading,
  pieces: readonly Piece[],
  isolated: Uint8Array,
  range: TimeSpan,
): Generator<Batch, TimeSpan> {
  const { window, emitter, buffer } = reading
  const plan = new WindowPlan(pieces, range)
  const { extent } = plan
  if (extent === undefined) return nowhere
  const active = activePieces(pieces, isolated, false)
  const begins = Float64Array.from(pieces, piece => piece.minTimeUs).sort()
  const isInOrder = isOrdered(reading)
  const rowsMax = isInOrder ? Math.min(orderedRowsMax, window.rowsMax) : unorderedRowsMax(reading)
  // A small first window, for a row to leave early, unless all fit into one.
  let rows = plan.rows <= rowsMax ? rowsMax : Math.min(firstWindowRows, rowsMax)
  buffer.clear()
  if (!isInOrder) buffer.reserve(Math.min(plan.rows, 2 * reading.execution.batchRows))
  const ordered = isInOrder ? new InTimeOrder(reading, Math.min(plan.rows, 2 * rowsMax)) : undefined
  /** When the next block begins of each piece that was looked at. */
  const nextBlocks = new Map<Piece, number>()
  let { fromUs } = extent
  while (fromUs < extent.toUs && !emitter.ended) {
    const held = buffer.length
    let toUs = plan.endAfter(fromUs, rows)
    let reached = active(fromUs, toUs)
    while (!readRows(reading, reached, fromUs, toUs)) {
      buffer.length = held
      toUs = fromUs + Math.max(Math.floor((toUs - fromUs) / 2), 1)
      reached = active(fromUs, toUs)
    }
    const isMerged = reached.some(({ isolated }) => !isolated)
    if (ordered !== undefined) ordered.begin(held, isMerged)
    else if (isMerged) mergeRows(reading)
    const nextPiece = firstAtOrAfter(begins, toUs, 0, begins.length)
    let frontierUs = Math.min(extent.toUs, begins[nextPiece] ?? Infinity)
    if (reached.some(each => !hasBlocks(each) && each.piece.maxTimeUs >= toUs)) frontierUs = toUs
    for (const each of reached) {
      if (!hasBlocks(each)) continue
      const { piece } = each
      let nextUs = nextBlocks.get(piece) ?? -Infinity
      if (nextUs < toUs) {
        if (ordered !== undefined) nextUs = ordered.find(piece, fromUs, toUs, reached.length)
        else {
          if (buffer.length >= reading.execution.batchRows) {
            yield* emitter.emit(buffer, undefined)
            buffer.clear()
          }
          nextUs = piece.readBlocks!(fromUs, toUs, buffer, window.bounds)
        }
        nextBlocks.set(piece, nextUs)
      }
      if (nextUs < frontierUs) frontierUs = nextUs
    }
    if (ordered !== undefined) yield* ordered.upTo(fromUs, frontierUs)
    else {
      account(reading)
      yield* emitter.emit(buffer, frontierUs)
      buffer.clear()
    }
    fromUs = frontierUs
    rows = Math.min(rows * windowGrowth, rowsMax)
  }
  return { fromUs, toUs: extent.toUs }
}

const nowhere: TimeSpan = { fromUs: 0, toUs: 0 }

const hasBlocks = ({ piece, isolated }: ActivePiece): boolean => isolated && piece.readBlocks !== undefined

/** Those that were read row by row, before others follow. */
function mergeRows({ window: { catalog, metric, duplicates }, buffer }: BlockReading): void {
  sortRows(buffer, 'series-time', catalog.ranks(metric.id), duplicates)
}

function account({ buffer, execution }: BlockReading): void {
  execution.memory.hold(buffer, buffer.byteLength)
}

/** Appends the rows of the range that come row by row; false when they are too many for one window. */
function readRows(
  { window, buffer }: BlockReading,
  reached: readonly ActivePiece[],
  fromUs: number,
  toUs: number,
): boolean {
  const isDivisible = toUs - fromUs > 1
  const most = buffer.length + 2 * window.rowsMax
  const read = ({ piece, isolated }: ActivePiece): boolean => {
    piece.read(fromUs, toUs, buffer, isolated ? window.bounds : [])
    return buffer.length <= most || !isDivisible
  }
  // Write order decides which of two rows wins: they are merged before others follow.
  for (const each of reached) if (!each.isolated && !read(each)) return false
  for (const each of reached) if (each.isolated && !hasBlocks(each) && !read(each)) return false
  return true
}
