/**
 * Opening storage: lock, manifest, catalog, segments, then the WAL after the flushed LSN into a memtable.
 *
 *   LOCK -> MANIFEST -> catalog -> segments (checked, or left out with an event) -> WAL replay -> Storage
 *
 * Invariants:
 * 1. Damage is told by events and never stops more than what is damaged: a bad segment is left out, a lost manifest is
 *    rebuilt from the segments, a bad WAL frame is skipped, and with it rows whose series it announced.
 * 2. What was deleted stays so: tombstones come from the manifest and, where they are younger, from the WAL, in the order
 *    of the rows. Of a damaged manifest those in lines that check are kept.
 * 3. A segment file that the manifest does not name is removed: its flush or merge did not finish, or others replaced it.
 *    One that is damaged stays. (A rebuilt manifest names all there are.)
 * 4. When opening fails, every file is closed and the lock released.
 */

import type { Kernels } from './kernels/kernels.ts'
import { createWasmScanner } from './kernels/scan.ts'
import { createWasmKernels } from './kernels/wasm-kernels.ts'
import { SydraError, toSydraError } from './lib/errors.ts'
import { fileError } from './lib/file-errors.ts'
import { isFileSystemError, type Ports } from './lib/ports.ts'
import type { Settings } from './lib/settings.ts'
import { removeTemporaryFiles } from './operators/spill/space.ts'
import { openOrRebuildCatalog, openOrRebuildManifest, segmentFiles } from './rebuild.ts'
import type { Catalog } from './storage/catalog/catalog.ts'
import { acquireLock } from './storage/lock.ts'
import type { Manifest } from './storage/manifest/manifest.ts'
import { ChunkPool } from './storage/memtable/chunk-memory.ts'
import { type FrozenLayers, LayeredMemtable } from './storage/memtable/layers.ts'
import { RowWriter } from './storage/rows/row-writer.ts'
import { type SegmentEnvironment, segmentEnvironment } from './storage/segment/environment.ts'
import { temporarySuffix } from './storage/segment/publish.ts'
import { readSegmentMeta } from './storage/segment/recover.ts'
import { openSegment, type Segment } from './storage/segment/segment.ts'
import { SavedTombstones } from './storage/tombstones/saved.ts'
import type { Deletion } from './storage/tombstones/tombstones.ts'
import type { Lsn, MetricInfo, RowBatch, SegmentMeta } from './storage/types.ts'
import { type SegmentSource, Versions } from './storage/versions.ts'
import { decodeDeletion } from './storage/wal/delete-frame.ts'
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
  writeSegments(frozen: FrozenLayers): Promise<readonly SegmentMeta[]>
  /** Makes catalog and manifest durable, in this order. Resolves with the LSNs of the tombstones that still count. */
  commitFlush(frozen: FrozenLayers, segments: readonly SegmentMeta[]): Promise<ReadonlySet<Lsn>>
  /** Makes what the catalog has new durable outside the WAL. */
  logCatalog(): Promise<void>
  openSegments(segments: readonly SegmentMeta[]): Segment[]
  /** Ids that no segment had before, for files that are to be published. */
  takeSegmentIds(count: number): string[]
  /**
   * Other segments take the places of some: durable, then visible. The files of those that go are removed after their
   * last reader; tombstones that concern no row any more go with them. `decide` is asked when no other change is under
   * way; what it removes must be in the manifest then. Those it adds are published already.
   */
  replaceSegments(decide: (present: readonly SegmentMeta[]) => SegmentReplacement | undefined): Promise<void>
  close(): Promise<void>
}

export interface SegmentReplacement {
  /** Ids. */
  readonly remove: ReadonlySet<string>
  readonly add: readonly SegmentMeta[]
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
    const manifest = await openOrRebuildManifest(settings, ports, environment)
    opened.push(() => manifest.close())
    const { flushedLsn, duplicates } = manifest.state

    const recovery = openWal(ports, `${directory}/wal`, flushedLsn, walSettings(settings), tell)
    const catalogStore = await openOrRebuildCatalog(settings, ports, environment, manifest, recovery)
    opened.push(() => catalogStore.close())
    const { catalog } = catalogStore

    const quarantined: { path: string; message: string }[] = []
    const quarantine = (path: string, message: string): void => {
      quarantined.push({ path, message })
      emit({ kind: 'segment-quarantined', path, message })
    }
    removeUnfinished(ports, environment, manifest, quarantine)
    removeTemporaryFiles(ports.files, directory)
    const segments: Segment[] = []
    for (const meta of manifest.state.segments) {
      const damage = damageOf(environment, meta)
      if (damage === undefined) segments.push(openSegment(environment, meta, catalog))
      else quarantine(meta.path, damage)
    }

    const pool = new ChunkPool()
    const newMemtable = () => new LayeredMemtable({ duplicates, catalog, pool })
    let memtable = newMemtable()
    const walFrames = replay(recovery, catalog, memtable, tell)
    const rows = memtable.rowCount
    const wal = await recovery.start()
    opened.push(() => wal.close())

