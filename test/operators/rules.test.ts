/**
 * Rules keep the meaning: queries of the whole language, planned with all rules, with some and with none, give what the
 * model gives for the plan before any rule. Every rule must have fired for some of them.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Scalar } from '../../src/columnar/value.ts'
import { physicalRules } from '../../src/operators/plan/types.ts'
import { bind } from '../../src/sydraql/bind.ts'
import { ruleNames } from '../../src/sydraql/optimize.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { type FakeDatabase, type FakeRow, type FakeSeries, fakeCatalog } from './fake-database.ts'
import { versionWithRollups } from './fake-rollups.ts'
import { runModel } from './model.ts'
import { planOf, run, sameRows } from './support.ts'

const series: FakeSeries[] = [
  { metric: 'cpu', tags: { host: 'a', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'b', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'c' } },
  { metric: 'cpuload', tags: { host: 'a' } },
  { metric: 'cpuload', tags: { host: 'b', dc: 'y' } },
  { metric: 'mem', tags: { host: 'a' } },
  { metric: 'mem', tags: { host: 'b' } },
  { metric: 'mem', tags: {} },
]
const catalog = fakeCatalog(
  {
    cpu: { usage: 'float', note: 'string' },
    cpuload: { usage: 'float', load: 'integer' },
    mem: { used: 'float', note: 'string' },
  },
  series,
)

const value: fc.Arbitrary<Scalar> = fc.option(
  fc.integer({ min: -20, max: 20 }).map(n => n / 4),
  { nil: null, freq: 5 },
)
const note: fc.Arbitrary<Scalar> = fc.constantFrom('', 'ok', 'slow', null)

/** Pieces of one metric whose series are `first` to `last`. */
const piecesOf = (first: number, last: number, second: fc.Arbitrary<Scalar>): fc.Arbitrary<FakeRow[][]> =>
  fc.array(
    fc
      .array(
        fc.record({
          series: fc.integer({ min: first, max: last }),
          timeUs: fc.integer({ min: 0, max: 120 }).map(at => at * 5e6),
          values: fc.tuple(value, second),
        }),
        { minLength: 1, maxLength: 25 },
      )
      .map(rows => [...new Map(rows.map(row => [`${row.series}/${row.timeUs}`, row])).values()]),
    { maxLength: 4 },
  )
const anyDatabase: fc.Arbitrary<FakeDatabase> = fc
  .record({
    cpu: piecesOf(0, 2, note),
    cpuload: piecesOf(3, 4, fc.integer({ min: 0, max: 9 })),
    mem: piecesOf(5, 7, note),
  })
  .map(pieces => ({ catalog, series, pieces }))

const at = (second: number): string => `'${new Date(second * 1000).toISOString()}'`
const times = (name: string) =>
  fc
    .tuple(fc.constantFrom('>=', '>', '<', '<='), fc.integer({ min: 0, max: 600 }))
    .map(([sign, second]) => `${name} ${sign} ${at(second)}`)
const conditions = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.array(fc.oneof(...parts), { maxLength: 3 }).map(list => (list.length === 0 ? '' : `where ${list.join(' and ')}`))
const one = fc.constantFrom<string[]>
const maybe = (...options: string[]) => fc.constantFrom('', '', ...options)
const words = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map(list => list.filter(part => part !== '').join(' '))
const text = (constant: string) => fc.constant(constant)

const limit = maybe(
  'limit 4',
  'limit 2 offset 1',
  'limit 1 per series',
  'limit 2 per tag.host',
  'limit 3 per series offset 1',
)
const source = one(
  'cpu',
  '/^cpu/',
  '(select *, series from cpu) s',
  "(select time, series, series_id, tag.host, usage, note from cpu where tag.host != 'c') s",
)
const rowSource = one('cpu', 'cpu', '/^cpu/')
const rawWhere = conditions(
  times('time'),
  one("tag.host = 'a'", "tag.host in ('a', 'b')", 'usage > 0', 'usage is not null'),
)

