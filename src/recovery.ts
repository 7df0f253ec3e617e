/**
 * Opening storage: lock, manifest, catalog, segments, then the WAL after the flushed LSN into a memtable.
 *
 *   LOCK -> MANIFEST -> catalog -> segments (checked, or left out with an event) -> WAL replay -> Storage
 *
 * Invariants:
 * 1. Damage is told by events and never stops more than what is damaged: a bad segment is left out, a lost manifest is
 *    rebuilt from the segments, a bad WAL frame is skipped, and with it rows whose series it announced.
 * 2. A segment file that no manifest names and whose rows are still in the WAL is removed: its flush did not finish.
 * 3. When opening fails, every file is closed and the lock released.
 */

import type { Kernels } from './kernels/kernels.ts'
import { createWasmScanner } from './kernels/scan.ts'
import { createWasmKernels } from './kernels/wasm-kernels.ts'
import { SydraError, toSydraError } from './lib/errors.ts'
import { fileError } from './lib/file-errors.ts'
import { isFileSystemError, type Logger, type Ports } from './lib/ports.ts'
import type { Settings } from './lib/settings.ts'
import type { Catalog } from './storage/catalog/catalog.ts'
import { type CatalogStore, catalogExists, openCatalog, rebuildFrom } from './storage/catalog/store.ts'
import { acquireLock } from './storage/lock.ts'
import { createManifest, type Manifest, manifestName, openManifest } from './storage/manifest/manifest.ts'
import { newManifestState, rebuildManifest } from './storage/manifest/state.ts'
import { type FrozenMemtable, Memtable } from './storage/memtable/memtable.ts'
import { RowWriter } from './storage/rows/row-writer.ts'
import { type SegmentEnvironment, segmentEnvironment } from './storage/segment/environment.ts'
import { temporarySuffix } from './storage/segment/publish.ts'
import { readSegmentMeta, segmentSeries } from './storage/segment/recover.ts'
import { openSegment, type Segment } from './storage/segment/segment.ts'
import type { Lsn, RowBatch, SegmentMeta } from './storage/types.ts'
import { Versions } from './storage/versions.ts'
import { decodeRowBatches } from './storage/wal/row-frame.ts'
import { openWal, type Wal, type WalRecovery, type WalSettings, walDefaults, walFrameTypes } from './storage/wal/wal.ts'
import { writeSegments } from './storage/write-segments.ts'
import type { EngineEvent } from './types.ts'

export interface Storage {
  readonly kernels: Kernels
  readonly catalog: Catalog
  readonly versions: Versions
  readonly wal: Wal
  readonly rowWriter: RowWriter
  readonly duplicates: 'last' | 'first'
  readonly flushedLsn: Lsn
  /** Segments that could not be read when opening, with the reason. */
  readonly quarantined: readonly { readonly path: string; readonly message: string }[]
  writeSegments(frozen: FrozenMemtable): Promise<readonly SegmentMeta[]>
  /** Makes catalog and manifest durable, in this order. */
  commitFlush(frozen: FrozenMemtable, segments: readonly SegmentMeta[]): Promise<void>
  openSegments(segments: readonly SegmentMeta[]): Segment[]
  close(): Promise<void>
}

type Emit = (event: EngineEvent) => void

/** Log files are released whole: with little to keep they are smaller. */
const walFileBytesMin = 2 ** 20
const walSettings = ({ walKeepBytes }: Settings): WalSettings => ({
  ...walDefaults,
  fileBytesMax: Math.min(walDefaults.fileBytesMax, Math.max(walFileBytesMin, walKeepBytes / 4)),
})

