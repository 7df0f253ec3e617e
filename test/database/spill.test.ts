/** Queries larger than their memory, through the engine: temporary files under the data directory, and none left. */
import { expect, test } from 'vitest'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, range, rows, settled } from './support.ts'

const count = 60_000
const query = { memoryMaxBytes: 2 * 2 ** 20 }
const descending = 'select value from cpu order by value desc'
const perValue = 'select value, count(*) n, median(value) m from cpu group by value'

const temporary = ({ disk }: SimulatedMachine): string[] => disk.paths().filter(path => path.startsWith('data/tmp/'))

async function filled(settings: Parameters<typeof openOn>[1] = {}) {
  const machine = new SimulatedMachine(1)
  const { db } = await openOn(machine, { query, fsync: 'none', ...settings })
  await settled(machine, ingest(db, rows(0, count)))
  return { machine, db }
}

test('a sort and a group-by go on in temporary files, which are gone afterwards', async () => {
  const { machine, db } = await filled()
  let most = 0
  machine.disk.onCall = () => {
    most = Math.max(most, temporary(machine).length)
  }
  const sorted = await settled(machine, db.query<{ value: number }>(descending).all())
  expect(most).toBeGreaterThan(0)
  expect(sorted.rows.map(({ value }) => value)).toEqual(range(0, count).reverse())

  const grouped = await settled(machine, db.query<{ value: number; n: number; m: number }>(perValue).all())
  expect(grouped.rows).toEqual(range(0, count).map(value => ({ value, n: 1, m: value })))
  expect(temporary(machine)).toEqual([])
  await settled(machine, db.close())
})

test('a reader that stops early, one that is never read to its end, and a limit leave nothing either', async () => {
  const { machine, db } = await filled()
  const early = db.query(descending)
  for await (const _ of early) break
  expect(temporary(machine)).toEqual([])

  const abandoned = db.query(descending)[Symbol.asyncIterator]()
  await settled(machine, abandoned.next())
  expect(temporary(machine).length).toBeGreaterThan(0)
  await settled(machine, db.close())
  expect(temporary(machine)).toEqual([])
})

test.each([
  ['spillMaxBytes: 0', { ...query, spillMaxBytes: 0 }, /^the query needs more than 2.1 MB of memory$/],
  ['a limit', { ...query, spillMaxBytes: 100_000 }, /2.1 MB of memory and 0.1 MB of temporary files/],
])('%s ends the query', async (_name, settings, message) => {
  const { machine, db } = await filled({ query: settings })
  await expect(settled(machine, db.query(descending).all())).rejects.toMatchObject({
    code: 'memory_limit',
    message: expect.stringMatching(message),
  })
  expect(temporary(machine)).toEqual([])
  await settled(machine, db.close())
})

test('a full disk ends the query, not the database; what a kill leaves the next opening removes', async () => {
  const { machine, db } = await filled()
  const disarm = machine.disk.fail({
    call: 'write',
    times: Infinity,
    code: 'ENOSPC',
    path: path => path.includes('tmp'),
  })
  await expect(settled(machine, db.query(descending).all())).rejects.toMatchObject({ code: 'disk_full' })
  disarm()
  const reader = db.query(descending)[Symbol.asyncIterator]()
  await settled(machine, reader.next())
  machine.kill()
  expect(temporary(machine).length).toBeGreaterThan(0)
  const { db: reopened } = await openOn(machine)
  expect(temporary(machine)).toEqual([])
  await settled(machine, reopened.close())
})

test('with the least memory, groups of several keys find their way to files whatever their number', async () => {
  const count = 20_000
  const machine = new SimulatedMachine(1)
  const { db } = await openOn(machine, { query: { memoryMaxBytes: 2 ** 20 }, fsync: 'none' })
  const rowsOf = (host: number) =>
    range(0, count / 7).map(i => ({ series: 'm', ts: 1000 * i, tags: { host: `h${host}` }, value: i }))
  await settled(machine, db.ingest(range(0, 7).flatMap(rowsOf), { precision: 'us' }))
  await settled(machine, db.flush())
  const text = 'select time, series, sum(value) s, count(*) n from m group by time, series'
  const { rows: groups } = await settled(machine, db.query<{ n: number }>(text).all())
  expect(groups.length).toBe(db.stats().ingest.rows)
  expect(groups.every(({ n }) => n === 1)).toBe(true)
  expect(temporary(machine)).toEqual([])
  await settled(machine, db.close())
})
