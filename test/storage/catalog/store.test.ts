import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Ports } from '../../../src/lib/ports.ts'
import { type CatalogStore, openCatalog, rebuildFrom } from '../../../src/storage/catalog/store.ts'
import { turn } from '../../database/support.ts'
import { SimulatedMachine } from '../../simulated/machine.ts'

const directory = '/data/catalog'
const open = (ports: Ports, options: { seriesMax?: number; logBytesMax?: number } = {}): Promise<CatalogStore> =>
  openCatalog({ ports, directory, seriesMax: 10_000, ...options })

/** A machine whose data directory is there and durable: making that is the engine's part. */
async function newMachine(seed = 1): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine(seed)
  machine.ports.files.makeDirectory('/data')
  await machine.ports.files.syncDirectory('/')
  return machine
}

function fill({ catalog }: CatalogStore, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const metric = catalog.useMetric(`m${i % 3}`)
    catalog.useField(metric, `f${i % 5}`, i % 5 === 0 ? 'string' : 'float')
    catalog.useSeries(metric, [
      ['host', `h${i}`],
      ['os', i % 2 ? 'linux' : '"bsd"'],
    ])
  }
}

const dump = ({ catalog }: CatalogStore): unknown => ({
  incarnation: catalog.incarnation,
  sequence: catalog.sequence,
  metrics: structuredClone(catalog.metrics()),
  keys: catalog.metrics().map(metric => catalog.tagKeys(metric.id)),
  series: Array.from({ length: catalog.seriesCount }, (_, i) => [catalog.printed.at(i), catalog.ids.at(i)]),
  tagged: catalog.metrics().map(metric => [...catalog.seriesWithTag(metric.id, 'os', 'linux')]),
})

const flip = (machine: SimulatedMachine, path: string, at: number): void => {
  const file = machine.ports.files.open(path, 'open')
  const byte = new Uint8Array(1)
  file.read(byte, at)
  byte[0]! ^= 0x10
  file.write(byte, at)
  file.close()
}
const sizeOf = (machine: SimulatedMachine, name: string): number => {
  const file = machine.ports.files.open(`${directory}/${name}`, 'read')
  const size = file.size()
  file.close()
  return size
}

