/** A database made of a snapshot in another directory, on the simulated machine. */
import { expect, test } from 'vitest'
import { collectIn, restoreDirectory, snapshotsIn } from '../../src/engine/snapshots/directories.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import { ingest, openOn, range, rows, settled, values } from './support.ts'

/** A machine with `backup` of ten rows, whose `data` goes on to twenty; nobody has them open. */
async function withBackup(seed = 1) {
  const machine = new SimulatedMachine(seed)
  const { db } = await openOn(machine)
  await settled(machine, ingest(db, rows(0, 10)))
  await settled(machine, db.snapshot('ten', { to: 'backup' }))
  await settled(machine, ingest(db, rows(10, 20)))
  await settled(machine, db.close())
  return machine
}

const restored = (
  machine: SimulatedMachine,
  directory: string,
  options: { replace?: boolean; dryRun?: boolean } = {},
) => settled(machine, restoreDirectory(machine.ports, 'backup', directory, options))

async function valuesIn(machine: SimulatedMachine, dataDir: string): Promise<number[]> {
  const { db } = await openOn(machine, { dataDir })
  const found = await values(db)
  await settled(machine, db.close())
  return found
}

test('an empty directory becomes the database, which goes on by itself', async () => {
  const machine = await withBackup()
  const { snapshot } = await restored(machine, 'new')
  expect(snapshot.names).toEqual(['ten'])
  const { db } = await openOn(machine, { dataDir: 'new' })
  expect(await values(db)).toEqual(range(0, 10))
  await settled(machine, ingest(db, [...rows(50, 60), ...rows(0, 5, 'other')]))
  await settled(machine, db.snapshot('own'))
  // Incremental, into the same directory of copies, though it is another database now.
  await settled(machine, db.snapshot('branch', { to: 'backup' }))
  expect(await values(db)).toHaveLength(25)
  await settled(machine, db.close())
  expect(await valuesIn(machine, 'data')).toEqual(range(0, 20))
  expect(
    snapshotsIn(machine.ports, 'backup')
      .flatMap(({ names }) => names)
      .sort(),
  ).toEqual(['branch', 'ten'])
  await settled(machine, collectIn(machine.ports, 'backup', ['branch']))
  expect(await settled(machine, restoreDirectory(machine.ports, 'backup', 'third', { ref: 'ten' }))).toMatchObject({})
  expect(await valuesIn(machine, 'third')).toEqual(range(0, 10))
})

test('a directory that has a database is refused unless it is to be replaced', async () => {
  const machine = await withBackup()
  await expect(restored(machine, 'data')).rejects.toMatchObject({ code: 'already_exists' })
  await restored(machine, 'data', { replace: true, dryRun: true })
  expect(await valuesIn(machine, 'data')).toEqual(range(0, 20))
  const { db } = await openOn(machine)
  await expect(restored(machine, 'data', { replace: true })).rejects.toMatchObject({ code: 'directory_in_use' })
  await settled(machine, db.close())
  await restored(machine, 'data', { replace: true })
  expect(await valuesIn(machine, 'data')).toEqual(range(0, 10))
})

test('a damaged copy is found before anything changes', async () => {
  const machine = await withBackup()
  const paths = machine.disk.paths().filter(path => path.startsWith('backup/objects/'))
  for (const path of paths) {
    machine.disk.damage(path, 12)
    await expect(restored(machine, 'data', { replace: true }), path).rejects.toMatchObject({ code: 'corrupt_object' })
    machine.disk.damage(path, 12)
  }
  expect(await valuesIn(machine, 'data')).toEqual(range(0, 20))
  expect(machine.disk.paths().filter(path => path.endsWith('.restore'))).toEqual([])
})

test('no snapshots, no restore', async () => {
  const machine = await withBackup()
  await expect(restoreDirectory(machine.ports, 'nowhere', 'new')).rejects.toMatchObject({ code: 'not_found' })
  await expect(restoreDirectory(machine.ports, 'backup', 'new', { ref: 'eleven' })).rejects.toMatchObject({
    code: 'not_found',
  })
})

test('a power loss at any call leaves the old database or the new one', { timeout: 60_000 }, async () => {
  const machine = await withBackup(4)
  const disks: SimulatedMachine['disk'][] = []
  machine.disk.onCall = () => disks.push(machine.disk.afterCrash(disks.length))
  await restored(machine, 'data', { replace: true })
  machine.disk.onCall = () => {}
  disks.push(machine.disk.afterCrash(99))
  const seen = new Set<number>()
  for (const [index, disk] of disks.entries()) {
    // Opening a database takes a while: some moments of all, unless every one is asked for.
    const isSampled = index % 6 === 0 || index === disks.length - 1
    if (!isSampled && process.env['SYDRADB_CRASH_RUNS'] === undefined) continue
    const after = new SimulatedMachine(index, disk)
    after.kill()
    const found = await valuesIn(after, 'data')
    seen.add(found.length)
    expect(found, `call ${index}`).toEqual(range(0, found.length === 10 ? 10 : 20))
    expect(
      after.disk.paths().filter(path => /\.restore$|RESTORE/.test(path)),
      `call ${index}`,
    ).toEqual([])
  }
  expect([...seen].sort()).toEqual([10, 20])
})
