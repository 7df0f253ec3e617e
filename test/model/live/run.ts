/**
 * One run of a seed: a database on the simulated machine, subscribers of many queries, and what happens to both.
 *
 *   step (rows, delete, flush, time, subscriber …)  ->  events  ->  followers  ->  check: the same query, run afresh
 *
 * Invariants:
 * 1. At a check every subscriber is at the last LSN; its rows are those of the query at that LSN and at the `now()` of its id.
 * 2. At some commits queries are asked for in the commit itself: who has an event of just that LSN must have had those rows.
 * 3. When the last subscriber has left nothing is kept for any of them.
 */
import assert from 'node:assert/strict'
import type { Subscription } from 'rxjs'
import type { Database, LiveObservable, LiveReader, Value } from '../../../src/types.ts'
import { count, type Tally } from '../../crash/tally.ts'
import { openOn, turn } from '../../database/support.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'
import { SeededRandom } from '../../simulated/random.ts'
import { type Answer, Answers, answersDiffer, dependsOnNow } from './answers.ts'
import { BrokenPromise, Follower } from './follower.ts'
import type { Manner, Plan, Step } from './plan.ts'
import type { Written } from './rows.ts'
import type { Row } from './same-rows.ts'
import { Writes } from './writes.ts'

type ObjectRow = Record<string, Value>

/** What a run found wrong, and with which query. */
export class Difference extends Error {
  readonly query: number
  constructor(query: number, message: string) {
    super(message)
    this.query = query
  }
}

interface Subscriber {
  readonly query: number
  readonly manner: Manner
  readonly follower: Follower
  /** Set while it is there. */
  open: { readonly reader: LiveReader<ObjectRow> } | { readonly subscription: Subscription } | undefined
}

/** Every so-many-th commit is looked at. */
const looksEvery = 6
const awayMax = 6
const roundsMax = 200

export class LiveRun {
  readonly #plan: Plan
  readonly #tally: Tally
  readonly #isWatched: boolean
  readonly #random: SeededRandom
  readonly #machine: SimulatedMachine
  readonly #writes: Writes
  #db!: Database
  #answers!: Answers
  #subscribers: Subscriber[] = []
  #away: Subscriber[] = []
  #works: Promise<unknown>[] = []
  #snapshots: string[] = []
  #problem: Error | undefined

  constructor(seed: number, plan: Plan, tally: Tally) {
    this.#plan = plan
    this.#tally = tally
    // A watcher of commits keeps their memory from being used again: half of the runs do without.
    this.#isWatched = seed % 2 === 0
    this.#random = new SeededRandom(seed ^ 0x5eed)
    this.#machine = new SimulatedMachine(seed)
    this.#machine.nowUs = plan.scale.startUs
    this.#writes = new Writes(plan.scale, tally)
  }

  /** `stepped` is called before each step. */
  async run(stepped: () => void = () => {}): Promise<void> {
    this.#db = (await openOn(this.#machine, this.#plan.settings)).db
    await this.#begin()
    for (const step of this.#plan.steps) {
      count(this.#tally, `step ${step.kind}`)
      stepped()
      await this.#take(step)
      if (this.#problem !== undefined) throw this.#problem
    }
    await this.#check()
    await this.#end()
  }

  /** Rows from which every query can be prepared. */
  async #begin(): Promise<void> {
    const rows: Written[] = [
      { metric: 'm', tags: { dc: 'x', host: 'a' }, step: 0, fields: { f: 1, g: 2, b: true, s: 'a' } },
      { metric: 'm', tags: { host: 'b' }, step: 0, fields: { f: 2.5 } },
      { metric: 'k.a', tags: { host: 'a' }, step: 0, fields: { v: 1 } },
      { metric: 'k.b', tags: { host: 'a' }, step: 0, fields: { v: 2 } },
      { metric: 'c', tags: { host: 'a' }, step: 0, fields: { value: 1 } },
    ]
    await this.#settled(this.#writes.ingest(this.#db, rows))
    await this.#settled(this.#writes.insert(this.#db, { ...rows[0]!, step: 1, fields: { n: 3 } }))
    this.#watch()
  }

  #watch(): void {
    this.#answers = new Answers(this.#db, this.#machine, this.#plan)
    if (this.#isWatched) this.#db.committed$.subscribe(({ lsn }) => this.#seeCommit(lsn))
  }

  /** Who was there comes back, and says what it saw last. */
  async #restart(how: Extract<Step, { kind: 'restart' }>['how']): Promise<void> {
    await this.#settle()
    await this.#compareLooks()
    const present = this.#subscribers.splice(0)
    for (const subscriber of present) this.#close(subscriber)
    if (how === 'close') await this.#settled(this.#db.close())
    else if (how === 'kill') this.#machine.kill()
    else this.#machine.crash()
    this.#db = (await openOn(this.#machine, this.#plan.settings)).db
    this.#watch()
    for (const subscriber of present) this.#subscribe(subscriber)
  }

