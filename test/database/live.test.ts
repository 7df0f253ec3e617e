/** Live queries as a program sees them: what is told, when, and what ends it. */
import { config, type Observable, take } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { open } from '../../src/index.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, RowObject } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { type Event, type Follower, follow, Kept, quiet, type Row, sorted, until } from './live-support.ts'
import { ingest, openOn, rows, settled, startUs, turn } from './support.ts'

async function inMemory(settings: SettingsInput = {}): Promise<Database> {
  const db = await open({ dataDir: ':memory:', ...settings })
  onTestFinished(() => db.close())
  await db.ingest(rows(0, 3), { precision: 'us' })
  return db
}
const all = { history: 'all' } as const
const tail = 'select time, value from cpu'
const minutes = 'select time_bucket(1m, time) as minute, count(*) as n, sum(value) as total from cpu group by minute'

/** That the follower has what the query says. */
async function expectSame(db: Database, follower: Kept, text: string): Promise<void> {
  const { columns, rows: expected } = await db.query<Row>(text).all()
  expect(follower.rows(columns.map(({ name }) => name))).toEqual(sorted(expected))
}

describe('events', () => {
  test('a snapshot, then a delta for what was committed', async () => {
    const db = await inMemory()
    const follower = follow(db.live(tail, [], all))
    await until(() => follower.events.length === 1)
    expect(follower.events[0]).toMatchObject({
      kind: 'snapshot',
      lsn: 1,
      strategy: 'tail',
      reason: undefined,
      columns: [
        { name: 'time', type: 'timestamp', key: true, hidden: false },
        { name: 'value', type: 'float', key: false, hidden: false },
        { name: 'series_id', type: 'string', key: true, hidden: true },
      ],
    })
    expect(follower.of('snapshot')[0]!.rows.map(row => row['value'])).toEqual([0, 1, 2])
    await ingest(db, rows(3, 5))
    await until(() => follower.events.length === 2)
    const [delta] = follower.of('delta')
    expect(delta).toMatchObject({ lsn: 2, changed: [], removed: [] })
    expect(delta!.added.map(row => row['value'])).toEqual([3, 4])
    expect(delta!.id).not.toBe(follower.of('snapshot')[0]!.id)
  })

  test('late rows, duplicates and deletes change, add and remove rows by key', async () => {
    const db = await inMemory()
    const follower = follow(db.live(tail, [], all))
    const groups = follow(db.live(minutes))
    await until(() => follower.events.length === 1 && groups.events.length === 1)
    await ingest(db, [{ ...rows(1, 2)[0]!, value: 10 }, ...rows(200, 201), ...rows(100, 101)])
    await quiet(db)
    await expectSame(db, follower, tail)
    await expectSame(db, groups, minutes)
    expect(follower.of('delta').flatMap(({ changed }) => changed.map(row => row['value']))).toEqual([10])
    await db
      .query('delete from cpu where time >= ? and time < ?', [
        new Date(startUs / 1000),
        new Date(startUs / 1000 + 50_000),
      ])
      .all()
    await quiet(db)
    await expectSame(db, follower, tail)
    await expectSame(db, groups, minutes)
    expect(follower.of('delta').flatMap(({ removed }) => removed)).toHaveLength(3)
  })

  test('of rows there is no history unless it is asked for; a range has its rows in any case', async () => {
    const machine = new SimulatedMachine()
    machine.nowUs = startUs + 100e6
    const { db } = await openOn(machine, { dataDir: ':memory:' })
    await settled(machine, db.ingest(rows(0, 100), { precision: 'us' }))
    const count = async (live: Observable<unknown>): Promise<number> => {
      const follower = follow(live)
      for (let turns = 0; follower.events.length === 0 && turns < 1000; turns++) await turn()
      follower.unsubscribe()
      return follower.of('snapshot')[0]!.rows.length
    }
    expect(await count(db.live(tail))).toBe(0)
    expect(await count(db.live(tail, [], { history: 10_000 }))).toBe(10)
    expect(await count(db.live(tail, [], all))).toBe(100)
    expect(await count(db.live(`${tail} where time >= now() - 5s`))).toBe(5)
    const windows = 'select time, value, lag(value) as before from cpu'
    expect(await count(db.live(windows))).toBe(0)
    expect(await count(db.live(windows, [], { history: 3000 }))).toBe(3)
    expect(await count(db.live(`${tail} order by time desc limit 7`))).toBe(7)
    expect(await count(db.live(minutes))).toBe(2)
    expect(() => db.live(tail, [], { history: -1 })).toThrow(expect.objectContaining({ code: 'bad_request' }))
    await settled(machine, db.close())
  })

  test('rows as arrays, and times as dates', async () => {
    const db = await inMemory()
    const arrays = follow(db.live(tail, [], { ...all, rows: 'arrays' }))
    const dates = follow(db.live(tail, [], { ...all, time: 'date' }))
    await until(() => arrays.events.length === 1 && dates.events.length === 1)
    const [first] = arrays.of('snapshot')[0]!.rows as unknown as unknown[][]
    expect(first).toEqual([startUs, 0, expect.any(String)])
    expect(dates.of('snapshot')[0]!.rows[0]!['time']).toEqual(new Date(startUs / 1000))
  })

  test('progress says how far it is where nothing changes, once in a while', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { live: { progressMs: 500 } })
    await settled(machine, ingest(db, rows(0, 3)))
    const follower = follow(db.live(`${tail} where value > 100`))
    await machine.advance(100)
    for (let from = 3; from < 30; from += 3) {
      await settled(machine, ingest(db, rows(from, from + 3)))
      await machine.advance(100)
    }
    await machine.advance(1000)
    const progress = follower.of('progress')
    expect(progress.length).toBeGreaterThanOrEqual(2)
    expect(progress.length).toBeLessThanOrEqual(5)
    expect(progress.at(-1)).toMatchObject({ lsn: 10, watermarkUs: startUs + 29e6 })
    const told = follower.events.length
    await machine.advance(5000)
    expect(follower.events.length).toBe(told)
    await settled(machine, db.close())
  })

  test('a sliding range: rows leave as time passes', async () => {
    const machine = new SimulatedMachine()
    machine.nowUs = startUs + 10e6
    const { db } = await openOn(machine)
    await settled(machine, ingest(db, rows(0, 10)))
    const text = `${tail} where time >= now() - 5s`
    const follower = follow(db.live(text))
    await machine.advance(10)
    expect(follower.rows()).toHaveLength(5)
    await machine.advance(3000)
    await quiet(db)
    expect(follower.rows()).toHaveLength(2)
    expect(
      new Set(follower.events.filter(event => event.kind !== 'lagged').map(event => event.id.split('.')[2])).size,
    ).toBeGreaterThan(2)
    await machine.advance(5000)
    await quiet(db)
    expect(follower.rows()).toEqual([])
    await settled(machine, db.close())
  })
  test('rows that expire leave, within the minute', async () => {
    const machine = new SimulatedMachine()
    machine.nowUs = startUs + 600e6
    // ten minutes
    const { db } = await openOn(machine, { retentionDays: 10 / 1440 })
    await settled(machine, ingest(db, rows(0, 600)))
    const followers = [
      follow(db.live(tail, [], all)),
      follow(db.live(minutes)),
      follow(db.live('select count(*) as n from cpu')),
    ]
    await machine.advance(10)
    expect(followers[0]!.rows()).toHaveLength(600)
    await machine.advance(150_000)
    await quiet(db)
    expect(followers[0]!.rows()).toHaveLength(480)
    expect(followers[1]!.rows()).toHaveLength(8)
    expect(followers[2]!.rows()).toEqual([{ n: 480 }])
    await settled(machine, db.close())
  })

  test('rows that expire between ticks leave queries that look at the clock', async () => {
    const machine = new SimulatedMachine()
    machine.nowUs = startUs + 600e6
    const { db } = await openOn(machine, { retentionDays: 10 / 1440 })
    await settled(machine, ingest(db, rows(0, 600)))
    const counts = follow(db.live('select count(*) as n from cpu where time <= now()'))
    await machine.advance(10)
    expect(counts.rows()).toEqual([{ n: 600 }])
    // the machine slept; what wakes it first is a flush, not the tick
    machine.nowUs += 300e6
    await settled(machine, db.flush())
    await quiet(db)
    await machine.advance(2000)
    await quiet(db)
    expect(counts.rows()).toEqual([{ n: 300 }])
    await settled(machine, db.close())
  })
})

