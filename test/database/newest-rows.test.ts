/** The newest rows are found without reading many more, and are the same however few are read at first. */
import { expect, test } from 'vitest'
import { open } from '../../src/index.ts'
import { ingest, rows } from './support.ts'

const hosts = Array.from({ length: 40 }, (_, i) => `host_${String(i).padStart(2, '0')}`)

async function database() {
  const db = await open(':memory:')
  // each series ends a little earlier than the one before; the last has only old rows
  for (const [i, host] of hosts.entries()) await ingest(db, rows(0, i === hosts.length - 1 ? 50 : 3000 - i, host))
  return db
}

test.each([false, true])('flushed: %s', async isFlushed => {
  await using db = await database()
  if (isFlushed) await db.flush()
  const all = (
    await db.query<{ time: number; host: string; value: number }>('select time, tag.host as host, value from cpu').all()
  ).rows
  all.sort((a, b) => b.time - a.time || (a.host < b.host ? -1 : 1))
  for (const limit of [1, 7, 10, 150, 3000]) {
    const sorted = await db
      .query(`select time, tag.host as host, value from cpu order by time desc, tag.host limit ${limit}`)
      .all()
    expect(sorted.rows).toEqual(all.slice(0, limit))
    const byTime = await db
      .query(`select time, tag.host as host, value from cpu order by time desc limit ${limit}`)
      .all()
    expect(byTime.rows).toEqual(all.slice(0, limit))
    const rare = await db
      .query(`select time, tag.host as host, value from cpu where value < 3 order by time desc limit ${limit}`)
      .all()
    expect(rare.rows).toEqual(all.filter(({ value }) => value < 3).slice(0, limit))
    const ofEach = await db
      .query(`select time, tag.host as host, value from cpu order by time desc limit ${limit} per series`)
      .all()
    const taken = new Map<string, number>()
    const wanted = all.filter(({ host }) => {
      taken.set(host, (taken.get(host) ?? 0) + 1)
      return taken.get(host)! <= limit
    })
    expect(ofEach.rows).toEqual(wanted)
    if (limit <= 10) {
      expect(sorted.stats.rows_scanned).toBeLessThan(2000)
      expect(byTime.stats.rows_scanned).toBeLessThan(2000)
    }
  }
})
