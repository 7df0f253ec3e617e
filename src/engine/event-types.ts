/** What `committed$` and `events$` tell. */
import type { CompactionReason, MergeProgress, MergeResult } from '../storage/compaction/job.ts'
import type { Lsn, RowBatch, SegmentMeta } from '../storage/types.ts'
import type { RestoreReport, SnapshotReport } from './snapshots/types.ts'

/**
 * A commit: published once, after it is durable by the policy and before it is acknowledged, in LSN order.
 *
 * @example
 * db.committed$.subscribe(({ batches }) => {
 *   for (const { metric, series, timeUs } of batches.flatMap(batch => batch.metrics))
 *     console.log(metric.name, db.seriesAt(series[0]!).printed, new Date(timeUs[0]! / 1000))
 * })
 */
export interface Committed {
  readonly kind: 'rows' | 'delete'
  readonly lsn: Lsn
  /** Immutable; shared by all subscribers. Empty for a delete. */
  readonly batches: readonly RowBatch[]
  readonly rows: number
  /** What a delete concerns: rows with a lower LSN. undefined for rows. */
  readonly deleted: Deleted | undefined
}

/** Rows of a metric with `fromUs <= time < toUs`: µs since the epoch, UTC. */
export interface Deleted {
  readonly metric: string
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals (`db.seriesAt`), ascending, immutable; undefined: all series of the metric. */
  readonly series: Uint32Array | undefined
}

/**
 * What the engine does by itself, told as it happens. Whoever subscribes gets the last 64 first, what opening found among them.
 * Paths begin with the data directory, but those of segments, which are relative to it.
 *
 * @example
 * db.events$.pipe(filter(event => event.kind === 'segment-damaged')).subscribe(({ path, message }) => alarm(path, message))
 */
export type EngineEvent =
  /** The database was opened: what was read of the log, and how many segments there are. */
  | {
      readonly kind: 'recovered'
      readonly walFrames: number
      readonly rows: number
      readonly segments: number
      readonly elapsedMs: number
    }
  /** The log ended in a commit that was not written to its end, and so was never acknowledged as durable. */
  | { readonly kind: 'wal-truncated'; readonly path: string; readonly offset: number; readonly bytes: number }
  /** Commits of the log are damaged, from and to these LSNs: their rows are lost. */
  | {
      readonly kind: 'wal-corruption'
      readonly path: string
      readonly offset: number
      readonly lostFrom: Lsn
      readonly lostTo: Lsn
    }
  /** Left out when the database was opened: its rows are missing. */
  | { readonly kind: 'segment-quarantined'; readonly path: string; readonly message: string }
  /** Found damaged by a query or a merge, which failed for it. Told once a file. */
  | { readonly kind: 'segment-damaged'; readonly path: string; readonly message: string }
  /** The manifest or the catalog was damaged, or missing, and was made anew from what can still be read. */
  | {
      readonly kind: 'rebuilt'
      readonly path: string
      readonly message: string
      /** The damaged file; undefined when there was none. */
      readonly keptAs: string | undefined
    }
  /** Rows of the memtable are in segments, up to this LSN. */
  | {
      readonly kind: 'flushed'
      readonly segments: readonly SegmentMeta[]
      readonly rows: number
      readonly maxLsn: Lsn
      readonly elapsedMs: number
    }
  /** It is tried again where the disk is full; else `read-only` follows. */
  | { readonly kind: 'flush-failed'; readonly message: string }
  /** A merge of segments began. */
  | {
      readonly kind: 'compaction-started'
      readonly reason: CompactionReason
      readonly inputs: readonly SegmentMeta[]
      readonly bytes: number
    }
  /** At most once a second. */
  | ({ readonly kind: 'compaction-progress' } & MergeProgress)
  /** The merged segments have taken the places of the inputs. */
  | ({
      readonly kind: 'compacted'
      readonly reason: CompactionReason
      readonly inputs: readonly SegmentMeta[]
    } & MergeResult)
  /** It was called off, or its inputs went meanwhile; nothing has changed. */
  | { readonly kind: 'compaction-abandoned'; readonly reason: CompactionReason }
  /** Nothing has changed. */
  | { readonly kind: 'compaction-failed'; readonly message: string; readonly inputs: readonly SegmentMeta[] }
  /** Segments went because all their rows had expired. */
  | {
      readonly kind: 'expired'
      readonly segments: readonly SegmentMeta[]
      readonly rows: number
      readonly bytes: number
    }
  /** What has expired is still there; it is tried again. */
  | { readonly kind: 'retention-failed'; readonly message: string }
  /** One was taken; `to`: the directory it was copied to. */
  | ({ readonly kind: 'snapshot'; readonly to: string | undefined } & SnapshotReport)
  /** The database is what it was at a snapshot. */
  | ({ readonly kind: 'restored' } & RestoreReport)
  /** Nothing can be written until it is opened again; queries go on. */
  | { readonly kind: 'read-only'; readonly message: string }
