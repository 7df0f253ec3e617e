/** Lists the snapshots of an object store: the commits that refs name. */

import type { ObjectId } from '../../storage/object-store/format.ts'
import type { ObjectStore } from '../../storage/object-store/objects.ts'
import { namedCommits } from '../../storage/object-store/reach.ts'
import type { Refs } from '../../storage/object-store/refs.ts'
import type { Snapshot } from './types.ts'

/** Newest first. Throws `corrupt_object`. */
export function listSnapshots(objects: ObjectStore, refs: Refs): Snapshot[] {
  const names = refs.list()
  const found = [...namedCommits(refs)].map(id => describe(objects, refs, names, id))
  return found.sort((a, b) => b.timeUs - a.timeUs || b.lsn - a.lsn || (a.id < b.id ? -1 : 1))
}

export const snapshotOf = (objects: ObjectStore, refs: Refs, id: ObjectId): Snapshot =>
  describe(objects, refs, refs.list(), id)

function describe(objects: ObjectStore, refs: Refs, all: ReadonlyMap<string, ObjectId>, id: ObjectId): Snapshot {
  const { parent, message, timeUs, lsn, segments, rows, bytes, leftOut } = objects.commit(id)
  const names = [...all].filter(([, commit]) => commit === id).map(([name]) => name)
  const isHead = refs.head === id
  return { id, names, isHead, message, timeUs, parent: parent ?? undefined, lsn, segments, rows, bytes, leftOut }
}
