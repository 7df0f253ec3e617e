/** What live queries hold, and that they let go of it. */
import type { Subscription } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { open } from '../../src/index.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database } from '../../src/types.ts'
import { type Follower, follow, quiet, type Row, sorted, until } from './live-support.ts'
import { ingest, rows, startUs, turn } from './support.ts'

const MiB = 2 ** 20
async function opened(settings: SettingsInput = {}): Promise<Database> {
  const db = await open({ dataDir: 'data', ...settings }, { files: memoryFiles() })
  onTestFinished(() => db.close())
  await ingest(db, rows(0, 3))
  return db
}
const all = { history: 'all' } as const
const tail = 'select time, value from cpu'
const minutes = 'select time_bucket(1m, time) as minute, count(*) as n, sum(value) as total from cpu group by minute'

async function expectSame(db: Database, follower: Follower, text: string): Promise<void> {
  const { columns, rows: expected } = await db.query<Row>(text).all()
  expect(follower.rows(columns.map(({ name }) => name))).toEqual(sorted(expected))
}

test('100,000 subscriptions leave nothing behind', { timeout: 60_000 }, async () => {
  const db = await opened({ live: { subscriptionsMax: 100_000 } })
  const held = () => {
    const { live, memory, versions } = db.stats()
    const { subscriptions, queries, bytes, pendingBytes } = live
    const { backlog, live: kept, queries: running } = memory.parts
    return [subscriptions, queries, bytes, pendingBytes, backlog.bytes, kept.bytes, running.bytes, versions.pins]
  }
  const before = held()
  expect(before).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  let snapshots = 0
  let deltas = 0
  const subscribe = (text: string, params: number[]): Subscription =>
    db.live(text, params, all).subscribe(({ kind }) => (kind === 'snapshot' ? snapshots++ : deltas++))
  const subscriptions: Subscription[] = []
  for (let i = 0; i < 60_000; i++) subscriptions.push(subscribe(minutes, []))
  for (let i = 0; i < 20_000; i++) subscriptions.push(subscribe(`${tail} where value >= ?`, [i % 100]))
  await until(() => snapshots === 80_000)
  expect(db.stats().live).toMatchObject({ subscriptions: 80_000, queries: 101 })
  await ingest(db, rows(3, 4))
  await until(() => deltas >= 60_000)
  await quiet(db)
  expect(db.stats().live.steps).toBe(101)
  for (const subscription of subscriptions.splice(0)) subscription.unsubscribe()
  expect(held()).toEqual(before)
  // distinct ones, most of which are gone before a round has looked at them
  for (let i = 0; i < 20_000; i++) {
    const subscription = subscribe(`${tail} where value > ?`, [i])
    if (i % 40 === 0) await turn()
    subscription.unsubscribe()
  }
  await turn()
  expect(held()).toEqual(before)
})

describe('versions', () => {
  test('idle live queries keep no files that were merged, and no memtable that was flushed', async () => {
    const db = await opened({ compaction: { enabled: false } })
    const followers = [
      follow(db.live(tail, [], all)),
      follow(db.live(minutes)),
      follow(db.live(`${minutes} order by n limit 1`)),
    ]
    await until(() => followers.every(({ events }) => events.length === 1))
    for (let from = 3; from < 40; from += 10) {
      await ingest(db, rows(from, from + 10))
      await quiet(db)
      await db.flush()
      await until(() => db.stats().memory.parts.pinned.bytes === 0)
    }
    await db.ingest([{ series: 'disk', value: 1 }])
    const { merges } = await db.compact()
    expect(merges).toBeGreaterThan(0)
    await until(() => db.stats().versions.filesWaiting === 0)
    expect(db.stats().live.lagged).toBe(0)
    await ingest(db, rows(60, 61))
    await quiet(db)
    await expectSame(db, followers[0]!, tail)
    await expectSame(db, followers[1]!, minutes)
  })
})

test('a snapshot that nobody takes is in the account, until who asked for it is gone', async () => {
  const db = await opened()
  await ingest(db, rows(3, 5000))
  const readers = Array.from({ length: 3 }, () => db.live(tail, [], all).reader())
  await until(() => db.stats().memory.parts.queries.bytes > 5000 * 48)
  readers[0]!.close()
  expect(await readers[1]!.next()).toMatchObject({ value: { kind: 'snapshot' } })
  expect(db.stats().memory.parts.queries.bytes).toBeGreaterThan(0)
  readers[2]!.close()
  expect(db.stats().memory.parts.queries.bytes).toBe(0)
  readers[1]!.close()
})

describe('limits', () => {
  test('a query that is too far behind begins anew, and says so', async () => {
    const db = await opened({ live: { pendingMaxBytes: MiB } })
    const follower = follow(db.live(minutes))
    await until(() => follower.events.length === 1)
    const { pendingMaxBytes } = db.stats().live
    const writes = Array.from({ length: 4 }, (_, i) => ingest(db, rows(3 + i * 30_000, 3 + (i + 1) * 30_000)))
    await Promise.all(writes)
    await until(() => follower.of('snapshot').length === 2)
    await quiet(db)
    expect(follower.of('lagged')).toMatchObject([{ reason: 'lagged' }])
    expect(db.stats().live.pendingBytes).toBe(0)
    expect(pendingMaxBytes).toBe(MiB)
    await expectSame(db, follower, minutes)
  })

  test('states give way to other memory, and are made again', async () => {
    const db = await opened({
      memLimitBytes: 16 * MiB,
      memtableMaxBytes: 2 * MiB,
      ingest: { inFlightMaxBytes: MiB },
      compaction: { enabled: false },
    })
    const hosts = (from: number, to: number, ts: number) =>
      Array.from({ length: to - from }, (_, i) => ({
        series: 'cpu',
        ts: startUs + ts * 1e6,
        value: i,
        tags: { host: `h${from + i}` },
      }))
    const text =
      'select tag.host as host, count(*) as n, max(value) as most, avg(value) as mean from cpu where value >= ? group by host'
    const followers = Array.from({ length: 5 }, (_, i) => ({ i, follower: follow(db.live(text, [-i])) }))
    await until(() => followers.every(({ follower }) => follower.events.length === 1))
    for (let round = 1; round <= 2; round++) {
      for (let from = 0; from < 12_000; from += 3000) await ingest(db, hosts(from, from + 3000, round))
      await quiet(db)
      const { live } = db.stats().memory.parts
      expect(live.bytes).toBeLessThanOrEqual(live.maxBytes!)
    }
    expect(db.stats().memory.parts.live.peakBytes).toBeGreaterThan(0)
    for (const { i, follower } of followers) {
      expect(follower.error).toBeUndefined()
      const { columns, rows: expected } = await db.query<Row>(text, [-i]).all()
      expect(follower.rows(columns.map(({ name }) => name))).toEqual(sorted(expected))
    }
  })
})
