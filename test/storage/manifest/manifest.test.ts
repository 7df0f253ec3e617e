import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SydraError } from '../../../src/lib/errors.ts'
import { encodeCheckpoint, salvageManifest } from '../../../src/storage/manifest/log.ts'
import { createManifest, type Manifest, openManifest } from '../../../src/storage/manifest/manifest.ts'
import {
  applyEdit,
  type ManifestEdit,
  type ManifestState,
  newManifestState,
} from '../../../src/storage/manifest/state.ts'
import type { SegmentMeta } from '../../../src/storage/types.ts'
import type { Fault, SimulatedDisk } from '../../simulated/disk.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'

const directory = 'data'
const path = 'data/MANIFEST'

const segment = (number: number): SegmentMeta => ({
  id: `s${number}`,
  path: `segments/day/größe-${number}.seg`,
  minTimeUs: number,
  maxTimeUs: number + 10,
  minLsn: number,
  maxLsn: number,
  rows: 5,
  bytes: 100,
})
const flushOf = (number: number): ManifestEdit => ({
  add: [segment(number)],
  flushedLsn: number,
  nextSegment: number + 1,
})
const fresh = () => newManifestState(new Uint8Array(16).fill(0xab), 'last')

async function newMachine(seed = 1): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine(seed)
  machine.ports.files.makeDirectory(directory)
  await machine.ports.files.syncDirectory('')
  return machine
}
async function withEdits(machine: SimulatedMachine, count: number, editsMax = 1000): Promise<Manifest> {
  const manifest = await createManifest(machine.ports, directory, fresh(), { editsMax })
  for (let i = 1; i <= count; i++) await manifest.apply(flushOf(i))
  return manifest
}
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: SydraError) => error.code,
  )

describe('a manifest', () => {
  test('is not there at first, and then holds what was applied', async () => {
    const machine = await newMachine()
    expect(await openManifest(machine.ports, directory)).toBeUndefined()
    const manifest = await withEdits(machine, 3)
    await manifest.apply({ remove: ['s2'], add: [segment(4)], incarnation: 2 })
    machine.crash()
    const again = await openManifest(machine.ports, directory)
    expect(again?.state).toEqual(manifest.state)
    expect(again?.state).toEqual({
      databaseId: 'ab'.repeat(16),
      incarnation: 2,
      duplicates: 'last',
      flushedLsn: 3,
      nextSegment: 4,
      segments: [segment(1), segment(3), segment(4)],
      tombstones: [],
    })
  })

  test('shows an edit when it is durable, in the order of the calls', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 0)
    const before = manifest.state
    machine.disk.holdSyncs()
    const both = Promise.all([manifest.apply(flushOf(1)), manifest.apply(flushOf(2))])
    await new Promise(resolve => setImmediate(resolve))
    expect(manifest.state).toBe(before)
    machine.disk.releaseSyncs()
    await both
    expect(manifest.state.flushedLsn).toBe(2)
    expect(before.segments).toEqual([])
  })

  test('is written anew when its log is long', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 25, 10)
    expect(new TextDecoder().decode(machine.disk.contents(path)).trim().split('\n').length).toBe(1 + 5)
    expect(machine.disk.paths()).toEqual([path])
    machine.crash()
    expect((await openManifest(machine.ports, directory))?.state).toEqual(manifest.state)
  })

  test.each(['open', 'write', 'rename'] as const)('goes on with a long log when it cannot be (%s)', async call => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 9, 10)
    // The log's own file was opened under the temporary name: its write comes first.
    machine.disk.fail({ call, path: name => name.endsWith('.tmp'), nth: call === 'write' ? 2 : 1 })
    await manifest.apply(flushOf(10))
    await manifest.apply(flushOf(11))
    await manifest.apply(flushOf(12))
    machine.crash()
    expect((await openManifest(machine.ports, directory))?.state).toEqual(manifest.state)
  })

  test('fails exactly the edit that cannot be written', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 1)
    for (const [code, expected] of [
      ['ENOSPC', 'disk_full'],
      ['EIO', 'io_error'],
    ] as const) {
      machine.disk.fail({ call: 'write', code, writtenBytes: 30 })
      expect(await rejection(manifest.apply(flushOf(2)))).toBe(expected)
    }
    expect(manifest.state.flushedLsn).toBe(1)
    await manifest.apply(flushOf(3))
    machine.kill()
    expect((await openManifest(machine.ports, directory))?.state.segments.map(({ id }) => id)).toEqual(['s1', 's3'])
  })

  test('takes no more edits when one cannot be synced', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 1)
    machine.disk.fail({ call: 'dataSync' })
    expect(await rejection(manifest.apply(flushOf(2)))).toBe('io_error')
    expect(await rejection(manifest.apply(flushOf(3)))).toBe('read_only')
    expect(manifest.state.flushedLsn).toBe(1)
  })

  test('rejects an edit that does not fit as a bug, and goes on', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 2)
    for (const edit of [{ remove: ['none'] }, { add: [segment(1)] }, { flushedLsn: 1 }]) {
      await expect(manifest.apply(edit)).rejects.toThrow()
    }
    await manifest.apply(flushOf(3))
    expect(manifest.state.segments.length).toBe(3)
  })
})

