/**
 * Restoring a snapshot of the open database: everything is verified and in its place before anything changes.
 *
 *   every hash -> segments under new names -> writers wait, memtables are flushed -> one edit of the manifest
 *
 * Invariants:
 * 1. Nothing is replaced before every object was read and had its hash.
 * 2. The manifest's edit is the restore: before it is durable the database is as it was, and what was linked is removed at
 *    the next opening; after it, it is as the snapshot.
 * 3. Segments get ids of their own: readers of before keep theirs, and no merge that is under way finds its inputs again.
 * 4. Everything committed until then is replaced, and nothing after: writers wait from the last flush to the edit. Where nobody
 *    can tell whether the edit is durable, the database is read-only until it is opened again.
 */

import { refuseCancelled } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { removeQuietly } from '../../lib/remove-quietly.ts'
import { linkOrCopy } from '../../storage/object-store/copy.ts'
import type { ObjectId } from '../../storage/object-store/format.ts'
import type { ObjectStore } from '../../storage/object-store/objects.ts'
import { checkTree, type StoredFile } from '../../storage/object-store/trees.ts'
import { temporarySuffix } from '../../storage/segment/publish.ts'
import type { SegmentMeta } from '../../storage/types.ts'
import type { Storage } from '../recovery/open-storage.ts'
import { assertOwn, readPast } from './past-versions.ts'

export interface RestoreSteps {
  /** Resolves when all that was committed is in segments, and writers wait until what it gives is called. */
  holdWriters(): Promise<() => void>
  readonly dryRun: boolean
  readonly signal: AbortSignal
}

/**
 * Resolves with the files of the snapshot by their new paths.
 * Throws `corrupt_object`, `unsupported_feature`, `disk_full`, `io_error`; then nothing has changed.
 */
export async function restoreSnapshot(
  storage: Storage,
  ports: Ports,
  objects: ObjectStore,
  id: ObjectId,
  { holdWriters, dryRun, signal }: RestoreSteps,
): Promise<ReadonlyMap<string, StoredFile>> {
  const past = readPast(objects, ports, id)
  assertOwn(past, storage.manifestState().databaseId)
  const { tree, leftOut } = objects.commit(id)
  await checkTree(objects, tree, { signal })
  if (dryRun) return past.files

  const { segments, tombstones } = past.manifest
  const renamed = renamedSegments(segments, leftOut, storage.takeSegmentIds(segments.length))
  const linked: string[] = []
  let isDecided = false
  const files = new Map<string, StoredFile>([...past.files].filter(([path]) => !path.startsWith('segments/')))
  try {
    const directories = new Set([objects.directory])
    for (const [before, meta] of renamed) {
      const stored = past.files.get(before.path)!
      const path = `${objects.directory}/${meta.path}`
      for (let at = path.lastIndexOf('/'); at > objects.directory.length; at = path.lastIndexOf('/', at - 1))
        directories.add(path.slice(0, at))
      ports.files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
      linked.push(path)
      await linkOrCopy(ports, objects.pathOf(stored.id), path + temporarySuffix, { signal })
      ports.files.rename(path + temporarySuffix, path)
      files.set(meta.path, { ...stored, path: meta.path })
      refuseCancelled(signal)
    }
    for (const directory of directories) await ports.files.syncDirectory(directory)
    const letWritersGo = await holdWriters()
    isDecided = true
    try {
      await storage.restoreSegments([...renamed.values()], tombstones)
    } finally {
      letWritersGo()
    }
    return files
  } catch (error) {
    // An edit that failed may be durable nevertheless: its files stay, and opening removes those that are not named.
    if (!isDecided)
      for (const path of linked) for (const each of [path, path + temporarySuffix]) removeQuietly(ports.files, each)
    if (isDecided && storage.isManifestInDoubt())
      throw new SydraError('io_error', 'nobody can tell whether the snapshot is restored: the device failed a write', {
        hint: 'check the device, then close and open the database again: it is as the snapshot, or as it was',
        cause: error,
      })
    throw fileError(error, 'cannot restore the snapshot')
  }
}

/**
 * The same with new ids and paths. A rollup that outlived its rows still names them as before: no segment gets that id again.
 * One whose rows were damaged, and left out of the snapshot, stays out.
 */
function renamedSegments(
  segments: readonly SegmentMeta[],
  leftOut: readonly string[],
  ids: readonly string[],
): Map<SegmentMeta, SegmentMeta> {
  const idOf = new Map(segments.map((meta, index) => [meta.id, ids[index]!]))
  const renamed = new Map<SegmentMeta, SegmentMeta>()
  for (const meta of segments) {
    const { path, rollup } = meta
    if (rollup !== undefined && leftOut.some(each => each.endsWith(`/${rollup.of}.seg`))) continue
    const id = idOf.get(meta.id)!
    const directory = path.slice(0, path.lastIndexOf('/'))
    renamed.set(meta, {
      ...meta,
      id,
      path: `${directory}/${id}.seg`,
      ...(rollup === undefined ? {} : { rollup: { ...rollup, of: idOf.get(rollup.of) ?? rollup.of } }),
    })
  }
  return renamed
}
