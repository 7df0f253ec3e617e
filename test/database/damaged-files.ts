/** A database with something in every kind of file, and copies of it that are damaged. */
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { RowObject } from '../../src/types.ts'
import { SimulatedMachine } from '../simulated/machine.ts'
import type { SeededRandom } from '../simulated/random.ts'
import { ingest, openOn, settled } from './support.ts'

export type DiskFiles = ReadonlyMap<string, Uint8Array>

export const filesOf = ({ disk }: SimulatedMachine): DiskFiles =>
  new Map(disk.paths().map(path => [path, disk.contents(path).slice()]))

/** Sizes and checksums: quicker to compare. */
export const digestsOf = (machine: SimulatedMachine): Record<string, string> =>
  Object.fromEntries(
    Array.from(filesOf(machine), ([path, bytes]) => [path, `${bytes.length} ${machine.ports.checksums.crc32(bytes)}`]),
  )

/** A machine whose disk holds exactly these files. */
export async function machineWith(files: DiskFiles, seed = 1): Promise<SimulatedMachine> {
  const machine = new SimulatedMachine(seed)
  for (const [path, bytes] of files) {
    machine.ports.files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    const file = machine.ports.files.open(path, 'create')
    file.write(bytes, 0)
    await file.dataSync()
    file.close()
  }
  for (const path of files.keys())
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      await machine.ports.files.syncDirectory(path.slice(0, at))
  await machine.ports.files.syncDirectory('.')
  // The process that wrote them has another pid.
  machine.kill()
  return machine
}

export const startMs = Date.UTC(2024, 2, 1)
const minuteMs = 60_000

/** Rows [from, to) of two metrics: floats with a gap, text, booleans; each row is told by its number. */
export function mixedRows(from: number, to: number): RowObject[] {
  const rows: RowObject[] = []
  for (let n = from; n < to; n++) {
    const ts = (startMs + n * minuteMs) * 1000
    const fields = { n, x: (n % 7) / 10, ...(n % 3 === 0 ? { text: `text ${n % 5}` } : {}), up: n % 2 === 0 }
    rows.push({ series: 'cpu', ts, tags: { host: `h${n % 4}` }, fields })
    rows.push({ series: 'disk.free', ts, tags: { host: `h${n % 3}`, mount: '/' }, fields: { n } })
  }
  return rows
}

/**
 * Rows 0-39 and 40-79 in segments, 80-119 in the WAL, in some commits each; rows 10-14 of cpu deleted after the first flush,
 * which is in the manifest.
 */
export async function usedDirectory(settings: SettingsInput = {}): Promise<DiskFiles> {
  const machine = new SimulatedMachine(1)
  const { db } = await openOn(machine, settings)
  await ingest(db, mixedRows(0, 20))
  await ingest(db, mixedRows(20, 40))
  await settled(machine, db.flush())
  const iso = (n: number) => new Date(startMs + n * minuteMs).toISOString()
  await settled(machine, db.query(`delete from cpu where time >= '${iso(10)}' and time < '${iso(15)}'`).all())
  await ingest(db, mixedRows(40, 80))
  await settled(machine, db.flush())
  for (let n = 80; n < 120; n += 10) await ingest(db, mixedRows(n, n + 10))
  machine.kill()
  const files = new Map(filesOf(machine))
  // Of the zeros ahead of the frames a few will do.
  const wal = files.get('data/wal/current.wal')!
  files.set('data/wal/current.wal', wal.slice(0, wal.findLastIndex(byte => byte !== 0) + 4096))
  return files
}

export const deletedNumbers = new Set([10, 11, 12, 13, 14])

export type DamageKind = 'flip' | 'zeros' | 'noise' | 'cut' | 'append' | 'remove' | 'empty'
export const damageKinds: readonly DamageKind[] = ['flip', 'zeros', 'noise', 'cut', 'append', 'remove', 'empty']

/** The file damaged at a place; undefined: it is gone. */
export function damaged(bytes: Uint8Array, kind: DamageKind, at: number, random: SeededRandom): Uint8Array | undefined {
  switch (kind) {
    case 'flip':
      return bytes.with(at, bytes[at]! ^ (1 << random.below(8)))
    case 'zeros':
      return bytes.slice().fill(0, at, at + 1 + random.below(64))
    case 'noise': {
      const changed = bytes.slice()
      for (let i = at; i < Math.min(changed.length, at + 16); i++) changed[i] = random.below(256)
      return changed
    }
    case 'cut':
      return bytes.slice(0, at)
    case 'append': {
      const longer = new Uint8Array(bytes.length + 1 + random.below(100))
      longer.set(bytes)
      for (let i = bytes.length; i < longer.length; i++) longer[i] = random.below(256)
      return longer
    }
    case 'remove':
      return undefined
    case 'empty':
      return new Uint8Array(0)
  }
}
