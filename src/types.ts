/** The public types of the library: what `open()` gives, and what surfaces translate. */
import type { Observable, Subscribable } from 'rxjs'
import type { Batch, Schema } from './columnar/batch.ts'
import type { LiveObservable, LiveOptions } from './engine/live/types.ts'
import type {
  GarbageReport,
  RestoreOptions,
  RestoreReport,
  SeriesDifference,
  Snapshot,
  SnapshotOptions,
  SnapshotReport,
} from './engine/snapshots/types.ts'
import type { DatabaseStatistics } from './engine/statistics-types.ts'
import type { ErrorCode, SydraError } from './lib/errors.ts'
import type { CompactionReason, MergeProgress, MergeResult } from './storage/compaction/job.ts'
import type { Loss } from './storage/segment/salvage.ts'
import type { Lsn, RowBatch, SegmentMeta, Tags } from './storage/types.ts'
import type { VerifiedFile } from './storage/verify/types.ts'
import type { Completion } from './sydraql/editor/complete.ts'
import type { Diagnostic } from './sydraql/editor/diagnose.ts'

// ---- ingest -------------------------------------------------------------------------------------------------------

export type Precision = 's' | 'ms' | 'us' | 'ns'
export type FieldValue = number | string | boolean | null | undefined

/** One row as an object. `ts` is an integer in `precision`, an ISO 8601 text or a Date; the server's time when absent. */
export interface RowObject {
  readonly series: string
  readonly ts?: number | string | Date | bigint | undefined
  readonly value?: FieldValue
  readonly fields?: Readonly<Record<string, FieldValue>> | undefined
  readonly tags?: Readonly<Record<string, string | null | undefined>> | undefined
}

export type IngestSource =
  | Iterable<RowObject>
  | AsyncIterable<RowObject | Uint8Array | string>
  | ReadableStream<RowObject | Uint8Array>
  | Subscribable<RowObject>

export interface IngestOptions {
  /** Unit of integer timestamps; without it the first one settles it by magnitude. */
  readonly precision?: Precision
  /** `skip` (default) stores the good rows and reports the bad, `abort` stops at the first bad one. */
  readonly onError?: 'skip' | 'abort'
  readonly signal?: AbortSignal
  /** The bytes given are the stream's own: it frees their memory as soon as they are read, not when GC comes by. */
  readonly transfer?: boolean
  /** Called after each durable commit of this source's rows. */
  readonly onCommit?: (progress: { readonly lines: number; readonly lsn: Lsn }) => void
}

export interface RowError {
  /** Counts from 1; for arrays and objects the row's index + 1. */
  readonly line: number
  readonly code: ErrorCode
  readonly message: string
}

export interface IngestReport {
  /** Rows stored, durable under the fsync policy. */
  readonly ingested: number
  readonly rejected: number
  /** The first `ingestErrorsMax` (100) bad rows. */
  readonly errors: readonly RowError[]
  /** Bytes read, as given (after decompression); 0 for objects. */
  readonly bytes: number
  /** Why the source was not read to its end (`line_too_long`, `disk_full`, the first bad row with `abort`, …). */
  readonly failure: SydraError | undefined
}

/** A push-style ingest: what an HTTP body is written to. */
export interface IngestStream {
  /**
   * Settles the complete lines so far; what arrives in one turn of the event loop is committed together. When the promise
   * resolves — the backpressure — or at once when there is none, the bytes are used up and the next may be read.
   */
  write(bytes: Uint8Array): Promise<void> | undefined
  /** Nothing more will be taken (a failure, `abort`, a line too long): stop reading and ask `end()` why. */
  readonly stopped: boolean
  /** The body ended cleanly: a last line without newline counts. Resolves when everything is durable. */
  end(): Promise<IngestReport>
  /** The body was cut off: the unfinished last line is dropped, the rest is stored. */
  cut(): Promise<IngestReport>
}

// ---- query --------------------------------------------------------------------------------------------------------

export type Value = number | string | boolean | null
/** `?` parameters in order, or `$n` by position. A Date is a timestamp. */
export type QueryParameter = number | string | boolean | null | Date
export type QueryParameters = readonly QueryParameter[]

export interface QueryOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  /** How rows carry timestamps: µs as a number (default), or a Date (milliseconds). */
  readonly time?: 'us' | 'date'
}

export interface QueryStatistics {
  readonly rows_emitted: number
  readonly rows_scanned: number
  readonly segments_scanned: number
  readonly segments_pruned: number
  readonly blocks_scanned: number
  readonly blocks_pruned: number
  readonly bytes_read: number
  /** Widths of the rollups that answered, coarsest first, such as `1d 1h`; null: none did. */
  readonly rollup: string | null
  readonly elapsed_ms: {
    readonly parse: number
    readonly analyze: number
    readonly optimize: number
    readonly plan: number
    readonly first_row: number
    readonly total: number
  }
  readonly trace_id: string
  readonly operators: readonly {
    readonly name: string
    readonly rows_out: number
    readonly batches: number
    readonly elapsed_ms: number
  }[]
}

