/**
 * What becomes of the rows of one source: submitted, acknowledged or refused; counted, and told.
 *
 * Invariants:
 * 1. A permit is given back when every row batch that it was for is acknowledged or refused.
 * 2. A row counts as ingested only when its batch is acknowledged. The report is given when nothing is under way.
 */
import { cancellation } from '../../lib/cancel.ts'
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import type { Permits } from '../../lib/permits.ts'
import type { BadRow } from '../../storage/rows/bad-rows.ts'
import type { NdjsonReader } from '../../storage/rows/ndjson-reader.ts'
import type { ObjectReader } from '../../storage/rows/object-reader.ts'
import type { ColumnSlices } from '../../storage/rows/settle-columns.ts'
import type { Lsn, RowBatch } from '../../storage/types.ts'
import type { ColumnOptions, ColumnRows, IngestOptions, IngestReport } from './types.ts'

/** What ingest needs of the engine. */
export interface IngestEngine {
  readonly permits: Permits
  ndjsonReader(options: IngestOptions): NdjsonReader
  objectReader(options: IngestOptions): ObjectReader
  /** Checks columns; undefined when they have no rows. */
  settleColumns(columns: ColumnRows, options: ColumnOptions): ColumnSlices | undefined
  /** Resolves when the rows are durable by the policy and visible. */
  submit(batch: RowBatch): Promise<Lsn>
  /** Told once per finished source. */
  finished(report: IngestReport): void
  /** Throws `shutting_down` when no new source is taken. */
  admit(): void
  /** Runs a task when the event loop turns. */
  soon(task: () => void): void
}

export const ingestCancelled = 'the ingest was cancelled'

/** What became of rows before they were submitted. */
interface Reader {
  readonly rejected: number
  readonly errors: readonly BadRow[]
  readonly stopped: SydraError | undefined
  readonly bytes?: number
}

type ProgressOptions = Pick<IngestOptions, 'signal' | 'onCommit'>

/** Counts what becomes of a source's batches. */
export class Progress {
  ingested = 0
  failure: SydraError | undefined
  /** Called each time when nothing submitted is under way any more. */
  onIdle: (() => void) | undefined
  readonly #engine: IngestEngine
  readonly #options: ProgressOptions
  #pending = 0
  /** Rows were refused: what comes later may be stored, but no line number says so any more. */
  #gap = false
  #idle: (() => void) | undefined

  constructor(engine: IngestEngine, options: ProgressOptions) {
    this.#engine = engine
    this.#options = options
  }

  /** Whether rows that were submitted are neither acknowledged nor refused yet. */
  get isBusy(): boolean {
    return this.#pending > 0
  }

  get isCancelled(): boolean {
    return this.#options.signal?.aborted === true
  }

  /**
   * Runs `granted` with a permit. Resolves when it has; undefined when that was at once. No permit is the source's failure.
   */
  admit(permitBytes: number, granted: () => void): Promise<void> | undefined {
    try {
      const waiting = this.#engine.permits.acquire(permitBytes)
      if (waiting !== undefined) return waiting.then(granted)
    } catch (error) {
      this.fail(error)
      return undefined
    }
    granted()
    return undefined
  }

  /** What stops the reading; the first counts. */
  fail(error: unknown): void {
    this.failure ??= toSydraError(error)
  }

  failIfCancelled(): void {
    if (this.isCancelled) this.fail(cancellation(this.#options.signal?.reason, ingestCancelled))
  }

  /** Runs `read`, of which nothing may be left when it fails. */
  attempt(read: () => void): void {
    try {
      read()
    } catch (error) {
      this.fail(error)
      this.#gap = true
    }
  }

  /** Submits the batches that `read` settles, holding a permit. Whatever goes wrong is this source's failure alone. */
  settle(permitBytes: number, read: () => readonly RowBatch[], reader: { readonly lines: number }): void {
    let batches: readonly RowBatch[] = []
    try {
      batches = read()
    } catch (error) {
      this.fail(error)
    }
    this.submit(batches, reader.lines, permitBytes)
  }

  /** Submits what one permit was for: the batches with everything up to line `lines`. */
  submit(batches: readonly RowBatch[], lines: number, permitBytes: number): void {
    let open = batches.length
    if (open === 0) {
      this.#engine.permits.release(permitBytes)
      return
    }
    this.#pending++
    let refused = false
    const settle = (lsn?: Lsn): void => {
      refused ||= lsn === undefined
      if (--open > 0) return
      // the lines are safe when the last of their batches is, and all lines before them
      this.#gap ||= refused
      if (!this.#gap) this.#tell({ lines, lsn: lsn! })
      this.#engine.permits.release(permitBytes)
      if (--this.#pending > 0) return
      this.#idle?.()
      this.onIdle?.()
    }
    for (const batch of batches) {
      this.#engine.submit(batch).then(
        lsn => {
          this.ingested += batch.rowCount
          settle(lsn)
        },
        (error: unknown) => {
          this.fail(error)
          settle()
        },
      )
    }
  }

  #tell(progress: { readonly lines: number; readonly lsn: Lsn }): void {
    try {
      this.#options.onCommit?.(progress)
    } catch (error) {
      this.fail(error)
    }
  }

  /** Resolves when everything submitted is settled. */
  async idle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>(resolve => (this.#idle = resolve))
  }

  async report(reader: Reader): Promise<IngestReport> {
    await this.idle()
    const report: IngestReport = {
      ingested: this.ingested,
      rejected: reader.rejected,
      errors: reader.errors,
      bytes: reader.bytes ?? 0,
      failure: this.failure ?? reader.stopped,
    }
    this.#engine.finished(report)
    return report
  }
}
