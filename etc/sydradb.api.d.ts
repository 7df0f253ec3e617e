/**
 * SydraDB: a streaming time-series and event database.
 *
 * @example
 * import { open } from 'sydradb'
 *
 * await using db = await open('./data')
 * await db.ingest([{ series: 'cpu', value: 0.5, tags: { host: 'a' } }])
 * for await (const row of db.query('select time, value from cpu where tag.host = ?', ['a'])) console.log(row)
 */

import { Readable } from 'node:stream'
import type { Observable, OperatorFunction, Subscribable } from 'rxjs'

/** A row whose columns are not known when the program is written. */
export declare type AnyRow<Cell = Value> = Record<string, Cell>

/**
 * Rows as columns: some thousand at a time.
 *
 * @example
 * const rowAt = (i: number) => batch.selection?.[i] ?? i // of the i-th row that counts
 */
export declare interface Batch {
  /** Physical rows in each column; columns may be longer, never shorter. */
  readonly length: number
  readonly columns: readonly Column[]
  /** Ascending row indexes that count; its length is exact. */
  readonly selection: Uint32Array | undefined
  /** Later batches of the same stream hold no row with a `time` before this; unset where nothing is known. */
  readonly watermarkUs?: number | undefined
}

/** Booleans, a row each; `valid`: 1 where there is one, 0 for null, undefined when no row is null. */
export declare interface BooleanColumn {
  readonly type: 'boolean'
  /** 1 true, 0 false. */
  readonly values: Uint8Array
  readonly valid: Uint8Array | undefined
}

/** The memory of memtables: slabs of one size, cut into pieces. */
export declare interface ChunkPoolStatistics {
  readonly slabBytes: number
  /** Slabs of arenas, and those that wait for the next. */
  readonly slabsInUse: number
  readonly slabsWaiting: number
  /** Slabs that were made, and that served another arena before. */
  readonly slabsMade: number
  readonly slabsReused: number
  readonly classes: readonly SizeClassStatistics[]
  /** How long arenas were held, from their first piece until their slabs came back; the last count has no upper bound. */
  readonly holdTimes: {
    readonly boundsMs: readonly number[]
    readonly counts: readonly number[]
  }
}

/** What time it is. */
export declare interface Clock {
  /** Wall clock: microseconds since the epoch, UTC. May jump. */
  nowUs(): number
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number
}

/**
 * Forgets snapshots of a directory that nobody has open, and removes what no other needs.
 *
 * @throws `not_found`, `directory_in_use`, `corrupt_object`, `io_error`, `cancelled`
 * @example
 * const { removedBytes } = await collectGarbage('/backup/sydradb', { forget: ['monday'] })
 */
export declare function collectGarbage(directory: string, options?: GarbageOptions): Promise<GarbageReport>

/** Values of one column, in typed arrays; what stands under a null is unspecified. */
export declare type Column = NumberColumn | BooleanColumn | StringColumn

/** A column of a result. */
export declare interface ColumnInfo {
  /** As rows as objects have it: `value`, `tag.host`, or its alias. */
  readonly name: string
  readonly type: ValueType
  readonly nullable: boolean
}

/** How columns are read. An abort of the signal stops that: what was read before is stored. */
export declare interface ColumnOptions extends Stoppable {
  /** Unit of integer times; without it the first one settles it by magnitude. */
  readonly precision?: Precision | undefined
  /** Called after each durable commit: the first `lines` rows are safe. */
  readonly onCommit?: ((progress: { readonly lines: number; readonly lsn: Lsn }) => void) | undefined
}

/**
 * Rows of one metric as columns: row i is the i-th element of each. Of one series, or of many with `seriesOf`.
 *
 * @example
 * const oneSeries: ColumnRows = {
 *   series: 'cpu', tags: { host: 'a' }, ts: Float64Array.of(1700000000000, 1700000010000),
 *   fields: { usage: Float64Array.of(0.64, 0.61), state: ['ok', null] },
 * }
 * const twoSeries: ColumnRows = {
 *   series: 'cpu', tags: [{ host: 'a' }, { host: 'b' }], seriesOf: Uint32Array.of(0, 1),
 *   ts: BigInt64Array.of(1700000000000n, 1700000000000n),
 *   fields: { requests: { type: 'integer', values: Int32Array.of(17, 0), valid: Uint8Array.of(1, 0) } },
 * }
 */
export declare interface ColumnRows {
  /** The metric of all rows. */
  readonly series: string
  /** Of all rows; or several, of which `seriesOf` says which are a row's. Those that no row has are no series. */
  readonly tags?: TagSet | readonly TagSet[] | undefined
  /** By row, an index into `tags`. */
  readonly seriesOf?: IndexArray | undefined
  readonly ts: TimeColumn
  /** By name. Each row has a value in one of them at least. */
  readonly fields: Readonly<Record<string, FieldColumn>>
}

/**
 * A commit: published once, after it is durable by the policy and before it is acknowledged, in LSN order.
 *
 * @example
 * db.committed$.subscribe(({ batches }) => {
 *   for (const { metric, series, timeUs } of batches.flatMap(batch => batch.metrics))
 *     console.log(metric.name, db.seriesAt(series[0]!).printed, new Date(timeUs[0]! / 1000))
 * })
 */
export declare interface Committed {
  readonly kind: 'rows' | 'delete'
  readonly lsn: Lsn
  /** Immutable; shared by all subscribers. Empty for a delete. */
  readonly batches: readonly RowBatch[]
  readonly rows: number
  /** What a delete concerns: rows with a lower LSN. undefined for rows. */
  readonly deleted: Deleted | undefined
}

/** Options of `compact`. The signal stops the merge under way, if nobody else waits for it; what was merged stays merged. */
export declare interface CompactionOptions extends Stoppable {
  /** Called now and then while a merge runs; an error that it throws ends the call. */
  readonly onProgress?: ((progress: CompactionProgress) => void) | undefined
}

/** How far a merge is; `merges` are those that came before it, of this call. */
export declare interface CompactionProgress extends MergeProgress {
  readonly merges: number
}

/** Why segments are merged. */
export declare type CompactionReason =
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

/** What a call of `compact` saw merged. */
export declare interface CompactionReport {
  readonly merges: number
  /** Merges that failed: `events$` said why. */
  readonly failed: number
  readonly rowsRead: number
  readonly rowsWritten: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly elapsedMs: number
}

/** Merging of segments in the background. */
export declare interface CompactionSettings {
  /** Default true; `db.compact()` merges in any case. */
  readonly enabled?: boolean | undefined
  /** What a merge reads and writes per second; 0: as fast as it can; default 64 MiB. */
  readonly bytesPerSecondMax?: Size | undefined
}

/** All that may stand at the cursor: what begins with what is written first, then by kind, then by label. */
export declare interface Completion {
  /** The word to replace, in UTF-16 units from 0. */
  readonly from: number
  readonly to: number
  readonly items: readonly CompletionItem[]
  /** There are more than these 200: ask again when more is written. */
  readonly isIncomplete: boolean
}

/** What may stand at the cursor. */
export declare interface CompletionItem {
  /** What it is called: `tag.host`, `avg`, `group by`. */
  readonly label: string
  readonly kind: 'keyword' | 'metric' | 'field' | 'tag' | 'function' | 'column' | 'snapshot'
  /** The text to put in place of `from..to`. */
  readonly insert: string
  /** A type, or a function's kind and signature. */
  readonly detail?: string
  readonly documentation?: string
}

/**
 * An open database. Everything works side by side: ingest, queries, maintenance. Calls reject with a `SydraError`; those that
 * take a `signal` with `cancelled`, whose `cause` is the signal's reason, as soon as it is aborted.
 *
 * @example
 * await using db = await open('./data')
 */