describe('no gap, nothing twice', () => {
  test('subscribers that come while rows stream in see each row once', async () => {
    const db = await inMemory()
    let next = 3
    let isOver = false
    const writer = (async () => {
      while (!isOver) {
        await ingest(db, rows(next, next + 5))
        next += 5
        await turn()
      }
    })()
    const followers: Follower[] = []
    for (let i = 0; i < 40; i++) {
      followers.push(follow(db.live(tail, [], all)), follow(db.live(minutes)))
      for (let turns = i % 4; turns > 0; turns--) await turn()
    }
    await until(() => followers.every(({ events }) => events.length > 2))
    isOver = true
    await writer
    await quiet(db)
    for (const [index, follower] of followers.entries()) {
      await expectSame(db, follower, index % 2 === 0 ? tail : minutes)
      const told = [
        ...follower.of('snapshot').flatMap(event => event.rows),
        ...follower.of('delta').flatMap(event => event.added),
      ]
      const keys = told.map(row => row['time'] ?? row['minute'])
      expect(new Set(keys).size).toBe(keys.length)
      const lsns = follower.events.map(({ lsn }) => lsn)
      expect(lsns).toEqual(lsns.toSorted((a, b) => a - b))
    }
  })

  test('equal queries are worked out once', async () => {
    const db = await inMemory()
    const followers = Array.from({ length: 50 }, () => follow(db.live(minutes)))
    await until(() => followers.every(({ events }) => events.length === 1))
    expect(db.stats().live).toMatchObject({ subscriptions: 50, queries: 1, steps: 0 })
    await ingest(db, rows(3, 4))
    await quiet(db)
    expect(db.stats().live.steps).toBe(1)
    const deltas = followers.map(follower => follower.of('delta')[0]!)
    expect(new Set(deltas.map(({ changed }) => changed)).size).toBe(1)
    const others = [
      follow(db.live(`${tail} where value > ?`, [1], all)),
      follow(db.live(`${tail} where value > ?`, [2], all)),
    ]
    await until(() => others.every(({ events }) => events.length === 1))
    expect(db.stats().live.queries).toBe(3)
  })

  test('what a query does not read does not concern it', async () => {
    const db = await inMemory()
    const follower = follow(db.live(minutes))
    await until(() => follower.events.length === 1)
    await db.ingest([{ series: 'disk', value: 1 }])
    await quiet(db)
    expect(db.stats().live.steps).toBe(0)
  })
})

