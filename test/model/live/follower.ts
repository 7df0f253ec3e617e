/**
 * A subscriber that applies what it is told, and nothing else: its rows by key, from a snapshot and the changes after it.
 *
 * Everything that an event promises is checked when it comes: LSNs ascend, a key is in one list at most, what is added was not
 * there, what is changed or removed was; columns are as the snapshot said, of what is removed only the key is told.
 */
import type { LiveColumn, LiveEvent, LiveRestart, Value } from '../../../src/types.ts'
import { type Row, rowText } from './same-rows.ts'

type ObjectRow = Record<string, Value>
export type ObjectEvent = LiveEvent<ObjectRow>

/** How far a follower's rows go. `tick`: `now()` in ms; 0: they do not depend on it. */
export interface Reach {
  readonly lsn: number
  readonly tick: number
}

interface Known {
  readonly row: Row
  count: number
}

const listNames = ['added', 'changed', 'removed'] as const

export class BrokenPromise extends Error {}

export class Follower {
  columns: readonly LiveColumn[] = []
  strategy: string | undefined
  reach: Reach = { lsn: 0, tick: 0 }
  /** What to resume from. */
  id: string | undefined
  /** It has seen a snapshot, and none is due. */
  isCurrent = false
  error: unknown
  readonly counts = { events: 0, deltas: 0, snapshots: 0, rows: 0, resumed: 0 }
  readonly restarts: LiveRestart[] = []
  /** The tick of an id is where retention begins. */
  ticksAreHorizons = false
  /** Told after each event that says something about rows. */
  onReach: (reach: Reach) => void = () => {}
  /** Of raw rows it does not know all: those of before its time are not told. */
  isRecent = false
  /** Changes may concern what it knows already, or never knew. */
  #isResuming = false
  #isMultiset = false
  #keys: readonly number[] = []
  readonly #known = new Map<string, Known>()

  get isPartial(): boolean {
    return this.isRecent && (this.strategy === 'tail' || this.strategy === 'series')
  }