const raw = words(
  text('select time, series, usage, usage * 2 x from'),
  rowSource,
  rawWhere,
  maybe(
    'order by time desc',
    'order by series, time',
    'order by usage, time, series',
    'order by time desc, usage',
    'order by time, x desc, series desc',
  ),
  limit,
)
const windowed = words(
  one(
    'select time, series, lag(usage), cumulative_sum(usage) c from',
    'select time, lead(usage, 2), row_number() from',
    'select time, moving_avg(usage, 1m) m, tag.host from',
    'select series, difference(time), fill_forward(usage) from',
  ),
  rowSource,
  rawWhere,
  maybe('order by time desc', 'order by series, time', 'order by row_number() desc, time, series'),
  maybe('limit 3', 'limit 2 per series'),
)
const overRows = words(
  one('select host, c, t from', 'select t, l from', 'select host, max(c), sum(u) from', 'select t, c from'),
  words(
    text('(select time t, tag.host host, series, usage u, lag(usage) l, row_number() c from'),
    rowSource,
    rawWhere,
    maybe('limit 5', 'order by time, series limit 3 per series'),
    text(') s'),
  ),
  conditions(one("host = 'a'", "series like '%a%'", 'c < 3', 'u > 0', 'l is not null')),
).map(query => (query.includes('max(c)') ? `${query} group by host` : query))
const grouped = words(
  text('select'),
  one(
    'time_bucket(1m, time) t, tag.host, sum(usage) v',
    'time_bucket(1m, time) t, tag.host, rate(usage) v',
    'time_bucket(1m, time) t, tag.host, last(usage) v',
    'time_bucket(1m, time) t, tag.host, count(*) v, median(usage) m',
  ),
  text('from'),
  rowSource,
  rawWhere,
  text('group by t, tag.host'),
)
const overGroups = words(
  one(
    'select * from',
    'select t, v from',
    'select v, lag(v) p from',
    'select "tag.host", max(v) from',
    'select time_bucket(5m, t) u, avg(v) from',
    'select distinct "tag.host" from',
  ),
  fc
    .tuple(grouped, maybe('fill(previous)', 'fill(null)', 'having v > 0'))
    .map(([query, fill]) => `(${query} ${fill}) s`),
  conditions(times('t'), one('"tag.host" = \'a\'', 'v > 0', 't is not null')),
).map(query =>
  query.startsWith('select "tag.host"')
    ? `${query} group by "tag.host"`
    : query.includes(' u, ')
      ? `${query} group by u`
      : query,
)
const aggregates = words(
  one(
    'select tag.host, last(usage) from',
    'select series, first(usage) from',
    'select tag.host, last(usage), count(*) from',
  ),
  source,
  rawWhere,
).map(query => `${query} group by ${query.startsWith('select series') ? 'series' : 'tag.host'}`)
/** Not within a call. */
const keySeparator = /, (?![^(]*\))/
const overPattern = fc
  .tuple(
    one('tag.host h', 'series s', 'time_bucket(1m, time) t', 'time_bucket(1m, time) t, tag.host h', 'note'),
    one(
      'last(usage) a',
      'sum(usage) a, count(load) b',
      'rate(usage) a',
      'median(usage) a, max(note) b',
      'min_by(note, usage) a',
    ),
    one(
      '/^cpu/',
      '/^(cpu|mem)/',
      '(select *, series from /^cpu/) s',
      '(select time, series, tag.host, usage + 0 usage, usage load, note from /^cpu/) s',
    ),
    rawWhere,
    maybe('limit 3', 'order by a desc, 1 limit 2', 'having a > 0'),
  )
  .map(([keys, calls, source, where, rest]) => {
    const names = keys.split(keySeparator).map(key => key.split(' ').at(-1)!)
    const having = calls.startsWith('min_by') && rest.startsWith('having') ? '' : rest
    return `select ${keys}, ${calls} from ${source} ${where} group by ${names.join(', ')} ${having}`
  })
