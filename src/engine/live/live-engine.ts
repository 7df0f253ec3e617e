/**
 * Live queries of a database: who subscribes to what, which commits concern whom, and when each query gets on.
 *
 *   commit -> frontier (which rows are late) -> backlog -> queries that read the metric
 *   round  -> newcomers -> every query that is due, to the version of now -> first answers
 *
 * Invariants:
 * 1. Within a commit rows are only classified and kept; everything else, subscribers' callbacks among it, is done in rounds
 *    (`pipeline/live.ts`) and when what a round began ends.
 * 2. A query is registered for its metrics in the turn in which its version was pinned: no commit is missed, none told twice.
 * 3. Equal queries are one: the same text and parameters. What it costs goes with the last subscriber.
 * 4. No query waits for another: what takes long goes on beside the rounds. A round gives others their turn after
 *    `turnMaxMs`, and is followed by a rest as long as it worked, `restMaxMs` at most: commits that come meanwhile are one step.
 * 5. Once `close` was called everything committed is told, and then that there is no more; what takes longer than
 *    `closeGraceMs` is given up.
 */
import { BehaviorSubject, defer, filter, from, Observable, Subject, type Subscription as Teardown } from 'rxjs'
import { cancellation } from '../../lib/cancel.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import { createPermits } from '../../lib/permits.ts'
import type { Ports } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import type { CommittedDelete, CommittedRows } from '../../operators/live/types.ts'
import { liveRounds, type RoundReason } from '../../pipeline/live.ts'
import { portScheduler } from '../../pipeline/scheduler.ts'
import type { Deletion } from '../../storage/tombstones/tombstones.ts'
import type { Lsn, RowBatch } from '../../storage/types.ts'
import type { EngineEvent, QueryParameters } from '../../types.ts'
import { snapshotExpired } from '../queries/engine.ts'
import type { Statements } from '../queries/statements.ts'
import type { Storage } from '../recovery/open-storage.ts'
import { Backlog } from './backlog.ts'
import type { LiveEnvironment } from './environment.ts'
import { Frontier } from './frontier.ts'
import { PinnedVersion } from './pinned.ts'
import { Registry } from './registry.ts'
import { checkedRequest, type LiveRequest, type LiveRequestOptions } from './request.ts'
import { SharedQuery } from './shared-query.ts'
import { LiveStream } from './stream.ts'
import { Subscription } from './subscription.ts'
import type { LiveObservable, LiveStatistics } from './types.ts'

/** Snapshots, and readings of the log, that run at once. */
const answersMax = 4
/** How long a round works before others get their turn. */
const turnMaxMs = 8
/** The longest pause between two rounds. */
const restMaxMs = 100
/** How long closing waits for what is being worked out. */
const closeGraceMs = 5000
/** Of `mem_limit_bytes`: what states and recent changes of all live queries may take. */
const memoryShareMax = 1 / 2
/** Event ids have `now()` in ms. */
const nowStepUs = 1000

export interface LiveEngineOptions {
  readonly settings: Settings
  readonly ports: Ports
  readonly storage: Storage
  readonly statements: Statements
  readonly events: Observable<EngineEvent>
}

export interface LiveCommit {
  readonly lsn: Lsn
  readonly batches: readonly RowBatch[]
  readonly deletion: Deletion | undefined
}

export interface LiveEngine {
  live<Row>(text: string, params: QueryParameters, options: LiveRequestOptions): LiveObservable<Row>
  /** Takes in a commit that is visible. `letGo` is called for each batch when its rows are not read any more. */
  committed(commit: LiveCommit, letGo: (batch: RowBatch) => void): void
  stats(): LiveStatistics
  /** Tells what was committed, then completes all subscribers. */
  close(): Promise<void>
}

export const createLiveEngine = (options: LiveEngineOptions): LiveEngine => new Live(options)

