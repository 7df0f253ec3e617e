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
import type { Database, LiveObservable, LiveReader, RowObject, Value } from '../../../src/types.ts'
import { count, type Tally } from '../../crash/tally.ts'
import { openOn, turn } from '../../database/support.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'
import { SeededRandom } from '../../simulated/random.ts'
import { BrokenPromise, Follower, type Reach } from './follower.ts'
import type { Manner, Plan, PlannedDelete, PlannedQuery, Step } from './plan.ts'
import type { Written } from './rows.ts'
import { type Row, rowsDiffer, rowText } from './same-rows.ts'

type ObjectRow = Record<string, Value>

/** What a run found wrong, and with which query. */
export class Difference extends Error {
  readonly query: number
  constructor(query: number, message: string) {
    super(message)
    this.query = query
  }
}

/** A query that was asked for in a commit, for those who have an event of just then. */
interface Look {
  readonly lsn: number
  readonly query: number
  readonly nowUs: number
  readonly answer: Promise<Answer>
  readonly seen: { readonly follower: Follower; readonly rows: readonly Row[] }[]
}

interface Answer {
  readonly names: readonly string[]
  readonly rows: readonly Row[]
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
  #db!: Database
  #seriesId = ''
  #subscribers: Subscriber[] = []
  #away: Subscriber[] = []
  #works: Promise<unknown>[] = []
  #looks: Look[] = []
  #snapshots: string[] = []
  readonly #magnitude = { sum: 0, squares: 0 }
  #problem: Error | undefined

  constructor(seed: number, plan: Plan, tally: Tally) {
    this.#plan = plan
    this.#tally = tally
    // A watcher of commits keeps their memory from being used again: half of the runs do without.
    this.#isWatched = seed % 2 === 0
    this.#random = new SeededRandom(seed ^ 0x5eed)
    this.#machine = new SimulatedMachine(seed)
    this.#machine.nowUs = plan.scale.startUs
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
    await this.#settled(this.#ingest(rows))
    await this.#settled(this.#insert({ ...rows[0]!, step: 1, fields: { n: 3 } }))
    this.#seriesId = [...this.#db.series('m')].find(({ printed }) => printed === 'm{dc="x",host="a"}')!.id
    this.#watch()
  }

  #watch(): void {
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
        for (const row of step.rows) await this.#settled(this.#insert(row))
        return
      case 'delete':
        return this.#work(this.#delete(step.deletion), step.wait)
      case 'flush':
        return this.#work(db.flush(), step.wait)
      case 'compact':
        return this.#work(db.compact(), step.wait)
      case 'time':
        this.#machine.disk.releaseSyncs()
        return this.#machine.advance(step.ms)
      case 'later':
        this.#machine.nowUs = Math.max(this.#machine.nowUs, this.#timeOf(step.at))
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

