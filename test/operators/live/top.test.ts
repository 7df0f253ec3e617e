/** The first rows, kept over random commits: at every step they are what the batch planner gives. */
import { describe, expect, test } from 'vitest'
import { livePartsOf } from '../../../src/operators/live/parts.ts'
import { planTop } from '../../../src/operators/live/top.ts'
import type { LiveDelta, LiveQuery } from '../../../src/operators/live/types.ts'
import { SeededRandom } from '../../simulated/random.ts'
import { fakeCatalog } from '../fake-database.ts'
import { type Happening, hosts, Maintained, World, type WorldOptions, type WrittenRow } from './world.ts'

const secondUs = 1_000_000
const database = {
  catalog: fakeCatalog(
    { cpu: { usage: 'float', cores: 'integer', note: 'string' }, mem: { usage: 'float', free: 'float' } },
    hosts,
  ),
  series: hosts,
}
const ofMetric = (metric: string): number[] => [...hosts.keys()].filter(series => hosts[series]!.metric === metric)

const planned = (world: World, text: string): LiveQuery | undefined =>
  planTop(livePartsOf(world.source(text), world.context(), 0))

/** Rows mostly at the end of their series; some late, some at a time that is there; now and then a delete. */
class Chance {
  readonly #random: SeededRandom
  #second = 1000
  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)]!
  }

  happening(): Happening {
    const metric = this.of('cpu', 'cpu', 'cpu', 'mem')
    if (this.of(...Array<boolean>(9).fill(false), true)) {
      const from = this.#second - this.of(0, 2, 10, 40)
      const series = this.of(undefined, ofMetric(metric).slice(0, 1))
      return { kind: 'delete', metric, fromUs: from * secondUs, toUs: (from + this.of(1, 4, 60)) * secondUs, series }
    }
    const rows = Array.from({ length: this.of(1, 2, 8) }, () => this.#row(metric))
    return { kind: 'rows', metric, rows }
  }

  #row(metric: string): WrittenRow {
    this.#second += this.of(0, 1)
    const second = this.#second - this.of(...Array<number>(12).fill(0), 1, 3, 20)
    const number = (): number | null => this.of(null, NaN, -0, ...Array.from({ length: 9 }, (_, i) => i - 4))
    const values = [number() ?? 1, number(), this.of(null, '', 'ok', 'bad')].slice(0, metric === 'cpu' ? 3 : 2)
    return {
      series: this.of(...ofMetric(metric)),
      timeUs: second * secondUs,
      values: this.of(values, values.slice(0, 1)),
    }
  }
}

