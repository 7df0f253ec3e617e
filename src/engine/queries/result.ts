/**
 * QueryResult: one run of a query, read as rows, batches or text.
 *
 * Invariants:
 * 1. Nothing runs before the first pull; a result is read once.
 * 2. However reading ends — to the end, by `break`, by an error, by unsubscribing — the run is closed, which releases its
 *    version. Whoever stops reading does not wait for the rows that are being worked out.
 */
import { Observable, type Subscribable } from 'rxjs'
import { type Batch, type Column, rowCount, type Schema } from '../../columnar/batch.ts'
import { copyBatch } from '../../columnar/copy.ts'
import { SydraError } from '../../lib/errors.ts'
import type { QueryResult, QueryStatistics, TextOptions, Value } from '../../types.ts'
import { textChunks } from './result-text.ts'

/** A started query: planned, its version pinned. */
export interface QueryRun {
  readonly schema: Schema
  readonly stream: AsyncGenerator<Batch, void, undefined>
  /** Ends the stream with `cancelled` within one batch, also while it is being pulled. */
  abort(): void
  /** Resolves when a stream that was pulled has let go of all it held. */
  readonly ended: Promise<void>
  statistics(): QueryStatistics
}
export interface QuerySource {
  readonly time: 'us' | 'date'
  /** Parses and types, without pinning anything. Throws what the query would. */
  schema(): Schema
  /** Plans and pins. The run ends with its stream. */
  start(): QueryRun
}

type Cell = Value | Date

/** RxJS reads this key; it is a symbol where a polyfill made one. */
const observableKey: typeof Symbol.observable = (Symbol.observable ?? '@@observable') as typeof Symbol.observable

export const createQueryResult = <Row>(source: QuerySource): QueryResult<Row> => new Result<Row>(source)

/** Its functions stand alone, too. */
class Result<Row> implements QueryResult<Row> {
  readonly #reading: Reading

  constructor(source: QuerySource) {
    this.#reading = { source, run: undefined, failure: undefined, isDisposed: false }
  }

  get failure(): SydraError | undefined {
    return this.#reading.failure
  }

  readonly columns = async (): Promise<Schema> => this.#reading.source.schema()