const tombstone = (lsn: number, series?: string) => ({
  lsn,
  metric: 'größe',
  fromUs: null,
  toUs: 9,
  ...(series === undefined ? {} : { series }),
})

describe('tombstones', () => {
  test('come with the edit of a flush and go with a later one, in the order of their LSNs', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 9)
    await manifest.apply({ addTombstones: [tombstone(7), tombstone(3, 'AQIDBAUGBwg=')] })
    await manifest.apply({ ...flushOf(10), addTombstones: [tombstone(10)], removeTombstones: [7] })
    expect(manifest.state.tombstones).toEqual([tombstone(3, 'AQIDBAUGBwg='), tombstone(10)])
    const text = new TextDecoder().decode(machine.disk.contents(path))
    expect(text.split('\n')[10]).toBe(
      '{"crc":"dc2863e9","n":10,"edit":{"addTombstones":[{"lsn":7,"metric":"größe","fromUs":null,"toUs":9},' +
        '{"lsn":3,"metric":"größe","fromUs":null,"toUs":9,"series":"AQIDBAUGBwg="}]}}',
    )
    machine.crash()
    expect((await openManifest(machine.ports, directory))?.state).toEqual(manifest.state)
    for (const edit of [
      { addTombstones: [tombstone(10)] },
      { removeTombstones: [7] },
      { addTombstones: [tombstone(11)] },
    ])
      await expect(manifest.apply(edit), JSON.stringify(edit)).rejects.toThrow()
  })

  test('are kept by a checkpoint, and are none in a manifest from before there were any', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 8, 10)
    await manifest.apply({ addTombstones: [tombstone(8)] })
    await manifest.apply(flushOf(11))
    expect((await openManifest(machine.ports, directory))?.state.tombstones).toEqual([tombstone(8)])

    const { tombstones: _, ...old } = fresh()
    const file = machine.ports.files.open(path, 'open')
    file.truncate(0)
    file.write(encodeCheckpoint(old as ManifestState, machine.ports.checksums), 0)
    expect((await openManifest(machine.ports, directory))?.state).toEqual(fresh())
  })

  test('are found in what is left of a damaged manifest', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 9, 10)
    await manifest.apply({ addTombstones: [tombstone(1), tombstone(2)] })
    for (const lsn of [3, 4, 5]) await manifest.apply({ addTombstones: [tombstone(lsn)], removeTombstones: [lsn - 2] })
    const whole = machine.disk.contents(path)
    const { checksums } = machine.ports
    const all = [1, 2, 3, 4, 5].map(lsn => tombstone(lsn))
    const salvaged = (bytes: Uint8Array) => {
      const { state, damagedLines } = salvageManifest(bytes, checksums)
      return { tombstones: state.tombstones, damagedLines }
    }
    expect(salvaged(whole)).toEqual({ tombstones: all, damagedLines: 0 })
    const second = whole.indexOf(10) + 1
    expect(salvaged(whole.with(second + 30, 0))).toEqual({
      tombstones: all.filter(({ lsn }) => lsn !== 3),
      damagedLines: 1,
    })
    expect(salvaged(whole.with(4, 0))).toEqual({ tombstones: all.slice(2), damagedLines: 1 })
    expect(salvaged(new Uint8Array(50))).toEqual({ tombstones: [], damagedLines: 1 })
  })
})

test('a manifest that a newer version wrote is refused, and is no damage', async () => {
  const machine = await newMachine()
  await withEdits(machine, 1)
  const text = new TextDecoder().decode(machine.disk.contents(path)).split('\n')[0]!
  const rest = text.slice(text.indexOf('"n"')).replace('"version":1', '"version":2')
  const crc = machine.ports.checksums.crc32(new TextEncoder().encode(rest)).toString(16).padStart(8, '0')
  const file = machine.ports.files.open(path, 'open')
  file.truncate(0)
  file.write(new TextEncoder().encode(`{"crc":"${crc}",${rest}\n`), 0)
  await expect(openManifest(machine.ports, directory)).rejects.toMatchObject({
    code: 'unsupported_version',
    message: expect.stringContaining('was written by a newer version'),
  })
})