  async #take(step: Step): Promise<void> {
    const db = this.#db
    switch (step.kind) {
      case 'rows':
        return this.#write(step)
      case 'insert':
        for (const row of step.rows) await this.#settled(this.#writes.insert(this.#db, row))
        return
      case 'delete':
        return this.#work(this.#writes.delete(this.#db, step.deletion), step.wait)
      case 'flush':
        return this.#work(db.flush(), step.wait)
      case 'compact':
        return this.#work(db.compact(), step.wait)
      case 'time':
        this.#machine.disk.releaseSyncs()
        return this.#machine.advance(step.ms)
      case 'later':
        this.#machine.nowUs = Math.max(this.#machine.nowUs, this.#writes.timeOf(step.at))
        return
      case 'snapshot': {
        await this.#settle()
        const name = `s${this.#snapshots.length + 1}`
        await this.#settled(db.snapshot(name))
        this.#snapshots.push(name)
        return
      }
      case 'restore': {
        const name = this.#snapshots[step.pick % this.#snapshots.length]
        if (name === undefined) return
        await this.#settle()
        // an LSN will have two meanings
        await this.#compareLooks()
        await this.#settled(db.restore(name))
        count(this.#tally, 'restored')
        return
      }
      case 'restart':
        return this.#restart(step.how)
      case 'check':
        return this.#check()
      case 'subscribe':
        this.#subscribe({ query: step.query, manner: step.manner, follower: new Follower(), open: undefined })
        return
      case 'leave':
        return this.#leave(step.pick)
      case 'reconnect':
        return this.#reconnect(step.pick)
      case 'take': {
        const pulling = this.#subscribers.filter(({ open }) => open !== undefined && 'reader' in open)
        const subscriber = pulling[step.pick % pulling.length]
        if (subscriber !== undefined) this.#pull(subscriber)
        return
      }
    }
  }

  // ---- writing --------------------------------------------------------------------------------------------------

  async #write({ at, commits, pace }: Extract<Step, { kind: 'rows' }>): Promise<void> {
    const machine = this.#machine
    const missingMs = (this.#writes.timeOf(at) - machine.nowUs) / 1000
    if (missingMs > 0 && missingMs <= 5000) await machine.advance(missingMs)
    machine.nowUs = Math.max(machine.nowUs, this.#writes.timeOf(at))
    if (pace === 'turns') machine.disk.holdSyncs()
    for (const commit of commits) {
      const written = this.#writes.ingest(this.#db, commit)
      if (pace === 'done') await this.#settled(written)
      else this.#works.push(written)
      if (pace === 'turns') await turn()
    }
    machine.disk.releaseSyncs()
  }

  async #work(work: Promise<unknown>, wait: boolean): Promise<void> {
    if (wait) await this.#settled(work)
    else this.#works.push(work)
  }

  // ---- waiting --------------------------------------------------------------------------------------------------

