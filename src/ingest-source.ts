/**
 * Feeds sources of every kind — bytes, text, rows as objects, pushed or pulled — to the one writer of rows.
 *
 *   source -> permit -> reader (settles rows) -> RowBatch -> submit -> acknowledgement -> permit back
 *
 * Invariants:
 * 1. Bytes are read only with a permit for them; it is given back when every row batch they gave is acknowledged or
 *    refused. That is the backpressure: `write` waits, so the socket is not read.
 * 2. What was good before a failure is stored and counted; the report's `failure` says why reading stopped.
 * 3. A row counts as ingested only when its batch is acknowledged.
 */
import type { Subscribable } from 'rxjs'
import { assert } from './lib/assert.ts'
import { SydraError, toSydraError } from './lib/errors.ts'
import type { Permits } from './lib/permits.ts'
import type { NdjsonReader } from './storage/rows/ndjson-reader.ts'
import type { ObjectReader } from './storage/rows/object-reader.ts'
import type { Lsn, RowBatch } from './storage/types.ts'
import type { IngestOptions, IngestReport, IngestSource, IngestStream, RowObject } from './types.ts'

/** What ingest needs of the engine. */
export interface IngestEngine {
  readonly permits: Permits
  ndjsonReader(options: IngestOptions): NdjsonReader
  objectReader(options: IngestOptions): ObjectReader
  /** Resolves when the rows are durable by the policy and visible. */
  submit(batch: RowBatch): Promise<Lsn>
  /** Told once per finished source. */
  finished(report: IngestReport): void
  /** Throws `shutting_down` when no new source is taken. */
  admit(): void
  /** Runs a task when the event loop turns. */
  soon(task: () => void): void
}

type Reader = Pick<NdjsonReader, 'rejected' | 'errors' | 'stopped'> & { readonly bytes?: number }

/** Counts what becomes of a reader's batches. */
class Progress {
  ingested = 0
  failure: SydraError | undefined
  readonly #engine: IngestEngine
  readonly #options: IngestOptions
  #pending = 0
  #idle: (() => void) | undefined

  constructor(engine: IngestEngine, options: IngestOptions) {
    this.#engine = engine
    this.#options = options
  }

  /**
   * Settles and submits what `settle` gives, with a permit for `permitBytes`. Resolves when it was granted; undefined when
   * at once. Whatever goes wrong is the source's failure alone.
   */
  admit(
    permitBytes: number,
    settle: () => readonly RowBatch[],
    reader: { readonly lines: number },
  ): Promise<void> | undefined {
    const { permits } = this.#engine
    const submit = (): void => {
      let batches: readonly RowBatch[] = []
      try {
        batches = settle()
      } catch (error) {
        this.failure ??= toSydraError(error)
      }
      this.submit(batches, reader.lines, permitBytes)
    }
    try {
      const granted = permits.acquire(permitBytes)
      if (granted !== undefined) return granted.then(submit)
      submit()
    } catch (error) {
      this.failure ??= toSydraError(error)
    }
    return undefined
  }