describe('a damaged manifest', () => {
  test('is refused with the offset of the line, whichever byte it is', async () => {
    const machine = await newMachine()
    await withEdits(machine, 3)
    const whole = machine.disk.contents(path)
    const starts = [
      0,
      ...whole
        .entries()
        .filter(([, byte]) => byte === 10)
        .map(([at]) => at + 1),
    ]
    for (let at = 0; at < whole.length - 1; at++) {
      const copy = new SimulatedMachine()
      copy.ports.files.makeDirectory(directory)
      const line = starts.findLast(start => start <= at)!
      copy.ports.files.open(path, 'create').write(whole.with(at, whole[at]! ^ 1), 0)
      await expect(openManifest(copy.ports, directory), `byte ${at}`).rejects.toMatchObject({
        code: 'corrupt_manifest',
        message: expect.stringContaining(`${path} is damaged at byte ${line}`),
        hint: expect.stringContaining('rebuild'),
      })
    }
  })

  test('with a line missing is refused', async () => {
    const machine = await newMachine()
    await withEdits(machine, 3)
    const lines = new TextDecoder().decode(machine.disk.contents(path)).split('\n').toSpliced(2, 1)
    const file = machine.ports.files.open(path, 'open')
    file.truncate(0)
    file.write(new TextEncoder().encode(lines.join('\n')), 0)
    await expect(openManifest(machine.ports, directory)).rejects.toMatchObject({ code: 'corrupt_manifest' })
  })

  test('is cut where its last line was torn, and goes on from there', async () => {
    const machine = await newMachine()
    const manifest = await withEdits(machine, 2)
    const before = machine.disk.contents(path)
    await manifest.apply(flushOf(3))
    const whole = machine.disk.contents(path)
    for (let length = before.length + 1; length < whole.length; length++) {
      for (const padded of [whole.length, length]) {
        const copy = new SimulatedMachine()
        copy.ports.files.makeDirectory(directory)
        const bytes = new Uint8Array(padded)
        bytes.set(whole.subarray(0, length))
        if (padded > length) bytes[padded - 1] = 10
        copy.ports.files.open(path, 'create').write(bytes, 0)
        // Only the newline was lost by `padded` = the whole length: then nothing was.
        const opened = await openManifest(copy.ports, directory)
        expect(opened?.state.flushedLsn).toBe(padded > length && length === whole.length - 1 ? 3 : 2)
        await opened?.apply(flushOf(5))
        expect((await openManifest(copy.ports, directory))?.state).toEqual(opened?.state)
      }
    }
  })

  test('that is empty is damaged', async () => {
    const machine = await newMachine()
    machine.ports.files.open(path, 'create')
    await expect(openManifest(machine.ports, directory)).rejects.toMatchObject({ code: 'corrupt_manifest' })
  })
})

describe('a manifest on a machine that crashes', () => {
  const fault = fc.record({
    call: fc.constantFrom('write', 'truncate', 'dataSync', 'rename', 'remove', 'open', 'syncDirectory'),
    nth: fc.integer({ min: 1, max: 3 }),
    code: fc.constantFrom('ENOSPC', 'EIO'),
    writtenBytes: fc.nat(400),
  }) satisfies fc.Arbitrary<Fault>
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant('edit' as const) },
    { weight: 1, arbitrary: fc.constantFrom('crash' as const, 'kill' as const) },
    { weight: 2, arbitrary: fault },
  )

  test('is always one of the states between the last confirmed edit and the last attempted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 40 }), async (seed, steps) => {
        const machine = await newMachine(seed)
        let crashSeed = seed
        let number = 0
        /** The confirmed state, and those that unconfirmed edits may have left. */
        let possible: ManifestState[] = [fresh()]
        let failure: unknown
        const watch = (disk: SimulatedDisk) => {
          disk.onCall = () => void checks.push(check(disk.afterCrash(crashSeed++), possible))
        }
        const checks: Promise<void>[] = []
        const check = async (disk: SimulatedDisk, states: readonly ManifestState[]) => {
          try {
            const found = await openManifest(new SimulatedMachine(1, disk).ports, directory)
            expect(states).toContainEqual(found?.state)
          } catch (error) {
            failure ??= error
          }
        }
        let manifest: Manifest | undefined = await createManifest(machine.ports, directory, possible[0]!, {
          editsMax: 4,
        })
        watch(machine.disk)
        const open = async () => {
          watch(machine.disk)
          manifest = await openManifest(machine.ports, directory, { editsMax: 4 }).catch(error => {
            expect(error.code).toMatch(/io_error|disk_full/)
            return undefined
          })
          if (manifest === undefined) return
          expect(possible).toContainEqual(manifest.state)
          possible = [manifest.state]
        }
        for (const one of steps) {
          if (one === 'crash') machine.crash(crashSeed++)
          else if (one === 'kill') machine.kill()
          else if (one !== 'edit') machine.disk.fail(one)
          if (one === 'crash' || one === 'kill' || manifest === undefined) await open()
          else if (one === 'edit') {
            const edit = flushOf(++number)
            const next = applyEdit(manifest.state, edit)
            possible = [...possible, next]
            await manifest.apply(edit).then(
              () => {
                possible = [next]
              },
              error => expect(error.code).toMatch(/io_error|disk_full|read_only/),
            )
          }
        }
        await Promise.all(checks)
        if (failure !== undefined) throw failure
      }),
      { numRuns: 100 },
    )
  })
})
