/** `await using`: what is left by the end of its scope, or by an error, is let go of. */
import { describe, expect, test } from 'vitest'
import { type Database, open } from '../../src/index.ts'
import { openOn, rows, settled, turn, values } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

const line = (n: number): Uint8Array => new TextEncoder().encode(`{"series":"cpu","ts":${n},"value":${n}}\n`)

test('a database is closed: what it took is in segments, and the directory is free', async () => {
  const machine = new SimulatedMachine()
  const use = async (): Promise<Database> => {
    await using db = await open({ dataDir: 'data' }, machine.ports)
    await db.ingest(rows(0, 5))
    return db
  }
  const db = await settled(machine, use())
  expect(() => db.ingestStream()).toThrow(expect.objectContaining({ code: 'shutting_down' }))
  await expect(db.query('select value from cpu').all()).rejects.toMatchObject({ code: 'shutting_down' })
  expect(db[Symbol.asyncDispose]()).toBe(db.close())
  expect(machine.disk.paths()).not.toContain('data/LOCK')
  const { db: again } = await openOn(machine)
  expect(await values(again)).toHaveLength(5)
  await settled(machine, again.close())
})

describe('an ingest stream', () => {
  test('that an error leaves is cut: whole lines are stored, the broken one is not', async () => {
    await using db = await open(':memory:')
    const use = async (): Promise<void> => {
      await using stream = db.ingestStream()
      await stream.write(line(1))
      await stream.write(line(2).subarray(0, 20))
      throw new Error('the socket broke')
    }
    await expect(use()).rejects.toThrow('the socket broke')
    expect(await values(db)).toEqual([1])
  })

  test('that has ended is left alone', async () => {
    await using db = await open(':memory:')
    await using stream = db.ingestStream()
    await stream.write(line(1).subarray(0, line(1).length - 1))
    expect(await stream.end()).toMatchObject({ ingested: 1 })
  })
})

test('the reader of a live query is closed', async () => {
  await using db = await open(':memory:')
  const use = async (): Promise<void> => {
    await using reader = db.live('select value from cpu', [], { history: 'all' }).reader()
    expect(await reader.next()).toMatchObject({ value: { kind: 'snapshot' } })
    expect(db.stats().live.subscriptions).toBe(1)
  }
  await db.ingest(rows(0, 1))
  await use()
  expect(db.stats().live).toMatchObject({ subscriptions: 0, queries: 0 })
})

describe('the result of a query', () => {
  const text = 'select value from cpu'

  test('ends where it is read by hand and left; later pulls are told', async () => {
    await using db = await open(':memory:')
    await db.ingest(rows(0, 50_000))
    const left = await (async () => {
      await using result = db.query(text)
      const reading = result[Symbol.asyncIterator]()
      expect(await reading.next()).toMatchObject({ done: false })
      expect(db.stats()).toMatchObject({ queries: { running: 1 }, versions: { pins: 1 } })
      return reading
    })()
    expect(db.stats()).toMatchObject({ queries: { running: 0, cancelled: 1 }, versions: { pins: 0 } })
    const rest = async (): Promise<void> => {
      while ((await left.next()).done !== true);
    }
    await expect(rest()).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('that is read elsewhere ends there', async () => {
    await using db = await open(':memory:')
    await db.ingest(rows(0, 50_000))
    const result = db.query('select a.value, b.value as other from cpu a join cpu b on time within 1m')
    const reading = result.all()
    reading.catch(() => {})
    await turn()
    await result[Symbol.asyncDispose]()
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
    expect(db.stats().versions.pins).toBe(0)
  })

  test('that was read, or never was, holds nothing', async () => {
    await using db = await open(':memory:')
    await db.ingest(rows(0, 3))
    const read = db.query(text)
    expect((await read.all()).rows).toHaveLength(3)
    await read[Symbol.asyncDispose]()
    await read[Symbol.asyncDispose]()
    expect(read.stats().rows_emitted).toBe(3)
    const unread = db.query(text)
    await unread[Symbol.asyncDispose]()
    await expect(unread.all()).rejects.toMatchObject({ code: 'bad_request' })
    expect(db.stats().queries).toMatchObject({ started: 1, running: 0, cancelled: 0 })
  })
})
