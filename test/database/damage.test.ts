/**
 * Whatever file of a database is damaged, wherever: it opens, says so, gives no wrong row, loses none of what is not damaged,
 * takes rows, and opens again.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import type { SydraError } from '../../src/index.ts'
import type { Database, EngineEvent } from '../../src/types.ts'
import type { SimulatedMachine } from '../simulated/machine.ts'
import { SeededRandom } from '../simulated/random.ts'
import {
  type DamageKind,
  type DiskFiles,
  damaged,
  damageKinds,
  deletedNumbers,
  filesOf,
  machineWith,
  mixedRows,
  usedDirectory,
} from './damaged-files.ts'
import { ingest, openOn, range, settled } from './support.ts'

let files: DiskFiles
beforeAll(async () => {
  files = await usedDirectory()
})

const loud: ReadonlySet<EngineEvent['kind']> = new Set([
  'wal-corruption',
  'wal-truncated',
  'segment-quarantined',
  'segment-damaged',
  'rebuilt',
])

/** The numbers of a metric's rows; throws when a row is not as it was written. */
async function numbers(machine: SimulatedMachine, db: Database, metric: string): Promise<number[] | 'corrupt'> {
  try {
    const { rows } = await settled(machine, db.query(`select * from ${metric}`).all())
    return rows
      .map(row => {
        const n = row['n'] as number
        const written = mixedRows(n, n + 1).find(({ series }) => series === metric)!
        for (const [key, value] of Object.entries({ time: written.ts, ...written.fields }))
          if (row[key] !== value) throw new Error(`row ${n} of ${metric}: ${key} is ${String(row[key])}`)
        for (const [key, value] of Object.entries(written.tags!))
          if (
            !String(row['series'] ?? '').includes(`${key}="${String(value)}"`) &&
            row[key] !== value &&
            row['series'] !== undefined
          )
            throw new Error(`row ${n} of ${metric} is of another series`)
        return n
      })
      .sort((a, b) => a - b)
  } catch (error) {
    if ((error as SydraError).code === 'corrupt_segment') return 'corrupt'
    throw error
  }
}

interface Outcome {
  readonly cpu: number[] | 'corrupt'
  readonly disk: number[] | 'corrupt'
  readonly isLoud: boolean
  readonly machine: SimulatedMachine
}

