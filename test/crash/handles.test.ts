/** A file that cannot be read for a moment leaves no handle open, whoever reads it. */
import { expect, test } from 'vitest'
import { verifyDirectory } from '../../src/engine/recovery/verify.ts'
import { open } from '../../src/index.ts'
import { SimulatedMachine } from '../simulated/machine.ts'

async function machineWithRows(): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine()
  const db = await open({ dataDir: 'data' }, machine.ports)
  await db.ingest([{ series: 'cpu', value: 1 }])
  machine.kill()
  return machine
}

test.each(['read', 'size'] as const)('opening and verifying with a %s that fails', async call => {
  for (let nth = 1; nth < 8; nth++) {
    const machine = await machineWithRows()
    const disarm = machine.disk.fail({ call, nth, path: path => path.includes('wal') })
    const verify = async (): Promise<void> => {
      for await (const _ of verifyDirectory(machine.ports, 'data'));
    }
    await verify().catch((error: unknown) => expect(error).toMatchObject({ code: 'io_error' }))
    expect(machine.disk.openHandles()).toEqual([])
    disarm()
    machine.disk.fail({ call, nth, path: path => path.includes('wal') })
    const opened = await open({ dataDir: 'data' }, machine.ports).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'io_error' })
    })
    await opened?.close()
    expect(machine.disk.openHandles()).toEqual([])
  }
})

test('opening that fails at a flush which was not finished, after the log was looked into', async () => {
  const machine = await machineWithRows()
  const { files } = machine.ports
  files.makeDirectory('data/segments/all')
  files.open('data/segments/all/0000000001.seg', 'create').close()
  machine.disk.fail({ call: 'open', code: 'EMFILE', path: path => path.includes('segments') })
  await expect(open({ dataDir: 'data' }, machine.ports)).rejects.toMatchObject({ code: 'io_error' })
  expect(machine.disk.openHandles()).toEqual([])
})

test('a merge that cannot read its inputs', async () => {
  for (let nth = 1; nth <= 6; nth++) {
    const machine = await machineWithRows()
    machine.nowUs += 30 * 86_400e6
    const db = await open({ dataDir: 'data' }, machine.ports)
    machine.disk.fail({ call: 'read', nth, path: path => path.includes('segments') })
    await db.compact().catch((error: unknown) => expect(error).toMatchObject({ code: 'io_error' }))
    await db.close()
    expect(machine.disk.openHandles()).toEqual([])
  }
})
