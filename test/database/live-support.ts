/** Subscribers that keep the rows of a live query as its events say, and waiting until a database is quiet. */
import type { Observable } from 'rxjs'
import type { Database, LiveEvent, LiveReader, Value } from '../../src/types.ts'
import { turn } from './support.ts'

export type Row = Record<string, Value>
export type Event = LiveEvent<Row>
type Of<Kind extends Event['kind']> = Extract<Event, { kind: Kind }>

/** Keeps rows as a subscriber would: by key, or counted where all columns are the key. */
export class Kept {
  readonly events: Event[] = []
  #rows = new Map<string, { row: Row; count: number }>()
  #keys: readonly string[] = []
  #isMultiset = false

  take(event: Event): void {
    this.events.push(event)
    if (event.kind === 'snapshot') {
      this.#keys = event.columns.filter(({ key }) => key).map(({ name }) => name)
      this.#isMultiset = event.columns.every(({ key }) => key)
      this.#rows = new Map()
      for (const row of event.rows) this.#add(row)
    }
    if (event.kind !== 'delta') return
    for (const row of event.removed) this.#remove(row)
    for (const row of event.changed) this.#add(row)
    for (const row of event.added) this.#add(row)
  }

  of<Kind extends Event['kind']>(kind: Kind): Of<Kind>[] {
    return this.events.filter((event): event is Of<Kind> => event.kind === kind)
  }

  /** Sorted, with the given columns alone. */
  rows(names?: readonly string[]): Row[] {
    const all = [...this.#rows.values()].flatMap(({ row, count }) => Array.from({ length: count }, () => row))
    return sorted(names === undefined ? all : all.map(row => Object.fromEntries(names.map(name => [name, row[name]!]))))
  }

  get lastId(): string {
    return this.events.findLast((event): event is Exclude<Event, { kind: 'lagged' }> => event.kind !== 'lagged')!.id
  }

  #key(row: Row): string {
    return JSON.stringify(this.#keys.map(name => row[name]))
  }
  #add(row: Row): void {
    const count = this.#isMultiset ? (this.#rows.get(this.#key(row))?.count ?? 0) + 1 : 1
    this.#rows.set(this.#key(row), { row, count })
  }
  #remove(row: Row): void {
    const known = this.#rows.get(this.#key(row))
    if (known !== undefined && known.count > 1) known.count--
    else this.#rows.delete(this.#key(row))
  }
}

export const sorted = <T>(rows: readonly T[]): T[] =>
  rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

export interface Follower extends Kept {
  readonly error: unknown
  readonly isComplete: boolean
  unsubscribe(): void
}

class Following extends Kept implements Follower {
  error: unknown
  isComplete = false
  unsubscribe: () => void = () => {}
}

export function follow(live: Observable<unknown>): Follower {
  const follower = new Following()
  const subscription = live.subscribe({
    next: event => follower.take(event as Event),
    error: error => {
      follower.error = error
    },
    complete: () => {
      follower.isComplete = true
    },
  })
  follower.unsubscribe = () => subscription.unsubscribe()
  return follower
}

/** How long what is waited for may take before it counts as never: turns would be fewer where timers are waited for. */
const patienceMs = 30_000

/** Turns of the event loop until it holds. */
export async function until(holds: () => boolean): Promise<void> {
  const startedMs = performance.now()
  while (!holds()) {
    if (performance.now() - startedMs > patienceMs) throw new Error(`never: ${holds}`)
    await turn()
  }
}

/** Until live queries have looked at everything, and some more turns. */
export async function quiet(db: Database): Promise<void> {
  for (let quietTurns = 0; quietTurns < 5; ) {
    await until(() => db.stats().live.behindLsns === 0 && db.stats().live.pendingBytes === 0)
    await turn()
    quietTurns = db.stats().live.behindLsns === 0 ? quietTurns + 1 : 0
  }
}

/** What there is to pull now. */
export function pulled(reader: LiveReader<unknown>): Event[] {
  const events: Event[] = []
  for (let event = reader.poll(); event !== undefined; event = reader.poll()) events.push(event as Event)
  return events
}
