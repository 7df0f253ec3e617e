/**
 * The catalog on disk: opening it, logging what is new at each flush, and checkpointing when the log grows long.
 *
 *   open:   catalog.ckpt -> catalog.log -> (WAL records, by the engine through `catalog.applyRecords`)
 *   flush:  appendLog = records since the last one -> catalog.log -> fdatasync [-> checkpoint -> new empty log]
 *   end:    tidy = checkpoint -> new empty log, where that makes the next opening shorter
 *
 * Invariants:
 * 1. `appendLog` resolves only when every record that existed at the call is durable, in the log or a checkpoint.
 * 2. The log is replaced only after the checkpoint that covers it is durable. A crash in between leaves a log whose
 *    records the checkpoint holds already: applying them is a no-op.
 * 3. Appends and checkpoints run one at a time, in the order of the calls.
 * 4. After a failed sync the log is given up: the next append writes a checkpoint and a new log in its place.
 */

import { SydraError } from '../../lib/errors.ts'
import { isFileSystemError, type Ports } from '../../lib/ports.ts'
import { toHex } from '../../lib/text.ts'
import type { CatalogExtent } from '../manifest/state.ts'
import { keepCopy, setAside } from '../set-aside.ts'
import type { FieldType, Tags } from '../types.ts'
import { Catalog } from './catalog.ts'
import { type CheckpointPorts, checkpointName, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { loadSeriesHasher, type SeriesHasher } from './identity.ts'
import { type CatalogLog, corrupt, createLog, logName, openLog } from './log.ts'

/** A log longer than this, and than half the last checkpoint, is followed by a checkpoint. */
const logBytesMaxDefault = 8 << 20
/** Fewer records are replayed as soon as a checkpoint is read, and so is a log that is a smaller part of it. */
const tidyRecordsMin = 64
const tidyPart = 1 / 8

export type CatalogPorts = CheckpointPorts & Pick<Ports, 'random' | 'log'>

export interface CatalogStoreOptions {
  readonly ports: CatalogPorts
  /** Holds `catalog.ckpt` and `catalog.log`; made when absent. */
  readonly directory: string
  readonly seriesMax: number
  /** What the files held once: less is damage, no torn tail. */
  readonly extent?: CatalogExtent | undefined
  readonly logBytesMax?: number
  /** xxHash64 by default; tests inject one that collides. */
  readonly hash?: SeriesHasher
}

export interface CatalogStore {
  readonly catalog: Catalog
  /** Resolves when all records so far are durable outside the WAL. Throws `disk_full` or `io_error`; may be tried again. */
  appendLog(): Promise<void>
  /** Writes `catalog.ckpt` and starts an empty log. */
  checkpoint(): Promise<void>
  /** The same before the end, if it is worth it: the next opening reads columns, and replays nothing. What fails is logged: nothing is lost. */
  tidy(): Promise<void>
  /** Makes all records durable as `appendLog` does, then runs the task; neither file changes before it ends. */
  undisturbed<T>(task: () => Promise<T>): Promise<T>
  /** Waits for what is under way and closes the log; appends nothing. */
  close(): Promise<void>
}

/** Whether a catalog is there, whole or not. */
export const catalogExists = ({ ports: { files }, directory }: CatalogStoreOptions): boolean =>
  [checkpointName, logName].some(name => files.exists(`${directory}/${name}`))

/** Opens the catalog of a directory, or starts one with a new incarnation. Throws `corrupt_catalog` with file and offset. */
export async function openCatalog(options: CatalogStoreOptions): Promise<CatalogStore> {
  const { ports, directory } = options
  const { files } = ports
  const hash = options.hash ?? (await loadSeriesHasher())
  const { seriesMax } = options
  files.makeDirectory(directory)
  for (const name of files.list(directory)) if (isTemporary(name)) files.remove(`${directory}/${name}`)

  const checkpoint = files.exists(`${directory}/${checkpointName}`) ? readCheckpoint(ports, directory) : undefined
  if (!files.exists(`${directory}/${logName}`)) {
    if (checkpoint !== undefined) throw corrupt(`${directory}/${logName}`, 0, 'the log of the checkpoint is missing')
    const incarnation = toHex(ports.random.bytes(new Uint8Array(16)))
    const log = await createLog(ports, directory, incarnation)
    // The directory may be as new as the log in it.
    await files.syncDirectory(directory.slice(0, Math.max(0, directory.lastIndexOf('/'))) || rootOf(directory))
    return new FileCatalogStore(options, new Catalog({ incarnation, hash, seriesMax }), log, { bytes: 0, sequence: 0 })
  }
  let catalog = checkpoint && new Catalog({ incarnation: checkpoint.incarnation, hash, seriesMax }, checkpoint.state)
  const assertWhole = (end: number): void => {
    const { incarnation, records } = options.extent ?? { records: 0 }
    if (records > (catalog?.sequence ?? 0) && (catalog === undefined || incarnation === catalog.incarnation))
      throw corrupt(`${directory}/${logName}`, end, `it ends before record ${records}`)
  }
  const apply = (batch: Uint8Array, incarnation: string): void => {
    catalog ??= new Catalog({ incarnation, hash, seriesMax })
    catalog.applyBatch(batch)
  }
  const log = openLog(ports, directory, apply, assertWhole)
  catalog ??= new Catalog({ incarnation: log.incarnation, hash, seriesMax })
  if (catalog.incarnation !== log.incarnation) {
    log.close()
    throw corrupt(`${directory}/${logName}`, 12, 'the log belongs to another catalog than the checkpoint')
  }
  const { records: recordsDurable = 0, incarnation } = options.extent ?? {}
  try {
    // Whatever builds on these records, a manifest that counts them above all, must find them after a power loss.
    if (catalog.sequence > recordsDurable || incarnation !== catalog.incarnation) await log.settle()
    await files.syncDirectory(directory)
  } catch (error) {
    log.close()
    throw fileError(error, directory)
  }
  catalog.markLogged(catalog.sequence)
  const checkpointed = { bytes: checkpoint?.bytes ?? 0, sequence: checkpoint?.state.sequence ?? 0 }
  return new FileCatalogStore(options, catalog, log, checkpointed)
}

const rootOf = (path: string): string => (path.startsWith('/') ? '/' : '.')

const isTemporary = (name: string): boolean => name === `${checkpointName}.tmp` || name === `${logName}.tmp`

/** The checkpoint there is: its size, and how many records it has. */
interface Checkpointed {
  readonly bytes: number
  readonly sequence: number
}

class FileCatalogStore implements CatalogStore {
  readonly catalog: Catalog
  readonly #ports: CatalogPorts
  readonly #directory: string
  readonly #logBytesMax: number
  /** undefined once a sync failed, until a checkpoint has replaced it. */
  #log: CatalogLog | undefined
  #checkpointed: Checkpointed
  #last: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: CatalogStoreOptions, catalog: Catalog, log: CatalogLog, checkpointed: Checkpointed) {
    this.catalog = catalog
    this.#ports = options.ports
    this.#directory = options.directory
    this.#logBytesMax = options.logBytesMax ?? logBytesMaxDefault
    this.#log = log
    this.#checkpointed = checkpointed
  }

  appendLog(): Promise<void> {
    return this.#inTurn(() => this.#append())
  }

  checkpoint(): Promise<void> {
    return this.#inTurn(() => this.#checkpoint())
  }

  tidy(): Promise<void> {
    return this.#inTurn(async () => {
      const { bytes, sequence } = this.#checkpointed
      if (this.#log === undefined || this.catalog.logged - sequence < tidyRecordsMin) return
      if (this.#log.bytes >= bytes * tidyPart) await this.#tryCheckpoint()
    })
  }

  undisturbed<T>(task: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      await this.#append()
      return task()
    })
  }

  close(): Promise<void> {
    const closed = this.#last.then(() => {
      this.#closed = true
      this.#log?.close()
    })
    this.#last = closed
    return closed
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      if (this.#closed) throw new SydraError('shutting_down', 'the catalog is closed')
      try {
        return await task()
      } catch (error) {
        throw fileError(error, this.#directory)
      }
    })
    this.#last = turn.then(
      () => {},
      () => {},
    )
    return turn
  }

  async #append(): Promise<void> {
    if (this.#log === undefined) return this.#checkpoint()
    const upTo = this.catalog.sequence
    if (upTo > this.catalog.logged) {
      try {
        await this.#log.append(this.catalog.pendingSince(this.catalog.logged))
      } catch (error) {
        if (!this.#log.usable) this.#dropLog()
        throw error
      }
      this.catalog.markLogged(upTo)
    }
    if (this.#log.bytes > Math.max(this.#logBytesMax, this.#checkpointed.bytes / 2)) await this.#tryCheckpoint()
  }

  /** The records are durable in the log or in the checkpoint: if it fails, the next flush tries again. */
  async #tryCheckpoint(): Promise<void> {
    try {
      await this.#checkpoint()
    } catch (error) {
      this.#ports.log('warn', 'the catalog checkpoint failed', { error: String(error) })
    }
  }

  async #checkpoint(): Promise<void> {
    const { catalog } = this
    const { sequence } = catalog.state
    const bytes = await writeCheckpoint(this.#ports, this.#directory, catalog.incarnation, catalog.state)
    this.#checkpointed = { bytes, sequence }
    catalog.markLogged(sequence)
    this.#dropLog()
    this.#log = await createLog(this.#ports, this.#directory, catalog.incarnation)
  }

  #dropLog(): void {
    this.#log?.close()
    this.#log = undefined
  }
}

