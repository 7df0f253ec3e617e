/**
 * Runs: a statement's work as a stream that is timed, counted, cancelled, and let go of however its reader ends.
 *
 * Invariants:
 * 1. Every run that was begun ends: its work is released, its timer stopped and it is counted, whether its reader finished,
 *    stopped early, failed, ran out of time, or the database closed.
 * 2. A run whose stream is never pulled holds its work until it is closed: `QueryResult` pulls or closes it.
 * 3. A reader that has stopped pulling holds nothing beyond its timeout, its own abort or the closing of the database: the
 *    run ends then, and a pull that comes later is told why.
 */
import { type Batch, rowCount, type Schema } from '../../columnar/batch.ts'
import { cancellation } from '../../lib/cancel.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { toHex } from '../../lib/text.ts'
import type { BatchStream, OperatorStatistics } from '../../operators/operator.ts'
import { rollupWidthName } from '../../storage/rollup/widths.ts'
import type { ReadStatistics } from '../../storage/types.ts'
import type { DatabaseStatistics, QueryStatistics } from '../../types.ts'
import type { QueryRun } from './result.ts'

/** What a run does, ready to begin. */
export interface Work {
  readonly schema: Schema
  readonly read: ReadStatistics
  readonly operators: readonly OperatorStatistics[]
  /** `statistics`: of the run so far. */
  open(statistics: () => QueryStatistics): BatchStream
  /** Lets go of all that it holds. */
  release(): void
}

export interface BeginOptions {
  /** Aborts the work. */
  readonly abort: AbortController
  /** The caller's. */
  readonly signal: AbortSignal | undefined
  /** 0: none. */
  readonly timeoutMs: number
  readonly startedMs: number
  readonly elapsedMs: {
    readonly parse: number
    readonly analyze: number
    readonly optimize: number
    readonly plan: number
  }
}

export interface Runs {
  readonly running: number
  counts(): DatabaseStatistics['queries']
  /** A statement came, whatever becomes of it. */
  count(outcome: 'started' | 'failed'): void
  begin(work: Work, options: BeginOptions): QueryRun
  /** Aborts what runs; resolves when all of it has ended, or after a grace. */
  close(reason: SydraError): Promise<void>
}

/** How long closing waits for readers of cancelled queries to notice. */
const closeGraceMs = 1000

export function createRuns({ clock, timers, random }: Ports): Runs {
  const running = new Set<AbortController>()
  const counts = { started: 0, failed: 0, cancelled: 0, rowsScanned: 0, rowsEmitted: 0 }
  let whenIdle: (() => void) | undefined

  const begin = (work: Work, options: BeginOptions): QueryRun => {
    const { abort, signal, timeoutMs, startedMs, elapsedMs } = options
    const { read, operators } = work
    let traceId: string | undefined
    let firstRowMs = 0
    let totalMs: number | undefined
    let rowsEmitted = 0
    const { promise: ended, resolve: haveEnded } = Promise.withResolvers<void>()

    const statistics = (): QueryStatistics => ({
      rows_emitted: rowsEmitted,
      rows_scanned: read.rowsScanned,
      segments_scanned: read.segmentsScanned,
      segments_pruned: read.segmentsPruned,
      blocks_scanned: read.blocksScanned,
      blocks_pruned: read.blocksPruned,
      bytes_read: read.bytesRead,
      rollup: rollupWidths(read),
      elapsed_ms: {
        parse: round(elapsedMs.parse),
        analyze: round(elapsedMs.analyze),
        optimize: round(elapsedMs.optimize),
        plan: round(elapsedMs.plan),
        first_row: round(firstRowMs),
        total: round(totalMs ?? clock.monotonicMs() - startedMs),
      },
      trace_id: (traceId ??= toHex(random.bytes(new Uint8Array(8)))),
      operators: operators.map(operator => ({
        name: operator.name,
        rows_out: operator.rowsOut,
        batches: operator.batches,
        elapsed_ms: round(operator.elapsedMs),
      })),
    })

    async function* stream(): AsyncGenerator<Batch, void, undefined> {
      const batches = work.open(statistics)
      /** Nobody waits for a batch: the reader has the last one, and may never come back. */
      let isIdle = false
      let outcome: 'complete' | 'failed' | 'cancelled' = 'cancelled'
      let ending: Promise<void> | undefined
      const end = (): Promise<void> => (ending ??= letGo())
      const letGo = async (): Promise<void> => {
        stopTimer?.()
        signal?.removeEventListener('abort', onAbort)
        try {
          await batches.return(undefined)
        } finally {
          work.release()
          totalMs = clock.monotonicMs() - startedMs
          if (outcome !== 'complete') counts[outcome]++
          counts.rowsScanned += read.rowsScanned
          counts.rowsEmitted += rowsEmitted
          running.delete(abort)
          if (running.size === 0) whenIdle?.()
          haveEnded()
        }
      }
      const abandon = (): void => {
        if (!isIdle) return
        outcome = outcomeOf(abort.signal.reason)
        // what ends it is told at the next pull
        end().catch(() => {})
      }
      const timedOut = (): void =>
        abort.abort(new SydraError('query_timeout', `the query ran longer than ${timeoutMs} ms`))
      const stopTimer = timeoutMs === 0 ? undefined : timers.after(timeoutMs, timedOut, true)
      const onAbort = (): void => abort.abort(cancellation(signal?.reason, 'the query was cancelled'))
      abort.signal.addEventListener('abort', abandon, { once: true })
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) onAbort()
      running.add(abort)
      try {
        for (;;) {
          const next = await batches.next()
          if (next.done) break
          const batch = next.value
          if (rowsEmitted === 0 && rowCount(batch) > 0) firstRowMs = clock.monotonicMs() - startedMs
          rowsEmitted += rowCount(batch)
          isIdle = true
          yield batch
          isIdle = false
          if (ending !== undefined) throw abort.signal.reason
        }
        outcome = 'complete'
      } catch (error) {
        if (ending === undefined) outcome = outcomeOf(error)
        throw error
      } finally {
        await end()
      }
    }
    return {
      schema: work.schema,
      stream: stream(),
      abort: () => abort.abort(cancellation(undefined, 'the query was cancelled')),
      ended,
      statistics,
    }
  }

  return {
    get running() {
      return running.size
    },
    counts: () => ({ ...counts, running: running.size }),
    count: outcome => counts[outcome]++,
    begin,
    async close(reason) {
      for (const abort of running) abort.abort(reason)
      if (running.size === 0) return
      // A reader that never pulls again would hold the database open: its run is given up after a while.
      await new Promise<void>(resolve => {
        whenIdle = resolve
        timers.after(closeGraceMs, resolve)
      })
    },
  }
}

const outcomeOf = (error: unknown): 'failed' | 'cancelled' =>
  toSydraError(error).code === 'cancelled' ? 'cancelled' : 'failed'

/** Coarsest first. */
function rollupWidths({ rollups = new Map<number, number>() }: ReadStatistics): string | null {
  if (rollups.size === 0) return null
  return [...rollups.keys()]
    .sort((a, b) => b - a)
    .map(rollupWidthName)
    .join(' ')
}

export const round = (ms: number): number => Math.round(ms * 1000) / 1000
