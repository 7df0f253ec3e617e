/** What groups keep, read and give up; and what they tell who was away. */
import { describe, expect, test } from 'vitest'
import type { LiveContext, LiveQuery, Moment, Step } from '../../../src/operators/live/types.ts'
import type { ReadStatistics } from '../../../src/storage/types.ts'
import { Days, database, Follower, groupsOf, secondUs, seriesOf, usual } from './groups-world.ts'
import { World, type WorldOptions, type WrittenRow } from './world.ts'

const startUs = 1_767_225_600_000_000
const [a, b] = seriesOf('cpu') as [number, number]
const row = (series: number, second: number, usage: number | null, cores: number | null = null): WrittenRow => ({
  series,
  timeUs: startUs + second * secondUs,
  values: [usage, cores],
})

/** A world, a query in it and who follows it. */
class Scene {
  readonly world: World
  readonly query: LiveQuery
  readonly follower: Follower
  readonly #reads: ReadStatistics[] = []

  constructor(text: string, options: WorldOptions = {}) {
    this.world = new World(database, options)
    this.world.nowUs = startUs
    const context = this.world.context()
    const watched: LiveContext = {
      ...context,
      execution: at => {
        const execution = context.execution(at)
        this.#reads.push(execution.read)
        return execution
      },
    }
    this.query = groupsOf(text, this.world, watched)
    this.follower = new Follower(this.query, context, 0)
  }

  commit(...rows: WrittenRow[]): void {
    this.world.happens({ kind: 'rows', metric: 'cpu', rows })
  }

  async begin(): Promise<void> {
    await this.follower.begin(this.world.step(this.query.metrics).after)
  }

  /** Rows that the step read. */
  async step(change: (step: Step) => Step = step => step): Promise<number> {
    const step = change(this.world.step(this.query.metrics))
    this.#reads.length = 0
    const delta = await this.query.step(step)
    const read = this.#reads.reduce((sum, { rowsScanned }) => sum + rowsScanned, 0)
    this.follower.apply(delta)
    return read
  }

  check(): Promise<void> {
    return this.follower.check(this.world.moment(), 'after the step')
  }
}

const unreadable = ({ version, nowUs }: Moment): Moment => ({
  nowUs,
  version: {
    ...version,
    pieces: () => {
      throw new Error('the version is read')
    },
  },
})
const withoutReading = (step: Step): Step => ({
  ...step,
  before: unreadable(step.before),
  after: unreadable(step.after),
})

describe('rows at the end of their series', () => {
  test.each([
    'select time_bucket(1m, time) as t, tag.host, avg(usage), max(cores) from cpu group by t, tag.host',
    'select tag.host, count(*), median(usage) from cpu where usage > 0 group by tag.host having count(*) > 1',
    'select count(*), last(usage) from cpu',
    'select tag.host, mode(cores), approx_count_distinct(usage), approx_percentile(usage, 0.5) from cpu group by tag.host',
  ])('are added, and nothing is read: %s', async text => {
    const scene = new Scene(text)
    for (let second = 0; second < 20; second++) scene.commit(row(a, second, second), row(b, second, second % 5))
    await scene.begin()
    scene.commit(row(a, 20, 1))
    await scene.step()
    for (let second = 21; second < 40; second++) {
      scene.commit(row(a, second, second), row(b, second, second % 5, 3))
      const step = scene.world.step(scene.query.metrics)
      const delta = scene.query.step(withoutReading(step))
      expect(delta, 'done at once').not.toHaveProperty('then')
      scene.follower.apply(await delta)
      await scene.follower.check(step.after, `second ${second}`)
    }
  })
})

describe('late rows', () => {
  const text =
    'select time_bucket(1h, time) as t, tag.host, count(*), sum(usage), max(cores) from cpu group by t, tag.host'
  const filled = async (): Promise<Scene> => {
    const scene = new Scene(text)
    for (let second = 0; second < 2000; second += 2) scene.commit(row(a, second, 1), row(b, second, 2))
    await scene.begin()
    scene.commit(row(a, 2000, 1), row(b, 2000, 1))
    await scene.step()
    return scene
  }

  test('between others are added', async () => {
    const scene = await filled()
    scene.commit(row(a, 1001, 5), row(b, 1003, 7))
    expect(await scene.step()).toBeLessThan(20)
    await scene.check()
  })
  test('that come again change nothing', async () => {
    const scene = await filled()
    scene.commit(row(a, 1000, 1), row(b, 1000, 2))
    expect(await scene.step()).toBeLessThan(20)
    await scene.check()
  })
  test('with other fields of rows that are there are added to their states', async () => {
    const scene = await filled()
    scene.commit(row(a, 1000, null, 4), row(b, 1002, null, 9))
    expect(await scene.step()).toBeLessThan(20)
    await scene.check()
  })
  test('that change values have the groups of their series made again', async () => {
    const scene = await filled()
    scene.commit(row(a, 1000, 50))
    const read = await scene.step()
    expect(read).toBeGreaterThan(1000)
    expect(read).toBeLessThan(1010)
    await scene.check()
    scene.commit(row(a, 2001, 1))
    expect(await scene.step(withoutReading)).toBe(0)
    await scene.check()
  })
  test('that are deleted with others of their series leave other groups as they are', async () => {
    const scene = new Scene('select tag.host, count(*), sum(usage) from cpu group by tag.host')
    for (let second = 0; second < 500; second++) scene.commit(row(a, second, 1), row(b, second, 2))
    await scene.begin()
    scene.commit(row(a, 500, 1), row(b, 500, 2))
    await scene.step()
    scene.world.happens({ kind: 'delete', metric: 'cpu', fromUs: startUs, toUs: startUs + 500 * secondUs, series: [a] })
    scene.commit(row(a, 501, 1), row(b, 501, 2))
    expect(await scene.step()).toBeLessThan(10)
    await scene.check()
  })
  test('twice in one step are one row', async () => {
    const scene = await filled()
    scene.commit(row(a, 2001, 50))
    scene.commit(row(a, 2001, null, 5))
    scene.commit(row(a, 2001, 51), row(a, 2002, 1))
    await scene.step()
    await scene.check()
  })
})

