/**
 * Snapshots in directories that no engine has open: where copies lie, and the database that is made of one.
 *
 * Invariants:
 * 1. What changes a directory holds its lock.
 */
import type { Stoppable } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { normalPath } from '../../lib/paths.ts'
import type { Ports } from '../../lib/ports.ts'
import { acquireLock } from '../../storage/lock.ts'
import { checkout, hasDatabase } from '../../storage/object-store/checkout.ts'
import { ObjectStore, objectsDirectory } from '../../storage/object-store/objects.ts'
import { namedCommits, sweep } from '../../storage/object-store/reach.ts'
import { Refs } from '../../storage/object-store/refs.ts'
import { checkTree } from '../../storage/object-store/trees.ts'
import { listSnapshots, snapshotOf } from './list.ts'
import { forgetRef } from './snapshots.ts'
import type { GarbageReport, RestoreReport, Snapshot } from './types.ts'

/** Options of `restoreDirectory`. */
export interface RestoreDirectoryOptions extends Stoppable {
  /** A name, `HEAD` (the default), or the first digits of an id. */
  readonly ref?: string | undefined
  /** Replaces the database that is in the directory. */
  readonly replace?: boolean | undefined
  /** Verifies and tells what would be; changes nothing. */
  readonly dryRun?: boolean | undefined
}

/** Whether there are snapshots, or copies of them, in the directory. */
export const hasSnapshots = ({ files }: Pick<Ports, 'files'>, directory: string): boolean =>
  files.exists(`${directory}/${objectsDirectory}`)

/**
 * Makes a closed directory the database that a snapshot in `source` (or in itself) keeps, with an id of its own. It is the one
 * or the other, whatever crash comes. Throws `not_found`, `already_exists` unless told to replace, `corrupt_object`,
 * `directory_in_use`.
 */
export async function restoreDirectory(
  ports: Ports,
  source: string,
  directory: string,
  { ref = 'HEAD', replace = false, dryRun = false, signal }: RestoreDirectoryOptions = {},
): Promise<RestoreReport> {
  const startedMs = ports.clock.monotonicMs()
  const { objects, refs } = storeOf(ports, source)
  const id = refs.resolve(ref)
  if (!replace && hasDatabase(ports, directory))
    throw new SydraError('already_exists', `there is a database in ${directory}`, {
      hint: 'restore into another directory, or say --replace',
    })
  const report = () => ({
    snapshot: snapshotOf(objects, refs, id),
    dryRun,
    elapsedMs: ports.clock.monotonicMs() - startedMs,
  })
  if (dryRun) {
    await checkTree(objects, objects.commit(id).tree, { signal })
    return report()
  }
  ports.files.makeDirectory(directory)
  const lock = await acquireLock(ports, directory)
  try {
    await checkout(ports, objects, id, normalPath(directory) || '.', { signal })
  } finally {
    await lock.release()
  }
  return report()
}

/** Newest first. Throws `not_found` where there are none at all. */
export function snapshotsIn(ports: Ports, directory: string): Snapshot[] {
  const { objects, refs } = storeOf(ports, directory)
  return listSnapshots(objects, refs)
}

/** Forgets names, then removes what no snapshot needs. */
export async function collectIn(
  ports: Ports,
  directory: string,
  forget: readonly string[],
  stop: Stoppable = {},
): Promise<GarbageReport> {
  const { objects, refs } = storeOf(ports, directory)
  const lock = await acquireLock(ports, directory)
  try {
    for (const name of forget) await forgetRef(refs, objects, name)
    return await sweep(ports, objects, namedCommits(refs), stop)
  } finally {
    await lock.release()
  }
}

function storeOf(ports: Ports, directory: string): { readonly objects: ObjectStore; readonly refs: Refs } {
  if (!hasSnapshots(ports, directory))
    throw new SydraError('not_found', `there are no snapshots in ${directory}`, {
      hint: 'sydradb snapshot makes one; sydradb snapshot <directory> copies it there',
    })
  return { objects: new ObjectStore(ports, directory), refs: new Refs(ports, directory) }
}