export type TextFormat = 'json' | 'ndjson' | 'csv'
export interface TextOptions {
  /** `json` is the envelope {columns, rows, stats}, `ndjson` one object a row, `csv` RFC 4180 with a header. */
  readonly format: TextFormat
  /** Of `json` only the rows, as one array of objects: `[{"time":…,"value":…},…]`. */
  readonly bare?: boolean | undefined
  /** Numbers in this unit instead of ISO 8601 text. */
  readonly epoch?: Precision | undefined
  /** Bytes a chunk aims at; the first chunk leaves with the first batch, whatever its size. */
  readonly chunkBytes?: number
}

/** A query that runs while it is read. Nothing happens before the first pull; it can be read once. */
export interface QueryResult<Row = Record<string, Value | Date>> extends AsyncIterable<Row> {
  /** Parses and plans, without reading rows. Rejects as the query would. */
  columns(): Promise<Schema>
  all(): Promise<{ columns: Schema; rows: Row[]; stats: QueryStatistics }>
  /** The first row or undefined; the rest is not computed. */
  first(): Promise<Row | undefined>
  /** Owned copies; with `borrow` a batch is valid until the next pull. */
  batches(options?: { readonly borrow?: boolean }): AsyncIterable<Batch>
  /** The result as text in chunks. After the first chunk an error becomes the text's ending, and `failure` says so. */
  text(options: TextOptions): AsyncIterable<Uint8Array>
  /** Statistics, complete once the result has ended or was abandoned. */
  stats(): QueryStatistics
  /** The error that ended `text()` after its first chunk. */
  readonly failure: SydraError | undefined
  [Symbol.observable](): Subscribable<Row>
}

export interface PreparedQuery<Row = Record<string, Value | Date>> {
  query(params?: QueryParameters, options?: QueryOptions): QueryResult<Row>
}

// ---- what happens -------------------------------------------------------------------------------------------------

/** A commit: published once, after it is durable by the policy and before it is acknowledged, in LSN order. */
export interface Committed {
  readonly kind: 'rows' | 'delete'
  readonly lsn: Lsn
  /** Immutable; shared by all subscribers. Empty for a delete. */
  readonly batches: readonly RowBatch[]
  readonly rows: number
  /** What a delete concerns: rows with a lower LSN. undefined for rows. */
  readonly deleted: Deleted | undefined
}

/** Rows of a metric with `fromUs <= time < toUs`. */
export interface Deleted {
  readonly metric: string
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals, ascending, immutable; undefined: all series of the metric. */
  readonly series: Uint32Array | undefined
}

export type EngineEvent =
  | {
      readonly kind: 'recovered'
      readonly walFrames: number
      readonly rows: number
      readonly segments: number
      readonly elapsedMs: number
    }
  | { readonly kind: 'wal-truncated'; readonly path: string; readonly offset: number; readonly bytes: number }
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
  | {
      readonly kind: 'flushed'
      readonly segments: readonly SegmentMeta[]
      readonly rows: number
      readonly maxLsn: Lsn
      readonly elapsedMs: number
    }
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
  | { readonly kind: 'retention-failed'; readonly message: string }
  /** `to`: the directory it was copied to. */
  | ({ readonly kind: 'snapshot'; readonly to: string | undefined } & SnapshotReport)
  | ({ readonly kind: 'restored' } & RestoreReport)
  | { readonly kind: 'read-only'; readonly message: string }

export type * from './engine/live/types.ts'
export type * from './engine/statistics-types.ts'

export interface CompactionOptions {
  /** Stops the merge under way, if nobody else waits for it, and rejects. What was merged before stays merged. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: CompactionProgress) => void
}

/** Of one merge; `merges` are those that came before, of this call. */
export interface CompactionProgress extends MergeProgress {
  readonly merges: number
}

/** What a call of `compact` saw merged. */
export interface CompactionReport {
  readonly merges: number
  /** Merges that failed: `events$` said why. */
  readonly failed: number
  readonly rowsRead: number
  readonly rowsWritten: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly elapsedMs: number
}

export type { Loss } from './storage/segment/salvage.ts'
export type { FileKind, FileProblem, VerifiedFile } from './storage/verify/types.ts'

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined
}

/** Verifies while it is read: file by file, or to the end. It can be read once. */
export interface VerifyResult extends AsyncIterable<VerifiedFile> {
  all(): Promise<Verification>
}

/** What verifying found. */
export interface Verification {
  /** Whether nothing is damaged. */
  readonly ok: boolean
  readonly files: number
  /** Rows in segments. */
  readonly rows: number
  readonly bytes: number
  readonly damaged: readonly VerifiedFile[]
  readonly elapsedMs: number
}

/** What a repair did about a file, and what was lost with it. */
export interface Repair {
  readonly path: string
  /**
   * `rebuilt`: made anew; `skipped`: damaged commits of the WAL; `salvaged`: what can be read is in a new file; `set-aside`: kept
   * under another name; `dropped`: it can be made again.
   */
  readonly action: 'rebuilt' | 'skipped' | 'salvaged' | 'set-aside' | 'dropped'
  readonly message: string
  readonly losses: readonly Loss[]
}

