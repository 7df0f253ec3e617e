/**
 * Feeds sources of every kind — bytes, text, rows as objects, pushed or pulled — to the one writer of rows.
 *
 *   source -> permit -> reader (settles rows) -> RowBatch -> submit -> acknowledgement -> permit back
 *
 * Invariants:
 * 1. Bytes are read only with a permit for them; it is given back when every row batch they gave is acknowledged or
 *    refused. That is the backpressure: `write` waits, so the socket is not read.
 * 2. What was good before a failure is stored and counted; the report's `failure` says why reading stopped.
 * 3. A row counts as ingested only when its batch is acknowledged. A promise settles only when nothing is under way.
 * 4. An abort is noticed at once, also while the source is silent: nothing more is read then, and what was is stored.
 */
import { Observable, Subject, type Subscribable, takeUntil } from 'rxjs'
import { cancellation, refuseCancelled } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import type { ObjectReader } from '../../storage/rows/object-reader.ts'
import { type IngestEngine, ingestCancelled, Progress } from './progress.ts'
import type { IngestOptions, IngestReport, IngestSource, IngestStream, RowObject } from './types.ts'

/**
 * Chunks that arrive in one turn of the event loop, or while a commit of the same source is under way, are submitted together,
 * up to so many bytes: fewer, larger batches. They would wait for that commit in any case.
 */
const turnBytesMax = 1 << 20

/** Buffers are nearly all the garbage of ingest, and V8 sees their weight late: tens of MB of dead ones would pile up. */
function free({ buffer, byteLength }: Uint8Array): void {
  // A part of a larger buffer may have neighbours that are still in use.
  if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffer.transfer(0)
}

export function openIngestStream(engine: IngestEngine, options: IngestOptions = {}): IngestStream {
  engine.admit()
  const reader = engine.ndjsonReader(options)
  const progress = new Progress(engine, options)
  /** Read, but not submitted. */
  let bytes = 0
  let scheduled = false
  let waiting: Promise<void> | undefined
  let ended = false

  const stopped = (): boolean => progress.failure !== undefined || reader.stopped !== undefined || progress.isCancelled
  const assertOpen = (): void => {
    if (ended) throw new SydraError('bad_request', 'the ingest stream has ended')
  }
  const settle = (): void => {
    if (bytes === 0) return
    const permitBytes = bytes
    bytes = 0
    progress.settle(permitBytes, () => reader.collect(), reader)
  }
  const take = (chunk: Uint8Array): void => {
    bytes += chunk.length
    progress.attempt(() => reader.take(chunk))
    if (options.transfer) free(chunk)
    if (bytes >= turnBytesMax) settle()
    else if (!scheduled) {
      scheduled = true
      engine.soon(() => {
        scheduled = false
        if (!progress.isBusy) settle()
      })
    }
  }
  progress.onIdle = () => {
    if (!scheduled) settle()
  }
  const finish = async (clean: boolean): Promise<IngestReport> => {
    assertOpen()
    ended = true
    progress.failIfCancelled()
    await waiting
    settle()
    if (progress.failure === undefined && reader.stopped === undefined)
      progress.submit(reader.end(clean), reader.lines, 0)
    return progress.report(reader)
  }

  return {
    get stopped() {
      return stopped()
    },
    write(chunk) {
      assertOpen()
      if (stopped() || chunk.length === 0) return undefined
      const granted = progress.admit(chunk.length, () => take(chunk))
      waiting = granted ?? waiting
      return granted
    },
    end: () => finish(true),
    cut: () => finish(false),
    async [Symbol.asyncDispose]() {
      if (!ended) await finish(false)
    },
  }
}

/** Rows as objects are settled in slices of so many, so that each slice is a commit and memory stays bounded. */
const sliceRowsMax = 8192
/** What a row object is taken to weigh before it is settled. */
const rowObjectBytes = 128
/** Rows an Observable, which knows no backpressure, may be ahead of the disk. */
const observableRowsMax = 1 << 20

/**
 * Rejects with the source's own error when it breaks off, with `cancelled` when the signal aborts, and when the database
 * takes no rows; what was read before is durable by then.
 */
export async function ingestSource(
  engine: IngestEngine,
  source: IngestSource,
  options: IngestOptions = {},
): Promise<IngestReport> {
  engine.admit()
  refuseCancelled(options.signal, ingestCancelled)
  if (typeof source !== 'object' || source === null) throw notASource()
  if (isSubscribable(source)) return ingestPushed(engine, source, options)
  const pull = pullFrom(source, options.signal)
  try {
    const first = await pull.next()
    const transfer = options.transfer ?? isUnsharedFile(source)
    const sink = isText(first) ? byteSink(engine, { ...options, transfer }) : objectSink(engine, options)
    try {
      let item = first
      while (item !== ended && !sink.stopped) {
        const waiting = sink.push(item)
        if (waiting !== undefined) await waiting
        const next = pull.next()
        item = next instanceof Promise ? await next : next
      }
      if (item !== ended) refuseCancelled(options.signal, ingestCancelled)
    } catch (error) {
      await sink.cut()
      throw error
    }
    return await sink.end()
  } finally {
    await pull.close()
  }
}

/**
 * Whether it is a `fs.ReadStream` that nobody else listens to: it allocates each chunk anew and hands it over once, so that
 * the chunks are nobody's but ours.
 */
const isUnsharedFile = (source: object): boolean =>
  'bytesRead' in source &&
  'path' in source &&
  'listenerCount' in source &&
  typeof source.listenerCount === 'function' &&
  source.listenerCount('data') === 0

