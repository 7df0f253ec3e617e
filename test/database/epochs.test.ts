/** A reader sees its moment, whatever happens meanwhile, and holds it no longer than it may. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, range, rows, segmentPaths, settled, values } from './support.ts'

const dayMs = 86_400_000
const nothingHeld = { pins: 0, oldestPinMs: 0, filesWaiting: 0, bytesWaiting: 0 }

/** The values that a scan has left to give. */
async function rest(reading: AsyncIterator<{ value: number }>): Promise<number[]> {
  const found: number[] = []
  for (let next = await reading.next(); next.done !== true; next = await reading.next()) found.push(next.value.value)
  return found
}

describe('a reader', () => {
  let machine: SimulatedMachine
  let db: Database
  beforeEach(() => {
    machine = new SimulatedMachine()
    machine.nowUs += 3600e6
  })
  const openWith = async (settings: SettingsInput = {}): Promise<void> => {
    const opened = await openOn(machine, { flushIntervalMs: 0, ...settings })
    db = opened.db
  }
  const scan = (options = {}) =>
    db.query<{ value: number }>('select time, value from cpu', [], options)[Symbol.asyncIterator]()

  test('that is slow gets exactly its moment, through writes, deletes, flushes, merges, snapshots and expiry', async () => {
    await openWith({ retentionDays: 2 })
    await ingest(db, rows(0, 3000))
    await settled(machine, db.flush())
    await ingest(db, rows(3000, 6000))
    await settled(machine, db.flush())
    await ingest(db, rows(6000, 7000))

    const early = scan()
    const first = (await early.next()).value.value
    await ingest(
      db,
      rows(0, 1000).map(row => ({ ...row, value: -1 })),
    )
    await settled(
      machine,
      db.query("delete from cpu where time >= '2026-01-01T00:30:00Z' and time < '2027-01-01'").all(),
    )
    const late = scan()
    const lateFirst = (await late.next()).value.value
    await settled(machine, db.flush())
    await settled(machine, db.snapshot('before'))
    await settled(machine, db.compact())
    await settled(machine, db.restore('before'))
    await settled(machine, db.compact())
    expect(db.stats().compaction).toMatchObject({ failed: 0 })
    expect(db.stats().compaction.merges).toBeGreaterThan(0)
    expect(await values(db)).toEqual([...Array(1000).fill(-1), ...range(1000, 1800)])
    // files of before are there, and go when nobody reads them any more
    const { versions, segments } = db.stats()
    expect(versions).toMatchObject({ pins: 2 })
    expect(versions.filesWaiting).toBeGreaterThanOrEqual(2)
    expect(segmentPaths(machine)).toHaveLength(segments.count + versions.filesWaiting)

    await machine.advance(3 * dayMs)
    expect(await values(db)).toEqual([])
    expect(db.stats().segments.count).toBe(0)
    expect(db.stats().versions).toMatchObject({ pins: 2, oldestPinMs: expect.closeTo(3 * dayMs, -5) })
    expect([first, ...(await rest(early))]).toEqual(range(0, 7000))
    expect(db.stats().versions.pins).toBe(1)
    expect([lateFirst, ...(await rest(late))].sort((a, b) => a - b)).toEqual([
      ...Array(1000).fill(-1),
      ...range(1000, 1800),
    ])
    expect(db.stats().versions).toEqual(nothingHeld)
    expect(segmentPaths(machine)).toEqual([])
    await settled(machine, db.close())
  })

  test('that stopped pulling is let go at the timeout, and told when it comes back', async () => {
    await openWith({ query: { timeoutMs: 5000 } })
    await ingest(db, rows(0, 30_000))
    await settled(machine, db.flush())
    const reading = scan()
    await reading.next()
    await machine.advance(4000)
    expect(db.stats().versions).toMatchObject({ pins: 1, oldestPinMs: 4000 })
    await machine.advance(1001)
    expect(db.stats().versions).toEqual(nothingHeld)
    expect(db.stats().queries).toMatchObject({ running: 0, failed: 1, cancelled: 0 })
    // what it was given before is still its own
    await expect(rest(reading)).rejects.toMatchObject({ code: 'query_timeout' })
    expect(db.stats().queries).toMatchObject({ running: 0, failed: 1, cancelled: 0 })
    await settled(machine, db.close())
  })

  test('that went away without a word is let go when its signal says so, or the database closes', async () => {
    await openWith()
    await ingest(db, rows(0, 30_000))
    const abort = new AbortController()
    const [aborted, forgotten] = [scan({ signal: abort.signal }), scan()]
    await aborted.next()
    await forgotten.next()
    abort.abort()
    await machine.advance(0)
    expect(db.stats().versions.pins).toBe(1)
    expect(db.stats().queries).toMatchObject({ running: 1, cancelled: 1 })
    await settled(machine, db.close())
    expect(db.stats().versions.pins).toBe(0)
    await expect(rest(aborted)).rejects.toMatchObject({ code: 'cancelled' })
    await expect(rest(forgotten)).rejects.toMatchObject({ code: 'shutting_down' })
  })

  test('that ends by itself frees what it held once', async () => {
    await openWith({ query: { timeoutMs: 5000 } })
    await ingest(db, rows(0, 10))
    for await (const row of db.query('select value from cpu')) {
      expect(row).toEqual({ value: 0 })
      break
    }
    expect(await values(db)).toEqual(range(0, 10))
    await machine.advance(6000)
    expect(db.stats().versions).toEqual(nothingHeld)
    expect(db.stats().queries).toMatchObject({ started: 2, running: 0, failed: 0, cancelled: 1 })
    await settled(machine, db.close())
  })
})
