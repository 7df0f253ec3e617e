/** What power loss leaves of changes that were not synced (invariant 2 of disk.ts). */
import type { MemoryBytes } from '../../src/lib/memory-files.ts'
import { parentOf } from '../../src/lib/paths.ts'
import type { SeededRandom } from './random.ts'

export type PendingData = { readonly position: number; readonly bytes: Uint8Array } | { readonly size: number }

/** A change to names: `set` gives a path an inode (undefined: takes the name away). One entry changes all its paths at once. */
export interface PendingNames<Inode> {
  readonly directories: ReadonlySet<string>
  readonly set: readonly (readonly [path: string, inode: Inode | 'directory' | undefined])[]
}

export type Names<Inode> = Map<string, Inode | 'directory'>

export function applyNames<Inode>(names: Names<Inode>, change: PendingNames<Inode>): void {
  for (const [path, target] of change.set) {
    if (target === undefined) names.delete(path)
    else names.set(path, target)
  }
}

export function applyData(content: MemoryBytes, change: PendingData): void {
  if ('size' in change) content.truncate(change.size)
  else content.write(change.bytes, change.position)
}

const sectorBytes = 512

/** What is left of an inode: its durable bytes, and of each later change what chance lets through. */
export function tornContent(
  { durable, pending }: { readonly durable: MemoryBytes; readonly pending: readonly PendingData[] },
  random: SeededRandom,
  told: (what: string) => void,
): MemoryBytes {
  const content = durable.copy()
  // Rare among independent choices, so made likely: nothing survives, all does, all up to one torn write does.
  const mood = (['nothing', 'all', 'prefix', 'scatter'] as const)[random.below(4)]!
  const cut = random.below(pending.length + 1)
  for (const [index, change] of pending.entries()) {
    if (mood === 'nothing' || (mood === 'prefix' && index > cut)) {
      told('write lost')
      continue
    }
    const whole = mood === 'all' || (mood === 'prefix' && index < cut)
    if (whole || ('size' in change && random.chance(0.5))) applyData(content, change)
    else if ('bytes' in change) tearWrite(content, change.bytes, change.position, random, told)
    else told('truncation lost')
  }
  return content
}

function tearWrite(
  content: MemoryBytes,
  bytes: Uint8Array,
  position: number,
  random: SeededRandom,
  told: (what: string) => void,
): void {
  switch (random.below(4)) {
    case 0:
      told('write lost')
      return
    case 1:
      content.write(bytes, position)
      return
    case 2:
      told('write torn')
      content.write(bytes.subarray(0, random.below(bytes.length + 1)), position)
      return
    default:
      told('write scattered')
      for (let from = 0; from < bytes.length; ) {
        const to = Math.min(bytes.length, from + sectorBytes - ((position + from) % sectorBytes))
        if (random.chance(0.5)) content.write(bytes.subarray(from, to), position + from)
        from = to
      }
  }
}

export function tornNames<Inode>(
  durable: Names<Inode>,
  pending: readonly PendingNames<Inode>[],
  random: SeededRandom,
  told: (what: string) => void,
): Names<Inode> {
  const names: Names<Inode> = new Map(durable)
  const lost = new Set<string>()
  const survival = [0, 0.5, 0.9, 1][random.below(4)]!
  for (const change of pending) {
    const paths = change.set.map(([path]) => path)
    const orphaned = paths.some(path => lost.has(path) || lost.has(parentOf(path)))
    if (orphaned || !random.chance(survival)) {
      for (const path of paths) lost.add(path)
      told('change of names lost')
    } else {
      applyNames(names, change)
      if (lost.size > 0) told('changes of names reordered')
    }
  }
  // A name whose directory never became durable is gone with it.
  for (const path of [...names.keys()].sort()) if (!names.has(parentOf(path))) names.delete(path)
  return names
}
