/** `verify` finds whatever is damaged and nothing else, and changes nothing; `repair` mends exactly that. */
import { beforeAll, describe, expect, test } from 'vitest'
import { repair, verify } from '../../src/index.ts'
import type { Repair, VerifiedFile } from '../../src/types.ts'
import type { DiskCall } from '../simulated/disk.ts'
import type { SimulatedMachine } from '../simulated/machine.ts'
import { SeededRandom } from '../simulated/random.ts'
import {
  type DiskFiles,
  damaged,
  damageKinds,
  digestsOf,
  machineWith,
  mixedRows,
  usedDirectory,
} from './damaged-files.ts'
import { ingest, kinds, openOn, range, settled } from './support.ts'

let files: DiskFiles
beforeAll(async () => {
  files = await usedDirectory()
})

const withChange = (path: string, bytes: Uint8Array | undefined): DiskFiles => {
  const changed = new Map(files)
  if (bytes === undefined) changed.delete(path)
  else changed.set(path, bytes)
  return changed
}
const flipped = (path: string, at: number): DiskFiles =>
  withChange(path, files.get(path)!.with(at, files.get(path)![at]! ^ 1))
const pathsLike = (pattern: RegExp): string[] => [...files.keys()].filter(path => pattern.test(path))

async function verified(machine: SimulatedMachine): Promise<VerifiedFile[]> {
  const found: VerifiedFile[] = []
  for await (const file of verify('data', machine.ports)) found.push(file)
  return found
}
const isDamaged = ({ problems }: VerifiedFile) => problems.some(({ severity }) => severity === 'damage')
const damagedPaths = (found: readonly VerifiedFile[]) => found.filter(isDamaged).map(({ path }) => path)

async function repaired(machine: SimulatedMachine): Promise<Repair[]> {
  const repairs: Repair[] = []
  await settled(
    machine,
    repair('data', each => repairs.push(each), machine.ports),
  )
  return repairs
}

async function numbersOf(machine: SimulatedMachine, metric: string): Promise<{ numbers: number[]; events: string[] }> {
  const { db, events } = await openOn(machine)
  const { rows } = await settled(machine, db.query<{ n: number }>(`select n from ${metric}`).all())
  await settled(machine, db.close())
  return { numbers: rows.map(({ n }) => n).sort((a, b) => a - b), events: kinds(events) }
}

