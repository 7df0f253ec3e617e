/**
 * Manifest and catalog, opened, made anew, or rebuilt from what can still be read.
 *
 *   MANIFEST   its lines that check, then what the segments say of themselves
 *   catalog    its records, wherever they are left (catalog/salvage.ts); if some that rows or snapshots need are not: the
 *              rows of the WAL that can be understood become segments, and the segments' dictionaries a new catalog
 *
 * Invariants:
 * 1. What is damaged is kept under another name, never lost, and told by an event.
 * 2. A file of a version that this program does not know is refused, never taken for damage.
 * 3. Each step is durable before the next, which finds less to do: a crash between any two loses nothing more.
 */
import { toSydraError } from '../../lib/errors.ts'
import { inTurns, type Turns } from '../../lib/in-turns.ts'
import type { FileSystem, Ports } from '../../lib/ports.ts'
import { readWhole } from '../../lib/read-whole.ts'
import type { Settings } from '../../lib/settings.ts'
import { toHex } from '../../lib/text.ts'
import { Catalog } from '../../storage/catalog/catalog.ts'
import { loadSeriesHasher, printSeries } from '../../storage/catalog/identity.ts'
import { salvageCatalog } from '../../storage/catalog/salvage.ts'
import {
  type CatalogEvidence,
  type CatalogStore,
  catalogExists,
  openCatalog,
  rebuildFrom,
  replaceWith,
} from '../../storage/catalog/store.ts'
import { filesSetAside, namesIn, segmentFiles } from '../../storage/data-files.ts'
import { type SalvagedManifest, salvageManifest } from '../../storage/manifest/log.ts'
import { createManifest, type Manifest, manifestName, openManifest } from '../../storage/manifest/manifest.ts'
import { type FoundSegment, newManifestState, rebuildManifest } from '../../storage/manifest/state.ts'
import { LayeredMemtable } from '../../storage/memtable/layers.ts'
import { objectsDirectory } from '../../storage/object-store/objects.ts'
import { retentionRules } from '../../storage/retention/rules.ts'
import type { SegmentEnvironment } from '../../storage/segment/environment.ts'
import { temporarySuffix } from '../../storage/segment/publish.ts'
import { readSegmentMeta, segmentSeries } from '../../storage/segment/recover.ts'
import { keepCopy } from '../../storage/set-aside.ts'
import { SavedTombstones } from '../../storage/tombstones/saved.ts'
import { NotUnderstood, understand } from '../../storage/wal/understand.ts'
import { openWal, type WalRecovery, walDefaults } from '../../storage/wal/wal.ts'
import { writeSegments } from '../../storage/write-segments.ts'
import type { EngineEvent } from '../../types.ts'
import { catalogBatches, replay, setAsideLogs } from './replay.ts'

export interface RebuildContext extends Turns {
  readonly settings: Settings
  readonly ports: Ports
  readonly environment: SegmentEnvironment
  readonly emit: (event: EngineEvent) => void
}

const walDirectory = ({ dataDir }: Settings): string => `${dataDir}/wal`

// ---- manifest -----------------------------------------------------------------------------------------------------

/** Opens the manifest, makes a new one, or rebuilds a lost one. */
export async function openOrRebuildManifest(context: RebuildContext): Promise<Manifest> {
  const { settings, ports, emit } = context
  const directory = settings.dataDir
  const path = `${directory}/${manifestName}`
  let salvaged: SalvagedManifest | undefined
  try {
    const manifest = await openManifest(ports, directory)
    if (manifest !== undefined) return manifest
    if (isEmpty(context)) {
      const id = ports.random.bytes(new Uint8Array(16))
      return await createManifest(ports, directory, newManifestState(id, settings.duplicates))
    }
    emit({ kind: 'rebuilt', path, message: `${path} is missing`, keptAs: undefined })
  } catch (error) {
    const { code, message } = toSydraError(error)
    if (code !== 'corrupt_manifest') throw error
    salvaged = salvageManifest(readWhole(ports.files, path), ports.checksums)
    // The name goes on, until what is rebuilt takes it: what it still tells is never out of sight.
    emit({ kind: 'rebuilt', path, message, keptAs: await keepCopy(ports.files, path) })
  }
  const { firstLsn } = openWal(ports, walDirectory(settings), 0, walDefaults, () => {})
  const { databaseId, duplicates, incarnation = 0, nextSegment = 1, flushedLsn = 0, tombstones } = salvaged?.state ?? {}
  const random = newManifestState(ports.random.bytes(new Uint8Array(16)), settings.duplicates)
  const state = rebuildManifest(foundSegments(context, salvaged), {
    databaseId: databaseId ?? random.databaseId,
    duplicates: duplicates ?? random.duplicates,
    incarnation: Math.max(incarnation + 1, Math.floor(ports.clock.nowUs() / 1e6)),
    nextSegment: Math.max(nextSegment, highestId(ports.files, directory) + 1),
    walFirstLsn: firstLsn,
    flushedLsn,
    ...(tombstones === undefined ? {} : { tombstones }),
  })
  const ids = new Set(state.segments.map(({ id }) => id))
  const merged = new Set(salvaged?.state.segments.map(({ id }) => id).filter(id => !ids.has(id)))
  const segments = state.segments.filter(({ rollup }) => rollup === undefined || !merged.has(rollup.of))
  const { catalog } = salvaged?.state ?? {}
  return createManifest(ports, directory, { ...state, segments, ...(catalog === undefined ? {} : { catalog }) })
}