export declare interface Database extends AsyncDisposable {
  /** The directory, or ':memory:'. */
  readonly dataDir: string
  /**
   * Stores the rows of a source; resolves when they are durable under the fsync policy. Bad rows are in the report. Rejects when
   * the source itself breaks off, with its own error, when the signal aborts, and when the database takes no rows
   * (`read_only`, `shutting_down`); what was complete before is stored by then.
   *
   * @example
   * await db.ingest([{ series: 'cpu', value: 0.64, tags: { host: 'a' } }])
   * const { ingested, rejected } = await db.ingest(createReadStream('points.ndjson'), { precision: 'ms' })
   */
  ingest(source: IngestSource, options?: IngestOptions): Promise<IngestReport>
  /**
   * Stores rows of one metric that are columns already: no object a row, an order of magnitude faster. Resolves when they are
   * durable under the fsync policy, in commits of some MB each, in row order; the arrays are copied piece by piece until
   * then, and have to stay as they are. Nothing is stored of columns that are wrong somewhere: it rejects with `bad_request` for
   * arrays that do not fit together, else as rows are refused (`invalid_timestamp`, `type_mismatch`, `integer_out_of_range`, …), naming
   * column and row; and as `ingest` does when the signal aborts or the database takes no rows.
   *
   * @example
   * const tags = [{ host: 'a' }, { host: 'b' }]
   * const usage = Float64Array.of(0.64, 0.12, 0.61, 0.15)
   * await db.ingestColumns({ series: 'cpu', tags, seriesOf: Uint8Array.of(0, 1, 0, 1), ts, fields: { usage } }, { precision: 'ms' })
   */
  ingestColumns(columns: ColumnRows, options?: ColumnOptions): Promise<IngestReport>
  /**
   * Takes bytes as they come, with backpressure. Throws `read_only`, `shutting_down`.
   *
   * @example
   * await using stream = db.ingestStream()
   * await stream.write(new TextEncoder().encode('{"series":"cpu","value":0.64}\n'))
   * const { ingested } = await stream.end()
   */
  ingestStream(options?: IngestOptions): IngestStream
  /**
   * Any statement of sydraQL; `insert` and `delete`, too, run when their one row is read. Errors come with reading, several of
   * one text at once: the first, with `others`.
   *
   * @example
   * for await (const { time, value } of db.query<{ time: number; value: number }>(
   *   'select time, value from cpu where tag.host = ? and time >= ?', ['a', new Date('2026-01-01')],
   * )) console.log(time, value)
   * await db.query('insert into cpu (host = ?) fields (usage) values (?, ?)', ['a', new Date(), 0.5]).all()
   */
  query<Row extends RowOf<Row> = AnyRow>(
    text: string,
    params?: QueryParameters,
    options?: QueryOptions,
  ): QueryResult<Row>
  /** With timestamps as Dates. */
  query<Row extends RowOf<Row, Value | Date> = AnyRow<Value | Date>>(
    text: string,
    params: QueryParameters | undefined,
    options: WithDates<QueryOptions>,
  ): QueryResult<Row>
  /**
   * Parses and types a statement, to run it often. Throws what is wrong with it.
   *
   * @example
   * const above = db.prepare<{ n: number }, [least: number]>('select count(*) as n from cpu where value >= ?')
   * const { n } = (await above.query([0.5]).first())!
   */
  prepare<Row extends RowOf<Row> = AnyRow, Params extends QueryParameters = QueryParameters>(
    text: string,
    options?: RowOptions,
  ): PreparedQuery<Row, Params>
  /** With timestamps as Dates. */
  prepare<
    Row extends RowOf<Row, Value | Date> = AnyRow<Value | Date>,
    Params extends QueryParameters = QueryParameters,
  >(text: string, options: WithDates<RowOptions>): PreparedQuery<Row, Params>
  /**
   * A `select` that goes on: its answer, then what every commit changes of it. Each subscription is one of its own; equal
   * queries are worked out once for all of them. Errors end it, those of `query` among them, `unsupported_feature` for what is no
   * select, `too_many_subscriptions`, `too_many_points` and `memory_limit`; unsubscribing frees what it held.
   *
   * @example
   * db.live('select time_bucket(1m, time) as minute, avg(value) from cpu group by minute').subscribe(event => …)
   */
  live<Row extends RowOf<Row> = AnyRow>(
    text: string,
    params?: QueryParameters,
    options?: LiveOptions,
  ): LiveObservable<Row>
  /** With timestamps as Dates. */
  live<Row extends RowOf<Row, Value | Date> = AnyRow<Value | Date>>(
    text: string,
    params: QueryParameters | undefined,
    options: WithDates<LiveOptions>,
  ): LiveObservable<Row>
  /** With rows as arrays. */
  live(
    text: string,
    params: QueryParameters | undefined,
    options: WithArrays<LiveOptions>,
  ): LiveObservable<readonly Value[]>
  /**
   * Writes a live query into a metric: a continuous aggregate. The bucket is the time, the other keys become tags, and columns called
   * `tag.…`; the rest become fields. Rows that come or change are written, the last time wins; those that leave stay, unless told otherwise.
   * It tells of each event when all of it is written, and asks for the next one then. Its errors: those of the query and of
   * `ingest`, and `bad_request` for a query without a time or without values.
   *
   * @example
   * const perMinute = db.live('select time_bucket(1m, time) as t, tag.host, avg(usage) from cpu group by t, tag.host')
   * const subscription = perMinute.pipe(db.into('cpu_1m')).subscribe(({ rows, lsn }) => …)
   */
  into<Row>(metric: string, options?: IntoOptions): OperatorFunction<LiveEvent<Row>, Materialized>
  /**
   * What may stand at the offset (UTF-16 units) of a statement that is being written: keywords, metrics, columns and
   * functions that begin with the word there. For editors and consoles; any text will do, nothing is thrown.
   *
   * @example
   * db.complete('select us from cpu', 9) // { from: 7, to: 9, items: [{ label: 'usage', kind: 'field', … }], … }
   */
  complete(text: string, offset: number): Completion
  /**
   * Every error of a statement that can be told without running it, by place; empty when it is right. Never throws.
   *
   * @example
   * db.diagnose('select us from cpu') // [{ code: 'unknown_field', start: 7, end: 9, … }]
   */
  diagnose(text: string): Diagnostic[]
  /**
   * Series that carry these tags: all of them (`and`) or any (`or`).
   *
   * @example
   * for (const { printed } of db.findSeries({ dc: 'x', host: 'a' }, 'and')) console.log(printed)
   */
  findSeries(tags: Readonly<Record<string, string>>, op: 'and' | 'or'): Iterable<SeriesInfo>
  /** All series, or those of a metric. */
  series(metric?: string): Iterable<SeriesInfo>
  /** The series that commits name by this number; it is the same while the database is open. Throws `not_found`. */
  seriesAt(ordinal: number): SeriesInfo
  /**
   * Every commit, in order, once it is durable by the policy and visible. It completes with the database.
   *
   * @example
   * db.committed$.subscribe(({ lsn, rows }) => console.log(`${rows} rows at ${lsn}`))
   */
  readonly committed$: Observable<Committed>
  /** What the engine does by itself: recovery, flushes, merges, damage. The last 64 events come first. */
  readonly events$: Observable<EngineEvent>
  /** Counters and sizes as they are now, without reading anything. */
  stats(): DatabaseStatistics
  /**
   * Writes every row that is in memory to segments; resolves when that is durable. The background does so by itself: this is
   * for those who copy files, or measure. A flush goes on when nobody waits for it any more. Rejects with `disk_full`,
   * `read_only`, `shutting_down`.
   */
  flush(options?: Stoppable): Promise<void>
  /**
   * Flushes, then merges segments until no merge pays any more, one at a time. The background does the same by itself, but
   * takes its time. Rejects with `disk_full`, `io_error`, `read_only`, `shutting_down`; a damaged segment is left as it is.
   *
   * @example
   * const { merges, bytesRead, bytesWritten } = await db.compact({ signal: AbortSignal.timeout(60_000) })
   */
  compact(options?: CompactionOptions): Promise<CompactionReport>
  /**
   * Keeps the database as it is now under a name (by default the time), while everything goes on; resolves when it is durable.
   * It costs what is new since the last one. Rejects with `already_exists` for a name that is taken, `bad_request` for one that
   * is none, `disk_full`, `io_error`, `read_only`, `shutting_down`, and `overloaded` when too many such calls wait.
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
   * gone unless another keeps it. Rejects with `not_found`, `corrupt_object`, `disk_full`, `io_error`, `read_only`.
   *
   * @example
   * await db.restore('before-the-import', { dryRun: true }) // says whether it would do
   */
  restore(ref: string, options?: RestoreOptions): Promise<RestoreReport>
  /**
   * What changed between two snapshots, series by series; `after` is HEAD by default. Throws `not_found`, `corrupt_object`.
   *
   * @example
   * for await (const { series, added, changed } of db.diff('monday', 'tuesday')) console.log(series, added, changed)
   */
  diff(before: string, after?: string, options?: Stoppable): AsyncIterable<SeriesDifference>
  /** Forgets a name. What no other snapshot needs goes with the next `gc`. Rejects with `not_found`. */
  removeSnapshot(name: string, options?: Stoppable): Promise<void>
  /** Removes what no snapshot needs any more. An abort leaves the rest for the next time. */
  gc(options?: Stoppable): Promise<GarbageReport>
  /**
   * Reads every file and checks every checksum, order, statistic and reference, while the database goes on. Changes nothing.
   * Damage is in the answer; throws `io_error`, `shutting_down`.
   *
   * @example
   * const { ok, damaged } = await db.verify().all()
   */
  verify(options?: Stoppable): VerifyResult
  /**
   * Takes no more, drains ingest, flushes, ends what runs and closes: a matter of what is in memory, which nothing calls off.
   * Calling it again gives the same promise.
   */
  close(): Promise<void>
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Sizes as they are now, and counters since the database was opened. */
export declare interface DatabaseStatistics {
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
  readonly memtable: {
    readonly rows: number
    readonly bytes: number
    readonly frozen: number
  }
  readonly wal: {
    readonly bytes: number
    readonly files: number
    readonly frames: number
    readonly syncs: number
  }
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
  readonly retention: {
    readonly segments: number
    readonly rows: number
    readonly bytes: number
  }
  readonly commits: number
  readonly flushes: number
  /** Of these, flushes of a memtable that was not full, because memory was short. */
  readonly earlyFlushes: number
  readonly memory: MemoryUse
  readonly readOnly: boolean
}

/** Rows of a metric with `fromUs <= time < toUs`: µs since the epoch, UTC. */
export declare interface Deleted {
  readonly metric: string
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals (`db.seriesAt`), ascending, immutable; undefined: all series of the metric. */
  readonly series: Uint32Array | undefined
}

/** One thing that is wrong with a statement, and where. */
export declare interface Diagnostic {
  readonly code: ErrorCode
  /** One line: the place is in the positions. */
  readonly message: string
  readonly hint: string | undefined
  /** UTF-16 units from 0; `start` equals `end` where something is missing. */
  readonly start: number
  readonly end: number
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly severity: 'error'
}

/** The texts of a column by code, from 0. */
export declare interface Dictionary {
  readonly size: number
  at(code: number): string
}

/** Milliseconds as a number, or text with a unit: `250`, `"250ms"`, `"2s"`, `"10m"`, `"1h"`, `"7d"`. */
export declare type Duration = number | string

/**
 * What the engine does by itself, told as it happens. Whoever subscribes gets the last 64 first, what opening found among them.
 * Paths begin with the data directory, but those of segments, which are relative to it.
 *
 * @example
 * db.events$.pipe(filter(event => event.kind === 'segment-damaged')).subscribe(({ path, message }) => alarm(path, message))
 */
export declare type EngineEvent =
  /** The database was opened: what was read of the log, and how many segments there are. */
  | {
      readonly kind: 'recovered'
      readonly walFrames: number
      readonly rows: number
      readonly segments: number
      readonly elapsedMs: number
    }
  /** The log ended in a commit that was not written to its end, and so was never acknowledged as durable. */
  | {
      readonly kind: 'wal-truncated'
      readonly path: string
      readonly offset: number
      readonly bytes: number
    }
  /** Commits of the log are damaged, from and to these LSNs: their rows are lost. */
  | {
      readonly kind: 'wal-corruption'
      readonly path: string
      readonly offset: number
      readonly lostFrom: Lsn
      readonly lostTo: Lsn
    }
  /** Left out when the database was opened: its rows are missing. */
  | {
      readonly kind: 'segment-quarantined'
      readonly path: string
      readonly message: string
    }
  /** Found damaged by a query or a merge, which failed for it. Told once a file. */
  | {
      readonly kind: 'segment-damaged'
      readonly path: string
      readonly message: string
    }
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
  | {
      readonly kind: 'flush-failed'
      readonly message: string
    }
  /** A merge of segments began. */
  | {
      readonly kind: 'compaction-started'
      readonly reason: CompactionReason
      readonly inputs: readonly SegmentMeta[]
      readonly bytes: number
    }
  /** At most once a second. */
  | ({
      readonly kind: 'compaction-progress'
    } & MergeProgress)
  /** The merged segments have taken the places of the inputs. */
  | ({
      readonly kind: 'compacted'
      readonly reason: CompactionReason
      readonly inputs: readonly SegmentMeta[]
    } & MergeResult)
  /** It was called off, or its inputs went meanwhile; nothing has changed. */
  | {
      readonly kind: 'compaction-abandoned'
      readonly reason: CompactionReason
    }
  /** Nothing has changed. */
  | {
      readonly kind: 'compaction-failed'
      readonly message: string
      readonly inputs: readonly SegmentMeta[]
    }
  /** Segments went because all their rows had expired. */
  | {
      readonly kind: 'expired'
      readonly segments: readonly SegmentMeta[]
      readonly rows: number
      readonly bytes: number
    }
  /** What has expired is still there; it is tried again. */
  | {
      readonly kind: 'retention-failed'
      readonly message: string
    }
  /** One was taken; `to`: the directory it was copied to. */
  | ({
      readonly kind: 'snapshot'
      readonly to: string | undefined
    } & SnapshotReport)
  /** The database is what it was at a snapshot. */
  | ({
      readonly kind: 'restored'
    } & RestoreReport)
  /** Nothing can be written until it is opened again; queries go on. */
  | {
      readonly kind: 'read-only'
      readonly message: string
    }

/** What is wrong, for programs. */
export declare type ErrorCode = keyof typeof errorCodes

/** What a code is where errors have numbers. */
export declare interface ErrorCodeInfo {
  readonly httpStatus: number
  /** PostgreSQL SQLSTATE class and code. */
  readonly sqlState: string
  /** Process exit code of the command line: 1 failed, 2 usage. */
  readonly exitCode: 1 | 2
}

/** Every code, with what it is where errors have numbers. Codes are stable: a program may go by them. */
export declare const errorCodes: {
  readonly syntax_error: ErrorCodeInfo
  readonly unknown_metric: ErrorCodeInfo
  readonly unknown_field: ErrorCodeInfo
  readonly unknown_tag: ErrorCodeInfo
  readonly unknown_function: ErrorCodeInfo
  readonly wrong_argument_count: ErrorCodeInfo
  readonly wrong_argument: ErrorCodeInfo
  readonly type_mismatch: ErrorCodeInfo
  readonly not_grouped: ErrorCodeInfo
  readonly nested_aggregate: ErrorCodeInfo
  readonly time_range_required: ErrorCodeInfo
  readonly unsupported_fill: ErrorCodeInfo
  readonly invalid_regex: ErrorCodeInfo
  readonly unsupported_feature: ErrorCodeInfo
  readonly query_too_complex: ErrorCodeInfo
  readonly too_many_points: ErrorCodeInfo
  readonly too_many_series: ErrorCodeInfo
  readonly query_timeout: ErrorCodeInfo
  readonly memory_limit: ErrorCodeInfo
  readonly cancelled: ErrorCodeInfo
  readonly snapshot_expired: ErrorCodeInfo
  readonly invalid_json: ErrorCodeInfo
  readonly invalid_row: ErrorCodeInfo
  readonly invalid_timestamp: ErrorCodeInfo
  readonly invalid_utf8: ErrorCodeInfo
  readonly line_too_long: ErrorCodeInfo
  readonly too_many_tags: ErrorCodeInfo
  readonly too_many_fields: ErrorCodeInfo
  readonly integer_out_of_range: ErrorCodeInfo
  readonly series_id_collision: ErrorCodeInfo
  readonly unsupported_encoding: ErrorCodeInfo
  readonly unsupported_media_type: ErrorCodeInfo
  readonly body_too_large: ErrorCodeInfo
  readonly truncated_body: ErrorCodeInfo
  readonly bad_request: ErrorCodeInfo
  readonly unauthorized: ErrorCodeInfo
  readonly not_found: ErrorCodeInfo
  readonly overloaded: ErrorCodeInfo
  readonly disk_full: ErrorCodeInfo
  readonly io_error: ErrorCodeInfo
  readonly read_only: ErrorCodeInfo
  readonly directory_in_use: ErrorCodeInfo
  readonly already_exists: ErrorCodeInfo
  readonly corrupt_segment: ErrorCodeInfo
  readonly corrupt_wal: ErrorCodeInfo
  readonly corrupt_manifest: ErrorCodeInfo
  readonly corrupt_catalog: ErrorCodeInfo
  readonly corrupt_object: ErrorCodeInfo
  readonly unsupported_version: ErrorCodeInfo
  readonly unknown_setting: ErrorCodeInfo
  readonly invalid_setting: ErrorCodeInfo
  readonly too_many_subscriptions: ErrorCodeInfo
  readonly shutting_down: ErrorCodeInfo
  readonly internal_error: ErrorCodeInfo
}

/** What an error tells beside code and message. */
export declare interface ErrorDetails {
  readonly position?: Position | undefined
  /** What to do about it, as one sentence. */
  readonly hint?: string | undefined
  /** What else is wrong with the same text, in the order of its places. */
  readonly others?: readonly SydraError[] | undefined
  readonly cause?: unknown
}

/** The wire form of an error. */
export declare interface ErrorJson {
  readonly code: ErrorCode
  readonly message: string
  readonly position?: Position
  readonly hint?: string
  /** Further errors of the same text; absent where there are none. */
  readonly others?: readonly ErrorJson[]
}

/**
 * The values of a field, a row each.
 *
 * - `Float64Array`, `Float32Array`: floats. NaN is a value like any other, as it is in rows: what is missing says `valid`.
 * - `BigInt64Array`, and arrays of smaller integers: integers; floats where the field is one. A bare `Uint8Array` may mean
 *   booleans, and is refused.
 * - An array of numbers, booleans or texts by the rules of rows: null and undefined are missing, numbers are floats.
 * - `{ type, values, valid }`: type and what is missing by themselves. The columns of a result (`batches()`) are such.
 */
export declare type FieldColumn =
  | Exclude<NumberArray, Uint8Array>
  | readonly (number | boolean | string | null | undefined)[]
  | GivenNumbers
  | GivenBooleans
  | GivenStrings

/** A field of a metric. */
export declare interface FieldInfo {
  /** Index within its metric. */
  readonly id: number
  readonly name: string
  readonly type: FieldType
}

/** Values of one field, a row each. */
export declare interface FieldRows {
  readonly field: FieldInfo
  /** float, integer: Float64Array; boolean: Uint8Array of 0 and 1; string: Uint32Array of codes into `strings`. */
  readonly values: Float64Array | Uint8Array | Uint32Array
  /** 1 present, 0 missing; undefined when every row has it. */
  readonly valid: Uint8Array | undefined
  readonly strings: readonly string[] | undefined
}

/** What a field holds; integers are between ±2^53. */
export declare type FieldType = 'float' | 'integer' | 'boolean' | 'string'

/** A field's value; null and undefined are absent. A bigint does not go: integers are between ±2^53. */
export declare type FieldValue = number | string | boolean | null | undefined

/** An open file. */
export declare interface FileHandle {
  /** Size in bytes. */
  size(): number
  /** Reads up to `target.length` bytes at `position`; returns how many (less only at the end of the file). */
  read(target: Uint8Array, position: number): number
  /** Writes all of `bytes` at `position` or throws; after a throw any prefix may have been written. */
  write(bytes: Uint8Array, position: number): void
  truncate(size: number): void
  /** Resolves when data and size are durable (fdatasync). */
  dataSync(): Promise<void>
  /** Closing twice is allowed. */
  close(): void
}

/** What a file of a data directory is. */
export declare type FileKind =
  | 'lock'
  | 'manifest'
  | 'catalog'
  | 'wal'
  | 'segment'
  | 'rollup'
  | 'objects'
  | 'set-aside'
  | 'temporary'
  | 'unknown'

/** What is wrong with a file, and what to do about it. */
export declare interface FileProblem {
  /** A note is harmless, or settled when the database is opened the next time. */
  readonly severity: 'damage' | 'note'
  readonly message: string
  /** Byte in the file; undefined where it concerns all of it. */
  readonly offset: number | undefined
  readonly advice: string
}

/**
 * Files and directories. Paths use `/` and are absolute or relative to the process, exactly as given. What fails throws, or
 * rejects with, a `FileSystemError`.
 */
export declare interface FileSystem {
  /** A log writes zeros ahead of itself in steps of this many bytes, for cheaper syncs; 0 where syncs cost nothing. */
  readonly preallocateBytes: number
  open(path: string, mode: OpenMode): FileHandle
  /** Atomically replaces `to`. Durable after `syncDirectory` of its parent. */
  rename(from: string, to: string): void
  remove(path: string): void
  /**
   * Gives the file a second name, which must be new (`EEXIST`). Durable after `syncDirectory` of its parent. Where there are no
   * links it throws another code: `EPERM`, `EXDEV`, `ENOTSUP`, `EMLINK`.
   */
  link(from: string, to: string): void
  /** Makes the directory and its parents; existing ones are fine. */
  makeDirectory(path: string): void
  /** Names in the directory, sorted; `ENOENT` when there is none. */
  list(path: string): string[]
  exists(path: string): boolean
  /** Resolves when names made, renamed or removed in the directory are durable. */
  syncDirectory(path: string): Promise<void>
}

/** Failures of the file system are `Error`s with the POSIX name in `code`: `ENOENT`, `EEXIST`, `ENOSPC`, `EIO`, … */
export declare interface FileSystemError extends Error {
  readonly code: string
}

/** What cannot be given back at will. */
export declare type FirmPart = 'ingest' | 'memtables' | 'pinned' | 'queries' | 'backlog'

/** Options of `collectGarbage`. */
export declare interface GarbageOptions extends Stoppable {
  /** Names that are forgotten first. */
  readonly forget?: readonly string[] | undefined
}

/** What `gc` kept and removed: files of snapshots, each once however many need it. */
export declare interface GarbageReport {
  readonly kept: number
  readonly removed: number
  readonly removedBytes: number
}

/** Booleans: 0 is false. `valid`: 0 where there is none. */
export declare interface GivenBooleans {
  readonly type: 'boolean'
  readonly values: Uint8Array
  readonly valid?: Uint8Array | undefined
}

/** Numbers whose type is given; `valid`: 0 where there is none. */
export declare interface GivenNumbers {
  readonly type: 'float' | 'integer'
  readonly values: NumberArray
  readonly valid?: Uint8Array | undefined
}

/** Texts, as codes into a dictionary; it may have more texts than rows use. `valid`: 0 where there is none. */
export declare interface GivenStrings {
  readonly type: 'string'
  readonly values: IndexArray
  readonly dictionary: readonly string[] | Dictionary
  readonly valid?: Uint8Array | undefined
}

/** What gives way. */
export declare type GivingPart = 'live' | 'pool' | 'cache' | 'spare'

/** Whether there are snapshots in the directory, or were. */
export declare function hasSnapshots(directory: string): boolean

/** Small integers, a row each: indexes from 0. */
export declare type IndexArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array

/** How rows are read. An abort of the signal stops that: what was read before is stored. */
export declare interface IngestOptions extends Stoppable {
  /** Unit of integer timestamps; without it the first one settles it by magnitude. */
  readonly precision?: Precision | undefined
  /** `skip` (default) stores the good rows and reports the bad, `abort` stops at the first bad one. */
  readonly onError?: 'skip' | 'abort' | undefined
  /**
   * The bytes given are the stream's own: it frees their memory as soon as they are read, not when GC comes by. Default: only
   * those of a `fs.ReadStream` that nobody else listens to.
   */
  readonly transfer?: boolean | undefined
  /** Called after each durable commit of this source's rows: all up to that line, which counts from 1, are safe. */
  readonly onCommit?: ((progress: { readonly lines: number; readonly lsn: Lsn }) => void) | undefined
}

/** What became of a source's rows. */
export declare interface IngestReport {
  /** Rows stored, durable under the fsync policy. */
  readonly ingested: number
  readonly rejected: number
  /** The first hundred bad rows. */
  readonly errors: readonly RowError[]
  /** Bytes read, as given (after decompression); 0 for objects. */
  readonly bytes: number
  /** Why the source was not read to its end (`line_too_long`, `disk_full`, the first bad row with `abort`, …). */
  readonly failure: SydraError | undefined
}

/** Rows on their way in. */
export declare interface IngestSettings {
  /** Bytes of rows between the socket and their acknowledgement; default 8 MiB. */
  readonly inFlightMaxBytes?: Size | undefined
  /** Writers that may wait for those bytes, by default 1,024; one more is answered `overloaded`. */
  readonly waitingMax?: number | undefined
}

/**
 * Where rows come from: objects, or NDJSON as bytes or text cut anywhere. What is pulled is pulled no faster than it is stored;
 * an Observable has no such brake, and fails with `overloaded` when it is a million rows ahead of the disk.
 */
export declare type IngestSource =
  | Iterable<RowObject>
  | AsyncIterable<RowObject | Uint8Array | string>
  | ReadableStream<RowObject | Uint8Array>
  | Subscribable<RowObject>

/**
 * Rows that are pushed as NDJSON bytes: what an HTTP body is written to.
 *
 * @example
 * await using stream = db.ingestStream({ precision: 'ms' })
 * for await (const chunk of socket) await stream.write(chunk)
 * const { ingested, failure } = await stream.end()
 */
export declare interface IngestStream extends AsyncDisposable {
  /**
   * Settles the complete lines so far; what arrives in one turn of the event loop is committed together. When the promise
   * resolves — the backpressure — or at once when there is none, the bytes are used up and the next may be read. Throws
   * `bad_request` after `end` and `cut`.
   */
  write(bytes: Uint8Array): Promise<void> | undefined
  /** Nothing more is taken (a failure, an abort, a line too long): stop reading and ask `end()` why. */
  readonly stopped: boolean
  /** The body ended cleanly: a last line without newline counts. Resolves when everything is durable. */
  end(): Promise<IngestReport>
  /** The body was cut off: the unfinished last line is dropped, the rest is stored. */
  cut(): Promise<IngestReport>
  /** Cuts it, unless it has ended. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of `into`. */
export declare interface IntoOptions {
  /**
   * What becomes of rows that leave the result: they stay in the metric (`keep`, default), so that it outlives the rows it was
   * made from, or they are deleted (`delete`), as values are that become null. Then the metric is the result, and nobody
   * else's.
   */
  readonly removed?: 'keep' | 'delete' | undefined
}

/** A row of which only the key columns count; the others are null. */
export declare type KeysOf<Row> = {
  readonly [Column in keyof Row]: Row[Column] | null
}

/** A column of a live result. Rows whose `key` columns are equal are one row, at different times. */
export declare interface LiveColumn extends ColumnInfo {
  readonly key: boolean
  /** Not selected by the query: there for its key. */
  readonly hidden: boolean
}

/**
 * What a live query tells. `id` is what to resume from; `lsn`: every commit up to there is in what was told so far.
 * Apply `added` and `changed` by key, remove `removed`, and the rows are those of the query at that LSN.
 */
export declare type LiveEvent<Row = AnyRow> =
  | {
      readonly kind: 'snapshot'
      readonly id: string
      readonly lsn: Lsn
      readonly columns: readonly LiveColumn[]
      readonly strategy: LiveStrategy
      /** In the query's order. */
      readonly rows: readonly Row[]
      /** undefined: the first. */
      readonly reason: LiveRestart | undefined
    }
  | {
      readonly kind: 'delta'
      readonly id: string
      readonly lsn: Lsn
      readonly added: readonly Row[]
      /** As they are now. */
      readonly changed: readonly Row[]
      /** The key columns; null elsewhere. */
      readonly removed: readonly KeysOf<Row>[]
    }
  /** Nothing changed up to there. At most once in `live.progress_ms`. */
  | {
      readonly kind: 'progress'
      readonly id: string
      readonly lsn: Lsn
      /** The newest time of any row committed so far to what the query reads; null: none is known. */
      readonly watermarkUs: number | null
    }
  /** Changes were missed; a snapshot follows. */
  | {
      readonly kind: 'lagged'
      readonly lsn: Lsn
      readonly reason: LiveRestart
    }

/**
 * Pushes events to subscribers, who take them as they come; with `reader`, or `for await`, they are pulled.
 *
 * @example
 * for await (const event of db.live('select * from cpu')) if (event.kind === 'delta') console.log(event.added)
 */
export declare interface LiveObservable<Row = AnyRow>
  extends Observable<LiveEvent<Row>>,
    AsyncIterable<LiveEvent<Row>> {
  /** Subscribes, for one who pulls. Throws nothing: what is wrong comes with the first pull. */
  reader(): LiveReader<Row>
}

/** Options of `live`. An abort of the signal ends the subscription with `cancelled`. */
export declare interface LiveOptions extends Stoppable, RowOptions {
  /** The `id` of the last event that was seen: what came since is told, instead of a snapshot. */
  readonly resumeFrom?: string | undefined
  /**
   * Of raw rows, how far back the snapshot goes, in ms; `'all'`: as far as the query. Default 0: it has no rows. A query
   * with a lower bound of time has its range in any case.
   */
  readonly history?: number | 'all' | undefined
  /** Rows are objects by the columns' names; for arrays, see `WithArrays`. */
  readonly rows?: 'objects' | undefined
}

/**
 * A subscription that is pulled: the slow one finds what it missed as one delta, by key, or `lagged` and a snapshot. What
 * surfaces and bridges with backpressure are made of.
 */
export declare interface LiveReader<Row = AnyRow> extends AsyncIterableIterator<LiveEvent<Row>>, AsyncDisposable {
  /** Those of the last event's rows; undefined before the first. A subscription that is resumed begins without a snapshot. */
  readonly columns: readonly LiveColumn[] | undefined
  /** What there is to tell now; undefined: nothing. Throws what ended it, once. */
  poll(): LiveEvent<Row> | undefined
  /** Ends the subscription. Calling it again does nothing. */
  close(): void
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Why there is a new snapshot: the one before it is void. */
export declare type LiveRestart =
  /** The subscriber was slower than what is kept for slow ones. */
  | 'lagged'
  /** What happened since the event that was to be resumed from is not known any more. */
  | 'not_resumable'
  /** The database was made what it was at a snapshot. */
  | 'restored'
  /** The columns are others now. */
  | 'schema'

/** Live queries. */
export declare interface LiveSettings {
  /** Subscriptions at once, by default 10,000; one more is refused with `too_many_subscriptions`. */
  readonly subscriptionsMax?: number | undefined
  /** The same over HTTP for one client address, by default 1,000; behind a proxy all clients have its address. */
  readonly perClientMax?: number | undefined
  /** Rows of a snapshot, and rows that one live query keeps; default 100,000. */
  readonly rowsMax?: number | undefined
  /** What one live query keeps, states of groups and rows; default 64 MiB. */
  readonly memoryMaxBytes?: Size | undefined
  /** Rows of recent changes that one live query keeps for subscribers that are slow or come back; default 100,000. */
  readonly changesMax?: number | undefined
  /**
   * Commits that wait to be looked at, for all live queries together; default 32 MiB. A query that is further behind begins
   * anew.
   */
  readonly pendingMaxBytes?: Size | undefined
  /** How often a query runs again that cannot be kept from commit to commit; default 1 s. */
  readonly rerunMs?: Duration | undefined
  /** How often `now()` advances; default 1 s. */
  readonly tickMs?: Duration | undefined
  /** How often a subscriber hears how far its answer goes while nothing changes in it; default 1 s, 0: never. */
  readonly progressMs?: Duration | undefined
  /**
   * How often a client hears something while there is nothing to tell, and is asked whether it is still there; default 15 s, 30 s at
   * most.
   */
  readonly heartbeatMs?: Duration | undefined
  /** A client that takes nothing of what was sent, or does not answer, for so long is cut; default 30 s. */
  readonly clientStallMs?: Duration | undefined
}

/** What `stats()` tells of live queries. */
export declare interface LiveStatistics {
  readonly subscriptions: number
  /** Distinct ones, which is what is worked out. */
  readonly queries: number
  /** What they keep. */
  readonly bytes: number
  /** Commits that wait to be looked at. */
  readonly pendingBytes: number
  readonly pendingMaxBytes: number
  /** Since the database was opened. */
  readonly steps: number
  readonly reruns: number
  readonly rows: number
  /** Subscribers that were told to begin anew because they, or their query, were too slow. */
  readonly lagged: number
  /** From the commit to the newest step that has it, of the query that is furthest behind. */
  readonly behindLsns: number
}

/** How a query is kept: what `explain` says. */
export declare type LiveStrategy =
  /** Rows that come are filtered; nothing is kept. */
  | 'tail'
  /** Aggregates by group, with states that rows are added to. */
  | 'groups'
  /** The first rows by an order, or of each series, are kept, and those that come are compared with them. */
  | 'top'
  /** Series that rows came for are read again. */
  | 'series'
  /** The whole query runs again, at most once in an interval. */
  | 'rerun'

/** Where lines of the log go. */
export declare type Logger = (level: LogLevel, message: string, details?: Readonly<Record<string, unknown>>) => void

/** How much a line of the log matters. */
export declare type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Rows that are gone, or a field of them. */
export declare interface Loss {
  /** undefined: all that the segment had. */
  readonly metric: string | undefined
  /** undefined: the rows themselves. */
  readonly field: string | undefined
  readonly rows: number
  readonly seriesCount: number
  /** As printed, as far as they are known: the first hundred. */
  readonly series: readonly string[]
  /** Inclusive: µs since the epoch, UTC. */
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

/** Log sequence number: one for every commit, in one total order, from 1. Exact in a double. */
export declare type Lsn = number

/** All that the query told up to an event is in the metric, as durable as `fsync` says. */
export declare interface Materialized {
  /** Of the event: what to resume the query from. */
  readonly id: string
  /** Every commit up to there is in it. */
  readonly lsn: Lsn
  /** The commit of the rows that were written; undefined: there were none. */
  readonly writtenLsn: Lsn | undefined
  readonly rows: number
  readonly deleted: number
}

/** A part of what a database holds of `mem_limit_bytes`. */
export declare type MemoryPart = FirmPart | GivingPart

/** What all parts hold, as of the last commit. */
export declare interface MemoryStatistics {
  /** `mem_limit_bytes` */
  readonly limitBytes: number
  readonly bytes: number
  readonly peakBytes: number
  readonly parts: Readonly<Record<MemoryPart, PartStatistics>>
}

/** The account of `mem_limit_bytes`, and the memory of memtables. */
export declare interface MemoryUse extends MemoryStatistics {
  /** Readers that were told `snapshot_expired`. */
  readonly readersExpired: number
  readonly chunks: ChunkPoolStatistics
}

/** How far a merge is. */
export declare interface MergeProgress {
  readonly rowsRead: number
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Of the inputs. */
  readonly bytesTotal: number
}

/** What a merge read and wrote. */
export declare interface MergeResult {
  /** Rows and rollups; none when every row was deleted or expired. */
  readonly segments: readonly SegmentMeta[]
  readonly rowsRead: number
  readonly rowsWritten: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly elapsedMs: number
}

/** A metric and its fields. */
export declare interface MetricInfo {
  readonly id: number
  readonly name: string
  /** Grows only; index = id. */
  readonly fields: readonly FieldInfo[]
}

/** Rows of one metric in scan order. Every row has at least one field present. */
export declare interface MetricRows {
  readonly metric: MetricInfo
  readonly length: number
  /** Catalog ordinals: `db.seriesAt` says which series they are. */
  readonly series: Uint32Array
  /** µs since the epoch, UTC. */
  readonly timeUs: Float64Array
  readonly fields: readonly FieldRows[]
}

/** Numbers, a row each. Those of a `BigInt64Array` are within ±2^53. */
export declare type NumberArray = Float64Array | Float32Array | IndexArray | BigInt64Array

/** Numbers, a row each; `valid`: 1 where there is one, 0 for null, undefined when no row is null. */
export declare interface NumberColumn {
  readonly type: 'float' | 'integer' | 'timestamp' | 'duration'
  readonly values: Float64Array
  readonly valid: Uint8Array | undefined
}

/**
 * Opens the database in a directory, which is made when absent; `':memory:'` keeps everything in memory.
 * Replays what the last run had not flushed. One process at a time may have a directory open.
 *
 * @param options the directory, or settings (units are in their names)
 * @throws `directory_in_use` naming the holder's pid, `unknown_setting`, `invalid_setting`, `unsupported_version`, `disk_full`,
 * `io_error`, `cancelled`; what is damaged is left out or made anew, and told by `events$`
 * @example
 * await using db = await open({ dataDir: './data', fsync: 'interval' }, { log: (level, message) => console.error(level, message) })
 */
export declare function open(options?: string | SettingsInput, given?: OpenOptions): Promise<Database>

/** `read` an existing file, `create` a new one (fails with `EEXIST`), `open` for both, made when absent. */
export declare type OpenMode = 'read' | 'create' | 'open'

/** What is not a setting: a signal that ends the call, and parts of the machine that are replaced. */
export declare interface OpenOptions extends Stoppable {
  /** Where files are: by default the disk, or memory for ':memory:'. */
  readonly files?: FileSystem | undefined
  /** What time it is: of `now()`, of rows without a time, of retention. */
  readonly clock?: Clock | undefined
  /** When things are done later; to be replaced together with the clock. */
  readonly timers?: Timers | undefined
  /** Of ids. */
  readonly random?: Random | undefined
  /** Where the log goes: by default nowhere. */
  readonly log?: Logger | undefined
}

/** What one part holds. */
export declare interface PartStatistics {
  readonly bytes: number
  readonly peakBytes: number
  /** What it may hold at most, now that the others hold what they do; undefined where nothing of its own limits it. */
  readonly maxBytes: number | undefined
}

/** Where in a text something is wrong. `line` and `column` count from 1 in UTF-16 units, `offset` from 0. */
export declare interface Position {
  readonly line: number
  readonly column: number
  readonly offset: number
  readonly length: number
}

/** Unit of a number that is a timestamp: seconds, milliseconds, microseconds or nanoseconds since the epoch. */
export declare type Precision = 's' | 'ms' | 'us' | 'ns'

/** Parameters and options; without parameters that are needed, both may be left out. */
export declare type PreparedArguments<Params extends QueryParameters> = [] extends Params
  ? [params?: Params, options?: RunOptions]
  : [params: Params, options?: RunOptions]

/** A statement that was parsed and typed once, to run often: it is planned in microseconds then. */
export declare interface PreparedQuery<Row = AnyRow, Params extends QueryParameters = QueryParameters> {
  /**
   * Runs it. The parameters may be left out where there are none.
   *
   * @example
   * const above = db.prepare<{ n: number }, [least: number]>('select count(*) as n from cpu where value >= ?')
   * const { n } = (await above.query([0.5]).first())!
   */
  query(...given: PreparedArguments<Params>): QueryResult<Row>
}

/** A result that was read to its end. */
export declare interface QueryAnswer<Row> {
  readonly columns: Schema
  readonly rows: Row[]
  readonly stats: QueryStatistics
}

/** Options of a query. */
export declare interface QueryOptions extends RunOptions, RowOptions {}

/** A value for a `?` or `$n`: bound to the statement, never made part of its text. A Date is a timestamp. */
export declare type QueryParameter = number | string | boolean | null | Date

/** Values for `?` in their order, or for `$n` by position: the first is `$1`. */
export declare type QueryParameters = readonly QueryParameter[]

/**
 * A query that runs while it is read: as rows, as batches of columns, as text, or as an Observable. Nothing happens before the
 * first pull, and it can be read once. Whoever stops reading ends it.
 *
 * Reading rejects with what is wrong with the statement (`syntax_error`, `unknown_metric`, `wrong_argument`, …), and with
 * `query_timeout`, `cancelled`, `memory_limit`, `disk_full`, `overloaded`, `snapshot_expired`, `corrupt_segment`, `io_error`
 * or `shutting_down`.
 *
 * @example
 * for await (const row of db.query('select time, value from cpu')) console.log(row)
 * from(db.query('select time, value from cpu')).pipe(map(row => row.value)).subscribe(console.log)
 */
export declare interface QueryResult<Row = AnyRow> extends AsyncIterable<Row>, AsyncDisposable {
  /** What the columns are. Parses and plans, without reading rows; it may be asked before, and beside reading. */
  columns(): Promise<Schema>
  /** All rows, in memory. */
  all(): Promise<QueryAnswer<Row>>
  /** The first row, or undefined; the rest is not computed. */
  first(): Promise<Row | undefined>
  /**
   * Columns of some thousand rows at a time: the fastest way out. They are the reader's own; with `borrow` they are valid
   * until the next pull, and copied no more.
   *
   * @example
   * for await (const { columns, length } of db.query('select value from cpu').batches()) …
   */
  batches(options?: { readonly borrow?: boolean | undefined }): AsyncIterable<Batch>
  /** UTF-8 in chunks. After the first chunk an error becomes the text's ending, and `failure` says so. */
  text(options: TextOptions): AsyncIterable<Uint8Array>
  /** What reading took so far; complete once the result has ended or was abandoned. Throws `bad_request` before. */
  stats(): QueryStatistics
  /** The error that ended `text()` after its first chunk. */
  readonly failure: SydraError | undefined
  /** For `from(…)`: pushes the rows, to one subscriber; unsubscribing ends the query. */
  [Symbol.observable](): Subscribable<Row>
  /** Ends it, wherever it is read: `cancelled`. One that was not read is not readable any more. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Queries, live ones apart. */
export declare interface QuerySettings {
  /** Default 0: no limit. */
  readonly timeoutMs?: Duration | undefined
  /** Refuses selects without a time range with `time_range_required`; default false. */
  readonly requireTimeRange?: boolean | undefined
  /** What one query may hold in sorts, groups and windows; default 128 MiB. */
  readonly memoryMaxBytes?: Size | undefined
  /** What one query may hold in temporary files when its memory is full; 0: nothing; default 8 GiB. */
  readonly spillMaxBytes?: Size | undefined
  /** Queries that run at once, by default 256; one more is answered `overloaded`. */
  readonly runningMax?: number | undefined
}

/** What a query did; the names are those of the wire. */
export declare interface QueryStatistics {
  readonly rows_emitted: number
  readonly rows_scanned: number
  /** Segments that were read, and those that times, series or statistics ruled out. */
  readonly segments_scanned: number
  readonly segments_pruned: number
  /** The same of blocks of 1,024 values, in the segments that were read. */
  readonly blocks_scanned: number
  readonly blocks_pruned: number
  /** From files; what the cache had does not count. */
  readonly bytes_read: number
  /** Widths of the rollups that answered, coarsest first, such as `1d 1h`; null: none did. */
  readonly rollup: string | null
  /** Milliseconds. What a prepared statement needs no more is 0; `first_row` and `total` count from the first pull. */
  readonly elapsed_ms: {
    readonly parse: number
    readonly analyze: number
    readonly optimize: number
    readonly plan: number
    readonly first_row: number
    readonly total: number
  }
  /** 16 hexadecimal digits, for logs. */
  readonly trace_id: string
  /** From the one that gives the rows down to the scans; the time of each holds that of its inputs. */
  readonly operators: readonly {
    readonly name: string
    readonly rows_out: number
    readonly batches: number
    readonly elapsed_ms: number
  }[]
}

/** Bytes that nobody can guess. */
export declare interface Random {
  /** Fills `target` and returns it. */
  bytes(target: Uint8Array): Uint8Array
}

/** What a repair did about a file, and what was lost with it. */
export declare interface Repair {
  /** Relative to the data directory. */
  readonly path: string
  /**
   * `rebuilt`: made anew; `skipped`: damaged commits of the WAL; `salvaged`: what can be read is in a new file; `set-aside`: kept
   * under another name; `dropped`: it can be made again.
   */
  readonly action: 'rebuilt' | 'skipped' | 'salvaged' | 'set-aside' | 'dropped'
  readonly message: string
  readonly losses: readonly Loss[]
}

/**
 * Repairs what `verify` finds damaged in a database that no process has open: what is broken is set aside under another
 * name, what can still be read of it takes its place. `onRepair` is told of each step once it is durable.
 *
 * @throws `directory_in_use`, `not_found`, `unsupported_version`, `disk_full`, `io_error`, `cancelled`, which leaves the rest for
 * the next time
 * @example
 * await repair('./data', ({ path, action, message }) => console.log(path, action, message))
 */
export declare function repair(
  options: string | SettingsInput,
  onRepair?: (repair: Repair) => void,
  given?: OpenOptions,
): Promise<void>

/**
 * Makes a directory that no process has open the database that a snapshot in `source` keeps: one or the other, whatever crash
 * comes. It gets an id of its own.
 *
 * @throws `not_found`, `already_exists` unless told to `replace`, `corrupt_object`, `directory_in_use`, `disk_full`, `io_error`,
 * `cancelled`
 * @example
 * await restoreDirectory('/backup/sydradb', './data', { ref: 'monday' })
 */
export declare function restoreDirectory(
  source: string,
  directory: string,
  options?: RestoreDirectoryOptions,
): Promise<RestoreReport>

/** Options of `restoreDirectory`. */
export declare interface RestoreDirectoryOptions extends Stoppable {
  /** A name, `HEAD` (the default), or the first digits of an id. */
  readonly ref?: string | undefined
  /** Replaces the database that is in the directory. */
  readonly replace?: boolean | undefined
  /** Verifies and tells what would be; changes nothing. */
  readonly dryRun?: boolean | undefined
}

/** Options of `restore`. An abort that comes before all changes at once leaves the database as it is. */
export declare interface RestoreOptions extends Stoppable {
  /** Verifies and tells what would be; changes nothing. */
  readonly dryRun?: boolean | undefined
}

/** Which snapshot was restored, or would be. */
export declare interface RestoreReport {
  readonly snapshot: Snapshot
  readonly dryRun: boolean
  readonly elapsedMs: number
}

/** What a rollup segment summarises. */
export declare interface RollupMeta {
  /** Id of the segment whose rows it summarises, all of each metric it has. */
  readonly of: string
  readonly widthUs: number
}

/** Summaries of rows by buckets of time, from which queries answer. */
export declare interface RollupSettings {
  /** Whether compaction writes them, and queries use them; default true. */
  readonly enabled?: boolean | undefined
  /** Of which widths they are written, where rows are dense; default `1m`, `5m`, `1h`, `1d`. */
  readonly widths?: readonly RollupWidth[] | undefined
  /**
   * Days that they are kept where that is longer than rows: for all widths, or by width; 0: for ever. A width without is kept as
   * long as rows.
   */
  readonly keepDays?: number | Readonly<Partial<Record<RollupWidth, number>>> | undefined
}

/** The widths that rollups may have, as settings write them. */
export declare type RollupWidth = '1s' | '10s' | '1m' | '5m' | '15m' | '30m' | '1h' | '6h' | '1d'

/** Rows that were settled together, by metric. */
export declare interface RowBatch {
  readonly metrics: readonly MetricRows[]
  readonly rowCount: number
  /** Memory the columns take, in bytes: what the ingest permit accounts for. */
  readonly byteLength: number
}

/** A row that was not stored, and why. */
export declare interface RowError {
  /** Counts from 1; of objects the row's index + 1. */
  readonly line: number
  readonly code: ErrorCode
  readonly message: string
}

/**
 * A row as an object: at least one field, of one moment of one series. Rows of one series and time are merged field by field.
 *
 * @example
 * const row: RowObject = { series: 'cpu', ts: new Date(), fields: { usage: 0.64, state: 'ok' }, tags: { host: 'a' } }
 */
export declare interface RowObject {
  /** Its metric: `cpu`, `weather.room1`. Together with the tags it names the series. */
  readonly series: string
  /** An integer in `precision`, an ISO 8601 text or a Date; the server's time when absent. */
  readonly ts?: number | string | Date | bigint | undefined
  /** Short for the field of that name. */
  readonly value?: FieldValue
  readonly fields?: Readonly<Record<string, FieldValue>> | undefined
  /** Empty, null and undefined ones are absent. */
  readonly tags?: Readonly<Record<string, string | null | undefined>> | undefined
}

/**
 * What a type of rows is: an object whose properties are the columns' values, by name. Nothing checks that the statement
 * selects them.
 *
 * @example
 * interface Usage { time: number; 'tag.host': string; usage: number | null }
 * for await (const { usage } of db.query<Usage>('select time, tag.host, usage from cpu')) …
 */
export declare type RowOf<Row, Cell = Value> = object & {
  readonly [Column in keyof Row]: Cell
}

/** How rows carry timestamps; for Dates, see `WithDates`. */
export declare interface RowOptions {
  /** `us` (default): numbers of microseconds since the epoch, UTC. `date`: Dates, which are exact to the millisecond. */
  readonly time?: 'us' | undefined
}

/** How long a query may run, and what ends it. */
export declare interface RunOptions extends Stoppable {
  /** Milliseconds after which it fails with `query_timeout`; 0: none; by default the setting `query.timeoutMs`. */
  readonly timeoutMs?: number | undefined
}

/** The columns of a result, in their order. */
export declare type Schema = readonly ColumnInfo[]

/** A segment as the manifest knows it. */
export declare interface SegmentMeta {
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

/** How the rows of a series differ: by their times, then by their fields. */
export declare interface SeriesDifference {
  readonly metric: string
  /** As printed: `cpu{host="a"}`. */
  readonly series: string
  /** The series has rows on one side only. */
  readonly only: 'before' | 'after' | undefined
  readonly added: number
  readonly removed: number
  /** Rows at one time with other values. */
  readonly changed: number
}

/** A series: rows of one metric with the same tags. */
export declare interface SeriesInfo {
  /** Decimal text of the unsigned 64-bit id. */
  readonly id: string
  readonly metric: string
  readonly tags: Tags
  /** `cpu{dc="x",host="a"}` */
  readonly printed: string
}

/**
 * Settings of a database. What is left out has its default; `sydradb.toml` has the same in snake_case. A setting that there is
 * not is `unknown_setting`, a value that will not do `invalid_setting`.
 *
 * @example
 * await open({ dataDir: './data', fsync: 'interval', memLimitBytes: '1GiB', query: { timeoutMs: '10s' } })
 */
export declare interface SettingsInput {
  /** Directory of the database, or ':memory:'; default `./data`. */
  readonly dataDir?: string | undefined
  /** Where the server listens; default `127.0.0.1`. */
  readonly httpHost?: string | undefined
  /** Default 8080; 0 takes a free port. */
  readonly httpPort?: number | undefined
  /** The server requires it as `Authorization: Bearer …` when it is not empty, which it is by default. */
  readonly authToken?: string | undefined
  /** Allows listening beyond loopback without a token; default false. */
  readonly insecure?: boolean | undefined
  /**
   * When an acknowledged row is on the disk: `always` (default) before it is acknowledged, `interval` within `fsyncIntervalMs`,
   * `none` as the OS likes.
   */
  readonly fsync?: 'always' | 'interval' | 'none' | undefined
  /** Default 200 ms. */
  readonly fsyncIntervalMs?: Duration | undefined
  /** Age at which a memtable is flushed; 0 never; default 10 minutes. */
  readonly flushIntervalMs?: Duration | undefined
  /** Size at which a memtable is flushed; default 32 MiB. */
  readonly memtableMaxBytes?: Size | undefined
  /**
   * Whether large flushes are encoded in another thread, which takes 45 MB while they follow one another; default true, of
   * `sydradb serve` false. In the own thread ingest and queries go before them.
   */
  readonly flushInThread?: boolean | undefined
  /** What memtables, rows in flight, caches and queries hold together; default 256 MiB. */
  readonly memLimitBytes?: Size | undefined
  /** Released WAL that is kept for resuming subscribers; default 256 MiB. */
  readonly walKeepBytes?: Size | undefined
  /** Series that there may be; default a million. Rows of a further one are refused with `too_many_series`. */
  readonly maxSeries?: number | undefined
  /** Which of two rows with one series and timestamp wins (default `last`); fixed when the database is made. */
  readonly duplicates?: 'last' | 'first' | undefined
  /** Days after which a row is not seen any more, and removed in the background; default 0: kept for ever. */
  readonly retentionDays?: number | undefined
  /** The same for the metrics of a namespace, which is a name up to its first `.`: `{ weather: 30 }`. */
  readonly retention?: Readonly<Record<string, number>> | undefined
  readonly compaction?: CompactionSettings | undefined
  readonly rollups?: RollupSettings | undefined
  readonly ingest?: IngestSettings | undefined
  readonly live?: LiveSettings | undefined
  readonly query?: QuerySettings | undefined
}

/** Bytes as a number, or as text with a unit: `64 * 1024`, `"8MiB"`, `"1.5GB"`. */
export declare type Size = number | string

/** Pieces of one size, of all arenas. */
export declare interface SizeClassStatistics {
  readonly pieceBytes: number
  readonly inUse: number
  /** Cut, or ready to be cut, from slabs of this class. */
  readonly waiting: number
  /** Bytes of these slabs. */
  readonly bytes: number
  /** Pieces given out since the beginning. */
  readonly allocations: number
}

/** The database as it was at a moment. */
export declare interface Snapshot {
  /** 64 hexadecimal digits; the first 8 or more stand for it where they are of one snapshot only. */
  readonly id: string
  readonly names: readonly string[]
  /** `HEAD`: the newest, or the one that was restored last. */
  readonly isHead: boolean
  readonly message: string
  /** When it was taken: µs since the epoch, UTC. */
  readonly timeUs: number
  /** HEAD, where it was put, when it was taken; it may be gone. */
  readonly parent: string | undefined
  /** Every commit up to here is in it. */
  readonly lsn: Lsn
  readonly segments: number
  /** Duplicates and deleted rows count until they are merged away. */
  readonly rows: number
  /** Of all its files; those it shares with others count for each. */
  readonly bytes: number
  /** Damaged segments that could not be read when it was taken, and are not in it. */
  readonly leftOut: readonly string[]
}

/** Options of `snapshot`. An abort leaves no snapshot, and nothing that the next `gc` would not remove. */
export declare interface SnapshotOptions extends Stoppable {
  /** At most 10,000 characters. */
  readonly message?: string | undefined
  /**
   * A directory for copies, made when absent: what it has not yet is copied there, and the name is set there. Nothing of it
   * stays in the database's own directory.
   */
  readonly to?: string | undefined
}

/** The snapshot that was taken, and what it cost. */
export declare interface SnapshotReport extends Snapshot {
  /** Objects that were not there before, and their bytes; of the copy where there is one. */
  readonly addedObjects: number
  readonly addedBytes: number
  readonly elapsedMs: number
}

/**
 * The snapshots in a directory: a database's that nobody has open, or copies. Newest first.
 *
 * @throws `not_found` where there are none, `corrupt_object`, `io_error`
 */
export declare function snapshotsIn(directory: string): Snapshot[]

/** What a call that can take long is given to end it: it rejects with `cancelled` then. */
export declare interface Stoppable {
  readonly signal?: AbortSignal | undefined
}

/** How much a stream holds. */
export declare interface StreamOptions {
  /** Items that may wait for the reader: rows or events, 16 by default. Of text each is a chunk, and one waits. */
  readonly highWaterMark?: number | undefined
}

/** Texts, a row each, which stand in a dictionary; `valid`: 1 where there is one, 0 for null, undefined when no row is null. */
export declare interface StringColumn {
  readonly type: 'string'
  /** Codes into the dictionary. */
  readonly values: Uint32Array
  readonly dictionary: Dictionary
  readonly valid: Uint8Array | undefined
}

/**
 * The one error of the library. `code` says what is wrong, `message` says it to people, `hint` what to do about it, `cause` what
 * was behind it: an error of the file system, the reason of a signal. As JSON it is what the server answers.
 *
 * @example
 * try {
 *   await db.snapshot('monday')
 * } catch (error) {
 *   if (!(error instanceof SydraError) || error.code !== 'already_exists') throw error
 * }
 */
export declare class SydraError extends Error {
  #private
  readonly code: ErrorCode
  /** Where in a statement; undefined where that says nothing. */
  readonly position: Position | undefined
  /** What to do about it, as one sentence. */
  readonly hint: string | undefined
  constructor(code: ErrorCode, message: string, details?: ErrorDetails)
  /** Further errors of the same text, which have none themselves. */
  get others(): readonly SydraError[]
  /** The wire form: `{code, message, position?, hint?, others?}`. */
  toJSON(): ErrorJson
}

/** A tag set as `[key, value]` pairs sorted by key (UTF-8 byte order), keys unique, values non-empty. */
export declare type Tags = readonly (readonly [key: string, value: string])[]

/** Tags of a series. Empty, null and undefined ones are absent. */
export declare type TagSet = Readonly<Record<string, string | null | undefined>>

/** `json` is the envelope {columns, rows, stats}, `ndjson` an object a row and line, `csv` RFC 4180 with a header. */
export declare type TextFormat = 'json' | 'ndjson' | 'csv'

/** How a result is written as text. */
export declare interface TextOptions {
  readonly format: TextFormat
  /** Of `json` only the rows, as one array of objects: `[{"time":…,"value":…},…]`. */
  readonly bare?: boolean | undefined
  /** Timestamps as numbers in this unit, instead of ISO 8601 text. */
  readonly epoch?: Precision | undefined
  /** Bytes a chunk aims at, 256 KiB by default; the first chunk leaves with the first batch, whatever its size. */
  readonly chunkBytes?: number | undefined
  /**
   * Chunks are borrowed: a chunk's memory is used again when the second after it is pulled, so that one can be on its way while
   * the next is made. Default false: each is the consumer's own.
   */
  readonly borrow?: boolean | undefined
}

/** What gives its contents as text, too: the result of a query. */
export declare interface TextSource<Options extends object> {
  text(options: Options): AsyncIterable<Uint8Array>
}

/** Times, a row each: integers in the `precision` of the call. In an array also Dates and ISO 8601 texts. */
export declare type TimeColumn = Float64Array | BigInt64Array | readonly (number | bigint | string | Date)[]

/** When things are done later. */
export declare interface Timers {
  /** A one-shot timer; the returned function cancels it. A `background` timer does not keep the process alive: for upkeep that no one waits for. */
  after(delayMs: number, task: () => void, background?: boolean): () => void
  /** Runs the task after I/O that is ready has had its turn (setImmediate). */
  soon(task: () => void): void
}

/**
 * A Readable in object mode of rows or events; with a `format`, of the bytes of a query's text. Destroying it ends the query,
 * or the subscription.
 *
 * @example
 * await pipeline(toReadable(db.query('select * from cpu'), { format: 'csv' }), createWriteStream('cpu.csv'))
 * toReadable(db.live('select * from cpu')).on('data', event => …)
 */
export declare function toReadable<
  Options extends {
    readonly format: string
  },
>(source: TextSource<Options>, options: Options & StreamOptions): Readable

/** Of rows or events. */
export declare function toReadable(source: AsyncIterable<unknown>, options?: StreamOptions): Readable

/**
 * A web stream of rows or events; with a `format`, of the bytes of a query's text. Cancelling it ends the query, or the
 * subscription.
 *
 * @example
 * return new Response(toWebStream(db.query('select * from cpu'), { format: 'csv' }), { headers: { 'content-type': 'text/csv' } })
 */
export declare function toWebStream<
  Options extends {
    readonly format: string
  },
>(source: TextSource<Options>, options: Options & StreamOptions): ReadableStream<Uint8Array>

/** Of rows or events. */
export declare function toWebStream<Item>(source: AsyncIterable<Item>, options?: StreamOptions): ReadableStream<Item>

/**
 * A value of a result. Timestamps are numbers of µs since the epoch (UTC), durations are of µs; both are exact, and so are
 * integers, which are between ±2^53.
 */
export declare type Value = number | string | boolean | null

/** `timestamp` is µs since the epoch (UTC), `duration` µs; both exact in a double, as is `integer` (±2^53). */
export declare type ValueType = 'float' | 'integer' | 'boolean' | 'string' | 'timestamp' | 'duration'

/** What verifying found. */
export declare interface Verification {
  /** Whether nothing is damaged. */
  readonly ok: boolean
  readonly files: number
  /** Rows in segments. */
  readonly rows: number
  readonly bytes: number
  readonly damaged: readonly VerifiedFile[]
  readonly elapsedMs: number
}

/** A file that was read and checked. */
export declare interface VerifiedFile {
  /** Relative to the data directory. */
  readonly path: string
  readonly kind: FileKind
  readonly bytes: number
  /** What was read and found right, or counted: `{ rows: 120_000, series: 40, groups: 15 }`. */
  readonly checked: Readonly<Record<string, number>>
  /** Empty: it is as it should be. */
  readonly problems: readonly FileProblem[]
}

/**
 * Verifies the files of a database that no process has open: every checksum, order, statistic and reference. Changes
 * nothing.
 *
 * @throws `directory_in_use` naming the holder's pid, `not_found`, `unsupported_version`, `io_error`, `cancelled`
 * @example
 * const { ok, damaged } = await verify('./data').all()
 */
export declare function verify(options: string | SettingsInput, given?: OpenOptions): VerifyResult

/**
 * Verifies while it is read: file by file, or to the end. It can be read once.
 *
 * @example
 * for await (const { path, problems } of db.verify()) console.log(path, problems)
 * const { ok, damaged } = await db.verify().all()
 */
export declare interface VerifyResult extends AsyncIterable<VerifiedFile> {
  all(): Promise<Verification>
}

/** The package's version. */
export declare const version = '0.1.0'

/**
 * The same options, for rows as arrays in the columns' order: what is written as text needs no names. Equal events of equal
 * queries share their arrays, rows and lists of rows alike: they are not to be changed.
 *
 * @example
 * for await (const event of db.live('select * from cpu', [], { rows: 'arrays' })) …
 */
export declare type WithArrays<Options extends LiveOptions> = Omit<Options, 'rows'> & {
  readonly rows: 'arrays'
}

/**
 * The same options, for rows whose timestamps are Dates.
 *
 * @example
 * const newest = await db.query<{ time: Date }>('select time from cpu order by time desc limit 1', [], { time: 'date' }).first()
 */
export declare type WithDates<Options extends RowOptions> = Omit<Options, 'time'> & {
  readonly time: 'date'
}