export interface SeriesInfo {
  /** Decimal text of the unsigned 64-bit id. */
  readonly id: string
  readonly metric: string
  readonly tags: Tags
  /** `cpu{dc="x",host="a"}` */
  readonly printed: string
}

export interface Database {
  /** The directory, or ':memory:'. */
  readonly dataDir: string
  /**
   * Bad rows are in the report. Rejects when the source itself breaks off or is aborted, with its own error or the signal's
   * reason, and when the database takes no rows; what was complete before is stored.
   */
  ingest(source: IngestSource, options?: IngestOptions): Promise<IngestReport>
  ingestStream(options?: IngestOptions): IngestStream
  /**
   * Any statement; `insert` and `delete`, too, run when their one row is read. Errors come with reading, several of one text
   * at once: the first, with `others`.
   *
   * @example
   * await db.query('insert into cpu (host = ?) fields (usage) values (?, ?)', ['a', new Date(), 0.5]).all()
   */
  query<Row = Record<string, Value | Date>>(
    text: string,
    params?: QueryParameters,
    options?: QueryOptions,
  ): QueryResult<Row>
  prepare<Row = Record<string, Value | Date>>(text: string): PreparedQuery<Row>
  /**
   * A `select` that goes on: its answer, then what every commit changes of it. Each subscription is one of its own; equal
   * queries are worked out once for all of them. Errors end it; unsubscribing frees what it held.
   *
   * @example
   * db.live('select time_bucket(1m, time) as minute, avg(value) from cpu group by minute').subscribe(event => …)
   */
  live<Row = Record<string, Value | Date>>(
    text: string,
    params?: QueryParameters,
    options?: LiveOptions,
  ): LiveObservable<Row>
  /**
   * What may stand at the offset (UTF-16 units) of a statement that is being written: keywords, metrics, columns and
   * functions that begin with the word there. For editors and consoles; any text will do, nothing is thrown.
   *
   * @example
   * db.complete('select us from cpu', 9) // { from: 7, to: 9, items: [{ label: 'usage', kind: 'field', … }], … }
   */
  complete(text: string, offset: number): Completion
  /** Every error of a statement that can be told without running it, by place; empty when it is right. Never throws. */
  diagnose(text: string): Diagnostic[]
  /** Series that carry these tags: all of them (`and`) or any (`or`). */
  findSeries(tags: Readonly<Record<string, string>>, op: 'and' | 'or'): Iterable<SeriesInfo>
  series(metric?: string): Iterable<SeriesInfo>
  /** Writes every memtable row to segments; resolves when that is durable. */
  flush(): Promise<void>
  /**
   * Flushes, then merges segments until no merge pays any more, one at a time. The background does the same by itself, but
   * takes its time. Rejects with `disk_full`, `io_error`, `read_only`; a damaged segment is left as it is.
   *
   * @example
   * const { merges, bytesRead, bytesWritten } = await db.compact({ signal: AbortSignal.timeout(60_000) })
   */
  compact(options?: CompactionOptions): Promise<CompactionReport>
  /**
   * Keeps the database as it is now under a name (by default the time), while everything goes on; resolves when it is durable.
   * It costs what is new since the last one. Rejects with `already_exists` for a name that is taken.
   *
   * @example
   * await db.snapshot('before-the-import', { message: 'all is well' })
   * await db.snapshot('monday', { to: '/backup/sydradb' })
   */
  snapshot(name?: string, options?: SnapshotOptions): Promise<SnapshotReport>
  /** Newest first. */
  snapshots(): Snapshot[]
  /**
   * Makes the database what it was at a snapshot: a name, `HEAD`, or the first digits of an id. Every hash is verified before
   * anything changes, and then all changes at once, for readers that begin afterwards. What was written since the snapshot is
   * gone unless another keeps it.
   */
  restore(ref: string, options?: RestoreOptions): Promise<RestoreReport>
  /** What changed between two snapshots, series by series; `after` is HEAD by default. */
  diff(
    before: string,
    after?: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<SeriesDifference>
  /** Forgets a name. What no other snapshot needs goes with the next `gc`. */
  removeSnapshot(name: string): Promise<void>
  /** Removes what no snapshot needs any more. */
  gc(options?: { readonly signal?: AbortSignal | undefined }): Promise<GarbageReport>
  /**
   * Reads every file and checks every checksum, order, statistic and reference, while the database goes on. Changes nothing.
   * Rejects with the signal's reason, `io_error`, `shutting_down`.
   *
   * @example
   * for await (const { path, problems } of db.verify()) console.log(path, problems)
   * const { ok, damaged } = await db.verify().all()
   */
  verify(options?: VerifyOptions): VerifyResult
  stats(): DatabaseStatistics
  readonly committed$: Observable<Committed>
  readonly events$: Observable<EngineEvent>
  /** Drains ingest, flushes, closes. Calling it again gives the same promise. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
