/** What `stats()` tells. */
import type { MemoryStatistics } from '../lib/memory-account.ts'
import type { ChunkPoolStatistics } from '../storage/memtable/chunk-memory.ts'
import type { Lsn } from '../storage/types.ts'
import type { LiveStatistics } from './live/types.ts'

/** Sizes as they are now, and counters since the database was opened. */
export interface DatabaseStatistics {
  readonly lsn: Lsn
  readonly metrics: number
  readonly series: number
  readonly segments: {
    readonly count: number
    readonly rows: number
    readonly bytes: number
    /** Left out when the database was opened. */
    readonly quarantined: number
    /** Found damaged since. */
    readonly damaged: number
  }
  /** Files kept as `*.damaged`, which may be moved away. */
  readonly setAside: number
  /** Deletes that still hide rows. */
  readonly tombstones: number
  readonly memtable: { readonly rows: number; readonly bytes: number; readonly frozen: number }
  readonly wal: { readonly bytes: number; readonly files: number; readonly frames: number; readonly syncs: number }
  readonly ingest: {
    readonly rows: number
    readonly rejected: number
    readonly bytes: number
    /** Bytes read and not yet acknowledged. */
    readonly inFlightBytes: number
    readonly inFlightMaxBytes: number
    readonly inFlightPeakBytes: number
    /** Writers that wait for room. */
    readonly waiting: number
  }
  readonly queries: {
    readonly started: number
    readonly running: number
    readonly failed: number
    readonly cancelled: number
    readonly rowsScanned: number
    readonly rowsEmitted: number
  }
  readonly live: LiveStatistics
  readonly versions: {
    /** Readers: queries and whatever else sees the database as of a moment. */
    readonly pins: number
    /** Age of the oldest; 0 without any. `query.timeout_ms` limits it. */
    readonly oldestPinMs: number
    /** Segments that others have replaced, and a reader still needs. */
    readonly filesWaiting: number
    readonly bytesWaiting: number
  }
  /** Since the database was opened. */
  readonly compaction: {
    readonly running: boolean
    readonly merges: number
    readonly failed: number
    readonly rowsRead: number
    readonly bytesRead: number
    readonly bytesWritten: number
    /** Inputs that are not tried again before the next opening. */
    readonly skipped: number
    /** Bytes that flushes and merges wrote per byte that flushes wrote; 1 when nothing was merged. */
    readonly writeAmplification: number
  }
  /** What went because it had expired, since the database was opened: whole segments. */
  readonly retention: { readonly segments: number; readonly rows: number; readonly bytes: number }
  readonly commits: number
  readonly flushes: number
  /** Of these, flushes of a memtable that was not full, because memory was short. */
  readonly earlyFlushes: number
  readonly memory: MemoryUse
  readonly readOnly: boolean
}

/** The account of `mem_limit_bytes`, and the memory of memtables. */
export interface MemoryUse extends MemoryStatistics {
  /** Readers that were told `snapshot_expired`. */
  readonly readersExpired: number
  readonly chunks: ChunkPoolStatistics
}
