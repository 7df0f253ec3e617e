import { describe, expect, test } from 'vitest'
import type { SydraError } from '../../../src/lib/errors.ts'
import { openWal, type Wal, type WalEvent, type WalSettings, walDefaults } from '../../../src/storage/wal/wal.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'

const directory = 'data/wal'
const current = `${directory}/current.wal`
const settings: WalSettings = { fileBytesMax: 4096, preallocateBytes: 1024, frameBytesMax: 2 ** 20 }
const headerBytes = 64
const bare: WalSettings = { ...settings, preallocateBytes: 0 }

/** Frames of 8-byte payloads take 40 bytes. */
const payload = (text: string) => [new TextEncoder().encode(text)]

interface Opened {
  readonly wal: Wal
  readonly replayed: [number, string][]
  readonly events: WalEvent[]
}

async function opened(machine: SimulatedMachine, afterLsn = 0, given = settings): Promise<Opened> {
  const events: WalEvent[] = []
  const replayed: [number, string][] = []
  machine.ports.files.makeDirectory('data')
  await machine.ports.files.syncDirectory('')
  const recovery = openWal(machine.ports, directory, afterLsn, given, event => events.push(event))
  for (const frame of recovery.frames()) replayed.push([frame.lsn, new TextDecoder().decode(frame.payload)])
  return { wal: await recovery.start(), replayed, events }
}

async function withFrames(machine: SimulatedMachine, count: number, given = settings): Promise<Wal> {
  const { wal } = await opened(machine, 0, given)
  for (let i = 1; i <= count; i++) wal.append(1, payload(`frame${String(i).padStart(3)}`))
  await wal.sync()
  return wal
}

const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as SydraError).code
  }
  return 'none'
}
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: SydraError) => error.code,
  )
const lsns = ({ replayed }: Opened) => replayed.map(([lsn]) => lsn)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

describe('what is in segments already', () => {
  test('is passed over without reading it, and what follows is read', async () => {
    const machine = new SimulatedMachine()
    const large = { fileBytesMax: 2 ** 24, preallocateBytes: 0, frameBytesMax: 2 ** 22 }
    const { wal } = await opened(machine, 0, large)
    for (let i = 1; i <= 8; i++) wal.append(1, [new Uint8Array(2 ** 20).fill(i)])
    wal.append(1, payload('frame  9'))
    await wal.close()
    let bytesRead = 0
    const { files } = machine.ports
    const counting = {
      ...machine.ports,
      files: {
        ...files,
        makeDirectory: files.makeDirectory.bind(files),
        list: files.list.bind(files),
        open: (path: string, mode: Parameters<typeof files.open>[1]) => {
          const file = files.open(path, mode)
          const read = (into: Uint8Array, at: number): number => {
            const count = file.read(into, at)
            bytesRead += count
            return count
          }
          return { read, size: () => file.size(), close: () => file.close() } as typeof file
        },
      },
    } as typeof machine.ports
    for (const [afterLsn, left] of [
      [9, []],
      [8, [9]],
      [7, [8, 9]],
    ] as const) {
      bytesRead = 0
      const recovery = openWal(counting, directory, afterLsn, large, () => {})
      const found: number[] = []
      for (const { lsn, payload: bytes } of recovery.frames()) {
        found.push(lsn)
        if (lsn < 9) expect(bytes.every(byte => byte === lsn)).toBe(true)
      }
      expect(found).toEqual(left)
      expect(recovery.lastLsn).toBe(9)
      // The first window, and a header of each frame.
      expect(bytesRead).toBeLessThan((left.length > 1 ? 3 : 2) * 2 ** 20)
      recovery.close()
    }
  })
})

