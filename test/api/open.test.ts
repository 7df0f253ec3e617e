/** What is opened with beside settings, and what a program learns of series from commits. */
import { firstValueFrom } from 'rxjs'
import { expect, test } from 'vitest'
import { open, verify } from '../../src/index.ts'
import { openOn, rows, settled } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

test('parts of the machine are replaced, those that are undefined are not', async () => {
  const nowUs = Date.UTC(2030, 0, 1) * 1000
  const clock = { nowUs: () => nowUs, monotonicMs: () => performance.now() }
  await using db = await open(':memory:', {
    clock,
    files: undefined,
    timers: undefined,
    log: undefined,
    signal: undefined,
  })
  await db.ingest([{ series: 'cpu', value: 1 }])
  expect(await db.query('select time, now() as now from cpu').first()).toEqual({ time: nowUs, now: nowUs })
})

test('the log says what nobody else is told', async () => {
  const machine = new SimulatedMachine()
  const { db } = await openOn(machine)
  await settled(machine, db.ingest(rows(0, 1)))
  machine.disk.fail({ call: 'write', path: path => path.includes('segments/'), code: 'ENOSPC', times: Infinity })
  await settled(machine, db.close())
  expect(machine.log).toMatchObject([{ level: 'warn', message: expect.stringContaining('flush') }])
  expect(await settled(machine, verify('data', machine.ports).all())).toMatchObject({ ok: true })
})

test('a commit names its series by numbers that say which they are', async () => {
  await using db = await open(':memory:')
  await db.ingest([{ series: 'cpu', value: 1, tags: { host: 'a' } }])
  const commit = firstValueFrom(db.committed$)
  await db.ingest([
    { series: 'cpu', value: 1, tags: { host: 'b' } },
    { series: 'weather', value: 2 },
  ])
  const { batches } = await commit
  const printed = batches.flatMap(({ metrics }) =>
    metrics.flatMap(({ series }) => Array.from(series, ordinal => db.seriesAt(ordinal).printed)),
  )
  expect(printed).toEqual(['cpu{host="b"}', 'weather'])
  expect(db.seriesAt(0)).toEqual([...db.series()][0])
  for (const none of [3, -1, 0.5, Number.NaN])
    expect(() => db.seriesAt(none)).toThrow(expect.objectContaining({ code: 'not_found' }))
})
