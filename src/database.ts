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
  filter,
  first,
  ignoreElements,
  Observable,
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
import { listSeries, seriesWithTags } from './series-listing.ts'
import { permitStatistics, storageStatistics } from './statistics.ts'
import type { FrozenLayers } from './storage/memtable/layers.ts'
import { NdjsonReader } from './storage/rows/ndjson-reader.ts'
import { ObjectReader } from './storage/rows/object-reader.ts'
import { type Deletion, tombstoneSeriesMax, tombstonesMax } from './storage/tombstones/tombstones.ts'
import type { Lsn, RowBatch } from './storage/types.ts'
import { encodeDeletion } from './storage/wal/delete-frame.ts'
import { encodeRowBatches } from './storage/wal/row-frame.ts'
import { walFrameTypes } from './storage/wal/wal.ts'
import { type Completion, complete } from './sydraql/editor/complete.ts'
import { type Diagnostic, diagnose } from './sydraql/editor/diagnose.ts'
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
import { createWrites } from './writes.ts'

/** Row batches that become one commit, in bytes of columns. */
const groupBytesMax = 8 * 2 ** 20
/** Catalog records in one WAL frame, in bytes: series may be announced faster than they are written. */
const frameCatalogBytesMax = 16 * 2 ** 20
/**
 * How soon new series are in the catalog's own log. Only then rows are not lost with a damaged WAL frame that announced
 * their series.
 */
const catalogLogDelayMs = 1000
/** Frozen memtables between ingest and the flush. */
const frozenMax = 2
/** Past events that a new subscriber of `events$` still gets, recovery's among them. */
const eventsReplayMax = 64
/** A full disk is waited for: its writers are told, and the rows of the memtables are in the WAL. */
const flushSettings = { flushRetriesMax: Number.POSITIVE_INFINITY, flushRetryBaseMs: 500 }

