/** Aggregates over a pattern, each metric read by the best way it has: the answers of the model, and of the rule switched off. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Scalar } from '../../src/columnar/value.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import { seriesRanks } from '../../src/operators/aggregate/series-ranks.ts'
import { execute, type PlanDescription } from '../../src/operators/execute.ts'
import type { ExecutionContext } from '../../src/operators/operator.ts'
import { physicalRules } from '../../src/operators/plan/types.ts'
import { spillSpace } from '../../src/operators/spill/space.ts'
import { Catalog } from '../../src/storage/catalog/catalog.ts'
import { loadSeriesHasher } from '../../src/storage/catalog/identity.ts'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import { type FakeDatabase, type FakeRow, type FakeSeries, fakeCatalog, fakeContext } from './fake-database.ts'
import { runModel } from './model.ts'
import { planOf, run, sameRows } from './support.ts'

const rule = 'partial-aggregation'
const series: FakeSeries[] = [
  { metric: 'cpu', tags: { host: 'a', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'b', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'c' } },
  { metric: 'cpu.load', tags: { host: 'a' } },
  { metric: 'cpu.load', tags: { host: 'b', rack: 'r' } },
  { metric: 'cpu.note', tags: { host: 'a' } },
  { metric: 'cpu.note', tags: {} },
]
const catalog = fakeCatalog(
  {
    cpu: { usage: 'float', up: 'boolean', note: 'string' },
    // Widened to the float that the others have, and fields of its own.
    'cpu.load': { usage: 'integer', load: 'float' },
    'cpu.note': { note: 'string', up: 'boolean' },
  },
  series,
)

const float: fc.Arbitrary<Scalar> = fc.option(
  fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: -20, max: 20 }).map(n => n / 4) },
    fc.constantFrom(NaN, -0, Infinity),
  ),
  { nil: null, freq: 5 },
)
const integer: fc.Arbitrary<Scalar> = fc.option(fc.integer({ min: -5, max: 5 }), { nil: null, freq: 5 })
const note: fc.Arbitrary<Scalar> = fc.constantFrom('', 'ok', 'slow', 'ü', null)
const up: fc.Arbitrary<Scalar> = fc.constantFrom(true, false, null)

/** Pieces of several series, and long ones of one, which runs and statistics may serve. */
const piecesOf = (first: number, last: number, ...values: fc.Arbitrary<Scalar>[]): fc.Arbitrary<FakeRow[][]> => {
  const rows = (ordinal: fc.Arbitrary<number>, from: number, seconds: number) =>
    fc
      .array(
        fc.record({
          series: ordinal,
          timeUs: fc.integer({ min: from, max: from + seconds }).map(second => second * 1e6),
          values: fc.tuple(...values),
        }),
        { minLength: 1, maxLength: 50, size: 'max' },
      )
      .map(all => [...new Map(all.map(row => [`${row.series}/${row.timeUs}`, row])).values()])
  const anySeries = fc.integer({ min: first, max: last })
  const piece = fc.oneof(
    rows(anySeries, 0, 600),
    fc
      .tuple(anySeries, fc.integer({ min: 0, max: 9 }))
      .chain(([ordinal, at]) => rows(fc.constant(ordinal), at * 60, 59)),
  )
  return fc.array(piece, { maxLength: 4 })
}
const anyDatabase: fc.Arbitrary<FakeDatabase> = fc
  .record({
    cpu: piecesOf(0, 2, float, up, note),
    'cpu.load': piecesOf(3, 4, integer, float),
    'cpu.note': piecesOf(5, 6, note, up),
  })
  .map(pieces => ({ catalog, series, pieces }))

