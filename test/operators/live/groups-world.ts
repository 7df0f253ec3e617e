/** Random days of a metric, and what a live query makes of them compared with the batch planner, step by step. */
import { expect } from 'vitest'
import type { Scalar } from '../../../src/columnar/value.ts'
import { rowKeyOf } from '../../../src/operators/live/difference.ts'
import { planGroups } from '../../../src/operators/live/groups/groups.ts'
import { livePartsOf } from '../../../src/operators/live/parts.ts'
import { rowsAt } from '../../../src/operators/live/run-at.ts'
import type { LiveContext, LiveDelta, LiveQuery, LiveRow, Moment } from '../../../src/operators/live/types.ts'
import { SeededRandom } from '../../simulated/random.ts'
import { fakeCatalog } from '../fake-database.ts'
import { type Happening, hosts, World, type WorldOptions, type WrittenRow } from './world.ts'

export const secondUs = 1_000_000
export const database = {
  catalog: fakeCatalog(
    {
      cpu: { usage: 'float', cores: 'integer', note: 'string', up: 'boolean' },
      mem: { usage: 'float', free: 'float' },
    },
    hosts,
  ),
  series: hosts,
}

export interface Manner {
  /** Of rows that come before others of their series, and at times that are there. */
  readonly late: number
  readonly deletes: number
  readonly rowsMax: number
  /** Seconds that pass with a turn, at most. */
  readonly passed: number
  /** Values whose sums are not exact, and NaN. */
  readonly wild: boolean
  readonly forgets: number
}
export const usual: Manner = { late: 0.2, deletes: 0.1, rowsMax: 12, passed: 4, wild: false, forgets: 0.05 }

export class Days {
  readonly random: SeededRandom
  readonly #manner: Manner
  nowUs = 1_767_225_600_000_000

  constructor(seed: number, manner: Manner) {
    this.random = new SeededRandom(seed)
    this.#manner = manner
  }

  *turn(): Generator<Happening> {
    const { random } = this
    const { deletes, passed } = this.#manner
    for (let each = random.below(3); each >= 0; each--) {
      if (random.chance(deletes)) yield this.#deletion()
      else yield this.#rows(random.chance(0.15) ? 'mem' : 'cpu')
    }
    this.nowUs += random.below(passed * 1000 + 1) * 1000
  }

  #rows(metric: string): Happening {
    const { random } = this
    const { rowsMax, late, passed } = this.#manner
    const series = seriesOf(metric)
    const rows = Array.from({ length: 1 + random.below(rowsMax) }, (): WrittenRow => {
      const isLate = random.chance(late)
      const back = isLate ? random.below(random.chance(0.2) ? 400 : 20) : random.below(2)
      const step = isLate || random.chance(0.5) ? secondUs : 1000
      const timeUs = Math.floor((this.nowUs - back * secondUs + random.below(passed * 1000 + 1) * 1000) / step) * step
      return { series: of(random, series), timeUs, values: this.#values(metric) }
    })
    return { kind: 'rows', metric, rows }
  }

  #values(metric: string): Scalar[] {
    const { random } = this
    const number = (): number => {
      if (!this.#manner.wild) return (random.below(81) - 40) / 4
      return random.chance(0.1) ? of(random, [NaN, -0, 1e16, Infinity]) : (random.below(2001) - 1000) / 7
    }
    const maybe = <T extends Scalar>(value: T): T | null => (random.chance(0.4) ? null : value)
    const values: Scalar[] =
      metric === 'mem'
        ? [maybe(number()), maybe(number())]
        : [
            maybe(number()),
            maybe(random.below(6)),
            maybe(of(random, ['', 'ok', 'bad', 'ä'])),
            maybe(random.chance(0.5)),
          ]
    return values.every(value => value === null) ? [1, ...values.slice(1)] : values
  }

  #deletion(): Happening {
    const { random } = this
    const fromUs = this.nowUs - random.below(60) * secondUs
    const series = seriesOf('cpu')
    return {
      kind: 'delete',
      metric: 'cpu',
      fromUs: random.chance(0.1) ? -Infinity : fromUs,
      toUs: random.chance(0.1) ? Infinity : fromUs + (1 + random.below(30)) * secondUs,
      series: random.chance(0.4) ? undefined : series.filter(() => random.chance(0.4)),
    }
  }
}

const of = <T>(random: SeededRandom, choices: readonly T[]): T => choices[random.below(choices.length)]!