function fileError(error: unknown, directory: string): unknown {
  if (!isFileSystemError(error)) return error
  const code = error.code === 'ENOSPC' ? 'disk_full' : 'io_error'
  return new SydraError(code, `the catalog in ${directory} could not be written: ${error.message}`, { cause: error })
}

// ---- rebuilding ---------------------------------------------------------------------------------------------------

/** What one segment's dictionary says of one metric. Repetitions, across segments too, are welcome. */
export interface CatalogEvidence {
  readonly metric: string
  readonly fields: Iterable<{ readonly name: string; readonly type: FieldType }>
  readonly series: Iterable<Tags>
}

/**
 * Makes a new catalog from what the segments say, with a new incarnation and new ordinals. What was there before is
 * set aside as `catalog.ckpt.damaged` and `catalog.log.damaged` (see `set-aside.ts`). The result is durable.
 */
export async function rebuildFrom(
  options: CatalogStoreOptions,
  evidence: Iterable<CatalogEvidence> | AsyncIterable<CatalogEvidence>,
): Promise<CatalogStore> {
  const { ports, directory } = options
  for (const name of [checkpointName, logName]) {
    const path = `${directory}/${name}`
    if (ports.files.exists(path)) setAside(ports.files, path)
  }
  const incarnation = toHex(ports.random.bytes(new Uint8Array(16)))
  const hash = options.hash ?? (await loadSeriesHasher())
  // A limit on new series is no reason to lose old ones.
  const catalog = new Catalog({ incarnation, hash, seriesMax: Number.POSITIVE_INFINITY })
  for await (const { metric, fields, series } of evidence) {
    const info = catalog.useMetric(metric)
    for (const { name, type } of fields) catalog.useField(info, name, type)
    for (const tags of series) catalog.useSeries(info, tags)
  }
  // The log comes last: until it is there, the catalog is missing, and is rebuilt by whoever opens it.
  await writeWhole(options, catalog)
  return openCatalog(options)
}

/**
 * Puts a catalog that was salvaged in the place of the files, of which copies of the damaged are kept first: whenever this
 * is interrupted, it can be salvaged again. Ordinals and incarnation stay. The result is durable.
 */
export async function replaceWith(
  options: CatalogStoreOptions,
  salvaged: Catalog,
  damagedPaths: readonly string[],
): Promise<CatalogStore> {
  for (const path of damagedPaths) await keepCopy(options.ports.files, path)
  await writeWhole(options, salvaged)
  return openCatalog(options)
}

async function writeWhole({ ports, directory }: CatalogStoreOptions, catalog: Catalog): Promise<void> {
  try {
    await writeCheckpoint(ports, directory, catalog.incarnation, catalog.state)
    const log = await createLog(ports, directory, catalog.incarnation)
    log.close()
  } catch (error) {
    throw fileError(error, directory)
  }
}
