/**
 * The engine: opens storage, wires the pipelines, owns every subscription, and closes all of it in order.
 *
 *   ingest streams -> submissions -> ingest graph -> versions, committed$, acknowledgements
 *   committed$, requests -> freezes -> frozen -> flush graph -> versions, manifest, events$
 *
 * Invariants:
 * 1. `committed$` emits a commit after it is durable by the policy and visible to queries, before its writers are told.
 * 2. At most `frozenMax` memtables wait for the flush; with so many, ingest waits too.
 * 3. A failed flush or fdatasync, or a manifest in doubt, makes the database read-only: queries go on, writers get `read_only`, and
 *    what was acknowledged is safe for the next opening. A flush that only lacks room on the disk is tried again for ever.
 * 4. Closing drains in order: no new sources, the ingest graph, a last flush, live subscribers, then files and lock.
 */
import { first, Observable, type OperatorFunction, ReplaySubject, Subject, Subscription } from 'rxjs'
import { type IntoOptions, into, type Materialized } from './engine/live/into.ts'
import { createLiveEngine, type LiveEngine } from './engine/live/live-engine.ts'
import type { LiveRequestOptions } from './engine/live/request.ts'
import type { LiveEvent, LiveObservable } from './engine/live/types.ts'
import { createQueryEngine, type QueryEngine, type StatementOptions } from './engine/queries/engine.ts'
import { listSeries, seriesAt, seriesWithTags } from './engine/queries/series-listing.ts'
import { createStatements } from './engine/queries/statements.ts'
import { openStorage, type Storage, type StorageOptions } from './engine/recovery/open-storage.ts'
import { verifyOpen, verifyResult } from './engine/recovery/verify.ts'
import { createSnapshots, type Snapshots } from './engine/snapshots/snapshots.ts'
import { permitStatistics, storageStatistics } from './engine/statistics.ts'
import { flushPorts } from './engine/upkeep/flush-ports.ts'
import { type Maintenance, startMaintenance } from './engine/upkeep/maintenance.ts'
import { frozenMax, type MemoryRelief, memoryRelief } from './engine/upkeep/memory-relief.ts'
import { commitPorts } from './engine/writing/commit-ports.ts'
import { ingestColumns } from './engine/writing/ingest-columns.ts'
import { ingestSource, openIngestStream } from './engine/writing/ingest-source.ts'
import type { IngestEngine } from './engine/writing/progress.ts'
import { createWrites } from './engine/writing/writes.ts'
import { refuseCancelled, type Stoppable, unlessCancelled } from './lib/cancel.ts'
import { SydraError, toSydraError } from './lib/errors.ts'
import { createPermits, type Permits } from './lib/permits.ts'
import type { Ports } from './lib/ports.ts'
import type { Settings } from './lib/settings.ts'
import { type FreezeReason, flush, freezes } from './pipeline/flush.ts'
import { type IngestPorts, ingest } from './pipeline/ingest.ts'
import { portScheduler } from './pipeline/scheduler.ts'
import { soonAfter, syncs } from './pipeline/upkeep.ts'
import type { FrozenLayers } from './storage/memtable/layers.ts'
import { NdjsonReader } from './storage/rows/ndjson-reader.ts'
import { ObjectReader } from './storage/rows/object-reader.ts'
import type { Deletion } from './storage/tombstones/tombstones.ts'
import type { Lsn, RowBatch } from './storage/types.ts'
import { type Completion, complete } from './sydraql/editor/complete.ts'
import { type Diagnostic, diagnose } from './sydraql/editor/diagnose.ts'
import type {
  ColumnOptions,
  ColumnRows,
  Committed,
  CompactionOptions,
  CompactionReport,
  Database,
  DatabaseStatistics,
  EngineEvent,
  IngestOptions,
  IngestReport,
  IngestSource,
  IngestStream,
  PreparedQuery,
  QueryParameters,
  QueryResult,
  SeriesInfo,
  VerifyResult,
} from './types.ts'

/** Row batches that become one commit, in bytes of columns. */
const groupBytesMax = 8 * 2 ** 20
/**
 * How soon new series are in the catalog's own log. Only then rows are not lost with a damaged WAL frame that announced
 * their series.
 */
const catalogLogDelayMs = 1000
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

