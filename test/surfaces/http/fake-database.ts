/** A `Database` that counts lines and gives scripted results: what the HTTP surface sees of one. */
import { NEVER } from 'rxjs'
import type { Batch, Schema } from '../../../src/columnar/batch.ts'
import type { LiveRequestOptions } from '../../../src/engine/live/request.ts'
import { textChunks } from '../../../src/engine/queries/result-text.ts'
import { SydraError, toSydraError } from '../../../src/lib/errors.ts'
import { MemoryAccount } from '../../../src/lib/memory-account.ts'
import { ChunkPool } from '../../../src/storage/memtable/chunk-memory.ts'
import type {
  Database,
  DatabaseStatistics,
  IngestOptions,
  IngestStream,
  LiveObservable,
  QueryParameters,
  QueryResult,
  QueryStatistics,
  RowError,
  RunOptions,
  SeriesInfo,
} from '../../../src/types.ts'
import { FakeLive } from './fake-live.ts'

const lineBytesMax = 1 << 20

export interface FakeQuery {
  readonly text: string
  readonly params: QueryParameters
  readonly options: RunOptions
}

export class FakeDatabase {
  readonly rows: Record<string, unknown>[] = []
  readonly queries: FakeQuery[] = []
  readonly ingestOptions: IngestOptions[] = []
  readonly seriesList: SeriesInfo[] = []
  readonly writes: number[] = []
  flushes = 0
  readOnly = false
  /** Rows (time µs, value) that a query gives, in batches; throws where an Error stands. */
  batches: (signal: AbortSignal | undefined) => AsyncIterable<Batch> = async function* () {}
  /** How long a write makes its source wait; 0 not at all. */
  writeMs = 0
  cuts = 0
  refuse: SydraError | undefined
  /** What a compaction does, and reports. */
  compaction: Database['compact'] = async () => noCompaction
  readonly lives = new FakeLive()

  asDatabase(): Database {
    const fake: Pick<
      Database,
      | 'dataDir'
      | 'ingestStream'
      | 'query'
      | 'live'
      | 'findSeries'
      | 'series'
      | 'flush'
      | 'compact'
      | 'stats'
      | 'committed$'
    > = {
      dataDir: ':memory:',
      ingestStream: options => this.#ingestStream(options ?? {}),
      query: <Row>(text: string, params: QueryParameters = [], options: RunOptions = {}) =>
        this.#query(text, params, options) as unknown as QueryResult<Row>,
      live: <Row>(text: string, params: QueryParameters = [], options: LiveRequestOptions = {}) =>
        this.lives.live(text, params, options) as unknown as LiveObservable<Row>,
      findSeries: (tags, op) => {
        const wanted = Object.entries(tags)
        const has =
          (one: SeriesInfo) =>
          ([key, value]: [string, string]) =>
            one.tags.some(tag => tag[0] === key && tag[1] === value)
        return this.seriesList.filter(one => (op === 'and' ? wanted.every(has(one)) : wanted.some(has(one))))
      },
      series: metric => this.seriesList.filter(one => metric === undefined || one.metric === metric),
      flush: async () => {
        this.flushes++
      },
      compact: options => this.compaction(options),
      stats: () => this.#stats(),
      committed$: NEVER,
    }
    return fake as Database
  }

