/**
 * The manifest on disk: a log of edits, one line each, that is written anew when it has become long.
 *
 *   MANIFEST       checkpoint, edit, edit, …
 *   MANIFEST.tmp   the next one, until it takes the name
 *
 * Invariants:
 * 1. An edit is durable before `state` shows it and before `apply` resolves; edits take effect in the order of the calls.
 * 2. An edit that could not be written leaves nothing behind. One that could not be synced, or cut back, may be there or
 *    not: the manifest then takes no more edits, for the ones to come would build on it.
 * 3. A checkpoint is durable under its own name before it takes the other's, and that is durable before the next edit.
 *    Where one cannot be made, the old log goes on.
 */
import { SydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import { directoryOf } from '../../lib/paths.ts'
import type { FileHandle, Ports } from '../../lib/ports.ts'
import { decodeManifest, encodeCheckpoint, encodeEdit } from './log.ts'
import { applyEdit, type ManifestEdit, type ManifestState } from './state.ts'

export const manifestName = 'MANIFEST'

/** Edits behind a checkpoint before the next is made. */
const editsMax = 1000

export interface ManifestSettings {
  readonly editsMax: number
}
export const manifestDefaults: ManifestSettings = { editsMax }

/** The manifest in a directory; undefined when there is none. Throws `corrupt_manifest`, `io_error`. */
export async function openManifest(
  ports: Ports,
  directory: string,
  settings: ManifestSettings = manifestDefaults,
): Promise<Manifest | undefined> {
  const path = `${directory}/${manifestName}`
  try {
    removeIfThere(ports, temporaryOf(path))
    if (!ports.files.exists(path)) return undefined
    const file = ports.files.open(path, 'open')
    try {
      const bytes = new Uint8Array(file.size())
      const { state, edits, end } = decodeManifest(bytes.subarray(0, file.read(bytes, 0)), path, ports.checksums)
      if (end < bytes.length) {
        ports.log('warn', 'the last edit of the manifest was cut off', { path, offset: end })
        file.truncate(end)
      }
      // What was read may be in the cache alone, and the name in the directory too: written again, it is not.
      file.write(bytes.subarray(0, end), 0)
      await file.dataSync()
      await ports.files.syncDirectory(directory)
      return new Manifest(ports, directory, settings, state, { handle: file, edits, end })
    } catch (error) {
      file.close()
      throw error
    }
  } catch (error) {
    throw fileError(error, `cannot open ${path}`)
  }
}

/** Makes the manifest of a new database, or replaces a lost one. Throws `io_error`, `disk_full`. */
export async function createManifest(
  ports: Ports,
  directory: string,
  state: ManifestState,
  settings: ManifestSettings = manifestDefaults,
): Promise<Manifest> {
  try {
    const log = await writeCheckpoint(ports, directory, state)
    await ports.files.syncDirectory(directory)
    await ports.files.syncDirectory(directoryOf(directory))
    return new Manifest(ports, directory, settings, state, log)
  } catch (error) {
    throw fileError(error, `cannot write ${directory}/${manifestName}`)
  }
}

interface EditLog {
  readonly handle: FileHandle
  /** Lines behind the checkpoint. */
  edits: number
  end: number
}

export class Manifest {
  readonly #ports: Ports
  readonly #directory: string
  readonly #settings: ManifestSettings
  #state: ManifestState
  #log: EditLog
  #poison: SydraError | undefined
  #onDoubt: (reason: SydraError) => void = () => {}
  #last: Promise<void> = Promise.resolve()

  /** Use `openManifest` or `createManifest`. */
  constructor(ports: Ports, directory: string, settings: ManifestSettings, state: ManifestState, log: EditLog) {
    this.#ports = ports
    this.#directory = directory
    this.#settings = settings
    this.#state = state
    this.#log = log
  }

  /** All that is durable; a new object after every edit. */
  get state(): ManifestState {
    return this.#state
  }

  /** An edit failed so that it may be there or not, when the file is read again. */
  get isInDoubt(): boolean {
    return this.#poison !== undefined
  }

  /** `told` hears of it when it comes to that, before the call that failed is answered. */
  whenInDoubt(told: (reason: SydraError) => void): void {
    this.#onDoubt = told
  }

  /**
   * Resolves when the edit is durable. Rejects with `disk_full` or `io_error` when it could not be written, and with
   * `read_only` after a failure that leaves the file in doubt. Before that the state is checked: an edit that does not
   * fit is a bug.
   */
  apply(edit: ManifestEdit): Promise<void> {
    const applied = this.#last.then(() => this.#applyNow(edit))
    this.#last = applied.catch(() => {})
    return applied
  }

  /** Waits for the edits under way. */
  async close(): Promise<void> {
    await this.#last
    this.#log.handle.close()
  }

  async #applyNow(edit: ManifestEdit): Promise<void> {
    if (this.#poison !== undefined) throw this.#poison
    const next = applyEdit(this.#state, edit)
    const log = this.#log
    const line = encodeEdit(log.edits + 1, edit, this.#ports.checksums)
    try {
      log.handle.write(line, log.end)
    } catch (error) {
      this.#cutBack(error)
      throw fileError(error, 'cannot write the manifest')
    }
    try {
      await log.handle.dataSync()
    } catch (error) {
      this.#poisonWith(error)
      throw fileError(error, 'cannot sync the manifest')
    }
    log.end += line.length
    log.edits++
    this.#state = next
    if (log.edits >= this.#settings.editsMax) await this.#checkpoint()
  }

  /** The edit is durable whatever becomes of the checkpoint. */
  async #checkpoint(): Promise<void> {
    const { files, log } = this.#ports
    let written: EditLog
    try {
      written = await writeCheckpoint(this.#ports, this.#directory, this.#state)
    } catch (error) {
      log('warn', 'cannot write a checkpoint of the manifest', { error: fileError(error, 'checkpoint').message })
      return
    }
    this.#log.handle.close()
    this.#log = written
    try {
      await files.syncDirectory(this.#directory)
    } catch (error) {
      this.#poisonWith(error)
    }
  }

  #cutBack(cause: unknown): void {
    try {
      this.#log.handle.truncate(this.#log.end)
    } catch {
      this.#poisonWith(cause)
    }
  }

  #poisonWith(cause: unknown): void {
    this.#poison = new SydraError('read_only', 'the manifest takes no more edits: the device failed a write', {
      hint: 'check the device, then close and open the database again',
      cause,
    })
    this.#onDoubt(this.#poison)
  }
}

/** Writes a whole manifest beside the old one and gives it its name. On failure the old one is as it was. */
async function writeCheckpoint(ports: Ports, directory: string, state: ManifestState): Promise<EditLog> {
  const path = `${directory}/${manifestName}`
  const bytes = encodeCheckpoint(state, ports.checksums)
  removeIfThere(ports, temporaryOf(path))
  const handle = ports.files.open(temporaryOf(path), 'create')
  try {
    handle.write(bytes, 0)
    await handle.dataSync()
    ports.files.rename(temporaryOf(path), path)
  } catch (error) {
    handle.close()
    throw error
  }
  return { handle, edits: 0, end: bytes.length }
}

const temporaryOf = (path: string): string => `${path}.tmp`

function removeIfThere(ports: Ports, path: string): void {
  if (ports.files.exists(path)) ports.files.remove(path)
}
