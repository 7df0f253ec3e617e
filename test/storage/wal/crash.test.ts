/** The log against a model of what was promised, with a crash at every step and a device that fails. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import type { Ports } from '../../../src/lib/ports.ts'
import { openWal, type Wal, type WalEvent, type WalSettings } from '../../../src/storage/wal/wal.ts'
import type { Fault, SimulatedDisk } from '../../simulated/disk.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'

const directory = 'data/wal'
const settings: WalSettings = { fileBytesMax: 3000, preallocateBytes: 1024, frameBytesMax: 8192 }

type Step =
  | { readonly do: 'append'; readonly bytes: number }
  | { readonly do: 'sync' | 'sync-later' | 'close' | 'crash' | 'kill' }
  | { readonly do: 'release'; readonly share: number }
  | { readonly do: 'fail'; readonly fault: Fault }

const fault = fc.record({
  call: fc.constantFrom(
    'write',
    'truncate',
    'dataSync',
    'dataSync',
    'dataSync',
    'rename',
    'remove',
    'open',
    'syncDirectory',
  ),
  nth: fc.integer({ min: 1, max: 3 }),
  times: fc.constantFrom(1, 1, 2),
  code: fc.constantFrom('ENOSPC', 'EIO'),
  writtenBytes: fc.nat(200),
}) satisfies fc.Arbitrary<Fault>

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      bytes: fc.oneof(fc.nat(40), fc.constant(600), fc.nat(1800)),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ do: 'sync' as const }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'sync-later' as const }, { do: 'close' as const }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'crash' as const }, { do: 'kill' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('release' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), fault }) },
)

/** What was appended and what was promised of it. */
class Model {
  /** Per LSN what may be read back: the last is what was acknowledged, earlier ones failed half-way. */
  readonly written = new Map<number, string[]>()
  confirmed = 0
  flushed = 0
  lost: readonly [number, number][] = []

  confirm(upTo: number): void {
    for (let lsn = this.confirmed + 1; lsn <= upTo; lsn++) this.written.set(lsn, [this.written.get(lsn)!.at(-1)!])
    this.confirmed = Math.max(this.confirmed, upTo)
  }

  /** Reads a log and holds it against the model; gives what was read. */
  check(ports: Ports, events: WalEvent[] = []): ReturnType<typeof openWal> {
    const recovery = openWal(ports, directory, this.flushed, settings, event => events.push(event))
    let expected = this.flushed + 1
    for (const frame of recovery.frames()) {
      expect(frame.lsn).toBe(expected++)
      expect(this.written.get(frame.lsn)).toContain(text(frame.payload))
    }
    expect(expected - 1).toBeGreaterThanOrEqual(this.confirmed)
    expect(events.filter(event => event.kind === 'wal-corruption')).toEqual([])
    this.recovered = Math.max(expected - 1, this.flushed)
    return recovery
  }
  recovered = 0
}

const text = (bytes: Uint8Array) => new TextDecoder('latin1').decode(bytes)

async function run(seed: number, steps: readonly Step[]): Promise<void> {
  const machine = new SimulatedMachine(seed)
  const model = new Model()
  let crashSeed = seed
  machine.ports.files.makeDirectory('data')
  await machine.ports.files.syncDirectory('')

  // Kept, because code that tolerates failures of the disk may swallow what is thrown in a call.
  let failure: unknown
  const checkAtEveryCall = (disk: SimulatedDisk) => {
    disk.onCall = () => {
      const after = new SimulatedMachine(crashSeed, disk.afterCrash(crashSeed++))
      const { recovered } = model
      try {
        model.check(after.ports)
      } catch (error) {
        failure ??= error
      }
      model.recovered = recovered
    }
  }
  let wal: Wal | undefined
  const laterSyncs: Promise<unknown>[] = []
  const open = async () => {
    checkAtEveryCall(machine.disk)
    wal = undefined
    try {
      const recovery = model.check(machine.ports)
      const { recovered } = model
      for (let lsn = model.flushed + 1; lsn <= recovered; lsn++)
        if (!model.written.has(lsn)) throw new Error('invented')
      const started = await recovery.start()
      expect(started.lastLsn).toBe(Math.max(recovered, model.flushed))
      for (const lsn of [...model.written.keys()]) if (lsn > recovered) model.written.delete(lsn)
      model.confirm(started.lastLsn)
      wal = started
    } catch (error) {
      expect((error as SydraError).code).toMatch(/io_error|disk_full/)
    }
  }
  const sync = async (log: Wal) => {
    const target = log.lastLsn
    await log.sync().then(
      () => {
        expect(log.durableLsn).toBeGreaterThanOrEqual(target)
        if (wal === log) model.confirm(target)
      },
      error => expect(error).toBeInstanceOf(SydraError),
    )
  }

  await open()
  for (const [index, one] of steps.entries()) {
    const log = wal
    if (one.do === 'crash' || one.do === 'kill') {
      wal = undefined
      if (one.do === 'crash') machine.crash(crashSeed++)
      else machine.kill()
      await Promise.all(laterSyncs.splice(0))
      await open()
    } else if (one.do === 'fail') {
      machine.disk.fail(one.fault)
    } else if (log === undefined) {
      await open()
    } else if (one.do === 'append') {
      const payload = new Uint8Array(one.bytes).fill(index)
      const lsn = log.lastLsn + 1
      model.written.set(lsn, [...(model.written.get(lsn) ?? []), text(payload)])
      try {
        expect(log.append(1, [payload.subarray(0, 3), payload.subarray(3)])).toBe(lsn)
      } catch (error) {
        expect((error as SydraError).code).toMatch(/io_error|disk_full|read_only/)
        expect(log.lastLsn).toBe(lsn - 1)
      }
    } else if (one.do === 'sync') {
      await sync(log)
    } else if (one.do === 'sync-later') {
      laterSyncs.push(sync(log))
    } else if (one.do === 'release') {
      // What is in segments was replayed or appended before.
      model.flushed = Math.max(model.flushed, Math.floor(log.lastLsn * one.share))
      log.releaseUpTo(model.flushed, { bytesMax: 1000, msMax: Infinity })
    } else {
      await Promise.all(laterSyncs.splice(0))
      const target = log.lastLsn
      await log.close().then(
        () => log.poisoned ?? model.confirm(target),
        () => {},
      )
      await open()
    }
  }
  await Promise.all(laterSyncs)
  if (failure !== undefined) throw failure
}

describe('a log on a machine that crashes', () => {
  test('keeps every frame that a sync confirmed, whole and in order, and invents none', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 60 }), run), {
      numRuns: Number(process.env['RUNS'] ?? 150),
    })
  })
})