export async function openStorage(settings: Settings, ports: Ports, emit: Emit): Promise<Storage> {
  const directory = settings.dataDir
  const opened: (() => void | Promise<void>)[] = []
  /** Closes everything whatever fails, and rejects with the first failure. */
  const closeAll = async (): Promise<void> => {
    const failures: unknown[] = []
    for (const close of opened.splice(0).reverse()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
  let walDamaged = false
  const tell: Emit = event => {
    walDamaged ||= event.kind === 'wal-corruption'
    emit(event)
  }
  try {
    const startedMs = ports.clock.monotonicMs()
    ports.files.makeDirectory(directory)
    const lock = await acquireLock(ports, directory)
    opened.push(() => lock.release())

    const kernels = createWasmKernels()
    const environment = segmentEnvironment(ports, kernels, { directory })
    const manifest = await manifestOf(settings, ports, environment)
    opened.push(() => manifest.close())
    const { flushedLsn, duplicates } = manifest.state

    const recovery = openWal(ports, `${directory}/wal`, flushedLsn, walSettings(settings), tell)
    const catalogStore = await catalogOf(settings, ports, environment, manifest, recovery)
    opened.push(() => catalogStore.close())
    const { catalog } = catalogStore

    const quarantined: { path: string; message: string }[] = []
    const quarantine = (path: string, message: string): void => {
      quarantined.push({ path, message })
      emit({ kind: 'segment-quarantined', path, message })
    }
    removeUnfinished(ports, environment, manifest, quarantine)
    const segments: Segment[] = []
    for (const meta of manifest.state.segments) {
      const damage = damageOf(environment, meta)
      if (damage === undefined) segments.push(openSegment(environment, meta, catalog))
      else quarantine(meta.path, damage)
    }

    let memtable = new Memtable({ duplicates })
    const walFrames = replay(recovery, catalog, memtable, tell)
    const rows = memtable.rowCount
    const wal = await recovery.start()
    opened.push(() => wal.close())

    const write = (frozen: FrozenMemtable): Promise<SegmentMeta[]> => {
      const first = manifest.state.nextSegment
      return writeSegments(frozen, { ports, environment, catalog, id: n => String(first + n).padStart(10, '0') })
    }
    const commit = async (added: readonly SegmentMeta[], upTo: Lsn): Promise<void> => {
      await catalogStore.appendLog()
      const nextSegment = manifest.state.nextSegment + added.length
      await manifest.apply({ add: added, flushedLsn: upTo, nextSegment })
    }
    if (walDamaged) {
      // What was lost may have announced series whose ordinals go to others now: no row that follows it is replayed again.
      const added = rows > 0 ? await write(memtable.freeze()) : []
      await commit(added, wal.lastLsn)
      for (const meta of added) segments.push(openSegment(environment, meta, catalog))
      memtable = new Memtable({ duplicates })
    }
    const work = new WorkInProgress()
    opened.push(() => work.ended())

    const versions = new Versions({
      catalog,
      newMemtable: () => new Memtable({ duplicates }),
      segments,
      memtable,
      lsn: wal.lastLsn,
    })
    opened.push(() => versions.close())
    emit({
      kind: 'recovered',
      walFrames,
      rows,
      segments: segments.length,
      elapsedMs: ports.clock.monotonicMs() - startedMs,
    })

    const newestUs = manifest.state.segments.reduce(
      (max, { maxTimeUs }) => Math.max(max, maxTimeUs),
      memtable.maxTimeUs,
    )
    return {
      kernels,
      catalog,
      versions,
      wal,
      duplicates,
      flushedLsn: manifest.state.flushedLsn,
      quarantined,
      rowWriter: new RowWriter({
        catalog,
        scanner: createWasmScanner(new DataView(ports.random.bytes(new Uint8Array(8)).buffer).getBigUint64(0)),
        clock: ports.clock,
        lastServerTimeUs: Math.min(newestUs, ports.clock.nowUs()),
      }),
      writeSegments: frozen => work.add(write(frozen)),
      commitFlush: (frozen, added) => work.add(commit(added, frozen.maxLsn)),
      openSegments: metas => metas.map(meta => openSegment(environment, meta, catalog)),
      close: closeAll,
    }
  } catch (error) {
    // Why opening failed is what matters.
    await closeAll().catch(() => {})
    throw fileError(error, `cannot open ${directory}`)
  }
}

/** A flush that nobody waits for any more must still not write after the lock is gone. */
class WorkInProgress {
  #last: Promise<unknown> = Promise.resolve()

  add<T>(work: Promise<T>): Promise<T> {
    this.#last = Promise.allSettled([this.#last, work])
    return work
  }
  async ended(): Promise<void> {
    await this.#last
  }
}

/** Opens the manifest, makes a new one, or rebuilds a lost one from what the segments say of themselves. */
async function manifestOf(settings: Settings, ports: Ports, environment: SegmentEnvironment): Promise<Manifest> {
  const directory = settings.dataDir
  try {
    const manifest = await openManifest(ports, directory)
    if (manifest !== undefined) return manifest
  } catch (error) {
    if (toSydraError(error).code !== 'corrupt_manifest') throw error
    ports.log('error', 'the manifest is damaged and will be rebuilt from the segments', { error: String(error) })
    ports.files.rename(`${directory}/${manifestName}`, `${directory}/${manifestName}.damaged`)
  }
  const databaseId = ports.random.bytes(new Uint8Array(16))
  const files = segmentFiles(ports, directory).filter(path => !path.endsWith(temporarySuffix))
  if (files.length === 0) return createManifest(ports, directory, newManifestState(databaseId, settings.duplicates))

  const found = []
  for (const path of files) {
    try {
      const { meta, header } = readSegmentMeta(environment, path)
      found.push({ ...meta, replaces: header.replaced })
    } catch (error) {
      ports.log('error', `${path} cannot be read and is left out`, { error: toSydraError(error).message })
    }
  }
  const highest = Math.max(0, ...files.map(path => Number(/(\d+)\.seg$/.exec(path)?.[1] ?? 0)))
  const walFirstLsn = openWal(ports, `${directory}/wal`, 0, walDefaults, () => {}).firstLsn
  const state = rebuildManifest(found, {
    databaseId,
    duplicates: settings.duplicates,
    incarnation: Math.floor(ports.clock.nowUs() / 1e6),
    nextSegment: highest + 1,
    walFirstLsn,
  })
  return createManifest(ports, directory, state)
}

/**
 * Opens the catalog. A damaged one is rebuilt from the segments, unless rows in the WAL refer to its ordinals: then
 * nothing but the old catalog can read them.
 */
async function catalogOf(
  settings: Settings,
  ports: Ports,
  environment: SegmentEnvironment,
  manifest: Manifest,
  recovery: WalRecovery,
): Promise<CatalogStore> {
  const options = { ports, directory: settings.dataDir, seriesMax: settings.maxSeries }
  const isNew = manifest.state.flushedLsn === 0 && manifest.state.segments.length === 0 && recovery.isEmpty
  try {
    if (!isNew && !catalogExists(options)) {
      throw new SydraError('corrupt_catalog', `${settings.dataDir}/catalog.log is missing`)
    }
    return await openCatalog(options)
  } catch (error) {
    if (toSydraError(error).code !== 'corrupt_catalog') throw error
    if (!recovery.isEmpty) {
      throw new SydraError('corrupt_catalog', `${toSydraError(error).message}; rows in the WAL need it`, {
        hint: 'restore catalog.ckpt and catalog.log from a backup, or move wal/ away to open without its rows',
        cause: error,
      })
    }
    ports.log('error', 'the catalog is damaged and will be rebuilt from the segments', { error: String(error) })
    return rebuildFrom(options, evidence(environment, manifest, ports.log))
  }
}

/** What the segments say; of a damaged one, what comes before the damage. */
function* evidence(environment: SegmentEnvironment, manifest: Manifest, log: Logger) {
  for (const { path } of manifest.state.segments) {
    try {
      yield* segmentSeries(environment, path)
    } catch (error) {
      const { code, message } = toSydraError(error)
      if (code !== 'corrupt_segment') throw error
      log('error', 'a segment tells nothing for the catalog', { path, error: message })
    }
  }
}

function replay(recovery: WalRecovery, catalog: Catalog, memtable: Memtable, emit: Emit): number {
  let frames = 0
  for (const { lsn, type, payload } of recovery.frames()) {
    frames++
    if (type !== walFrameTypes.rows) throw new SydraError('corrupt_wal', `frame ${lsn} has the unknown type ${type}`)
    try {
      const metrics = () => catalog.metrics()
      let known: ReadonlyMap<number, ReturnType<typeof metrics>[number]> | undefined
      const lookup = (id: number) => (known ??= new Map(metrics().map(metric => [metric.id, metric]))).get(id)
      const batches = decodeRowBatches(payload, records => catalog.applyRecords(records), lookup)
      for (const batch of batches) assertKnownSeries(batch, catalog)
      for (const batch of batches) memtable.append(batch, lsn)
    } catch (error) {
      // A frame whose series were announced by a frame that is lost: it cannot be understood.
      if (!['corrupt_catalog', 'corrupt_wal'].includes(toSydraError(error).code)) throw error
      emit({ kind: 'wal-corruption', path: `frame ${lsn}`, offset: 0, lostFrom: lsn, lostTo: lsn })
    }
  }
  return frames
}

function assertKnownSeries({ metrics }: RowBatch, catalog: Catalog): void {
  for (const { metric, series, length } of metrics) {
    for (let row = 0; row < length; row++) {
      const ordinal = series[row]!
      if (row > 0 && ordinal === series[row - 1]) continue
      if (ordinal >= catalog.seriesCount || catalog.metricOf(ordinal).id !== metric.id) {
        throw new SydraError('corrupt_catalog', `series ${ordinal} of ${metric.name} is not in the catalog`)
      }
    }
  }
}

/** Why a segment cannot be used, or undefined. Throws what has nothing to do with it, such as too many open files. */
function damageOf(environment: SegmentEnvironment, meta: SegmentMeta): string | undefined {
  try {
    const found = readSegmentMeta(environment, meta.path).meta
    return found.rows === meta.rows && found.bytes === meta.bytes && found.maxLsn === meta.maxLsn
      ? undefined
      : 'it is not the file that the manifest names'
  } catch (error) {
    const { code, message, cause } = toSydraError(error)
    if (code === 'corrupt_segment' || (isFileSystemError(cause) && cause.code === 'EIO')) return message
    throw error
  }
}

/** Files are renamed when they are whole and durable: one that cannot be read is damaged, not unfinished, and stays. */
function removeUnfinished(
  ports: Ports,
  environment: SegmentEnvironment,
  manifest: Manifest,
  quarantine: (path: string, message: string) => void,
): void {
  const { segments, flushedLsn } = manifest.state
  const named = new Set(segments.map(({ path }) => path))
  for (const path of segmentFiles(ports, environment.directory)) {
    if (named.has(path)) continue
    if (!path.endsWith(temporarySuffix)) {
      let minLsn: Lsn
      try {
        minLsn = readSegmentMeta(environment, path).meta.minLsn
      } catch (error) {
        const { code, message } = toSydraError(error)
        if (code !== 'corrupt_segment') throw error
        quarantine(path, message)
        continue
      }
      if (minLsn <= flushedLsn) {
        ports.log('warn', `${path} is not in the manifest and is left alone`)
        continue
      }
    }
    ports.files.remove(`${environment.directory}/${path}`)
  }
}

/** Paths of all files under `segments/`, relative to the data directory. */
function segmentFiles({ files }: Ports, directory: string): string[] {
  if (!files.exists(`${directory}/segments`)) return []
  return files
    .list(`${directory}/segments`)
    .flatMap(window => files.list(`${directory}/segments/${window}`).map(name => `segments/${window}/${name}`))
}
