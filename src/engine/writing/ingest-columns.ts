/**
 * Feeds rows that come as columns to the one writer of rows.
 *
 *   columns -> checked as a whole -> slice by slice: permit -> copy -> RowBatch -> submit -> acknowledgement -> permit back
 *
 * Invariants:
 * 1. Columns that are refused leave no row behind: the call rejects.
 * 2. A slice is copied when it has its permit, so that memory is bounded however long the columns are; while one is written
 *    and synced, the next is being copied.
 * 3. Slices are submitted in row order, and none after one was refused: what is stored is the rows up to the first that is not.
 */
import { refuseCancelled } from '../../lib/cancel.ts'
import { type IngestEngine, ingestCancelled, Progress } from './progress.ts'
import type { ColumnOptions, ColumnRows, IngestReport } from './types.ts'

export async function ingestColumns(
  engine: IngestEngine,
  columns: ColumnRows,
  options: ColumnOptions = {},
): Promise<IngestReport> {
  engine.admit()
  refuseCancelled(options.signal, ingestCancelled)
  const slices = engine.settleColumns(columns, options)
  const progress = new Progress(engine, options)
  if (slices !== undefined) {
    const { length, sliceRows, sliceBytes, slice } = slices
    for (let from = 0; from < length && progress.failure === undefined && !progress.isCancelled; from += sliceRows) {
      const lines = Math.min(from + sliceRows, length)
      const waiting = progress.admit(sliceBytes, () => {
        // what failed while this one waited
        if (progress.failure !== undefined || progress.isCancelled) progress.submit([], lines, sliceBytes)
        else progress.settle(sliceBytes, () => [slice(from)], { lines })
      })
      if (waiting !== undefined) await waiting
    }
  }
  const report = await progress.report(noBadRows)
  if (report.ingested < (slices?.length ?? 0) && report.failure === undefined)
    refuseCancelled(options.signal, ingestCancelled)
  return report
}

/** Rows of columns are refused together, before any is submitted. */
const noBadRows = { rejected: 0, errors: [], stopped: undefined }
