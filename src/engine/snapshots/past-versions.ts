/**
 * Snapshots opened in place: segments are read from `objects/`, as they lie there.
 *
 *   ref -> commit -> its MANIFEST and trees -> Versions without a memtable -> pin
 *
 * Invariants:
 * 1. At most `openMax` snapshots stay open without a reader, the least recently used going first; one with readers is open
 *    until the last is gone.
 * 2. What a snapshot keeps does not expire: rules of retention are for the present.
 * 3. Only snapshots of this database are read in place: the ordinals in their segments are those of its catalog, which only
 *    grows.
 */
import { SydraError } from '../../lib/errors.ts'
import type { Ports } from '../../lib/ports.ts'
import { decodeManifest } from '../../storage/manifest/log.ts'
import { manifestName } from '../../storage/manifest/manifest.ts'
import type { ManifestState } from '../../storage/manifest/state.ts'
import { damaged, type ObjectId } from '../../storage/object-store/format.ts'
import { type ObjectStore, objectPath } from '../../storage/object-store/objects.ts'
import { type StoredFile, walkTree } from '../../storage/object-store/trees.ts'
import type { SegmentMeta, Version } from '../../storage/types.ts'
import type { Versions } from '../../storage/versions.ts'
import type { Storage } from '../recovery/open-storage.ts'

/** Snapshots that stay open: their segments' footers are in the cache like those of others. */
const openMax = 8

/** A snapshot as its files tell it. */
export interface PastState {
  readonly id: ObjectId
  readonly manifest: ManifestState
  readonly files: ReadonlyMap<string, StoredFile>
}

export interface OpenSnapshot extends PastState {
  readonly versions: Versions
}

/** Reads manifest and trees. Throws `corrupt_object`. */
export function readPast(objects: ObjectStore, { checksums }: Pick<Ports, 'checksums'>, id: ObjectId): PastState {
  const { tree } = objects.commit(id)
  const files = new Map<string, StoredFile>()
  for (const { kind, ...file } of walkTree(objects, tree)) if (kind === 'blob') files.set(file.path, file)
  const stored = files.get(manifestName)
  if (stored === undefined) throw damaged(tree, 'it has no manifest')
  const { state } = decodeManifest(objects.read('blob', stored.id), objectPath(stored.id), checksums)
  for (const { path } of state.segments) if (!files.has(path)) throw damaged(tree, `it has no ${path}`)
  return { id, manifest: state, files }
}

/** Throws where the snapshot was taken of another database. */
export function assertOwn({ id, manifest }: PastState, databaseId: string): void {
  if (manifest.databaseId === databaseId) return
  throw new SydraError('unsupported_feature', `snapshot ${id.slice(0, 8)} is of another database`, {
    hint: 'restore it into a directory, on the command line: sydradb restore <directory with snapshots> --ref <name>',
  })
}

export class PastVersions {
  readonly #objects: ObjectStore
  readonly #ports: Pick<Ports, 'checksums'>
  readonly #storage: Pick<Storage, 'openPast' | 'manifestState'>
  /** Least recently used first. */
  readonly #open = new Map<ObjectId, OpenSnapshot>()
  #isClosed = false

  constructor(
    objects: ObjectStore,
    ports: Pick<Ports, 'checksums'>,
    storage: Pick<Storage, 'openPast' | 'manifestState'>,
  ) {
    this.#objects = objects
    this.#ports = ports
    this.#storage = storage
  }

  /**
   * Open until the next call, or as long as it is pinned. Throws `corrupt_object`, `unsupported_feature` for a snapshot of
   * another database.
   */
  open(id: ObjectId): OpenSnapshot {
    if (this.#isClosed) throw new SydraError('shutting_down', 'the database is closing')
    let found = this.#open.get(id)
    if (found === undefined) {
      // Before it is among them: nobody reads it yet.
      this.closeIdle(openMax - 1)
      found = this.#read(id)
    }
    this.#open.delete(id)
    this.#open.set(id, found)
    return found
  }

  pin(id: ObjectId): Version {
    return this.open(id).versions.pin()
  }

  /** Those that someone reads. */
  pinned(): ObjectId[] {
    return [...this.#open.values()].filter(isRead).map(({ id }) => id)
  }

  /** Closes those without readers until `max` are open. */
  closeIdle(max = 0): void {
    for (const each of [...this.#open.values()]) {
      if (this.#open.size <= max) return
      if (isRead(each)) continue
      this.#open.delete(each.id)
      each.versions.close()
    }
  }

  /** Closes all, each once its last reader is gone; opens no more. */
  close(): void {
    this.#isClosed = true
    for (const { versions } of this.#open.values()) versions.close()
    this.#open.clear()
  }

  #read(id: ObjectId): OpenSnapshot {
    const past = readPast(this.#objects, this.#ports, id)
    assertOwn(past, this.#storage.manifestState().databaseId)
    const { segments, tombstones, flushedLsn } = past.manifest
    const inPlace = (meta: SegmentMeta): SegmentMeta => ({ ...meta, path: objectPath(past.files.get(meta.path)!.id) })
    return { ...past, versions: this.#storage.openPast(segments.map(inPlace), tombstones, flushedLsn) }
  }
}

const isRead = ({ versions }: OpenSnapshot): boolean => versions.held.pins > 0