describe('what takes long', () => {
  const rates = 'select time_bucket(1m, time) as minute, rate(value) as r from cpu group by minute'

  test('holds up no other query', async () => {
    const db = await inMemory()
    const slow = follow(db.live(rates))
    await until(() => slow.events.length === 1)
    const fast = follow(db.live(tail))
    await until(() => fast.events.length === 1)
    await ingest(db, rows(3, 4))
    await until(() => fast.events.length === 2)
    // it was asked first, and cannot have answered within the turn
    expect(slow.events).toHaveLength(1)
    await until(() => slow.events.length === 2)
    await expectSame(db, slow, rates)
  })

  test('runs again at most once in an interval, and has the last change', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { live: { rerunMs: 1000 } })
    await settled(machine, ingest(db, rows(0, 3)))
    const follower = follow(db.live(rates))
    await machine.advance(10)
    expect(follower.of('snapshot')[0]).toMatchObject({ strategy: 'rerun' })
    for (let at = 3; at < 33; at++) {
      await settled(machine, ingest(db, rows(at, at + 1)))
      await machine.advance(100)
    }
    await machine.advance(1000)
    const { reruns } = db.stats().live
    expect(reruns).toBeGreaterThanOrEqual(3)
    expect(reruns).toBeLessThanOrEqual(6)
    await expectSame(db, follower, rates)
    await settled(machine, db.close())
  })
})

