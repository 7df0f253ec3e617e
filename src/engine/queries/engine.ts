/**
 * Queries: a prepared text, a plan per execution, a pinned version, a run of batches. `insert` and `delete` go to the engine's writes and answer with one row.
 *
 * Invariants:
 * 1. A started query holds its version and its temporary files until its run ends (`run.ts`).
 * 2. A write begins with the first pull and is never undone: who stops reading then does not learn how it went.
 */
import { ArenaPool } from '../../columnar/arena.ts'
import { rowCount, type Schema } from '../../columnar/batch.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Clock, Ports } from '../../lib/ports.ts'
import { type Settings, settingNames } from '../../lib/settings.ts'
import { megabytes } from '../../lib/text.ts'
import { execute, type Running } from '../../operators/execute.ts'
import type { BatchStream, ExecutionContext, OperatorStatistics } from '../../operators/operator.ts'
import { catalogTables } from '../../operators/show.ts'
import { spillSpace } from '../../operators/spill/space.ts'
import { values } from '../../operators/values.ts'
import { newReadStatistics } from '../../storage/read-statistics.ts'
import type { ReadStatistics, Version } from '../../storage/types.ts'
import { type Bound, bind, isFixed } from '../../sydraql/bind.ts'
import { bindWrite } from '../../sydraql/bind-write.ts'
import type { Prepared } from '../../sydraql/prepare.ts'
import type { Write } from '../../sydraql/query.ts'
import type {
  DatabaseStatistics,
  PreparedQuery,
  QueryParameters,
  QueryResult,
  QueryStatistics,
  RunOptions,
} from '../../types.ts'
import type { Storage } from '../recovery/open-storage.ts'
import { analysis, asLive, explanation } from './explain.ts'
import { createQueryResult, type QueryRun } from './result.ts'
import { createRuns, round, type Work } from './run.ts'
import type { Statements } from './statements.ts'
import { pinVersions } from './versions.ts'

export const batchRows = 8192

export interface StatementOptions extends RunOptions {
  readonly time?: 'us' | 'date' | undefined
}

export interface QueryEngine {
  query<Row>(text: string, params: QueryParameters, options: StatementOptions): QueryResult<Row>
  /** Throws what is wrong with the text. */
  prepare<Row, Params extends QueryParameters>(text: string, rows: StatementOptions): PreparedQuery<Row, Params>
  counts(): DatabaseStatistics['queries']
  /** Cancels what runs; resolves when all of it has ended. */
  close(): Promise<void>
}

export type InsertWrite = Extract<Write, { kind: 'insert' }>
export type DeleteWrite = Extract<Write, { kind: 'delete' }>

/**
 * What `insert` and `delete` ask of the engine. Both answer once the write is durable under the fsync policy. The signal ends the
 * waiting: a write that has begun goes on.
 */
export interface Writes {
  /** All rows or none; how many were written. Throws what an ingest of them would. */
  insert(write: InsertWrite, signal: AbortSignal): Promise<number>
  /** How many series it concerns now. */
  delete(write: DeleteWrite, signal: AbortSignal): Promise<number>
}

