/** Deletes on damaged and restarted directories; what they mean for rows is in `test/model/deletes.test.ts`. */
import { describe, expect, test } from 'vitest'
import { tombstonesMax } from '../../src/storage/tombstones/tombstones.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, type Opened, openOn, range, rows, startUs, values, walFrames } from './support.ts'

describe('deletes', () => {
  const count = async (db: Opened['db']) => (await db.query('select count(*) as n from cpu').first())?.['n']
  const remove = (db: Opened['db'], from: number, to: number, where = '') =>
    db.query(`delete from cpu where time >= ${startUs + from * 1e6} and time < ${startUs + to * 1e6}${where}`).all()

  /** Rows 0-9 of a and b in a segment, a's 0-3 deleted in the manifest, b's 5-9 in the WAL. */
  async function deletedMachine(): Promise<SimulatedMachine> {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine)
    await ingest(db, [...rows(0, 10), ...rows(0, 10, 'b')])
    await db.flush()
    await remove(db, 0, 4, ` and tag.host = 'a'`)
    await db.flush()
    await remove(db, 5, 10, ` and tag.host = 'b'`)
    machine.kill()
    return machine
  }
  const left = [...range(4, 10), ...range(0, 5)].sort((a, b) => a - b)

  test('are there after a restart, those in the manifest and those in the WAL', async () => {
    const machine = await deletedMachine()
    for (let again = 0; again < 3; again++) {
      const { db } = await openOn(machine)
      expect(await values(db)).toEqual(left)
      expect(db.stats().tombstones).toBe(2)
      if (again < 2) machine.crash()
      else await db.close()
    }
  })

  test('whose WAL frame is damaged are undone, and told of', async () => {
    const machine = await deletedMachine()
    const frames = walFrames(machine)
    const { db: writer } = await openOn(machine)
    await ingest(writer, rows(20, 21))
    machine.kill()
    machine.disk.damage('data/wal/current.wal', frames.at(-1)! + 40)
    const { db, events } = await openOn(machine)
    const lost = events.flatMap(event => (event.kind === 'wal-corruption' ? [[event.lostFrom, event.lostTo]] : []))
    expect(lost).toEqual([[3, 3]])
    expect(await values(db)).toEqual([...range(4, 10), ...range(0, 10), 20].sort((a, b) => a - b))
    await db.close()
  })

  test('survive a damaged manifest but for those in the damaged line', async () => {
    const machine = await deletedMachine()
    const { db: writer } = await openOn(machine)
    // what the newest flush brought is replayed from the log, and with it younger deletes
    for (let row = 20; row < 23; row++) {
      await ingest(writer, rows(row, row + 1))
      await writer.flush()
    }
    machine.kill()
    machine.disk.damage('data/MANIFEST', 20)
    const { db } = await openOn(machine)
    expect(await values(db)).toEqual([...left, 20, 21, 22])
    machine.kill()
    const text = new TextDecoder().decode(machine.disk.contents('data/MANIFEST'))
    machine.disk.damage('data/MANIFEST', text.indexOf('"fromUs"'))
    const again = await openOn(machine)
    expect(await values(again.db)).toEqual([...range(0, 10), ...range(0, 10), 20, 21, 22].sort((a, b) => a - b))
    await again.db.close()
  })

  test('mean the same series when the catalog is made anew', async () => {
    const machine = await deletedMachine()
    const { db: closed } = await openOn(machine)
    await closed.flush()
    await closed.close()
    machine.disk.damage('data/catalog.log', 30)
    const { db } = await openOn(machine)
    expect(await values(db)).toEqual(left)
    await ingest(db, rows(0, 1))
    expect(await values(db)).toEqual([0, ...left].sort((a, b) => a - b))
    await db.close()
  })

  test('by the hundred between rows make the memtable full', async () => {
    const { db } = await openOn(new SimulatedMachine(), { fsync: 'none' })
    for (let n = 0; n < 300; n++) {
      await ingest(db, rows(2 * n, 2 * n + 2))
      await remove(db, 2 * n, 2 * n + 1)
    }
    await db.flush()
    expect(db.stats()).toMatchObject({ flushes: 2, segments: { rows: 300 }, tombstones: 0 })
    expect(await values(db)).toEqual(range(0, 300).map(n => 2 * n + 1))
    await db.close()
  })

  test('are too many when so many hide rows, until one covers them', async () => {
    const machine = new SimulatedMachine()
    const { db } = await openOn(machine, { fsync: 'none' })
    await ingest(db, rows(0, 2 * tombstonesMax))
    await db.flush()
    const remover = db.prepare('delete from cpu where time >= ? and time < ?')
    for (let n = 0; n < tombstonesMax; n++)
      await remover.query([startUs + 2 * n * 1e6, startUs + (2 * n + 1) * 1e6]).all()
    await expect(remove(db, 1, 2)).rejects.toMatchObject({
      code: 'overloaded',
      hint: expect.stringContaining('larger ranges'),
    })
    expect(await count(db)).toBe(tombstonesMax)
    await db.flush()
    expect(await count(db)).toBe(tombstonesMax)
    await remove(db, 0, 101)
    expect(db.stats().tombstones).toBe(tombstonesMax - 50)
    await remove(db, 101, 102)
    await db.close()
    const again = await openOn(machine)
    expect(await count(again.db)).toBe(tombstonesMax - 51)
    await again.db.close()
  }, 60_000)
})
