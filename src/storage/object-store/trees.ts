/**
 * Trees: the files of a commit as directories of objects, one tree for each.
 *
 *   MANIFEST  catalog.ckpt  catalog.log  segments/<window>/<id>.seg
 *
 * Invariants:
 * 1. A directory with the same files is the same object: only windows with new segments become new trees.
 * 2. A tree is written after all that it names.
 */
import type { Stoppable } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { encodeTree, type ObjectId, type TreeEntry } from './format.ts'
import type { ObjectStore } from './objects.ts'

export interface StoredFile {
  /** Relative to the data directory. */
  readonly path: string
  readonly id: ObjectId
  readonly bytes: number
}

export interface WalkedEntry extends StoredFile {
  readonly kind: TreeEntry['kind']
}

/** Names of directories within directories. */
const treeDepthMax = 8

export interface WrittenTree {
  readonly id: ObjectId
  readonly bytes: number
  /** Objects that were not there before, and their bytes. */
  readonly added: number
  readonly addedBytes: number
}

export async function writeTree(objects: ObjectStore, files: readonly StoredFile[]): Promise<WrittenTree> {
  const entries: TreeEntry[] = []
  const below = new Map<string, StoredFile[]>()
  let [added, addedBytes] = [0, 0]
  for (const { path, id, bytes } of files) {
    const slash = path.indexOf('/')
    if (slash < 0) {
      entries.push({ kind: 'blob', id, bytes, name: path })
      continue
    }
    const directory = path.slice(0, slash)
    const own = below.get(directory) ?? []
    below.set(directory, own)
    own.push({ path: path.slice(slash + 1), id, bytes })
  }
  for (const [name, own] of below) {
    const tree = await writeTree(objects, own)
    entries.push({ kind: 'tree', id: tree.id, bytes: tree.bytes, name })
    added += tree.added
    addedBytes += tree.addedBytes
  }
  const stored = await objects.write('tree', encodeTree(entries))
  if (stored.isNew) {
    added++
    addedBytes += stored.bytes
  }
  return { id: stored.id, bytes: stored.bytes, added, addedBytes }
}

/** Everything in a tree, each directory before what is in it. Directories whose ids are in `skip` are passed over. */
export function* walkTree(
  objects: ObjectStore,
  id: ObjectId,
  skip: ReadonlySet<ObjectId> = nothing,
  prefix = '',
): Generator<WalkedEntry> {
  if (prefix.split('/').length > treeDepthMax)
    throw new SydraError('corrupt_object', `tree ${id} is deeper than ${treeDepthMax} directories`)
  for (const { kind, id: entry, bytes, name } of objects.tree(id)) {
    if (skip.has(entry)) continue
    const path = prefix + name
    yield { kind, id: entry, bytes, path }
    if (kind === 'tree') yield* walkTree(objects, entry, skip, `${path}/`)
  }
}

const nothing: ReadonlySet<ObjectId> = new Set()

/** Hashes every object of a tree. Throws `corrupt_object` at the first that is not what it should be. */
export async function checkTree(
  objects: ObjectStore,
  id: ObjectId,
  stop: Stoppable & { readonly checked?: Set<ObjectId> } = {},
): Promise<StoredFile[]> {
  const { checked = new Set<ObjectId>() } = stop
  const files: StoredFile[] = []
  for (const { kind, ...file } of walkTree(objects, id)) {
    if (kind === 'tree') continue // reading it was checking it
    files.push(file)
    if (checked.has(file.id)) continue
    const { bytes } = await objects.check('blob', file.id, stop)
    if (bytes !== file.bytes)
      throw new SydraError('corrupt_object', `${file.path} has ${bytes} bytes instead of ${file.bytes}`)
    checked.add(file.id)
  }
  return files
}
