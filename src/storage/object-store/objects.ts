/**
 * The object store: files under the hash of what they hold.
 *
 *   objects/<2 digits>/<62 digits>   an object, whole and never changed
 *   objects/tmp/                     on the way to become one
 *
 * Invariants:
 * 1. An object appears under its name complete and durable in its contents; its name is durable after `sync`.
 * 2. Adding what is there already adds nothing. A name that this store did not see become durable counts as new to `sync`.
 * 3. What `read` gives was hashed; `check` hashes a file of any size in small memory.
 * 4. Nothing in `objects/tmp/` is ever needed again: `clearTemporary` before a snapshot removes what a crash left.
 */
import type { Stoppable } from '../../lib/cancel.ts'
import { fileError } from '../../lib/file-errors.ts'
import { isFileSystemError } from '../../lib/ports.ts'
import { removeQuietly } from '../../lib/remove-quietly.ts'
import { toHex } from '../../lib/text.ts'
import { copyFile, hashFile, idOf, linkOrCopy, type ObjectPorts } from './copy.ts'
import {
  type Commit,
  damaged,
  decodeCommit,
  decodeTree,
  isObjectId,
  type ObjectId,
  type ObjectKind,
  objectHead,
  readHead,
  type TreeEntry,
} from './format.ts'

export const objectsDirectory = 'objects'
const temporaryDirectory = 'tmp'

/** Relative to the directory that has `objects/`. */
export const objectPath = (id: ObjectId): string => `${objectsDirectory}/${id.slice(0, 2)}/${id.slice(2)}`

export interface Stored {
  readonly id: ObjectId
  /** Length of the content. */
  readonly bytes: number
  /** It was not there before. */
  readonly isNew: boolean
}

export class ObjectStore {
  /** Has `objects/`. */
  readonly directory: string
  readonly #ports: ObjectPorts
  /** Directories with names that may not be durable yet, and those all of whose names are. */
  readonly #unsynced = new Set<string>()
  readonly #synced = new Set<string>()

  constructor(ports: ObjectPorts, directory: string) {
    this.#ports = ports
    this.directory = directory
  }

  pathOf(id: ObjectId): string {
    return `${this.directory}/${objectPath(id)}`
  }

  has(id: ObjectId): boolean {
    return this.#ports.files.exists(this.pathOf(id))
  }

  /** Of every object there is. */
  *ids(): Generator<ObjectId> {
    const { files } = this.#ports
    const root = `${this.directory}/${objectsDirectory}`
    if (!files.exists(root)) return
    for (const part of files.list(root)) {
      if (!/^[0-9a-f]{2}$/.test(part)) continue
      for (const rest of files.list(`${root}/${part}`)) if (isObjectId(part + rest)) yield part + rest
    }
  }

  // ---- adding -------------------------------------------------------------------------------------------------------

  /** Throws `disk_full`, `io_error`. */
  async write(kind: ObjectKind, content: Uint8Array): Promise<Stored> {
    const id = idOf(this.#ports, kind, content)
    if (this.#isThere(id)) return { id, bytes: content.length, isNew: false }
    const temporary = this.#newTemporary()
    await this.#told(async () => {
      const file = this.#ports.files.open(temporary, 'create')
      try {
        const head = kind === 'blob' ? new Uint8Array(0) : objectHead(kind, content.length)
        file.write(head, 0)
        file.write(content, head.length)
        await file.dataSync()
      } finally {
        file.close()
      }
      this.#publish(temporary, id)
    }, temporary)
    return { id, bytes: content.length, isNew: true }
  }