  /** The promise's outcome, with time passing meanwhile. */
  async #settled<T>(promise: Promise<T>): Promise<T> {
    this.#machine.disk.releaseSyncs()
    let isOver = false
    const end = (): void => {
      isOver = true
    }
    promise.then(end, end)
    for (let turns = 0; !isOver; turns++) {
      assert.ok(turns < 5000, 'something never settles')
      await turn()
      if (turns % 16 === 15) await this.#machine.advance(20)
    }
    return promise
  }

  async #settle(): Promise<void> {
    const works = this.#works
    this.#works = []
    await this.#settled(Promise.all(works))
  }

  // ---- subscribers ----------------------------------------------------------------------------------------------

  #subscribe(subscriber: Subscriber): void {
    const { query, manner, follower } = subscriber
    const planned = this.#plan.queries[query]
    // it is not of this run
    if (planned === undefined) return
    const { id } = follower
    if (id !== undefined) follower.resume()
    follower.isRecent = manner === 'recent'
    follower.ticksAreHorizons = this.#plan.settings.retention !== undefined && !dependsOnNow(planned)
    follower.onReach = reach => this.#answers.reached(query, follower, reach)
    const live: LiveObservable<ObjectRow> = this.#db.live<ObjectRow>(
      this.#answers.textOf(planned),
      planned.params ?? [],
      {
        ...(manner === 'recent' ? {} : { history: 'all' as const }),
        ...(id === undefined ? {} : { resumeFrom: id }),
      },
    )
    this.#subscribers.push(subscriber)
    if (manner === 'pull') {
      subscriber.open = { reader: live.reader() }
      return
    }
    const subscription = live.subscribe({
      next: event => this.#guarded(subscriber, () => follower.take(event)),
      error: (error: unknown) => this.#fail(subscriber, error),
      complete: () => this.#fail(subscriber, new Error('the subscription completed')),
    })
    subscriber.open = { subscription }
  }

  #pull(subscriber: Subscriber): void {
    const { open, follower } = subscriber
    if (open === undefined || !('reader' in open)) return
    this.#guarded(subscriber, () => {
      for (let event = open.reader.poll(); event !== undefined; event = open.reader.poll()) follower.take(event)
    })
  }

  #guarded(subscriber: Subscriber, run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#fail(subscriber, error)
    }
  }

  #fail({ query, manner, follower }: Subscriber, error: unknown): void {
    const { shape, text } = this.#plan.queries[query]!
    const why = error instanceof BrokenPromise ? error.message : error instanceof Error ? error.stack : String(error)
    const about = `${shape} (${follower.strategy}, ${manner}): ${text}\nat ${follower.id}: ${why}`
    this.#problem ??= error instanceof Difference ? error : new Difference(query, about)
  }

  #leave(pick: number): void {
    const [subscriber] = this.#subscribers.splice(pick % Math.max(1, this.#subscribers.length), 1)
    if (subscriber === undefined) return
    this.#close(subscriber)
    this.#away.push(subscriber)
    if (this.#away.length > awayMax) this.#away.shift()
  }

  #close(subscriber: Subscriber): void {
    const { open } = subscriber
    subscriber.open = undefined
    if (open === undefined) return
    if ('reader' in open) open.reader.close()
    else open.subscription.unsubscribe()
  }

  #reconnect(pick: number): void {
    const [subscriber] = this.#away.splice(pick % Math.max(1, this.#away.length), 1)
    if (subscriber !== undefined) this.#subscribe(subscriber)
  }

  // ---- comparing ------------------------------------------------------------------------------------------------

  /** Some of the queries that are subscribed to. */
  #seeCommit(lsn: number): void {
    if (lsn % looksEvery !== 0) return
    const open = [...new Set(this.#subscribers.map(({ query }) => query))]
    for (let k = 0; k < this.#plan.looks && open.length > 0; k++)
      this.#answers.look(lsn, open.splice(this.#random.below(open.length), 1)[0]!)
  }

  async #check(): Promise<void> {
    await this.#settle()
    await this.#caughtUp()
    const answerOf = this.#answers.present()
    for (const subscriber of this.#subscribers) {
      const { query, follower } = subscriber
      this.#compare(subscriber, follower.rows(), await answerOf(query, follower.reach), `LSN ${follower.reach.lsn}`)
      count(this.#tally, `compared: ${follower.strategy}`)
      count(this.#tally, `shape ${this.#plan.queries[query]!.shape}: ${follower.strategy}`)
    }
    await this.#compareLooks()
    if (this.#problem !== undefined) throw this.#problem
  }

  async #compareLooks(): Promise<void> {
    for (const { lsn, query, answer, seen } of this.#answers.takeLooks())
      for (const { follower, rows } of seen) {
        const subscriber: Subscriber = { query, manner: 'push', follower, open: undefined }
        this.#compare(subscriber, rows, await answer, `LSN ${lsn}, as it was asked in the commit`)
        count(this.#tally, `compared in the commit: ${follower.strategy}`)
      }
  }

  #compare(subscriber: Subscriber, rows: readonly Row[], answer: Answer, when: string): void {
    const differ = answersDiffer(subscriber.follower, rows, answer, this.#writes.magnitude)
    if (differ !== undefined) this.#fail(subscriber, new BrokenPromise(`${when}: ${differ}`))
  }

  /** Every subscriber has been told up to the last commit. */
  async #caughtUp(): Promise<void> {
    const { lsn } = this.#db.stats()
    // what is expired goes by the clock, not by the tick of an id: it must have ticked since the clock was set
    if (this.#plan.settings.retention !== undefined) await this.#machine.advance(600)
    for (let round = 0; ; round++) {
      for (const subscriber of this.#subscribers) this.#pull(subscriber)
      if (this.#problem !== undefined) throw this.#problem
      const behind = this.#subscribers.find(({ follower }) => !follower.isCurrent || follower.reach.lsn < lsn)
      if (behind === undefined && !this.#isMinuteJustOver()) return
      if (round > roundsMax && behind !== undefined) {
        this.#fail(behind, new BrokenPromise(`is not told of LSN ${lsn}`))
        throw this.#problem!
      }
      await this.#machine.advance(60)
      await turn()
    }
  }

  /** Rows expire by the minute: until the next tick it is open what is seen. */
  #isMinuteJustOver(): boolean {
    return this.#plan.settings.retention !== undefined && this.#machine.nowUs % 60e6 < 2e6
  }

  async #end(): Promise<void> {
    for (const { follower } of [...this.#subscribers, ...this.#away]) {
      count(this.#tally, 'events', follower.counts.events)
      count(this.#tally, 'deltas', follower.counts.deltas)
      count(this.#tally, 'resumed', follower.counts.resumed)
      count(this.#tally, 'rows in events', follower.counts.rows)
      for (const reason of follower.restarts) count(this.#tally, `began anew: ${reason}`)
    }
    count(this.#tally, 'commits', this.#db.stats().lsn)
    for (const subscriber of this.#subscribers) this.#close(subscriber)
    for (let turns = 0; turns < 20; turns++) await turn()
    await this.#machine.advance(1000)
    const { subscriptions, queries, bytes, pendingBytes } = this.#db.stats().live
    assert.deepEqual(
      { subscriptions, queries, bytes, pendingBytes },
      { subscriptions: 0, queries: 0, bytes: 0, pendingBytes: 0 },
    )
    await this.#settled(this.#db.close())
  }
}