/** `pinPast`: what a reader sees as of a snapshot. */
export function createQueryEngine(
  settings: Settings,
  ports: Ports,
  storage: Storage,
  statements: Statements,
  writes: Writes,
  pinPast: (ref: string) => Version,
): QueryEngine {
  const { clock, timers } = ports
  const { catalog, versions, kernels, duplicates, memory } = storage
  const { memoryMaxBytes, spillMaxBytes, requireTimeRange } = settings.query
  const temporaryFiles =
    settings.dataDir === ':memory:' || spillMaxBytes === 0
      ? undefined
      : spillSpace(ports.files, settings.dataDir, { memoryMaxBytes, bytesMax: spillMaxBytes })
  const disabledRules: ReadonlySet<string> = new Set(settings.rollups.enabled ? [] : ['rollup'])
  const runs = createRuns(ports)
  const arenas = new ArenaPool()
  memory.gives('spare', arenas, arenas.bytesMax)
  let closed = false
  const tables = catalogTables(catalog, {
    segments: () => versions.segments.flatMap(({ meta }) => (meta.rollup === undefined ? meta : [])),
    rollups: () => versions.segments.filter(({ meta }) => meta.rollup !== undefined),
    settings: () => settingNames.map(({ name, path }) => [name, settingText(settings, path)] as const),
  })

  const start = (text: string, params: QueryParameters, options: RunOptions): QueryRun => {
    const startedMs = clock.monotonicMs()
    if (closed) throw shuttingDown()
    if (runs.running >= settings.query.runningMax) {
      throw new SydraError('overloaded', `${runs.running} queries already run`, {
        hint: 'wait for one to end, or raise query.running_max',
      })
    }
    runs.count('started')
    try {
      const isKnown = statements.knows(text)
      const prepared = statements.prepared(text)
      const { parse, analyze } = isKnown ? nothingElapsed : prepared.elapsedMs
      const abort = new AbortController()
      const boundMs = clock.monotonicMs()
      const makeWork = workOf(prepared, params, startedMs, abort)
      const plannedMs = clock.monotonicMs()
      const work = makeWork()
      return runs.begin(work, {
        abort,
        signal: options.signal,
        timeoutMs: options.timeoutMs ?? settings.query.timeoutMs,
        startedMs,
        elapsedMs: { parse, analyze, optimize: plannedMs - boundMs, plan: clock.monotonicMs() - plannedMs },
      })
    } catch (error) {
      runs.count('failed')
      throw error
    }
  }

  /** Binds, then makes the work. */
  const workOf = (
    prepared: Prepared,
    params: QueryParameters,
    startedMs: number,
    abort: AbortController,
  ): (() => Work) => {
    if (prepared.statement === 'insert' || prepared.statement === 'delete') {
      const write = bindWrite(prepared, params, clock.nowUs())
      return () => writing(prepared, write, abort.signal)
    }
    const bound = bind(prepared, params, clock.nowUs(), { requireTimeRange })
    return () => reading(prepared, params, bound, startedMs, abort)
  }

  const writing = ({ schema }: Prepared, write: Write, signal: AbortSignal): Work => {
    const operators: OperatorStatistics[] = []
    return {
      schema,
      read: newReadStatistics(),
      operators,
      open: () => written(write, { clock, writes, schema, operators, signal }),
      release() {},
    }
  }

  const reading = (
    prepared: Prepared,
    params: QueryParameters,
    bound: Bound,
    startedMs: number,
    abort: AbortController,
  ): Work => {
    const { signal } = abort
    const pin = () => versions.pin(() => abort.abort(snapshotExpired(settings)))
    const pinned = pinVersions(bound.plan, prepared.text, { pin, pinPast })
    const { version, versionAt } = pinned
    const read = newReadStatistics()
    const operators: OperatorStatistics[] = []
    const spill = temporaryFiles?.open(signal)
    const sharedMemory = memory.openQuery()
    const arena = arenas.take()
    const context: ExecutionContext = {
      version,
      versionAt,
      catalog,
      kernels,
      clock,
      timers,
      signal,
      batchRows,
      memoryMaxBytes,
      sharedMemory,
      spill,
      arrays: arena,
      duplicates,
      read,
      operators,
    }
    const release = (): void => {
      pinned.release()
      sharedMemory.close()
      spill?.close()
      // Who was cut off may still look at the last batch.
      if (!signal.aborted) arenas.give(arena)
    }
    try {
      const { explain } = prepared
      const running = execute(bound.plan, context, { tables, disabledRules, isFixed: isFixed(prepared) })
      const work = { schema: prepared.schema, read, operators, release }
      if (explain === undefined) return { ...work, open: () => running.stream }
      if (!explain.analyze) {
        const live = asLive(prepared, params, storage, settings.live, clock.nowUs())
        return { ...work, open: () => values(explanation(bound, running.describe(), live, explain.format)) }
      }
      const spilledBytes = (): number => spill?.writtenBytes ?? 0
      const analyzed = { bound, running, read, clock, startedMs, spilledBytes, format: explain.format }
      return { ...work, open: statistics => analyzing(analyzed, statistics) }
    } catch (error) {
      release()
      throw error
    }
  }

  const query = <Row>(text: string, params: QueryParameters, options: StatementOptions): QueryResult<Row> =>
    createQueryResult({
      time: options.time ?? 'us',
      schema: () => statements.prepared(text).schema,
      start: () => start(text, params, options),
    })

  return {
    query,
    prepare(text, rows) {
      statements.prepared(text)
      return { query: (...[params = [], options]) => query(text, params, { ...options, time: rows.time }) }
    },
    counts: runs.counts,
    close() {
      closed = true
      return runs.close(shuttingDown())
    },
  }
}

