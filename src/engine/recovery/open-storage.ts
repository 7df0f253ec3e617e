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

import type { Kernels } from '../../kernels/kernels.ts'
import { createWasmScanner } from '../../kernels/scan.ts'
import { createWasmKernels } from '../../kernels/wasm-kernels.ts'
import { assert } from '../../lib/assert.ts'
import { cancellation, refuseCancelled } from '../../lib/cancel.ts'
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import { fileError } from '../../lib/file-errors.ts'
import { inTurns } from '../../lib/in-turns.ts'
import type { MemoryAccount } from '../../lib/memory-account.ts'
import { isFileSystemError, type Ports } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import { removeTemporaryFiles } from '../../operators/spill/space.ts'
import type { Catalog } from '../../storage/catalog/catalog.ts'
import { segmentFiles } from '../../storage/data-files.ts'
import { acquireLock } from '../../storage/lock.ts'
import type { Manifest } from '../../storage/manifest/manifest.ts'
import type { ManifestEdit, ManifestState } from '../../storage/manifest/state.ts'
import { ChunkPool, poolBytesMax } from '../../storage/memtable/chunk-memory.ts'
import { type FrozenLayers, LayeredMemtable } from '../../storage/memtable/layers.ts'
import { finishCheckout } from '../../storage/object-store/checkout.ts'
import { type RetentionRules, retentionRules } from '../../storage/retention/rules.ts'
import { RowWriter } from '../../storage/rows/row-writer.ts'
import { type SegmentEnvironment, segmentEnvironment } from '../../storage/segment/environment.ts'
import { temporarySuffix } from '../../storage/segment/publish.ts'
import { readSegmentMeta } from '../../storage/segment/recover.ts'
import { openSegment, type Segment } from '../../storage/segment/segment.ts'
import { type TombstoneEntry, tombstoneOf } from '../../storage/tombstones/entry.ts'
import { SavedTombstones } from '../../storage/tombstones/saved.ts'
import { Tombstones } from '../../storage/tombstones/tombstones.ts'
import type { Lsn, SegmentMeta } from '../../storage/types.ts'
import { type SegmentSource, Versions } from '../../storage/versions.ts'
import { openWal, type Wal, type WalSettings, walDefaults } from '../../storage/wal/wal.ts'
import { writeSegments } from '../../storage/write-segments.ts'
import type { EngineEvent } from '../../types.ts'
import { storageMemory } from '../upkeep/memory-relief.ts'
import { Damage } from './damage.ts'
import { openOrRebuildCatalog, openOrRebuildManifest } from './rebuild.ts'
import { replay, setAsideLogs } from './replay.ts'

export interface Storage {
  readonly kernels: Kernels
  readonly catalog: Catalog
  readonly versions: Versions
  readonly wal: Wal
  readonly rowWriter: RowWriter
  readonly duplicates: 'last' | 'first'
  readonly rules: RetentionRules
  readonly environment: SegmentEnvironment
  readonly memory: MemoryAccount
  readonly chunks: ChunkPool
  readonly flushedLsn: Lsn
  readonly damage: Damage
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
  /** What the manifest says now. */
  manifestState(): ManifestState
  /** A change of the manifest failed so that the next opening may find it made. */
  isManifestInDoubt(): boolean
  /** `told` hears of that at once: what is written from then on would follow on something that nobody knows. */
  whenManifestInDoubt(told: (reason: SydraError) => void): void
  /** Makes the catalog durable, then runs the task: until it ends, neither manifest nor catalog files change. */
  undisturbed<T>(task: (state: ManifestState) => Promise<T>): Promise<T>
  /**
   * These segments and deletes take the place of all there are, durable first, then visible. The memtable is empty and nothing
   * is written meanwhile.
   */
  restoreSegments(segments: readonly SegmentMeta[], deletes: readonly TombstoneEntry[]): Promise<void>
  /** Segments and deletes of another time, for readers of that time. Close it when there are no more to come. */
  openPast(segments: readonly SegmentMeta[], deletes: readonly TombstoneEntry[], lsn: Lsn): Versions
  close(): Promise<void>
}

