/** Rot, missing files and torn tails: what is lost is exactly what was hit, and it is said. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ports } from '../../../src/lib/ports.ts'
import { openWal, type WalEvent, type WalSettings } from '../../../src/storage/wal/wal.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'

const directory = 'wal'
const current = `${directory}/current.wal`
const settings: WalSettings = { fileBytesMax: 4096, preallocateBytes: 1024, frameBytesMax: 2 ** 20 }
const frameBytes = 40
const headerBytes = 64
/** 100 frames of 8-byte payloads fill a file. */
const perFile = 100

async function machineWith(frames: number, syncEvery: number): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine()
  const wal = await openWal(machine.ports, directory, 0, settings, () => {}).start()
  for (let lsn = 1; lsn <= frames; lsn++) {
    wal.append(1, [new TextEncoder().encode(String(lsn).padStart(8))])
    if (lsn % syncEvery === 0) await wal.sync()
  }
  machine.kill()
  return machine
}

const pathOf = (lsn: number, frames: number) => {
  const first = Math.floor((lsn - 1) / perFile) * perFile + 1
  return first + perFile > frames ? current : `${directory}/${String(first).padStart(16, '0')}.wal`
}
const offsetOf = (lsn: number) => headerBytes + ((lsn - 1) % perFile) * frameBytes

async function recovered(ports: Ports, afterLsn = 0) {
  const events: WalEvent[] = []
  const recovery = openWal(ports, directory, afterLsn, settings, event => events.push(event))
  const lsns: number[] = []
  for (const frame of recovery.frames()) {
    expect(Number(new TextDecoder().decode(frame.payload))).toBe(frame.lsn)
    lsns.push(frame.lsn)
  }
  return { lsns, events, wal: await recovery.start() }
}

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
const without = (frames: number, lost: readonly number[]) => range(1, frames).filter(lsn => !lost.includes(lsn))

describe('a damaged byte', () => {
  test('anywhere loses exactly its frame, and says so, when a later frame knows it was durable', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 248 }),
        fc.nat(frameBytes - 1),
        fc.integer({ min: 1, max: 255 }),
        async (lsn, byte, flip) => {
          const machine = await machineWith(250, 1)
          const path = pathOf(lsn, 250)
          machine.disk.damage(path, offsetOf(lsn) + byte, value => value ^ flip)
          const first = await recovered(machine.ports)
          expect(first.lsns).toEqual(without(250, [lsn]))
          expect(first.events).toEqual([
            { kind: 'wal-corruption', path, offset: offsetOf(lsn), lostFrom: lsn, lostTo: lsn },
          ])
          // Appending goes on behind the rest, and the next recovery sees the same loss.
          expect(first.wal.append(1, [new TextEncoder().encode('     251')])).toBe(251)
          await first.wal.close()
          const again = await recovered(machine.ports)
          expect(again.lsns).toEqual(without(251, [lsn]))
          expect(again.events).toEqual(first.events)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('in a file header costs nothing: there are two, and both are there again afterwards', async () => {
    for (let byte = 0; byte < headerBytes; byte++) {
      const machine = await machineWith(3, 1)
      const whole = machine.disk.contents(current).slice(0, headerBytes)
      machine.disk.damage(current, byte)
      const { lsns, events } = await recovered(machine.ports)
      expect(lsns).toEqual([1, 2, 3])
      expect(events).toEqual([])
      machine.crash(byte)
      expect(machine.disk.contents(current).slice(0, headerBytes)).toEqual(whole)
    }
  })

  test('in a frame that nothing later confirms is a torn tail', async () => {
    const machine = await machineWith(9, 5)
    machine.disk.damage(current, offsetOf(7) + 33)
    const { lsns, events, wal } = await recovered(machine.ports)
    expect(lsns).toEqual(range(1, 6))
    expect(events).toEqual([{ kind: 'wal-truncated', path: current, offset: offsetOf(7), bytes: 3 * frameBytes }])
    expect(wal.lastLsn).toBe(6)
    expect(machine.disk.contents(current).length).toBe(offsetOf(7))
  })

  test('in a frame whose rows are in segments is no loss', async () => {
    const machine = await machineWith(250, 1)
    machine.disk.damage(pathOf(120, 250), offsetOf(120) + 3)
    machine.disk.damage(pathOf(130, 250), offsetOf(130) + 35)
    const { lsns, events } = await recovered(machine.ports, 200)
    expect(lsns).toEqual(range(201, 250))
    expect(events).toEqual([])
  })

  test('in many places loses those', async () => {
    const machine = await machineWith(250, 1)
    const hit = [1, 2, 99, 100, 101, 200, 201, 240]
    for (const lsn of hit) machine.disk.damage(pathOf(lsn, 250), offsetOf(lsn) + 16)
    const { lsns, events } = await recovered(machine.ports)
    expect(lsns).toEqual(without(250, hit))
    const lost = events.flatMap(event => (event.kind === 'wal-corruption' ? range(event.lostFrom, event.lostTo) : []))
    expect(lost).toEqual(hit)
  })
})

