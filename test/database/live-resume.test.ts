/** Resuming: who was away goes on where it was, or is told once that it cannot. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { open } from '../../src/index.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { type Event, type Follower, follow, type Kept, quiet, type Row, sorted, until } from './live-support.ts'
import { ingest, openOn, rows, settled, startUs, walFrames } from './support.ts'

const all = { history: 'all' } as const
const tail = 'select time, value from cpu'
const minutes = 'select time_bucket(1m, time) as minute, count(*) as n, sum(value) as total from cpu group by minute'
const at = (second: number): Date => new Date(startUs / 1000 + second * 1000)

async function expectSame(db: Database, kept: Kept, text: string): Promise<void> {
  const { columns, rows: expected } = await db.query<Row>(text).all()
  expect(kept.rows(columns.map(({ name }) => name))).toEqual(sorted(expected))
}

/** The events before, then those of a subscription that goes on from the last of them. */
async function resumed(db: Database, text: string, before: Kept): Promise<Follower> {
  const follower = follow(db.live(text, [], { ...all, resumeFrom: before.lastId }))
  const kept = before.events
  const { events } = follower
  await until(() => events.length > 0 && events.at(-1)!.kind !== 'lagged')
  await quiet(db)
  if (events[0]!.kind !== 'lagged') for (const event of events.slice()) before.take(event)
  expect(kept.length).toBeGreaterThan(0)
  return follower
}

/** What a subscriber has that sees the database for a moment. */
async function seen(db: Database, text: string): Promise<Kept> {
  const follower = follow(db.live(text, [], all))
  await until(() => follower.events.length === 1)
  follower.unsubscribe()
  return follower
}

describe('while the database is open', () => {
  async function inMemory(settings: SettingsInput = {}): Promise<Database> {
    const db = await open({ dataDir: ':memory:', ...settings })
    onTestFinished(() => db.close())
    await ingest(db, rows(0, 3))
    return db
  }

  test.each([tail, minutes])('from recent changes, deletes among them: %s', async text => {
    const db = await inMemory()
    const staying = follow(db.live(text))
    const before = await seen(db, text)
    await ingest(db, rows(3, 6))
    await quiet(db)
    await db.query('delete from cpu where time >= ? and time < ?', [at(1), at(4)]).all()
    await quiet(db)
    const follower = await resumed(db, text, before)
    expect(follower.events.map(({ kind }) => kind)).toEqual(['delta', 'delta'])
    await expectSame(db, before, text)
    await ingest(db, rows(6, 8))
    await quiet(db)
    before.take(follower.events.at(-1)!)
    await expectSame(db, before, text)
    staying.unsubscribe()
  })

  test('from the log, where recent changes are gone', async () => {
    const db = await inMemory()
    const before = await seen(db, tail)
    await ingest(db, [...rows(3, 6), { ...rows(1, 2)[0]!, value: 50 }])
    await db.ingest([{ series: 'disk', value: 1 }])
    await db.flush()
    await ingest(db, rows(6, 8))
    const follower = await resumed(db, tail, before)
    expect(follower.events.map(({ kind }) => kind)).toEqual(['delta'])
    await expectSame(db, before, tail)
  })

  test('a reader resumes, too, and knows the columns', async () => {
    const db = await inMemory()
    const before = await seen(db, tail)
    await ingest(db, rows(3, 6))
    const reader = db.live(tail, [], { resumeFrom: before.lastId }).reader()
    const { value } = await reader.next()
    before.take(value as Event)
    expect(reader.columns?.map(({ name }) => name)).toEqual(['time', 'value', 'series_id'])
    await expectSame(db, before, tail)
    reader.close()
  })

  test('with nothing missed it just goes on', async () => {
    const db = await inMemory()
    const before = await seen(db, tail)
    const follower = follow(db.live(tail, [], { resumeFrom: before.lastId }))
    await quiet(db)
    await ingest(db, rows(3, 4))
    await until(() => follower.events.length > 0)
    // as it came, or from the log, which knows no old rows: a row that is new has changed
    expect(follower.events.map(({ kind }) => kind)).toEqual(['delta'])
    before.take(follower.events[0]!)
    await expectSame(db, before, tail)
  })

  test.each([
    ['none', 'nonsense'],
    ['of another query', ''],
    ['of a time to come', ''],
  ])('an id that is %s', async (what, given) => {
    const db = await inMemory()
    const before = await seen(db, what === 'of another query' ? minutes : tail)
    const [incarnation, , tick] = before.lastId.split('.')
    const id = what === 'of a time to come' ? `${incarnation}.999.${tick}` : given || before.lastId
    const follower = follow(db.live(tail, [], { ...all, resumeFrom: id }))
    await until(() => follower.events.length === 2)
    expect(follower.events).toMatchObject([
      { kind: 'lagged', reason: 'not_resumable' },
      { kind: 'snapshot', reason: 'not_resumable' },
    ])
    await expectSame(db, follower, tail)
  })

  test('a delete that it missed, of what it reads', async () => {
    const db = await inMemory()
    const before = await seen(db, tail)
    await db.ingest([{ series: 'disk', ts: startUs, value: 1 }], { precision: 'us' })
    await db.query('delete from disk where time >= ? and time < ?', [at(-1), at(1)]).all()
    await ingest(db, rows(3, 4))
    const first = await resumed(db, tail, before)
    expect(first.events.map(({ kind }) => kind)).toEqual(['delta'])
    await expectSame(db, before, tail)
    first.unsubscribe()
    await db.query('delete from cpu where time >= ? and time < ?', [at(1), at(2)]).all()
    const follower = await resumed(db, tail, before)
    expect(follower.events.map(({ kind }) => kind)).toEqual(['lagged', 'snapshot'])
    await expectSame(db, follower, tail)
  })

  test('columns that are others by now', async () => {
    const db = await inMemory()
    const before = await seen(db, 'select * from cpu')
    await ingest(db, [{ series: 'cpu', ts: startUs + 9e6, fields: { idle: 1 }, tags: { host: 'a' } }])
    const follower = await resumed(db, 'select * from cpu', before)
    expect(follower.events.map(({ kind }) => kind)).toEqual(['lagged', 'snapshot'])
  })
})

