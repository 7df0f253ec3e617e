/** Frames and the catalog: everything a frame refers to must be there, or come with it. */
import { SydraError, toSydraError } from '../../lib/errors.ts'
import type { TablesReader } from '../catalog/reader.ts'
import type { Deletion } from '../tombstones/tombstones.ts'
import type { MetricInfo, RowBatch } from '../types.ts'
import { decodeDeletion } from './delete-frame.ts'
import type { ColumnMemory } from './row-columns.ts'
import { decodeRowBatches } from './row-frame.ts'
import { type WalFrame, walFrameTypes } from './wal.ts'

/** A frame that is whole, but refers to what is not in the catalog. */
export class NotUnderstood extends Error {}

/**
 * What a frame says. `onCatalog` gets its catalog records first, which may throw `corrupt_catalog`. Throws `NotUnderstood`,
 * and `corrupt_wal` for a type that a later version has. With `memory`, the rows are borrowed from it.
 */
export function understand(
  { lsn, type, payload }: WalFrame,
  catalog: TablesReader,
  onCatalog: (records: Uint8Array) => void,
  memory?: ColumnMemory,
): { readonly deletion: Deletion | undefined; readonly batches: readonly RowBatch[] } {
  if (type !== walFrameTypes.rows && type !== walFrameTypes.delete)
    throw new SydraError('corrupt_wal', `frame ${lsn} has the unknown type ${type}`, {
      hint: 'open the directory with the version of SydraDB that wrote it',
    })
  try {
    if (type === walFrameTypes.delete) {
      const deletion = decodeDeletion(payload, onCatalog)
      assertKnown(deletion, catalog)
      return { deletion, batches: [] }
    }
    let known: ReadonlyMap<number, MetricInfo> | undefined
    const lookup = (id: number) => (known ??= new Map(catalog.metrics().map(metric => [metric.id, metric]))).get(id)
    const batches = decodeRowBatches(payload, onCatalog, lookup, memory)
    for (const batch of batches) assertKnownSeries(batch, catalog)
    return { deletion: undefined, batches }
  } catch (error) {
    const { code, message } = toSydraError(error)
    if (code !== 'corrupt_catalog' && code !== 'corrupt_wal') throw error
    throw new NotUnderstood(message, { cause: error })
  }
}

function assertKnown({ metric: id, series }: Deletion, catalog: TablesReader): void {
  const isKnown = catalog.metrics().some(info => info.id === id)
  if (!isKnown || (series !== undefined && !catalog.areOf(id, series)))
    throw new SydraError('corrupt_catalog', `what a delete of metric ${id} concerns is not in the catalog`)
}

function assertKnownSeries({ metrics }: RowBatch, catalog: TablesReader): void {
  for (const { metric, series, length } of metrics)
    if (!catalog.areOf(metric.id, series.subarray(0, length)))
      throw new SydraError('corrupt_catalog', `series of ${metric.name} are not in the catalog`)
}
