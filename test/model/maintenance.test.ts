/**
 * Years of maintenance against an array: whatever is written late or twice, deleted, flushed, merged, expired, reopened and in
 * whatever order, every query sees what the array says, and a reader what it said when the reader began.
 * SYDRADB_MAINTENANCE_SEED repeats one run.
 */
import { expect, test } from 'vitest'
import type { Database, RowObject } from '../../src/index.ts'
import { openOn, settled } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { SeededRandom } from '../simulated/random.ts'

const hourUs = 3600e6
const dayUs = 24 * hourUs
const days: Readonly<Record<string, number>> = { cpu: 3, 'weather.x': 6, weather: 6, 'audit.log': 0 }
const metrics = Object.keys(days)
const hosts = ['a', 'b', 'c']
const settings = {
  retentionDays: 3,
  retention: { weather: 6, audit: 0 },
  flushIntervalMs: 0,
  query: { timeoutMs: 0 },
}

interface ModelRow {
  readonly time: number
  readonly host: string
  readonly value: number
}
type Reader = { readonly rows: AsyncIterator<Record<string, unknown>>; readonly expected: ModelRow[]; read: number }

const steps = 60
const only = process.env['SYDRADB_MAINTENANCE_SEED']
const seeds = only === undefined ? [1, 2, 3, 4] : [Number(only)]

test.each(seeds)('seed %i', { timeout: 60_000 }, async seed => {
  const random = new SeededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!
  const machine = new SimulatedMachine(seed)
  const model = new Map(metrics.map(metric => [metric, new Map<string, ModelRow>()]))
  const readers: Reader[] = []
  /** Files that a system which keeps open ones would not have removed. */
  const removedOpen: string[] = []
  machine.disk.onCall = (call, path) => {
    if (call === 'remove' && machine.disk.openHandles().includes(path)) removedOpen.push(path)
  }
  let { db } = await openOn(machine, settings)
  const done: Record<string, number> = {}

  const expectedOf = (metric: string): ModelRow[] => {
    const kept = days[metric]!
    const horizonUs = kept === 0 ? -Infinity : Math.floor(machine.nowUs / 60e6) * 60e6 - kept * dayUs
    return [...model.get(metric)!.values()]
      .filter(({ time }) => time >= horizonUs)
      .sort((a, b) => a.time - b.time || (a.host < b.host ? -1 : 1))
  }
  const text = (metric: string): string => `select time, tag.host as host, value from ${metric} order by time, tag.host`
  const check = async (): Promise<void> => {
    for (const metric of metrics) {
      const expected = expectedOf(metric)
      expect((await db.query(text(metric)).all()).rows).toEqual(expected)
      const [total] = (await db.query(`select count(*) as n, sum(value) as s, max(time) as t from ${metric}`).all())
        .rows
      const sum = expected.reduce((all, { value }) => all + value, 0)
      expect([total!['n'], total!['s'] ?? 0, total!['t']]).toEqual([
        expected.length,
        sum,
        expected.at(-1)?.time ?? null,
      ])
    }
  }
  const ingest = async (): Promise<void> => {
    const metric = pick(metrics)
    // a stretch of rows a minute or an hour apart, anywhere within ten days
    const from = machine.nowUs - random.below(10 * 24) * hourUs
    const stepUs = pick([60e6, hourUs])
    const rows: RowObject[] = []
    for (let i = 0, count = 1 + random.below(120); i < count; i++) {
      const time = Math.floor((from + i * stepUs) / 60e6) * 60e6
      if (time > machine.nowUs) break
      const row = { time, host: pick(hosts), value: random.below(1000) }
      model.get(metric)!.set(`${row.host} ${time}`, row)
      rows.push({ series: metric, ts: time, value: row.value, tags: { host: row.host } })
    }
    expect(await db.ingest(rows, { precision: 'us' })).toMatchObject({ rejected: 0, failure: undefined })
  }
  const remove = async (): Promise<void> => {
    const metric = pick(metrics)
    const host = random.chance(0.5) ? pick(hosts) : undefined
    const from = machine.nowUs - random.below(10 * 24) * hourUs
    const to = from + random.below(48) * hourUs
    const only = host === undefined ? '' : ` and tag.host = '${host}'`
    const range = [from, to].map(us => new Date(us / 1000))
    await settled(machine, db.query(`delete from ${metric} where time >= ? and time < ?${only}`, range).all())
    for (const [key, row] of model.get(metric)!)
      if (
        row.time >= range[0]!.getTime() * 1000 &&
        row.time < range[1]!.getTime() * 1000 &&
        (host ?? row.host) === row.host
      )
        model.get(metric)!.delete(key)
  }
  const read = async (): Promise<void> => {
    if (readers.length < 3) {
      const metric = pick(metrics)
      const expected = expectedOf(metric)
      const rows = db.query(text(metric))[Symbol.asyncIterator]()
      const reader = { rows, expected, read: 0 }
      // it begins with its first row
      await readOn(reader, 1)
      readers.push(reader)
    } else await readOn(readers.shift()!, Number.POSITIVE_INFINITY)
  }
  const readOn = async (reader: Reader, count: number): Promise<void> => {
    for (; count > 0; count--) {
      const next = await reader.rows.next()
      expect(next.done === true ? undefined : next.value).toEqual(reader.expected[reader.read++])
      if (next.done === true) return
    }
  }
  const finishReaders = async (): Promise<void> => {
    for (const reader of readers.splice(0)) await readOn(reader, Number.POSITIVE_INFINITY)
  }
  const work: readonly (readonly [weight: number, name: string, run: () => Promise<unknown>])[] = [
    [10, 'ingest', ingest],
    [3, 'delete', remove],
    [5, 'flush', () => settled(machine, db.flush())],
    [2, 'compact', () => settled(machine, db.compact())],
    [4, 'time', () => machine.advance(random.below(120) * 60_000)],
    [1, 'days', async () => (machine.nowUs += random.below(48) * hourUs)],
    [4, 'read', read],
    [
      1,
      'reopen',
      async () => {
        await finishReaders()
        await settled(machine, db.close())
        db = (await openOn(machine, settings)).db
      },
    ],
  ]
  // metrics are known from the first one on
  for (const metric of metrics) {
    const row = { time: machine.nowUs, host: 'a', value: 1 }
    model.get(metric)!.set(`a ${row.time}`, row)
    await db.ingest([{ series: metric, ts: row.time, value: 1, tags: { host: 'a' } }], { precision: 'us' })
  }
  const weights = work.reduce((sum, [weight]) => sum + weight, 0)
  for (let step = 0; step < steps; step++) {
    let at = random.below(weights)
    const [, name, run] = work.find(([weight]) => (at -= weight) < 0)!
    await run()
    done[name] = (done[name] ?? 0) + 1
    await check()
  }
  await finishReaders()
  await settled(machine, db.compact())
  await check()
  const { versions, segments, compaction } = db.stats()
  expect(versions).toMatchObject({ pins: 0, filesWaiting: 0 })
  expect(compaction).toMatchObject({ failed: 0, skipped: 0 })
  expect(machine.disk.paths().filter(path => path.startsWith('data/segments/'))).toHaveLength(segments.count)
  await closed(machine, db)
  expect(removedOpen).toEqual([])
  expect(machine.log).toEqual([])
})

const closed = (machine: SimulatedMachine, db: Database): Promise<void> => settled(machine, db.close())
