/** What expires is not seen any more, goes from the disk in time, and never from under a reader. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, RowObject } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, type Opened, openOn, segmentPaths, settled, startUs } from './support.ts'

const dayMs = 86_400_000
const hourUs = 3600e6

/** A row an hour over so many days up to now, excluding the present hour. */
const hourly = (series: string, days: number, nowUs = startUs): RowObject[] =>
  Array.from({ length: days * 24 }, (_, hour) => ({ series, ts: nowUs - (days * 24 - hour) * hourUs, value: hour }))

const one = async (db: Database, text: string) => (await db.query<Record<string, number>>(text).all()).rows[0]!
const countOf = async (db: Database, metric: string) => (await one(db, `select count(*) as n from ${metric}`))['n']

describe('retention', () => {
  let machine: SimulatedMachine
  beforeEach(() => {
    machine = new SimulatedMachine()
  })
  const openWith = (settings: SettingsInput): Promise<Opened> =>
    openOn(machine, {
      retentionDays: 7,
      retention: { weather: 30 },
      flushIntervalMs: 0,
      compaction: { enabled: false },
      ...settings,
    })

  test('queries do not see expired rows, wherever they lie and however they are asked for', async () => {
    const { db } = await openWith({})
    const check = async (): Promise<void> => {
      expect(await countOf(db, 'cpu')).toBe(7 * 24)
      expect(await countOf(db, 'weather.station')).toBe(30 * 24)
      expect(await one(db, 'select min(time) as t, min(value) as v, first(value) as f from cpu')).toEqual({
        t: startUs - 7 * 24 * hourUs,
        v: 3 * 24,
        f: 3 * 24,
      })
      expect(await one(db, 'select time as t from cpu order by time limit 1')).toEqual({ t: startUs - 7 * 24 * hourUs })
      const byDay = await db.query('select time_bucket(1d, time) as t, count(*) as n from cpu group by t').all()
      expect(byDay.rows.map(row => row['n'])).toEqual(Array(7).fill(24))
      const before = new Date(startUs / 1000 - 8 * dayMs)
      expect((await db.query('select * from cpu where time < ?', [before]).all()).rows).toEqual([])
    }
    await ingest(db, hourly('cpu', 10))
    await ingest(db, hourly('weather.station', 40))
    await check()
    await settled(machine, db.flush())
    await check()
    // a metric without rows that are left is still there
    await ingest(db, [{ series: 'past', ts: startUs - 9 * 24 * hourUs, value: 1 }])
    expect(await countOf(db, 'past')).toBe(0)
    expect((await db.query('select value from past limit 1 per series').all()).rows).toEqual([])
    await settled(machine, db.close())
  })

  test('time passes: files go whole, minute by minute the rest is out of sight', async () => {
    const { db, events } = await openWith({})
    await ingest(db, hourly('cpu', 6))
    await settled(machine, db.flush())
    await ingest(db, hourly('weather.station', 6))
    await settled(machine, db.flush())
    expect(segmentPaths(machine)).toHaveLength(2)
    await machine.advance(1.5 * dayMs)
    expect(await countOf(db, 'cpu')).toBe(5.5 * 24)
    await machine.advance(6 * dayMs)
    expect(await countOf(db, 'cpu')).toBe(0)
    expect(segmentPaths(machine)).toHaveLength(1)
    expect(events.filter(({ kind }) => kind === 'expired')).toMatchObject([{ rows: 6 * 24, segments: [{ rows: 144 }] }])
    expect(db.stats().retention).toMatchObject({ segments: 1, rows: 144 })
    expect(db.stats().segments).toMatchObject({ count: 1, rows: 144 })
    await settled(machine, db.close())
    const again = await openWith({})
    expect(await countOf(again.db, 'cpu')).toBe(0)
    expect(await countOf(again.db, 'weather.station')).toBe(144)
    await settled(machine, again.db.close())
  })

  test('a flush keeps namespaces with a rule apart, and leaves out what has expired', async () => {
    const { db, events } = await openWith({})
    await ingest(db, [...hourly('cpu', 2), ...hourly('weather.station', 2), ...hourly('weather', 2)])
    await ingest(db, hourly('late', 1, startUs - 8 * 24 * hourUs))
    await settled(machine, db.flush())
    const flushed = events.flatMap(event => (event.kind === 'flushed' ? event.segments : []))
    const rowsOf = Map.groupBy(flushed, ({ namespace }) => namespace)
    expect([...rowsOf].map(([name, metas]) => [name, metas.reduce((sum, { rows }) => sum + rows, 0)])).toEqual([
      [undefined, 48],
      ['weather', 96],
    ])
    // nothing is left of a flush at all
    await ingest(db, hourly('late', 1, startUs - 8 * 24 * hourUs))
    await settled(machine, db.flush())
    expect(db.stats().segments.count).toBe(flushed.length)
    expect(db.stats().memtable.rows).toBe(0)
    await settled(machine, db.close())
  })

  test('late rows are taken, stored nowhere for long, and never shown', async () => {
    const { db } = await openWith({})
    const late = hourly('cpu', 1, startUs - 20 * 24 * hourUs)
    expect(await db.ingest(late, { precision: 'us' })).toMatchObject({ ingested: 24, rejected: 0 })
    expect(await countOf(db, 'cpu')).toBe(0)
    await settled(machine, db.close())
    const again = await openOn(machine)
    // without the rule they would be seen again, had the flush kept them
    expect(await countOf(again.db, 'cpu')).toBe(0)
    await settled(machine, again.db.close())
  })

  test('a rule that changes counts for what is there: segments are told apart by what is in them', async () => {
    const plain = await openOn(machine, { flushIntervalMs: 0 })
    await ingest(plain.db, hourly('cpu', 2))
    await settled(machine, plain.db.flush())
    await ingest(plain.db, [...hourly('cpu', 1), ...hourly('weather', 1)])
    await settled(machine, plain.db.close())
    machine.nowUs += 8 * 24 * hourUs
    const { db } = await openWith({})
    await machine.advance(1000)
    // the first held cpu alone; of the second weather is still wanted
    expect(db.stats().segments).toMatchObject({ count: 1, rows: 48 })
    expect(await countOf(db, 'cpu')).toBe(0)
    expect(await countOf(db, 'weather')).toBe(24)
    await settled(machine, db.close())
  })

  test('a reader keeps what it saw: the horizon is that of its beginning, and so are the files', async () => {
    const { db } = await openWith({})
    await ingest(db, hourly('cpu', 6))
    await settled(machine, db.flush())
    const reading = db.query<{ value: number }>('select time, value from cpu')[Symbol.asyncIterator]()
    const values = [(await reading.next()).value.value]
    await machine.advance(14 * dayMs)
    expect(db.stats().segments.count).toBe(0)
    expect(db.stats().versions).toMatchObject({ pins: 1, oldestPinMs: 14 * dayMs, filesWaiting: 1 })
    expect(db.stats().versions.bytesWaiting).toBeGreaterThan(0)
    expect(segmentPaths(machine)).toHaveLength(1)
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) values.push(next.value.value)
    expect(values).toEqual(Array.from({ length: 144 }, (_, i) => i))
    expect(segmentPaths(machine)).toEqual([])
    expect(db.stats().versions).toEqual({ pins: 0, oldestPinMs: 0, filesWaiting: 0, bytesWaiting: 0 })
    await settled(machine, db.close())
  })

  test('a failing disk is told, and tried again at the next look', async () => {
    const { db, events } = await openWith({})
    await ingest(db, hourly('cpu', 6))
    await settled(machine, db.flush())
    await machine.advance(1000)
    machine.disk.fail({ call: 'write', code: 'ENOSPC', path: path => path.includes('MANIFEST') })
    machine.nowUs += 14 * 24 * hourUs
    await machine.advance(60_000)
    expect(events.map(({ kind }) => kind)).toContain('retention-failed')
    expect(db.stats().segments.count).toBe(1)
    await machine.advance(60_000)
    expect(db.stats().segments.count).toBe(0)
    await settled(machine, db.close())
  })

  test('rollups of a segment that cannot be read stay until it may have expired', async () => {
    machine.nowUs = startUs + 14 * 24 * hourUs
    const { db } = await openWith({ retentionDays: 30 })
    const minutely = Array.from({ length: 1440 }, (_, i) => ({ series: 'cpu', ts: startUs + i * 60e6, value: i }))
    await ingest(db, minutely)
    await settled(machine, db.compact())
    await settled(machine, db.close())
    const [rowsPath, ...rollups] = segmentPaths(machine)
    expect(rollups.length).toBeGreaterThan(0)
    machine.disk.damage(rowsPath!, 20)
    const { db: damaged, events } = await openWith({ retentionDays: 30 })
    await machine.advance(120_000)
    expect(damaged.stats().segments.quarantined).toBe(1)
    expect(events.filter(({ kind }) => kind === 'expired')).toEqual([])
    expect(segmentPaths(machine)).toEqual([rowsPath, ...rollups])
    await settled(machine, damaged.close())
  })

  test('deletes of expired rows are let go with the files', async () => {
    const { db } = await openWith({})
    await ingest(db, hourly('cpu', 6))
    await settled(machine, db.flush())
    const noon = new Date(startUs / 1000 - 4 * dayMs)
    await settled(machine, db.query('delete from cpu where time >= ? and time < ?', [new Date(0), noon]).all())
    await settled(machine, db.flush())
    expect(await countOf(db, 'cpu')).toBe(4 * 24)
    expect(db.stats().tombstones).toBe(1)
    await machine.advance(8 * dayMs)
    expect(db.stats()).toMatchObject({ tombstones: 0, segments: { count: 0 } })
    await settled(machine, db.close())
  })
})
