/**
 * Copies a commit with all it needs to another store, as far as it is not there yet.
 *
 * Invariants:
 * 1. Objects before the trees that name them, all before the commit, each durable before the next.
 * 2. What a ref of the target reaches is there and durable: it is neither read nor copied again.
 */
import type { Stoppable } from '../../lib/cancel.ts'
import type { ObjectId } from './format.ts'
import type { ObjectStore } from './objects.ts'
import { namedCommits, reachable } from './reach.ts'
import type { Refs } from './refs.ts'
import { type WalkedEntry, walkTree } from './trees.ts'

export interface Copied {
  readonly objects: number
  readonly bytes: number
}

export async function copyCommit(
  source: ObjectStore,
  target: ObjectStore,
  targetRefs: Refs,
  id: ObjectId,
  stop: Stoppable = {},
): Promise<Copied> {
  const known = reachable(target, namedCommits(targetRefs))
  if (known.has(id)) return { objects: 0, bytes: 0 }
  const { tree } = source.commit(id)
  let [objects, bytes] = [0, 0]
  const copy = async (entry: Pick<WalkedEntry, 'id' | 'bytes'>, kind: 'blob' | 'tree' | 'commit'): Promise<void> => {
    if (!(await target.copyFrom(source, entry.id, kind, stop))) return
    objects++
    bytes += entry.bytes
  }
  const entries = [...walkTree(source, tree, known)]
  for (const entry of entries) if (entry.kind === 'blob') await copy(entry, 'blob')
  await target.sync()
  for (const entry of entries.toReversed()) if (entry.kind === 'tree') await copy(entry, 'tree')
  if (!known.has(tree)) await copy({ id: tree, bytes: 0 }, 'tree')
  await target.sync()
  await copy({ id, bytes: 0 }, 'commit')
  await target.sync()
  return { objects, bytes }
}
