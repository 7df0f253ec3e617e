/** A database on the simulated machine, and promises that need its time to pass. */
import { open } from '../../src/index.ts'
import type { SettingsInput } from '../../src/lib/settings.ts'
import type { Database, EngineEvent, RowObject } from '../../src/types.ts'
import type { SimulatedMachine } from '../simulated/machine.ts'

const turnsMax = 5000
export const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

/** The promise's outcome; time moves while it is awaited. */
export async function settled<T>(machine: SimulatedMachine, promise: Promise<T>): Promise<T> {
  let done = false
  const end = () => {
    done = true
  }
  promise.then(end, end)
  for (let turns = 0; !done; turns++) {
    if (turns > turnsMax) throw new Error('something never settles')
    await turn()
    if (turns % 8 === 7) await machine.advance(50)
  }
  return promise
}

export interface Opened {
  readonly db: Database
  readonly events: readonly EngineEvent[]
}

export async function openOn(machine: SimulatedMachine, settings: SettingsInput = {}): Promise<Opened> {
  const db = await settled(machine, open({ dataDir: 'data', ...settings }, machine.ports))
  const events: EngineEvent[] = []
  db.events$.subscribe(event => events.push(event))
  return { db, events }
}

export const startUs = Date.UTC(2026, 0, 1) * 1000

/** Rows `from` to `to`, exclusive: one a second, of the series cpu{host}. */
export const rows = (from: number, to: number, host = 'a'): RowObject[] =>
  Array.from({ length: to - from }, (_, i) => ({
    series: 'cpu',
    ts: startUs + (from + i) * 1e6,
    value: from + i,
    tags: { host },
  }))

export async function ingest(db: Database, some: readonly RowObject[]): Promise<void> {
  const { failure } = await db.ingest(some, { precision: 'us' })
  if (failure !== undefined) throw failure
}

/** The values of cpu, ascending. */
export async function values(db: Database): Promise<number[]> {
  const { rows: found } = await db.query<{ value: number }>('select value from cpu').all()
  return found.map(({ value }) => value).sort((a, b) => a - b)
}

export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

export const kinds = (events: readonly EngineEvent[]): string[] => events.map(({ kind }) => kind)

export const segmentPaths = (machine: SimulatedMachine): string[] =>
  machine.disk.paths().filter(path => path.startsWith('data/segments/'))

/** Offsets of the WAL's frames; see docs/format/wal.md. */
export function walFrames(machine: SimulatedMachine): number[] {
  const bytes = machine.disk.contents('data/wal/current.wal')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const found: number[] = []
  for (let at = 64; at + 32 <= bytes.length && view.getUint32(at, true) !== 0; ) {
    found.push(at)
    at += 32 + Math.ceil(view.getUint32(at + 8, true) / 8) * 8
  }
  return found
}
