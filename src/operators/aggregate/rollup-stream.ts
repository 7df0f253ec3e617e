/**
 * Rows of rollups in step with a stream of batches: slabs of time, each added before buckets that it reaches into leave.
 *
 *   buckets   [ slab 0 )[ slab 1 )[ slab 2 )
 *   batches          ^ w0        ^ w1              slabs 0 and 1 by w0, 2 by w1
 *
 * Invariant: about `slabRowsMax` rows are added at once, so that few groups that watermarks let go are held at a time.
 */
import type { Batch } from '../../columnar/batch.ts'
import { RowBuffer } from '../../storage/row-buffer.ts'
import type { Piece } from '../../storage/types.ts'
import type { Execution } from '../execution.ts'
import type { OpenRollups, OpenScan } from '../scan/scan.ts'
import type { BucketKey } from './aggregation.ts'
import { type FoldTarget, type RollupFold, rollupFold } from './rollup.ts'

const slabRowsMax = 65_536
/** What a group takes, and the share of the query's memory that groups from rollups may: they cannot go to files. */
const groupBytes = 256
const memoryShare = 1 / 4
/** Rows that are folded together. */
const foldRows = 8192

export interface RollupSlabs {
  /** Rows of all slabs, and of each on average: at most. */
  readonly rows: number
  readonly slabRows: number
  /** Adds the slabs that begin before this time. */
  addBefore(timeUs: number): void
  /** Adds the next slab; returns when it ends, undefined where none was left. */
  addNext(): number | undefined
}

/** A piece of a rollup, to be read within a span of bucket starts. */
interface SpannedPiece {
  readonly piece: Piece
  readonly fromUs: number
  readonly toUs: number
  readonly widthUs: number
}

/**
 * What a scan leaves to rollups, as slabs that add themselves to the aggregator's groups; undefined: nothing. `buckets`: set
 * where those that have ended leave.
 */
export function slabsOf(
  { rollups }: OpenScan,
  target: FoldTarget,
  buckets: BucketKey | undefined,
  execution: Execution,
): RollupSlabs | 'too many' | undefined {
  if (rollups === undefined) return undefined
  const { metric, series } = rollups.request
  const slabs = rollupSlabs(rollups, rollupFold(target, metric), execution)
  const { bucket, node } = target.aggregator
  if (node.keys.length === 0) return slabs
  const seriesCount = series?.ordinals.length ?? execution.catalog.seriesOf(metric.id).length
  let groups = Math.min(slabs.rows, seriesCount)
  if (bucket !== undefined) groups = buckets === undefined ? slabs.rows : slabs.slabRows + seriesCount
  return groups * groupBytes > execution.memoryMaxBytes * memoryShare ? 'too many' : slabs
}

/** Finds the pieces; nothing is read yet. */
function rollupSlabs({ parts, request }: OpenRollups, fold: RollupFold, { read, arrays }: Execution): RollupSlabs {
  const wanted = { ...request, metric: fold.metric, fields: fold.metric.fields }
  const pieces: SpannedPiece[] = []
  let rows = 0
  let nextUs = Infinity
  let endUs = -Infinity
  for (const { rollup, spans } of parts) {
    const { widthUs } = rollup
    for (const { fromUs, toUs } of spans) {
      for (const piece of rollup.pieces({ ...wanted, fromUs, toUs })) {
        pieces.push({ piece, fromUs, toUs, widthUs })
        rows += piece.rows
        nextUs = Math.min(nextUs, Math.max(piece.minTimeUs, fromUs))
        endUs = Math.max(endUs, Math.min(piece.maxTimeUs + widthUs, toUs))
      }
    }
  }
  const slabs = Math.max(1, Math.ceil(rows / slabRowsMax))
  const slabUs = Math.ceil((endUs - nextUs) / slabs)
  const buffer = new RowBuffer(wanted.fields, Math.min(rows, foldRows), undefined, arrays)
  const counts = (read.rollups ??= new Map<number, number>())

  const addNext = (): number | undefined => {
    if (nextUs >= endUs) return undefined
    const slabEndUs = nextUs + slabUs
    for (const { piece, fromUs, toUs, widthUs } of pieces) {
      const before = buffer.length
      const from = Math.max(fromUs, nextUs)
      const to = Math.min(toUs, slabEndUs)
      if (from < to) piece.read(from, to, buffer)
      if (buffer.length === before) continue
      counts.set(widthUs, (counts.get(widthUs) ?? 0) + buffer.length - before)
      if (buffer.length >= foldRows) addRows()
    }
    addRows()
    nextUs = slabEndUs
    return slabEndUs
  }
  const addRows = (): void => {
    if (buffer.length > 0) fold.add(buffer)
    buffer.clear()
  }
  return {
    rows,
    slabRows: Math.ceil(rows / slabs),
    addNext,
    addBefore(timeUs) {
      while (nextUs < Math.min(timeUs, endUs)) addNext()
    },
  }
}

/** Says that all rows before this time have come, and brings none. */
export interface Passed {
  readonly watermarkUs: number
}

/** The batches, then a slab at a time what has not been added before. */
export async function* withSlabs(
  stream: AsyncIterable<Batch> | readonly Batch[],
  slabs: RollupSlabs,
  { pace }: Execution,
): AsyncGenerator<Batch | Passed, void, undefined> {
  yield* stream
  for (let watermarkUs = slabs.addNext(); watermarkUs !== undefined; watermarkUs = slabs.addNext()) {
    yield { watermarkUs }
    await pace()
  }
}