class Live implements LiveEngine {
  readonly #settings: Settings
  readonly #ports: Ports
  readonly #storage: Storage
  readonly #environment: LiveEnvironment
  readonly #frontier: Frontier
  readonly #backlog: Backlog
  readonly #registry: Registry
  readonly #subscriptions = new Set<Subscription>()
  /** Those that no round has looked at yet. */
  readonly #newcomers = new Map<Subscription, LiveRequest>()
  readonly #active = new BehaviorSubject(false)
  readonly #commits = new Subject<void>()
  readonly #wakes = new Subject<void>()
  /** From the first subscription on: without one there is nothing to tell. */
  readonly #startRounds: () => Teardown
  #rounds: Teardown | undefined
  /** Of the history of commits that LSNs are of; the manifest's. */
  #incarnation: number
  #replacements: number
  #nowUs = 0
  #bytes = 0
  #restUntilMs = 0
  #round: Promise<void> = Promise.resolve()
  #isShrinking = false
  #isClosing = false

  constructor({ settings, ports, storage, statements, events }: LiveEngineOptions) {
    this.#settings = settings
    this.#ports = ports
    this.#storage = storage
    this.#frontier = new Frontier(storage.catalog)
    this.#backlog = new Backlog(settings.live.pendingMaxBytes)
    this.#registry = new Registry(this.#frontier)
    const { databaseId, incarnation } = storage.manifestState()
    // without a sync before each acknowledgement commits may be gone after a crash, and others have their LSNs
    const opening = settings.fsync === 'always' ? [] : [...ports.random.bytes(new Uint8Array(8))]
    this.#incarnation = incarnation
    this.#replacements = storage.versions.replacements
    this.#environment = {
      settings,
      ports,
      storage,
      disabledRules: new Set(settings.rollups.enabled ? [] : ['rollup']),
      backlog: this.#backlog,
      frontier: this.#frontier,
      answerPermits: createPermits(answersMax, Number.POSITIVE_INFINITY),
      counts: { steps: 0, reruns: 0, rows: 0, lagged: 0 },
      prepare: text => statements.prepared(text),
      historyId: () => [databaseId, storage.catalog.incarnation, opening, this.#incarnation],
      now: () => this.#advanceNow(),
      wake: () => this.#wakes.next(),
      kept: bytes => {
        this.#bytes += bytes
        if (bytes > 0) this.#shrinkTo(this.#bytesMax)
      },
      closed: query => this.#registry.remove(query),
    }
    const live = this
    const giving = {
      get bytes() {
        return live.#bytes
      },
      shrinkTo: (bytes: number) => this.#shrinkTo(bytes),
    }
    storage.memory.measure('backlog', () => this.#backlog.bytes + this.#frontier.byteLength)
    storage.memory.gives('live', giving, this.#bytesMax)
    const filesMoved = events.pipe(filter(({ kind }) => movesFiles.has(kind)))
    this.#startRounds = () =>
      liveRounds(
        { committed: this.#commits, storage: filesMoved, wakes: this.#wakes, active: this.#active },
        { turn: () => this.#turn(), round: reasons => defer(() => from((this.#round = this.#runRound(reasons)))) },
        settings.live,
        portScheduler(ports.clock, ports.timers),
      ).subscribe()
  }

  live<Row>(text: string, params: QueryParameters, options: LiveRequestOptions): LiveObservable<Row> {
    const request = checkedRequest(text, params, options)
    return new LiveStream(listener => this.#subscribe(request, listener))
  }

  committed({ lsn, batches, deletion }: LiveCommit, letGo: (batch: RowBatch) => void): void {
    this.#checkReplaced()
    const rows: CommittedRows[] = []
    const deletes: CommittedDelete[] = []
    const kept: RowBatch[] = []
    const concerned = new Set<SharedQuery>()
    for (const batch of batches) {
      const before = rows.length
      for (const each of batch.metrics) {
        const readers = this.#registry.readersOf(each.metric.id)
        if (readers === undefined) continue
        rows.push({ lsn, rows: each, late: this.#frontier.advance(each) })
        for (const reader of readers) concerned.add(reader)
      }
      if (rows.length > before) kept.push(batch)
      else letGo(batch)
    }
    if (deletion !== undefined) {
      const metric = this.#storage.catalog.metricAt(deletion.metric)
      deletes.push({ ...deletion, lsn, metric })
      for (const reader of this.#registry.readersOf(metric.id) ?? []) concerned.add(reader)
    }
    if (concerned.size === 0) return
    const bytes = kept.reduce((sum, { byteLength }) => sum + byteLength, 0) + (deletion?.series?.byteLength ?? 0)
    const commit = this.#backlog.add({ lsn, rows, deletes, bytes, letGo: () => kept.forEach(letGo) })
    for (const query of concerned) query.committed(commit)
    this.#backlog.release([commit])
    this.#backlog.limit(this.#registry.queries)
    this.#commits.next()
  }

  stats(): LiveStatistics {
    const { lsn } = this.#storage.versions
    let behindLsns = 0
    for (const query of this.#registry.queries) behindLsns = Math.max(behindLsns, query.behindLsns(lsn))
    return {
      subscriptions: this.#subscriptions.size,
      queries: this.#registry.size,
      bytes: this.#bytes + this.#frontier.byteLength,
      pendingBytes: this.#backlog.bytes,
      pendingMaxBytes: this.#backlog.bytesMax,
      ...this.#environment.counts,
      behindLsns,
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#rounds?.unsubscribe()
    await this.#round
    let isLate = false
    let stop = (): void => {}
    const grace = new Promise<void>(resolve => {
      stop = this.#ports.timers.after(closeGraceMs, () => {
        isLate = true
        resolve()
      })
    })
    for (;;) {
      await this.#runRound(closing)
      const queries = [...this.#registry.queries]
      const activity = queries.flatMap(query => query.activity)
      if (isLate || (activity.length === 0 && !queries.some(query => query.isBehind))) break
      await Promise.race([Promise.all(activity), grace])
    }
    stop()
    const activity = [...this.#registry.queries].flatMap(query => query.activity)
    for (const subscription of this.#subscriptions) subscription.end(undefined)
    for (const query of this.#registry.queries) query.close()
    await Promise.all(activity)
  }

  // ---- subscriptions ----------------------------------------------------------------------------------------------

  #subscribe(request: LiveRequest, listener: () => void): Subscription {
    const { signal } = request
    const onAbort = (): void => subscription.end(cancellation(signal?.reason, 'the live query was cancelled'))
    const subscription = new Subscription(request, listener, () => {
      signal?.removeEventListener('abort', onAbort)
      this.#left(subscription)
    })
    const refusal = this.#refusal(signal)
    if (refusal !== undefined) {
      this.#ports.timers.soon(() => subscription.end(refusal))
      return subscription
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#subscriptions.add(subscription)
    this.#newcomers.set(subscription, request)
    this.#rounds ??= this.#startRounds()
    this.#active.next(true)
    this.#wakes.next()
    return subscription
  }

  #refusal(signal: AbortSignal | undefined): SydraError | undefined {
    const { subscriptionsMax } = this.#settings.live
    if (this.#isClosing) return new SydraError('shutting_down', 'the database is closing')
    if (signal?.aborted === true) return cancellation(signal.reason, 'the live query was cancelled')
    if (this.#subscriptions.size < subscriptionsMax) return undefined
    return new SydraError('too_many_subscriptions', `there are ${subscriptionsMax} subscriptions already`, {
      hint: 'end some, or raise live.subscriptions_max',
    })
  }

  #left(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription)) return
    this.#newcomers.delete(subscription)
    const { query } = subscription
    if (query !== undefined) {
      query.subscribers.delete(subscription)
      query.answers.withdraw(subscription)
      if (query.subscribers.size === 0) query.close()
    }
    this.#active.next(this.#subscriptions.size > 0)
  }

  // ---- rounds -----------------------------------------------------------------------------------------------------

  #turn(): Observable<never> {
    const { clock, timers } = this.#ports
    return new Observable<never>(subscriber => {
      const begin = (): void => subscriber.complete()
      const restMs = this.#restUntilMs - clock.monotonicMs()
      if (restMs > 0) return timers.after(restMs, begin)
      timers.soon(begin)
      return undefined
    })
  }

  async #runRound(reasons: ReadonlySet<RoundReason>): Promise<void> {
    const { clock, timers } = this.#ports
    const { versions } = this.#storage
    let pin: PinnedVersion | undefined
    /** That of now: it may have changed while others had their turn. */
    const present = (): PinnedVersion => {
      if (this.#checkReplaced() || pin?.version.lsn !== versions.lsn) {
        pin?.release()
        pin = new PinnedVersion(versions, expired => this.#expired(expired))
      }
      return pin!
    }
    let workedMs = 0
    let turnStartedMs = clock.monotonicMs()
    const pause = (): Promise<void> | undefined => {
      const nowMs = clock.monotonicMs()
      if (nowMs - turnStartedMs < turnMaxMs) return undefined
      workedMs += nowMs - turnStartedMs
      return new Promise(resolve =>
        timers.soon(() => {
          turnStartedMs = clock.monotonicMs()
          resolve()
        }),
      )
    }
    this.#checkReplaced()
    if (reasons.has('tick')) this.#advanceNow()
    try {
      for (const [subscription, request] of [...this.#newcomers]) {
        // who left meanwhile is none any more
        if (!this.#newcomers.delete(subscription)) continue
        this.#admit(subscription, request, present)
        await pause()
      }
      workedMs = 0
      turnStartedMs = clock.monotonicMs()
      for (const query of [...this.#registry.queries]) {
        if (query.isDue(reasons, clock.monotonicMs())) {
          query.advance(present(), this.#nowUs)
          this.#registry.update(query, present().version)
        }
        if (reasons.has('progress')) query.tellProgress()
        query.answers.begin()
        await pause()
      }
    } finally {
      pin?.release()
    }
    const nowMs = clock.monotonicMs()
    this.#restUntilMs = nowMs + Math.min(restMaxMs, workedMs + (nowMs - turnStartedMs))
  }

  #admit(subscription: Subscription, { key, text, params }: LiveRequest, present: () => PinnedVersion): void {
    try {
      let query = this.#registry.get(key)
      if (query === undefined) {
        const pin = present()
        query = new SharedQuery(this.#environment, { text, params }, pin, this.#advanceNow())
        this.#registry.add(key, query, pin.version)
      }
      subscription.attach(query)
    } catch (error) {
      subscription.end(toSydraError(error))
    }
  }

  /** It never goes back, whatever the clock does. */
  #advanceNow(): number {
    const nowUs = Math.floor(this.#ports.clock.nowUs() / nowStepUs) * nowStepUs
    this.#nowUs = Math.max(this.#nowUs, nowUs)
    return this.#nowUs
  }

  /** Whether all rows were replaced by others: nothing that was known of the old ones counts any more. */
  #checkReplaced(): boolean {
    const { versions } = this.#storage
    if (versions.replacements === this.#replacements) return false
    this.#replacements = versions.replacements
    this.#incarnation = this.#storage.manifestState().incarnation
    const version = versions.pin()
    this.#registry.followAnew(version)
    version.release()
    for (const query of this.#registry.queries) query.beginAnew('restored')
    return true
  }

  #expired(pin: PinnedVersion): void {
    const reason = snapshotExpired(this.#settings)
    for (const query of this.#registry.queries) query.expired(pin, reason)
  }

  // ---- memory -----------------------------------------------------------------------------------------------------

  get #bytesMax(): number {
    return this.#settings.memLimitBytes * memoryShareMax
  }

  /** Recent changes go first, then states, which are made again where they are needed: of the largest query first. */
  #shrinkTo(bytesMax: number): void {
    if (this.#bytes <= bytesMax || this.#isShrinking) return
    this.#isShrinking = true
    const largest = [...this.#registry.queries].sort((a, b) => b.bytes - a.bytes)
    for (const query of largest) {
      if (this.#bytes <= bytesMax) break
      query.trimTo(Math.max(0, query.changes.ring.bytes - (this.#bytes - bytesMax)))
    }
    for (const query of largest) {
      if (this.#bytes <= bytesMax) break
      query.forget()
    }
    this.#isShrinking = false
  }
}

/** After these events there is what no version of now reads. */
const movesFiles: ReadonlySet<EngineEvent['kind']> = new Set(['flushed', 'compacted', 'expired', 'restored'])
const closing: ReadonlySet<RoundReason> = new Set(['close'])
