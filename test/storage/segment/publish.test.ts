/** A published segment is there whole, whatever happens to the machine; one that was not is not there. */
import { describe, expect, test } from 'vitest'
import { publishSegment, segmentPath, temporarySuffix } from '../../../src/storage/segment/publish.ts'
import { SimulatedDisk } from '../../simulated/disk.ts'

const path = segmentPath('d-2024-03-01', '7')
const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i * 31)
const disk = (): SimulatedDisk => {
  const made = new SimulatedDisk(3)
  made.files.makeDirectory('data')
  return made
}
const withDataDir = async (): Promise<SimulatedDisk> => {
  const made = disk()
  await made.files.syncDirectory('')
  return made
}

describe('publishSegment', () => {
  test('survives a loss of power once it has resolved', async () => {
    const before = await withDataDir()
    await publishSegment(before, 'data', path, bytes)
    for (let seed = 0; seed < 50; seed++) {
      const after = before.afterCrash(seed)
      expect(after.paths()).toEqual([`data/${path}`])
      expect(after.contents(`data/${path}`)).toEqual(bytes)
    }
  })

  test('after a crash at any step the file is whole or not there under its name', async () => {
    const before = await withDataDir()
    let steps = 0
    before.onCall = () => {
      for (let seed = 0; seed < 10; seed++) {
        const after = before.afterCrash(steps * 100 + seed)
        if (after.paths().includes(`data/${path}`)) expect(after.contents(`data/${path}`)).toEqual(bytes)
      }
      steps++
    }
    await publishSegment(before, 'data', path, bytes)
    expect(steps).toBeGreaterThan(8)
  })

  test('a failure at any call is told, leaves nothing half-made, and the next try succeeds durably', async () => {
    for (const call of ['makeDirectory', 'open', 'truncate', 'write', 'dataSync', 'rename', 'syncDirectory'] as const) {
      for (const nth of call === 'syncDirectory' ? [1, 2, 3] : [1]) {
        for (const [errno, code] of [
          ['ENOSPC', 'disk_full'],
          ['EIO', 'io_error'],
        ] as const) {
          const machine = await withDataDir()
          machine.fail({ call, nth, code: errno, writtenBytes: 1000 })
          await expect(publishSegment(machine, 'data', path, bytes)).rejects.toMatchObject({ code })
          expect(machine.paths()).not.toContain(`data/${path}${temporarySuffix}`)
          if (machine.paths().length > 0) expect(machine.contents(`data/${path}`)).toEqual(bytes)
          await publishSegment(machine, 'data', path, bytes)
          for (let seed = 0; seed < 5; seed++) expect(machine.afterCrash(seed).contents(`data/${path}`)).toEqual(bytes)
        }
      }
    }
  })

  test('what an earlier process left under the temporary name is overwritten', async () => {
    const machine = await withDataDir()
    machine.files.makeDirectory('data/segments/d-2024-03-01')
    const left = machine.files.open(`data/${path}${temporarySuffix}`, 'create')
    left.write(new Uint8Array(9000).fill(9), 0)
    left.close()
    await publishSegment(machine, 'data', path, bytes)
    expect(machine.contents(`data/${path}`)).toEqual(bytes)
  })
})
