/**
 * A day in the life of the whole engine on the simulated machine: the steps of a plan, and after each of them a look at what is
 * there against the model.
 *
 *   plan -> step (work, fault, crash) -> restart where there is no process -> question, marks, files -> next step
 *
 * Invariants:
 * 1. Bytes are settled and submitted before a call returns, so that the order of the calls is the order of the writes.
 * 2. A restart is judged by everything that can be read; a step by one question and by which submissions are in.
 */
import assert from 'node:assert/strict'
import { SydraError } from '../../src/lib/errors.ts'
import type { Committed, Database } from '../../src/types.ts'
import { checkFiles, verifyClosed } from './files.ts'
import { difference, Model, markMetric, type Rows, type Submission } from './model.ts'
import type { Plan, Step } from './plan.ts'
import { answer, ask, compareLines, type Question, readAll, readMetric } from './questions.ts'
import { rot } from './rot.ts'
import { beginSlowRead, type SlowRead } from './slow-read.ts'
import { count, type Tally } from './tally.ts'
import { ProcessEnded, turn, World } from './world.ts'

const encoder = new TextEncoder()
const writeCodes = /^(disk_full|io_error|read_only)$/

/** Those of a step that fills a file of the log. */
const manyBatches = 10

/** After such steps nothing new can be seen. */
const leavesRows = new Set<Step['kind']>([
  'fault',
  'hold-syncs',
  'crash-at',
  'check',
  'verify',
  'read-past',
  'read-slowly',
])

/** A snapshot, and what it may hold: what was there when it was asked for, and what came meanwhile. */
interface Taken {
  readonly name: string
  candidates: readonly (readonly Submission[])[]
  /** It was told of as done; otherwise it may be there or not. */
  readonly isSure: boolean
  /** What was not expired then is in it. */
  readonly timeUs: number
}

export class Simulation {
  readonly #world: World
  readonly #plan: Plan
  readonly #model: Model
  readonly #tally: Tally
  /** LSN -> the submissions its commit was seen to have. */
  readonly #commits = new Map<number, string>()
  /** Writes that were begun, and other work. */
  #writes: Promise<unknown>[] = []
  #works: Promise<unknown>[] = []
  #snapshots: Taken[] = []
  #names = 0
  /** What the database is if a restore that was under way took effect. */
  #restoring: readonly Submission[] | undefined
  #slow: SlowRead | undefined

  constructor(seed: number, plan: Plan, tally: Tally) {
    const { retention = {}, retentionDays = 0, duplicates = 'last' } = plan.settings
    const daysOf = (namespace: string): number =>
      Number((retention as Record<string, number>)[namespace] ?? retentionDays)
    this.#plan = plan
    this.#model = new Model({ duplicates, daysOf })
    this.#world = new World(seed, plan.settings, tally)
    this.#tally = tally
  }