    const saved = new SavedTombstones(manifest, catalog)
    let { nextSegment } = manifest.state
    const takeSegmentIds = (count: number): string[] =>
      Array.from({ length: count }, () => String(nextSegment++).padStart(10, '0'))
    /** A flush that is tried again names its segments as before. */
    const idsOf = new WeakMap<FrozenLayers, string[]>()
    const write = (frozen: FrozenLayers): Promise<SegmentMeta[]> => {
      const ids = idsOf.get(frozen) ?? []
      idsOf.set(frozen, ids)
      const id = (n: number): string => (ids[n] ??= takeSegmentIds(1)[0]!)
      return writeSegments(frozen, { ports, environment, catalog, id })
    }
    let openSegments: () => readonly SegmentSource[] = () => segments
    const changes = new Turns()
    const commit = (frozen: FrozenLayers, added: readonly SegmentMeta[], upTo: Lsn): Promise<void> =>
      changes.take(async () => {
        await catalogStore.appendLog()
        const tombstones = saved.changesFor(frozen.tombstones, openSegments())
        await manifest.apply({ add: added, flushedLsn: upTo, nextSegment, ...tombstones })
      })
    if (walDamaged) {
      // What was lost may have announced series whose ordinals go to others now: no row that follows it is replayed again.
      const added = await write(memtable.freeze())
      await commit(memtable, added, wal.lastLsn)
      for (const meta of added) segments.push(openSegment(environment, meta, catalog))
      memtable = newMemtable()
    }
    const versions = new Versions({
      catalog,
      newMemtable,
      segments,
      memtable,
      tombstones: saved.tombstones().withAll(memtable.tombstones),
      lsn: wal.lastLsn,
      discard: ({ path }) => discardFile(ports, directory, path),
    })
    openSegments = () => versions.segments
    const replace = (decide: (present: readonly SegmentMeta[]) => SegmentReplacement | undefined): Promise<void> =>
      changes.take(async () => {
        const present = manifest.state.segments
        const change = decide(present)
        if (change === undefined) return
        const add = change.add.map(meta => openSegment(environment, meta, catalog))
        const after = [...versions.segments.filter(({ meta }) => !change.remove.has(meta.id)), ...add]
        const left = [...present.filter(({ id }) => !change.remove.has(id)), ...change.add]
        const removeTombstones = saved.unneededFor(left, after)
        // Rows that stand in the catalog's log: a segment may come from a merge that saw series first.
        await catalogStore.appendLog()
        await manifest.apply({ add: change.add, remove: [...change.remove], nextSegment, removeTombstones })
        versions.replaced({
          remove: new Set(versions.segments.filter(({ meta }) => change.remove.has(meta.id))),
          add,
          removeTombstones: new Set(removeTombstones),
        })
      })
    opened.push(() => versions.close())
    const work = new WorkInProgress()
    opened.push(() => work.ended())
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
      commitFlush: async (frozen, added) => {
        await work.add(commit(frozen, added, frozen.maxLsn))
        return new Set(manifest.state.tombstones.map(({ lsn }) => lsn))
      },
      logCatalog: () => work.add(catalogStore.appendLog()),
      openSegments: metas => metas.map(meta => openSegment(environment, meta, catalog)),
      takeSegmentIds,
      replaceSegments: decide => work.add(replace(decide)),
      close: closeAll,
    }
  } catch (error) {
    // Why opening failed is what matters.
    await closeAll().catch(() => {})
    throw fileError(error, `cannot open ${directory}`)
  }
}

/** One change of the manifest at a time: each is made from the state that the one before left. */
class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(task)
    this.#last = turn.catch(() => {})
    return turn
  }
}

/** What cannot be removed now is removed at the next opening. */
function discardFile({ files, log }: Ports, directory: string, path: string): void {
  try {
    files.remove(`${directory}/${path}`)
  } catch (error) {
    log('warn', 'cannot remove a segment that is not needed any more', { path, error: toSydraError(error).message })
  }
}

/** A flush that nobody waits for any more must not read what was let go, nor write after the lock is gone. */
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

function replay(recovery: WalRecovery, catalog: Catalog, memtable: LayeredMemtable, emit: Emit): number {
  let frames = 0
  const onCatalog = (records: Uint8Array): void => catalog.applyRecords(records)
  for (const { lsn, type, payload } of recovery.frames()) {
    frames++
    if (type !== walFrameTypes.rows && type !== walFrameTypes.delete)
      throw new SydraError('corrupt_wal', `frame ${lsn} has the unknown type ${type}`, {
        hint: 'open the directory with the version of SydraDB that wrote it',
      })
    try {
      if (type === walFrameTypes.delete) {
        const deletion = decodeDeletion(payload, onCatalog)
        memtable.delete({ ...deletion, lsn }, metricOf(deletion, catalog))
        continue
      }
      let known: ReadonlyMap<number, MetricInfo> | undefined
      const lookup = (id: number) => (known ??= new Map(catalog.metrics().map(metric => [metric.id, metric]))).get(id)
      const batches = decodeRowBatches(payload, onCatalog, lookup)
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

/** The metric of a delete whose series are all in the catalog. */
function metricOf({ metric: id, series }: Deletion, catalog: Catalog): MetricInfo {
  const metric = catalog.metrics().find(info => info.id === id)
  const known = (ordinal: number): boolean => ordinal < catalog.seriesCount && catalog.metricOf(ordinal) === metric
  if (metric === undefined || series?.every(known) === false)
    throw new SydraError('corrupt_catalog', `what a delete of metric ${id} concerns is not in the catalog`)
  return metric
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
  const named = new Set(manifest.state.segments.map(({ path }) => path))
  for (const path of segmentFiles(ports, environment.directory)) {
    if (named.has(path)) continue
    if (!path.endsWith(temporarySuffix)) {
      try {
        readSegmentMeta(environment, path)
      } catch (error) {
        const { code, message } = toSydraError(error)
        if (code !== 'corrupt_segment') throw error
        quarantine(path, message)
        continue
      }
    }
    ports.files.remove(`${environment.directory}/${path}`)
  }
}
