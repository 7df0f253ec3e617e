/**
 * What refs reach, and removing the rest.
 *
 *   refs, HEAD, pinned commits -> commit -> tree -> trees and blobs
 *
 * Invariants:
 * 1. A commit keeps its tree, not its parents: a snapshot whose name is gone is gone, whatever came after it.
 * 2. Nothing is removed where the marking could not read all that is kept.
 */
import { refuseCancelled, type Stoppable } from '../../lib/cancel.ts'
import { fileError } from '../../lib/file-errors.ts'
import type { Ports } from '../../lib/ports.ts'
import type { ObjectId } from './format.ts'
import type { ObjectStore } from './objects.ts'
import type { Refs } from './refs.ts'
import { walkTree } from './trees.ts'

/** Commits that are named, HEAD's among them. */
export function namedCommits(refs: Refs): Set<ObjectId> {
  const { head } = refs
  return new Set([...refs.list().values(), ...(head === undefined ? [] : [head])])
}

/** Every object that one of the commits needs. Throws `corrupt_object`. */
export function reachable(objects: ObjectStore, commits: Iterable<ObjectId>): Set<ObjectId> {
  const found = new Set<ObjectId>()
  for (const id of commits) {
    if (found.has(id)) continue
    const { tree } = objects.commit(id)
    found.add(id)
    if (found.has(tree)) continue
    found.add(tree)
    for (const entry of walkTree(objects, tree, found)) found.add(entry.id)
  }
  return found
}

export interface Swept {
  readonly kept: number
  readonly removed: number
  readonly removedBytes: number
}

/** Objects between two turns. */
const sweepTurn = 256

/** Removes every object that none of the commits needs. Nothing may be added meanwhile. */
export async function sweep(
  { files, timers }: Pick<Ports, 'files' | 'timers'>,
  objects: ObjectStore,
  commits: Iterable<ObjectId>,
  { signal }: Stoppable = {},
): Promise<Swept> {
  const kept = reachable(objects, commits)
  objects.clearTemporary()
  let [seen, removed, removedBytes] = [0, 0, 0]
  try {
    for (const id of [...objects.ids()]) {
      if (++seen % sweepTurn === 0) await new Promise<void>(resolve => timers.soon(resolve))
      refuseCancelled(signal)
      if (kept.has(id)) continue
      const file = files.open(objects.pathOf(id), 'read')
      try {
        removedBytes += file.size()
      } finally {
        file.close()
      }
      objects.remove(id)
      removed++
    }
  } catch (error) {
    throw fileError(error, 'cannot remove objects')
  }
  return { kept: seen - removed, removed, removedBytes }
}