const at = (second: number): string => `'${new Date(second * 1000).toISOString()}'`
const one = fc.constantFrom<string[]>
const ends = one('last(usage) a0', 'first(note) a0', 'last(load) a0, last(load) a1')
const manyCalls = fc
  .uniqueArray(
    one(
      'count(*)',
      'count(usage)',
      'count(note)',
      'sum(usage)',
      'avg(usage)',
      'min(usage)',
      'max(load)',
      'max(up)',
      'min(note)',
      'spread(usage)',
      'max(time)',
      'first(usage)',
      'last(usage)',
      'first(note)',
      'last(up)',
      'min_by(note, usage)',
      'max_by(usage, note)',
      'min_by(usage, time)',
      'stddev(usage)',
      'median(usage)',
      'percentile(load, 0.9)',
      'approx_percentile(usage, 0.5)',
      'mode(usage)',
      'mode(note)',
      'count(distinct usage)',
      'approx_count_distinct(note)',
      'rate(usage)',
      'irate(usage)',
      'delta(usage)',
      'integral(load)',
      'time_weighted_avg(usage)',
      'max(usage * 2 + coalesce(load, 0))',
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map(list => list.map((call, i) => `${call} a${i}`).join(', '))
const calls = fc.oneof({ weight: 6, arbitrary: manyCalls }, { weight: 1, arbitrary: ends })
const keys = one(
  '',
  'series',
  'tag.host h',
  'tag.host h, tag.rack r',
  'note',
  'upper(tag.dc) d',
  'time_bucket(1m, time) t',
  'time_bucket(1m, time) t, tag.host h',
  "tag.host h, time_bucket(1d, time, 'Europe/Berlin') t",
  'time_bucket(1m, time) t, series, note',
)
const conditions = fc
  .subarray([`time >= ${at(90)}`, `time < ${at(400)}`, "tag.host != 'c'", 'usage > -2', 'load is null', '1 = 1'])
  .map(list => (list.length === 0 ? '' : `where ${list.join(' and ')}`))
const after = one('', '', 'order by a0 desc, 1 limit 3', 'limit 2 offset 1', 'having a0 > 1')

/** Not within a call. */
const keySeparator = /, (?![^(]*\))/
/** With `having` and `order by` over whatever there is: only what may be compared. */
const query = fc.tuple(keys, calls, conditions, after).map(([key, call, where, rest]) => {
  const names = key === '' ? [] : key.split(keySeparator).map(part => part.split(' ').at(-1)!)
  const group = names.length === 0 ? '' : ` group by ${names.join(', ')}`
  const comparable = !/^(first\(note|last\(up|min_by\(note|max\(up|min\(note|mode\(note|max\(time)/.test(call)
  const tail = rest.startsWith('having') && !comparable ? '' : rest
  return `select ${key === '' ? '' : `${key}, `}${call} from /^cpu/ ${where}${group} ${tail}`
})

const firedFor = (
  text: string,
  database: FakeDatabase,
  off: readonly string[] = [],
  context: Partial<ExecutionContext> = {},
): string[] => {
  const { describe } = execute(planOf(text, database), fakeContext(database, context), { disabledRules: new Set(off) })
  const rulesOf = ({ rules, inputs }: PlanDescription): string[] => [...rules, ...inputs.flatMap(rulesOf)]
  return rulesOf(describe())
}

test('the model, the rule on and the rule off agree, whatever other rules there are', async () => {
  const fired = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(
      anyDatabase,
      query,
      fc.oneof(fc.constant([]), fc.subarray(Object.keys(physicalRules))),
      fc.record({ batchRows: fc.constantFrom(7, 8192), windowRowsMax: fc.constantFrom(undefined, 5, 30) }),
      async (database, text, off, context) => {
        const plan = planOf(text, database)
        const hasModel = !/approx_percentile|Berlin/.test(text)
        const expected = hasModel ? runModel(plan, database) : await run(plan, database, {}, [rule])
        for (const name of firedFor(text, database, off)) fired.set(name, (fired.get(name) ?? 0) + 1)
        for (const rules of [off, [...off, rule]]) {
          const rows = await run(plan, database, context, rules)
          if (!sameRows(rows, expected)) expect({ text, rules, rows }).toEqual({ text, rules, rows: expected })
        }
      },
    ),
    { numRuns: 250 },
  )
  for (const name of [rule, 'bucket-runs', 'series-groups', 'statistics-answer', 'last-point'])
    expect(fired.get(name) ?? 0, name).toBeGreaterThan(5)
})

describe('it fires', () => {
  const database: FakeDatabase = { catalog, series, pieces: {} }
  const sub = (columns: string, rest = '') => `(select ${columns} from /^cpu/ ${rest}) s`
  test.each([
    ['select sum(usage) from /^cpu/', true],
    ['select time_bucket(1m, time) t, rate(usage) from /^cpu/ group by t', true],
    ['select distinct tag.host, note from /^cpu/', true],
    ['select series, last(usage) from /^cpu/ where usage > 0 group by series', true],
    [`select time_bucket(1m, at) t, sum(u * u) from ${sub('time at, usage + 1 u')} group by t`, true],
    // Only one metric is left.
    ['select sum(load) from /^cpu.load/', false],
    // Rows come in the order of the sub-select, or are some of them.
    [`select last(u) from ${sub('usage u')}`, false],
    [`select last(u) from ${sub('time, usage u')}`, false],
    [`select sum(u) from ${sub('time, usage u', 'limit 5')}`, false],
    [`select sum(u) from ${sub('usage u, lag(usage) l', 'where note is null')} where l > 1`, false],
    // A column that is called as a scan's and is not it.
    [`select series, sum(time), max(time) from ${sub('usage * 2 time, note series')} group by series`, false],
  ])('%s: %s', (text, fires) => {
    expect(firedFor(text, database).includes(rule)).toBe(fires)
    expect(firedFor(text, database, [rule])).not.toContain(rule)
  })
})

/** 3 metrics of as many series, each a piece. */
function longDatabase(seriesOfEach = 40, rowsOfEach = 200): FakeDatabase {
  const metrics = ['cpu', 'cpu.load', 'cpu.note']
  const many = metrics.flatMap(metric =>
    Array.from({ length: seriesOfEach }, (_, i): FakeSeries => ({ metric, tags: { host: `h${i}` } })),
  )
  const fields = { cpu: { v: 'float' }, 'cpu.load': { v: 'integer' }, 'cpu.note': { w: 'float' } } as const
  const pieces: Record<string, FakeRow[][]> = { cpu: [], 'cpu.load': [], 'cpu.note': [] }
  many.forEach(({ metric }, ordinal) => {
    pieces[metric]!.push(
      Array.from({ length: rowsOfEach }, (_, i) => ({
        series: ordinal,
        timeUs: i * 1e6,
        values: [(i * 7 + ordinal) % 31],
      })),
    )
  })
  return { catalog: fakeCatalog(fields, many), series: many, pieces }
}

test('statistics answer for each metric, of a field that it lacks and of one that is widened too', async () => {
  const database = longDatabase()
  for (const text of [
    'select count(*) c, sum(v) s, max(w) m from /^cpu/',
    'select tag.host, last(v) l, avg(w) a from /^cpu/ group by tag.host',
    'select time_bucket(1h, time) t, max(v) m from /^cpu/ group by t',
  ]) {
    const [read, readWithout] = [newReadStatistics(), newReadStatistics()]
    const rows = await run(planOf(text, database), database, { read })
    expect(rows).toEqual(await run(planOf(text, database), database, { read: readWithout }, [rule]))
    expect([read.rowsScanned, readWithout.rowsScanned]).toEqual([0, 24_000])
  }
})

test('the last value of each series is read from the end of each metric', async () => {
  const database = longDatabase()
  const read = newReadStatistics()
  const text = 'select series, last(v) l from /^cpu/ group by series'
  const expected = await run(planOf(text, database), database, {}, [rule])
  expect(await run(planOf(text, database), database, { read, windowRowsMax: 400 }, ['statistics-answer'])).toEqual(
    expected,
  )
  // Of the metric without the field all rows are read, of the others a window.
  expect(read.rowsScanned).toBeLessThan(12_000)
})

test.each(['cpu', '/^cpu/'])('of %s too, where statistics know some series and not all', async source => {
  const long = longDatabase()
  // The first series ended before the others began, whose piece is of many: its statistics are those of none.
  const pieces = Object.fromEntries(
    Object.entries(long.pieces).map(([metric, [first, ...others]]) => {
      const earlier = first!.map(row => ({ ...row, timeUs: row.timeUs - 1000e6 }))
      return [metric, [earlier, others.flat()]]
    }),
  )
  const database = { ...long, pieces }
  const read = newReadStatistics()
  const plan = planOf(
    `select series, last(v) l from ${source} where series not like '%note%' group by series`,
    database,
  )
  const rows = await run(plan, database, { read, windowRowsMax: 400 })
  expect(rows).toEqual(await run(plan, database, {}, [rule, 'last-point']))
  expect(read.rowsScanned).toBeLessThan(2000)
})

describe('beyond the memory of the query', () => {
  const database = longDatabase()
  const files = memoryFiles()
  const limited = (memoryMaxBytes: number): Partial<ExecutionContext> => ({
    memoryMaxBytes,
    batchRows: 500,
    spill: spillSpace(files, '/data', { memoryMaxBytes, bytesMax: 2 ** 30 }).open(new AbortController().signal),
  })
  const left = () => (files.exists('/data/tmp') ? files.list('/data/tmp') : [])
  test.each([
    'select time, series, sum(v) s, last(v) l, count(w) c from /^cpu/ group by time, series',
    'select time_bucket(7s, time) t, series, first(v) f, max_by(v, w) m from /^cpu/ group by t, series',
    'select time_bucket(7s, time) t, series, rate(v) r, count(*) c from /^cpu/ group by t, series order by c desc, t, series limit 40',
    'select time_bucket(20s, time) t, v, median(v) m, mode(tag.host) o from /^cpu/ group by t, v',
    'select distinct time, tag.host, v from /^cpu/',
  ])('%s', async text => {
    const plan = planOf(text, database)
    const expected = await run(plan, database, {}, [rule])
    const context = limited(500_000)
    const rows = await run(plan, database, context)
    if (!sameRows(rows, expected)) expect(rows).toEqual(expected)
    expect(firedFor(text, database)).toContain(rule)
    expect(context.spill!.writtenBytes).toBeGreaterThan(0)
    expect(left()).toEqual([])
  })
  test('groups of one metric that only statistics know of leave the next metric no memory: it goes to files', async () => {
    const database = longDatabase(3000, 4)
    const context = limited(1_500_000)
    const text = 'select series, sum(v) s, min(w) m from /^cpu/ group by series'
    const rows = await run(planOf(text, database), database, context)
    expect(rows).toEqual(await run(planOf(text, database), database, {}, [rule]))
    expect(context.spill!.writtenBytes).toBeGreaterThan(0)
    expect(left()).toEqual([])
  })
  test('a consumer that goes away leaves nothing', async () => {
    const text = 'select time, series, count(*) from /^cpu/ group by time, series'
    const { stream } = execute(planOf(text, database), fakeContext(database, limited(400_000)))
    expect((await stream.next()).done).toBe(false)
    expect(left().length).toBeGreaterThan(0)
    await stream.return()
    expect(left()).toEqual([])
  })
})

test('series of many metrics rank by their printed forms', async () => {
  const hash = await loadSeriesHasher()
  const name = fc.oneof(
    fc.constantFrom('a', 'a.b', 'a.', 'a_', 'b', 'a b', 'a{', 'a"', 'ä', '"a"'),
    fc.string({ minLength: 1, maxLength: 3 }),
  )
  const tags = fc.dictionary(fc.constantFrom('k', 'k.l', 'a b', 'ü'), fc.constantFrom('1', '"', 'ü', '{'), {
    maxKeys: 2,
  })
  const metrics = fc.uniqueArray(fc.tuple(name, fc.uniqueArray(tags, { maxLength: 4, selector: JSON.stringify })), {
    minLength: 1,
    maxLength: 5,
    selector: ([metric]) => metric,
  })
  fc.assert(
    fc.property(metrics, list => {
      const catalog = new Catalog({ incarnation: '00'.repeat(16), hash, seriesMax: 100 })
      for (const [name, tagLists] of list) {
        const metric = catalog.useMetric(name)
        for (const tags of tagLists) catalog.useSeries(metric, Object.entries(tags).sort())
      }
      const ordinals = Array.from({ length: catalog.seriesCount }, (_, ordinal) => ordinal)
      const ranks = seriesRanks(
        list.map(([metric]) => metric),
        catalog,
      )
      const printed = (ordinal: number) => new TextEncoder().encode(catalog.printed.at(ordinal))
      const byText = ordinals.toSorted((a, b) => Buffer.compare(printed(a), printed(b)))
      expect(ordinals.toSorted((a, b) => ranks[a]! - ranks[b]!)).toEqual(byText)
    }),
  )
})