export interface SegmentReplacement {
  /** Ids. */
  readonly remove: ReadonlySet<string>
  readonly add: readonly SegmentMeta[]
}

type Emit = (event: EngineEvent) => void

/** Of what a snapshot keeps. */
const nothingExpires = retentionRules({ retentionDays: 0, retention: {} })

/** Log files are released whole: with little to keep they are smaller. */
const walFileBytesMin = 2 ** 20
const walSettings = ({ walKeepBytes }: Settings): WalSettings => ({
  ...walDefaults,
  fileBytesMax: Math.min(walDefaults.fileBytesMax, Math.max(walFileBytesMin, walKeepBytes / 4)),
})

export interface StorageOptions {
  /** Files of the WAL that are known to be damaged where rows are in segments already. */
  readonly damagedLogs?: readonly string[]
  /** Memtables have their arrays from V8, one by one: to see what the pool is good for. */
  readonly plainChunks?: boolean
  /** Ends the opening before it changes anything that the next one would not. */
  readonly signal?: AbortSignal | undefined
}

export async function openStorage(
  settings: Settings,
  ports: Ports,
  emit: Emit,
  { damagedLogs = [], plainChunks = false, signal }: StorageOptions = {},
): Promise<Storage> {
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
  const damage = new Damage(emit)
  const stopped = () =>
    signal?.aborted === true ? cancellation(signal.reason, 'the opening was cancelled') : undefined
  try {
    refuseCancelled(signal, 'the opening was cancelled')
    const startedMs = ports.clock.monotonicMs()
    const rules = retentionRules(settings)
    ports.files.makeDirectory(directory)
    const lock = await acquireLock(ports, directory)
    opened.push(() => lock.release())
    await finishCheckout(ports, directory)

    const kernels = createWasmKernels()
    const onDamage = (path: string, message: string): void => damage.report(path, message)
    const environment = segmentEnvironment(ports, kernels, { directory, onDamage })
    const context = { settings, ports, environment, emit, stopped }
    const manifest = await openOrRebuildManifest(context)
    opened.push(() => manifest.close())
    const { duplicates, flushedLsn } = manifest.state

    const log = () => openWal(ports, `${directory}/wal`, manifest.state.flushedLsn, walSettings(settings), emit)
    let recovery = log()
    opened.push(() => recovery.close())
    const catalogStore = await openOrRebuildCatalog(context, manifest, recovery)
    opened.push(() => catalogStore.close())
    const { catalog } = catalogStore
    if (manifest.state.flushedLsn > flushedLsn) {
      recovery.close()
      recovery = log()
    }

    removeUnfinished(ports, environment, manifest, damage)
    removeTemporaryFiles(ports.files, directory)
    const segments = await inTurns(context, openSegmentsOf(manifest, catalog, environment, damage))

    const waitingBytesMax = poolBytesMax(settings.memtableMaxBytes)
    const chunks = new ChunkPool({ waitingBytesMax, nowMs: () => ports.clock.monotonicMs() })
    const pool = plainChunks ? undefined : chunks
    const newMemtable = () => new LayeredMemtable({ duplicates, catalog, pool })
    let memtable = newMemtable()
    const replayed = await inTurns(context, replay(recovery, catalog, memtable, emit))
    const rows = memtable.rowCount

    const saved = new SavedTombstones(manifest, catalog)
    let { nextSegment } = manifest.state
    const takeSegmentIds = (count: number): string[] =>
      Array.from({ length: count }, () => String(nextSegment++).padStart(10, '0'))
    /** A flush that is tried again names its segments as before. */
    const flushes = new WeakMap<FrozenLayers, { readonly ids: string[]; readonly nowUs: number }>()
    const { flushInThread: inThread } = settings
    const write = (frozen: FrozenLayers): Promise<SegmentMeta[]> => {
      const { ids, nowUs } = flushes.get(frozen) ?? { ids: [], nowUs: ports.clock.nowUs() }
      flushes.set(frozen, { ids, nowUs })
      const id = (n: number): string => (ids[n] ??= takeSegmentIds(1)[0]!)
      return writeSegments(frozen, { ports, environment, catalog, rules, inThread, nowUs, id })
    }
    const extent = () => ({ incarnation: catalog.incarnation, records: catalog.logged })
    let openSegments: () => readonly SegmentSource[] = () => segments
    const changes = new Turns()
    const commit = (
      frozen: FrozenLayers,
      added: readonly SegmentMeta[],
      upTo: Lsn,
      more: Pick<ManifestEdit, 'incarnation'> = {},
    ): Promise<void> =>
      changes.take(async () => {
        await catalogStore.appendLog()
        const tombstones = saved.changesFor(frozen.tombstones, openSegments())
        await manifest.apply({ add: added, flushedLsn: upTo, nextSegment, catalog: extent(), ...tombstones, ...more })
      })
    if (replayed.isDamaged || damagedLogs.length > 0) {
      // What was lost may have announced series whose ordinals go to others now: no row that follows it is replayed again.
      const added = await write(memtable.freeze())
      // Who knows the database as of an LSN may know of rows that are lost.
      await commit(memtable, added, recovery.lastLsn, { incarnation: manifest.state.incarnation + 1 })
      for (const meta of added) segments.push(openSegment(environment, meta, catalog))
      memtable = newMemtable()
      setAsideLogs(ports, new Set([...replayed.damagedFiles, ...damagedLogs]))
      recovery = log()
    }
    const wal = await recovery.start()
    opened.push(() => wal.close())
    const versions = new Versions({
      catalog,
      newMemtable,
      segments,
      memtable,
      tombstones: saved.tombstones().withAll(memtable.tombstones),
      lsn: wal.lastLsn,
      clock: ports.clock,
      rules,
      discard: ({ path }) => discardFile(ports, directory, path),
    })
    openSegments = () => versions.segments
    const memory = storageMemory(settings, { chunks, versions, cache: environment.cache })
    const replace = (decide: (present: readonly SegmentMeta[]) => SegmentReplacement | undefined): Promise<void> =>
      changes.take(async () => {
        const present = manifest.state.segments
        const change = decide(present)
        if (change === undefined) return
        const add = change.add.map(meta => openSegment(environment, meta, catalog))
        const after = [...versions.segments.filter(({ meta }) => !change.remove.has(meta.id)), ...add]
        const left = [...present.filter(({ id }) => !change.remove.has(id)), ...change.add]
        const removeTombstones = saved.unneededFor(left, after)
        try {
          // Rows that stand in the catalog's log: a segment may come from a merge that saw series first.
          await catalogStore.appendLog()
          const remove = [...change.remove]
          await manifest.apply({ add: change.add, remove, nextSegment, catalog: extent(), removeTombstones })
        } catch (error) {
          for (const segment of add) segment.close()
          throw error
        }
        versions.replaced({
          remove: new Set(versions.segments.filter(({ meta }) => change.remove.has(meta.id))),
          add,
          removeTombstones: new Set(removeTombstones),
        })
      })
    const restore = (add: readonly SegmentMeta[], addTombstones: readonly TombstoneEntry[]): Promise<void> =>
      changes.take(async () => {
        assert(versions.active.isEmpty && versions.frozen.length === 0, 'no rows are in memory')
        const { segments: before, tombstones, incarnation } = manifest.state
        const sources = add.map(meta => openSegment(environment, meta, catalog))
        await catalogStore.appendLog()
        await manifest.apply({
          add,
          remove: before.map(({ id }) => id),
          addTombstones,
          removeTombstones: tombstones.map(({ lsn }) => lsn),
          nextSegment,
          catalog: extent(),
          flushedLsn: wal.lastLsn,
          incarnation: incarnation + 1,
        })
        const remove = new Set(versions.segments)
        versions.replaced({ remove, add: sources, removeTombstones: new Set(), tombstones: saved.tombstones() })
      })
    opened.push(() => versions.close())
    opened.push(() => catalogStore.tidy())
    const work = new WorkInProgress()
    opened.push(() => work.ended())
    emit({
      kind: 'recovered',
      walFrames: replayed.frames,
      rows,
      segments: segments.length,
      elapsedMs: ports.clock.monotonicMs() - startedMs,
    })
    damage.opened(ports.files, directory)

    const newestUs = manifest.state.segments.reduce(
      (max, { maxTimeUs }) => Math.max(max, maxTimeUs),
      memtable.maxTimeUs,
    )
    const lastServerTimeUs = Math.min(newestUs, ports.clock.nowUs())
    const scannerSeed = new DataView(ports.random.bytes(new Uint8Array(8)).buffer).getBigUint64(0)
    /** Made with the first row: its memory is more than all else that opening takes. */
    let rowWriter: RowWriter | undefined
    return {
      kernels,
      catalog,
      versions,
      wal,
      duplicates,
      rules,
      environment,
      memory,
      chunks,
      flushedLsn: manifest.state.flushedLsn,
      damage,
      get rowWriter() {
        return (rowWriter ??= new RowWriter({
          catalog,
          scanner: createWasmScanner(scannerSeed),
          clock: ports.clock,
          lastServerTimeUs,
        }))
      },
      writeSegments: frozen => work.add(write(frozen)),
      commitFlush: async (frozen, added) => {
        await work.add(commit(frozen, added, frozen.maxLsn))
        return new Set(manifest.state.tombstones.map(({ lsn }) => lsn))
      },
      logCatalog: () => work.add(catalogStore.appendLog()),
      openSegments: metas => metas.map(meta => openSegment(environment, meta, catalog)),
      takeSegmentIds,
      replaceSegments: decide => work.add(replace(decide)),
      manifestState: () => manifest.state,
      isManifestInDoubt: () => manifest.isInDoubt,
      whenManifestInDoubt: told => manifest.whenInDoubt(told),
      undisturbed: task => work.add(changes.take(() => catalogStore.undisturbed(() => task(manifest.state)))),
      restoreSegments: (metas, deletes) => work.add(restore(metas, deletes)),
      openPast: (metas, deletes, lsn) =>
        new Versions({
          catalog,
          newMemtable,
          memtable: newMemtable(),
          segments: metas.map(meta => openSegment(environment, meta, catalog)),
          tombstones: Tombstones.of(
            deletes.map(entry => tombstoneOf(entry, catalog)).filter(each => each !== undefined),
          ),
          lsn,
          clock: ports.clock,
          rules: nothingExpires,
          discard: () => {},
        }),
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
    // Someone has set it aside.
    if (isFileSystemError(error) && error.code === 'ENOENT') return
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

/** A segment a step. */
function* openSegmentsOf(
  manifest: Manifest,
  catalog: Catalog,
  environment: SegmentEnvironment,
  damage: Damage,
): Generator<void, Segment[]> {
  const segments: Segment[] = []
  for (const meta of manifest.state.segments) {
    const reason = damageOf(environment, meta)
    if (reason === undefined) segments.push(openSegment(environment, meta, catalog))
    else damage.quarantine(meta.path, reason)
    yield
  }
  return segments
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
function removeUnfinished(ports: Ports, environment: SegmentEnvironment, manifest: Manifest, damage: Damage): void {
  const named = new Set(manifest.state.segments.map(({ path }) => path))
  for (const path of segmentFiles(ports.files, environment.directory)) {
    if (named.has(path)) continue
    if (!path.endsWith(temporarySuffix)) {
      try {
        readSegmentMeta(environment, path)
      } catch (error) {
        const { code, message } = toSydraError(error)
        if (code !== 'corrupt_segment') throw error
        damage.quarantine(path, message)
        continue
      }
    }
    ports.files.remove(`${environment.directory}/${path}`)
  }
}
