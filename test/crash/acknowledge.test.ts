/** What a writer is told while it writes: lines are named safe only when they and all before them are. */
import { describe, expect, test } from 'vitest'
import { openOn, settled, values } from '../database/support.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

const encoder = new TextEncoder()
const lines = (from: number, to: number, text = ''): Uint8Array =>
  encoder.encode(
    Array.from({ length: to - from }, (_, i) => {
      const value = from + i
      return `{"series":"cpu","ts":${1767225600000000 + value},"fields":{"value":${value},"text":"${text}${value}"}}\n`
    }).join(''),
  )

describe('acknowledgements', () => {
  test('stop at lines that were refused, though later ones are stored', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const told: number[] = []
    const stream = db.ingestStream({ precision: 'us', onCommit: progress => told.push(progress.lines) })
    machine.disk.holdSyncs()
    stream.write(lines(0, 10))
    await machine.advance(1)
    // So much that it is several groups: the first cannot be written, the others and what follows can.
    machine.disk.fail({ call: 'write', code: 'ENOSPC', path: path => path.includes('wal') })
    stream.write(lines(10, 210, 'x'.repeat(60_000)))
    await machine.advance(1)
    stream.write(lines(210, 220))
    await machine.advance(1)
    machine.disk.releaseSyncs()
    const report = await settled(machine, stream.end())
    const stored = new Set(await values(db))
    const safe = told.at(-1) ?? 0
    for (let value = 0; value < safe; value++) expect(stored, `line ${value + 1} of ${safe}`).toContain(value)
    expect(stored).toContain(219)
    expect(safe).toBe(10)
    expect(report.ingested).toBe(stored.size)
    expect(report.ingested).toBeLessThan(220)
    expect(report.failure?.code).toBe('disk_full')
    await db.close()
  })

  test('name no line of a chunk before all of the chunk is durable', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const told: { readonly lines: number; readonly held: number }[] = []
    machine.disk.holdSyncs()
    const stream = db.ingestStream({
      precision: 'us',
      onCommit: ({ lines: safe }) => told.push({ lines: safe, held: machine.disk.heldSyncs }),
    })
    // so much that it is more than one batch: the first is a commit of its own
    stream.write(lines(0, 200_000))
    const ended = stream.end()
    await machine.advance(1)
    while (db.stats().commits === 0) {
      machine.disk.releaseSyncs(1)
      await machine.advance(1)
    }
    expect(told).toEqual([])
    machine.disk.releaseSyncs()
    expect(await settled(machine, ended)).toMatchObject({ ingested: 200_000 })
    expect(told).toEqual([{ lines: 200_000, held: 0 }])
    await db.close()
  })

  test('come after the rows can be read and are durable', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const found: Promise<number[]>[] = []
    const stream = db.ingestStream({ precision: 'us', onCommit: () => found.push(values(db)) })
    stream.write(lines(0, 10))
    await settled(machine, stream.end())
    machine.crash()
    expect(await found[0]).toEqual(Array.from({ length: 10 }, (_, i) => i))
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual(Array.from({ length: 10 }, (_, i) => i))
    await again.db.close()
  })

  test('of more new series at once than one log frame announces', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const padding = 'x'.repeat(1000)
    const text = Array.from(
      { length: 20_000 },
      (_, i) => `{"series":"cpu","ts":${1767225600000000 + i},"value":${i},"tags":{"host":"${padding}${i}"}}\n`,
    ).join('')
    const stream = db.ingestStream({ precision: 'us' })
    stream.write(encoder.encode(text))
    expect(await settled(machine, stream.end())).toMatchObject({ ingested: 20_000, failure: undefined })
    expect(db.stats().wal.frames).toBeGreaterThan(db.stats().commits)
    machine.kill()
    const again = await openOn(machine)
    expect(again.db.stats().series).toBe(20_000)
    expect((await values(again.db)).length).toBe(20_000)
    expect(await again.db.query('select value from cpu where tag.host = ?', [`${padding}777`]).all()).toMatchObject({
      rows: [{ value: 777 }],
    })
    await again.db.close()
  })

  test('of rows that merge: they are one row, and counted as one', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    const count = async () => (await db.query('select count(*) as n from cpu').first())?.['n']
    for (let n = 0; n < 3; n++) {
      await db.ingest([{ series: 'cpu', ts: 1767225600000000, fields: { [`f${n}`]: n } }], { precision: 'us' })
      expect(await count()).toBe(1)
    }
    await db.flush()
    expect(await count()).toBe(1)
    await db.ingest([{ series: 'cpu', ts: 1767225600000000, fields: { f0: 7 } }], { precision: 'us' })
    expect(await count()).toBe(1)
    expect(await db.query('select f0, f1, f2 from cpu').all()).toMatchObject({ rows: [{ f0: 7, f1: 1, f2: 2 }] })
    await db.close()
  })
})
