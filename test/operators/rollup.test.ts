/** When rollups answer, of which widths, and when rows are read after all. */
import { describe, expect, test } from 'vitest'
import type { ExecutionContext } from '../../src/operators/operator.ts'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import { type FakeDatabase, type FakeRow, fakeCatalog } from './fake-database.ts'
import { versionWithRollups } from './fake-rollups.ts'
import { planOf, run, sameRows } from './support.ts'

const minuteUs = 60e6
const hourUs = 60 * minuteUs
const dayUs = 24 * hourUs

function databaseOf(seriesCount: number, rowsPerSeries: number, stepUs: number): FakeDatabase {
  const series = Array.from({ length: seriesCount }, (_, i) => ({ metric: 'cpu', tags: { host: `h${i}` } }))
  const rows = series.flatMap((_, i) =>
    Array.from({ length: rowsPerSeries }, (_, row): FakeRow => {
      const value = ((row * 7 + i) % 64) / 4
      return { series: i, timeUs: row * stepUs, values: [value, row, row % 3 === 0 ? 'ok' : null] }
    }),
  )
  const catalog = fakeCatalog({ cpu: { v: 'float', n: 'integer', s: 'string' } }, series)
  return { catalog, series, pieces: { cpu: [rows] } }
}

/** The widths of buckets that were read, in minutes, with how many; answers are those of rows. */
async function used(
  text: string,
  database: FakeDatabase,
  widthsUs: readonly number[] = [minuteUs, hourUs, dayUs],
  context: Partial<ExecutionContext> = {},
): Promise<Record<string, number>> {
  const read = newReadStatistics()
  const plan = planOf(text, database)
  const rows = await run(plan, database, { ...context, version: versionWithRollups(database, widthsUs), read })
  const wanted = await run(plan, database, context)
  expect(sameRows(rows, wanted)).toBe(true)
  return Object.fromEntries([...(read.rollups ?? [])].map(([widthUs, count]) => [widthUs / minuteUs, count]))
}

describe('rollups', () => {
  const database = databaseOf(3, 1000, 5 * minuteUs)

  test.each([
    ['select count(*) from cpu', {}],
    ['select tag.host, avg(v), count(s) from cpu group by tag.host', { 1440: 12 }],
    ['select time_bucket(1d, time) t, avg(v) from cpu group by t', { 1440: 12 }],
    ['select time_bucket(12h, time) t, first(v), last(n) from cpu group by t', { 60: 252 }],
    ['select time_bucket(90m, time) t, max(v) - min(v) x from cpu group by t', { 1: 3000 }],
    ['select time_bucket(1w, time) t, spread(v) from cpu group by t', { 1440: 12 }],
    ['select time_bucket(1mo, time) t, sum(n) from cpu group by t', { 1440: 12 }],
    ["select time_bucket(1d, time, 'Europe/Amsterdam') t, sum(v) from cpu group by t", { 60: 252 }],
    ["select time_bucket(1d, time, 'Asia/Kathmandu') t, sum(v) from cpu group by t", { 1: 3000 }],
    ["select time_bucket(1h, time, '1970-01-01T00:20:00Z') t, sum(v) from cpu group by t", { 1: 3000 }],
    ["select sum(v), count(s) from cpu where tag.host = 'h1'", { 1440: 4 }],
    [
      "select sum(v), count(s) from cpu where time >= '1970-01-01T22:58:00Z' and time < '1970-01-03T00:00:00Z'",
      { 1440: 3, 60: 3 },
    ],
  ])('%s', async (text, wanted) => {
    expect(await used(text, database)).toEqual(wanted)
  })

  test.each([
    'select sum(v) from cpu where v > 1',
    'select sum(v + 1) from cpu',
    'select median(v) from cpu',
    'select count(distinct v) from cpu',
    'select max(s) from cpu',
    'select last(s) from cpu',
    'select rate(v) from cpu',
    'select stddev(v), count(*) from cpu',
    'select max(time), sum(v) from cpu',
    'select n, count(*) from cpu group by n',
    'select time_bucket(30s, time) t, sum(v) from cpu group by t',
    'select tag.host, last(v) from cpu group by tag.host',
    'select sum(v) from (select v from cpu limit 10) q',
    'select time, v from cpu',
  ])('not for %s', async text => {
    expect(await used(text, database)).toEqual({})
  })

  test('rows that other pieces overlap are read, with the buckets around them', async () => {
    const late: FakeRow = { series: 1, timeUs: 100 * hourUs - 1, values: [5, null, null] }
    const [rows] = database.pieces['cpu']!
    const twoPieces = { ...database, pieces: { cpu: [rows!.filter(row => row.timeUs < 70 * hourUs), [late]] } }
    expect(await used('select sum(v), count(s) from cpu', twoPieces, [hourUs])).toEqual({ 60: 211 })
    const overlapping = { ...database, pieces: { cpu: [rows!, [{ ...late, timeUs: 50 * hourUs }]] } }
    expect(await used('select sum(v), count(s) from cpu', overlapping, [hourUs])).toEqual({ 60: 249 })
  })

  test('groups that memory does not hold come from rows, which can go to files', async () => {
    const many = databaseOf(1500, 4, minuteUs)
    const text = 'select series, sum(v) from cpu group by series'
    expect(await used(text, many, [hourUs])).toEqual({ 60: 1500 })
    expect(await used(text, many, [hourUs], { memoryMaxBytes: 1.4 * 2 ** 20 })).toEqual({})
  })

  test('groups of buckets leave as slabs of time come', async () => {
    const long = databaseOf(7, 12_000, minuteUs)
    const text = 'select time_bucket(1m, time) t, series, sum(v) from cpu group by t, series'
    expect(await used(text, long, [minuteUs], { memoryMaxBytes: 96 * 2 ** 20 })).toEqual({ 1: 84_000 })
  })
})
