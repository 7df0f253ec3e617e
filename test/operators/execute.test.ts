/** Whole queries against the naive model: random data, every rule on and off, any batch size. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Scalar } from '../../src/columnar/value.ts'
import { physicalRules } from '../../src/operators/plan/types.ts'
import { type FakeDatabase, type FakeRow, type FakeSeries, fakeCatalog } from './fake-database.ts'
import { runModel } from './model.ts'
import { planOf, run, sameRows } from './support.ts'

const minute = 60e6
const fields = { cpu: { usage: 'float', count: 'integer', up: 'boolean', note: 'string' } } as const

const tagSets: FakeSeries[] = [
  { metric: 'cpu', tags: { host: 'a', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'b', dc: 'x' } },
  { metric: 'cpu', tags: { host: 'B', dc: 'y' } },
  { metric: 'cpu', tags: { host: 'ä' } },
  { metric: 'cpu', tags: {} },
]

/** Values whose sums are exact, and the troublesome ones. */
const floatValue = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -40, max: 40 }).map(n => n / 4) },
  fc.constantFrom(NaN, -0, 0),
)
const missing = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 5 })
const rowValues: fc.Arbitrary<readonly Scalar[]> = fc.tuple(
  missing(floatValue),
  missing(fc.integer({ min: -9, max: 9 })),
  missing(fc.boolean()),
  missing(fc.constantFrom('', 'ok', 'Ok', 'slow', 'ünï', '😀')),
)

function pieceOf(series: fc.Arbitrary<number>, from: number, length: number): fc.Arbitrary<FakeRow[]> {
  return fc
    .array(
      fc.record({
        series,
        timeUs: fc.integer({ min: from, max: from + length }).map(second => second * 1e6),
        values: rowValues,
      }),
      { minLength: 1, maxLength: 40 },
    )
    .map(rows => [...new Map(rows.map(row => [`${row.series}/${row.timeUs}`, row])).values()])
}

const anySeries = fc.integer({ min: 0, max: tagSets.length - 1 })
const piece = fc.oneof(
  pieceOf(anySeries, 0, 600),
  anySeries.chain(series => pieceOf(fc.constant(series), 0, 300)),
  fc
    .tuple(anySeries, fc.integer({ min: 0, max: 20 }))
    .chain(([series, at]) => pieceOf(fc.constant(series), at * 60, 59)),
)
const pieces = fc.array(piece, { maxLength: 8 })
const databaseOf = (pieces: readonly FakeRow[][]): FakeDatabase => ({
  catalog: fakeCatalog(fields, tagSets),
  series: tagSets,
  pieces: { cpu: pieces },
})

const time = (second: number) => `'${new Date(second * 1000).toISOString()}'`
const range = fc.oneof(
  fc.constant('true'),
  fc
    .tuple(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 600 }))
    .map(([a, b]) => (a <= b ? `time >= ${time(a)} and time < ${time(b)}` : `time > ${time(b)}`)),
)
const where = fc
  .tuple(
    range,
    fc.constantFrom(
      'true',
      "tag.host = 'a'",
      "tag.host in ('a', 'B')",
      "tag.dc =~ /x|y/ and tag.host != 'b'",
      'tag.dc is null',
      "series like '%host%'",
      'usage > 1',
      'usage >= 0 and count < 3',
      "note = 'ok' or up",
      "not (tag.host = 'a' and usage < 0)",
      'usage = 0',
    ),
  )
  .map(([time, rest]) => `${time} and ${rest}`)