async function isKept(text: string, options: WorldOptions = {}, seeds = 4): Promise<void> {
  for (let seed = 1; seed <= seeds; seed++) {
    const chance = new Chance(seed)
    const world = new World(database, options)
    world.nowUs = 1000 * secondUs
    const query = planned(world, text)
    expect(query?.strategy, text).toBe('top')
    const kept = new Maintained(query!, world.context())
    await kept.begin(world.step(query!.metrics).after)
    try {
      for (let turn = 0; turn < 40; turn++) {
        for (let count = chance.of(0, 1, 1, 1, 3); count > 0; count--) world.happens(chance.happening())
        world.nowUs += chance.of(0, 0, 1, 3) * secondUs
        if (chance.of(...Array<boolean>(9).fill(false), true)) query!.forget()
        await kept.take(world.step(query!.metrics))
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${text}`, { cause: error })
    }
  }
}

describe('is what the batch planner gives:', () => {
  test.each([
    'select time, usage from cpu order by time desc limit 4',
    'select time, usage from cpu limit 3',
    'select * from cpu order by usage desc limit 5',
    'select usage from cpu order by usage nulls first, note desc limit 6',
    'select time, usage from cpu order by usage limit 3 offset 2',
    'select note from cpu order by abs(usage) + coalesce(cores, 0) desc limit 4',
    "select usage * 2 as twice from cpu where tag.dc = 'x' and usage > -2 order by cores limit 2",
    'select time, usage from cpu where time >= 1005000000 and time < 1030000000 order by usage desc limit 4',
    'select time, series, usage from cpu order by series desc, time desc limit 7',
    'select time, usage from cpu order by usage limit 0',
    'select time, usage from cpu order by time desc limit 1000',
    'select time, series, usage from cpu order by time desc limit 1 per series',
    'select time, usage from cpu limit 2 per tag.dc',
    'select time, usage from cpu order by usage desc limit 2 per note',
    'select time, usage from cpu order by time desc limit 1 per cores',
    'select time, usage from cpu order by usage limit 1 per usage > 0',
    'select time, usage from (select time, series, usage from cpu order by time desc limit 6) q where usage > 0',
    'select twice from (select usage * 2 as twice, time from cpu order by usage desc limit 4) q',
    'select series, usage from /^(cpu|mem)$/ order by usage desc limit 5',
    'select series, time from /^(cpu|mem)$/ order by time desc limit 1 per series',
    'select time, usage from cpu where time >= now() - 10s order by usage desc limit 3',
    'select time, series from cpu where time > now() - 20s and time <= now() - 3s order by time desc limit 1 per series',
  ])('%s', async text => {
    await isKept(text)
  })

  test('with retention, and with the first of duplicates', async () => {
    await isKept('select time, usage from cpu order by usage desc limit 5', { keptUs: 15 * secondUs })
    await isKept('select time, series from cpu limit 1 per series', { keptUs: 15 * secondUs })
    await isKept('select time, usage, note from cpu order by time desc limit 5', { duplicates: 'first' })
  })
})

test.each([
  'select time, usage from cpu',
  'select time, usage from cpu order by usage offset 2',
  'select time, usage from cpu order by time desc limit 2 per series offset 1',
  'select v from (select usage * 2 as v from cpu) q order by v limit 3',
  'select v from (select usage as v, time from cpu order by time limit 5) q order by v limit 3',
  'select time, lag(usage) from cpu limit 3',
  'select now() - time from cpu order by time desc limit 1',
  'select tag.host, count(*) from cpu group by tag.host limit 2',
])('is not for %s', text => {
  expect(planned(new World(database), text)).toBeUndefined()
})

describe('reads nothing', () => {
  const rows = (from: number, to: number): Happening => ({
    kind: 'rows',
    metric: 'cpu',
    rows: Array.from({ length: to - from }, (_, i) => ({
      series: 0,
      timeUs: (from + i) * secondUs,
      values: [from + i, null, null],
    })),
  })
  const rest: Happening = {
    kind: 'delete',
    metric: 'cpu',
    fromUs: 97 * secondUs,
    toUs: 98 * secondUs,
    series: undefined,
  }

  async function kept(
    text: string,
    rows: readonly Happening[],
  ): Promise<{ world: World; query: LiveQuery; kept: Maintained }> {
    const world = new World(database)
    for (const each of rows) world.happens(each)
    const query = planned(world, text)!
    const kept = new Maintained(query, world.context())
    await kept.begin(world.step(query.metrics).after)
    await kept.take(world.step(query.metrics))
    return { world, query, kept }
  }

  test('when rows come at the end of their series', async () => {
    const { world, query } = await kept('select time, usage from cpu order by usage desc limit 2', [rows(0, 100)])
    world.happens(rows(100, 103))
    const delta = query.step(world.step(query.metrics)) as LiveDelta
    expect(delta.added.map(row => row[1])).toEqual([102, 101])
    expect(delta.removed.map(row => row[0])).toEqual([99, 98].map(second => second * secondUs))
    expect(delta.changed).toEqual([])
    world.happens(rows(103, 104))
    expect(query.step(world.step(query.metrics))).not.toBeInstanceOf(Promise)
  })

  test('of all there is when a row goes: what comes up is held', async () => {
    const {
      world,
      query,
      kept: maintained,
    } = await kept('select time, usage from cpu order by usage desc limit 4', [rows(0, 100)])
    world.happens(rest)
    const delta = await maintained.take(world.step(query.metrics))
    expect(delta.added.map(row => row[1])).toEqual([95])
  })
})

test('holds no more than it may', async () => {
  const many = (count: number, from = 0): Happening => ({
    kind: 'rows',
    metric: 'cpu',
    rows: Array.from({ length: count }, (_, i) => ({ series: 0, timeUs: from + i, values: [from + i, null, null] })),
  })
  const world = new World(database, { rowsMax: 50 })
  const query = planned(world, 'select time from cpu order by time desc limit 60')!
  world.happens(many(40))
  await query.step(world.step(query.metrics))
  expect(query.byteLength).toBeGreaterThan(40 * 16)
  world.happens(many(40, 100))
  expect(() => query.step(world.step(query.metrics))).toThrow(expect.objectContaining({ code: 'too_many_points' }))
  query.forget()
  expect(query.byteLength).toBe(0)

  const small = new World(database, { bytesMax: 1000 })
  const long = planned(small, 'select time from cpu order by time desc limit 60')!
  small.happens(many(40))
  await expect(long.step(small.step(long.metrics))).rejects.toMatchObject({ code: 'memory_limit' })
})