const notASource = (): SydraError =>
  new SydraError('bad_request', 'ingest takes an iterable, an async iterable, a stream or an Observable of rows', {
    hint: 'a single row goes in an array: db.ingest([row])',
  })

const isSubscribable = (source: IngestSource): source is Subscribable<RowObject> =>
  'subscribe' in source && !(Symbol.asyncIterator in source) && !(Symbol.iterator in source)

const isText = (item: unknown): item is Uint8Array | string => typeof item === 'string' || item instanceof Uint8Array

/** What a source gives when it has nothing more. */
const ended = Symbol('ended')
type Item = RowObject | Uint8Array | string | typeof ended

interface Pull {
  /** A promise only where the source gives one, so that arrays are read at full speed. */
  next(): Item | Promise<Item>
  close(): Promise<void>
}

/** Reads a source item by item; the signal breaks off a pull that waits. */
function pullFrom(source: Exclude<IngestSource, Subscribable<RowObject>>, signal: AbortSignal | undefined): Pull {
  let iterator: Iterator<RowObject> | AsyncIterator<RowObject | Uint8Array | string>
  if (Symbol.asyncIterator in source) iterator = source[Symbol.asyncIterator]()
  else if (Symbol.iterator in source) iterator = source[Symbol.iterator]()
  else throw notASource()
  let over = false
  const itemOf = (result: IteratorResult<Item, unknown>): Item => {
    over = result.done === true
    return over ? ended : (result.value as Item)
  }
  /** Rejects the pull under way. */
  let breakOff: (reason: unknown) => void = () => {}
  const onAbort = (): void => breakOff(cancellation(signal?.reason, ingestCancelled))
  signal?.addEventListener('abort', onAbort, { once: true })
  return {
    next() {
      refuseCancelled(signal, ingestCancelled)
      const result = iterator.next()
      if (!(result instanceof Promise)) return itemOf(result)
      if (signal === undefined) return result.then(itemOf)
      return new Promise((resolve, reject) => {
        breakOff = reject
        result.then(given => resolve(itemOf(given)), reject)
      })
    },
    async close() {
      signal?.removeEventListener('abort', onAbort)
      if (over) return
      const closing = iterator.return?.()
      // a source that is silent closes when it speaks again: nobody can wait for that
      if (signal?.aborted) Promise.resolve(closing).catch(() => {})
      else await closing
    },
  }
}

/** Where pulled items go. `cut` keeps what was complete, of a source that broke off. */
interface Sink {
  readonly stopped: boolean
  push(item: Item): Promise<void> | undefined
  end(): Promise<IngestReport>
  cut(): Promise<unknown>
}

function byteSink(engine: IngestEngine, options: IngestOptions): Sink {
  const stream = openIngestStream(engine, options)
  const encoder = new TextEncoder()
  return {
    get stopped() {
      return stream.stopped
    },
    push(item) {
      if (!isText(item)) throw new SydraError('invalid_row', 'a source gives either bytes and text, or rows, not both')
      return stream.write(typeof item === 'string' ? encoder.encode(item) : item)
    },
    end: () => stream.end(),
    cut: () => stream.cut(),
  }
}

function objectSink(engine: IngestEngine, options: IngestOptions): Sink {
  const collector = new ObjectCollector(engine, options)
  return {
    get stopped() {
      return collector.stopped
    },
    push: item => collector.push(item as RowObject),
    end: () => collector.end(),
    cut: () => collector.end(),
  }
}

function ingestPushed(
  engine: IngestEngine,
  source: Subscribable<RowObject>,
  options: IngestOptions,
): Promise<IngestReport> {
  const { signal } = options
  const collector = new ObjectCollector(engine, options)
  // a Subject, not a subscription: a source may push all of its rows before `subscribe` returns
  const stop = new Subject<void>()
  return new Promise((resolve, reject) => {
    let settled = false
    const settle = (failure?: { readonly error: unknown }): void => {
      if (settled) return
      settled = true
      stop.next()
      signal?.removeEventListener('abort', onAbort)
      collector.end().then(report => (failure === undefined ? resolve(report) : reject(failure.error)), reject)
    }
    const onAbort = (): void => settle({ error: cancellation(signal?.reason, ingestCancelled) })
    signal?.addEventListener('abort', onAbort, { once: true })
    new Observable<RowObject>(subscriber => source.subscribe(subscriber)).pipe(takeUntil(stop)).subscribe({
      next: row => {
        // what waits for a permit is pushed again by the collector itself
        void collector.push(row)
        if (collector.stopped) settle()
        else if (collector.waitingRows > observableRowsMax) settle({ error: tooFast() })
      },
      error: error => settle({ error }),
      complete: () => settle(),
    })
  })
}

const tooFast = (): SydraError =>
  new SydraError('overloaded', `the Observable is ${observableRowsMax} rows ahead of the disk`, {
    hint: 'an Observable has no backpressure: ingest an async iterable, or buffer before it',
  })

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
    if (this.#rows.length === 0 || this.stopped) return undefined
    const rows = this.#rows.splice(0, sliceRowsMax)
    const permitBytes = rows.length * rowObjectBytes
    this.#granted = this.#progress.admit(permitBytes, () => {
      this.#granted = undefined
      this.#progress.settle(permitBytes, () => this.#reader.push(rows), this.#reader)
    })
    return this.#granted
  }
}
