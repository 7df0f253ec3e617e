/** Gives the segments of a storage their rollups, as a merge of each by itself would. */

import type { Storage } from '../../../src/engine/recovery/open-storage.ts'
import { nodeChecksums, nodeZstd } from '../../../src/lib/node/ports.ts'
import type { FileSystem } from '../../../src/lib/ports.ts'
import { newReadStatistics } from '../../../src/storage/read-statistics.ts'
import { RollupBuilder } from '../../../src/storage/rollup/build.ts'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import { publishSegment, segmentPath } from '../../../src/storage/segment/publish.ts'
import { metaOf } from '../../../src/storage/segment/recover.ts'
import type { SegmentMeta } from '../../../src/storage/types.ts'
import { GatheredRollups } from './gathered.ts'

export interface RollUpOptions {
  readonly widthsUs: readonly number[]
  readonly files: FileSystem
  /** The data directory. */
  readonly directory: string
}

/** Returns the rollups that are new: of segments that had none. */
export async function rollUp(
  { versions, catalog, kernels, takeSegmentIds, replaceSegments }: Storage,
  { widthsUs, files, directory }: RollUpOptions,
): Promise<SegmentMeta[]> {
  const has = new Set(versions.segments.map(({ meta }) => meta.rollup?.of))
  const added: SegmentMeta[] = []
  for (const segment of versions.segments) {
    const { id, minLsn, maxLsn, rollup } = segment.meta
    if (rollup !== undefined || has.has(id)) continue
    const head = { minLsn, maxLsn, incarnation: catalog.incarnation, replaced: [id] }
    const gathered = new GatheredRollups()
    const { sink } = gathered
    const builder = new RollupBuilder({
      widthsUs,
      isKept: () => true,
      head,
      sink,
      kernels,
      checksums: nodeChecksums,
      zstd: nodeZstd,
    })
    for (const metric of catalog.metrics()) {
      const everything = { metric, fields: metric.fields, fromUs: -Infinity, toUs: Infinity, series: undefined }
      for (const piece of segment.pieces({ ...everything, statistics: newReadStatistics() })) {
        const rows = new RowBuffer(metric.fields)
        piece.read(-Infinity, Infinity, rows)
        builder.rows(metric, rows)
      }
    }
    for (const { header, bytes } of gathered.close(builder, catalog)) {
      const path = segmentPath('rollups', takeSegmentIds(1)[0]!)
      await publishSegment({ files }, directory, path, bytes)
      added.push(metaOf(header, path))
    }
  }
  await replaceSegments(() => ({ remove: new Set(), add: added }))
  return added
}