describe('what is kept', () => {
  const byMinute = 'select time_bucket(1m, time) as t, usage, count(*), max(note) from cpu group by t, usage'

  test('is let go of where it can be made again', async () => {
    const scene = new Scene(byMinute, { bytesMax: 60_000 })
    await scene.begin()
    for (let second = 0; second < 1200; second += 5) {
      scene.commit(row(a, second, second), row(b, second, -second))
      // An older minute in between.
      if (second % 40 === 0 && second > 300) scene.commit(row(a, second - 299, 0.5))
      await scene.step()
      expect(scene.query.byteLength).toBeLessThan(60_000 + 10_000)
      if (second % 100 === 0) await scene.check()
    }
    await scene.check()
  })
  test('has a limit where it cannot', async () => {
    for (const text of ['select usage, count(*) from cpu group by usage', `${byMinute} order by t desc limit 3`]) {
      const scene = new Scene(text, { bytesMax: 60_000 })
      await scene.begin()
      const fill = async (): Promise<void> => {
        for (let second = 0; second < 3000; second++) {
          scene.commit(row(a, second, second))
          await scene.step()
        }
      }
      await expect(fill()).rejects.toMatchObject({
        code: 'memory_limit',
        hint: expect.stringContaining('live.memory_max_bytes'),
      })
    }
  })
  test('is all given back, and begun anew', async () => {
    const scene = new Scene(byMinute)
    await scene.begin()
    for (let second = 0; second < 100; second++) scene.commit(row(a, second, second))
    await scene.step()
    expect(scene.query.byteLength).toBeGreaterThan(5000)
    scene.query.forget()
    expect(scene.query.byteLength).toBeLessThan(1000)
    scene.commit(row(a, 100, 1))
    await scene.step()
    await scene.check()
  })
  test('groups and rows at once have a limit', async () => {
    const scene = new Scene('select usage, count(*) from cpu group by usage', { rowsMax: 100 })
    await scene.begin()
    scene.commit(...Array.from({ length: 101 }, (_, i) => row(a, i, i)))
    await expect(scene.step()).rejects.toMatchObject({ code: 'too_many_points' })
  })
  test('a step from another moment begins anew', async () => {
    const scene = new Scene('select tag.host, count(*), sum(usage) from cpu group by tag.host')
    await scene.begin()
    scene.commit(row(a, 1, 1))
    await scene.step()
    scene.commit(row(a, 2, 1))
    // Nobody asked the query about this step.
    await scene.begin()
    scene.commit(row(b, 3, 1))
    await scene.step()
    await scene.check()
  })
})

describe('catching up', () => {
  test.each([
    'select time_bucket(10s, time) as t, tag.host, count(*) c, sum(usage) from cpu where usage > 0 group by t, tag.host',
    "select time_bucket(10s, time) as t, max(usage) v from cpu where tag.dc = 'x' group by t having max(usage) > 2",
    'select last(usage), tag.dc from cpu group by tag.dc, time_bucket(1m, time)',
  ])('%s', async text => {
    for (let seed = 1; seed < 8; seed++) {
      const days = new Days(seed, { ...usual, deletes: 0, late: 0.4 })
      const world = new World(database)
      const live = groupsOf(text, world)
      const follower = new Follower(live, world.context(), 1e-9)
      const pass = (turns: number): void => {
        for (let turn = 0; turn < turns; turn++) for (const happening of days.turn()) world.happens(happening)
      }
      pass(days.random.below(8))
      await follower.begin(world.step(live.metrics).after)
      pass(days.random.below(8))
      const rows = world.step(live.metrics).rows
      follower.apply(await live.catchUp!(rows, world.moment()), true)
      await follower.check(world.moment(), `${text}\n  seed ${seed}`)
    }
  })
  test('is not offered where the rows do not tell their groups', () => {
    const offers = (text: string): boolean => groupsOf(text, new World(database)).catchUp !== undefined
    expect(offers('select tag.host, count(*) from cpu group by tag.host')).toBe(false)
    expect(offers('select time_bucket(1m, time) as t, note, count(*) from cpu group by t, note')).toBe(false)
    expect(offers('select time_bucket(1m, time) as t, count(*) from cpu where time > now() - 1h group by t')).toBe(
      false,
    )
    expect(offers('select time_bucket(1m, time) as t, count(*) from cpu group by t fill(0)')).toBe(false)
    expect(offers('select time_bucket(1m, time) as t, count(*) from cpu group by t')).toBe(true)
  })
})
