/**
 * The engine: opens storage, wires the pipelines, owns every subscription, and closes all of it in order.
 *
 *   ingest streams -> submissions -> ingest graph -> versions, committed$, acknowledgements
 *   committed$, requests -> freezes -> frozen -> flush graph -> versions, manifest, events$
 *
 * Invariants:
 * 1. `committed$` emits a commit after it is durable by the policy and visible to queries, before its writers are told.
 * 2. At most `frozenMax` memtables wait for the flush; with so many, ingest waits too.
 * 3. A failed flush or fdatasync makes the database read-only: queries go on, writers get `read_only`, and what was
 *    acknowledged is in the WAL for the next opening. A flush that only lacks room on the disk is tried again for ever.
 * 4. Closing drains in order: no new sources, the ingest graph, a last flush, then files and lock.
 */
import {
  concatMap,
  defer,
  EMPTY,
  endWith,
  exhaustMap,
  first,
  ignoreElements,
  type Observable,
  of,
  ReplaySubject,
  type SchedulerLike,
  Subject,
  Subscription,
  throwError,
  timer,
} from 'rxjs'
import { type IngestEngine, ingestSource, openIngestStream } from './ingest-source.ts'
import { SydraError, toSydraError } from './lib/errors.ts'
import { createPermits, type Permits } from './lib/permits.ts'
import type { Ports } from './lib/ports.ts'
import type { Settings } from './lib/settings.ts'
import { type FlushPorts, type FreezeReason, flush, freezes } from './pipeline/flush.ts'
import { completes, type IngestPorts, ingest } from './pipeline/ingest.ts'
import { portScheduler } from './pipeline/scheduler.ts'
import { createQueryEngine, type QueryEngine } from './query-engine.ts'
import { openStorage, type Storage } from './recovery.ts'
import type { FrozenMemtable } from './storage/memtable/memtable.ts'
import { NdjsonReader } from './storage/rows/ndjson-reader.ts'
import { ObjectReader } from './storage/rows/object-reader.ts'
import type { Lsn, RowBatch } from './storage/types.ts'
import { encodeRowBatches } from './storage/wal/row-frame.ts'
import { walFrameTypes } from './storage/wal/wal.ts'
import type {
  Committed,
  Database,
  DatabaseStatistics,
  EngineEvent,
  IngestOptions,
  IngestReport,
  IngestSource,
  IngestStream,
  PreparedQuery,
  QueryOptions,
  QueryParameters,
  QueryResult,
  SeriesInfo,
  Value,
} from './types.ts'

/** Row batches that become one commit, in bytes of columns. */
const groupBytesMax = 8 * 2 ** 20
/** Catalog records in one WAL frame, in bytes: series may be announced faster than they are written. */
const frameCatalogBytesMax = 16 * 2 ** 20
/** Frozen memtables between ingest and the flush. */
const frozenMax = 2
/** Past events that a new subscriber of `events$` still gets, recovery's among them. */
const eventsReplayMax = 64
/** A full disk is waited for: its writers are told, and the rows of the memtables are in the WAL. */
const flushSettings = { flushRetriesMax: Number.POSITIVE_INFINITY, flushRetryBaseMs: 500 }

interface Submission {
  readonly batch: RowBatch
  accept(lsn: Lsn): void
  refuse(error: SydraError): void
}

export async function openDatabase(settings: Settings, ports: Ports): Promise<Database> {
  const events = new ReplaySubject<EngineEvent>(eventsReplayMax)
  const storage = await openStorage(settings, ports, event => events.next(event))
  return new Engine(settings, ports, storage, events)
}

class Engine implements Database {
  readonly dataDir: string
  readonly committed$: Observable<Committed>
  readonly events$: Observable<EngineEvent>

  readonly #settings: Settings
  readonly #ports: Ports
  readonly #storage: Storage
  readonly #queries: QueryEngine
  readonly #permits: Permits
  readonly #ingestEngine: IngestEngine

  readonly #events: Subject<EngineEvent>
  readonly #committed = new Subject<Committed>()
  readonly #submissions = new Subject<Submission>()
  readonly #flushRequests = new Subject<void>()
  readonly #frozen = new Subject<FrozenMemtable>()
  /** After each flush and each failed try, and when there will be none any more. */
  readonly #flushed = new Subject<void>()
  readonly #subscriptions = new Subscription()