  /** Copies a file of another place, as a blob: one that is still written to must not be while this lasts. */
  async add(path: string, stop: Stoppable = {}): Promise<Stored> {
    const temporary = this.#newTemporary()
    return this.#told(async () => {
      const { id, bytes } = await copyFile(this.#ports, path, temporary, 'blob', stop)
      const isNew = !this.#isThere(id)
      if (isNew) this.#publish(temporary, id)
      else this.#ports.files.remove(temporary)
      return { id, bytes, isNew }
    }, temporary)
  }

  /** A name under which the file stays as it is now, whatever becomes of its own: give it to `adopt`. */
  async stage(path: string, stop: Stoppable = {}): Promise<string> {
    const temporary = this.#newTemporary()
    await this.#told(() => linkOrCopy(this.#ports, path, temporary, stop))
    return temporary
  }

  /** Makes a staged file, whose contents are durable, the blob that it is. */
  async adopt(staged: string, stop: Stoppable = {}): Promise<Stored> {
    return this.#told(async () => {
      const { id, bytes } = await hashFile(this.#ports, staged, 'blob', stop)
      const isNew = !this.#isThere(id)
      if (isNew) this.#publish(staged, id)
      else this.#ports.files.remove(staged)
      return { id, bytes, isNew }
    }, staged)
  }

  /** Copies an object of another store, if it is not there yet. Throws `corrupt_object` where that is not what it says. */
  async copyFrom(source: ObjectStore, id: ObjectId, kind: ObjectKind, stop: Stoppable = {}): Promise<boolean> {
    if (this.#isThere(id)) return false
    const temporary = this.#newTemporary()
    await this.#told(async () => {
      const found = await copyFile(this.#ports, source.pathOf(id), temporary, inFile(kind), stop).catch(notFound(id))
      if (found.id !== id) throw damaged(id, 'it is not what its name says')
      this.#publish(temporary, id)
    }, temporary)
    return true
  }

  /** Resolves when the names of all that was added are durable. */
  async sync(): Promise<void> {
    const { files } = this.#ports
    await this.#told(async () => {
      for (const directory of [...this.#unsynced]) {
        await files.syncDirectory(directory)
        this.#unsynced.delete(directory)
        this.#synced.add(directory)
      }
    })
  }

  // ---- reading ------------------------------------------------------------------------------------------------------

  /** Throws `corrupt_object` where it is missing or damaged. For what fits in memory. */
  read(kind: ObjectKind, id: ObjectId): Uint8Array {
    let bytes: Uint8Array
    try {
      const file = this.#ports.files.open(this.pathOf(id), 'read')
      try {
        bytes = new Uint8Array(file.size())
        bytes = bytes.subarray(0, file.read(bytes, 0))
      } finally {
        file.close()
      }
    } catch (error) {
      throw isMissing(error) ? missing(id) : fileError(error, `cannot read object ${id}`)
    }
    const head = kind === 'blob' ? undefined : readHead(bytes)
    const content = head === undefined ? bytes : bytes.subarray(bytes.length - head.length)
    if (head?.kind !== inHead(kind) || idOf(this.#ports, kind, content) !== id)
      throw damaged(id, 'it is not what its name says')
    return content
  }

  tree(id: ObjectId): TreeEntry[] {
    return decodeTree(this.read('tree', id), id)
  }

  commit(id: ObjectId): Commit {
    return decodeCommit(this.read('commit', id), id)
  }

  /** Hashes it all. Throws `corrupt_object`, `io_error`. */
  async check(kind: ObjectKind, id: ObjectId, stop: Stoppable = {}): Promise<{ readonly bytes: number }> {
    return this.#told(async () => {
      const found = await hashFile(this.#ports, this.pathOf(id), inFile(kind), stop).catch(notFound(id))
      if (found.id !== id) throw damaged(id, 'it is not what its name says')
      return { bytes: found.bytes }
    })
  }

  // ---- removing -----------------------------------------------------------------------------------------------------

  remove(id: ObjectId): void {
    this.#ports.files.remove(this.pathOf(id))
  }

  /** Removes what was on the way when the process ended. Not while anything is being added. */
  clearTemporary(): number {
    const { files } = this.#ports
    const directory = `${this.directory}/${objectsDirectory}/${temporaryDirectory}`
    if (!files.exists(directory)) return 0
    const left = files.list(directory)
    for (const name of left) files.remove(`${directory}/${name}`)
    return left.length
  }

  // ---- on the way ---------------------------------------------------------------------------------------------------

  #isThere(id: ObjectId): boolean {
    if (!this.has(id)) return false
    for (const directory of this.#directoriesOf(id)) if (!this.#synced.has(directory)) this.#unsynced.add(directory)
    return true
  }

  #newTemporary(): string {
    const directory = `${this.directory}/${objectsDirectory}/${temporaryDirectory}`
    this.#ports.files.makeDirectory(directory)
    return `${directory}/${toHex(this.#ports.random.bytes(new Uint8Array(8)))}`
  }

  #publish(temporary: string, id: ObjectId): void {
    const { files } = this.#ports
    const path = this.pathOf(id)
    files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    for (const directory of this.#directoriesOf(id)) {
      this.#synced.delete(directory)
      this.#unsynced.add(directory)
    }
    files.rename(temporary, path)
  }

  #directoriesOf(id: ObjectId): string[] {
    const objects = `${this.directory}/${objectsDirectory}`
    return [this.directory, objects, `${objects}/${id.slice(0, 2)}`]
  }

  async #told<T>(work: () => Promise<T>, temporary?: string): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (temporary !== undefined) removeQuietly(this.#ports.files, temporary)
      throw isFileSystemError(error) ? fileError(error, `cannot store in ${this.directory}/${objectsDirectory}`) : error
    }
  }
}

/** Blobs are without their head in the file. */
const inFile = (kind: ObjectKind): 'blob' | undefined => (kind === 'blob' ? kind : undefined)
const inHead = (kind: ObjectKind): 'tree' | 'commit' | undefined => (kind === 'blob' ? undefined : kind)

const isMissing = (error: unknown): boolean => isFileSystemError(error) && error.code === 'ENOENT'
const missing = (id: ObjectId) => damaged(id, 'it is missing')

const notFound =
  (id: ObjectId) =>
  (error: unknown): never => {
    throw isMissing(error) ? missing(id) : error
  }
