/**
 * Salvaging: what is left of a damaged catalog, put together from every place that has records.
 *
 *   checkpoint, if it can be read  ┐
 *   log frames that check          ├─ in the order of their numbers -> a catalog of the same history
 *   records in frames of the WAL   ┘
 *
 * Invariants:
 * 1. The result holds the records [0, sequence) as they were: ordinals mean what they meant. It may lack later ones.
 * 2. Nothing on the disk is changed.
 */
import { SydraError } from '../../lib/errors.ts'
import { toHex } from '../../lib/text.ts'
import { ByteReader, DamageError } from '../codecs/bytes.ts'
import { Catalog } from './catalog.ts'
import { checkpointName, type LoadedCheckpoint, readCheckpoint } from './checkpoint.ts'
import { loadSeriesHasher } from './identity.ts'
import { logName, salvageLog } from './log.ts'
import type { CatalogStoreOptions } from './store.ts'

export interface SalvagedCatalog {
  readonly catalog: Catalog
  /** Files that are there and damaged. */
  readonly damagedPaths: readonly string[]
}

/**
 * `walBatches` are those in the frames of the WAL, flushed ones too, in their order. undefined when nothing tells which
 * history there was. Throws `unsupported_version`, `io_error`.
 */
export async function salvageCatalog(
  options: CatalogStoreOptions,
  walBatches: Iterable<Uint8Array>,
): Promise<SalvagedCatalog | undefined> {
  const { ports, directory } = options
  const damagedPaths: string[] = []
  const checkpointPath = `${directory}/${checkpointName}`
  const checkpoint = checkpointIn(options)
  if (checkpoint === undefined && ports.files.exists(checkpointPath)) damagedPaths.push(checkpointPath)
  const log = salvageLog(ports, directory)
  // A log that follows a good checkpoint is what was damaged.
  if (ports.files.exists(`${directory}/${logName}`) && (log === undefined || damagedPaths.length === 0))
    damagedPaths.push(`${directory}/${logName}`)

  const batches = [...(log?.batches ?? []), ...walBatches].map(bytes => ({ bytes, ...headOf(bytes) }))
  const incarnation = checkpoint?.incarnation ?? log?.incarnation ?? batches.at(-1)?.incarnation
  if (incarnation === undefined) return undefined
  const hash = options.hash ?? (await loadSeriesHasher())
  const catalog = new Catalog({ incarnation, hash, seriesMax: Number.POSITIVE_INFINITY }, checkpoint?.state)
  for (const { bytes, first } of batches
    .filter(batch => batch.incarnation === incarnation)
    .sort((a, b) => a.first - b.first)) {
    if (first > catalog.sequence) break
    try {
      catalog.applyBatch(bytes)
    } catch (error) {
      if (!(error instanceof DamageError)) throw error
    }
  }
  return { catalog, damagedPaths }
}

function checkpointIn({ ports, directory }: CatalogStoreOptions): LoadedCheckpoint | undefined {
  if (!ports.files.exists(`${directory}/${checkpointName}`)) return undefined
  try {
    return readCheckpoint(ports, directory)
  } catch (error) {
    if (error instanceof SydraError && error.code === 'corrupt_catalog') return undefined
    throw error
  }
}

/** Of a batch whose frame was whole. */
function headOf(batch: Uint8Array): { readonly incarnation: string; readonly first: number } {
  const reader = new ByteReader(batch)
  return { incarnation: toHex(reader.raw(16)), first: reader.varint() }
}