  #ingestStream(options: IngestOptions): IngestStream {
    if (this.refuse !== undefined) throw this.refuse
    this.ingestOptions.push(options)
    const errors: RowError[] = []
    let rest = Buffer.alloc(0)
    let lines = 0
    let ingested = 0
    let bytes = 0
    let failure: SydraError | undefined
    const take = (line: string): void => {
      lines++
      if (failure !== undefined || line.trim() === '') return
      try {
        const row = JSON.parse(line) as Record<string, unknown>
        if (typeof row['series'] !== 'string') throw new SydraError('invalid_row', 'series is missing')
        this.rows.push(row)
        ingested++
      } catch (error) {
        const bad = error instanceof SydraError ? error : new SydraError('invalid_json', (error as Error).message)
        errors.push({ line: lines, code: bad.code, message: bad.message })
        if (options.onError === 'abort') failure = bad
      }
    }
    const report = async () => ({ ingested, rejected: errors.length, errors, bytes, failure })
    return {
      get stopped() {
        return failure !== undefined
      },
      write: chunk => {
        this.writes.push(chunk.length)
        bytes += chunk.length
        const all = Buffer.concat([rest, chunk])
        const end = all.lastIndexOf(10)
        const before = ingested
        for (const line of end < 0 ? [] : all.subarray(0, end).toString().split('\n')) take(line)
        rest = all.subarray(end + 1)
        if (rest.length > lineBytesMax) failure ??= new SydraError('line_too_long', `line ${lines + 1} is over 1 MiB`)
        if (ingested > before) options.onCommit?.({ lines, lsn: this.rows.length })
        return this.writeMs === 0 ? undefined : new Promise(resolve => setTimeout(resolve, this.writeMs))
      },
      end: () => {
        if (rest.length > 0 && failure === undefined) take(rest.toString())
        return report()
      },
      cut: () => {
        this.cuts++
        return report()
      },
      [Symbol.asyncDispose]: async () => {},
    }
  }

  #query(text: string, params: QueryParameters, options: RunOptions) {
    this.queries.push({ text, params, options })
    let failure: SydraError | undefined
    const { batches } = this
    const abortable = async function* (): AsyncGenerator<Batch> {
      for await (const batch of batches(options.signal)) {
        options.signal?.throwIfAborted()
        yield batch
      }
    }
    return {
      text: (textOptions: Parameters<QueryResult['text']>[0]) =>
        textChunks(
          resultSchema,
          abortable(),
          () => resultStats,
          textOptions,
          error => {
            failure = toSydraError(error)
          },
        ),
      all: async () => ({ columns: [], rows: [{ text }], stats: resultStats }),
      get failure() {
        return failure
      },
    }
  }

  #stats(): DatabaseStatistics {
    return {
      lsn: this.rows.length,
      metrics: 1,
      series: this.seriesList.length,
      segments: { count: 0, rows: 0, bytes: 0, quarantined: 0, damaged: 0 },
      setAside: 0,
      tombstones: 0,
      memtable: { rows: this.rows.length, bytes: 0, frozen: 0 },
      wal: { bytes: 0, files: 1, frames: 0, syncs: 0 },
      ingest: {
        rows: this.rows.length,
        rejected: 0,
        bytes: 0,
        inFlightBytes: 0,
        inFlightMaxBytes: 1,
        inFlightPeakBytes: 0,
        waiting: 0,
      },
      queries: { started: this.queries.length, running: 0, failed: 0, cancelled: 0, rowsScanned: 0, rowsEmitted: 0 },
      live: {
        subscriptions: this.lives.open,
        queries: 0,
        bytes: 0,
        pendingBytes: 0,
        pendingMaxBytes: 1,
        steps: 0,
        reruns: 0,
        rows: 0,
        lagged: 0,
        behindLsns: 0,
      },
      versions: { pins: 0, oldestPinMs: 0, filesWaiting: 0, bytesWaiting: 0 },
      compaction: {
        running: false,
        merges: 0,
        failed: 0,
        rowsRead: 0,
        bytesRead: 0,
        bytesWritten: 0,
        skipped: 0,
        writeAmplification: 1,
      },
      retention: { segments: 0, rows: 0, bytes: 0 },
      commits: 0,
      flushes: this.flushes,
      earlyFlushes: 0,
      memory: {
        ...new MemoryAccount({ limitBytes: 2 ** 24, writersBytes: 0 }).stats(),
        readersExpired: 0,
        chunks: new ChunkPool().stats(),
      },
      readOnly: this.readOnly,
    }
  }
}

const noCompaction = {
  merges: 0,
  failed: 0,
  rowsRead: 0,
  rowsWritten: 0,
  bytesRead: 0,
  bytesWritten: 0,
  elapsedMs: 0,
}

const resultSchema: Schema = [
  { name: 'ts', type: 'timestamp', nullable: false },
  { name: 'value', type: 'float', nullable: false },
]
const resultStats = { rows_emitted: 0, trace_id: 'x' } as QueryStatistics

export function batchOf(...rows: readonly (readonly [timeUs: number, value: number])[]): Batch {
  return {
    length: rows.length,
    columns: [
      { type: 'timestamp', values: Float64Array.from(rows, row => row[0]), valid: undefined },
      { type: 'float', values: Float64Array.from(rows, row => row[1]), valid: undefined },
    ],
    selection: undefined,
  }
}
