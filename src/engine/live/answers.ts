/**
 * First answers: what those who wait for a live query are told before its changes — a snapshot, or what they missed.
 *
 *   enlisted -> resumed from the ring -> resumed from the log -> a snapshot for all others of one history
 *
 * Invariants:
 * 1. Of one history one snapshot is made at a time: who comes meanwhile waits for the next, with all others who do.
 * 2. An answer is of a moment at which the query was: its version, and the changes after it, are held until it is given.
 * 3. A failed snapshot ends those who waited for it, and the query goes on for the rest. Who cannot resume gets a snapshot.
 */
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import { openAt } from '../../operators/live/run-at.ts'
import { isNoChange, type Moment } from '../../operators/live/types.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import type { LiveEnvironment } from './environment.ts'
import { type Position, positionOf } from './ids.ts'
import type { PinnedVersion } from './pinned.ts'
import { missedChanges } from './resume.ts'
import type { SharedQuery } from './shared-query.ts'
import { runSnapshot } from './snapshot-runs.ts'
import type { History, Subscription } from './subscription.ts'

/** Where the query is while an answer is made. */
interface Run {
  readonly pin: PinnedVersion
  readonly abort: AbortController
  readonly at: Moment
  readonly cursor: number
  readonly position: Position
}

export class Answers {
  readonly #environment: LiveEnvironment
  readonly #query: SharedQuery
  readonly #enlisted = new Set<Subscription>()
  /** Histories of which a snapshot is being made, or waits for its turn. */
  readonly #busy = new Set<History>()
  readonly #runs = new Set<Run>()
  /** What has to end before the database closes. */
  readonly running = new Set<Promise<void>>()

  constructor(environment: LiveEnvironment, query: SharedQuery) {
    this.#environment = environment
    this.#query = query
  }

  /** Someone waits for whom nothing is being made yet. */
  get isWanted(): boolean {
    for (const { request } of this.#enlisted) if (!this.#busy.has(request.history)) return true
    return false
  }

  enlist(subscription: Subscription): void {
    this.#enlisted.add(subscription)
    this.#environment.wake()
  }

  withdraw(subscription: Subscription): void {
    this.#enlisted.delete(subscription)
  }

  /** The memory of a version is needed. */
  expired(pin: PinnedVersion, reason: SydraError): void {
    for (const run of this.#runs) if (run.pin === pin) run.abort.abort(reason)
  }

  /** To be called where the query is as far as it gets now. */
  begin(): void {
    if (this.#query.isRestarting) return
    const byHistory = new Map<History, Subscription[]>()
    for (const subscription of this.#enlisted) {
      const { history } = subscription.request
      const resumeFrom = subscription.takeResumeFrom()
      if (resumeFrom !== undefined) {
        this.#enlisted.delete(subscription)
        this.#resume(subscription, resumeFrom)
      } else if (!this.#busy.has(history)) {
        this.#enlisted.delete(subscription)
        const waiting = byHistory.get(history)
        if (waiting === undefined) byHistory.set(history, [subscription])
        else waiting.push(subscription)
      }
    }
    for (const [history, waiting] of byHistory) this.#track(this.#snapshot(history, waiting))
  }

  close(reason: SydraError): void {
    this.#enlisted.clear()
    for (const { abort } of this.#runs) abort.abort(reason)
  }

  async #snapshot(history: History, waiting: readonly Subscription[]): Promise<void> {
    const { memory } = this.#environment.storage
    const { settings, ports } = this.#environment
    const { rowsMax } = settings.live
    const { timeoutMs, requireTimeRange } = settings.query
    const engine = { memory, timers: ports.timers, limits: { rowsMax, timeoutMs, requireTimeRange } }
    this.#busy.add(history)
    try {
      await this.#withRun(async ({ at, abort, cursor, position }) => {
        const { live, incarnation, context, executions } = this.#query
        const { columns, strategy } = live
        const execution = (moment: Moment) => executions.open(moment, abort.signal)
        const source = {
          columns,
          strategy,
          incarnation,
          cursor,
          position,
          nowUs: ports.clock.nowUs(),
          plan: live.planAt(at.nowUs),
          open: (plan: LogicalPlan) => openAt(plan, at, { ...context, execution }),
        }
        await runSnapshot(source, history, waiting, engine, abort)
      })
    } catch (error) {
      const failure = toSydraError(error)
      for (const subscription of waiting) subscription.end(failure)
    } finally {
      this.#busy.delete(history)
      if (this.isWanted) this.#environment.wake()
    }
  }

  #resume(subscription: Subscription, id: string): void {
    const { changes, incarnation, position } = this.#query
    const known = positionOf(id, incarnation)
    const cursor = known && changes.ring.cursorOf(known, position)
    if (known === undefined) subscription.restart('not_resumable')
    else if (cursor !== undefined) subscription.answer({ kind: 'resumed', cursor, position: known, delta: undefined })
    else this.#track(this.#resumeFromLog(subscription, known))
  }

  async #resumeFromLog(subscription: Subscription, known: Position): Promise<void> {
    try {
      await this.#withRun(async ({ at, cursor, position }) => {
        const missed = await missedChanges(this.#environment, this.#query, known, at)
        if (missed === undefined) subscription.restart('not_resumable')
        else if (isNoChange(missed)) subscription.answer({ kind: 'resumed', cursor, position: known, delta: undefined })
        else subscription.answer({ kind: 'resumed', cursor, position, delta: missed })
      })
    } catch (error) {
      this.#environment.ports.log('warn', 'a live query cannot be resumed from the log', {
        error: toSydraError(error).message,
      })
      subscription.restart('not_resumable')
    }
  }

  /** In turn, where the query is by then; does nothing when it is closed. */
  async #withRun(task: (run: Run) => Promise<void>): Promise<void> {
    const { answerPermits } = this.#environment
    const query = this.#query
    await answerPermits.acquire(1)
    try {
      if (query.isClosed) return
      const { moment: at, position, changes } = query
      const run = { pin: query.retainPin(), abort: new AbortController(), at, cursor: changes.ring.end, position }
      const letGo = changes.ring.hold(run.cursor)
      const end = query.executions.begin()
      this.#runs.add(run)
      try {
        await task(run)
      } finally {
        this.#runs.delete(run)
        end()
        letGo()
        run.pin.release()
      }
    } finally {
      answerPermits.release(1)
    }
  }

  #track(running: Promise<void>): void {
    this.running.add(running)
    running.finally(() => this.running.delete(running))
  }
}
