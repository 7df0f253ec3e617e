/** Tails, row functions and reruns, kept over random commits: at every step they are what the batch planner gives. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { livePartsOf } from '../../../src/operators/live/parts.ts'
import { planRerun } from '../../../src/operators/live/rerun.ts'
import { planSeries } from '../../../src/operators/live/series.ts'
import { planTail } from '../../../src/operators/live/tail.ts'
import type { LiveQuery } from '../../../src/operators/live/types.ts'
import { orNull } from '../batches.ts'
import { type FakeSeries, fakeCatalog } from '../fake-database.ts'
import { type Happening, hosts, Maintained, World, type WorldOptions, type WrittenRow } from './world.ts'

const secondUs = 1_000_000
const database = {
  catalog: fakeCatalog(
    {
      cpu: { usage: 'float', cores: 'integer', note: 'string', up: 'boolean' },
      mem: { usage: 'float', free: 'float' },
    },
    hosts,
  ),
  series: hosts,
}
const seriesOf = (metric: string): number[] => [...hosts.keys()].filter(ordinal => hosts[ordinal]!.metric === metric)

const value = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: -8, max: 8 }) }, fc.constantFrom(NaN, -0, 0.5, 1e300))
const fieldsOf: Readonly<Record<string, fc.Arbitrary<WrittenRow['values']>>> = {
  cpu: fc.tuple(
    orNull(value),
    orNull(fc.integer({ min: 0, max: 4 })),
    orNull(fc.constantFrom('', 'ok', 'bad')),
    orNull(fc.boolean()),
  ),
  mem: fc.tuple(orNull(value), orNull(value)),
}
/** At least one field is present. */
const valuesOf = (metric: string) =>
  fieldsOf[metric]!.map(values => (values.every(each => each === null) ? [1, ...values.slice(1)] : values))

/** `after`: seconds after the last of all rows; negative: late. */
const rows = (metric: string) =>
  fc.record({
    kind: fc.constant('rows' as const),
    metric: fc.constant(metric),
    rows: fc.array(
      fc.record({
        series: fc.constantFrom(...seriesOf(metric)),
        after: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, fc.integer({ min: -40, max: 3 })),
        values: valuesOf(metric),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  })
const deletion = (metric: string) =>
  fc.record({
    kind: fc.constant('delete' as const),
    metric: fc.constant(metric),
    from: fc.integer({ min: -30, max: 1 }),
    seconds: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constant(1000)),
    series: fc.option(fc.subarray(seriesOf(metric)), { nil: undefined }),
  })
const happening = fc.oneof(
  { weight: 6, arbitrary: rows('cpu') },
  { weight: 2, arbitrary: rows('mem') },
  { weight: 1, arbitrary: deletion('cpu') },
)
const turn = fc.record({
  happenings: fc.array(happening, { maxLength: 3 }),
  passedSeconds: fc.constantFrom(0, 0, 1, 5, 61),
  forget: fc.constantFrom(false, false, false, true),
})

type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never

/** Makes times of what is said in seconds. */
class Clock {
  #lastSecond = 1000

  happening(said: Turn['happenings'][number]): Happening {
    if (said.kind === 'delete') {
      const fromUs = (this.#lastSecond + said.from) * secondUs
      return { ...said, fromUs, toUs: fromUs + said.seconds * secondUs }
    }
    return {
      ...said,
      rows: said.rows.map(({ series, after, values }) => {
        const second = this.#lastSecond + after
        this.#lastSecond = Math.max(this.#lastSecond, second)
        return { series, timeUs: second * secondUs, values }
      }),
    }
  }
}

const property = (make: (world: World) => LiveQuery, options: WorldOptions = {}, numRuns = 25) =>
  fc.assert(
    fc.asyncProperty(fc.array(turn, { maxLength: 12 }), async turns => {
      const world = new World(database, options)
      const clock = new Clock()
      world.nowUs = 1000 * secondUs
      const kept = new Maintained(make(world), world.context())
      await kept.begin(world.step(kept.query.metrics).after)
      for (const { happenings, passedSeconds, forget } of turns) {
        for (const each of happenings) world.happens(clock.happening(each))
        world.nowUs += passedSeconds * secondUs
        if (forget) kept.query.forget()
        if (world.movesOn(kept.query.metrics)) continue
        await kept.take(world.step(kept.query.metrics))
      }
    }),
    { numRuns },
  )

const tail = (text: string) => (world: World) => planTail(livePartsOf(world.source(text), world.context(), 0))!
const series = (text: string) => (world: World) => planSeries(livePartsOf(world.source(text), world.context(), 0))!
const rerun = (text: string) => (world: World) => planRerun(livePartsOf(world.source(text), world.context(), 0))

describe('tail', () => {
  test.each([
    'select * from cpu',
    "select time, usage from cpu where tag.host = 'a'",
    "select usage * 2 twice, note, tag.dc, up from cpu where usage > 0 or note = 'ok'",
    "select time, series, cores from cpu where tag.dc != 'x' and time >= 1005000000 and time < 1030000000",
    'select usage from cpu order by usage desc',
    'select usage, free, tag.host from /^(cpu|mem)$/ where usage >= 0',
    'select x.twice from (select time, usage * 2 twice from cpu where up) as x where x.twice > 2',
    'select time, usage from cpu where time >= now() - 10s',
    'select time, usage from cpu where time < now() and time > now() - 20s and cores is not null',
    "select usage from cpu where tag.host = 'nowhere'",
  ])('%s', async text => {
    await property(tail(text))
  })

  test('with retention, and with the first of duplicates', async () => {
    await property(tail('select time, usage, note from cpu where usage > -5'), { keptUs: 30 * secondUs })
    await property(tail('select time, usage from cpu'), { duplicates: 'first' })
  })

  test('late rows of more series than are named', async () => {
    const count = 4200
    const many = Array.from({ length: count }, (_, i): FakeSeries => ({ metric: 'cpu', tags: { host: `h${i}` } }))
    const world = new World({ catalog: fakeCatalog({ cpu: { usage: 'float' } }, many), series: many })
    const kept = new Maintained(tail('select usage from cpu')(world), world.context())
    await kept.begin(world.step(kept.query.metrics).after)
    const commit = (series: number, at: number) => ({ series, timeUs: at * secondUs, values: [1] })
    const all = Array.from({ length: count - 1 }, (_, series) => series)
    world.happens({ kind: 'rows', metric: 'cpu', rows: all.map(series => commit(series, 10)) })
    await kept.take(world.step(kept.query.metrics))
    const others = [commit(0, 5), commit(count - 1, 3)]
    world.happens({ kind: 'rows', metric: 'cpu', rows: [...all.map(series => commit(series, 1)), ...others] })
    const { added } = await kept.take(world.step(kept.query.metrics))
    expect(added.length).toBe(count + 1)
  })

  test('knows what came while nobody looked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rows('cpu'), { maxLength: 8 }), fc.nat({ max: 8 }), async (commits, seen) => {
        const world = new World(database)
        const clock = new Clock()
        const query = tail("select usage from cpu where tag.dc = 'x' and usage > 0")(world)
        const kept = new Maintained(query, world.context())
        for (const each of commits.slice(0, seen)) world.happens(clock.happening(each))
        await kept.begin(world.step(query.metrics).after)
        for (const each of commits.slice(seen)) world.happens(clock.happening(each))
        const { added, changed, removed } = await query.catchUp!(world.rows, world.moment())
        kept.catchUp({ added, changed, removed })
        // Nothing is told but of the rows that came.
        const [id, time] = query.columns.keys as [number, number]
        const keys = [...changed, ...removed].map(row => `${row[id]} ${row[time]}`)
        const came = world.rows.flatMap(({ rows: { series, timeUs } }) =>
          Array.from(series, (ordinal, row) => `${world.catalog.ids.at(ordinal)} ${timeUs[row]}`),
        )
        expect(keys.filter(key => !came.includes(key))).toEqual([])
        expect(new Set(keys).size).toBe(keys.length)
        await kept.check(world.moment())
      }),
      { numRuns: 40 },
    )
  })
})

