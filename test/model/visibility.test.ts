/** What a query sees: every row acknowledged before it began and none after, whatever is written or flushed while it streams. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Database, open, type RowObject } from '../../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'sydradb-visibility-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directories = 0

const rowsPerSeries = 6000
const rowAt = (host: string, second: number, value: number): RowObject => ({
  series: 'm',
  ts: 1_700_000_000 + second,
  tags: { host },
  fields: { v: value },
})
function* series(host: string, from = 0, to = rowsPerSeries, value = 1): Generator<RowObject> {
  for (let second = from; second < to; second++) yield rowAt(host, second, value)
}

type Layout = 'memory' | 'memtable' | 'flushed' | 'half flushed'
async function database(layout: Layout): Promise<Database> {
  const dataDir = layout === 'memory' ? ':memory:' : join(root, String(directories++))
  const db = await open({ dataDir, fsync: 'none', flushIntervalMs: 0 })
  await db.ingest(series('a'), { precision: 's' })
  if (layout === 'half flushed') await db.flush()
  await db.ingest(series('b'), { precision: 's' })
  if (layout === 'flushed') await db.flush()
  return db
}

const queries = [
  'select time, tag.host, v from m',
  'select time, tag.host, v from m order by time desc',
  'select time, tag.host, v from m order by series, time',
  'select time, tag.host, v from m where v >= 0',
  'select time_bucket(1s, time) as t, tag.host, sum(v) as v from m group by t, tag.host',
]

describe.each(['memory', 'memtable', 'flushed', 'half flushed'] as const)('%s', layout => {
  test.each(queries)('%s', { timeout: 60_000 }, async query => {
    await using db = await database(layout)
    const before = await db.query(query).all()
    expect(before.rows).toHaveLength(2 * rowsPerSeries)

    const rows: unknown[] = []
    let disturbances = 0
    for await (const row of db.query(query)) {
      rows.push(row)
      if (rows.length % 3500 !== 1 || disturbances === 4) continue
      // New rows, rows over old ones, a series that prints first, a field and a tag that nothing had; then a flush.
      const n = ++disturbances
      await db.ingest(series('a', 0, rowsPerSeries + 100, -n), { precision: 's' })
      await db.ingest(series('0', 0, 300 * n), { precision: 's' })
      await db.ingest([{ ...rowAt('b', 0, -n), tags: { host: 'b', dc: `x${n}` }, fields: { [`new${n}`]: 1, v: -n } }], {
        precision: 's',
      })
      await db.flush()
    }
    expect(disturbances).toBeGreaterThan(2)
    expect(rows).toEqual(before.rows)

    const after = await db.query('select count(*) as n, min(v) as low from m').all()
    const added = 100 + 300 * disturbances + disturbances
    expect(after.rows).toEqual([{ n: 2 * rowsPerSeries + added, low: -disturbances }])
  })
})

test('what was acknowledged is seen at once, and a prepared query sees new columns', async () => {
  await using db = await open({ dataDir: ':memory:' })
  await db.ingest([rowAt('a', 0, 1)], { precision: 's' })
  const statement = db.prepare('select * from m')
  expect((await statement.query().all()).columns.map(column => column.name)).toEqual(['time', 'tag.host', 'v'])
  for (let i = 1; i <= 50; i++) {
    await db.ingest([rowAt('a', i, i)], { precision: 's' })
    expect(await db.query('select count(*) as n, last(v) as v from m').all()).toMatchObject({
      rows: [{ n: i + 1, v: i }],
    })
  }
  await db.ingest([{ series: 'm', ts: 1_700_000_100, tags: { dc: 'x' }, fields: { w: 1 } }], { precision: 's' })
  const { columns, rows } = await statement.query().all()
  expect(columns.map(column => column.name)).toEqual(['time', 'tag.dc', 'tag.host', 'v', 'w'])
  expect(rows.at(-1)).toMatchObject({ 'tag.dc': 'x', 'tag.host': null, v: null, w: 1 })
})

test('by_id reads one series, wherever its rows lie', async () => {
  await using db = await database('half flushed')
  const { rows } = await db.query<{ series_id: string }>(`show series where series = 'm{host="b"}'`).all()
  const id = rows[0]!.series_id
  expect(await db.query(`select count(*) as n, min(tag.host) as h from by_id('${id}')`).all()).toMatchObject({
    rows: [{ n: rowsPerSeries, h: 'b' }],
  })
  expect(await db.query('select count(*) as n from m where series_id = ?', [id]).all()).toMatchObject({
    rows: [{ n: rowsPerSeries }],
  })
})

test.each(['memory', 'memtable', 'flushed', 'half flushed'] as const)(
  'rows scanned are counted once: %s',
  async layout => {
    await using db = await database(layout)
    for (const query of [
      ...queries,
      'select v from m order by v',
      'select tag.host, median(v) from m group by tag.host',
    ]) {
      const { stats } = await db.query(query).all()
      expect([query, stats.rows_scanned]).toEqual([query, 2 * rowsPerSeries])
    }
    const { stats } = await db.query(`select v from m where tag.host = 'a'`).all()
    expect(stats.rows_scanned).toBe(rowsPerSeries)
  },
)
