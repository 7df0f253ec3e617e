/** Verifies an object store: the hash of every object, and that every ref, commit and tree names what is there. */
import { refuseCancelled, type Stoppable } from '../../lib/cancel.ts'
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { hashFile, type ObjectPorts } from './copy.ts'
import { damaged, type ObjectId } from './format.ts'
import { ObjectStore, objectPath } from './objects.ts'
import { isNoRef, Refs, refsDirectory } from './refs.ts'
import { walkTree } from './trees.ts'

export interface ObjectProblem {
  /** Relative to the directory. */
  readonly path: string
  readonly message: string
}

export interface VerifiedObjects {
  readonly objects: number
  readonly bytes: number
  readonly refs: number
  /** Commits that a ref names. */
  readonly commits: number
  readonly problems: readonly ObjectProblem[]
}

/**
 * Reads every object once, in small memory, with turns in between. Damage is in `problems`; it throws only what says nothing
 * about the objects.
 *
 * @param directory has `objects/` and `refs/`: a data directory, or where snapshots were copied to
 */
export async function verifyObjects(
  ports: ObjectPorts & Pick<Ports, 'files'>,
  directory: string,
  stop: Stoppable = {},
): Promise<VerifiedObjects> {
  const objects = new ObjectStore(ports, directory)
  const refs = new Refs(ports, directory)
  const problems: ObjectProblem[] = []
  const sizes = new Map<ObjectId, number>()
  let bytes = 0
  const tell = (path: string, error: unknown): void => {
    refuseCancelled(stop.signal)
    problems.push({ path, message: toSydraError(error).message })
  }

  for (const id of [...objects.ids()]) {
    refuseCancelled(stop.signal)
    try {
      const size = await verifyObject(ports, objects, id, stop)
      sizes.set(id, size)
      bytes += size
    } catch (error) {
      // Gone since it was listed, it was not needed; or what follows misses it.
      if (objects.has(id)) tell(objectPath(id), error)
    }
  }
  const commits = new Set<ObjectId>()
  const names = refNames(ports, directory)
  for (const name of names) {
    try {
      commits.add(refs.get(name)!)
    } catch (error) {
      tell(`${refsDirectory}/${name}`, error)
    }
  }
  const seen = new Set<ObjectId>()
  for (const id of commits) {
    try {
      const { tree } = objects.commit(id)
      if (seen.has(tree)) continue
      for (const entry of walkTree(objects, tree, seen)) {
        seen.add(entry.id)
        if (entry.kind === 'tree') continue
        const size = sizes.get(entry.id)
        if (size === entry.bytes) continue
        const what = objects.has(entry.id) ? `it has not the ${entry.bytes} bytes of ${entry.path}` : 'it is missing'
        if (size !== undefined || !objects.has(entry.id)) tell(objectPath(entry.id), damaged(entry.id, what))
      }
      seen.add(tree)
    } catch (error) {
      // What cannot be read was told when it was hashed, unless it is not there.
      tell(objectPath(id), error)
    }
  }
  return { objects: sizes.size, bytes, refs: names.length, commits: commits.size, problems }
}

const refNames = ({ files }: Pick<Ports, 'files'>, directory: string): string[] =>
  files.exists(`${directory}/${refsDirectory}`)
    ? files.list(`${directory}/${refsDirectory}`).filter(name => !isNoRef(name))
    : []

/** The size of the file, when its name is the hash of one of the kinds it may be. */
async function verifyObject(ports: ObjectPorts, objects: ObjectStore, id: ObjectId, stop: Stoppable): Promise<number> {
  const path = objects.pathOf(id)
  if (hasHead(ports, path)) {
    const found = await hashFile(ports, path, undefined, stop)
    if (found.id === id) return found.bytes
  }
  const found = await hashFile(ports, path, 'blob', stop)
  if (found.id !== id)
    throw new SydraError('corrupt_object', `object ${id} is damaged: its contents are not what its name says`)
  return found.bytes
}

/** Whether the file may be a tree or commit. */
function hasHead({ files }: ObjectPorts, path: string): boolean {
  const file = files.open(path, 'read')
  try {
    const start = new Uint8Array(6)
    const text = new TextDecoder().decode(start.subarray(0, file.read(start, 0)))
    return text.startsWith('tree ') || text === 'commit'
  } finally {
    file.close()
  }
}
