/**
 * A day in the life of the whole engine on the simulated machine, from one seed: work, faults, crashes, restarts.
 *
 *   seed -> steps (ingest, flush, time, query, close, fault, crash at the n-th disk call) -> model says what must be there
 */
import { expect } from 'vitest'
import { open } from '../../src/index.ts'
import { SydraError } from '../../src/lib/errors.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Committed, Database, EngineEvent } from '../../src/types.ts'
import type { DiskCall, Fault } from '../simulated/disk.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { SeededRandom } from '../simulated/random.ts'
import { Model, markMetric, readAll, type Submission } from './model.ts'
import { RandomRows } from './rows.ts'

const dataDir = 'data'
const settings = {
  dataDir,
  memtableMaxBytes: 128 * 1024,
  flushIntervalMs: 5000,
  walKeepBytes: 0,
} satisfies SettingsInput
const turn = () => new Promise<void>(resolve => void setImmediate(resolve))
const turnsMax = 5000
const encoder = new TextEncoder()

/** What happened, so that a test can see that its seeds reached everything. */
export interface Tally {
  opens: number
  crashes: number
  accepted: number
  deleted: number
  refused: number
  flushes: number
  readOnly: number
  failedOpens: number
  crashedAt: Map<string, number>
}
export const newTally = (): Tally => ({
  opens: 0,
  crashes: 0,
  accepted: 0,
  deleted: 0,
  refused: 0,
  flushes: 0,
  readOnly: 0,
  failedOpens: 0,
  crashedAt: new Map(),
})

export class Simulation {
  readonly #machine: SimulatedMachine
  readonly #random: SeededRandom
  readonly #rows: RandomRows
  readonly #model = new Model()
  readonly #tally: Tally
  /** LSN -> the submissions its commit was seen to have. */
  readonly #commits = new Map<number, string>()
  #db: Database | undefined
  /** Writes that were begun, and flushes. */
  #open: Promise<unknown>[] = []
  #flushes: Promise<unknown>[] = []
  #crashIn = Number.POSITIVE_INFINITY
  #process = 0
  /** Where rows are acknowledged before they are durable, only the process dies, never the machine, and no sync fails. */
  readonly #isSynced: boolean
  /** Without a watcher of `committed$` the memory of row batches is used again. */
  readonly #isWatched: boolean
  readonly #settings: SettingsInput

  constructor(seed: number, tally: Tally) {
    const fsync = seed % 4 === 0 ? 'interval' : seed % 13 === 0 ? 'none' : 'always'
    this.#isSynced = fsync === 'always'
    this.#isWatched = seed % 2 === 0
    this.#settings = { ...settings, fsync }
    this.#machine = new SimulatedMachine(seed)
    this.#random = new SeededRandom(seed + 77)
    this.#rows = new RandomRows(this.#random)
    this.#tally = tally
    this.#watchDisk()
  }

