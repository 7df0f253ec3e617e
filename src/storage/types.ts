/**
 * The words that storage, pipelines and operators share.
 *
 *   RowBatch   rows on their way in: columns per metric, settled — nothing in it can fail any more
 *   Version    what one reader sees: memtables and segments as of an LSN, pinned until released
 *   Piece      a part of a version that is skipped or read on its own: a row group, a memtable chunk
 *
 * Invariants:
 * 1. Pieces of a version are listed in write order: where two rows have one (series, time), they merge field by field
 *    and the later piece wins (with `duplicates: "first"`, the earlier).
 * 2. Within a piece (series, time) is unique, and rows are read in (series rank, time) order.
 */
import type { RollupView } from './rollup/view.ts'
import type { FieldBuffer, RowBuffer } from './row-buffer.ts'
import type { End, SeriesEnds } from './series-ends.ts'

/** What a field holds; integers are between ±2^53. */
export type FieldType = 'float' | 'integer' | 'boolean' | 'string'

/** Log sequence number: one for every commit, in one total order, from 1. Exact in a double. */
export type Lsn = number

/** A field of a metric. */
export interface FieldInfo {
  /** Index within its metric. */
  readonly id: number
  readonly name: string
  readonly type: FieldType
}

/** A metric and its fields. */
export interface MetricInfo {
  readonly id: number
  readonly name: string
  /** Grows only; index = id. */
  readonly fields: readonly FieldInfo[]
}

/** A tag set as `[key, value]` pairs sorted by key (UTF-8 byte order), keys unique, values non-empty. */
export type Tags = readonly (readonly [key: string, value: string])[]

// ---- on the way in ------------------------------------------------------------------------------------------------

/** Values of one field, a row each. */
export interface FieldRows {
  readonly field: FieldInfo
  /** float, integer: Float64Array; boolean: Uint8Array of 0 and 1; string: Uint32Array of codes into `strings`. */
  readonly values: Float64Array | Uint8Array | Uint32Array
  /** 1 present, 0 missing; undefined when every row has it. */
  readonly valid: Uint8Array | undefined
  readonly strings: readonly string[] | undefined
}

/** Rows of one metric in scan order. Every row has at least one field present. */
export interface MetricRows {
  readonly metric: MetricInfo
  readonly length: number
  /** Catalog ordinals: `db.seriesAt` says which series they are. */
  readonly series: Uint32Array
  /** µs since the epoch, UTC. */
  readonly timeUs: Float64Array
  readonly fields: readonly FieldRows[]
}

/** Rows that were settled together, by metric. */
export interface RowBatch {
  readonly metrics: readonly MetricRows[]
  readonly rowCount: number
  /** Memory the columns take, in bytes: what the ingest permit accounts for. */
  readonly byteLength: number
}

// ---- what a reader sees -------------------------------------------------------------------------------------------

/** Counters that a read adds to; they end up in the query's `stats`. */
export interface ReadStatistics {
  segmentsScanned: number
  segmentsPruned: number
  blocksScanned: number
  blocksPruned: number
  bytesRead: number
  rowsScanned: number
  /** Buckets of rollups read, by width in µs; absent: none. */
  rollups?: Map<number, number>
}

export interface SeriesSet {
  /** Catalog ordinals, ascending. */
  readonly ordinals: Uint32Array
  has(ordinal: number): boolean
}

export interface ReadRequest {
  readonly metric: MetricInfo
  /** The fields to read, in the order of `RowBuffer.fields`. */
  readonly fields: readonly FieldInfo[]
  /** Half-open: `fromUs <= time < toUs`; ±Infinity where unbounded. */
  readonly fromUs: number
  readonly toUs: number
  /** undefined: every series of the metric. */
  readonly series: SeriesSet | undefined
  readonly statistics: ReadStatistics
}

/** A value outside [min, max] cannot satisfy the query. Nulls never do. `nan` says whether NaN may. */
export interface FieldBound {
  /** Index into `ReadRequest.fields`. */
  readonly field: number
  readonly min: number
  readonly max: number
  readonly nan: boolean
}

export interface FieldStatistics {
  /** Non-null values, NaN included. */
  readonly count: number
  readonly nanCount: number
  /** Without NaN; Infinity and -Infinity when there is none. */
  readonly min: number
  readonly max: number
  /** NaN when any value is. */
  readonly sum: number
  /** The first and last non-null value by (time, then series rank), with their times. */
  readonly first: number
  readonly firstTimeUs: number
  readonly last: number
  readonly lastTimeUs: number
}

/** Per run of rows of one series: its ordinal, and its times (inclusive). Arrays of equal length, borrowed. */
export interface SeriesRanges {
  readonly series: Uint32Array
  readonly minTimeUs: Float64Array
  readonly maxTimeUs: Float64Array
}