  /** With the columns that the query selects. */
  rows(): Row[] {
    const selected = this.columns.findIndex(({ hidden }) => hidden)
    const out: Row[] = []
    for (const { row, count } of this.#known.values())
      for (let times = 0; times < count; times++) out.push(selected < 0 ? row : row.slice(0, selected))
    return out
  }

  get names(): string[] {
    return this.columns.filter(({ hidden }) => !hidden).map(({ name }) => name)
  }

  resume(): void {
    this.#isResuming = true
  }

  /** Throws `BrokenPromise`. */
  take(event: ObjectEvent): void {
    this.counts.events++
    if (event.kind === 'lagged') {
      this.restarts.push(event.reason)
      this.isCurrent = false
      return
    }
    const reach = reachOf(event.id, event.lsn)
    if (event.kind === 'snapshot') this.#begin(event)
    else {
      if (!this.isCurrent) broken(`${event.kind} without a snapshot`)
      if (this.#isResuming) this.#resumed(reach)
      if (reach.lsn < this.reach.lsn || reach.tick < this.reach.tick)
        broken(`${event.kind} of ${event.id} after ${this.id}`)
      if (event.kind === 'delta') this.#change(event)
      this.#isResuming = false
    }
    this.reach = reach
    this.id = event.id
    this.onReach(reach)
  }

  /** Of rows that expired while nobody looked a tail is not told: it goes by the tick. */
  #resumed({ tick }: Reach): void {
    this.counts.resumed++
    if (!this.ticksAreHorizons || this.strategy !== 'tail' || tick === this.reach.tick) return
    const time = this.#keys.find(key => this.columns[key]!.type === 'timestamp')!
    for (const [key, { row }] of this.#known) if ((row[time] as number) < tick * 1000) this.#known.delete(key)
  }

  #begin({ columns, rows, strategy, reason }: Extract<ObjectEvent, { kind: 'snapshot' }>): void {
    const isFirst = this.counts.snapshots === 0 && !this.#isResuming
    if (isFirst !== (reason === undefined)) broken(`snapshot with the reason ${reason}`)
    if (reason !== undefined && this.restarts.at(-1) !== reason) broken(`snapshot with the reason ${reason}, untold`)
    this.counts.snapshots++
    this.columns = columns
    this.strategy = strategy
    this.#isResuming = false
    this.#keys = columns.flatMap(({ key }, index) => (key ? [index] : []))
    this.#isMultiset = columns.length > 0 && this.#keys.length === columns.length
    const firstHidden = columns.findIndex(({ hidden }) => hidden)
    if (firstHidden >= 0 && columns.slice(firstHidden).some(({ hidden, key }) => !hidden || !key))
      broken(`columns ${JSON.stringify(columns)}`)
    this.#known.clear()
    for (const object of rows) {
      const row = this.#rowOf(object)
      const key = this.#keyOf(row)
      const known = this.#known.get(key)
      if (known === undefined) this.#known.set(key, { row, count: 1 })
      else if (this.#isMultiset) known.count++
      else broken(`two rows with the key ${key} in a snapshot`)
    }
    this.counts.rows += rows.length
    this.isCurrent = true
  }

  #change({ added, changed, removed }: Extract<ObjectEvent, { kind: 'delta' }>): void {
    this.counts.deltas++
    const total = added.length + changed.length + removed.length
    this.counts.rows += total
    if (total === 0) broken('a delta without changes')
    const rows = { added: added.map(row => this.#rowOf(row)), changed: changed.map(row => this.#rowOf(row)) }
    const gone = removed.map(row => this.#rowOf(row))
    this.#checkKeys(rows.added, rows.changed, gone)
    const isLoose = this.#isResuming || this.isPartial
    for (const row of gone) this.#remove(row, isLoose)
    for (const row of rows.changed) {
      const key = this.#keyOf(row)
      if (!isLoose && !this.#known.has(key)) broken(`changed, but was not there: ${key}`)
      this.#known.set(key, { row, count: 1 })
    }
    for (const row of rows.added) {
      const key = this.#keyOf(row)
      const known = this.#known.get(key)
      if (known !== undefined && this.#isMultiset) known.count++
      else if (known !== undefined && !isLoose) broken(`added, but was there: ${key}`)
      else this.#known.set(key, { row, count: 1 })
    }
  }

  #remove(row: Row, isLoose: boolean): void {
    const strange = row.findIndex((value, column) => value !== null && !this.#keys.includes(column))
    if (strange >= 0) broken(`removed, with a value in ${this.columns[strange]!.name}`)
    const key = this.#keyOf(row)
    const known = this.#known.get(key)
    if (known === undefined && !isLoose) broken(`removed, but was not there: ${key}`)
    if (known !== undefined && known.count > 1) known.count--
    else this.#known.delete(key)
  }

  #checkKeys(...lists: readonly (readonly Row[])[]): void {
    const seen = new Map<string, number>()
    for (const [index, list] of lists.entries())
      for (const row of list) {
        const key = this.#keyOf(row)
        const before = seen.get(key)
        if (before !== undefined && (before !== index || !this.#isMultiset))
          broken(`twice in a delta, ${listNames[before]} and ${listNames[index]}: ${key}`)
        seen.set(key, index)
      }
    if (this.#isMultiset && lists[1]!.length > 0) broken('changed, though all columns are the key')
  }

  #rowOf(object: ObjectRow): Row {
    const names = Object.keys(object)
    if (names.length !== this.columns.length || names.some((name, index) => name !== this.columns[index]!.name))
      broken(`a row with the columns ${names.join(', ')}`)
    return names.map(name => object[name] as Value)
  }

  #keyOf(row: Row): string {
    return rowText(this.#keys.map(key => row[key]!))
  }
}

function broken(message: string): never {
  throw new BrokenPromise(message)
}

function reachOf(id: string, lsn: number): Reach {
  const match = /^[0-9a-f]+\.(\d+)\.(\d+)$/.exec(id)
  if (match === null || Number(match[1]) !== lsn) broken(`the id ${id} at LSN ${lsn}`)
  return { lsn, tick: Number(match![2]) }
}
