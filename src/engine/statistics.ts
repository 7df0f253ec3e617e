/** What `db.stats()` tells of the parts of the engine. */

import type { Permits } from '../lib/permits.ts'
import type { SegmentMeta } from '../storage/types.ts'
import type { DatabaseStatistics } from '../types.ts'
import type { Storage } from './recovery/open-storage.ts'

/** Deleted rows count until no segment has them any more. */
export function storageStatistics({
  versions,
  catalog,
  wal,
  damage,
}: Storage): Pick<
  DatabaseStatistics,
  'setAside' | 'versions' | 'lsn' | 'metrics' | 'series' | 'segments' | 'tombstones' | 'memtable' | 'wal'
> {
  const { segments, active, frozen } = versions
  const total = (pick: (meta: SegmentMeta) => number): number =>
    segments.reduce((sum, segment) => sum + pick(segment.meta), 0)
  return {
    lsn: versions.lsn,
    metrics: catalog.metrics().length,
    series: catalog.seriesCount,
    segments: {
      count: segments.length,
      rows: total(meta => (meta.rollup === undefined ? meta.rows : 0)),
      bytes: total(meta => meta.bytes),
      quarantined: damage.quarantined.length,
      damaged: damage.found.size,
    },
    setAside: damage.setAside,
    tombstones: versions.tombstones.size,
    versions: versions.held,
    memtable: {
      rows: active.rowCount + frozen.reduce((sum, each) => sum + each.rowCount, 0),
      bytes: active.byteLength + frozen.reduce((sum, each) => sum + each.byteLength, 0),
      frozen: frozen.length,
    },
    wal: { bytes: wal.bytes, files: wal.files, frames: wal.frames, syncs: wal.syncs },
  }
}

type PermitStatistics = Pick<
  DatabaseStatistics['ingest'],
  'inFlightBytes' | 'inFlightMaxBytes' | 'inFlightPeakBytes' | 'waiting'
>

export const permitStatistics = ({ inUse, max, peak, waiting }: Permits): PermitStatistics => ({
  inFlightBytes: inUse,
  inFlightMaxBytes: max,
  inFlightPeakBytes: peak,
  waiting,
})