describe('how it ends', () => {
  test('what is wrong with the text, the parameters or the statement is an error of the Observable', async () => {
    const db = await inMemory()
    const codeOf = async (text: string, params: never[] = []): Promise<unknown> => {
      const follower = follow(db.live(text, params))
      expect(follower.error).toBeUndefined()
      await until(() => follower.error !== undefined)
      return (follower.error as { code: string }).code
    }
    expect(await codeOf('select nope from cpu')).toBe('unknown_field')
    expect(await codeOf('selec')).toBe('syntax_error')
    expect(await codeOf('select value from nothing')).toBe('unknown_metric')
    expect(await codeOf('select value from cpu where value > ?')).toBe('wrong_argument_count')
    for (const text of [
      'show metrics',
      `explain ${tail}`,
      "insert into cpu (host = 'a') fields (value) values (now(), 1)",
    ])
      expect(await codeOf(text)).toBe('unsupported_feature')
    expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0 })
  })

  test('an abort is an error, before and after it began', async () => {
    const db = await inMemory()
    const abort = new AbortController()
    const follower = follow(db.live(tail, [], { ...all, signal: abort.signal }))
    const reader = db.live(tail, [], { signal: abort.signal }).reader()
    await until(() => follower.events.length === 1)
    expect((await reader.next()).value).toMatchObject({ kind: 'snapshot' })
    const waiting = reader.next()
    abort.abort(new Error('enough'))
    expect(follower.error).toMatchObject({ code: 'cancelled', cause: expect.objectContaining({ message: 'enough' }) })
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
    expect(await reader.next()).toEqual({ value: undefined, done: true })
    const late = follow(db.live(tail, [], { signal: abort.signal }))
    await until(() => late.error !== undefined)
    expect(late.error).toMatchObject({ code: 'cancelled' })
    expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0 })
  })

  test('closing tells what was committed, then completes; later ones are refused', async () => {
    const db = await open(':memory:')
    await db.ingest(rows(0, 3), { precision: 'us' })
    const followers = [follow(db.live(tail, [], all)), follow(db.live(minutes))]
    const reader = db.live(tail, [], all).reader()
    await until(() => followers.every(({ events }) => events.length === 1))
    const written = ingest(db, rows(3, 10))
    await written
    await db.close()
    expect(followers[0]!.rows()).toHaveLength(10)
    expect(followers[1]!.rows()).toMatchObject([{ n: 10 }])
    expect(followers.map(({ isComplete }) => isComplete)).toEqual([true, true])
    const kept = new Kept()
    for await (const event of reader) kept.take(event as Event)
    expect(kept.rows()).toHaveLength(10)
    const late = follow(db.live(tail))
    await until(() => late.error !== undefined)
    expect(late.error).toMatchObject({ code: 'shutting_down' })
  })

  test('there are so many subscriptions and no more', async () => {
    const db = await inMemory({ live: { subscriptionsMax: 3 } })
    const followers = Array.from({ length: 3 }, () => follow(db.live(tail)))
    const refused = follow(db.live(tail))
    await until(() => refused.error !== undefined)
    expect(refused.error).toMatchObject({ code: 'too_many_subscriptions' })
    followers[0]!.unsubscribe()
    const next = follow(db.live(tail))
    await until(() => next.events.length === 1)
  })

  test('what is too much for it ends it alone', async () => {
    const db = await inMemory({ live: { rowsMax: 50 } })
    const small = follow(db.live(tail, [], { history: 0 }))
    await ingest(db, rows(3, 100))
    const large = follow(db.live(tail, [], all))
    await until(() => large.error !== undefined)
    expect(large.error).toMatchObject({ code: 'too_many_points' })
    await ingest(db, rows(100, 101))
    await until(() => small.of('delta').length > 0)
    expect(small.error).toBeUndefined()
    expect(db.stats().live).toMatchObject({ subscriptions: 1, queries: 1 })
  })
})