describe('catalog store', () => {
  test('what a killed process left unsynced is durable once another has opened it', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const machine = await newMachine(seed)
      const first = await open(machine.ports)
      fill(first, 0, 5)
      await first.appendLog()
      machine.disk.holdSyncs()
      fill(first, 5, 10)
      first.appendLog().catch(() => {})
      await turn()
      const second = await open(machine.kill())
      expect(second.catalog.sequence).toBe(first.catalog.sequence)
      const found = dump(second)
      const third = await open(machine.crash(seed))
      expect(dump(third), `seed ${seed}`).toEqual(found)
      await third.close()
    }
  })

  test('opens what was logged and checkpointed', async () => {
    const machine = await newMachine()
    let store = await open(machine.ports)
    const reopen = async (): Promise<void> => {
      const before = dump(store)
      await store.close()
      store = await open(machine.crash())
      expect(dump(store)).toEqual(before)
    }
    await reopen()
    fill(store, 0, 10)
    await store.appendLog()
    await reopen()
    fill(store, 5, 20)
    await store.checkpoint()
    await reopen()
    fill(store, 20, 25)
    await store.appendLog()
    await store.appendLog()
    await reopen()
    await store.checkpoint()
    fill(store, 25, 30)
    await store.appendLog()
    await reopen()
    await store.close()
    await store.close()
    await expect(store.appendLog()).rejects.toMatchObject({ code: 'shutting_down' })
  })

  test('a long log is followed by a checkpoint; what was added meanwhile is in the next append', async () => {
    const machine = await newMachine()
    let store = await open(machine.ports, { logBytesMax: 2000 })
    for (let i = 0; i < 40; i++) {
      fill(store, i * 5, i * 5 + 5)
      const appended = store.appendLog()
      fill(store, i * 5 + 5, i * 5 + 7)
      await appended
    }
    expect(machine.ports.files.list(directory)).toEqual(['catalog.ckpt', 'catalog.log'])
    expect(sizeOf(machine, 'catalog.log')).toBeLessThan(8000)
    await store.appendLog()
    const before = dump(store)
    store = await open(machine.crash())
    expect(dump(store)).toEqual(before)
    store.catalog.confirm(store.catalog.sequence)
    expect(store.catalog.journalBytes).toBe(0)
  })

  test('what the log lost comes back from WAL records', async () => {
    const machine = await newMachine()
    let store = await open(machine.ports)
    fill(store, 0, 5)
    const wal = [store.catalog.pendingSince(store.catalog.confirmed)]
    store.catalog.confirm(store.catalog.sequence)
    await store.appendLog()
    fill(store, 5, 9)
    wal.push(store.catalog.pendingSince(store.catalog.confirmed))
    const before = dump(store)
    store = await open(machine.crash())
    expect(store.catalog.seriesCount).toBe(5)
    for (const frame of wal) store.catalog.applyRecords(frame)
    expect(dump(store)).toEqual(before)
    // They are durable in the WAL only until the next flush logs them.
    await store.appendLog()
    store = await open(machine.crash())
    expect(dump(store)).toEqual(before)
  })

  test('crashes at any call lose nothing that was logged', async () => {
    const seeds = fc.record({
      seed: fc.integer(),
      steps: fc.array(fc.constantFrom('add', 'log', 'checkpoint', 'tidy'), { maxLength: 12 }),
    })
    await fc.assert(
      fc.asyncProperty(seeds, async ({ seed, steps }) => {
        const machine = await newMachine(seed)
        const store = await open(machine.ports, { logBytesMax: 400 })
        const wal: Uint8Array[] = []
        let safe = 0
        let next = 0
        const pictures: {
          disk: ReturnType<typeof machine.disk.afterCrash>
          safe: number
          frames: number
          limit: number
        }[] = []
        const { disk } = machine
        disk.onCall = () => {
          const crashed = disk.afterCrash(seed + pictures.length)
          pictures.push({ disk: crashed, safe, frames: wal.length, limit: store.catalog.sequence })
        }
        for (const step of steps) {
          if (step === 'add') {
            fill(store, next, (next += 15))
            wal.push(store.catalog.pendingSince(store.catalog.confirmed))
            store.catalog.confirm(store.catalog.sequence)
          } else if (step === 'tidy') await store.tidy()
          else {
            const upTo = store.catalog.sequence
            await (step === 'log' ? store.appendLog() : store.checkpoint())
            safe = upTo
          }
        }
        disk.onCall = () => {}
        for (const picture of pictures) {
          const after = await open(new SimulatedMachine(seed, picture.disk).ports)
          expect(after.catalog.incarnation).toBe(store.catalog.incarnation)
          expect(after.catalog.sequence).toBeGreaterThanOrEqual(picture.safe)
          expect(after.catalog.sequence).toBeLessThanOrEqual(picture.limit)
          for (const frame of wal.slice(0, picture.frames)) after.catalog.applyRecords(frame)
          expect(after.catalog.sequence).toBe(picture.limit)
          const count = after.catalog.seriesCount
          for (let i = 0; i < count; i++) expect(after.catalog.printed.at(i)).toBe(store.catalog.printed.at(i))
        }
      }),
      { numRuns: 25 },
    )
  })

  test('before the end, records that would have to be replayed go to a checkpoint, if they are many', async () => {
    const machine = await newMachine()
    let store = await open(machine.ports)
    const reopened = async (): Promise<string[]> => {
      await store.appendLog()
      await store.tidy()
      const before = dump(store)
      await store.close()
      store = await open(machine.crash())
      expect(dump(store)).toEqual(before)
      return machine.ports.files.list(directory)
    }
    fill(store, 0, 10)
    expect(await reopened()).toEqual(['catalog.log'])
    fill(store, 10, 300)
    expect(await reopened()).toEqual(['catalog.ckpt', 'catalog.log'])
    const emptyLog = sizeOf(machine, 'catalog.log')
    const size = sizeOf(machine, 'catalog.ckpt')
    // a part of the log that is small beside the checkpoint stays
    fill(store, 300, 335)
    await reopened()
    expect(sizeOf(machine, 'catalog.ckpt')).toBe(size)
    fill(store, 335, 400)
    await reopened()
    expect(sizeOf(machine, 'catalog.ckpt')).toBeGreaterThan(size)
    expect(sizeOf(machine, 'catalog.log')).toBe(emptyLog)
    let calls = 0
    machine.disk.onCall = () => calls++
    await store.tidy()
    expect(calls).toBe(0)
  })

  test('before the end, whatever fails: the end is reached, and nothing is lost, nor anything twice', async () => {
    const cases = [
      { call: 'open', code: 'EMFILE' },
      { call: 'write', code: 'ENOSPC' },
      { call: 'dataSync', code: 'EIO' },
      { call: 'rename', code: 'EIO' },
      { call: 'syncDirectory', code: 'EIO' },
    ] as const
    for (const { call, code } of cases)
      for (const nth of [1, 2, 3]) {
        const machine = await newMachine(7)
        const store = await open(machine.ports)
        fill(store, 0, 50)
        await store.appendLog()
        const before = dump(store)
        machine.disk.fail({ call, code, nth })
        await store.tidy()
        await store.close()
        for (let seed = 0; seed < 5; seed++) {
          const found = await open(new SimulatedMachine(seed, machine.disk.afterCrash(seed)).ports)
          expect(dump(found), `${call} ${nth}, seed ${seed}`).toEqual(before)
          fill(found, 40, 60)
          await found.appendLog()
          await found.close()
        }
      }
  })

  test('failed writes and syncs: an error, and the next append makes all durable', async () => {
    const cases = [
      { call: 'write', code: 'ENOSPC', expected: 'disk_full' },
      { call: 'write', code: 'EIO', expected: 'io_error' },
      { call: 'dataSync', code: 'EIO', expected: 'io_error' },
    ] as const
    for (const { call, code, expected } of cases) {
      const machine = await newMachine(7)
      const store = await open(machine.ports)
      fill(store, 0, 5)
      await store.appendLog()
      fill(store, 5, 8)
      const disarm = machine.disk.fail({ call, code })
      await expect(store.appendLog()).rejects.toMatchObject({ code: expected })
      disarm()
      expect(
        (await open(new SimulatedMachine(1, machine.disk.afterCrash(3)).ports)).catalog.seriesCount,
      ).toBeGreaterThanOrEqual(5)
      fill(store, 8, 10)
      await store.appendLog()
      const before = dump(store)
      for (let seed = 0; seed < 10; seed++) {
        const after = await open(new SimulatedMachine(seed, machine.disk.afterCrash(seed)).ports)
        expect(dump(after)).toEqual(before)
      }
    }
  })

  test('a torn log tail is cut', async () => {
    const machine = await newMachine()
    let store = await open(machine.ports)
    fill(store, 0, 5)
    await store.appendLog()
    const whole = sizeOf(machine, 'catalog.log')
    const before = dump(store)
    fill(store, 5, 9)
    await store.appendLog()
    await store.close()
    const file = machine.ports.files.open(`${directory}/catalog.log`, 'open')
    file.truncate(file.size() - 3)
    file.close()
    store = await open(machine.ports)
    expect(dump(store)).toEqual(before)
    expect(sizeOf(machine, 'catalog.log')).toBe(whole)
  })

  test('damage is corrupt_catalog with file and offset, and the catalog is rebuilt from evidence', async () => {
    const machine = await newMachine()
    const store = await open(machine.ports)
    fill(store, 0, 5)
    await store.checkpoint()
    fill(store, 5, 9)
    await store.appendLog()
    fill(store, 9, 12)
    await store.appendLog()
    await store.close()
    const paths = ['catalog.log', 'catalog.ckpt'] as const
    for (const name of paths) {
      // The last frame of the log is its tail: damage there cannot be told from a torn write.
      const size = name === 'catalog.log' ? 100 : sizeOf(machine, name)
      for (let at = 0; at < size; at += 1) {
        flip(machine, `${directory}/${name}`, at)
        await expect(open(machine.ports), `${name} at ${at}`).rejects.toMatchObject({
          code: 'corrupt_catalog',
          message: expect.stringMatching(new RegExp(`^${directory}/${name}, offset \\d+: `)),
        })
        flip(machine, `${directory}/${name}`, at)
      }
    }
    flip(machine, `${directory}/catalog.ckpt`, 90)
    const evidence = [
      { metric: 'm0', fields: [{ name: 'f0', type: 'string' as const }], series: [[['host', 'h0']]] as const },
      {
        metric: 'm0',
        fields: [{ name: 'f0', type: 'string' as const }],
        series: [[['host', 'h0']], [['host', 'h1']]] as const,
      },
    ]
    const rebuilt = await rebuildFrom({ ports: machine.ports, directory, seriesMax: 1 }, evidence)
    expect(rebuilt.catalog.incarnation).not.toBe(store.catalog.incarnation)
    expect(rebuilt.catalog.seriesCount).toBe(2)
    expect(machine.ports.files.list(directory)).toEqual([
      'catalog.ckpt',
      'catalog.ckpt.damaged',
      'catalog.log',
      'catalog.log.damaged',
    ])
    const before = dump(rebuilt)
    expect(dump(await open(machine.crash()))).toEqual(before)
  })

  test('a checkpoint without its log, or with a stranger, is corrupt_catalog', async () => {
    const machine = await newMachine()
    const store = await open(machine.ports)
    fill(store, 0, 5)
    await store.checkpoint()
    await store.close()
    const other = await openCatalog({ ports: machine.ports, directory: '/data/other', seriesMax: 10 })
    await other.close()
    machine.ports.files.rename('/data/other/catalog.log', `${directory}/catalog.log`)
    await expect(open(machine.ports)).rejects.toMatchObject({ code: 'corrupt_catalog' })
    machine.ports.files.remove(`${directory}/catalog.log`)
    await expect(open(machine.ports)).rejects.toMatchObject({ code: 'corrupt_catalog' })
  })
})
