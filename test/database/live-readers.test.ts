/** Readers: they are told what changed since they last looked, however long that was, and hold nobody up. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { open } from '../../src/index.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database } from '../../src/types.ts'
import { SeededRandom } from '../simulated/random.ts'
import { type Event, follow, Kept, pulled, quiet, type Row, sorted, until } from './live-support.ts'
import { ingest, rows, startUs, turn } from './support.ts'

async function inMemory(settings: SettingsInput = {}): Promise<Database> {
  const db = await open({ dataDir: ':memory:', ...settings })
  onTestFinished(() => db.close())
  await ingest(db, rows(0, 3))
  return db
}
const all = { history: 'all' } as const
const tail = 'select time, value from cpu'
const minutes = 'select time_bucket(1m, time) as minute, count(*) as n, sum(value) as total from cpu group by minute'

/** Its first event. */
async function first(reader: { poll(): unknown }): Promise<Event> {
  let event = reader.poll()
  while (event === undefined) {
    await turn()
    event = reader.poll()
  }
  return event as Event
}

describe('a slow reader', () => {
  test('finds what it missed as one delta, by key', async () => {
    const db = await inMemory()
    const raw = db.live(tail, [], all).reader()
    const groups = db.live(minutes).reader()
    expect([(await first(raw)).kind, (await first(groups)).kind]).toEqual(['snapshot', 'snapshot'])
    for (let at = 3; at < 23; at += 2) {
      await ingest(db, rows(at, at + 2))
      await quiet(db)
    }
    await ingest(db, [{ ...rows(5, 6)[0]!, value: 500 }])
    await ingest(db, [{ ...rows(1, 2)[0]!, value: 100 }])
    await quiet(db)
    const [delta, ...others] = pulled(raw)
    expect(others).toEqual([])
    expect(delta).toMatchObject({ kind: 'delta', lsn: 13, removed: [], changed: [{ value: 100 }] })
    expect(delta).toHaveProperty('added.length', 20)
    expect(pulled(groups)).toMatchObject([{ kind: 'delta', added: [], changed: [{ n: 23 }] }])
    expect(pulled(raw)).toEqual([])
    expect(raw.columns?.map(({ name }) => name)).toEqual(['time', 'value', 'series_id'])
  })

  test('what came and went is not told', async () => {
    const db = await inMemory()
    const reader = db.live(tail, [], all).reader()
    await first(reader)
    await ingest(db, rows(10, 20))
    await quiet(db)
    await db.query('delete from cpu where time >= ? and time < ?', [at(5), at(30)]).all()
    await quiet(db)
    expect(pulled(reader)).toEqual([])
    await db.query('delete from cpu where time >= ? and time < ?', [at(0), at(1)]).all()
    await ingest(db, [{ ...rows(0, 1)[0]!, value: 7 }])
    await quiet(db)
    expect(pulled(reader)).toMatchObject([{ added: [], changed: [{ value: 7 }], removed: [] }])
  })

  test('of what came and went it hears how far that was', async () => {
    const db = await inMemory({ live: { progressMs: 10 } })
    const reader = db.live(tail, [], all).reader()
    await first(reader)
    await ingest(db, rows(10, 20))
    await quiet(db)
    await db.query('delete from cpu where time >= ? and time < ?', [at(5), at(30)]).all()
    await quiet(db)
    expect(await first(reader)).toMatchObject({ kind: 'progress', lsn: 3 })
  })

  test('beyond what is kept it is told so, and gets a snapshot when it asks', async () => {
    const db = await inMemory({ live: { changesMax: 20 } })
    const reader = db.live(tail, [], all).reader()
    const fast = follow(db.live(tail, [], all))
    await first(reader)
    await until(() => fast.events.length === 1)
    for (let from = 3; from < 33; from += 10) {
      await ingest(db, rows(from, from + 10))
      await quiet(db)
    }
    expect(fast.rows()).toHaveLength(33)
    expect(reader.poll()).toMatchObject({ kind: 'lagged', reason: 'lagged', lsn: 4 })
    expect(await first(reader)).toMatchObject({ kind: 'snapshot', reason: 'lagged', lsn: 4 })
    expect(db.stats().live).toMatchObject({ lagged: 1, queries: 1 })
    await ingest(db, rows(33, 34))
    await quiet(db)
    expect(pulled(reader)).toMatchObject([{ kind: 'delta', added: [{ value: 33 }] }])
    expect(fast.of('lagged')).toEqual([])
  })

  test('where nothing is kept, those who are there still get everything', async () => {
    const db = await inMemory({ live: { changesMax: 0 } })
    const pushed = follow(db.live(tail, [], all))
    const reader = db.live(tail, [], all).reader()
    const waiting = new Kept()
    const read = (async () => {
      for await (const event of reader) {
        waiting.take(event as Event)
        if (waiting.rows().length === 8) break
      }
    })()
    await until(() => pushed.events.length === 1 && waiting.events.length === 1)
    for (let from = 3; from < 8; from++) {
      await ingest(db, rows(from, from + 1))
      await quiet(db)
    }
    await read
    expect(pushed.rows()).toHaveLength(8)
    expect([...pushed.of('lagged'), ...waiting.of('lagged')]).toEqual([])
    expect(db.stats().live.subscriptions).toBe(1)
  })

  test('that never looks again holds up nobody', async () => {
    const db = await inMemory({ live: { changesMax: 100 } })
    const stuck = Array.from({ length: 20 }, (_, i) => db.live(i % 2 === 0 ? tail : minutes).reader())
    for (const reader of stuck) await first(reader)
    const fast = follow(db.live(minutes))
    await until(() => fast.events.length === 1)
    for (let from = 3; from < 5003; from += 100) await ingest(db, rows(from, from + 100))
    await quiet(db)
    expect(fast.rows().reduce((sum, row) => sum + (row['n'] as number), 0)).toBe(5003)
    const { live, ingest: writers } = db.stats()
    expect(live).toMatchObject({ pendingBytes: 0, behindLsns: 0, subscriptions: 21 })
    expect(writers).toMatchObject({ waiting: 0, inFlightBytes: 0 })
    for (const reader of stuck) reader.close()
    expect(db.stats().live).toMatchObject({ subscriptions: 1, queries: 1 })
  })
})