interface Writing {
  readonly clock: Clock
  readonly writes: Writes
  readonly schema: Schema
  readonly operators: OperatorStatistics[]
  readonly signal: AbortSignal
}

async function* written(write: Write, { clock, writes, schema, operators, signal }: Writing): BatchStream {
  signal.throwIfAborted()
  const beganMs = clock.monotonicMs()
  const count = await (write.kind === 'insert' ? writes.insert(write, signal) : writes.delete(write, signal))
  const elapsedMs = clock.monotonicMs() - beganMs
  operators.push({ name: write.kind, operator: { name: write.kind }, rowsOut: 1, batches: 1, elapsedMs })
  yield* values({ kind: 'values', rows: [[count]], schema })
}

interface Analyzing {
  readonly bound: Bound
  readonly running: Running
  readonly read: ReadStatistics
  readonly clock: Clock
  readonly startedMs: number
  spilledBytes(): number
  readonly format: 'text' | 'json'
}

/** Runs the query to its end; what it did is the answer. */
async function* analyzing(
  { bound, running, read, clock, startedMs, spilledBytes, format }: Analyzing,
  statistics: () => QueryStatistics,
): BatchStream {
  let rows = 0
  let firstRowMs = 0
  for await (const batch of running.stream) {
    if (rows === 0 && rowCount(batch) > 0) firstRowMs = clock.monotonicMs() - startedMs
    rows += rowCount(batch)
  }
  const all = statistics()
  const elapsed_ms = { ...all.elapsed_ms, first_row: round(firstRowMs) }
  const ran = {
    bound,
    operators: running.describe(),
    statistics: { ...all, rows_emitted: rows, elapsed_ms },
    memoryPeakBytes: running.memoryPeakBytes(),
    spilledBytes: spilledBytes(),
    rollupBuckets: read.rollups ?? new Map(),
  }
  yield* values(analysis(ran, format))
}

const nothingElapsed = { parse: 0, analyze: 0 }
const shuttingDown = (): SydraError => new SydraError('shutting_down', 'the database is closing')

export const snapshotExpired = ({ memLimitBytes }: Settings): SydraError =>
  new SydraError(
    'snapshot_expired',
    `memory that the query still read is needed: all of mem_limit_bytes (${megabytes(memLimitBytes)}) is taken`,
    {
      hint: 'read its rows without long pauses, run fewer queries at once, or raise mem_limit_bytes',
    },
  )

/** Secrets are not shown. */
function settingText(settings: Settings, path: readonly string[]): string | null {
  const value = path.reduce<unknown>((object, key) => (object as Record<string, unknown>)[key], settings)
  if (path[0] === 'authToken') return value === '' ? '' : '(set)'
  if (Array.isArray(value)) return value.join(',')
  if (typeof value === 'object')
    return Object.entries(value ?? {})
      .map(pair => pair.join('='))
      .join(',')
  return value === undefined ? null : String(value)
}