  /** `stepped` is told of each step before it is taken. */
  async run(stepped: (step: Step) => void = () => {}): Promise<void> {
    const world = this.#world
    await this.#restart()
    for (const step of this.#plan.steps) {
      stepped(step)
      count(this.#tally, `step ${step.kind}`)
      const { process } = world
      try {
        if (step.kind === 'rot') return await this.#rot(step)
        await this.#take(step)
        if (world.db !== undefined && !world.isReadOnly && !leavesRows.has(step.kind)) await this.#look(step.asks)
      } catch (error) {
        if (!(error instanceof ProcessEnded) || process === world.process) throw error
      }
      if (world.isReadOnly) count(this.#tally, 'read-only')
      if (world.db === undefined || world.isReadOnly || world.isAlarmed) await this.#restart()
    }
    await this.#end()
  }

  async #take(step: Exclude<Step, { kind: 'rot' }>): Promise<void> {
    const world = this.#world
    const db = world.db!
    switch (step.kind) {
      case 'ingest':
        for (const rows of step.batches) {
          if (world.db === db) this.#submit(db, this.#model.submit(rows))
          // So many at once would be one commit, and a file of the log of its own.
          if (step.batches.length >= manyBatches) await turn()
        }
        return step.wait ? this.#settle() : undefined
      case 'ingest-objects': {
        await this.#settle()
        const submission = this.#model.submit(step.rows)
        return world.settled(() => this.#outcome(submission, db.ingest(submission.rows, { precision: 'us' })))
      }
      case 'delete':
        for (const deletion of step.deletions) if (world.db === db) await this.#delete(db, this.#model.delete(deletion))
        return step.wait ? this.#settle() : undefined
      case 'flush':
        return this.#work(step.wait, () => db.flush())
      case 'compact':
        return this.#work(step.wait, () => db.compact())
      case 'time':
        world.machine.disk.releaseSyncs()
        return world.machine.advance(step.ms)
      case 'clock':
        world.machine.nowUs += step.us
        // so that what looks now and then sees it
        return world.machine.advance(70_000)
      case 'snapshot':
        return this.#snapshot(db, step.during)
      case 'read-past':
        await this.#settle()
        await this.#readPast(db, step.pick)
        return
      case 'restore':
        return this.#restore(db, step.pick)
      case 'forget':
        return this.#forget(db, step.pick)
      case 'gc':
        await world.attempt(() => db.gc())
        return
      case 'verify':
        return this.#verify(db)
      case 'check':
        await this.#settle()
        return this.#checkAll(db)
      case 'read-slowly':
        return this.#readSlowly(db, step.metric)
      case 'read-on':
        return this.#readOn()
      case 'close':
        return this.#close()
      case 'hold-syncs':
        return world.machine.disk.holdSyncs()
      case 'fault':
        return world.fail(step.fault)
      case 'crash-at':
        return world.crashAt(step.calls, step.power, step.seed)
      case 'crash':
        return world.crash('step', step.power, step.seed)
    }
  }

  // ---- writing --------------------------------------------------------------------------------------------------

  #submit(db: Database, submission: Submission): void {
    if (this.#world.isReadOnly) {
      assert.throws(() => db.ingestStream(), { code: 'read_only' })
      submission.outcome = 'refused'
      return
    }
    const stream = db.ingestStream({ precision: 'us' })
    const text = submission.rows.map(row => `${JSON.stringify(row)}\n`).join('')
    assert.equal(stream.write(encoder.encode(text)), undefined)
    this.#writes.push(this.#outcome(submission, stream.end()))
  }

  /** A turn later it has its place among the writes. */
  async #delete(db: Database, submission: Submission): Promise<void> {
    const { metric, fromUs, toUs, host } = submission.deletion!
    const ofHost = host === undefined ? '' : ` and tag.host = '${host}'`
    const text = `delete from ${metric} where time >= ${fromUs} and time < ${toUs}${ofHost}`
    const { process } = this.#world
    const told = (outcome: 'accepted' | 'refused'): void => {
      if (process !== this.#world.process) return
      submission.outcome = outcome
      count(this.#tally, `delete ${outcome}`)
    }
    this.#writes.push(
      db
        .query(text)
        .all()
        .then(
          () => told('accepted'),
          (error: unknown) => {
            const isKnown = error instanceof SydraError && /^unknown_(metric|tag)$/.test(error.code)
            if (process === this.#world.process && !isKnown) this.#world.allow(error)
            told('refused')
            if (isKnown && process === this.#world.process) this.#model.withdraw(submission)
          },
        ),
    )
    await turn()
  }

  async #outcome(submission: Submission, report: ReturnType<Database['ingest']>): Promise<void> {
    const world = this.#world
    const { process } = world
    const { ingested, rejected, failure } = await report.catch((error: SydraError) => {
      if (process === world.process) assert.equal(error.code, 'read_only')
      return { ingested: 0, rejected: 0, failure: error }
    })
    if (process !== world.process) return
    assert.equal(rejected, 0)
    if (failure !== undefined) {
      assert.match(failure.code, writeCodes)
      world.allow(failure)
    }
    assert.equal(ingested, failure === undefined ? submission.rows.length : 0)
    submission.outcome = failure === undefined ? 'accepted' : 'refused'
    count(this.#tally, `ingest ${submission.outcome}`)
    if (failure === undefined) count(this.#tally, 'rows acknowledged', ingested)
  }

  async #work(wait: boolean, work: () => Promise<unknown>): Promise<void> {
    const { process } = this.#world
    const done = async (): Promise<void> => {
      try {
        await work()
      } catch (error) {
        if (process === this.#world.process) this.#world.allow(error)
      }
    }
    if (wait) await this.#world.settled(done)
    else this.#works.push(done())
  }

  /** Everything written has its outcome. */
  async #settle(): Promise<void> {
    const writes = this.#writes
    await this.#world.settled(() => Promise.all(writes))
    this.#writes = this.#writes.slice(writes.length)
  }

  async #settleAll(): Promise<void> {
    await this.#settle()
    await this.#world.settled(() => Promise.all(this.#works))
    this.#works = []
  }

  // ---- snapshots ------------------------------------------------------------------------------------------------

  async #snapshot(db: Database, during: Submission['rows']): Promise<void> {
    await this.#settle()
    const name = `s${++this.#names}`
    const before = this.#model.contents()
    const taken: Taken = { name, candidates: [before], isSure: false, timeUs: this.#world.machine.nowUs }
    this.#snapshots.push(taken)
    const { process } = this.#world
    const done = db.snapshot(name)
    done.catch(() => {})
    if (process !== this.#world.process) throw new ProcessEnded()
    if (during.length > 0 && !this.#world.isReadOnly) {
      const submission = this.#model.submit(during)
      this.#submit(db, submission)
      taken.candidates = [before, [...before, submission]]
    }
    const report = await this.#world.attempt(() => done)
    await this.#settle()
    if (report === undefined) return
    count(this.#tally, 'snapshot taken')
    this.#snapshots = this.#snapshots.map(each =>
      each === taken ? { ...taken, isSure: true, timeUs: this.#world.machine.nowUs } : each,
    )
  }

  /** One that is there; those that are not, and need not be, are forgotten. */
  async #pick(db: Database, pick: number): Promise<Taken | undefined> {
    const listed = await this.#world.insist(async () => db.snapshots())
    const there = new Set(listed.flatMap(({ names }) => names))
    for (const { name, isSure } of this.#snapshots) assert.ok(!isSure || there.has(name), `snapshot ${name} is gone`)
    this.#snapshots = this.#snapshots.filter(({ name }) => there.has(name))
    return this.#snapshots[pick % this.#snapshots.length]
  }

  /** Reads a snapshot and finds what it holds. */
  async #readPast(db: Database, pick: number): Promise<Taken | undefined> {
    const taken = await this.#pick(db, pick)
    if (taken === undefined) return undefined
    const model = this.#model
    const found = model.visible(await this.#world.insist(() => readAll(db, taken.name)), taken.timeUs)
    let verdict: string | undefined
    for (const contents of taken.candidates) {
      const problem = difference(model.visible(model.merged(contents), taken.timeUs), found)
      if (problem === undefined) {
        count(this.#tally, 'snapshot read')
        taken.candidates = [contents]
        return taken
      }
      verdict ??= problem
    }
    throw new Error(`as of ${taken.name}: ${verdict}`)
  }

  async #restore(db: Database, pick: number): Promise<void> {
    await this.#settleAll()
    const taken = await this.#readPast(db, pick)
    if (taken === undefined) return
    const contents = taken.candidates[0]!
    this.#restoring = contents
    const restored = await this.#world.attempt(() => db.restore(taken.name))
    if (restored === undefined) {
      if (!this.#world.isReadOnly) this.#restoring = undefined
      return
    }
    this.#restoring = undefined
    this.#model.restore(contents)
    count(this.#tally, 'snapshot restored')
    await this.#checkAll(db)
  }

  async #forget(db: Database, pick: number): Promise<void> {
    const taken = await this.#pick(db, pick)
    if (taken === undefined) return
    this.#snapshots = this.#snapshots.filter(each => each !== taken)
    const removed = await this.#world.attempt(() => db.removeSnapshot(taken.name).then(() => true))
    const left = await this.#world.insist(async () => db.snapshots())
    if (removed && left.some(({ names }) => names.includes(taken.name)))
      throw new Error(`snapshot ${taken.name} was removed and is there`)
  }

  // ---- looking --------------------------------------------------------------------------------------------------

  /** After a step: what was acknowledged is in, once, and one question is answered right. */
  async #look(question: Question): Promise<void> {
    const db = this.#world.db!
    if (this.#writes.length > 0) return
    await this.#judge(async () => {
      const found: Rows = new Map()
      await readMetric(db, markMetric, found).catch(unlessUnknown)
      return nowUs => {
        const expected = [...this.#model.expected(nowUs)].filter(([, { metric }]) => metric === markMetric)
        return difference(new Map(expected), found)
      }
    })
    await this.#judge(async () => {
      const found = await ask(db, question, () => count(this.#tally, 'question answered from rollups'))
      return nowUs => compareLines(question, answer(question, this.#model.expected(nowUs)), found)
    })
  }

  async #checkAll(db: Database): Promise<void> {
    await this.#judge(async () => {
      const found = await readAll(db)
      return nowUs => difference(this.#model.expected(nowUs), found)
    })
  }

  /** What is read while a minute ends may be as before or as after: rows expire by the minute. */
  async #judge(read: () => Promise<(nowUs: number) => string | undefined>): Promise<void> {
    const { machine } = this.#world
    const beforeUs = machine.nowUs
    const judge = await this.#world.insist(read)
    const verdict = judge(beforeUs)
    if (verdict !== undefined && judge(machine.nowUs) !== undefined) throw new Error(verdict)
  }

  async #verify(db: Database): Promise<void> {
    const { damaged } = await this.#world.insist(() => db.verify().all())
    const problems = damaged.flatMap(file => file.problems)
    if (this.#world.mishaps === 0) assert.deepEqual(problems, [])
  }

  async #readSlowly(db: Database, metric: string): Promise<void> {
    await this.#settle()
    this.#slow ??= await beginSlowRead(this.#world, this.#model, db, metric)
  }

  async #readOn(): Promise<void> {
    const slow = this.#slow
    this.#slow = undefined
    if (slow?.process !== this.#world.process) return
    await this.#world.attempt(slow.finish)
  }

  // ---- restarts -------------------------------------------------------------------------------------------------

  async #close(): Promise<void> {
    const world = this.#world
    await this.#readOn()
    if (world.isReadOnly) return world.close()
    await this.#settleAll()
    await world.close()
    if (world.mishaps === 0) await verifyClosed(world)
  }

  /** Until it is open, sound, and all that was promised is there. */
  async #restart(): Promise<void> {
    const world = this.#world
    for (let attempt = 0; ; attempt++) {
      assert.ok(attempt < 50, 'it never comes up')
      if (attempt > 20) world.mend()
      try {
        if (world.db !== undefined) await this.#close()
        this.#writes = []
        this.#works = []
        this.#slow = undefined
        const db = await world.open(opened => {
          if (this.#plan.isWatched) opened.committed$.subscribe(commit => this.#seeCommit(commit))
          if (world.mishaps === 0) checkFiles(world.machine.disk, opened)
        })
        if (await this.#isSound(db)) return
      } catch (error) {
        if (!(error instanceof ProcessEnded)) throw error
      }
    }
  }

  /** Alarms are false where files could not be read for a while: then all is there when they can. */
  async #isSound(db: Database): Promise<boolean> {
    const world = this.#world
    if (world.isAlarmed || db.stats().segments.quarantined > 0) {
      assert.ok(world.mishaps > 0, `alarm without a mishap: ${JSON.stringify(world.events)}`)
      count(this.#tally, 'false alarm')
      world.mend()
      return false
    }
    const beforeUs = world.machine.nowUs
    const found = await world.insist(() => readAll(db))
    const verdict = this.#model.restarted(found, beforeUs, this.#restoring)
    if (verdict !== undefined && this.#model.restarted(found, world.machine.nowUs, this.#restoring) !== undefined)
      throw new Error(verdict)
    this.#restoring = undefined
    return true
  }

  async #end(): Promise<void> {
    const world = this.#world
    world.crashAt(1, this.#plan.settings.fsync === 'always', 1)
    world.mend()
    world.crash('end', this.#plan.settings.fsync === 'always', this.#names)
    await this.#restart()
    await this.#readPast(world.db!, 0)
    await this.#close()
    assert.equal(world.mishaps, 0)
  }

  async #rot(step: Extract<Step, { kind: 'rot' }>): Promise<void> {
    this.#world.mend()
    await this.#restart()
    await this.#settleAll()
    const write = async (rows: Submission['rows']): Promise<void> => {
      const submission = this.#model.submit(rows)
      this.#submit(this.#world.db!, submission)
      await this.#settle()
      assert.equal(submission.outcome, 'accepted')
    }
    const { settings } = this.#plan
    await rot({ world: this.#world, model: this.#model, settings, tally: this.#tally, write }, step)
  }

  #seeCommit({ lsn, batches, deleted }: Committed): void {
    const rows = batches
      .flatMap(({ metrics }) => metrics.filter(({ metric }) => metric.name === markMetric))
      .flatMap(({ fields, length }) => [...fields[0]!.values.subarray(0, length)])
    const marks = deleted === undefined ? rows.join() : JSON.stringify(deleted)
    const before = this.#commits.get(lsn)
    assert.ok(before === undefined || before === marks, `LSN ${lsn} was [${before}] and is [${marks}]`)
    this.#commits.set(lsn, marks)
  }
}

function unlessUnknown(error: unknown): void {
  if (!(error instanceof SydraError) || error.code !== 'unknown_metric') throw error
}