describe('pulling', () => {
  test('calls of next are answered in order; return ends them all', async () => {
    const db = await inMemory()
    const reader = db.live(tail, [], all).reader()
    const calls = Array.from({ length: 3 }, () => reader.next())
    await ingest(db, rows(3, 4))
    expect((await calls[0]!).value).toMatchObject({ kind: 'snapshot' })
    await quiet(db)
    await reader.return!()
    const rest = await Promise.all([...calls.slice(1), reader.next()])
    expect(rest.at(-1)).toEqual({ value: undefined, done: true })
    expect(reader.poll()).toBeUndefined()
    expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0 })
    reader.close()
  })

  test('leaving a loop ends the subscription', async () => {
    const db = await inMemory()
    for await (const event of db.live(tail, [], all)) {
      expect(event.kind).toBe('snapshot')
      break
    }
    expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0 })
  })

  test('errors are thrown once, by poll and by next', async () => {
    const db = await inMemory()
    const polled = db.live('select nope from cpu').reader()
    const awaited = db.live('select nope from cpu').reader()
    await expect(awaited.next()).rejects.toMatchObject({ code: 'unknown_field' })
    expect(await awaited.next()).toEqual({ value: undefined, done: true })
    expect(() => polled.poll()).toThrow(expect.objectContaining({ code: 'unknown_field' }))
    expect(polled.poll()).toBeUndefined()
  })
})

test('readers that look at random moments have what the query says', { timeout: 30_000 }, async () => {
  const seed = 20260101
  const random = new SeededRandom(seed)
  const db = await inMemory({ live: { changesMax: 60 }, compaction: { enabled: false } })
  const texts = [
    tail,
    minutes,
    'select time, value from cpu order by time desc limit 5',
    'select distinct value from cpu',
    'select time, value, lag(value) as before from cpu',
  ]
  const readers = texts.flatMap(text =>
    [0, 1].map(() => ({ text, reader: db.live(text, [], all).reader(), kept: new Kept() })),
  )
  let next = 3
  for (let step = 0; step < 120; step++) {
    const dice = random.below(10)
    if (dice < 6) {
      const count = 1 + random.below(10)
      await ingest(db, rows(next, next + count))
      next += count
    } else if (dice < 8) {
      const late = random.below(next)
      await ingest(db, [{ ...rows(late, late + 1)[0]!, value: random.below(5) }])
    } else if (dice < 9) {
      const from = random.below(next)
      await db.query('delete from cpu where time >= ? and time < ?', [at(from), at(from + 1 + random.below(5))]).all()
    } else await db.flush()
    for (const { reader, kept } of readers)
      if (random.below(6) === 0) for (const event of pulled(reader)) kept.take(event)
    if (random.below(3) === 0) await turn()
  }
  await quiet(db)
  for (const { text, reader, kept } of readers) {
    await until(() => {
      for (const event of pulled(reader)) kept.take(event)
      return kept.events.length > 0 && kept.events.at(-1)!.kind !== 'lagged'
    })
    const { columns, rows: expected } = await db.query<Row>(text).all()
    expect(kept.rows(columns.map(({ name }) => name)), `seed ${seed}: ${text}`).toEqual(sorted(expected))
  }
})

const at = (second: number): Date => new Date(startUs / 1000 + second * 1000)