async function afterDamage(path: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Promise<Outcome> {
  const changed = new Map(files)
  const bytes = change(files.get(path)!)
  if (bytes === undefined) changed.delete(path)
  else changed.set(path, bytes)
  const machine = await machineWith(changed)
  const first = await openOn(machine)
  const [cpu, disk] = [await numbers(machine, first.db, 'cpu'), await numbers(machine, first.db, 'disk.free')]
  const { segments, setAside } = first.db.stats()
  const counted = segments.quarantined + segments.damaged + setAside > 0
  const isLoud = counted && first.events.some(({ kind }) => loud.has(kind))
  await ingest(first.db, mixedRows(200, 203))
  await settled(machine, first.db.close())

  const again = await openOn(machine)
  const more = (before: number[] | 'corrupt') => (before === 'corrupt' ? before : [...before, 200, 201, 202])
  expect(await numbers(machine, again.db, 'cpu')).toEqual(more(cpu))
  expect(await numbers(machine, again.db, 'disk.free')).toEqual(more(disk))
  const later = again.db.stats()
  expect(later.segments.quarantined, 'what was left out is left out again').toBeGreaterThanOrEqual(segments.quarantined)
  expect(later.setAside).toBeGreaterThanOrEqual(setAside)
  await settled(machine, again.db.close())
  return { cpu, disk, isLoud, machine }
}

/** Cases of each kind: a few in every run, many with `DAMAGE_TIMES=20`. */
const times = Number(process.env['DAMAGE_TIMES'] ?? 1)

const all = range(0, 120)
const notDeleted = all.filter(n => !deletedNumbers.has(n))
/** Rows of undamaged parts are all there, and none that never was; `lost` may be. */
function expectAllBut({ cpu, disk }: Outcome, lost: (n: number) => boolean, what: string): void {
  if (cpu !== 'corrupt') {
    expect(
      cpu.filter(n => !lost(n) && !deletedNumbers.has(n)),
      what,
    ).toEqual(notDeleted.filter(n => !lost(n)))
    expect(
      cpu.every(n => n < 120),
      what,
    ).toBe(true)
  }
  if (disk !== 'corrupt') {
    expect(
      disk.filter(n => !lost(n)),
      what,
    ).toEqual(all.filter(n => !lost(n)))
  }
}

/** What nobody had to read may go unnoticed. */
function expectLoudOrWhole({ cpu, disk, isLoud }: Outcome, what: string): void {
  if (!isLoud) expect({ cpu, disk }, what).toEqual({ cpu: notDeleted, disk: all })
}

/** Places in a file: its ends, where its parts meet, and chance. */
function* places(length: number, random: SeededRandom): Generator<number> {
  const ends = [0, 9, 33, length - 1, length - 30].filter(at => at >= 0 && at < length)
  yield* times > 1 ? ends : [ends[random.below(ends.length)]!]
  for (let i = 0; i < times; i++) yield random.below(length)
}

async function everywhere(
  path: string,
  seed: number,
  check: (outcome: Outcome, kind: DamageKind, at: number, what: string) => void,
): Promise<void> {
  const random = new SeededRandom(seed)
  const bytes = files.get(path)!
  for (const kind of damageKinds) {
    const whole = kind === 'remove' || kind === 'empty' || kind === 'append'
    for (const at of whole ? [0] : places(bytes.length, random)) {
      const what = `${path}: ${kind} at ${at}, seed ${seed}`
      try {
        const outcome = await afterDamage(path, before => damaged(before, kind, at, random))
        check(outcome, kind, at, what)
      } catch (error) {
        throw new Error(`${what}: ${(error as Error).message}`, { cause: error })
      }
    }
  }
}

const pathsLike = (pattern: RegExp): string[] => [...files.keys()].filter(path => pattern.test(path))

test('undamaged it is whole, and quiet', async () => {
  const { cpu, disk, isLoud } = await afterDamage('data/MANIFEST', bytes => bytes)
  expect(cpu).toEqual(notDeleted)
  expect(disk).toEqual(all)
  expect(isLoud).toBe(false)
})

describe('damage anywhere in', () => {
  test('the manifest costs no row, only deletes at most', async () => {
    await everywhere('data/MANIFEST', 11, (outcome, _, __, what) => expectAllBut(outcome, () => false, what))
  })

  test('the catalog costs no row', async () => {
    await everywhere('data/catalog.log', 12, (outcome, kind, at, what) => {
      expectAllBut(outcome, () => false, what)
      if (kind === 'flip') expect(outcome.cpu, `${what} (${at})`).toEqual(notDeleted)
    })
  })

  test('a segment costs its own rows at most', async () => {
    const [first, second] = pathsLike(/\.seg$/)
    await everywhere(first!, 13, (outcome, _, __, what) => {
      expectAllBut(outcome, n => n < 40, what)
      expectLoudOrWhole(outcome, what)
    })
    await everywhere(second!, 14, (outcome, _, __, what) => {
      expectAllBut(outcome, n => n >= 40 && n < 80, what)
      expectLoudOrWhole(outcome, what)
    })
  })

  test('the WAL costs no row that is in a segment, and of the others those of damaged frames', async () => {
    await everywhere('data/wal/current.wal', 15, (outcome, _, __, what) => expectAllBut(outcome, n => n >= 80, what))
  })

  test('the lock costs nothing', async () => {
    await everywhere('data/LOCK', 16, (outcome, _, __, what) => {
      expect(outcome.cpu, what).toEqual(notDeleted)
      expect(outcome.isLoud).toBe(false)
    })
  })
})

test('several files at once', async () => {
  for (let seed = 1; seed <= 4 * times; seed++) {
    const random = new SeededRandom(seed)
    const changed = new Map(files)
    for (const path of files.keys()) {
      if (!random.chance(0.5)) continue
      const kind = damageKinds[random.below(damageKinds.length)]!
      const bytes = damaged(files.get(path)!, kind, random.below(files.get(path)!.length), random)
      if (bytes === undefined) changed.delete(path)
      else changed.set(path, bytes)
    }
    const machine = await machineWith(changed, seed)
    for (let time = 0; time < 2; time++) {
      const { db } = await openOn(machine)
      for (const metric of db.stats().metrics === 0 ? [] : ['cpu', 'disk.free']) {
        try {
          await numbers(machine, db, metric)
        } catch (error) {
          expect((error as SydraError).code, `seed ${seed}`).toBe('unknown_metric')
        }
      }
      await ingest(db, mixedRows(300, 301))
      await settled(machine, db.close())
    }
    expect(filesOf(machine).size).toBeGreaterThan(2)
  }
})
