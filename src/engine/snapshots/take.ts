/**
 * Taking a snapshot: what the manifest names, as objects, while ingest, flushes and merges go on.
 *
 *   flush -> state and files held still for a moment: version pinned, catalog copied
 *         -> segments that are not stored yet get a second name, and the pin goes
 *         -> they are hashed and take the names of their hashes -> trees -> commit, each durable before the next
 *
 * Invariants:
 * 1. It costs what is new: a segment that HEAD has by its path is neither read nor linked again.
 * 2. No file that it names is removed on the way: first the pin holds it, then its second name.
 * 3. The log of writes is not needed: rows of LSNs up to the manifest's are all in segments, and the others are not part of it.
 * 4. It leaves nothing behind where it fails but objects that nothing names, which are used again or go with the next gc.
 */
import { refuseCancelled } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { readWhole } from '../../lib/read-whole.ts'
import { checkpointName } from '../../storage/catalog/checkpoint.ts'
import { logName } from '../../storage/catalog/log.ts'
import { encodeCheckpoint } from '../../storage/manifest/log.ts'
import { manifestName } from '../../storage/manifest/manifest.ts'
import type { ManifestState } from '../../storage/manifest/state.ts'
import type { Copied } from '../../storage/object-store/copy-commit.ts'
import { encodeCommit, type ObjectId } from '../../storage/object-store/format.ts'
import type { ObjectStore, Stored } from '../../storage/object-store/objects.ts'
import { type StoredFile, writeTree } from '../../storage/object-store/trees.ts'
import type { SegmentMeta } from '../../storage/types.ts'
import type { Storage } from '../recovery/open-storage.ts'
import type { PastState } from './past-versions.ts'

export interface TakeOptions {
  readonly message: string
  readonly parent: ObjectId | null
  /** Files of this database by path, whose objects are there and durable. */
  readonly known: ReadonlyMap<string, StoredFile>
  readonly signal: AbortSignal
}

export interface Taken {
  readonly id: ObjectId
  readonly files: readonly StoredFile[]
  /** What was not there before. */
  readonly added: Copied
}

/** Files that are linked between two turns: some hundred microseconds. */
const linkTurn = 32
/** Turns in which a flush that is durable becomes visible. */
const visibleTurnsMax = 100

/** The memtable was flushed before. Throws `disk_full`, `io_error`, `cancelled`. */
export async function takeSnapshot(
  storage: Storage,
  ports: Ports,
  objects: ObjectStore,
  { message, parent, known, signal }: TakeOptions,
): Promise<Taken> {
  const directory = objects.directory
  const files: StoredFile[] = []
  let [addedObjects, addedBytes] = [0, 0]
  const count = ({ isNew, bytes }: Pick<Stored, 'isNew' | 'bytes'>): void => {
    if (!isNew) return
    addedObjects++
    addedBytes += bytes
  }
  const keep = (path: string, stored: Stored): void => {
    files.push({ path, id: stored.id, bytes: stored.bytes })
    count(stored)
  }
  const timeUs = ports.clock.nowUs()

  const { state, version, checkpoint } = await storage.undisturbed(async present => {
    await settled(storage, ports, present)
    const pinned = storage.versions.pin()
    try {
      keep(logName, await objects.add(`${directory}/${logName}`, { signal }))
      return { state: present, version: pinned, checkpoint: await stageCheckpoint(ports, objects, known) }
    } catch (error) {
      pinned.release()
      throw error
    }
  })
  const staged = new Map<string, string>()
  const present: SegmentMeta[] = []
  const leftOut: string[] = []
  try {
    const damagedPaths = new Set(storage.damage.quarantined.map(({ path }) => path))
    for (const meta of state.segments) {
      if (damagedPaths.has(meta.path)) {
        leftOut.push(meta.path)
        continue
      }
      present.push(meta)
      const stored = known.get(meta.path)
      if (stored?.bytes === meta.bytes) {
        files.push(stored)
        continue
      }
      staged.set(meta.path, await objects.stage(`${directory}/${meta.path}`, { signal }))
      if (staged.size % linkTurn === 0) await new Promise<void>(resolve => ports.timers.soon(resolve))
      refuseCancelled(signal)
    }
  } finally {
    version.release()
  }

  if (checkpoint?.kind === 'known') files.push(checkpoint.file)
  if (checkpoint?.kind === 'staged') keep(checkpointName, await objects.adopt(checkpoint.path, { signal }))
  for (const [path, temporary] of staged) keep(path, await objects.adopt(temporary, { signal }))
  const manifest = encodeCheckpoint({ ...state, segments: present }, ports.checksums)
  keep(manifestName, await objects.write('blob', manifest))
  await objects.sync()
  const tree = await writeTree(objects, files)
  addedObjects += tree.added
  addedBytes += tree.addedBytes
  await objects.sync()
  refuseCancelled(signal)
  const commit = await objects.write(
    'commit',
    encodeCommit({
      tree: tree.id,
      parent,
      databaseId: state.databaseId,
      lsn: state.flushedLsn,
      timeUs,
      message,
      segments: present.length,
      rows: present.reduce((sum, { rows, rollup }) => sum + (rollup === undefined ? rows : 0), 0),
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      leftOut,
    }),
  )
  count(commit)
  await objects.sync()
  return { id: commit.id, files, added: { objects: addedObjects, bytes: addedBytes } }
}

/** A flush is durable a moment before its segments are visible: only then a pin holds them. */
async function settled({ versions, damage }: Storage, { timers }: Ports, state: ManifestState): Promise<void> {
  for (let turn = 0; ; turn++) {
    const known = new Set(versions.segments.map(({ meta }) => meta.id))
    for (const { path } of damage.quarantined) known.add(path)
    if (state.segments.every(({ id, path }) => known.has(id) || known.has(path))) return
    if (turn === visibleTurnsMax)
      throw new SydraError('read_only', 'a flush is durable, but not visible: reopen the database')
    await new Promise<void>(resolve => timers.soon(resolve))
  }
}

type Checkpoint =
  | { readonly kind: 'known'; readonly file: StoredFile }
  | { readonly kind: 'staged'; readonly path: string }

/** Tells one checkpoint of a catalog from another: magic, version, incarnation, sequence. */
const checkpointHeadBytes = 40

/** The catalog's checkpoint, unless it is the one that HEAD has; undefined where there is none yet. */
async function stageCheckpoint(
  { files }: Ports,
  objects: ObjectStore,
  known: ReadonlyMap<string, StoredFile>,
): Promise<Checkpoint | undefined> {
  const path = `${objects.directory}/${checkpointName}`
  if (!files.exists(path)) return undefined
  const headOf = (of: string): string => readWhole(files, of, checkpointHeadBytes).join()
  const before = known.get(checkpointName)
  if (before !== undefined && objects.has(before.id) && headOf(objects.pathOf(before.id)) === headOf(path))
    return { kind: 'known', file: before }
  return { kind: 'staged', path: await objects.stage(path) }
}

/**
 * What HEAD has of this database, by the paths that its segments have in the data directory. A rebuilt manifest, which may
 * give the name of a segment that is gone to another, begins an incarnation.
 */
export const knownFiles = (
  past: PastState | undefined,
  { databaseId, incarnation }: ManifestState,
): ReadonlyMap<string, StoredFile> =>
  past?.manifest.databaseId === databaseId && past.manifest.incarnation === incarnation ? past.files : new Map()
