/** Rollups of a database: compaction writes them, queries answer from them, and nothing else changes. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, RowObject } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, segmentPaths, settled, startUs } from './support.ts'

const minuteUs = 60e6
const hourUs = 60 * minuteUs
const dayUs = 24 * hourUs

/** A row a minute of each of three hosts, over so many hours. Values are whole: sums are exact. */
const minutely = (hours: number, fromUs = startUs): RowObject[] =>
  ['a', 'b', 'c'].flatMap((host, h) =>
    Array.from({ length: hours * 60 }, (_, i) => ({
      series: 'cpu',
      ts: fromUs + i * minuteUs,
      value: (i * (h + 3)) % 101,
      tags: { host },
    })),
  )

const hourly =
  'select time_bucket(1h, time) as t, tag.host, avg(value), max(value), count(*) from cpu group by t, tag.host'

describe('rollups', () => {
  let machine: SimulatedMachine
  let db: Database
  beforeEach(() => {
    machine = new SimulatedMachine()
    machine.nowUs = startUs + 9 * dayUs
  })
  const openWith = async (settings: SettingsInput = {}): Promise<void> => {
    db = (await openOn(machine, { flushIntervalMs: 0, ...settings })).db
  }
  const compacted = async (rows: readonly RowObject[]): Promise<void> => {
    await ingest(db, rows)
    await settled(machine, db.flush())
    await settled(machine, db.compact())
  }
  const asked = async (text: string) => {
    const result = db.query(text)
    const { rows } = await result.all()
    return { rows, stats: result.stats() }
  }
  const show = async () => (await asked('show rollups')).rows
  const reopened = async (settings: SettingsInput): Promise<void> => {
    await settled(machine, db.close())
    await openWith(settings)
  }

  test('compaction writes them where rows are dense, and queries say that they used them', async () => {
    await openWith()
    await compacted(minutely(48))
    const listed = await show()
    // Of a row a minute, buckets of one and of five minutes say no less than the rows.
    expect(listed.map(row => [row['metric'], row['width'], row['buckets']])).toEqual([
      ['cpu', hourUs, 144],
      ['cpu', dayUs, 6],
    ])
    expect(listed[0]).toMatchObject({ min_time: startUs, max_time: startUs + 47 * hourUs })
    expect(listed[0]!['bytes']).toBeGreaterThan(0)
    expect((await asked('show segments')).rows.map(row => row['segment'])).toEqual([listed[0]!['segment']])
    expect((await asked("show rollups from cpu where width = '1h'::duration")).rows).toEqual(listed.slice(0, 1))

    const { rows, stats } = await asked(hourly)
    expect(rows).toHaveLength(144)
    expect(stats).toMatchObject({ rollup: '1h', rows_scanned: 144 })
    const lines = (await asked(`explain analyze ${hourly}`)).rows.map(row => Object.values(row)[0])
    expect(lines).toContain('rollup: 144 buckets of 1h')
    expect(lines.join('\n')).toMatch(/operator rules: .*rollup/)
    expect(lines.join('\n')).toContain('rollups=1h')

    await reopened({ rollups: { enabled: false } })
    const off = await asked(hourly)
    expect(off.rows).toEqual(rows)
    expect(off.stats).toMatchObject({ rollup: null, rows_scanned: 48 * 180 })
    await settled(machine, db.close())
  })

  test('the coarsest answers, finer ones what it leaves, rows the rest', async () => {
    await openWith({ rollups: { widths: ['1h', '6h', '1d'] } })
    await compacted(minutely(72))
    const from = new Date(startUs / 1000 + 16.5 * 3600e3 + 5000).toISOString()
    const { rows, stats } = await asked(`select count(*) as n, last(value) as l from cpu where time >= '${from}'`)
    // 5 seconds after a half hour: 30 minutes of rows, less one each; an hour, six hours, two days.
    expect(stats).toMatchObject({ rollup: '1d 6h 1h', rows_scanned: 3 * (29 + 1 + 1 + 2) })
    expect(rows).toEqual([{ n: 3 * (72 * 60 - 16.5 * 60 - 1), l: ((72 * 60 - 1) * 5) % 101 }])
    await settled(machine, db.close())
  })

  test('not where rows came later or went', async () => {
    await openWith()
    await compacted(minutely(48))
    const all = 'select sum(value) as s, count(value) as n from cpu'
    const before = (await asked(all)).rows[0] as { s: number; n: number }
    // One row is written again, one is late, one hour of a host goes.
    await ingest(db, [
      { series: 'cpu', ts: startUs, value: 1000, tags: { host: 'a' } },
      { series: 'cpu', ts: startUs + 30e6, value: 2000, tags: { host: 'a' } },
    ])
    const late = await asked(all)
    expect(late.rows).toEqual([{ s: before.s + 3000, n: before.n + 1 }])
    expect(late.stats.rollup).toBe('1d 1h')
    const at = (hour: number) => `'${new Date(startUs / 1000 + hour * 3600e3).toISOString()}'`
    await db.query(`delete from cpu where tag.host = 'b' and time >= ${at(30)} and time < ${at(31)}`).all()
    const left = await asked(hourly)
    expect(left.rows).toHaveLength(143)
    expect(left.stats.rollup).toBe('1h')
    const check = async () => expect((await asked(hourly)).rows).toEqual(left.rows)
    await settled(machine, db.flush())
    await check()
    await settled(machine, db.compact())
    await check()
    expect((await show()).map(row => row['buckets'])).toEqual([143, 6])
    await settled(machine, db.close())
  })

  test('a rollup that is lost or damaged is done without', async () => {
    await openWith()
    await compacted(minutely(24))
    const { rows } = await asked(hourly)
    const paths = segmentPaths(machine)
    await settled(machine, db.close())
    for (const path of paths) {
      const bytes = machine.disk.contents(path)
      if (bytes[10] === 1) machine.disk.damage(path, 20)
    }
    await openWith()
    expect(db.stats().segments.quarantined).toBe(2)
    const again = await asked(hourly)
    expect(again.rows).toEqual(rows)
    expect(again.stats.rollup).toBeNull()
    await settled(machine, db.close())
  })

  describe('that are kept longer than rows', () => {
    const settings: SettingsInput = { retentionDays: 10, rollups: { keepDays: { '1d': 0, '1h': 20 } } }
    const counts = async (width: string) =>
      (await asked(`select time_bucket(${width}, time) as t, count(*) as n, max(value) as m from cpu group by t`)).rows

    test('answer aggregates where rows are expired, and nothing else does', async () => {
      await openWith(settings)
      await compacted(minutely(48))
      const days = await counts('1d')
      const hours = await counts('1h')
      expect([days.length, hours.length]).toEqual([2, 48])
      const check = async (rows: number, wantedHours: unknown[]): Promise<void> => {
        expect(await counts('1d')).toEqual(days)
        expect(await counts('1h')).toEqual(wantedHours)
        expect((await asked('select value from cpu')).rows).toHaveLength(rows)
        const { rows: medians } = await asked('select median(value) as m, count(*) as n from cpu')
        expect(medians[0]!['n']).toBe(rows)
      }
      await check(48 * 180, hours)
      // Days 9 to 11.5: the horizon is in the middle of the second day, within an hour.
      await machine.advance(((1.5 + 1) * 24 * 3600 + 1234) * 1000)
      const left = (await asked('select value from cpu')).rows.length
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThan(12 * 180)
      await check(left, hours)
      await machine.advance(3 * 86_400e3)
      await check(0, hours)
      expect((await show()).map(row => row['width'])).toEqual([hourUs, dayUs])
      await machine.advance(10 * 86_400e3)
      await check(0, [])
      expect((await show()).map(row => row['width'])).toEqual([dayUs])
      await reopened(settings)
      await check(0, [])
      await settled(machine, db.close())
    })

    test('are in snapshots, and there again when one is restored', async () => {
      await openWith(settings)
      await compacted(minutely(48))
      await machine.advance(13 * 86_400e3)
      const days = await counts('1d')
      expect(days.map(row => row['n'])).toEqual([4320, 4320])
      expect((await asked('select value from cpu')).rows).toEqual([])
      await settled(machine, db.snapshot('s'))
      await settled(machine, db.query("delete from cpu where time >= '2026-01-01' and time < '2026-01-02'").all())
      expect(await counts('1d')).toEqual(days.slice(1))
      await settled(machine, db.restore('s'))
      expect(await counts('1d')).toEqual(days)
      await reopened(settings)
      expect(await counts('1d')).toEqual(days)
      await settled(machine, db.close())
    })

    test('forget what is deleted', async () => {
      await openWith(settings)
      await compacted(minutely(72))
      await machine.advance(12 * 86_400e3)
      expect((await counts('1d')).map(row => row['n'])).toEqual([4320, 4320, 4320])
      const at = (hour: number) => `'${new Date(startUs / 1000 + hour * 3600e3).toISOString()}'`
      await db.query(`delete from cpu where tag.host = 'a' and time >= ${at(0)} and time < ${at(24)}`).all()
      expect((await counts('1d')).map(row => row['n'])).toEqual([2880, 4320, 4320])
      // What is left of a bucket nobody knows.
      await db.query(`delete from cpu where tag.host = 'b' and time >= ${at(30)} and time < ${at(31)}`).all()
      const wanted = await counts('1d')
      expect(wanted.map(row => row['n'])).toEqual([2880, 4320 - 60, 4320])
      await ingest(db, minutely(1, machine.nowUs))
      await settled(machine, db.flush())
      await settled(machine, db.compact())
      await reopened(settings)
      expect((await counts('1d')).slice(0, 3)).toEqual(wanted)
      await settled(machine, db.close())
    })
  })
})
