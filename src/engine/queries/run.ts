/**
 * Runs: a statement's work as a stream that is timed, counted, cancelled, and let go of however its reader ends.
 *
 * Invariants:
 * 1. Every run that was begun ends: its work is released, its timer stopped and it is counted, whether its reader finished,
 *    stopped early, failed, ran out of time, or the database closed.
 * 2. A run whose stream is never pulled holds its work until it is closed: `QueryResult` pulls or closes it.
 * 3. A reader that has stopped pulling holds nothing beyond its timeout, its own abort or the closing of the database: the
 *    run ends then, and a pull that comes later is told why.
 *
 * Generators on the way of a query are methods and functions of modules, never made for one query: V8 makes a map, among old
 * objects, for each generator function that is called, and until the next full collection that map keeps what the function
 * closes over.
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
  const environment: RunEnvironment = {
    clock,
    timers,
    random,
    counts,
    begun: abort => running.add(abort),
    ended(abort) {
      running.delete(abort)
      if (running.size === 0) whenIdle?.()
    },
  }

  return {
    get running() {
      return running.size
    },
    counts: () => ({ ...counts, running: running.size }),
    count: outcome => counts[outcome]++,
    begin: (work, options) => new Run(work, options, environment).query,
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

interface RunEnvironment extends Pick<Ports, 'clock' | 'timers' | 'random'> {
  readonly counts: Record<'failed' | 'cancelled' | 'rowsScanned' | 'rowsEmitted', number>
  begun(abort: AbortController): void
  ended(abort: AbortController): void
}

class Run {
  readonly query: QueryRun
  readonly #work: Work
  readonly #options: BeginOptions
  readonly #environment: RunEnvironment
  readonly #haveEnded: () => void
  #batches: BatchStream | undefined
  #stopTimer: (() => void) | undefined
  /** Nobody waits for a batch: the reader has the last one, and may never come back. */
  #isIdle = false
  #outcome: 'complete' | 'failed' | 'cancelled' = 'cancelled'
  #ending: Promise<void> | undefined
  #traceId: string | undefined
  #firstRowMs = 0
  #totalMs: number | undefined
  #rowsEmitted = 0

  constructor(work: Work, options: BeginOptions, environment: RunEnvironment) {
    this.#work = work
    this.#options = options
    this.#environment = environment
    const { promise: ended, resolve: haveEnded } = Promise.withResolvers<void>()
    this.#haveEnded = haveEnded
    this.query = {
      schema: work.schema,
      stream: this.#stream(),
      abort: () => options.abort.abort(cancellation(undefined, 'the query was cancelled')),
      ended,
      statistics: () => this.#statistics(),
    }
  }

  async *#stream(): AsyncGenerator<Batch, void, undefined> {
    const { clock, timers, begun } = this.#environment
    const { abort, signal, timeoutMs, startedMs } = this.#options
    const batches = this.#work.open(() => this.#statistics())
    this.#batches = batches
    const timedOut = (): void =>
      abort.abort(new SydraError('query_timeout', `the query ran longer than ${timeoutMs} ms`))
    if (timeoutMs !== 0) this.#stopTimer = timers.after(timeoutMs, timedOut, true)
    abort.signal.addEventListener('abort', this.#abandon, { once: true })
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted) this.#onAbort()
    begun(abort)
    try {
      for (;;) {
        const next = await batches.next()
        if (next.done) break
        const batch = next.value
        if (this.#rowsEmitted === 0 && rowCount(batch) > 0) this.#firstRowMs = clock.monotonicMs() - startedMs
        this.#rowsEmitted += rowCount(batch)
        this.#isIdle = true
        yield batch
        this.#isIdle = false
        if (this.#ending !== undefined) throw abort.signal.reason
      }
      this.#outcome = 'complete'
    } catch (error) {
      if (this.#ending === undefined) this.#outcome = outcomeOf(error)
      throw error
    } finally {
      await this.#end()
    }
  }

  readonly #onAbort = (): void =>
    this.#options.abort.abort(cancellation(this.#options.signal?.reason, 'the query was cancelled'))

  readonly #abandon = (): void => {
    if (!this.#isIdle) return
    this.#outcome = outcomeOf(this.#options.abort.signal.reason)
    // what ends it is told at the next pull
    this.#end().catch(() => {})
  }

  #end(): Promise<void> {
    return (this.#ending ??= this.#letGo())
  }

  async #letGo(): Promise<void> {
    const { clock, counts, ended } = this.#environment
    const { abort, signal, startedMs } = this.#options
    this.#stopTimer?.()
    signal?.removeEventListener('abort', this.#onAbort)
    try {
      await this.#batches!.return(undefined)
    } finally {
      this.#work.release()
      this.#totalMs = clock.monotonicMs() - startedMs
      if (this.#outcome !== 'complete') counts[this.#outcome]++
      counts.rowsScanned += this.#work.read.rowsScanned
      counts.rowsEmitted += this.#rowsEmitted
      ended(abort)
      this.#haveEnded()
    }
  }

  #statistics(): QueryStatistics {
    const { clock, random } = this.#environment
    const { startedMs, elapsedMs } = this.#options
    const { read, operators } = this.#work
    return {
      rows_emitted: this.#rowsEmitted,
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
        first_row: round(this.#firstRowMs),
        total: round(this.#totalMs ?? clock.monotonicMs() - startedMs),
      },
      trace_id: (this.#traceId ??= toHex(random.bytes(new Uint8Array(8)))),
      operators: operators.map(operator => ({
        name: operator.name,
        rows_out: operator.rowsOut,
        batches: operator.batches,
        elapsed_ms: round(operator.elapsedMs),
      })),
    }
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
