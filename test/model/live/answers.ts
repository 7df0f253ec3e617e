/**
 * What the database answers when queries are run afresh, for those who were told.
 *
 *   present()   at the last LSN, and at the `now()` of an id
 *   look()      in the commit itself, so that the version is that of the LSN: for who has an event of just then
 */
import type { Database, Value } from '../../../src/types.ts'
import type { SimulatedMachine } from '../../simulated/machine.ts'
import type { Follower, Reach } from './follower.ts'
import type { Plan, PlannedQuery } from './plan.ts'
import { type Magnitude, type Row, rowsDiffer, strangeRow } from './same-rows.ts'

export interface Answer {
  readonly names: readonly string[]
  readonly rows: readonly Row[]
}

/** A query that was asked for in a commit, and what followers had when they were told of just that. */
interface Look {
  readonly lsn: number
  readonly query: number
  readonly nowUs: number
  readonly answer: Promise<Answer>
  readonly seen: { readonly follower: Follower; readonly rows: readonly Row[] }[]
}

export const dependsOnNow = ({ text }: PlannedQuery): boolean => text.includes('now()')

const minuteUs = 60e6
const dayMs = 86_400e3

export class Answers {
  readonly #db: Database
  readonly #machine: SimulatedMachine
  readonly #plan: Plan
  readonly #seriesId: string
  #looks: Look[] = []

  /** `db` has rows of the plan's series. */
  constructor(db: Database, machine: SimulatedMachine, plan: Plan) {
    this.#db = db
    this.#machine = machine
    this.#plan = plan
    this.#seriesId = [...db.series('m')].find(({ printed }) => printed === 'm{dc="x",host="a"}')!.id
  }

  /** What is only known when there is a database is in its place. */
  textOf({ text }: PlannedQuery): string {
    return text.replace('{id}', this.#seriesId)
  }

  /** Answers as of now, each asked once; `reach` says of which `now()`. */
  present(): (query: number, reach: Reach) => Promise<Answer> {
    const machine = this.#machine
    const answers = new Map<string, Answer>()
    return async (query, { tick }) => {
      const isOfThen = dependsOnNow(this.#plan.queries[query]!)
      const key = `${query} ${isOfThen ? tick : 0}`
      const known = answers.get(key)
      if (known !== undefined) return known
      const presentUs = machine.nowUs
      if (isOfThen) machine.nowUs = tick * 1000
      const answer = await this.#ask(query)
      machine.nowUs = presentUs
      answers.set(key, answer)
      return answer
    }
  }

  look(lsn: number, query: number): void {
    const answer = this.#ask(query)
    answer.catch(() => {})
    this.#looks.push({ lsn, query, nowUs: this.#machine.nowUs, answer, seen: [] })
  }

  /** A follower has been told so far. */
  reached(query: number, follower: Follower, { lsn, tick }: Reach): void {
    for (const look of this.#looks) {
      if (look.query !== query || look.lsn !== lsn || (tick !== 0 && tick !== this.#tickAt(query, look.nowUs))) continue
      if (look.seen.every(({ follower: other }) => other !== follower))
        look.seen.push({ follower, rows: follower.rows() })
    }
  }

  takeLooks(): readonly Look[] {
    const looks = this.#looks
    this.#looks = []
    return looks
  }

  /** What ids say of the time: `now()`, or where retention begins, in ms. */
  #tickAt(query: number, nowUs: number): number {
    if (dependsOnNow(this.#plan.queries[query]!)) return nowUs / 1000
    return (nowUs - (nowUs % minuteUs)) / 1000 - (this.#plan.settings.retention?.['m'] ?? 0) * dayMs
  }

  async #ask(query: number): Promise<Answer> {
    const planned = this.#plan.queries[query]!
    const { columns, rows } = await this.#db.query(this.textOf(planned), planned.params ?? []).all()
    const names = columns.map(({ name }) => name)
    return { names, rows: rows.map(row => names.map(name => row[name] as Value)) }
  }
}

/** undefined: the rows are those of the answer. */
export function answersDiffer(
  follower: Follower,
  rows: readonly Row[],
  answer: Answer,
  magnitude: Magnitude,
): string | undefined {
  const { names } = follower
  if (names.join() !== answer.names.join()) return `columns ${names.join(', ')} instead of ${answer.names.join(', ')}`
  // Who does not know what was there before him: all that he knows must be there.
  return (follower.isPartial ? strangeRow : rowsDiffer)(rows, answer.rows, names, magnitude)
}