  async run(steps: number): Promise<void> {
    await this.#reopen()
    for (let i = 0; i < steps; i++) {
      await this.#step()
      if (this.#db?.stats().readOnly) this.#tally.readOnly++
      if (this.#db === undefined || this.#db.stats().readOnly) await this.#reopen()
    }
    this.#crashIn = Number.POSITIVE_INFINITY
    this.#crash('end', 1)
    await this.#reopen()
    await this.#close()
    await this.#reopen()
    await this.#close()
  }

  /**
   * Two flushes, the first of which lets a log file go, with a crash at the n-th disk call; says whether there were so many.
   */
  async runFlushes(crashAt: number): Promise<boolean> {
    await this.#reopen()
    this.#crashIn = crashAt
    const steps = [
      () => Array.from({ length: 20 }, () => this.#db && this.#submitLarge(this.#db)),
      () => this.#db && this.#submitDelete(this.#db),
      () => this.#db && this.#flushes.push(this.#flushed(this.#db)),
      () => this.#db && this.#submitDelete(this.#db),
      () => this.#db && this.#submitText(this.#db, 10),
      () => this.#db && this.#submitDelete(this.#db),
      () => this.#db && this.#flushes.push(this.#flushed(this.#db)),
      () => this.#close(),
    ]
    for (const step of steps) {
      await step()
      await this.#allSettled()
    }
    const crashed = this.#crashIn === Number.POSITIVE_INFINITY
    this.#crashIn = Number.POSITIVE_INFINITY
    await this.#reopen()
    await this.#close()
    return crashed
  }

  async #step(): Promise<void> {
    const random = this.#random
    const db = this.#db!
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
        for (let n = 1 + random.below(4); n > 0 && this.#db === db; n--) this.#submitText(db, 1 + random.below(20))
        if (random.chance(0.5)) await this.#allSettled()
        return
      case 3:
        await this.#submitObjects(db, 1 + random.below(30))
        return
      case 4:
        if (random.chance(0.3)) for (let n = 20; n > 0 && this.#db === db; n--) this.#submitLarge(db)
        else this.#submitText(db, 300)
        if (random.chance(0.7)) await this.#allSettled()
        return
      case 5: {
        const flushed = this.#flushed(db)
        if (random.chance(0.5)) await this.#settled(flushed)
        else this.#flushes.push(flushed)
        return
      }
      case 6:
        this.#machine.disk.releaseSyncs()
        await this.#machine.advance(random.below(20_000))
        return
      case 7:
        // also while a flush is under way
        await (random.chance(0.5) ? this.#writesSettled() : this.#allSettled())
        if (this.#db === db) await this.#check(rows => this.#model.running(rows))
        return
      case 8:
        this.#machine.disk.fail(this.#fault())
        return
      case 9:
        this.#crashIn = 1 + random.below(random.chance(0.5) ? 12 : 80)
        return
      case 10:
        if (random.chance(0.4)) await this.#close()
        else if (random.chance(0.5)) this.#machine.disk.holdSyncs()
        return
      case 11:
      case 12:
        for (let n = random.chance(0.3) ? 3 : 1; n > 0 && this.#db === db; n--) await this.#submitDelete(db)
        if (random.chance(0.3)) await this.#allSettled()
        return
      default:
        if (random.chance(0.4)) return
        this.#crash('step', 0.6)
    }
  }

  // ---- what a program does --------------------------------------------------------------------------------------

  #submitText(db: Database, count: number): void {
    this.#submitted(db, this.#model.submit(this.#rows.take(count)))
  }

  #submitLarge(db: Database): void {
    this.#submitted(db, this.#model.submit([this.#rows.large(60_000)]))
  }

  /** Bytes are settled and submitted before the call returns, so that the order of the calls is the order of the writes. */
  #submitted(db: Database, submission: Submission): void {
    if (db.stats().readOnly) {
      expect(() => db.ingestStream()).toThrow(expect.objectContaining({ code: 'read_only' }))
      submission.outcome = 'refused'
      return
    }
    const stream = db.ingestStream({ precision: 'us' })
    const waiting = stream.write(encoder.encode(submission.rows.map(row => `${JSON.stringify(row)}\n`).join('')))
    expect(waiting).toBeUndefined()
    this.#open.push(this.#outcome(submission, stream.end()))
  }

  /** A turn later it has its place among the writes. */
  async #submitDelete(db: Database): Promise<void> {
    const deletion = this.#rows.deletion()
    const submission = this.#model.delete(deletion)
    const { metric, fromUs, toUs, host } = deletion
    const ofHost = host === undefined ? '' : ` and tag.host = '${host}'`
    const text = `delete from ${metric} where time >= ${fromUs} and time < ${toUs}${ofHost}`
    const outcome = db
      .query(text)
      .all()
      .then(
        () => {
          submission.outcome = 'accepted'
          this.#tally.deleted++
        },
        (error: SydraError) => {
          expect(error.code).toMatch(/^(disk_full|io_error|read_only|unknown_(metric|tag))$/)
          submission.outcome = 'refused'
          this.#tally.refused++
        },
      )
    this.#open.push(outcome)
    await turn()
  }

  #flushed(db: Database): Promise<unknown> {
    const code = expect.stringMatching(/^(disk_full|read_only|shutting_down)$/)
    return db.flush().then(
      () => this.#tally.flushes++,
      (error: unknown) => expect(error).toMatchObject({ code }),
    )
  }

  async #submitObjects(db: Database, count: number): Promise<void> {
    await this.#allSettled()
    if (this.#db !== db) return
    const submission = this.#model.submit(this.#rows.take(count))
    await this.#settled(this.#outcome(submission, db.ingest(submission.rows, { precision: 'us' })))
  }

  async #outcome(submission: Submission, report: ReturnType<Database['ingest']>): Promise<void> {
    const { ingested, rejected, failure } = await report.catch((error: SydraError) => {
      expect(error.code).toBe('read_only')
      return { ingested: 0, rejected: 0, failure: error }
    })
    expect(rejected).toBe(0)
    if (failure !== undefined) expect(failure.code).toMatch(/^(disk_full|io_error|read_only)$/)
    expect(ingested).toBe(failure === undefined ? submission.rows.length : 0)
    submission.outcome = failure === undefined ? 'accepted' : 'refused'
    if (failure === undefined) this.#tally.accepted++
    else this.#tally.refused++
  }

