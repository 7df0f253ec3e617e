/**
 * A frozen memtable as durable segments: sorted and merged, cut into time windows, encoded, published one by one.
 *
 * Invariants:
 * 1. All segments of one flush have its LSN range; ids are settled by `nextId` when this begins, so that a retried
 *    flush overwrites what the failed one left.
 * 2. One segment's bytes are held at a time beside the sorted rows; the event loop gets a turn between segments.
 */
import type { Ports } from '../lib/ports.ts'
import type { CatalogReader } from './catalog/types.ts'
import type { FrozenMemtable } from './memtable/memtable.ts'
import { encodeSegment } from './segment/encode.ts'
import type { SegmentEnvironment } from './segment/environment.ts'
import { declaredHeaderLength, decodeHeader, headerFixedLength } from './segment/format.ts'
import { partition } from './segment/partition.ts'
import { publishSegment, segmentPath } from './segment/publish.ts'
import { metaOf } from './segment/recover.ts'
import type { SegmentMeta } from './types.ts'

export interface WriteSegmentsOptions {
  readonly ports: Ports
  readonly environment: SegmentEnvironment
  readonly catalog: CatalogReader & { readonly incarnation: string }
  /** The id of the n-th segment of this flush. */
  readonly id: (n: number) => string
}

/** Throws `disk_full` and `io_error`; may be repeated. */
export async function writeSegments(frozen: FrozenMemtable, options: WriteSegmentsOptions): Promise<SegmentMeta[]> {
  const { ports, environment, catalog, id } = options
  const metas: SegmentMeta[] = []
  for (const { name, metrics } of partition([...frozen.metrics(catalog)])) {
    const bytes = encodeSegment(
      { minLsn: frozen.minLsn, maxLsn: frozen.maxLsn, incarnation: catalog.incarnation, metrics, keys: catalog },
      environment.kernels,
      ports.checksums,
      ports.zstd,
    )
    const path = segmentPath(name, id(metas.length))
    await publishSegment(ports, environment.directory, path, bytes)
    const length = declaredHeaderLength(bytes.subarray(0, headerFixedLength))
    metas.push(metaOf(decodeHeader(bytes.subarray(0, length), ports.checksums), path))
  }
  return metas
}