/** The first or last buckets alone, some of them empty or not wanted after all. */
const firstBuckets = words(
  one(
    'select time_bucket(10s, time) t, max(usage) v from',
    'select max(usage) * 2 w, time_bucket(1m, time) t, sum(usage) v from',
    'select last(usage) v, time_bucket(20s, time) t from',
    'select time_bucket(5s, time) t, count(usage) v from',
    'select rate(usage) v, time_bucket(1m, time) t from',
  ),
  source,
  rawWhere,
  text('group by t'),
  maybe('having count(usage) > 1', 'having max(usage) > 3'),
  one('order by t desc', 'order by t desc', 'order by t', ''),
  one('limit 1', 'limit 2', 'limit 2 offset 2', 'limit 7', 'limit 0'),
)
const firstBucketsByKey = words(
  text('select time_bucket(30s, time) t, tag.host h, min(usage) v from'),
  source,
  rawWhere,
  text('group by t, h'),
  one('order by t desc, h desc', 'order by t, v, h', 'order by t desc, v desc, h'),
  one('limit 1', 'limit 3', 'limit 4 offset 3'),
)
const distinct = words(
  text('select distinct'),
  one('tag.host, note', 'time_bucket(1m, time) t, tag.host', 'usage'),
  text('from cpu'),
  rawWhere,
  maybe('limit 2'),
)
const histogram = words(text('select histogram(usage, -2, 2, 4) from'), source, rawWhere)
const joined = words(
  one(
    'select * from',
    'select a.time, a.usage, m.used from',
    'select sum(a.usage), count(*) from',
    'select a.time, a.series, m.series, lag(a.usage) from',
  ),
  fc
    .tuple(
      one('cpu', '/^cpu/', '(select time, series, tag.host, usage from cpu where time >= 1970-01-01T00:01:00Z)'),
      maybe('within 1m', 'within 20s'),
    )
    .map(([left, within]) => `${left} a join mem m on time ${within}`),
  conditions(
    times('a.time'),
    times('m.time'),
    one("a.tag.host = 'a'", 'a.tag.host = m.tag.host', 'm.used > 0', 'a.usage > m.used', "m.tag.host = 'b'"),
  ),
  maybe('limit 3'),
)
const threeJoined = words(
  text(
    'select a.time, b.time, c.time, a.usage + c.used x from cpu a join mem b on time within 1m join mem c on time within 30s',
  ),
  conditions(
    times('a.time'),
    times('b.time'),
    times('c.time'),
    one('a.tag.host = c.tag.host', 'b.tag.host = a.tag.host'),
  ),
)
const overJoin = words(
  one('select h, max(x) from', 'select * from'),
  text(
    '(select a.time t, a.tag.host h, m.used x from cpu a join mem m on time within 30s where a.tag.host = m.tag.host) s',
  ),
  conditions(times('t'), one("h = 'a'", 'x > 0')),
).map(query => (query.startsWith('select h') ? `${query} group by h` : query))

const kinds = {
  raw,
  windowed,
  overRows,
  overGroups,
  aggregates,
  overPattern,
  firstBuckets,
  firstBucketsByKey,
  distinct,
  histogram,
  joined,
  threeJoined,
  overJoin,
}

test.each(Object.entries(kinds))('%s', async (_, query) => {
  await fc.assert(
    fc.asyncProperty(
      anyDatabase,
      query,
      fc.oneof(fc.constant([]), fc.subarray([...ruleNames])),
      fc.subarray(Object.keys(physicalRules)),
      fc.constantFrom(undefined, 3, 20),
      fc.constantFrom([], [60e6], [10e6, 60e6, 300e6]),
      async (database, text, off, physicalOff, windowRowsMax, rollups) => {
        const expected = runModel(planOf(text, database, ruleNames), database)
        const context = { windowRowsMax, version: versionWithRollups(database, rollups) }
        const rows = await run(planOf(text, database, off), database, context, physicalOff)
        if (!sameRows(rows, expected)) expect({ text, off, rows }).toEqual({ text, off, rows: expected })
      },
    ),
    { numRuns: 100 },
  )
})

test('all of them fire', () => {
  const fired = new Set<string>()
  const folded = fc.constant('select time from cpu where not (usage < 1 + 1)')
  for (const query of fc.sample(fc.oneof(folded, ...Object.values(kinds)), 600))
    for (const name of bind(prepare(query, catalog), [], 0).firedRules) fired.add(name)
  expect([...fired].sort()).toEqual([...ruleNames].sort())
})
