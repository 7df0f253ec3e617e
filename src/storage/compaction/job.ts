/**
 * What passes between the parts of compaction, as plain data: it can be logged, compared, and sent to another thread.
 *
 *   CompactionState + CompactionPolicy + now   -> choose (choose.ts)    -> CompactionJob: which segments, and why
 *   CompactionJob + what the engine knows      -> mergeJobOf (task.ts)  -> MergeJob: all that a thread of its own needs
 *   MergeJob                                   -> mergeTask (task.ts)   -> MergeResult: published segments
 *   CompactionJob.remove + MergeResult.segments -> Storage.replaceSegments
 *
 * Invariants:
 * 1. A job's inputs can be read, hold rows (no rollups), and may be merged: whatever is not among them keeps its place in
 *    the order of writes (see choose.ts).
 * 2. The segments of a result are durable under their names, and nothing names them yet.
 */
import type { RetentionSettings } from '../retention/rules.ts'
import type { Encoding } from '../segment/encode-column.ts'
import type { TimeWindow } from '../segment/partition.ts'
import type { Lsn, SegmentMeta } from '../types.ts'

// ---- what is chosen -----------------------------------------------------------------------------------------------

export interface CompactionState {
  /** All of the manifest: rows and rollups, in write order. */
  readonly segments: readonly SegmentMeta[]
  /** Ids of those that cannot be read: set aside when opening, or found damaged by a merge since. */
  readonly unreadable: ReadonlySet<string>
  /** Those of the manifest; times are ±Infinity where unbounded. */
  readonly tombstones: readonly { readonly lsn: Lsn; readonly fromUs: number; readonly toUs: number }[]
  /**
   * Rows with a lower time are expired, all that a segment of this `namespace` may hold: for undefined the earliest horizon
   * there is. -Infinity where nothing expires, or where rollups are to outlive their rows (a merge would shorten both).
   */
  horizonUs(namespace: string | undefined): number
}

export interface CompactionPolicy {
  /** How long after its end a window waits for its last rows. */
  readonly settleDelayUs: number
  /** So many runs of an open window are merged. */
  readonly runsMin: number
  /** Inputs of one merge; more only where so many settled segments overlap late rows that are merged on request. */
  readonly inputsMax: number
  /** On request, late rows are cut into finer windows before a merge of more bytes. */
  readonly mergeBytesMax: number
  /** Larger runs of an open window wait for its end. */
  readonly runBytesMax: number
  /** A closed hour with less goes with its day. */
  readonly windowBytesMin: number
  /** Settled segments with less are merged with others of their week. */
  readonly promoteBytesMax: number
  /** Late rows are merged into a settled segment when it is at most so many times their size. */
  readonly lateRatio: number
  /** Late rows that take more are worth a file in their own window; fewer are gathered in a wider one. */
  readonly lateBytesMax: number
  /** With more tombstones than this, settled segments are written again without the rows they concern. */
  readonly tombstonesMax: number
}

/** Segments that are written at once take memory each. */
export const cutsMax = 64

const MiB = 2 ** 20

export const defaultCompactionPolicy: CompactionPolicy = {
  settleDelayUs: 600e6,
  runsMin: 8,
  inputsMax: 64,
  mergeBytesMax: 512 * MiB,
  runBytesMax: 8 * MiB,
  windowBytesMin: 16 * MiB,
  promoteBytesMax: 8 * MiB,
  lateRatio: 2,
  lateBytesMax: MiB,
  tombstonesMax: 1000,
}

/** Why segments are merged. */
export type CompactionReason =
  /** Many small runs become one. */
  | 'runs'
  /** The last merge of a closed window. */
  | 'settle'
  /** Late rows into the settled segments they overlap. */
  | 'late'
  /** Small settled segments of a week into one. */
  | 'promote'
  /** Late rows of a long time are cut into finer windows; on request only. */
  | 'scatter'
  /** Most of a wide segment is expired. */
  | 'trim'
  /** Deletes are applied for good. */
  | 'erase'

export interface CompactionJob {
  readonly reason: CompactionReason
  /** At least one, in write order. */
  readonly inputs: readonly SegmentMeta[]
  /** Ids of what the result takes the place of: the inputs and their rollups. */
  readonly remove: readonly string[]
  /** Directory under `segments/` of the outputs, but for rows in one of the cuts. */
  readonly window: string
  /** Disjoint, ascending, at most `cutsMax`: rows in one of them go to a segment of their own there. */
  readonly cuts: readonly TimeWindow[]
  /** The outputs are settled: encoded densely, with rollups. */
  readonly settled: boolean
}

// ---- what is merged -----------------------------------------------------------------------------------------------

export interface MergeInput {
  readonly id: string
  /** Relative to the data directory. */
  readonly path: string
  readonly bytes: number
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  /** Deletes up to this LSN have been applied to its rows. */
  readonly deletesLsn: Lsn
  /**
   * Local series number -> ordinal in the catalog; absent where the ordinals in the file are those (its header has the
   * catalog's incarnation).
   */
  readonly ordinals?: Uint32Array
}

/** A delete of rows with a lower LSN. */
export interface MergeTombstone {
  readonly lsn: Lsn
  /** Name of the metric. */
  readonly metric: string
  /** Half-open; ±Infinity where unbounded. */
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals, ascending; undefined: all series. */
  readonly series: Uint32Array | undefined
}

export interface MergeJob {
  /** The data directory. */
  readonly directory: string
  /** In write order. */
  readonly inputs: readonly MergeInput[]
  /** Those that may concern a row of an input. */
  readonly tombstones: readonly MergeTombstone[]
  /** Deletes up to this LSN are among the tombstones: the manifest's `flushedLsn`. */
  readonly deletesLsn: Lsn
  readonly duplicates: 'last' | 'first'
  /** Of the catalog whose ordinals these are: 32 hexadecimal digits. */
  readonly incarnation: string
  /** Of that catalog: ordinals are below. */
  readonly seriesCount: number
  /** Which rows are expired, and which namespaces have segments of their own. */
  readonly retention: Pick<RetentionSettings, 'retentionDays' | 'retention'>
  /** Whether expired rows are kept: rollups of them shall outlive them. */
  readonly keepExpired: boolean
  readonly nowUs: number
  /** As in the job. */
  readonly window: string
  readonly cuts: readonly TimeWindow[]
  readonly settled: boolean
  readonly encoding: Encoding
  /** Widths of the rollups to write, of the table in rollup/widths.ts; none when not settled. */
  readonly rollupWidthsUs: readonly number[]
  /** Ids for what is written, enough of them. */
  readonly ids: readonly string[]
  /** Bytes of a segment after which the next series go to another one. */
  readonly segmentBytesMax: number
  /** Bytes read and written per second; 0: no limit. */
  readonly bytesPerSecondMax: number
}

/** How far a merge is. */
export interface MergeProgress {
  readonly rowsRead: number
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Of the inputs. */
  readonly bytesTotal: number
}

/** What a merge read and wrote. */
export interface MergeResult {
  /** Rows and rollups; none when every row was deleted or expired. */
  readonly segments: readonly SegmentMeta[]
  readonly rowsRead: number
  readonly rowsWritten: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly elapsedMs: number
}