  readonly all = async (): Promise<{ columns: Schema; rows: Row[]; stats: QueryStatistics }> => {
    const { schema, stream } = start(this.#reading)
    const toRow = rowReader(schema, this.#reading.source.time)
    const all: Row[] = []
    for await (const batch of stream) {
      const { selection } = batch
      for (let index = 0, count = rowCount(batch); index < count; index++) {
        all.push(toRow(batch, selection === undefined ? index : selection[index]!) as Row)
      }
    }
    return { columns: schema, rows: all, stats: this.stats() }
  }

  readonly first = async (): Promise<Row | undefined> => {
    for await (const row of rows<Row>(this.#reading)) return row
    return undefined
  }

  readonly batches = ({ borrow = false }: { readonly borrow?: boolean } = {}): AsyncGenerator<Batch, void, undefined> =>
    new PromptlyEnded(batches(this.#reading, borrow), this.#reading)

  readonly text = (options: TextOptions): AsyncGenerator<Uint8Array, void, undefined> =>
    new PromptlyEnded(text(this.#reading, this.stats, options), this.#reading)

  readonly stats = (): QueryStatistics => {
    const { run } = this.#reading
    if (run === undefined) throw new SydraError('bad_request', 'statistics come with reading the result')
    return run.statistics()
  };

  [Symbol.asyncIterator](): AsyncGenerator<Row, void, undefined> {
    return new PromptlyEnded(rows<Row>(this.#reading), this.#reading)
  }

  [observableKey](): Subscribable<Row> {
    return observe(started => rows<Row>(this.#reading, started))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#reading.isDisposed = true
    this.#reading.run?.abort()
    await this.#reading.run?.ended
  }
}

interface Reading {
  readonly source: QuerySource
  run: QueryRun | undefined
  failure: SydraError | undefined
  isDisposed: boolean
}

function start(reading: Reading): QueryRun {
  if (reading.run !== undefined || reading.isDisposed)
    throw new SydraError('bad_request', 'a query result is read once; run the query again')
  return (reading.run = reading.source.start())
}

async function* rows<Row>(reading: Reading, started?: (run: QueryRun) => void): AsyncGenerator<Row, void, undefined> {
  const own = start(reading)
  started?.(own)
  const { schema, stream } = own
  const toRow = rowReader(schema, reading.source.time)
  for await (const batch of stream) {
    const { selection } = batch
    for (let index = 0, count = rowCount(batch); index < count; index++) {
      yield toRow(batch, selection === undefined ? index : selection[index]!) as Row
    }
  }
}

async function* batches(reading: Reading, borrow: boolean): AsyncGenerator<Batch, void, undefined> {
  for await (const batch of start(reading).stream) yield borrow ? batch : copyBatch(batch)
}

async function* text(
  reading: Reading,
  stats: () => QueryStatistics,
  options: TextOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { schema, stream } = start(reading)
  yield* textChunks(schema, stream, stats, options, error => {
    reading.failure = error
  })
}

/** Its `return` ends the run at once; a generator's own would wait for what is being worked out. */
class PromptlyEnded<T> implements AsyncGenerator<T, void, undefined> {
  readonly #generator: AsyncGenerator<T, void, undefined>
  readonly #reading: Reading

  constructor(generator: AsyncGenerator<T, void, undefined>, reading: Reading) {
    this.#generator = generator
    this.#reading = reading
  }

  next(): Promise<IteratorResult<T, void>> {
    return this.#generator.next()
  }
  return(value?: void | PromiseLike<void>): Promise<IteratorResult<T, void>> {
    this.#reading.run?.abort()
    return this.#generator.return(value)
  }
  throw(error: unknown): Promise<IteratorResult<T, void>> {
    return this.#generator.throw(error)
  }
  [Symbol.asyncIterator](): this {
    return this
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}

/** Pushes rows; unsubscribing stops the query within one batch. */
function observe<Row>(
  rows: (started: (run: QueryRun) => void) => AsyncGenerator<Row, void, undefined>,
): Subscribable<Row> {
  return new Observable<Row>(subscriber => {
    let run: QueryRun | undefined
    const drive = async (): Promise<void> => {
      for await (const row of rows(started => (run = started))) {
        subscriber.next(row)
        if (subscriber.closed) return
      }
      subscriber.complete()
    }
    drive().catch((error: unknown) => subscriber.error(error))
    return () => run?.abort()
  })
}

/** Builds row objects with one hidden class for the whole result. */
function rowReader(schema: Schema, time: 'us' | 'date'): (batch: Batch, row: number) => Record<string, Cell> {
  // assigning `__proto__`, a name like any other here, would set the prototype
  const names = schema.map(({ name }) => name)
  const isOrdinary = !names.includes('__proto__')
  const dates = schema.map(({ type }) => type === 'timestamp' && time === 'date')
  return (batch, row) => {
    const object: Record<string, Cell> = {}
    for (let index = 0; index < schema.length; index++) {
      const cell = cellOf(batch.columns[index]!, row)
      const value = dates[index] && cell !== null ? new Date((cell as number) / 1000) : cell
      if (isOrdinary) object[names[index]!] = value
      else Object.defineProperty(object, names[index]!, { value, enumerable: true, configurable: true, writable: true })
    }
    return object
  }
}

function cellOf(column: Column, row: number): Value {
  if (column.valid !== undefined && column.valid[row] === 0) return null
  if (column.type === 'string') return column.dictionary.at(column.values[row]!)
  if (column.type === 'boolean') return column.values[row] === 1
  return column.values[row]!
}