/** Whether nothing says that there ever was a database. */
function isEmpty({ settings, ports }: RebuildContext): boolean {
  const { files } = ports
  const directory = settings.dataDir
  const wal = walDirectory(settings)
  return (
    !catalogExists({ ports, directory, seriesMax: 0 }) &&
    segmentFiles(files, directory).length === 0 &&
    namesIn(files, wal).length === 0
  )
}

/**
 * The segments on the disk: as the damaged manifest still tells of them, else as they do themselves. Rollups that it does
 * not tell of are left out, for they can be made again.
 */
function foundSegments({ settings, ports, environment }: RebuildContext, salvaged: SalvagedManifest | undefined) {
  const known = new Map(salvaged?.state.segments.map(meta => [meta.id, meta]))
  const found: FoundSegment[] = []
  for (const path of segmentFiles(ports.files, settings.dataDir)) {
    if (path.endsWith(temporarySuffix)) continue
    try {
      const { meta, header } = readSegmentMeta(environment, path)
      const told = known.get(meta.id)
      if (salvaged?.removed.has(meta.id) === true) continue
      const isKnown = told?.path === path && told.bytes === meta.bytes
      const { kind, replaced: replaces, parts } = header
      if (kind.kind === 'rows') found.push({ ...(isKnown ? told : meta), replaces, parts })
      else if (isKnown) found.push(told)
    } catch (error) {
      const { code, message } = toSydraError(error)
      if (code !== 'corrupt_segment') throw error
      ports.log('error', `${path} cannot be read and is left out`, { error: message })
    }
  }
  return found
}

/** The highest number that a segment's name has, set aside or not. */
function highestId(files: FileSystem, directory: string): number {
  const paths = [...segmentFiles(files, directory), ...filesSetAside(files, directory)]
  return paths.reduce((highest, path) => Math.max(highest, Number(/(\d+)\.seg[^/]*$/.exec(path)?.[1] ?? 0)), 0)
}

// ---- catalog ------------------------------------------------------------------------------------------------------

/**
 * Opens the catalog, or makes one of what is left of it. Where rows in the WAL needed what is lost, those that did not are
 * in segments afterwards: `manifest.state.flushedLsn` has grown, and the log is to be opened again.
 */
export async function openOrRebuildCatalog(
  context: RebuildContext,
  manifest: Manifest,
  recovery: WalRecovery,
): Promise<CatalogStore> {
  const { settings, ports, environment, emit } = context
  const options = { ports, directory: settings.dataDir, seriesMax: settings.maxSeries }
  const isNew = manifest.state.flushedLsn === 0 && manifest.state.segments.length === 0 && recovery.isEmpty
  const path = `${settings.dataDir}/catalog.log`
  let message: string
  try {
    if (isNew || catalogExists(options)) return await openCatalog({ ...options, extent: manifest.state.catalog })
    message = `${path} is missing`
  } catch (error) {
    const known = toSydraError(error)
    if (known.code !== 'corrupt_catalog') throw error
    message = known.message
  }
  const salvaged = await salvageCatalog(options, catalogBatches(ports, walDirectory(settings)))
  if (
    salvaged !== undefined &&
    (hasAllRecords(manifest, salvaged.catalog) || !ports.files.exists(`${settings.dataDir}/${objectsDirectory}`)) &&
    understandsAll(context, manifest, salvaged.catalog)
  ) {
    const store = await replaceWith(options, salvaged.catalog, salvaged.damagedPaths)
    emit({ kind: 'rebuilt', path, message, keptAs: salvaged.damagedPaths[0] && `${salvaged.damagedPaths[0]}.damaged` })
    return store
  }
  if (!recovery.isEmpty) await rescueRows(context, manifest, recovery, salvaged?.catalog)
  const store = await rebuildFrom(options, [
    ...evidence(environment, manifest, ports.log),
    ...toldBy(salvaged?.catalog),
  ])
  emit({ kind: 'rebuilt', path, message, keptAs: `${path}.damaged` })
  return store
}

