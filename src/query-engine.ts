/**
 * Queries: text to a prepared query (cached), a plan per execution, a pinned version, a stream of batches, statistics.
 *
 * Invariants:
 * 1. Every started query ends: its version is released, its timer stopped and it is counted, whether its reader finished,
 *    stopped early, failed, ran out of time, or the database closed.
 * 2. Prepared queries are kept by text, `preparedMax` of them, the least recently used going first; one made with an older
 *    schema is made anew.
 */

import { type Batch, rowCount, type Schema } from './columnar/batch.ts'
import { SydraError, toSydraError } from './lib/errors.ts'
import type { Ports } from './lib/ports.ts'
import { type Settings, settingNames } from './lib/settings.ts'
import { execute, type PlanDescription } from './operators/execute.ts'
import type { ExecutionContext, OperatorStatistics } from './operators/operator.ts'
import { catalogTables } from './operators/show.ts'
import { createQueryResult, type QueryRun } from './query-result.ts'
import type { Storage } from './recovery.ts'
import { newReadStatistics } from './storage/read-statistics.ts'
import { bind } from './sydraql/bind.ts'
import { explainJson, explainText } from './sydraql/explain.ts'
import type { LogicalPlan } from './sydraql/plan.ts'
import { explainSchema, type Prepared, prepare } from './sydraql/prepare.ts'
import type { DatabaseStatistics, QueryOptions, QueryParameters, QueryResult, QueryStatistics } from './types.ts'

const preparedMax = 256
const batchRows = 8192

export interface QueryEngine {
  query<Row>(text: string, params: QueryParameters, options: QueryOptions): QueryResult<Row>
  /** Throws what is wrong with the text. */
  check(text: string): void
  counts(): DatabaseStatistics['queries']
  /** Cancels what runs; resolves when all of it has ended. */
  close(): Promise<void>
}

export function createQueryEngine(settings: Settings, ports: Ports, storage: Storage): QueryEngine {
  const { clock, timers } = ports
  const { catalog, versions, kernels, duplicates } = storage
  const cache = new Map<string, Prepared>()
  const running = new Set<AbortController>()
  const counts = { started: 0, failed: 0, cancelled: 0, rowsScanned: 0, rowsEmitted: 0 }
  let whenIdle: (() => void) | undefined
  let closed = false
  const tables = catalogTables(catalog, {
    segments: () => versions.segments.map(segment => segment.meta),
    settings: () => settingNames.map(({ name, path }) => [name, settingText(settings, path)] as const),
  })

  const preparedOf = (text: string): Prepared => {
    let prepared = cache.get(text)
    if (prepared?.schemaVersion !== catalog.version) prepared = prepare(text, catalog, () => clock.monotonicMs())
    cache.delete(text)
    cache.set(text, prepared)
    if (cache.size > preparedMax) cache.delete(cache.keys().next().value!)
    return prepared
  }

  const start = (text: string, params: QueryParameters, options: QueryOptions): QueryRun => {
    const startedMs = clock.monotonicMs()
    if (closed) throw new SydraError('shutting_down', 'the database is closing')
    if (running.size >= settings.query.runningMax) {
      throw new SydraError('overloaded', `${running.size} queries already run`, {
        hint: 'wait for one to end, or raise query.running_max',
      })
    }
    counts.started++
    try {
      const cached = cache.get(text)
      const prepared = preparedOf(text)
      const boundMs = clock.monotonicMs()
      const bound = bind(prepared, params, clock.nowUs(), { requireTimeRange: settings.query.requireTimeRange })
      const plannedMs = clock.monotonicMs()
      return run({
        prepared,
        plan: bound.plan,
        firedRules: bound.firedRules,
        options,
        startedMs,
        elapsed: {
          parse: cached === prepared ? 0 : prepared.elapsedMs.parse,
          analyze: cached === prepared ? 0 : prepared.elapsedMs.analyze,
          optimize: plannedMs - boundMs,
        },
      })
    } catch (error) {
      counts.failed++
      throw error
    }
  }

  const run = ({ prepared, plan, firedRules, options, startedMs, elapsed }: Start): QueryRun => {
    const abort = new AbortController()
    const timeoutMs = options.timeoutMs ?? settings.query.timeoutMs
    const read = newReadStatistics()
    const operators: OperatorStatistics[] = []
    const version = versions.pin()
    const context: ExecutionContext = {
      version,
      catalog,
      kernels,
      clock,
      timers,
      signal: abort.signal,
      batchRows,
      memoryMaxBytes: settings.query.memoryMaxBytes,
      duplicates,
      read,
      operators,
    }
    let physical: ReturnType<typeof execute>
    const planStartedMs = clock.monotonicMs()
    try {
      physical = execute(plan, context, { tables })
      if (prepared.explain !== undefined) {
        const bound = { plan, firedRules }
        physical = execute(explanation(bound, physical.describe(), prepared.explain), context)
      }
    } catch (error) {
      version.release()
      throw error
    }
    const planMs = clock.monotonicMs() - planStartedMs
    const traceId = hex(ports.random.bytes(new Uint8Array(8)))
    let firstRowMs = 0
    let totalMs: number | undefined
    let rowsEmitted = 0

    async function* stream(): AsyncGenerator<Batch, void, undefined> {
      const stopTimer =
        timeoutMs === 0
          ? undefined
          : timers.after(
              timeoutMs,
              () => abort.abort(new SydraError('query_timeout', `the query ran longer than ${timeoutMs} ms`)),
              true,
            )
      const onAbort = (): void => abort.abort(cancellation(options.signal?.reason))
      options.signal?.addEventListener('abort', onAbort, { once: true })
      if (options.signal?.aborted) onAbort()
      running.add(abort)
      let complete = false
      try {
        for await (const batch of physical.stream) {
          if (rowsEmitted === 0 && rowCount(batch) > 0) firstRowMs = clock.monotonicMs() - startedMs
          rowsEmitted += rowCount(batch)
          yield batch
        }
        complete = true
      } catch (error) {
        complete = true
        if (toSydraError(error).code === 'cancelled') counts.cancelled++
        else counts.failed++
        throw error
      } finally {
        if (!complete) counts.cancelled++
        end()
        stopTimer?.()
        options.signal?.removeEventListener('abort', onAbort)
        running.delete(abort)
        if (running.size === 0) whenIdle?.()
      }
    }
    const end = (): void => {
      version.release()
      totalMs = clock.monotonicMs() - startedMs
      counts.rowsScanned += read.rowsScanned
      counts.rowsEmitted += rowsEmitted
    }

    const statistics = (): QueryStatistics => ({
      rows_emitted: rowsEmitted,
      rows_scanned: read.rowsScanned,
      segments_scanned: read.segmentsScanned,
      segments_pruned: read.segmentsPruned,
      blocks_scanned: read.blocksScanned,
      blocks_pruned: read.blocksPruned,
      bytes_read: read.bytesRead,
      rollup: null,
      elapsed_ms: {
        parse: round(elapsed.parse),
        analyze: round(elapsed.analyze),
        optimize: round(elapsed.optimize),
        plan: round(planMs),
        first_row: round(firstRowMs),
        total: round(totalMs ?? clock.monotonicMs() - startedMs),
      },
      trace_id: traceId,
      operators: operators.map(operator => ({
        name: operator.name,
        rows_out: operator.rowsOut,
        batches: operator.batches,
        elapsed_ms: round(operator.elapsedMs),
      })),
    })
    return { schema: physical.schema, stream: stream(), abort: () => abort.abort(cancellation(undefined)), statistics }
  }

  return {
    query: (text, params, options) =>
      createQueryResult({
        time: options.time ?? 'us',
        schema: () => preparedOf(text).schema,
        start: () => start(text, params, options),
      }),
    check: text => {
      preparedOf(text)
    },
    counts: () => ({ ...counts, running: running.size }),
    async close() {
      closed = true
      for (const abort of running) abort.abort(new SydraError('shutting_down', 'the database is closing'))
      if (running.size > 0) {
        // A reader that never pulls again would hold the database open: its run is given up after a while.
        await new Promise<void>(resolve => {
          whenIdle = resolve
          timers.after(closeGraceMs, resolve)
        })
      }
    },
  }
}