export interface Piece {
  /** Rows in it of any series and time: an upper bound for `read`. */
  readonly rows: number
  /** Inclusive, over all its rows. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
  /** The one series it holds, or undefined when it may hold several. */
  readonly series: number | undefined
  /**
   * Which series it may hold and when, where that is known without reading rows; else `series` and its own range stand.
   * Bounds unless it is `whole`: rows that were deleted are in them.
   */
  seriesRanges?(): SeriesRanges
  /** Pieces with one source never share a (series, time); undefined: it may with any other piece. */
  readonly source?: object | undefined
  /**
   * True when each of its rows belongs to the request's series and range and none merges with another, so that its
   * statistics answer for it and `rows` is exact.
   */
  readonly whole: boolean
  /** Statistics of a numeric field over all rows of the piece; undefined when not kept. */
  statistics(field: number): FieldStatistics | undefined
  /**
   * Appends the rows with `fromUs <= time < toUs` that belong to the request, in (series rank, time) order.
   * `bounds` allow skipping blocks by statistics; give them only where no other piece overlaps this one,
   * because a skipped row cannot merge with its twin.
   */
  read(fromUs: number, toUs: number, into: RowBuffer, bounds?: readonly FieldBound[]): void
  /**
   * Appends all rows of the request in blocks that begin in the range, and returns when the first block after them begins
   * (Infinity: there is none): of ranges that follow one another each block is decoded once. A block that begins before the
   * request does so with it. Absent where there are no blocks.
   */
  readBlocks?(fromUs: number, toUs: number, into: RowBuffer, bounds: readonly FieldBound[]): number
  /**
   * Finds the same rows: appends their series and times alone, whatever fields the buffer has, and gives what reads the fields
   * later. `together`: about so many pieces are found at once. There is one where there is the other.
   */
  findBlocks?(fromUs: number, toUs: number, into: RowBuffer, bounds: readonly FieldBound[], together: number): FoundRows
}

/** Rows that were found, whose fields are still encoded. */
export interface FoundRows {
  readonly rows: number
  /** When the first block after these begins; Infinity: there is none. */
  readonly nextUs: number
  /**
   * Forgets the rows that are not among `rows[from]`, `rows[from + 1]`, …, which ascend and count from `first`, where these begin.
   * Returns where those of others begin.
   */
  keep(rows: Uint32Array, from: number, first: number): number
  /**
   * Writes the values of a field, a row at its place: the first at `places[at]`, or at `at` itself where there are no places. Of
   * nulls the validity alone, which is 1 beforehand.
   */
  place(field: number, into: FieldBuffer, places: Uint32Array | undefined, at: number): void
}

/** A segment or a memtable, as far as it is known without a look into it. */
export interface SourceExtent {
  /** Of all metrics. */
  readonly rows: number
  /** Inclusive. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
  /** Of a segment: the `source` of its pieces. */
  readonly segment: object | undefined
}

export interface Version {
  readonly lsn: Lsn
  /** Rows of the metric with a lower time are expired: no piece gives them, whatever the request. -Infinity: none is. */
  horizonUs(metric: MetricInfo): number
  /** Pieces that may hold rows of the request, in write order. */
  pieces(request: ReadRequest): Piece[]
  /** What is known of the last, or first, value of the request's one field, a number, without reading rows; absent: nothing. */
  ends?(request: ReadRequest, ordinals: Uint32Array, end: End): SeriesEnds
  /** Where in time there may be rows; absent: anywhere. */
  sources?(): SourceExtent[]
  /** What may stand for rows of the request; absent: nothing. */
  rollups?(request: ReadRequest): RollupView
  /** The widths of which there are rollups, of any metric. */
  readonly rollupWidthsUs?: readonly number[]
  /** Lets go of memtables and files. Calling it again is allowed; reading afterwards is not. */
  release(): void
}

/** What a rollup segment summarises. */
export interface RollupMeta {
  /** Id of the segment whose rows it summarises, all of each metric it has. */
  readonly of: string
  readonly widthUs: number
}

/** A segment as the manifest knows it. */
export interface SegmentMeta {
  readonly id: string
  /** Relative to the data directory. */
  readonly path: string
  /** Inclusive: µs since the epoch, UTC. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  readonly rows: number
  readonly bytes: number
  /** Deletes up to this LSN have been applied to its rows; absent: up to `maxLsn`. */
  readonly deletesLsn?: Lsn
  /** The namespace whose rows it holds, and no other's; absent: those of any. */
  readonly namespace?: string
  /** Written by the last merge of its window: nothing is left to gain by writing it again. */
  readonly settled?: true
  /** Absent: it holds rows. */
  readonly rollup?: RollupMeta
}