describe('after it was opened again', () => {
  test('from a real directory, closed in between', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sydradb-live-'))
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const before: Kept[] = []
    {
      await using db = await open(dataDir)
      await ingest(db, rows(0, 3))
      for (const text of [tail, minutes]) before.push(await seen(db, text))
      await ingest(db, rows(3, 90))
      await ingest(db, [{ ...rows(1, 2)[0]!, value: 77 }])
    }
    await using db = await open(dataDir)
    await ingest(db, rows(90, 95))
    for (const [index, text] of [tail, minutes].entries()) {
      const follower = await resumed(db, text, before[index]!)
      expect(follower.events.map(({ kind }) => kind)).toEqual(['delta'])
      await expectSame(db, before[index]!, text)
      follower.unsubscribe()
    }
  })

  test('after a crash: nothing that was told is lost, nothing is told twice', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await settled(machine, ingest(db, rows(0, 3)))
    const follower = follow(db.live(tail, [], all))
    await machine.advance(10)
    await settled(machine, ingest(db, rows(3, 6)))
    await machine.advance(10)
    expect(follower.rows()).toHaveLength(6)
    await settled(machine, ingest(db, rows(6, 9)))
    machine.crash()
    const { db: next } = await openOn(machine)
    const again = await resumed(next, tail, follower)
    await machine.advance(10)
    expect(again.events.every(({ kind }) => kind === 'delta')).toBe(true)
    await expectSame(next, follower, tail)
    await settled(machine, next.close())
  })

  test('where a commit that was told is lost it gets a snapshot', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    for (let from = 0; from < 9; from += 3) await settled(machine, ingest(db, rows(from, from + 3)))
    const before = await seen(db, tail)
    machine.kill()
    machine.disk.damage('data/wal/current.wal', walFrames(machine)[1]! + 40)
    const { db: next } = await openOn(machine)
    const follower = await resumed(next, tail, before)
    expect(follower.events).toMatchObject([{ kind: 'lagged', reason: 'not_resumable' }, { kind: 'snapshot' }])
    expect(follower.rows()).toHaveLength(6)
    await settled(machine, next.close())
  })

  test.each(['interval', 'none'] as const)('where commits may be lost (fsync %s) it gets a snapshot', async fsync => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { fsync })
    await settled(machine, ingest(db, rows(0, 3)))
    const before = await seen(db, tail)
    await settled(machine, db.close())
    const { db: next } = await openOn(machine, { fsync })
    const follower = await resumed(next, tail, before)
    expect(follower.events).toMatchObject([{ kind: 'lagged', reason: 'not_resumable' }, { kind: 'snapshot' }])
    await settled(machine, next.close())
  })

  test('what slides with the time cannot', async () => {
    const machine = new SimulatedMachine()
    machine.nowUs = startUs + 10e6
    const text = `${tail} where time >= now() - 1h`
    const { db } = await openOn(machine)
    await settled(machine, ingest(db, rows(0, 3)))
    const before = await seen(db, text)
    await settled(machine, db.close())
    await machine.advance(1000)
    const { db: next } = await openOn(machine)
    expect((await resumed(next, text, before)).events.map(({ kind }) => kind)).toEqual(['lagged', 'snapshot'])
    await settled(machine, next.close())
  })

  test('a log that was let go of', async () => {
    const machine = new SimulatedMachine()
    const settings = { walKeepBytes: 0, memtableMaxBytes: '1MiB', compaction: { enabled: false } } as const
    const { db } = await openOn(machine, settings)
    await settled(machine, ingest(db, rows(0, 3)))
    const before = await seen(db, tail)
    for (let from = 3; from < 120_003; from += 20_000) await settled(machine, ingest(db, rows(from, from + 20_000)))
    await settled(machine, db.flush())
    await settled(machine, db.close())
    const { db: next } = await openOn(machine, settings)
    expect(next.stats().wal.files).toBe(1)
    const follower = follow(next.live(tail, [], { resumeFrom: before.lastId }))
    await until(() => follower.events.length === 2)
    expect(follower.events).toMatchObject([
      { kind: 'lagged', reason: 'not_resumable' },
      { kind: 'snapshot', rows: [] },
    ])
    await settled(machine, next.close())
  })
})
