/**
 * Manifest and catalog, opened, made anew, or rebuilt from what the segments say of themselves.
 *
 * Invariants:
 * 1. What is damaged is set aside, never overwritten or removed.
 * 2. A file of a version that this program does not know is refused, never taken for damage.
 * 3. A catalog that rows in the WAL refer to is not rebuilt: nothing but the old one can read them.
 */
import { SydraError, toSydraError } from './lib/errors.ts'
import type { Logger, Ports } from './lib/ports.ts'
import type { Settings } from './lib/settings.ts'
import { type CatalogStore, catalogExists, openCatalog, rebuildFrom } from './storage/catalog/store.ts'
import { salvageTombstones } from './storage/manifest/log.ts'
import { createManifest, type Manifest, manifestName, openManifest } from './storage/manifest/manifest.ts'
import { newManifestState, rebuildManifest } from './storage/manifest/state.ts'
import type { SegmentEnvironment } from './storage/segment/environment.ts'
import { temporarySuffix } from './storage/segment/publish.ts'
import { readSegmentMeta, segmentSeries } from './storage/segment/recover.ts'
import { setAside } from './storage/set-aside.ts'
import type { TombstoneEntry } from './storage/tombstones/entry.ts'
import { openWal, type WalRecovery, walDefaults } from './storage/wal/wal.ts'

/** Opens the manifest, makes a new one, or rebuilds a lost one from what the segments say of themselves. */
export async function openOrRebuildManifest(
  settings: Settings,
  ports: Ports,
  environment: SegmentEnvironment,
): Promise<Manifest> {
  const directory = settings.dataDir
  let tombstones: readonly TombstoneEntry[] = []
  try {
    const manifest = await openManifest(ports, directory)
    if (manifest !== undefined) return manifest
  } catch (error) {
    if (toSydraError(error).code !== 'corrupt_manifest') throw error
    ports.log('error', 'the manifest is damaged and will be rebuilt from the segments', { error: String(error) })
    const damaged = setAside(ports.files, `${directory}/${manifestName}`)
    tombstones = salvaged(ports, damaged)
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
    tombstones,
  })
  return createManifest(ports, directory, state)
}

/** The deletes that a damaged manifest still tells of. */
function salvaged({ files, checksums, log }: Ports, path: string): readonly TombstoneEntry[] {
  const file = files.open(path, 'read')
  try {
    const bytes = new Uint8Array(file.size())
    const { tombstones, damagedLines } = salvageTombstones(bytes.subarray(0, file.read(bytes, 0)), checksums)
    log('warn', 'deletes that damaged lines of the manifest told of are forgotten; the others were kept', {
      path,
      damagedLines,
      deletes: tombstones.length,
    })
    return tombstones
  } finally {
    file.close()
  }
}

/**
 * Opens the catalog. A damaged one is rebuilt from the segments, unless rows in the WAL refer to its ordinals: then
 * nothing but the old catalog can read them.
 */
export async function openOrRebuildCatalog(
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

/** Paths of all files under `segments/`, relative to the data directory. */
export function segmentFiles({ files }: Ports, directory: string): string[] {
  if (!files.exists(`${directory}/segments`)) return []
  return files
    .list(`${directory}/segments`)
    .flatMap(window => files.list(`${directory}/segments/${window}`).map(name => `segments/${window}/${name}`))
}
