/**
 * One live query for all who subscribe to it: where it is, what it has to look at, and what it has told.
 *
 *   commits -> pending -> step (before -> after) -> change -> ring -> subscribers
 *
 * Invariants:
 * 1. It is at one moment: `position` says which, its version is pinned, and `ring.end` is the cursor of who knows the result
 *    there. A step takes both further; nothing else does, but for moves between versions that show it the same.
 * 2. Every commit after the moment that concerns it is pending, in order, unless it reads all again in any case (`rerun`) or
 *    is about to begin anew.
 * 3. One step at a time. What a step borrows stays until it is over, also when nobody waits for it any more.
 * 4. Beginning anew loses every cursor: subscribers hear why, and get a snapshot of the new moment.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import {
  isNoChange,
  type LiveContext,
  type LiveDelta,
  type LiveQuery,
  type Moment,
  type Step,
} from '../../operators/live/types.ts'
import type { RoundReason } from '../../pipeline/live.ts'
import type { Lsn, MetricInfo } from '../../storage/types.ts'
import type { QueryParameters } from '../../types.ts'
import { Answers } from './answers.ts'
import type { Holder, WaitingCommit } from './backlog.ts'
import { Changes } from './changes.ts'
import type { LiveEnvironment } from './environment.ts'
import { Executions } from './executions.ts'
import { incarnationOf, type Position } from './ids.ts'
import { Pace } from './pace.ts'
import type { PinnedVersion } from './pinned.ts'
import { prepareLive } from './prepare-live.ts'
import type { Subscription } from './subscription.ts'
import type { LiveRestart } from './types.ts'

export class SharedQuery implements Holder {
  readonly text: string
  readonly params: QueryParameters
  readonly subscribers = new Set<Subscription>()
  readonly answers: Answers
  readonly executions: Executions
  readonly changes: Changes
  /** Of its ids. */
  incarnation: string
  position: Position
  /** What subscribers may be told that nothing changed until; undefined: nothing yet. */
  progress: { readonly position: Position; readonly watermarkUs: number | null } | undefined

  readonly #environment: LiveEnvironment
  readonly #context: LiveContext
  #live: LiveQuery
  #schemaVersion: number
  #metrics: readonly MetricInfo[]
  #pin: PinnedVersion
  #nowUs: number
  #pending: WaitingCommit[] = []
  /** The first commit after the position that concerns a query which reads all again; 0: none. */
  #dirtyLsn: Lsn = 0
  /** `now()`, or a horizon, may have moved. */
  #isTickDue = false
  /** Where the step under way goes. */
  #stepPin: PinnedVersion | undefined
  #running: Promise<void> | undefined
  #restart: LiveRestart | undefined
  readonly #pace: Pace
  #bytes = 0
  #isClosed = false

  /** Throws what is wrong with the text or its parameters. */
  constructor(
    environment: LiveEnvironment,
    { text, params }: { readonly text: string; readonly params: QueryParameters },
    pin: PinnedVersion,
    nowUs: number,
  ) {
    const { settings, storage, disabledRules } = environment
    const { catalog, kernels, duplicates } = storage
    const { rowsMax, memoryMaxBytes, changesMax } = settings.live
    this.text = text
    this.params = params
    this.#environment = environment
    this.executions = new Executions(environment)
    this.#pace = new Pace(environment.ports.timers, settings.live.rerunMs, () => environment.wake())
    this.#context = {
      catalog,
      kernels,
      duplicates,
      disabledRules,
      execution: at => this.executions.open(at),
      rowsMax,
      bytesMax: memoryMaxBytes,
    }
    const prepared = environment.prepare(text)
    this.#live = prepareLive(prepared, params, this.#context, nowUs)
    this.#schemaVersion = prepared.schemaVersion
    this.#metrics = metricsOf(this.#live, environment)
    this.#pin = pin.retain()
    this.#nowUs = nowUs
    this.position = this.#positionAt(pin, nowUs)
    this.incarnation = this.#incarnation()
    const limits = { rowsMax: changesMax, heldRowsMax: rowsMax }
    this.changes = new Changes(limits, this.#live.columns, this.position)
    this.answers = new Answers(environment, this)
  }

  get live(): LiveQuery {
    return this.#live
  }
  get context(): LiveContext {
    return this.#context
  }
  get metrics(): readonly MetricInfo[] {
    return this.#metrics
  }
  get isClosed(): boolean {
    return this.#isClosed
  }
  get bytes(): number {
    return this.#bytes
  }
  /** The version that it stands on, for who reads it on his own. */
  retainPin(): PinnedVersion {
    return this.#pin.retain()
  }
  get moment(): Moment {
    return { version: this.#pin.version, nowUs: this.#nowUs }
  }
  get #isStepping(): boolean {
    return this.#stepPin !== undefined
  }
  /** How far it is behind a commit that concerns it. */
  behindLsns(lsn: Lsn): number {
    return this.#pending.length > 0 || this.#dirtyLsn > 0 || this.#isStepping ? lsn - this.position.lsn : 0
  }
  /** What has to end before it is let go of. */
  get activity(): readonly Promise<unknown>[] {
    return [...(this.#running === undefined ? [] : [this.#running]), ...this.answers.running]
  }
  /** Whether there is something that it has not looked at. */
  get isBehind(): boolean {
    return this.#pending.length > 0 || this.#dirtyLsn > 0 || this.#isStepping || this.#restart !== undefined
  }

  // ---- what comes -------------------------------------------------------------------------------------------------

  /** A commit that concerns it. */
  committed(commit: WaitingCommit): void {
    if (this.isRestarting) return
    if (this.#live.strategy === 'rerun') {
      if (this.#dirtyLsn === 0) this.#dirtyLsn = commit.lsn
      return
    }
    commit.holders++
    this.#pending.push(commit)
  }

  /** It is about to begin anew. */
  get isRestarting(): boolean {
    return this.#restart !== undefined
  }
  get oldestLsn(): Lsn | undefined {
    return this.#pending[0]?.lsn
  }
  get isFalling(): boolean {
    return this.#restart !== undefined && this.#isStepping
  }
  fallBehind(): void {
    this.beginAnew('lagged')
  }

  /** At the next round; what is under way is given up. */
  beginAnew(reason: LiveRestart): void {
    this.#restart ??= reason
    this.#environment.backlog.release(this.#pending.splice(0))
    if (this.#isStepping) this.executions.abort(new SydraError('cancelled', `the live query begins anew: ${reason}`))
    this.#environment.wake()
  }

  /** The memory of a version is needed. */
  expired(pin: PinnedVersion, reason: SydraError): void {
    this.answers.expired(pin, reason)
    const isRead = this.#isStepping && (this.#pin === pin || this.#stepPin === pin)
    if (isRead) this.beginAnew('lagged')
    else if (this.#pin === pin) this.#environment.wake()
  }

  // ---- rounds -----------------------------------------------------------------------------------------------------

  /** Whether a round has something to do for it. */
  isDue(reasons: ReadonlySet<RoundReason>, nowMs: number): boolean {
    if (this.#isClosed || this.#isStepping) return false
    if (reasons.has('tick') && (this.#live.dependsOnNow || this.#horizonUs(this.#pin) > Number.NEGATIVE_INFINITY))
      this.#isTickDue = true
    const isOutdated = this.#schemaVersion !== this.#environment.storage.catalog.version
    if (this.#restart !== undefined || isOutdated || this.#pin.isExpired) return true
    if (this.#pending.length > 0 || this.#dirtyLsn > 0 || this.#isTickDue)
      return reasons.has('close') || !this.#pace.isResting(nowMs)
    return reasons.has('storage') || reasons.has('progress') || this.answers.isWanted
  }

  /** Takes it to the version of now, at once or in a while. */
  advance(pin: PinnedVersion, nowUs: number): void {
    if (this.#isClosed || this.#isStepping) return
    this.#refreshPlan()
    if (this.#isClosed) return
    if (this.#restart !== undefined || this.#horizonUs(pin) < this.#horizonUs(this.#pin)) {
      this.#startAgain(pin, nowUs)
      return
    }
    const after = { version: pin.version, nowUs: this.#nowAt(pin, nowUs) }
    const to = this.#positionAt(pin, after.nowUs)
    this.#isTickDue = false
    const taken = this.#pending.splice(0)
    if (taken.length > 0 || this.#dirtyLsn > 0 || to.tick > this.position.tick) this.#step(pin, after, to, taken)
    else this.#moveTo(pin, this.#nowUs, to)
  }

  /** `now()` goes with ticks. What expired by the clock goes then, too: it is not of the moment of the last tick. */
  #nowAt(pin: PinnedVersion, tickUs: number): number {
    if (!this.#live.dependsOnNow) return this.#nowUs
    const hasExpired = this.#horizonUs(pin) > this.#horizonUs(this.#pin)
    return Math.max(hasExpired ? this.#environment.now() : tickUs, this.#nowUs)
  }

  /** Subscribers may be told how far it is. */
  tellProgress(): void {
    const newestUs = Math.max(...this.#metrics.map(({ id }) => this.#environment.frontier.newestUs(id)))
    this.progress = { position: this.position, watermarkUs: Number.isFinite(newestUs) ? newestUs : null }
    this.notify()
  }

  countLoss(): void {
    this.#environment.counts.lagged++
  }

  notify(): void {
    for (const subscriber of this.subscribers) subscriber.wake()
  }

  /** Lets go of states: they are made again where they are needed. */
  forget(): void {
    if (this.#isStepping || this.#isClosed) return
    this.#live.forget()
    this.#measure()
  }

  /** Keeps so many bytes of recent changes at most. */
  trimTo(bytes: number): void {
    this.changes.ring.trim(bytes)
    this.#measure()
  }

  /** Ends it; its version is let go of as soon as nothing reads it. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#pace.stop()
    this.#environment.backlog.release(this.#pending.splice(0))
    this.executions.abort(notNeeded)
    this.answers.close(notNeeded)
    const kept = this.#bytes
    this.#bytes = 0
    this.#environment.kept(-kept)
    this.#environment.closed(this)
    if (!this.#isStepping) this.#letGo()
  }

  // ---- steps ------------------------------------------------------------------------------------------------------

  #step(pin: PinnedVersion, after: Moment, to: Position, taken: readonly WaitingCommit[]): void {
    const { clock } = this.#environment.ports
    const ids = new Set(this.#metrics.map(({ id }) => id))
    const step: Step = {
      before: this.moment,
      after,
      rows: taken.flatMap(({ rows }) => rows.filter(each => ids.has(each.rows.metric.id))),
      deletes: taken.flatMap(({ deletes }) => deletes.filter(each => ids.has(each.metric.id))),
    }
    const firstLsn = taken[0]?.lsn ?? this.#dirtyLsn
    const from = { lsn: Math.max(this.position.lsn, firstLsn - 1), tick: this.position.tick }
    const startedMs = clock.monotonicMs()
    const end = this.executions.begin()
    const settle = (outcome: { readonly delta: LiveDelta } | { readonly error: unknown }): void => {
      this.#stepPin = undefined
      this.#running = undefined
      end()
      this.#environment.backlog.release(taken)
      if (this.#isClosed) {
        pin.release()
        this.#letGo()
      } else if (this.#restart !== undefined) {
        pin.release()
        this.#environment.wake()
      } else if ('error' in outcome) {
        pin.release()
        const error = toSydraError(outcome.error)
        // More came at once than it may tell of: a snapshot may still be small enough, and if not, says so.
        if (error.code === 'too_many_points') this.beginAnew('lagged')
        else this.#fail(error)
      } else this.#stepped(pin, after.nowUs, from, to, outcome.delta)
    }
    pin.retain()
    this.#stepPin = pin
    this.#dirtyLsn = 0
    let result: LiveDelta | Promise<LiveDelta>
    try {
      result = this.#live.step(step)
    } catch (error) {
      settle({ error })
      return
    }
    if (!(result instanceof Promise)) {
      settle({ delta: result })
      return
    }
    this.#running = result.then(
      delta => {
        this.#pace.ended(startedMs, clock.monotonicMs(), this.#live.strategy === 'rerun')
        settle({ delta })
      },
      error => settle({ error }),
    )
  }

  #stepped(pin: PinnedVersion, nowUs: number, from: Position, to: Position, delta: LiveDelta): void {
    const { counts } = this.#environment
    this.#pin.release()
    this.#pin = pin
    this.#nowUs = nowUs
    this.position = to
    counts.steps++
    if (this.#live.strategy === 'rerun') counts.reruns++
    if (!isNoChange(delta)) {
      counts.rows += this.changes.push(from, to, delta).rows
      this.notify()
    }
    if (this.#isClosed) return
    this.#measure()
    this.changes.ring.trim(Math.max(0, this.#context.bytesMax - this.#live.byteLength))
    this.#measure()
    if (this.isBehind || this.#isTickDue || this.answers.isWanted) this.#environment.wake()
  }

  /** Between versions that show it the same. */
  #moveTo(pin: PinnedVersion, nowUs: number, to: Position): void {
    pin.retain()
    this.#pin.release()
    this.#pin = pin
    this.#nowUs = nowUs
    this.position = to
  }

  #startAgain(pin: PinnedVersion, nowUs: number): void {
    const reason = this.#restart ?? 'lagged'
    this.#restart = undefined
    this.#isTickDue = false
    this.#dirtyLsn = 0
    this.#environment.backlog.release(this.#pending.splice(0))
    this.#live.forget()
    this.#moveTo(pin, nowUs, this.#positionAt(pin, nowUs))
    this.incarnation = this.#incarnation()
    this.progress = undefined
    this.changes.restart(reason, this.#live.columns, this.position)
    this.#measure()
    this.notify()
  }

  /** The catalog has new metrics, fields or tags: mostly none that it reads. */
  #refreshPlan(): void {
    const { prepare, storage } = this.#environment
    if (this.#schemaVersion === storage.catalog.version) return
    try {
      const prepared = prepare(this.text)
      const next = prepareLive(prepared, this.params, this.#context, this.#nowUs)
      this.#schemaVersion = prepared.schemaVersion
      if (isSame(this.#live.planAt(this.#nowUs), next.planAt(this.#nowUs))) return
      const isOther = !isSame(this.#live.columns, next.columns) || !isSame([...this.#live.metrics], [...next.metrics])
      this.#live.forget()
      this.#live = next
      this.#metrics = metricsOf(next, this.#environment)
      if (isOther) this.#restart ??= 'schema'
    } catch (error) {
      this.#fail(toSydraError(error))
    }
  }

  #fail(error: SydraError): void {
    for (const subscriber of this.subscribers) subscriber.end(error)
    this.close()
  }

  #letGo(): void {
    this.#live.forget()
    this.#pin.release()
  }

  #measure(): void {
    if (this.#isClosed) return
    const bytes = this.#live.byteLength + this.changes.ring.bytes
    const more = bytes - this.#bytes
    this.#bytes = bytes
    this.#environment.kept(more)
  }

  #horizonUs({ version }: PinnedVersion): number {
    return this.#metrics.reduce((max, metric) => Math.max(max, version.horizonUs(metric)), Number.NEGATIVE_INFINITY)
  }

  #positionAt(pin: PinnedVersion, nowUs: number): Position {
    const { lsn } = pin.version
    const timeUs = this.#live.dependsOnNow ? nowUs : this.#horizonUs(pin)
    return { lsn, tick: Math.max(0, Math.floor(timeUs / 1000)) }
  }

  #incarnation(): string {
    const { historyId, ports } = this.#environment
    const params = this.params.map(value =>
      value instanceof Date ? { date: value.getTime() } : [typeof value, String(value)],
    )
    return incarnationOf(ports.blake3, [...historyId(), this.text, params, this.#live.columns])
  }
}

function metricsOf({ metrics }: LiveQuery, { storage }: LiveEnvironment): readonly MetricInfo[] {
  return Array.from(metrics, name => {
    const metric = storage.catalog.metric(name)
    assert(metric !== undefined, `metric ${name} is in the catalog`)
    return metric
  })
}

const notNeeded = new SydraError('cancelled', 'nobody is subscribed any more')

/** Of plans and columns: plain data. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