  #readOnly: SydraError | undefined
  #closing: Promise<void> | undefined
  #ingestDone: Promise<void>
  #firstRowMs = 0
  #catalogSequence = 0
  #flushedLsn: Lsn
  /** Why the last try of a flush that goes on trying failed. */
  #flushProblem: SydraError | undefined
  readonly #counts = { commits: 0, flushes: 0, rows: 0, rejected: 0, bytes: 0 }

  constructor(settings: Settings, ports: Ports, storage: Storage, events: Subject<EngineEvent>) {
    this.dataDir = settings.dataDir
    this.#settings = settings
    this.#ports = ports
    this.#storage = storage
    this.#events = events
    this.#flushedLsn = storage.flushedLsn
    this.#firstRowMs = ports.clock.monotonicMs()
    this.committed$ = this.#committed.asObservable()
    this.events$ = events.asObservable()
    this.#permits = createPermits(settings.ingest.inFlightMaxBytes, settings.ingest.waitingMax)
    this.#queries = createQueryEngine(settings, ports, storage)
    this.#ingestEngine = {
      permits: this.#permits,
      ndjsonReader: options => new NdjsonReader(storage.rowWriter, options),
      objectReader: options => new ObjectReader(storage.rowWriter, options),
      submit: batch =>
        new Promise((accept, refuse) => {
          if (this.#closing === undefined) this.#submissions.next({ batch, accept, refuse })
          else refuse(shuttingDown())
        }),
      finished: report => {
        this.#counts.rejected += report.rejected
        this.#counts.bytes += report.bytes
      },
      admit: () => {
        this.#assertOpen()
        if (this.#readOnly !== undefined) throw this.#readOnly
      },
      soon: task => ports.timers.soon(task),
    }
    this.#ingestDone = this.#wire()
  }

  // ---- the public face --------------------------------------------------------------------------------------------

  ingest(source: IngestSource, options?: IngestOptions): Promise<IngestReport> {
    return ingestSource(this.#ingestEngine, source, options)
  }

  ingestStream(options?: IngestOptions): IngestStream {
    return openIngestStream(this.#ingestEngine, options)
  }

  query<Row = Record<string, Value | Date>>(
    text: string,
    params: QueryParameters = [],
    options: QueryOptions = {},
  ): QueryResult<Row> {
    return this.#queries.query(text, params, options)
  }

  prepare<Row = Record<string, Value | Date>>(text: string): PreparedQuery<Row> {
    this.#queries.check(text)
    return { query: (params = [], options = {}) => this.#queries.query<Row>(text, params, options) }
  }

  *findSeries(tags: Readonly<Record<string, string>>, op: 'and' | 'or'): Iterable<SeriesInfo> {
    const { catalog } = this.#storage
    const wanted = Object.entries(tags)
    for (const { id } of catalog.metrics()) {
      const sets = wanted.map(([key, value]) => catalog.seriesWithTag(id, key, value))
      const found = op === 'or' ? new Set(sets.flatMap(set => [...set])) : intersection(sets)
      for (const ordinal of [...found].sort((a, b) => a - b)) yield this.#seriesInfo(ordinal)
    }
  }

  *series(metric?: string): Iterable<SeriesInfo> {
    const { catalog } = this.#storage
    for (const info of catalog.metrics()) {
      if (metric !== undefined && info.name !== metric) continue
      for (const ordinal of catalog.seriesOf(info.id)) yield this.#seriesInfo(ordinal)
    }
  }

  async flush(): Promise<void> {
    this.#assertOpen()
    await this.#flushAll()
  }

  async #flushAll(): Promise<void> {
    const { versions } = this.#storage
    const target = versions.lsn
    while (this.#flushedLsn < target && (versions.active.rowCount > 0 || versions.frozen.length > 0)) {
      if (this.#readOnly !== undefined) throw this.#readOnly
      const flushed = new Promise<void>(resolve => this.#flushed.pipe(first()).subscribe(() => resolve()))
      if (versions.active.rowCount > 0 && versions.active.minLsn <= target) this.#flushRequests.next()
      await flushed
      if (this.#flushProblem !== undefined) throw this.#flushProblem
    }
  }

  /** Whether a failed flush is tried again. Who asked for it is told in any case. */
  #waitsForRoom(error: unknown): boolean {
    const problem = toSydraError(error)
    if (problem.code !== 'disk_full' || this.#closing !== undefined) return false
    this.#flushProblem = problem
    this.#events.next({ kind: 'flush-failed', message: problem.message })
    this.#flushed.next()
    return true
  }

  stats(): DatabaseStatistics {
    const { versions, catalog, wal, quarantined } = this.#storage
    const { segments, active, frozen } = versions
    const total = (pick: (meta: { readonly rows: number; readonly bytes: number }) => number): number =>
      segments.reduce((sum, segment) => sum + pick(segment.meta), 0)
    return {
      lsn: versions.lsn,
      metrics: catalog.metrics().length,
      series: catalog.seriesCount,
      segments: {
        count: segments.length,
        rows: total(meta => meta.rows),
        bytes: total(meta => meta.bytes),
        quarantined: quarantined.length,
      },
      memtable: {
        rows: active.rowCount + frozen.reduce((sum, each) => sum + each.rowCount, 0),
        bytes: active.byteLength + frozen.reduce((sum, each) => sum + each.byteLength, 0),
        frozen: frozen.length,
      },
      wal: { bytes: wal.bytes, files: wal.files, frames: wal.frames, syncs: wal.syncs },
      ingest: {
        rows: this.#counts.rows,
        rejected: this.#counts.rejected,
        bytes: this.#counts.bytes,
        inFlightBytes: this.#permits.inUse,
        inFlightMaxBytes: this.#permits.max,
        inFlightPeakBytes: this.#permits.peak,
        waiting: this.#permits.waiting,
      },
      queries: this.#queries.counts(),
      commits: this.#counts.commits,
      flushes: this.#counts.flushes,
      readOnly: this.#readOnly !== undefined,
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // ---- wiring -----------------------------------------------------------------------------------------------------

  /** Subscribes every pipeline; resolves when the ingest graph has drained after the last submission. */
  #wire(): Promise<void> {
    const { clock, timers } = this.#ports
    const scheduler = portScheduler(clock, timers)
    const { versions } = this.#storage

    const ingestDone = new Promise<void>(resolve => {
      ingest(this.#submissions, this.#ingestPorts(), { groupBytesMax }).subscribe({
        next: event => {
          if (event.kind === 'committed') this.#publish(event.lsn, event.group)
          else for (const submission of event.group) submission.refuse(this.#refusal(event.error))
        },
        complete: resolve,
      })
    })

    this.#subscriptions.add(
      freezes(
        { committed: this.#committed, requests: this.#flushRequests },
        { bytes: () => versions.active.byteLength, ageMs: () => clock.monotonicMs() - this.#firstRowMs },
        this.#settings,
        scheduler,
      ).subscribe(reason => this.#freeze(reason)),
    )
    this.#subscriptions.add(
      flush(this.#frozen, this.#flushPorts(), flushSettings, scheduler).subscribe({
        next: ({ frozen, segments, elapsedMs }) => {
          this.#counts.flushes++
          this.#flushedLsn = frozen.maxLsn
          this.#flushProblem = undefined
          this.#events.next({
            kind: 'flushed',
            segments,
            rows: frozen.rowCount,
            maxLsn: frozen.maxLsn,
            elapsedMs,
          })
          this.#flushed.next()
        },
        error: error => {
          this.#events.next({ kind: 'flush-failed', message: toSydraError(error).message })
          this.#turnReadOnly(error)
        },
      }),
    )
    if (this.#settings.fsync === 'interval') {
      this.#subscriptions.add(
        this.#committed
          .pipe(exhaustMap(() => this.#syncLater(scheduler)))
          .subscribe({ error: error => this.#turnReadOnly(error) }),
      )
    }
    return ingestDone
  }

  /** Syncs the WAL after the interval, and again while there is something that was written meanwhile. */
  #syncLater(scheduler: SchedulerLike): Observable<never> {
    const { wal } = this.#storage
    return timer(this.#settings.fsyncIntervalMs, scheduler).pipe(
      concatMap(() => completes(() => wal.sync())),
      endWith(undefined),
      concatMap(() => (wal.durableLsn < wal.lastLsn ? this.#syncLater(scheduler) : EMPTY)),
    )
  }

  #ingestPorts(): IngestPorts {
    const { versions, wal, catalog } = this.#storage
    const full = (): boolean =>
      versions.frozen.length >= frozenMax && versions.active.byteLength >= this.#settings.memtableMaxBytes
    return {
      room: () =>
        defer(() => {
          if (this.#readOnly !== undefined) return throwError(() => this.#readOnly)
          if (!full()) return EMPTY
          return this.#flushed.pipe(
            first(() => this.#readOnly !== undefined || !full()),
            concatMap(() => (this.#readOnly === undefined ? EMPTY : throwError(() => this.#readOnly))),
            ignoreElements(),
          )
        }),
      append: batches => {
        let from = catalog.confirmed
        let upTo = catalog.pendingWithin(from, frameCatalogBytesMax)
        // More new series than a frame has room for go ahead in frames without rows.
        while (upTo < catalog.sequence) {
          wal.append(walFrameTypes.rows, encodeRowBatches(catalog.pendingSince(from, upTo), []))
          from = upTo
          upTo = catalog.pendingWithin(from, frameCatalogBytesMax)
        }
        this.#catalogSequence = upTo
        return of(wal.append(walFrameTypes.rows, encodeRowBatches(catalog.pendingSince(from, upTo), batches)))
      },
      sync: () => (this.#settings.fsync === 'always' ? completes(() => wal.sync()) : EMPTY),
      apply: (lsn, batches) => {
        catalog.confirm(this.#catalogSequence)
        if (versions.active.rowCount === 0) this.#firstRowMs = this.#ports.clock.monotonicMs()
        versions.apply(lsn, batches)
      },
    }
  }

  #flushPorts(): FlushPorts<FrozenMemtable> {
    const { writeSegments, commitFlush, wal, versions, openSegments } = this.#storage
    return {
      publish: frozen => defer(() => writeSegments(frozen)),
      commit: (frozen, segments) =>
        completes(async () => {
          await commitFlush(frozen, segments)
          versions.flushed(frozen, openSegments(segments))
        }),
      releaseWal: lsn =>
        defer(() => {
          wal.releaseUpTo(lsn, { bytesMax: this.#settings.walKeepBytes, msMax: Number.POSITIVE_INFINITY })
          return EMPTY
        }),
      isTransient: error => this.#waitsForRoom(error),
      nowMs: () => this.#ports.clock.monotonicMs(),
    }
  }

  #publish(lsn: Lsn, group: readonly Submission[]): void {
    const rows = group.reduce((sum, { batch }) => sum + batch.rowCount, 0)
    this.#counts.commits++
    this.#counts.rows += rows
    this.#committed.next({ lsn, batches: group.map(({ batch }) => batch), rows })
    for (const submission of group) submission.accept(lsn)
  }

  /** Without a place in the flush the memtable grows on; the next commit asks again. */
  #freeze(_reason: FreezeReason): void {
    if (this.#readOnly !== undefined || this.#storage.versions.frozen.length >= frozenMax) return
    const frozen = this.#storage.versions.freeze()
    if (frozen !== undefined) this.#frozen.next(frozen)
  }

  /** What a writer is told; a poisoned WAL makes the database read-only. */
  #refusal(error: unknown): SydraError {
    const known = toSydraError(error)
    if (this.#storage.wal.poisoned !== undefined) this.#turnReadOnly(known)
    return known
  }

  #turnReadOnly(error: unknown): void {
    if (this.#readOnly !== undefined) return
    const { message } = toSydraError(error)
    this.#readOnly = new SydraError('read_only', `the database is read-only: ${message}`, {
      hint: 'what was acknowledged is safe; mend the cause and open the database again',
      cause: error,
    })
    this.#events.next({ kind: 'read-only', message })
    this.#flushed.next()
  }

  async #close(): Promise<void> {
    this.#submissions.complete()
    await this.#ingestDone
    if (this.#readOnly === undefined) {
      try {
        await this.#flushAll()
      } catch (error) {
        this.#ports.log('warn', 'the last flush failed; the WAL has its rows', { error: toSydraError(error).message })
      }
    }
    this.#subscriptions.unsubscribe()
    this.#flushed.next()
    await this.#queries.close()
    try {
      await this.#storage.close()
    } finally {
      this.#committed.complete()
      this.#events.complete()
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw shuttingDown()
  }

  #seriesInfo(ordinal: number): SeriesInfo {
    const { catalog } = this.#storage
    return {
      id: catalog.ids.at(ordinal),
      metric: catalog.metricOf(ordinal).name,
      tags: catalog.tagsOf(ordinal),
      printed: catalog.printed.at(ordinal),
    }
  }
}

const shuttingDown = (): SydraError => new SydraError('shutting_down', 'the database is closing')

function intersection(sets: readonly Uint32Array[]): Iterable<number> {
  const [smallest, ...others] = sets.toSorted((a, b) => a.length - b.length)
  if (smallest === undefined) return []
  const rest = others.map(set => new Set(set))
  return smallest.filter(ordinal => rest.every(set => set.has(ordinal)))
}