  #timeOf(step: number): number {
    const { startUs, stepUs } = this.#plan.scale
    return startUs + step * stepUs
  }

  async #write({ at, commits, pace }: Extract<Step, { kind: 'rows' }>): Promise<void> {
    const machine = this.#machine
    const missingMs = (this.#timeOf(at) - machine.nowUs) / 1000
    if (missingMs > 0 && missingMs <= 5000) await machine.advance(missingMs)
    machine.nowUs = Math.max(machine.nowUs, this.#timeOf(at))
    if (pace === 'turns') machine.disk.holdSyncs()
    for (const commit of commits) {
      const written = this.#ingest(commit)
      if (pace === 'done') await this.#settled(written)
      else this.#works.push(written)
      if (pace === 'turns') await turn()
    }
    machine.disk.releaseSyncs()
  }

  async #ingest(rows: readonly Written[]): Promise<void> {
    const objects = rows.map(({ metric, tags, step, fields }): RowObject => {
      this.#measure(fields)
      return { series: metric, ts: this.#timeOf(step), tags, fields }
    })
    const { rejected, failure } = await this.#db.ingest(objects, { precision: 'us' })
    if (failure !== undefined) throw failure
    assert.equal(rejected, 0)
    count(this.#tally, 'rows written', rows.length)
  }

  async #insert({ metric, tags, step, fields }: Written): Promise<void> {
    this.#measure(fields)
    const tagList = Object.entries(tags).map(([key, value]) => `${key} = '${value}'`)
    const names = Object.keys(fields)
    const values = names.map(name => (name === 'n' ? `${fields[name]}::integer` : `$${names.indexOf(name) + 1}`))
    const used = names.filter(name => name !== 'n')
    const placed = values.map(value =>
      value.replace(/^\$(\d+)$/, (_, k) => `$${used.indexOf(names[Number(k) - 1]!) + 1}`),
    )
    const text = `insert into ${metric} (${tagList.join(', ')}) fields (${names.join(', ')}) values (${this.#timeOf(step)}, ${placed.join(', ')})`
    const params = used.map(name =>
      typeof fields[name] === 'string' && name !== 's' ? Number(fields[name]) : fields[name]!,
    )
    await this.#db.query(text, params).all()
  }

  async #delete({ metric, from, to, host }: PlannedDelete): Promise<void> {
    const ofHost = host === undefined ? '' : ` and tag.host = '${host}'`
    const range = `time >= ${this.#timeOf(from)} and time < ${this.#timeOf(to)}`
    await this.#db.query(`delete from ${metric} where ${range}${ofHost}`).all()
  }

  #measure(fields: Written['fields']): void {
    for (const value of Object.values(fields)) {
      if (typeof value !== 'number') continue
      this.#magnitude.sum += Math.abs(value)
      this.#magnitude.squares += value * value
    }
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

  #textOf({ text }: PlannedQuery): string {
    return text.replace('{id}', this.#seriesId)
  }

  #subscribe(subscriber: Subscriber): void {
    const { query, manner, follower } = subscriber
    const planned = this.#plan.queries[query]
    // it is not of this run
    if (planned === undefined) return
    const { id } = follower
    if (id !== undefined) follower.resume()
    follower.isRecent = manner === 'recent'
    follower.ticksAreHorizons = this.#plan.settings.retention !== undefined && !dependsOnNow(planned)
    follower.onReach = reach => this.#reached(subscriber, reach)
    const live: LiveObservable<ObjectRow> = this.#db.live<ObjectRow>(this.#textOf(planned), planned.params ?? [], {
      ...(manner === 'recent' ? {} : { history: 'all' as const }),
      ...(id === undefined ? {} : { resumeFrom: id }),
    })
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

  /** In the commit, so that the version is the one of that LSN. */
  #seeCommit(lsn: number): void {
    if (lsn % looksEvery !== 0) return
    const open = [...new Set(this.#subscribers.map(({ query }) => query))]
    for (let k = 0; k < this.#plan.looks && open.length > 0; k++) {
      const [query] = open.splice(this.#random.below(open.length), 1)
      const answer = this.#ask(query!)
      answer.catch(() => {})
      this.#looks.push({ lsn, query: query!, nowUs: this.#machine.nowUs, answer, seen: [] })
    }
  }

  /** What ids say of the time: `now()`, or where retention begins, in ms. */
  #tickAt(query: number, nowUs: number): number {
    if (dependsOnNow(this.#plan.queries[query]!)) return nowUs / 1000
    return (nowUs - (nowUs % 60e6)) / 1000 - (this.#plan.settings.retention?.['m'] ?? 0) * 86_400e3
  }

  #reached({ query, follower }: Subscriber, { lsn, tick }: Reach): void {
    for (const look of this.#looks) {
      if (look.query !== query || look.lsn !== lsn || (tick !== 0 && tick !== this.#tickAt(query, look.nowUs))) continue
      if (look.seen.every(({ follower: other }) => other !== follower))
        look.seen.push({ follower, rows: follower.rows() })
    }
  }

  async #ask(query: number): Promise<Answer> {
    const planned = this.#plan.queries[query]!
    const { columns, rows } = await this.#db.query(this.#textOf(planned), planned.params ?? []).all()
    const names = columns.map(({ name }) => name)
    return { names, rows: rows.map(row => names.map(name => row[name] as Value)) }
  }

  async #check(): Promise<void> {
    await this.#settle()
    await this.#caughtUp()
    const machine = this.#machine
    const presentUs = machine.nowUs
    const answers = new Map<string, Promise<Answer>>()
    for (const subscriber of this.#subscribers) {
      const { query, follower } = subscriber
      const { tick } = follower.reach
      const isOfThen = dependsOnNow(this.#plan.queries[query]!)
      const key = `${query} ${isOfThen ? tick : 0}`
      if (isOfThen) machine.nowUs = tick * 1000
      if (!answers.has(key)) answers.set(key, this.#ask(query))
      const answer = await answers.get(key)!
      machine.nowUs = presentUs
      this.#compare(subscriber, follower.rows(), answer, `LSN ${follower.reach.lsn}`)
      count(this.#tally, `compared: ${follower.strategy}`)
      count(this.#tally, `shape ${this.#plan.queries[query]!.shape}: ${follower.strategy}`)
    }
    await this.#compareLooks()
    if (this.#problem !== undefined) throw this.#problem
  }

  async #compareLooks(): Promise<void> {
    const looks = this.#looks
    this.#looks = []
    for (const { lsn, query, answer, seen } of looks)
      for (const { follower, rows } of seen) {
        const subscriber = { query, manner: 'push', follower, open: undefined } as const
        this.#compare(subscriber, rows, await answer, `LSN ${lsn}, as it was asked in the commit`)
        count(this.#tally, `compared in the commit: ${follower.strategy}`)
      }
  }

  #compare(subscriber: Subscriber, rows: readonly Row[], answer: Answer, when: string): void {
    const { follower } = subscriber
    const { names } = follower
    const differ = follower.isPartial
      ? unknownRows(rows, answer.rows)
      : names.join() === answer.names.join()
        ? rowsDiffer(rows, answer.rows, names, this.#magnitude)
        : `columns ${names.join(', ')} instead of ${answer.names.join(', ')}`
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

const dependsOnNow = ({ text }: PlannedQuery): boolean => text.includes('now()')

/** Of a subscriber that does not know what was there before it: all that it knows must be there. */
function unknownRows(found: readonly Row[], all: readonly Row[]): string | undefined {
  const texts = new Map<string, number>()
  for (const row of all) texts.set(rowText(row), (texts.get(rowText(row)) ?? 0) + 1)
  const strange = found.find(row => {
    const left = texts.get(rowText(row)) ?? 0
    texts.set(rowText(row), left - 1)
    return left === 0
  })
  return strange && `a row that is not there: [${rowText(strange)}]`
}