interface Submission {
  readonly batch: RowBatch
  readonly deletion?: Deletion | undefined
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
  /** Subscribers of `committed$`: they may keep the batches they see. */
  #watchers = 0
  readonly #submissions = new Subject<Submission>()
  readonly #flushRequests = new Subject<void>()
  readonly #frozen = new Subject<FrozenLayers>()
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
    this.committed$ = new Observable(watcher => {
      this.#watchers++
      watcher.add(() => this.#watchers--)
      return this.#committed.subscribe(watcher)
    })
    this.events$ = events.asObservable()
    this.#permits = createPermits(settings.ingest.inFlightMaxBytes, settings.ingest.waitingMax)
    const submit = (batch: RowBatch, deletion?: Deletion): Promise<Lsn> =>
      new Promise((accept, refuse) => {
        if (this.#closing === undefined) this.#submissions.next({ batch, deletion, accept, refuse })
        else refuse(shuttingDown())
      })
    const admit = (): void => {
      this.#assertOpen()
      if (this.#readOnly !== undefined) throw this.#readOnly
    }
    const writes = createWrites({ permits: this.#permits, admit, storage, submit })
    this.#queries = createQueryEngine(settings, ports, storage, writes)
    this.#ingestEngine = {
      permits: this.#permits,
      ndjsonReader: options => new NdjsonReader(storage.rowWriter, options),
      objectReader: options => new ObjectReader(storage.rowWriter, options),
      submit,
      finished: report => {
        this.#counts.rejected += report.rejected
        this.#counts.bytes += report.bytes
      },
      admit,
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

  complete(text: string, offset: number): Completion {
    return complete(text, offset, this.#storage.catalog)
  }

  diagnose(text: string): Diagnostic[] {
    return diagnose(text, this.#storage.catalog)
  }

  findSeries(tags: Readonly<Record<string, string>>, op: 'and' | 'or'): Iterable<SeriesInfo> {
    return seriesWithTags(this.#storage.catalog, tags, op)
  }

  series(metric?: string): Iterable<SeriesInfo> {
    return listSeries(this.#storage.catalog, metric)
  }

  async flush(): Promise<void> {
    this.#assertOpen()
    await this.#flushAll()
  }

  async #flushAll(): Promise<void> {
    const { versions } = this.#storage
    const target = versions.lsn
    while (this.#flushedLsn < target && (!versions.active.isEmpty || versions.frozen.length > 0)) {
      if (this.#readOnly !== undefined) throw this.#readOnly
      const flushed = new Promise<void>(resolve => this.#flushed.pipe(first()).subscribe(() => resolve()))
      if (versions.active.minLsn <= target) this.#flushRequests.next()
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
    const { commits, flushes, rows, rejected, bytes } = this.#counts
    return {
      ...storageStatistics(this.#storage),
      ingest: { rows, rejected, bytes, ...permitStatistics(this.#permits) },
      queries: this.#queries.counts(),
      commits,
      flushes,
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
    const { versions, catalog } = this.#storage
    const memtable = {
      isEmpty: () => versions.active.isEmpty,
      isFull: () => versions.active.isFull(this.#settings.memtableMaxBytes),
      ageMs: () => clock.monotonicMs() - this.#firstRowMs,
    }

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
        memtable,
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
    this.#subscriptions.add(
      this.#committed
        .pipe(
          filter(() => catalog.sequence > catalog.logged),
          exhaustMap(() =>
            timer(catalogLogDelayMs, scheduler).pipe(concatMap(() => completes(() => this.#logCatalog()))),
          ),
        )
        .subscribe(),
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

  /** The next flush does it in any case. */
  async #logCatalog(): Promise<void> {
    if (this.#readOnly !== undefined) return
    try {
      await this.#storage.logCatalog()
    } catch (error) {
      this.#ports.log('warn', 'cannot write the catalog log yet', { error: toSydraError(error).message })
    }
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
      versions.frozen.length >= frozenMax && versions.active.isFull(this.#settings.memtableMaxBytes)
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
      append: (batches, deletion) => {
        if (deletion === undefined)
          return of(wal.append(walFrameTypes.rows, encodeRowBatches(this.#announce(), batches)))
        if (!versions.tombstones.hasRoomFor(deletion)) return throwError(tooManyTombstones)
        return of(wal.append(walFrameTypes.delete, encodeDeletion(this.#announce(), deletion)))
      },
      sync: () => (this.#settings.fsync === 'always' ? completes(() => wal.sync()) : EMPTY),
      apply: (lsn, batches, deletion) => {
        catalog.confirm(this.#catalogSequence)
        if (versions.active.isEmpty) this.#firstRowMs = this.#ports.clock.monotonicMs()
        if (deletion === undefined) versions.apply(lsn, batches)
        else versions.delete(lsn, deletion, catalog.metricAt(deletion.metric))
      },
    }
  }

  /** What the catalog has new, for the next frame. More than a frame has room for goes ahead in frames without rows. */
  #announce(): Uint8Array {
    const { wal, catalog } = this.#storage
    let from = catalog.confirmed
    let upTo = catalog.pendingWithin(from, frameCatalogBytesMax)
    while (upTo < catalog.sequence) {
      wal.append(walFrameTypes.rows, encodeRowBatches(catalog.pendingSince(from, upTo), []))
      from = upTo
      upTo = catalog.pendingWithin(from, frameCatalogBytesMax)
    }
    this.#catalogSequence = upTo
    return catalog.pendingSince(from, upTo)
  }

  #flushPorts(): FlushPorts<FrozenLayers> {
    const { writeSegments, commitFlush, wal, versions, openSegments } = this.#storage
    return {
      publish: frozen => defer(() => writeSegments(frozen)),
      commit: (frozen, segments) =>
        completes(async () => {
          const live = await commitFlush(frozen, segments)
          versions.flushed(frozen, openSegments(segments), live)
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
    const watched = this.#watchers > 0
    const deletion = group[0]!.deletion
    if (deletion === undefined)
      this.#committed.next({ kind: 'rows', lsn, batches: group.map(({ batch }) => batch), rows, deleted: undefined })
    else {
      const deleted = { ...deletion, metric: this.#storage.catalog.metricAt(deletion.metric).name }
      this.#committed.next({ kind: 'delete', lsn, batches: [], rows: 0, deleted })
    }
    for (const { batch, accept } of group) {
      if (!watched) this.#storage.rowWriter.recycle(batch)
      accept(lsn)
    }
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
}

const tooManyTombstones = (): SydraError =>
  new SydraError(
    'overloaded',
    `${tombstonesMax} deletes, or deletes of ${tombstoneSeriesMax} listed series, still hide rows in segments`,
    { hint: 'delete larger ranges, or all series of a metric, in one statement' },
  )

const shuttingDown = (): SydraError => new SydraError('shutting_down', 'the database is closing')