export const seriesOf = (metric: string): number[] =>
  [...hosts.keys()].filter(ordinal => hosts[ordinal]!.metric === metric)

export const groupsOf = (text: string, world: World, context: LiveContext = world.context()): LiveQuery => {
  const query = planGroups(livePartsOf(world.source(text), context, world.nowUs))
  expect(query, `${text} is kept by groups`).toBeDefined()
  return query!
}

/** What a subscriber has. */
export class Follower {
  readonly #query: LiveQuery
  readonly #context: LiveContext
  readonly #keyOf: (row: LiveRow) => Scalar
  readonly #rows = new Map<Scalar, LiveRow>()
  /** Of numbers that are sums. */
  readonly #tolerance: number

  constructor(query: LiveQuery, context: LiveContext, tolerance: number) {
    this.#query = query
    this.#context = context
    this.#keyOf = rowKeyOf(query.columns.keys)
    this.#tolerance = tolerance
  }

  async begin(at: Moment): Promise<void> {
    this.#rows.clear()
    for (const row of await this.#fresh(at)) this.#rows.set(this.#keyOf(row), row)
  }

  apply({ added, changed, removed }: LiveDelta, isCatchUp = false): void {
    const keys = [...added, ...changed, ...removed].map(this.#keyOf)
    expect(new Set(keys).size, 'each key once').toBe(keys.length)
    for (const row of removed) {
      const isThere = this.#rows.delete(this.#keyOf(row))
      if (!isCatchUp) expect(isThere, `removed, and not there: ${JSON.stringify(row)}`).toBe(true)
    }
    for (const row of changed) {
      if (!isCatchUp)
        expect(this.#rows.has(this.#keyOf(row)), `changed, and not there: ${JSON.stringify(row)}`).toBe(true)
      this.#rows.set(this.#keyOf(row), row)
    }
    for (const row of added) {
      expect(this.#rows.has(this.#keyOf(row)), `added, and there: ${JSON.stringify(row)}`).toBe(false)
      this.#rows.set(this.#keyOf(row), row)
    }
  }

  async check(at: Moment, about: string): Promise<void> {
    const expected = await this.#fresh(at)
    const isSame =
      expected.length === this.#rows.size && expected.every(row => this.#isClose(row, this.#rows.get(this.#keyOf(row))))
    if (isSame) return
    const sorted = (rows: readonly LiveRow[]) => rows.map(row => JSON.stringify(row)).sort()
    expect(sorted([...this.#rows.values()]), about).toEqual(sorted(expected))
  }

  #fresh(at: Moment): Promise<LiveRow[]> {
    return rowsAt(this.#query.planAt(at.nowUs), at, this.#context)
  }

  #isClose(expected: LiveRow, found: LiveRow | undefined): boolean {
    return found !== undefined && expected.every((value, i) => isClose(value, found[i]!, this.#tolerance))
  }
}

const isClose = (a: Scalar, b: Scalar, tolerance: number): boolean =>
  a === b ||
  Object.is(a, b) ||
  (typeof a === 'number' &&
    typeof b === 'number' &&
    Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b)))

export interface Run {
  readonly turns: number
  readonly manner?: Partial<Manner>
  readonly world?: WorldOptions
  readonly tolerance?: number
}

/** Runs the query for so many turns from a seed; the message of what fails tells the seed. */
export async function follow(
  text: string,
  seed: number,
  { turns, manner, world: options, tolerance = 1e-9 }: Run,
): Promise<void> {
  const days = new Days(seed, { ...usual, ...manner })
  const world = new World(database, options)
  world.nowUs = days.nowUs
  for (let turn = days.random.below(6); turn > 0; turn--) for (const happening of days.turn()) world.happens(happening)
  world.nowUs = days.nowUs
  const query = groupsOf(text, world)
  const follower = new Follower(query, world.context(), tolerance)
  const { after } = world.step(query.metrics)
  await follower.begin(after)
  for (let turn = 0; turn < turns; turn++) {
    for (const happening of days.turn()) world.happens(happening)
    world.nowUs = days.nowUs
    if (days.random.chance(usual.forgets)) query.forget()
    const step = world.step(query.metrics)
    const about = `${text}\n  seed ${seed}, turn ${turn}`
    try {
      follower.apply(await query.step(step))
    } catch (error) {
      throw new Error(about, { cause: error })
    }
    await follower.check(step.after, about)
  }
}