const aggregates = fc
  .uniqueArray(
    fc.constantFrom(
      'count(*)',
      'count(usage)',
      'sum(usage)',
      'avg(count)',
      'min(usage)',
      'max(usage)',
      'spread(usage)',
      'first(usage)',
      'last(usage)',
      'first(note)',
      'last(up)',
      'max(note)',
      'min(note)',
      'max(up)',
      'max(time)',
      'stddev(usage)',
      'median(usage)',
      'percentile(count, 0.9)',
      'count(distinct usage)',
      'count(distinct note)',
      'max(usage * 2 + count)',
      'mode(usage)',
      'mode(note)',
      'min_by(note, usage)',
      'max_by(usage, note)',
      'max_by(time, up)',
      'approx_count_distinct(usage)',
      'rate(usage)',
      'irate(usage)',
      'increase(count)',
      'delta(usage)',
      'derivative(usage * 2)',
      'integral(usage)',
      'time_weighted_avg(usage)',
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map(list => list.join(', '))
const bucket = fc.constantFrom(
  'time_bucket(1m, time)',
  'time_bucket(7s, time)',
  'time_bucket(1h, time)',
  'time_bucket(1mo, time)',
)
const keys = fc.uniqueArray(
  fc.constantFrom('tag.host', 'tag.dc', 'series', 'note', 'count', 'up', 'usage > 0', 'upper(tag.host)'),
  {
    maxLength: 3,
  },
)
const fills = fc.constantFrom('null', 'previous', 'previous, 1m', 'linear', '0')

const rawQuery = fc
  .tuple(
    where,
    fc.constantFrom('*', 'time, usage', 'time, series, tag.host, note', 'series_id, usage * 2 x, count, time'),
    fc.constantFrom(
      '',
      'order by time desc',
      'order by series, time',
      'order by usage, time',
      'order by note desc nulls first, usage',
      'order by up nulls first, tag.host desc',
    ),
    fc.constantFrom('', 'limit 5', 'limit 3 offset 2', 'limit 1'),
  )
  .map(([where, items, order, limit]) => `select ${items} from cpu where ${where} ${order} ${limit}`)

const groupedQuery = fc
  .tuple(
    where,
    aggregates,
    fc.option(bucket, { freq: 2, nil: undefined }),
    keys,
    fc.option(fills, { nil: undefined, freq: 2 }),
  )
  .map(([where, aggregates, bucket, keys, fill]) => {
    const by = [...(bucket === undefined ? [] : [bucket]), ...keys]
    const isNumeric = !/\((note|up|time|distinct)|_by|mode/.test(aggregates)
    const allowed = fill !== undefined && (isNumeric || fill === 'null' || fill.startsWith('previous'))
    const filling = allowed && bucket !== undefined && !bucket.includes('7s') ? `fill(${fill})` : ''
    const condition = filling.includes('1m') ? 'true' : where
    const grouping = by.length === 0 ? '' : `group by ${by.join(', ')}`
    return `select ${[...by, aggregates].join(', ')} from cpu where ${condition} ${grouping} ${filling}`
  })

const settings = { numRuns: 250 }

describe('queries give what the model gives', () => {
  test.each([
    ['raw', rawQuery],
    ['grouped', groupedQuery],
  ])('%s', async (_, query) => {
    await fc.assert(
      fc.asyncProperty(
        pieces,
        query,
        fc.constantFrom(1, 3, 8192),
        fc.constantFrom(1, 7, 50, undefined),
        async (pieces, text, batchRows, windowRowsMax) => {
          const database = databaseOf(pieces)
          const plan = planOf(text, database)
          const rows = await run(plan, database, { batchRows, windowRowsMax })
          const expected = runModel(plan, database)
          if (!sameRows(rows, expected)) expect({ text, rows }).toEqual({ text, rows: expected })
        },
      ),
      settings,
    )
  })
})

describe('no rule changes an answer', () => {
  const rules = Object.keys(physicalRules)
  test.each([...rules.map(rule => [rule]), rules])('without %s', async (...disabled) => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.oneof(groupedQuery, rawQuery), async (pieces, text) => {
        const database = databaseOf(pieces)
        const plan = planOf(text, database)
        const [withRules, without] = [await run(plan, database), await run(plan, database, {}, disabled)]
        if (!sameRows(withRules, without)) expect({ text, rows: withRules }).toEqual({ text, rows: without })
      }),
      { numRuns: 60 },
    )
  })
  test('nor do the logical rules', async () => {
    const logical = [
      'time-range',
      'series-predicate',
      'row-predicate',
      'scan-order',
      'scan-limit',
      'top-n',
      'prune-columns',
    ]
    await fc.assert(
      fc.asyncProperty(
        pieces,
        fc.oneof(groupedQuery, rawQuery),
        fc.subarray(logical),
        async (pieces, text, disabled) => {
          const database = databaseOf(pieces)
          const [a, b] = [
            await run(planOf(text, database), database),
            await run(planOf(text, database, disabled), database),
          ]
          if (!sameRows(a, b)) expect({ text, disabled, rows: a }).toEqual({ text, disabled, rows: b })
        },
      ),
      { numRuns: 100 },
    )
  })
})

test('the range of a fill is the query range', async () => {
  const rows = [0, 1, 5].map(at => ({ series: 0, timeUs: at * minute, values: [at, null, null, null] }))
  const database = { catalog: fakeCatalog(fields, tagSets), series: tagSets, pieces: { cpu: [rows] } }
  const text = `select time_bucket(1m, time) t, sum(usage) v from cpu where time >= ${time(60)} and time < ${time(480)} group by t fill(previous)`
  expect((await run(planOf(text, database), database)).map(row => row['v'])).toEqual([1, 1, 1, 1, 5, 5, 5])
})