describe('series', () => {
  test.each([
    'select time, usage, lag(usage), difference(usage) d from cpu',
    "select time, cumulative_sum(cores) c, row_number() n from cpu where tag.dc = 'x' and usage > -3",
    'select fill_forward(note) note, lag(up, 2) from cpu order by time desc',
    'select moving_avg(cores, 25s) m, moving_avg(cores, 3) n from cpu where time >= 1002000000',
    'select time, usage, lead(cores) next, lag(cores) previous from cpu',
    'select usage, row_number() n from /^(cpu|mem)$/',
    'select x.time, x.d from (select time, series, difference(cores) d from cpu) as x where x.d > 0',
    'select d, lag(d) from (select time, series, usage d from cpu where cores > 1) as x',
  ])('%s', async text => {
    await property(series(text))
  })

  test.each([
    'select time, cumulative_sum(cores) from cpu',
    'select time, usage, lag(usage, 3), difference(cores) from cpu',
    'select moving_avg(cores, 15s), moving_avg(cores, 2), fill_forward(note) from cpu',
    "select lag(usage), fill_forward(up) from /^(cpu|mem)$/ where tag.host != 'b'",
  ])('with retention: %s', async text => {
    await property(series(text), { keptUs: 30 * secondUs }, 40)
  })

  test('a row that comes to one series within the reach of another that expires', async () => {
    const both: FakeSeries[] = ['a', 'b'].map(host => ({ metric: 'cpu', tags: { host } }))
    const world = new World(
      { catalog: fakeCatalog({ cpu: { usage: 'float' } }, both), series: both },
      { keptUs: 30 * secondUs },
    )
    world.nowUs = 1000 * secondUs
    const row = (series: number, at: number) => ({ series, timeUs: at * secondUs, values: [at] })
    world.happens({ kind: 'rows', metric: 'cpu', rows: [row(0, 970), row(0, 975), row(1, 970), row(1, 972)] })
    const kept = new Maintained(series('select time, difference(usage) from cpu')(world), world.context())
    await kept.begin(world.step(kept.query.metrics).after)
    world.happens({ kind: 'rows', metric: 'cpu', rows: [row(1, 974)] })
    world.nowUs += secondUs
    const { added } = await kept.take(world.step(kept.query.metrics))
    expect(added).toHaveLength(1)
  })
})

describe('rerun', () => {
  test.each([
    'select a.usage, b.usage from cpu as a join mem as b on time within 5s',
    'select rate(usage) from cpu group by tag.host',
    'select histogram(cores, 0, 5, 5) from cpu',
    'select time, now() - time age from cpu',
    'select 1, now()',
  ])('%s', async text => {
    await property(rerun(text), {}, 15)
  })
})
