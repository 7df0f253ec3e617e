/** What each function gives, worked out by hand: (call, value), by database. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, open } from '../../src/index.ts'
import { functions } from '../../src/sydraql/functions.ts'

let db: Database
beforeAll(async () => {
  db = await open(':memory:')
  // A series a: v 4, 1, null, 8, 2 at seconds 0, 10, 20, 30, 60; k and s beside them; a counter c that begins again.
  const row = (second: number, fields: object, host = 'a') => ({
    series: 'm',
    ts: second * 1e6,
    tags: { host },
    fields: { ...fields },
  })
  const rows = [
    row(0, { v: 4, k: 1, s: 'x', c: 10 }),
    row(10, { v: 1, k: 3, s: 'y', c: 30 }),
    row(20, { k: 2, s: 'y' }),
    row(30, { v: 8, k: 2, c: 5 }),
    row(60, { v: 2, k: 0, s: 'z', c: 15 }),
  ]
  const { failure } = await db.ingest(rows, { precision: 'us' })
  if (failure !== undefined) throw failure
})
afterAll(async () => {
  await db.close()
})

type Value = number | string | boolean | null
const close = (value: number) => expect.closeTo(value, 12)
const seconds = (count: number) => count * 1e6

const scalars: readonly (readonly [string, unknown])[] = [
  ['abs(-3.5)', 3.5],
  ['ceil(1.2)', 2],
  ['ceil(-1.2)', -1],
  ['floor(1.8)', 1],
  ['floor(-1.2)', -2],
  ['round(2.5)', 3],
  ['round(-2.5)', -3],
  ['round(1.005, 2)', 1.01],
  ['round(1250, -2)', 1300],
  ['trunc(-1.9)', -1],
  ['sign(-7)', -1],
  ['sqrt(9)', 3],
  ['sqrt(-1)', null],
  ['cbrt(27)', 3],
  ['exp(0)', 1],
  ['ln(exp(2))', close(2)],
  ['ln(0)', null],
  ['log10(1000)', close(3)],
  ['log2(8)', 3],
  ['log(100)', 2],
  ['pow(2, 10)', 1024],
  ['least(3, 1, null)', 1],
  ['greatest(3, 1, null)', 3],
  ['clamp(12, 0, 10)', 10],
  ['clamp(-2, 0, 10)', 0],
  ['sin(0)', 0],
  ['cos(0)', 1],
  ['tan(0)', 0],
  ['asin(1)', close(Math.PI / 2)],
  ['acos(1)', 0],
  ['acos(2)', null],
  ['atan(1)', close(Math.PI / 4)],
  ['atan2(1, 1)', close(Math.PI / 4)],
  ['pi()', Math.PI],
  ['radians(180)', close(Math.PI)],
  ['degrees(pi())', close(180)],
  ["lower('ÄB')", 'äb'],
  ["upper('äb')", 'ÄB'],
  ["length('a😀')", 2],
  ["concat('a', null, 1)", 'a1'],
  ["substring('abcdef', 2, 3)", 'bcd'],
  ["substring('abcdef', 5)", 'ef'],
  ["trim('  a b ')", 'a b'],
  ["replace('banana', 'an', 'o')", 'booa'],
  ["split_part('a-b-c', '-', 2)", 'b'],
  ["split_part('a-b-c', '-', -1)", 'c'],
  ["starts_with('web-1', 'web')", true],
  ["regexp_extract('id=42;', '[0-9]+')", '42'],
  ["time_bucket(5m, '2024-03-01T00:07:30Z'::timestamp)", Date.UTC(2024, 2, 1, 0, 5) * 1000],
  ["date_trunc('month', '2024-03-17T05:00:00Z'::timestamp)", Date.UTC(2024, 2, 1) * 1000],
  ["extract(dow from '2024-03-17T05:00:00Z'::timestamp)", 0],
  ["extract(week from '2024-12-30'::timestamp)", 1],
  ['to_timestamp(1.5)', 1_500_000],
  ["epoch_ms('1970-01-01T00:00:01.5Z'::timestamp)", 1500],
  ['coalesce(null, 2, 3)', 2],
  ['nullif(2, 2)', null],
  ['nullif(2, 3)', 2],
  // operators
  ['true or null', true],
  ['false and null', false],
  ['not true', false],
  ['1 = 1.0', true],
  ["'a' != 'b'", true],
  ['1 < 2', true],
  ['2 <= 2', true],
  ['2 > 3', false],
  ['3 >= 3', true],
  ['null is null', true],
  ['3 in (1, 3)', true],
  ['3 in (1, null)', null],
  ["'web-1' like 'web-_'", true],
  ["'WEB' ilike 'w%'", true],
  ["'web-12' =~ /\\d+$/", true],
  ['1 + 2', 3],
  ["'2024-01-02'::timestamp - '2024-01-01'::timestamp", seconds(86_400)],
  ['6 * 7', 42],
  ['7 / 2', 3.5],
  ['1 / 0', null],
  ['-7 % 3', -1],
  ['mod(7, 4)', 3],
  ['-(3)', -3],
  ["'1.5'::float", 1.5],
  ['2.5::integer', 3],
  ["'yes'::boolean", true],
  ['1.5::string', '1.5'],
  ["'1970-01-01T00:00:02Z'::timestamp", seconds(2)],
  ["'5m'::duration", seconds(300)],
]

// Pairs of v: (4, 1) 10 s, (1, 8) 20 s, (8, 2) 30 s. Of c: (10, 30) 10 s, (30, 5) 20 s a reset, (5, 15) 30 s.
const aggregates: readonly (readonly [string, unknown])[] = [
  ['count(*)', 5],
  ['count(v)', 4],
  ['count(distinct k)', 4],
  ['sum(v)', 15],
  ['avg(v)', 3.75],
  ['min(v)', 1],
  ['max(s)', 'z'],
  ['first(v)', 4],
  ['last(v)', 2],
  ['spread(v)', 7],
  ['variance(v)', close(28.75 / 3)],
  ['stddev(v)', close(Math.sqrt(28.75 / 3))],
  ['median(v)', 3],
  ['percentile(v, 0.25)', 1.75],
  ['percentile(v, 1)', 8],
  // The representatives of [8, 8.125) and [2, 2.03125).
  ['approx_percentile(v, 1)', close((2 * 8 * 8.125) / 16.125)],
  ['approx_percentile(v, 0.5)', close((2 * 2 * 2.03125) / 4.03125)],
  ['approx_count_distinct(k)', 4],
  ['mode(s)', 'y'],
  ['mode(v)', 1],
  ['min_by(v, k)', 2],
  ['max_by(s, v)', null],
  ['max_by(v, k)', 1],
  ['min_by(k, s)', 1],
  ['increase(c)', 20 + 5 + 10],
  ['rate(c)', close(35 / 60)],
  ['irate(c)', close(10 / 30)],
  ['delta(v)', -2],
  ['derivative(v)', close(-2 / 60)],
  ['integral(v)', 25 + 90 + 150],
  ['time_weighted_avg(v)', close(265 / 60)],
]

const rowFunctions: readonly (readonly [string, readonly unknown[]])[] = [
  ['lag(v)', [null, 4, 1, null, 8]],
  ['lag(v, 2)', [null, null, 4, 1, null]],
  ['lead(v)', [1, null, 8, 2, null]],
  ['difference(v)', [null, -3, null, 7, -6]],
  ['difference(time)', [null, seconds(10), seconds(10), seconds(10), seconds(30)]],
  ['cumulative_sum(v)', [4, 5, 5, 13, 15]],
  ['row_number()', [1, 2, 3, 4, 5]],
  ['fill_forward(v)', [4, 1, 1, 8, 2]],
  ['moving_avg(v, 2)', [4, 2.5, 1, 8, 5]],
  ['moving_avg(v, 21s)', [4, 2.5, 2.5, 4.5, 2]],
  // Weights: 1 - 0.5^(10/10) = 0.5, 1 - 0.5^2 = 0.75, 1 - 0.5^3 = 0.875.
  ['ema(v, 10s, 0.5)', [4, 2.5, 2.5, close(6.625), close(2.578125)]],
]

const called = (call: string): string | undefined => /^\w+/.exec(call)?.[0]

describe('values', () => {
  test.each(scalars)('%s', async (call, value) => {
    const { rows } = await db.query(`select ${call} as result`).all()
    expect(rows[0]!['result'] as Value).toEqual(value)
  })
  test.each(aggregates)('%s', async (call, value) => {
    const { rows } = await db.query(`select ${call} as result from m`).all()
    expect(rows[0]!['result'] as Value).toEqual(value)
  })
  test.each(rowFunctions)('%s', async (call, values) => {
    const { rows } = await db.query(`select ${call} as result from m`).all()
    expect(rows.map(row => row['result'] as Value)).toEqual(values)
  })
  test('histogram(v, 0, 10, 5)', async () => {
    const { rows } = await db.query('select histogram(v, 0, 10, 5) from m').all()
    expect(rows.map(row => [row['bucket'], row['count']])).toEqual([
      [0, 1],
      [2, 1],
      [4, 1],
      [6, 0],
      [8, 1],
    ])
  })
  test('every function that computes has a value here', () => {
    const known = new Set([...scalars, ...aggregates, ...rowFunctions].map(([call]) => called(call)))
    const missing = functions
      .filter(info => info.kind !== 'operator' && info.name !== 'now' && info.name !== 'histogram')
      .filter(info => !known.has(info.name))
    expect(missing.map(info => info.name)).toEqual([])
  })
})