describe('appending', () => {
  test('gives LSNs from 1, and the frames back after a clean close', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 3)
    expect([wal.lastLsn, wal.durableLsn, wal.frames, wal.syncs, wal.files]).toEqual([3, 3, 3, 1, 1])
    expect(wal.bytes).toBe(headerBytes + 3 * 40)
    await wal.close()
    expect(machine.disk.contents(current).length).toBe(wal.bytes)
    const again = await opened(machine)
    expect(again.replayed).toEqual([
      [1, 'frame  1'],
      [2, 'frame  2'],
      [3, 'frame  3'],
    ])
    expect(again.events).toEqual([])
    expect(again.wal.append(1, [])).toBe(4)
  })

  test('puts the parts of a payload together, of any size', async () => {
    const machine = new SimulatedMachine()
    const { wal } = await opened(machine, 0, walDefaults)
    const parts = [0, 1, 7, 100_000, 0, 5_000_000].map((length, i) => new Uint8Array(length).fill(i + 1))
    wal.append(7, parts)
    wal.append(7, [])
    await wal.close()
    const recovery = openWal(machine.ports, directory, 0, walDefaults, () => {})
    const frames = Array.from(recovery.frames(), frame => ({ ...frame, payload: frame.payload.slice() }))
    expect(frames.map(frame => [frame.lsn, frame.type, frame.payload.length])).toEqual([
      [1, 7, 5_100_008],
      [2, 7, 0],
    ])
    expect(parts.every((part, i) => part.every(byte => byte === i + 1))).toBe(true)
    expect([0, 1, 8, 100_008].map(at => frames[0]!.payload[at])).toEqual([2, 3, 4, 6])
  })

  test('goes on in a new file when one is full, and reads them in order', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 250)
    expect(wal.files).toBe(3)
    expect(machine.disk.paths()).toEqual([
      `${directory}/0000000000000001.wal`,
      `${directory}/0000000000000101.wal`,
      current,
    ])
    machine.crash()
    const again = await opened(machine, 120)
    expect(lsns(again)).toEqual(upTo(250, 121))
    expect(again.events).toEqual([])
  })

  test('starts above what is in segments, even when the log is behind', async () => {
    const machine = new SimulatedMachine()
    await (await withFrames(machine, 3)).close()
    const { wal } = await opened(machine, 10)
    expect(wal.append(1, payload('after it'))).toBe(11)
    await wal.sync()
    machine.crash()
    const again = await opened(machine, 10)
    expect(again.replayed).toEqual([[11, 'after it']])
    expect(again.events).toEqual([])
  })
})

describe('a write that fails', () => {
  test.each([
    ['ENOSPC', 'disk_full', 0],
    ['EIO', 'io_error', 17],
    ['EIO', 'io_error', Number.POSITIVE_INFINITY],
  ])('with %s fails exactly that append (%s)', async (errno, expected, writtenBytes) => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 2, bare)
    machine.disk.fail({ call: 'write', code: errno, writtenBytes })
    expect(code(() => wal.append(1, payload('failing')))).toBe(expected)
    expect(wal.lastLsn).toBe(2)
    machine.disk.fail({ call: 'write', code: errno, writtenBytes, nth: 2 })
    expect(wal.append(1, payload('frame  3'))).toBe(3)
    expect(code(() => wal.append(1, payload('failing')))).toBe(expected)
    machine.kill()
    expect((await opened(machine)).replayed.at(-1)).toEqual([3, 'frame  3'])
  })

  test('leaves nothing behind', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 2)
    machine.disk.fail({ call: 'write', writtenBytes: Number.POSITIVE_INFINITY })
    expect(code(() => wal.append(1, payload('failing')))).toBe('io_error')
    machine.kill()
    expect(lsns(await opened(machine))).toEqual([1, 2])
  })

  test('and cannot be cut back poisons the log', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 2)
    machine.disk.fail({ call: 'write', writtenBytes: 10 })
    machine.disk.fail({ call: 'truncate' })
    expect(code(() => wal.append(1, payload('failing')))).toBe('io_error')
    expect(wal.poisoned?.code).toBe('read_only')
    expect(code(() => wal.append(1, payload('later')))).toBe('read_only')
    expect(await rejection(wal.sync())).toBe('read_only')
    await wal.close()
    const again = await opened(machine)
    expect(lsns(again)).toEqual([1, 2])
    expect(again.events).toMatchObject([{ kind: 'wal-truncated', path: current, offset: headerBytes + 80 }])
  })

  test('for want of room ahead is no failure', async () => {
    const machine = new SimulatedMachine()
    const { wal } = await opened(machine)
    machine.disk.fail({ call: 'write', code: 'ENOSPC', writtenBytes: 500 })
    expect(wal.append(1, payload('frame  1'))).toBe(1)
    expect(machine.disk.contents(current).length).toBe(wal.bytes)
  })

  test.each(['rename', 'open', 'write'] as const)('at rotation (%s) stays with the old file', async call => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 100, bare)
    machine.disk.fail({ call })
    expect(wal.append(1, payload('in place'))).toBe(101)
    expect(wal.files).toBe(1)
    await wal.sync()
    machine.crash()
    const again = await opened(machine, 0, bare)
    expect(lsns(again)).toEqual(upTo(101))
    expect(again.wal.append(1, payload('rotated'))).toBe(102)
    expect(again.wal.files).toBe(2)
  })
})