describe('verifying', () => {
  test('a sound directory names every file, what was read of it, and changes nothing', async () => {
    const machine = await machineWith(files)
    const before = digestsOf(machine)
    const found = await verified(machine)
    expect(damagedPaths(found)).toEqual([])
    expect(digestsOf(machine)).toEqual(before)
    const checked = Object.fromEntries(
      found.filter(({ kind }) => kind !== 'lock').map(file => [`${file.kind} ${file.path}`, file.checked]),
    )
    expect(checked).toMatchObject({
      'catalog catalog.log': { frames: expect.any(Number), series: 7 },
      'wal wal/current.wal': { frames: 8, rows: 80 },
    })
    const rows = found.filter(({ kind }) => kind === 'segment').reduce((sum, { checked }) => sum + checked['rows']!, 0)
    expect(rows).toBe(160)
    const summary = await verify('data', machine.ports).all()
    expect(summary).toMatchObject({ ok: true, damaged: [], rows: 160, files: found.length })
  })

  test('finds a flipped bit anywhere, in the file that has it and no other', async () => {
    const random = new SeededRandom(21)
    for (const path of files.keys()) {
      if (path.endsWith('LOCK')) continue
      const length = path.endsWith('.wal')
        ? files.get(path)!.findLastIndex(byte => byte !== 0)
        : files.get(path)!.length
      for (let i = 0; i < 12; i++) {
        const at = random.below(length)
        const machine = await machineWith(flipped(path, at))
        const found = await verified(machine)
        const problems = found.filter(({ problems }) => problems.length > 0).filter(({ kind }) => kind !== 'lock')
        // Half of a log's header, and the end of a log, may be notes.
        const paths = new Set(problems.map(file => `data/${file.path}`))
        expect([...paths], `bit at ${at} of ${path}`).toEqual([path])
      }
    }
  })

  test('of what is cut, gone, or someone else’s never throws', async () => {
    const random = new SeededRandom(22)
    for (const path of files.keys()) {
      for (const kind of damageKinds) {
        const bytes = damaged(files.get(path)!, kind, random.below(files.get(path)!.length), random)
        const machine = await machineWith(withChange(path, bytes))
        const before = digestsOf(machine)
        await verified(machine)
        expect(digestsOf(machine), `${kind} of ${path}`).toEqual(before)
      }
    }
  })

  test('tells of leftovers, and what becomes of them', async () => {
    const extra = new Map(files)
    const [segment] = pathsLike(/\.seg$/)
    extra.set('data/MANIFEST.tmp', new Uint8Array(3))
    extra.set('data/MANIFEST.damaged', new Uint8Array(3))
    extra.set(`${segment}.tmp`, new Uint8Array(3))
    extra.set(segment!.replace(/\d+\.seg/, '0000000099.seg'), files.get(segment!)!)
    extra.set('data/segments/all/0000000098.seg', new Uint8Array(300))
    extra.set('data/notes.txt', new Uint8Array(3))
    const found = await verified(await machineWith(extra))
    const leftovers = found.filter(({ kind, problems }) => kind !== 'lock' && problems.length > 0)
    expect(leftovers.map(({ path, kind }) => [path.replace(/.*\//, ''), kind])).toEqual([
      ['MANIFEST.damaged', 'set-aside'],
      ['MANIFEST.tmp', 'temporary'],
      ['notes.txt', 'unknown'],
      ['0000000098.seg', 'segment'],
      [`${segment!.replace(/.*\//, '')}.tmp`, 'temporary'],
      ['0000000099.seg', 'segment'],
    ])
    expect(damagedPaths(found)).toEqual(['segments/all/0000000098.seg'])
  })

  test('an open database goes on meanwhile, and finds the same', async () => {
    const [segment] = pathsLike(/\.seg$/)
    const machine = await machineWith(flipped(segment!, 300))
    const { db } = await openOn(machine)
    await expect(verify('data', machine.ports).all()).rejects.toMatchObject({
      code: 'directory_in_use',
      hint: expect.stringContaining('--url'),
    })
    const paths: string[] = []
    for await (const file of db.verify()) {
      if (isDamaged(file)) paths.push(`data/${file.path}`)
      await ingest(db, mixedRows(300, 302))
      if (paths.length === 1) await settled(machine, db.flush())
    }
    expect(paths).toEqual([segment])
    expect(db.stats().segments.damaged, 'verifying is no query').toBe(0)
    expect(await settled(machine, db.verify().all())).toMatchObject({ ok: false, rows: expect.any(Number) })
    await settled(machine, db.close())
  })

  test('what is no database is said so, and not made one', async () => {
    const machine = await machineWith(new Map())
    await expect(verify('nowhere', machine.ports).all()).rejects.toMatchObject({ code: 'not_found' })
    expect(machine.disk.paths()).toEqual([])
  })

  test('ends with its signal', async () => {
    const machine = await machineWith(files)
    const reason = new Error('enough')
    await expect(verify('data', { signal: AbortSignal.abort(reason), ...machine.ports }).all()).rejects.toMatchObject({
      code: 'cancelled',
      cause: reason,
    })
  })
})

const changing: ReadonlySet<DiskCall> = new Set(['write', 'truncate', 'dataSync', 'rename', 'remove', 'syncDirectory'])

describe('repairing', () => {
  test('what is sound changes nothing', async () => {
    const machine = await machineWith(files)
    const before = digestsOf(machine)
    expect(await repaired(machine)).toEqual([])
    expect(digestsOf(machine)).toEqual(before)
  })

  test('whatever was damaged: it verifies, opens quietly, and a second time there is nothing to do', async () => {
    const random = new SeededRandom(31)
    for (const path of files.keys()) {
      for (const kind of damageKinds) {
        const what = `${kind} of ${path}, seed 31`
        const bytes = damaged(files.get(path)!, kind, random.below(files.get(path)!.length), random)
        const machine = await machineWith(withChange(path, bytes))
        await repaired(machine)
        expect(damagedPaths(await verified(machine)), what).toEqual([])
        expect(await repaired(machine), what).toEqual([])
        const { numbers, events } = await numbersOf(machine, '/disk.*/')
        expect(
          events.filter(event => !['recovered', 'flushed', 'wal-truncated'].includes(event)),
          what,
        ).toEqual([])
        const lost = range(0, 120).filter(n => !numbers.includes(n))
        const own = path.endsWith('.seg')
          ? path.endsWith('1.seg')
            ? [0, 40]
            : [40, 80]
          : path.endsWith('.wal')
            ? [80, 120]
            : [0, 0]
        expect(
          lost.every(n => n >= own[0]! && n < own[1]!),
          `${what}: lost ${lost}`,
        ).toBe(true)
      }
    }
  })

  test('a damaged row group costs itself alone, and says what it was', async () => {
    const path = pathsLike(/\.seg$/)[0]!
    const machine = await machineWith(files)
    // The first chunks are those of cpu; disk.free comes behind.
    const bytes = files.get(path)!
    machine.disk.damage(path, 160)
    const repairs = await repaired(machine)
    expect(repairs).toEqual([
      {
        path: path.slice('data/'.length),
        action: 'salvaged',
        message: expect.stringMatching(/^40 rows are in segments\/.*\/0000000004\.seg now$/),
        losses: [
          {
            metric: 'cpu',
            field: undefined,
            rows: 40,
            seriesCount: 4,
            series: range(0, 4).map(n => `cpu{host="h${n}"}`),
            minTimeUs: mixedRows(0, 1)[0]!.ts as number,
            maxTimeUs: mixedRows(39, 40)[0]!.ts as number,
          },
        ],
      },
    ])
    expect(machine.disk.contents(`${path}.damaged`)).toEqual(bytes.with(160, bytes[160]! ^ 1))
    expect(machine.disk.paths()).not.toContain(path)
    expect((await numbersOf(machine, 'disk.free')).numbers).toEqual(range(0, 120))
    expect((await numbersOf(machine, 'cpu')).numbers).toEqual(range(40, 120))
  })

  test('interrupted anywhere, it can be repeated: nothing that could be read is gone', async () => {
    const path = pathsLike(/\.seg$/)[0]!
    for (const [which, damage] of [
      ['segment', flipped(path, 160)],
      ['manifest', flipped('data/MANIFEST', 40)],
      ['catalog', flipped('data/catalog.log', 60)],
    ] as const) {
      for (let change = 1, interrupted = true; interrupted; change += 4) {
        const machine = await machineWith(damage, change)
        const { disk } = machine
        interrupted = false
        let changes = 0
        const crashed = new Promise<void>(resolve => {
          disk.onCall = call => {
            if (!changing.has(call) || ++changes !== change) return
            interrupted = true
            machine.crash()
            resolve()
          }
        })
        const repairing = repair('data', () => {}, machine.ports)
        await settled(machine, Promise.race([repairing.catch(() => crashed), crashed]))
        disk.onCall = () => {}
        await repaired(machine)
        expect(damagedPaths(await verified(machine)), `${which}, change ${change}`).toEqual([])
        expect((await numbersOf(machine, 'disk.free')).numbers, `${which}, change ${change}`).toEqual(range(0, 120))
      }
    }
  })

  test('is refused while a process has the directory', async () => {
    const machine = await machineWith(flipped('data/MANIFEST', 40))
    const { db } = await openOn(machine)
    await expect(repair('data', () => {}, machine.ports)).rejects.toMatchObject({ code: 'directory_in_use' })
    await settled(machine, db.close())
  })
})