export async function openDatabase(settings: Settings, ports: Ports, options?: StorageOptions): Promise<Database> {
  const events = new ReplaySubject<EngineEvent>(eventsReplayMax)
  const storage = await openStorage(settings, ports, event => events.next(event), options)
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
  readonly #live: LiveEngine
  readonly #snapshots: Snapshots
  readonly #maintenance: Maintenance
  readonly snapshot: Database['snapshot']
  readonly snapshots: Database['snapshots']
  readonly restore: Database['restore']
  readonly diff: Database['diff']
  readonly removeSnapshot: Database['removeSnapshot']
  readonly gc: Database['gc']
  readonly #permits: Permits
  readonly #memory: MemoryRelief
  readonly #ingestEngine: IngestEngine

  readonly #events: Subject<EngineEvent>
  readonly #committed = new Subject<Committed>()
  /** Subscribers of `committed$`: they may keep the batches they see. */
  #watchers = 0
  readonly #submissions = new Subject<Submission>()
  readonly #flushRequests = new Subject<void>()
  readonly #shortages = new Subject<void>()
  readonly #frozen = new Subject<FrozenLayers>()
  /** After each flush and each failed try, and when there will be none any more. */
  readonly #flushed = new Subject<void>()
  readonly #subscriptions = new Subscription()

  #readOnly: SydraError | undefined
  #closing: Promise<void> | undefined
  #ingestDone: Promise<void>
  #firstRowMs = 0
  #flushedLsn: Lsn
  /** Why the last try of a flush that goes on trying failed. */
  #flushProblem: SydraError | undefined
  readonly #counts = { commits: 0, flushes: 0, earlyFlushes: 0, rows: 0, rejected: 0, bytes: 0 }

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
    const freeze = (): void => this.#shortages.next()
    this.#memory = memoryRelief({ settings, storage, permits: this.#permits, timers: ports.timers, freeze })
    const submit = (batch: RowBatch, deletion?: Deletion): Promise<Lsn> =>
      new Promise((accept, refuse) => {
        if (this.#closing === undefined) this.#submissions.next({ batch, deletion, accept, refuse })
        else refuse(shuttingDown())
      })
    const admit = (): void => {
      this.#assertOpen()
      if (this.#readOnly !== undefined) throw this.#readOnly
    }
    this.#snapshots = createSnapshots({
      ports,
      storage,
      admit,
      flush: signal => this.#flushAll(signal),
      letWritersGo: () => this.#flushed.next(),
      emit: event => events.next(event),
    })
    ;({
      snapshot: this.snapshot,
      snapshots: this.snapshots,
      restore: this.restore,
      diff: this.diff,
      removeSnapshot: this.removeSnapshot,
      gc: this.gc,
    } = this.#snapshots)
    const writes = createWrites({ permits: this.#permits, admit, storage, submit })
    const statements = createStatements(storage.catalog, ports.clock)
    this.#queries = createQueryEngine(settings, ports, storage, statements, writes, this.#snapshots.pin)
    this.#live = createLiveEngine({ settings, ports, storage, statements, events })
    this.#ingestEngine = {
      permits: this.#permits,
      ndjsonReader: options => new NdjsonReader(storage.rowWriter, options),
      objectReader: options => new ObjectReader(storage.rowWriter, options),
      settleColumns: (columns, { precision }) => storage.rowWriter.settleColumns(columns, precision),
      submit,
      finished: report => {
        this.#counts.rejected += report.rejected
        this.#counts.bytes += report.bytes
      },
      admit,
      soon: task => ports.timers.soon(task),
    }
    this.#ingestDone = this.#wire()
    storage.whenManifestInDoubt(reason => this.#turnReadOnly(reason))
    const refusal = () => this.#readOnly ?? (this.#closing === undefined ? undefined : shuttingDown())
    this.#maintenance = startMaintenance({ settings, ports, storage, events, refusal })
  }

  // ---- the public face --------------------------------------------------------------------------------------------

  ingest(source: IngestSource, options?: IngestOptions): Promise<IngestReport> {
    return ingestSource(this.#ingestEngine, source, options)
  }

  ingestColumns(columns: ColumnRows, options?: ColumnOptions): Promise<IngestReport> {
    return ingestColumns(this.#ingestEngine, columns, options)
  }

  ingestStream(options?: IngestOptions): IngestStream {
    return openIngestStream(this.#ingestEngine, options)
  }

  query<Row>(text: string, params: QueryParameters = [], options: StatementOptions = {}): QueryResult<Row> {
    return this.#queries.query(text, params, options)
  }

  prepare<Row, Params extends QueryParameters>(text: string, rows: StatementOptions = {}): PreparedQuery<Row, Params> {
    return this.#queries.prepare(text, rows)
  }

  live<Row>(text: string, params: QueryParameters = [], options: LiveRequestOptions = {}): LiveObservable<Row> {
    return this.#live.live(text, params, options)
  }

  into<Row>(metric: string, options?: IntoOptions): OperatorFunction<LiveEvent<Row>, Materialized> {
    return into(this, metric, options)
  }

  complete(text: string, offset: number): Completion {
    return complete(text, offset, this.#storage.catalog, this.#snapshots.names)
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

  seriesAt(ordinal: number): SeriesInfo {
    return seriesAt(this.#storage.catalog, ordinal)
  }

  async flush({ signal }: Stoppable = {}): Promise<void> {
    this.#assertOpen()
    refuseCancelled(signal)
    await this.#flushAll(signal)
  }

  async compact(options: CompactionOptions = {}): Promise<CompactionReport> {
    await this.flush(options)
    return this.#maintenance.compact(options)
  }

  /** Whoever gives up waiting does not stop the flush. */
  async #flushAll(signal?: AbortSignal): Promise<void> {
    const { versions } = this.#storage
    const target = versions.lsn
    while (this.#flushedLsn < target && (!versions.active.isEmpty || versions.frozen.length > 0)) {
      if (this.#readOnly !== undefined) throw this.#readOnly
      const flushed = new Promise<void>(resolve => this.#flushed.pipe(first()).subscribe(() => resolve()))
      if (versions.active.minLsn <= target) this.#flushRequests.next()
      await unlessCancelled(flushed, signal)
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

  verify(options: Stoppable = {}): VerifyResult {
    this.#assertOpen()
    const isClosing = (): boolean => this.#closing !== undefined
    return verifyResult(verifyOpen(this.#ports, this.dataDir, this.#storage, options, isClosing), this.#ports)
  }

  stats(): DatabaseStatistics {
    const { commits, flushes, earlyFlushes, rows, rejected, bytes } = this.#counts
    return {
      ...storageStatistics(this.#storage),
      ingest: { rows, rejected, bytes, ...permitStatistics(this.#permits) },
      queries: this.#queries.counts(),
      live: this.#live.stats(),
      ...this.#maintenance.stats(),
      commits,
      flushes,
      earlyFlushes,
      memory: this.#memory.stats(),
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
      ingest(this.#submissions, this.#commitPorts(), { groupBytesMax }).subscribe({
        next: event => {
          if (event.kind === 'committed') this.#publish(event.lsn, event.group)
          else for (const submission of event.group) submission.refuse(this.#refusal(event.error))
        },
        complete: resolve,
      })
    })

    this.#subscriptions.add(
      freezes(
        { committed: this.#committed, requests: this.#flushRequests, shortages: this.#shortages },
        memtable,
        this.#settings,
        scheduler,
      ).subscribe(reason => this.#freeze(reason)),
    )
    const ports = flushPorts({
      storage: this.#storage,
      clock,
      walKeepBytes: this.#settings.walKeepBytes,
      isTransient: error => this.#waitsForRoom(error),
    })
    this.#subscriptions.add(
      flush(this.#frozen, ports, flushSettings, scheduler).subscribe({
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
    const isUnlogged = (): boolean => catalog.sequence > catalog.logged
    this.#subscriptions.add(
      soonAfter(this.#committed, isUnlogged, () => this.#logCatalog(), catalogLogDelayMs, scheduler).subscribe(),
    )
    if (this.#settings.fsync === 'interval') {
      const { wal } = this.#storage
      const port = { isBehind: () => wal.durableLsn < wal.lastLsn, sync: () => wal.sync() }
      this.#subscriptions.add(
        syncs(this.#committed, port, this.#settings.fsyncIntervalMs, scheduler).subscribe({
          error: error => this.#turnReadOnly(error),
        }),
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

  #commitPorts(): IngestPorts {
    return commitPorts({
      storage: this.#storage,
      syncsEach: this.#settings.fsync === 'always',
      refusal: () => this.#readOnly,
      isFull: () => this.#snapshots.holdsWriters || this.#memory.isFull(),
      flushed: this.#flushed,
      onFirst: () => {
        this.#firstRowMs = this.#ports.clock.monotonicMs()
      },
    })
  }

  #publish(lsn: Lsn, group: readonly Submission[]): void {
    const rows = group.reduce((sum, { batch }) => sum + batch.rowCount, 0)
    this.#counts.commits++
    this.#counts.rows += rows
    const { rowWriter } = this.#storage
    const letGo = this.#watchers > 0 ? () => {} : (batch: RowBatch) => rowWriter.recycle(batch)
    const deletion = group[0]!.deletion
    const batches = group.map(({ batch }) => batch)
    if (deletion === undefined) this.#committed.next({ kind: 'rows', lsn, batches, rows, deleted: undefined })
    else {
      const deleted = { ...deletion, metric: this.#storage.catalog.metricAt(deletion.metric).name }
      this.#committed.next({ kind: 'delete', lsn, batches: [], rows: 0, deleted })
    }
    this.#memory.committed()
    this.#live.committed({ lsn, batches, deletion }, letGo)
    for (const { accept } of group) accept(lsn)
  }

  /** Without a place in the flush the memtable grows on; the next commit asks again. */
  #freeze(reason: FreezeReason): void {
    if (this.#readOnly !== undefined || this.#storage.versions.frozen.length >= frozenMax) return
    const frozen = this.#storage.versions.freeze()
    if (frozen === undefined) return
    if (reason === 'memory') this.#counts.earlyFlushes++
    this.#frozen.next(frozen)
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
    await Promise.all([this.#snapshots.close(), this.#maintenance.close()])
    this.#submissions.complete()
    await this.#ingestDone
    if (this.#readOnly === undefined) {
      try {
        await this.#flushAll()
      } catch (error) {
        this.#ports.log('warn', 'the last flush failed; the WAL has its rows', { error: toSydraError(error).message })
      }
    }
    await this.#live.close()
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

const shuttingDown = (): SydraError => new SydraError('shutting_down', 'the database is closing')