  /** Waits, with time moving, until the promise is settled or the machine has crashed. */
  async #settled(promise: Promise<unknown>): Promise<void> {
    const process = this.#process
    let done = false
    let failure: unknown
    promise.then(
      () => (done = true),
      error => {
        done = true
        failure = error
      },
    )
    this.#machine.disk.releaseSyncs()
    for (let turns = 0; !done && process === this.#process; turns++) {
      if (turns > turnsMax) throw new Error('something never settles')
      await turn()
      if (turns % 8 === 7) await this.#machine.advance(50)
    }
    if (failure !== undefined && process === this.#process) throw failure
  }

  async #writesSettled(): Promise<void> {
    await this.#settled(Promise.all(this.#open))
    this.#open = []
  }

  async #allSettled(): Promise<void> {
    await this.#writesSettled()
    await this.#settled(Promise.all(this.#flushes))
    this.#flushes = []
  }

  // ---- restarts -------------------------------------------------------------------------------------------------

  async #close(): Promise<void> {
    const db = this.#db
    if (db === undefined) return
    await this.#allSettled()
    if (this.#db !== db) return
    this.#db = undefined
    await this.#settled(db.close().catch((error: unknown) => expect(error).toBeInstanceOf(SydraError)))
  }

  async #reopen(): Promise<void> {
    if (this.#db !== undefined) await this.#close()
    for (let attempt = 0; ; attempt++) {
      if (attempt > 20) throw new Error('it never opens again')
      const process = this.#process
      const opening = open(this.#settings, this.#machine.ports)
      let failure: unknown
      await this.#settled(
        opening.then(
          db => {
            if (process === this.#process) this.#db = db
          },
          (error: unknown) => {
            failure = error
          },
        ),
      )
      if (process !== this.#process) continue
      if (failure === undefined) break
      this.#tally.failedOpens++
      if (!(failure instanceof SydraError) || !/^(disk_full|io_error)$/.test(failure.code)) throw failure
    }
    const db = this.#db!
    this.#tally.opens++
    const process = this.#process
    const events: EngineEvent[] = []
    db.events$.subscribe(event => events.push(event))
    if (this.#isWatched) db.committed$.subscribe(commit => this.#seeCommit(commit))
    expect(events.filter(event => ['wal-corruption', 'segment-quarantined'].includes(event.kind))).toEqual([])
    await this.#check(rows => {
      this.#checkFiles(db)
      return this.#model.restarted(rows)
    })
    if (process !== this.#process) await this.#reopen()
  }

  /** Reads the database and lets the model judge; a crash meanwhile is none of its business. */
  async #check(judge: (rows: Awaited<ReturnType<typeof readAll>>) => string | undefined): Promise<void> {
    const process = this.#process
    for (let attempt = 0; process === this.#process; attempt++) {
      let verdict: string | undefined
      let failure: unknown
      await this.#settled(
        readAll(this.#db!).then(
          rows => {
            if (process === this.#process) verdict = judge(rows)
          },
          (error: unknown) => {
            failure = error
          },
        ),
      )
      if (process !== this.#process) return
      if (verdict !== undefined) throw new Error(verdict)
      if (failure === undefined) return
      const refused = failure instanceof SydraError && failure.code === 'io_error'
      if (!refused || attempt > 20) throw failure
    }
  }

  /** No file is there that the manifest does not name. */
  #checkFiles(db: Database): void {
    const paths = this.#machine.disk.paths()
    const found = paths.filter(path => path.startsWith(`${dataDir}/segments/`))
    expect(found.length, found.join()).toBe(db.stats().segments.count)
    expect(paths.filter(path => /\.tmp$|LOCK\./.test(path))).toEqual([])
  }

  #seeCommit({ lsn, batches, deleted }: Committed): void {
    const rows = batches
      .flatMap(({ metrics }) => metrics.filter(({ metric }) => metric.name === markMetric))
      .flatMap(({ fields, length }) => [...fields[0]!.values.subarray(0, length)])
    const marks = deleted === undefined ? rows.join() : JSON.stringify(deleted)
    const before = this.#commits.get(lsn)
    if (before !== undefined) throw new Error(`LSN ${lsn} was [${before}] and is [${marks}]`)
    this.#commits.set(lsn, marks)
  }

  // ---- what goes wrong ------------------------------------------------------------------------------------------

  /** The machine loses power, or only the process dies. */
  #crash(where: string, powerShare: number): void {
    if (this.#isSynced && this.#random.chance(powerShare)) this.#machine.crash()
    else this.#machine.kill()
    this.#tally.crashes++
    this.#tally.crashedAt.set(where, (this.#tally.crashedAt.get(where) ?? 0) + 1)
    this.#process++
    this.#db = undefined
    this.#open = []
    this.#flushes = []
    this.#watchDisk()
  }

  #watchDisk(): void {
    const { disk } = this.#machine
    disk.onCall = (call, path) => {
      if (disk !== this.#machine.disk || --this.#crashIn > 0) return
      this.#crashIn = Number.POSITIVE_INFINITY
      this.#crash(`${call} ${kindOfPath(path)}`, 0.8)
    }
  }

  #fault(): Fault {
    const random = this.#random
    const pick = <T>(values: readonly T[]): T => values[random.below(values.length)]!
    const sync: DiskCall = this.#isSynced ? 'dataSync' : 'write'
    const call = pick<DiskCall>(['write', 'write', sync, 'truncate', 'rename', 'syncDirectory', 'open', 'remove'])
    const kind = pick(['wal', 'segments', 'catalog', 'MANIFEST', ''])
    return {
      call,
      nth: 1 + random.below(4),
      times: pick([1, 1, 2, 5]),
      // a file that is there and gives EIO is damaged; too many open files are a reason to try again
      code: call === 'open' ? 'EMFILE' : pick(['ENOSPC', 'EIO']),
      writtenBytes: random.below(300),
      // a lock that cannot be removed stays until the process ends
      path: path => path.includes(kind) && !path.includes('LOCK'),
    }
  }
}

const kindOfPath = (path: string): string => /(wal|segments|catalog|MANIFEST|LOCK)/.exec(path)?.[1] ?? 'directory'