/** A reason of our own says more than that somebody aborted. */
const cancellation = (reason: unknown): SydraError =>
  reason instanceof SydraError ? reason : new SydraError('cancelled', 'the query was cancelled', { cause: reason })

/** How long closing waits for readers of cancelled queries to notice. */
const closeGraceMs = 1000

interface Start {
  readonly prepared: Prepared
  readonly plan: LogicalPlan
  readonly firedRules: readonly string[]
  readonly options: QueryOptions
  readonly startedMs: number
  readonly elapsed: { readonly parse: number; readonly analyze: number; readonly optimize: number }
}

/** What `explain` answers: the logical plan, the rules that fired, and the operators that would run. */
function explanation(
  bound: { readonly plan: LogicalPlan; readonly firedRules: readonly string[] },
  physical: PlanDescription,
  format: 'text' | 'json',
): LogicalPlan {
  const schema: Schema = explainSchema
  if (format === 'json') {
    const json = JSON.stringify({ ...JSON.parse(explainJson(bound)), physical })
    return { kind: 'values', rows: [[json]], schema }
  }
  const lines = [...explainText(bound).split('\n'), 'operators:', ...physicalLines(physical, '  ')]
  return { kind: 'values', rows: lines.map(line => [line]), schema }
}

function physicalLines({ name, details, rules, inputs }: PlanDescription, indent: string): string[] {
  const words = Object.entries(details).map(([key, value]) => `${key}=${value}`)
  const fired = rules.length === 0 ? [] : [`(${rules.join(', ')})`]
  return [
    indent + [name, ...words, ...fired].join(' '),
    ...inputs.flatMap(input => physicalLines(input, `${indent}  `)),
  ]
}

/** Secrets are not shown. */
function settingText(settings: Settings, path: readonly string[]): string | null {
  const value = path.reduce<unknown>((object, key) => (object as Record<string, unknown>)[key], settings)
  if (path[0] === 'authToken') return value === '' ? '' : '(set)'
  return value === undefined ? null : String(value)
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000
const hex = (bytes: Uint8Array): string => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