  /** Submits batches that hold a permit for `permitBytes`. */
  submit(batches: readonly RowBatch[], lines: number, permitBytes: number): void {
    const { permits } = this.#engine
    let open = batches.length
    if (open === 0) {
      permits.release(permitBytes)
      return
    }
    this.#pending++
    const settle = (): void => {
      if (--open > 0) return
      permits.release(permitBytes)
      if (--this.#pending === 0) this.#idle?.()
    }
    for (const batch of batches) {
      this.#engine.submit(batch).then(
        lsn => {
          this.ingested += batch.rowCount
          settle()
          this.#options.onCommit?.({ lines, lsn })
        },
        (error: unknown) => {
          this.failure ??= toSydraError(error)
          settle()
        },
      )
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

export function openIngestStream(engine: IngestEngine, options: IngestOptions = {}): IngestStream {
  engine.admit()
  const reader = engine.ndjsonReader(options)
  const progress = new Progress(engine, options)
  let ended = false

  const finish = async (clean: boolean): Promise<IngestReport> => {
    assert(!ended, 'an ingest stream ends once')
    ended = true
    if (progress.failure === undefined && reader.stopped === undefined) {
      progress.submit(reader.end(clean), reader.lines, 0)
    }
    return progress.report(reader)
  }

  return {
    get stopped() {
      return progress.failure !== undefined || reader.stopped !== undefined
    },
    write(bytes) {
      assert(!ended, 'an ingest stream takes nothing after its end')
      if (progress.failure !== undefined || reader.stopped !== undefined) return undefined
      return progress.admit(bytes.length, () => reader.push(bytes), reader)
    },
    end: () => finish(true),
    cut: () => finish(false),
  }
}

/** Rows as objects are settled in slices of so many, so that each slice is a commit and memory stays bounded. */
const sliceRowsMax = 8192
/** What a row object is taken to weigh before it is settled. */
const rowObjectBytes = 128
/** Rows an Observable, which knows no backpressure, may be ahead of the disk. */
const observableRowsMax = 1 << 20

export async function ingestSource(
  engine: IngestEngine,
  source: IngestSource,
  options: IngestOptions = {},
): Promise<IngestReport> {
  const { signal } = options
  signal?.throwIfAborted()
  if (isSubscribable(source)) return ingestPushed(engine, source, options)

  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  try {
    const first = await iterator.next()
    const isBytes = first.done !== true && (first.value instanceof Uint8Array || typeof first.value === 'string')
    const report = await (isBytes
      ? ingestBytes(engine, first.value as Uint8Array | string, iterator as AsyncIterator<Uint8Array | string>, options)
      : ingestObjects(engine, first as IteratorResult<RowObject>, iterator as AsyncIterator<RowObject>, options))
    return report
  } finally {
    await iterator.return?.()
  }
}

const isSubscribable = (source: IngestSource): source is Subscribable<RowObject> =>
  'subscribe' in source && !(Symbol.asyncIterator in source) && !(Symbol.iterator in source)

async function ingestBytes(
  engine: IngestEngine,
  first: Uint8Array | string,
  iterator: AsyncIterator<Uint8Array | string>,
  options: IngestOptions,
): Promise<IngestReport> {
  const stream = openIngestStream(engine, options)
  const encoder = new TextEncoder()
  let chunk: Uint8Array | string = first
  try {
    while (!stream.stopped) {
      options.signal?.throwIfAborted()
      await stream.write(typeof chunk === 'string' ? encoder.encode(chunk) : chunk)
      const next = await iterator.next()
      if (next.done === true) break
      chunk = next.value
    }
  } catch (error) {
    // The source broke off: what it gave before is stored, its last line may be torn.
    await stream.cut()
    throw error
  }
  return stream.end()
}

async function ingestObjects(
  engine: IngestEngine,
  first: IteratorResult<RowObject>,
  iterator: AsyncIterator<RowObject> | Iterator<RowObject>,
  options: IngestOptions,
): Promise<IngestReport> {
  engine.admit()
  const collector = new ObjectCollector(engine, options)
  let result = first
  while (result.done !== true && !collector.stopped) {
    options.signal?.throwIfAborted()
    const waiting = collector.push(result.value)
    if (waiting !== undefined) await waiting
    const next = iterator.next()
    result = next instanceof Promise ? await next : next
  }
  return collector.end()
}

function ingestPushed(
  engine: IngestEngine,
  source: Subscribable<RowObject>,
  options: IngestOptions,
): Promise<IngestReport> {
  engine.admit()
  const collector = new ObjectCollector(engine, options)
  return new Promise((resolve, reject) => {
    const stop = (error: unknown): void => {
      subscription.unsubscribe()
      collector.end().then(() => reject(error), reject)
    }
    const subscription = source.subscribe({
      next: row => {
        collector.push(row)
        if (collector.stopped) {
          subscription.unsubscribe()
          collector.end().then(resolve, reject)
        } else if (collector.waitingRows > observableRowsMax) {
          stop(
            new SydraError('overloaded', `the Observable is ${observableRowsMax} rows ahead of the disk`, {
              hint: 'an Observable has no backpressure: ingest an async iterable, or buffer before it',
            }),
          )
        }
      },
      error: stop,
      complete: () => collector.end().then(resolve, reject),
    })
    options.signal?.addEventListener('abort', () => stop(options.signal?.reason), { once: true })
  })
}

/** Gathers rows into slices: a full one at once, a partial one when the event loop turns, so that a slow source is durable. */
class ObjectCollector {
  readonly #engine: IngestEngine
  readonly #reader: ObjectReader
  readonly #progress: Progress
  #rows: RowObject[] = []
  #granted: Promise<void> | undefined
  #scheduled = false

  constructor(engine: IngestEngine, options: IngestOptions) {
    this.#engine = engine
    this.#reader = engine.objectReader(options)
    this.#progress = new Progress(engine, options)
  }

  get stopped(): boolean {
    return this.#progress.failure !== undefined || this.#reader.stopped !== undefined
  }
  get waitingRows(): number {
    return this.#rows.length
  }

  /** Resolves when more may come; undefined when it may at once. */
  push(row: RowObject): Promise<void> | undefined {
    this.#rows.push(row)
    if (this.#rows.length >= sliceRowsMax) return this.#flush()
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#engine.soon(() => {
        this.#scheduled = false
        this.#flush()
      })
    }
    return undefined
  }

  async end(): Promise<IngestReport> {
    while (this.#granted !== undefined || (this.#rows.length > 0 && !this.stopped)) {
      this.#flush()
      await this.#granted
    }
    return this.#progress.report(this.#reader)
  }

  #flush(): Promise<void> | undefined {
    if (this.#granted !== undefined) return this.#granted
    const rows = this.#rows.splice(0, sliceRowsMax)
    if (rows.length === 0 || this.stopped) return undefined
    const settle = (): readonly RowBatch[] => {
      this.#granted = undefined
      return this.#reader.push(rows)
    }
    this.#granted = this.#progress.admit(rows.length * rowObjectBytes, settle, this.#reader)
    return this.#granted
  }
}