describe('files', () => {
  test.each([1, 101, 201])('one missing (from %i) loses its LSNs', async first => {
    const machine = await machineWith(350, 1)
    machine.ports.files.remove(pathOf(first, 350))
    const { lsns, events } = await recovered(machine.ports)
    const lost = range(first, first + perFile - 1)
    expect(lsns).toEqual(without(350, lost))
    expect(events).toMatchObject([{ kind: 'wal-corruption', lostFrom: first, lostTo: first + perFile - 1 }])
  })

  test('one missing that was released loses nothing', async () => {
    const machine = await machineWith(350, 1)
    machine.ports.files.remove(pathOf(101, 350))
    const { lsns, events } = await recovered(machine.ports, 200)
    expect(lsns).toEqual(range(201, 350))
    expect(events).toEqual([])
  })

  test('one in the middle without a readable header is set aside and its LSNs reported', async () => {
    const machine = await machineWith(350, 1)
    const path = pathOf(101, 350)
    for (const byte of [3, 35]) machine.disk.damage(path, byte)
    const { lsns, events, wal } = await recovered(machine.ports)
    expect(lsns).toEqual(without(350, range(101, 200)))
    expect(events).toEqual([{ kind: 'wal-corruption', path, offset: 0, lostFrom: 101, lostTo: 200 }])
    expect(machine.disk.paths()).toContain(`${path}.damaged`)
    expect(wal.lastLsn).toBe(350)
  })

  test('the last one without a readable header is set aside as a torn tail', async () => {
    const machine = await machineWith(250, 1)
    for (const byte of [3, 35]) machine.disk.damage(current, byte)
    const { lsns, events, wal } = await recovered(machine.ports)
    expect(lsns).toEqual(range(1, 200))
    expect(events).toMatchObject([{ kind: 'wal-truncated', path: current, offset: 0 }])
    expect(machine.disk.paths()).toContain(`${current}.damaged`)
    expect(wal.append(1, [new TextEncoder().encode('     201')])).toBe(201)
    await wal.close()
    expect((await recovered(machine.ports)).lsns).toEqual(range(1, 201))
  })

  test.each([0, 1, 31, 40, 64])('one just made, with %i bytes of its header, is nothing', async size => {
    const machine = await machineWith(200, 1)
    machine.ports.files.rename(current, `${directory}/0000000000000101.wal`)
    const file = machine.ports.files.open(current, 'create')
    file.write(new Uint8Array(size), 0)
    const { lsns, events, wal } = await recovered(machine.ports)
    expect(lsns).toEqual(range(1, 200))
    expect(events).toEqual([])
    expect(wal.append(1, [])).toBe(201)
  })

  test('copies of a file change nothing', async () => {
    const machine = await machineWith(250, 1)
    const copy = (from: string, to: string) => {
      machine.ports.files.open(to, 'create').write(machine.disk.contents(from), 0)
    }
    copy(pathOf(101, 250), `${directory}/0000000000000102.wal`)
    copy(current, `${directory}/0000000000000999.wal`)
    const { lsns, events, wal } = await recovered(machine.ports)
    expect(lsns).toEqual(range(1, 250))
    expect(events).toEqual([])
    wal.append(1, [new TextEncoder().encode('     251')])
    await wal.close()
    expect((await recovered(machine.ports)).lsns).toEqual(range(1, 251))
  })

  test('of other names are left alone', async () => {
    const machine = await machineWith(3, 1)
    machine.ports.files.open(`${directory}/notes.txt`, 'create')
    expect((await recovered(machine.ports)).lsns).toEqual([1, 2, 3])
    expect(machine.disk.paths()).toContain(`${directory}/notes.txt`)
  })

  test('of a newer format are refused', async () => {
    const machine = await machineWith(1, 1)
    for (const at of [0, 32]) {
      const header = machine.disk.contents(current).slice(at, at + 32)
      header[8] = 3
      new DataView(header.buffer).setUint32(28, machine.ports.checksums.crc32(header.subarray(0, 28)), true)
      machine.ports.files.open(current, 'open').write(header, at)
    }
    await expect(recovered(machine.ports)).rejects.toMatchObject({ code: 'corrupt_wal' })
  })

  test('that cannot be read are an error, not an empty log', async () => {
    const machine = await machineWith(3, 1)
    machine.disk.fail({ call: 'read', nth: 2 })
    await expect(recovered(machine.ports)).rejects.toMatchObject({ code: 'io_error' })
  })
})

test('noise instead of a log is survived', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(5), fc.uint8Array({ maxLength: 400 })), { maxLength: 6 }),
      async files => {
        const machine = new SimulatedMachine()
        machine.ports.files.makeDirectory(directory)
        for (const [name, bytes] of files) {
          const path = name === 0 ? current : `${directory}/${String(name).padStart(16, '0')}.wal`
          machine.ports.files.open(path, 'open').write(bytes, 0)
        }
        const { lsns, wal } = await recovered(machine.ports)
        expect(lsns).toEqual([])
        expect(wal.append(1, [])).toBe(1)
      },
    ),
    { numRuns: 50 },
  )
})
