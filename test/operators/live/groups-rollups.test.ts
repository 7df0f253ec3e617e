/** Groups that rollups answer for, where rows and then buckets expire. */
import { describe, expect, test } from 'vitest'
import type { SettingsInput } from '../../../src/lib/settings.ts'
import type { RowObject } from '../../../src/types.ts'
import { follow, quiet, type Row, sorted } from '../../database/live-support.ts'
import { ingest, openOn, settled, startUs } from '../../database/support.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'

const hourUs = 3600e6

/** A row a minute of each of three hosts. Values are whole: sums are exact. */
const minutely = (hours: number, fromUs = startUs): RowObject[] =>
  ['a', 'b', 'c'].flatMap((host, h) =>
    Array.from({ length: hours * 60 }, (_, i) => ({
      series: 'cpu',
      ts: fromUs + i * 60e6,
      value: (i * (h + 3)) % 101,
      tags: { host },
    })),
  )

const queries = [
  'select time_bucket(1d, time) as t, count(*) as n, max(value) as m from cpu group by t',
  'select time_bucket(1h, time) as t, tag.host, avg(value) as v from cpu group by t, tag.host',
  'select time_bucket(10m, time) as t, count(value) as n from cpu group by t',
  'select tag.host, count(*) as n, last(value) as v from cpu group by tag.host',
  'select count(*) as n, sum(value) as s from cpu',
  'select tag.host, median(value) as v from cpu group by tag.host',
  'select time_bucket(1d, time) as t, min(value) as m from cpu group by t order by t desc limit 2',
]

describe('rollups that are kept longer than rows', () => {
  test.each([
    ['hours longer', { retentionDays: 10, rollups: { keepDays: { '1h': 20 } } }],
    ['days for ever', { retentionDays: 10, rollups: { keepDays: { '1d': 0, '1h': 20 } } }],
    ['no longer', { retentionDays: 10 }],
  ] as readonly [string, SettingsInput][])('%s', async (_, settings) => {
    const machine = new SimulatedMachine()
    machine.nowUs = startUs + 9 * 24 * hourUs
    const { db } = await openOn(machine, { flushIntervalMs: 0, ...settings })
    await settled(machine, ingest(db, minutely(48)))
    await settled(machine, db.flush())
    await settled(machine, db.compact())
    const followers = queries.map(text => ({ text, follower: follow(db.live(text)) }))
    await settled(machine, quiet(db))
    const check = async (about: string): Promise<void> => {
      await settled(machine, quiet(db))
      for (const { text, follower } of followers) {
        expect(follower.error).toBeUndefined()
        const { columns, rows } = await settled(machine, db.query<Row>(text).all())
        expect(follower.rows(columns.map(({ name }) => name)), `${about}: ${text}`).toEqual(sorted(rows))
      }
    }
    await check('at first')
    // The horizon goes through the rows, then past them; then the buckets of hours expire.
    for (const [passed, hours] of [
      [1, 13.37],
      [1, 0.02],
      [0, 11],
      [0, 5.5],
      [1, 3],
      [6, 1],
      [0, 9],
      [2, 0],
      [3, 2],
    ] as const) {
      // The calendar's time alone: of the days' timers a minute's are enough.
      machine.nowUs += passed * 24 * hourUs + Math.round(hours * 3600) * 1e6
      await machine.advance(60_000)
      await check(`${passed} days, ${hours} hours later`)
      const ts = machine.nowUs
      const came = [
        { series: 'cpu', ts, value: 7, tags: { host: 'a' } },
        { series: 'cpu', ts: ts - 2 * hourUs, value: 9, tags: { host: 'b' } },
      ]
      await settled(machine, ingest(db, came))
      await check('rows came')
    }
    await settled(machine, db.close())
  })
})