describe('a sync', () => {
  test('that fails poisons the log; reopening gives what was durable, and keeps it', async () => {
    for (let seed = 1; seed < 30; seed++) {
      const machine = new SimulatedMachine(seed)
      const wal = await withFrames(machine, 2)
      wal.append(1, payload('doubtful'))
      machine.disk.fail({ call: 'dataSync' })
      expect(await rejection(wal.sync())).toBe('io_error')
      expect(await rejection(wal.sync())).toBe('read_only')
      expect(code(() => wal.append(1, payload('later')))).toBe('read_only')
      expect(wal.durableLsn).toBe(2)
      await wal.close()
      const again = await opened(machine)
      // Readable until the next power loss, unless it is written again.
      expect(lsns(again)).toEqual([1, 2, 3])
      again.wal.append(1, payload('frame  4'))
      await again.wal.sync()
      machine.crash()
      const last = await opened(machine)
      expect(lsns(last)).toEqual([1, 2, 3, 4])
      expect(last.events).toEqual([])
    }
  })

  test('covers what was appended before it, not what came while it ran', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 1)
    machine.disk.holdSyncs()
    wal.append(1, payload('frame  2'))
    const first = wal.sync()
    wal.append(1, payload('frame  3'))
    const second = wal.sync()
    const third = wal.sync()
    expect(machine.disk.heldSyncs).toBe(1)
    machine.disk.releaseSyncs(1)
    await first
    expect(wal.durableLsn).toBe(2)
    await new Promise(resolve => setImmediate(resolve))
    expect(machine.disk.heldSyncs).toBe(1)
    machine.disk.releaseSyncs()
    await Promise.all([second, third])
    expect([wal.durableLsn, wal.syncs]).toEqual([3, 3])
  })

  test('of full files survives their release on the way', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 99)
    machine.disk.holdSyncs()
    wal.append(1, payload('frame100'))
    const running = wal.sync()
    for (let i = 101; i <= 350; i++) wal.append(1, payload('rotating'))
    const waiting = wal.sync()
    wal.releaseUpTo(250, { bytesMax: 0, msMax: 0 })
    machine.disk.releaseSyncs()
    await Promise.all([running, waiting])
    expect(wal.durableLsn).toBe(350)
    machine.crash()
    expect(lsns(await opened(machine, 250))).toEqual(upTo(350, 251))
  })
})

describe('releasing', () => {
  test('deletes full files below the LSN beyond the limits, oldest first', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 450)
    expect(wal.files).toBe(5)
    wal.releaseUpTo(350, { bytesMax: 5000, msMax: Number.POSITIVE_INFINITY })
    expect(machine.disk.paths().map(path => path.slice(-8))).toEqual(['0201.wal', '0301.wal', 'rent.wal'])
    await machine.advance(1000)
    wal.releaseUpTo(350, { bytesMax: 5000, msMax: 999 })
    expect(wal.files).toBe(2)
    machine.crash()
    const again = await opened(machine, 350)
    expect(lsns(again)).toEqual(upTo(450, 351))
    expect(again.events).toEqual([])
  })

  test('goes on when a file cannot be deleted', async () => {
    const machine = new SimulatedMachine()
    const wal = await withFrames(machine, 250)
    machine.disk.fail({ call: 'remove' })
    wal.releaseUpTo(250, { bytesMax: 0, msMax: 0 })
    expect(wal.files).toBe(3)
    expect(machine.log.at(-1)?.level).toBe('warn')
    wal.releaseUpTo(250, { bytesMax: 0, msMax: 0 })
    expect(wal.files).toBe(1)
  })
})

describe('a log that version 1 wrote', () => {
  const asVersion = (machine: SimulatedMachine, path: string, version: number): void => {
    const header = machine.disk.contents(path).slice(0, 32)
    header[8] = version
    new DataView(header.buffer).setUint32(28, machine.ports.checksums.crc32(header.subarray(0, 28)), true)
    const file = machine.ports.files.open(path, 'open')
    for (const at of [0, 32]) file.write(header, at)
  }
  const versionOf = (machine: SimulatedMachine, path: string): number => machine.disk.contents(path)[8]!

  test.each([0, 3])('with %i frames is read, and goes on in a new file', async count => {
    const machine = new SimulatedMachine()
    await (await withFrames(machine, count)).close()
    asVersion(machine, current, 1)
    const first = await opened(machine)
    expect(lsns(first)).toEqual(upTo(count))
    first.wal.append(1, payload('of two'))
    first.wal.append(1, payload('of two'))
    await first.wal.close()
    if (count > 0) expect(versionOf(machine, `${directory}/0000000000000001.wal`)).toBe(1)
    expect(versionOf(machine, current)).toBe(2)
    expect(lsns(await opened(machine))).toEqual(upTo(count + 2))
  })

  test('keeps its version when a header is written again', async () => {
    const machine = new SimulatedMachine()
    await (await withFrames(machine, 3)).close()
    asVersion(machine, current, 1)
    machine.ports.files.open(current, 'open').write(Uint8Array.of(0), 40)
    const again = await opened(machine)
    expect(lsns(again)).toEqual(upTo(3))
    await again.wal.close()
    expect([machine.disk.contents(current)[8], machine.disk.contents(current)[40]]).toEqual([1, 1])
  })
})
