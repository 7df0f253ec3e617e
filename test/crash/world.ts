/**
 * The machine of a simulation, and the process on it: opening, waiting, crashing.
 *
 *   open -> Database -> crash (at a call of the disk, or between steps) -> open …
 *
 * Invariants:
 * 1. Whoever waits for a process that ended gets `ProcessEnded`; what it promised is never heard of again.
 * 2. An operation may fail only after a mishap of this process (`mishaps`), and with a code that says so.
 */
import assert from 'node:assert/strict'
import { open } from '../../src/index.ts'
import { SydraError } from '../../src/lib/errors.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, EngineEvent } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import type { PlannedFault } from './plan.ts'
import { count, type Tally } from './tally.ts'

export const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
/** More than any operation takes. */
const turnsMax = 4000
const slowSyncTurnsMax = 6
/** Faults of a plan end after a few calls. */
const triesMax = 60

/** What damage and nothing else may lead to. */
const alarming = new Set<EngineEvent['kind']>(['wal-corruption', 'segment-quarantined', 'segment-damaged', 'rebuilt'])

export class ProcessEnded extends Error {}

/** Failures of the disk as the database tells them. */
const isOfDisk = (error: unknown): error is SydraError =>
  error instanceof SydraError && /^(disk_full|io_error|read_only|corrupt_\w+|shutting_down)$/.test(error.code)

export class World {
  readonly machine: SimulatedMachine
  db: Database | undefined
  /** Of the process that runs now. */
  events: EngineEvent[] = []
  /** What went wrong for it. */
  mishaps = 0
  /** Grows with every process that ends by itself. */
  process = 0
  readonly #tally: Tally
  readonly #settings: SettingsInput
  #disarm: (() => void)[] = []
  #crash: { calls: number; readonly power: boolean; readonly seed: number } | undefined

  constructor(seed: number, settings: SettingsInput, tally: Tally) {
    this.machine = new SimulatedMachine(seed)
    // On a slow device a flush is behind what is written meanwhile.
    if (seed % 3 > 0) this.machine.disk.syncTurnsMax = slowSyncTurnsMax
    this.#settings = settings
    this.#tally = tally
    this.#watchDisk()
  }

  get isReadOnly(): boolean {
    return this.db?.stats().readOnly === true
  }

  /** Something damaged was met, or seemed so. */
  get isAlarmed(): boolean {
    return this.events.some(({ kind }) => alarming.has(kind))
  }

  /** Waits, with time moving, until the work is done. */
  async settled<T>(work: () => Promise<T>): Promise<T> {
    const { process } = this
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined
    work().then(
      value => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    this.machine.disk.releaseSyncs()
    for (let turns = 0; outcome === undefined && process === this.process; turns++) {
      if (turns > turnsMax) throw new Error('something never settles')
      await turn()
      if (turns % 8 === 7) await this.machine.advance(50)
    }
    if (process !== this.process || outcome === undefined) throw new ProcessEnded()
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  /** The outcome of what a mishap may keep from succeeding: then undefined. */
  async attempt<T>(work: () => Promise<T>, codes: RegExp = /^$/): Promise<T | undefined> {
    try {
      return await this.settled(work)
    } catch (error) {
      if (error instanceof SydraError && codes.test(error.code)) return undefined
      this.allow(error)
      return undefined
    }
  }

  /** The outcome of what can be tried again. */
  async insist<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const { mishaps } = this
      try {
        return await this.settled(work)
      } catch (error) {
        if (attempt === triesMax || this.mishaps === mishaps) throw error
        this.allow(error)
      }
    }
  }

  /** Throws the error again unless it can come from a mishap. */
  allow(error: unknown): void {
    if (error instanceof ProcessEnded || !isOfDisk(error) || this.mishaps === 0) throw error
    count(this.#tally, `error ${error.code}`)
  }

  /** Opens the database, however often that takes; `opened` is told at once. */
  async open(opened: (db: Database) => void = () => {}): Promise<Database> {
    assert.equal(this.db, undefined)
    for (let attempt = 0; ; attempt++) {
      assert.ok(attempt < triesMax, 'it never opens again')
      this.mishaps = 0
      this.events = []
      const { process } = this
      try {
        const opening = async (): Promise<Database> => {
          const db = await open(this.#settings, this.machine.ports)
          // A process that ended meanwhile has no one who could see it.
          if (process !== this.process) return db
          db.events$.subscribe(event => {
            if (process !== this.process) return
            this.events.push(event)
            count(this.#tally, `event ${event.kind}`)
            if (event.kind === 'compacted' && event.segments.some(({ rollup }) => rollup !== undefined))
              count(this.#tally, 'merges with rollups')
          })
          opened(db)
          return db
        }
        this.db = await this.settled(opening)
        count(this.#tally, 'opened')
        return this.db
      } catch (error) {
        if (error instanceof ProcessEnded) continue
        count(this.#tally, 'opening failed')
        this.allow(error)
      }
    }
  }

  async close(): Promise<void> {
    const { db } = this
    if (db === undefined) return
    try {
      await this.settled(() => db.close())
    } catch (error) {
      this.allow(error)
    }
    this.db = undefined
  }

  // ---- what goes wrong ------------------------------------------------------------------------------------------

  fail({ path: part, ...fault }: PlannedFault): void {
    // a lock that cannot be removed stays until the process ends
    const path = (path: string): boolean => path.includes(part) && !path.includes('LOCK')
    this.#disarm.push(this.machine.disk.fail({ ...fault, path }))
  }

  /** No more faults. */
  mend(): void {
    for (const disarm of this.#disarm.splice(0)) disarm()
    this.#crash = undefined
    this.machine.disk.releaseSyncs()
  }

  crashAt(calls: number, power: boolean, seed: number): void {
    this.#crash = { calls, power, seed }
  }

  get crashIsPending(): boolean {
    return this.#crash !== undefined
  }

  /** The machine loses power, or only the process dies. */
  crash(where: string, power: boolean, seed: number): void {
    count(this.#tally, power ? 'power loss' : 'kill')
    count(this.#tally, `crash at ${where}`)
    if (power) this.machine.crash(seed)
    else this.machine.kill()
    this.#disarm = []
    this.#crash = undefined
    this.process++
    this.db = undefined
    this.#watchDisk()
  }

  #watchDisk(): void {
    const { disk } = this.machine
    disk.onMishap = what => {
      this.mishaps++
      count(this.#tally, what)
    }
    disk.onCall = (call, path) => {
      const crash = this.#crash
      if (crash === undefined || disk !== this.machine.disk || --crash.calls > 0) return
      this.crash(`${call} ${kindOfPath(path)}`, crash.power, crash.seed)
    }
  }
}

const kindOfPath = (path: string): string =>
  /(wal|segments|catalog|MANIFEST|LOCK|objects|refs)/.exec(path)?.[1] ?? 'directory'