/**
 * Whether it has what any flush, and so any snapshot, refers to. Where it has not, its next series would take ordinals that
 * segments of snapshots have for others; those of another incarnation they are never compared with.
 */
const hasAllRecords = ({ state }: Manifest, catalog: Catalog): boolean =>
  state.catalog?.incarnation === catalog.incarnation && state.catalog.records <= catalog.sequence

/**
 * Whether the catalog knows every series of the segments that go by its ordinals, and all that the frames of the WAL refer
 * to. One that does lacks nothing that anything on the disk refers to.
 */
function understandsAll(context: RebuildContext, manifest: Manifest, catalog: Catalog): boolean {
  const { settings, ports, environment } = context
  for (const { path } of manifest.state.segments) {
    try {
      const { header } = readSegmentMeta(environment, path)
      if (toHex(header.incarnation) !== catalog.incarnation) continue
      for (const { metric, series, ordinals } of segmentSeries(environment, path))
        for (const [i, tags] of series.entries())
          if (ordinals[i]! >= catalog.seriesCount || catalog.printed.at(ordinals[i]!) !== printSeries(metric, tags))
            return false
    } catch (error) {
      if (toSydraError(error).code !== 'corrupt_segment') throw error
    }
  }
  const recovery = openWal(ports, walDirectory(settings), manifest.state.flushedLsn, walDefaults, () => {})
  for (const frame of recovery.frames()) {
    try {
      understand(frame, catalog, records => catalog.applyRecords(records))
    } catch (error) {
      if (error instanceof NotUnderstood) return false
      throw error
    }
  }
  return true
}

/** Rows of the WAL that what is left of the old catalog understands become segments, which name their series in full. */
async function rescueRows(
  context: RebuildContext,
  manifest: Manifest,
  recovery: WalRecovery,
  left: Catalog | undefined,
): Promise<void> {
  const { settings, ports, environment, emit } = context
  const { duplicates, nextSegment } = manifest.state
  const catalog = left ?? (await noCatalog())
  const memtable = new LayeredMemtable({ duplicates, catalog })
  const { damagedFiles } = await inTurns(context, replay(recovery, catalog, memtable, emit))
  const id = (n: number): string => String(nextSegment + n).padStart(10, '0')
  const retained = { rules: retentionRules(settings), nowUs: ports.clock.nowUs(), inThread: settings.flushInThread }
  const add = await writeSegments(memtable.freeze(), { ports, environment, catalog, id, ...retained })
  const { addTombstones } = new SavedTombstones(manifest, catalog).changesFor(memtable.tombstones, [])
  await manifest.apply({
    add,
    flushedLsn: recovery.lastLsn,
    nextSegment: nextSegment + add.length,
    ...(addTombstones === undefined ? {} : { addTombstones }),
  })
  setAsideLogs(ports, damagedFiles)
}

/** One that understands no rows. */
const noCatalog = async (): Promise<Catalog> =>
  new Catalog({ incarnation: '0'.repeat(32), hash: await loadSeriesHasher(), seriesMax: 0 })

/** What the segments say; of a damaged one, what comes before the damage. */
function* evidence(environment: SegmentEnvironment, manifest: Manifest, log: Ports['log']): Generator<CatalogEvidence> {
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

/** Metrics, fields and series that no segment may know yet. */
function* toldBy(catalog: Catalog | undefined): Generator<CatalogEvidence> {
  for (const { id, name, fields } of catalog?.metrics() ?? [])
    yield { metric: name, fields, series: Array.from(catalog!.seriesOf(id), ordinal => catalog!.tagsOf(ordinal)) }
}