describe('what subscribers do in their callbacks', () => {
  test('events come one after the other, never within a call of the subscriber', async () => {
    const db = await inMemory()
    const order: string[] = []
    let depth = 0
    const live = db.live(tail, [], all)
    const subscription = live.subscribe(() => {
      depth++
      expect(depth).toBe(1)
      order.push('event')
      if (order.length === 1) live.subscribe(() => order.push('other'))
      void ingest(db, rows(100 + order.length, 101 + order.length)).catch(() => {})
      order.push('written')
      depth--
    })
    order.push('subscribed')
    await until(() => order.length > 12)
    subscription.unsubscribe()
    expect(order.slice(0, 3)).toEqual(['subscribed', 'event', 'written'])
  })

  test('unsubscribing within an event, from another or from itself', async () => {
    const db = await inMemory()
    const first = follow(db.live(tail, [], all).pipe(take(1)))
    const other = follow(db.live(tail, [], all))
    const seen: string[] = []
    const self = db.live(tail, [], all).subscribe(event => {
      seen.push(event.kind)
      other.unsubscribe()
      if (event.kind === 'delta') self.unsubscribe()
    })
    await until(() => seen.length === 1)
    await ingest(db, rows(3, 4))
    await until(() => seen.length === 2)
    await ingest(db, rows(4, 5))
    await quiet(db)
    expect(seen).toEqual(['snapshot', 'delta'])
    expect(first.isComplete).toBe(true)
    expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0, bytes: 0 })
  })

  test('one that throws does not hurt others, nor itself', async () => {
    const db = await inMemory()
    const thrown: unknown[] = []
    config.onUnhandledError = error => thrown.push(error)
    onTestFinished(() => {
      config.onUnhandledError = null
    })
    let calls = 0
    db.live(tail, [], all).subscribe(() => {
      calls++
      throw new Error('mine')
    })
    const follower = follow(db.live(tail, [], all))
    await until(() => follower.events.length === 1)
    await ingest(db, rows(3, 4))
    await until(() => follower.events.length === 2 && thrown.length === 2)
    expect(calls).toBe(2)
    await expectSame(db, follower, tail)
  })
})

describe('restore and schema', () => {
  test('a restore: everyone is told and gets a new snapshot', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await settled(machine, ingest(db, rows(0, 3)))
    await settled(machine, db.snapshot('before'))
    await settled(machine, ingest(db, rows(3, 6)))
    const follower = follow(db.live(tail, [], all))
    const groups = follow(db.live(minutes))
    await machine.advance(10)
    const before = follower.lastId
    await settled(machine, db.restore('before'))
    await settled(machine, ingest(db, rows(10, 12)))
    await machine.advance(10)
    await quiet(db)
    expect(follower.of('lagged')).toMatchObject([{ reason: 'restored' }])
    expect(follower.of('snapshot')[1]).toMatchObject({ reason: 'restored' })
    await expectSame(db, follower, tail)
    await expectSame(db, groups, minutes)
    expect(follower.lastId.split('.')[0]).not.toBe(before.split('.')[0])
    const resumed = follow(db.live(tail, [], { ...all, resumeFrom: before }))
    await machine.advance(10)
    expect(resumed.events[0]).toMatchObject({ kind: 'lagged', reason: 'not_resumable' })
    await settled(machine, db.close())
  })

  test('new fields and tags: those who read all columns get them with a snapshot, others go on', async () => {
    const db = await inMemory()
    const everything = 'select * from cpu'
    const star = follow(db.live(everything, [], all))
    const few = follow(db.live(tail, [], all))
    const groups = follow(db.live(minutes))
    await until(() => [star, few, groups].every(({ events }) => events.length === 1))
    const wider: RowObject[] = [
      { series: 'cpu', ts: startUs + 70e6, fields: { value: 1, idle: 2 }, tags: { host: 'a', dc: 'x' } },
    ]
    await ingest(db, wider)
    await ingest(db, rows(80, 90))
    await quiet(db)
    await until(() => star.of('snapshot').length === 2)
    expect(star.of('lagged')).toMatchObject([{ reason: 'schema' }])
    expect(few.of('lagged')).toEqual([])
    expect(groups.of('lagged')).toEqual([])
    await quiet(db)
    await expectSame(db, star, everything)
    await expectSame(db, few, tail)
    await expectSame(db, groups, minutes)
  })

  test('a new metric that a pattern matches', async () => {
    const db = await inMemory()
    const text = 'select time, value from /^c/'
    const follower = follow(db.live(text, [], all))
    await until(() => follower.events.length === 1)
    await ingest(db, [{ series: 'clock', ts: startUs, value: 5 }])
    await ingest(db, [{ series: 'clock', ts: startUs + 1e6, value: 6 }])
    await quiet(db)
    await until(() => follower.of('snapshot').length === 2)
    await ingest(db, [{ series: 'clock', ts: startUs + 2e6, value: 7 }])
    await quiet(db)
    await expectSame(db, follower, text)
  })
})
