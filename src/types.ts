/** The public types of the library: what `open()` gives, and what surfaces translate. */
import type { Observable, OperatorFunction } from 'rxjs'
import type { Committed, EngineEvent } from './engine/event-types.ts'
import type { IntoOptions, Materialized } from './engine/live/into.ts'
import type { LiveEvent, LiveObservable, LiveOptions, WithArrays } from './engine/live/types.ts'
import type {
  AnyRow,
  PreparedQuery,
  QueryOptions,
  QueryParameters,
  QueryResult,
  RowOf,
  RowOptions,
  Value,
  WithDates,
} from './engine/queries/types.ts'
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
import type {
  ColumnOptions,
  ColumnRows,
  IngestOptions,
  IngestReport,
  IngestSource,
  IngestStream,
} from './engine/writing/types.ts'
import type { Stoppable } from './lib/cancel.ts'
import type { MergeProgress } from './storage/compaction/job.ts'
import type { Loss } from './storage/segment/salvage.ts'
import type { Tags } from './storage/types.ts'
import type { VerifiedFile } from './storage/verify/types.ts'
import type { Completion } from './sydraql/editor/complete.ts'
import type { Diagnostic } from './sydraql/editor/diagnose.ts'

export type * from './engine/event-types.ts'
export type { IntoOptions, Materialized } from './engine/live/into.ts'
export type * from './engine/live/types.ts'
export type * from './engine/queries/types.ts'
export type * from './engine/statistics-types.ts'
export type * from './engine/writing/types.ts'
export type { Loss } from './storage/segment/salvage.ts'
export type { FileKind, FileProblem, VerifiedFile } from './storage/verify/types.ts'

/** Options of `compact`. The signal stops the merge under way, if nobody else waits for it; what was merged stays merged. */
export interface CompactionOptions extends Stoppable {
  /** Called now and then while a merge runs; an error that it throws ends the call. */
  readonly onProgress?: ((progress: CompactionProgress) => void) | undefined
}

/** How far a merge is; `merges` are those that came before it, of this call. */
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

/**
 * Verifies while it is read: file by file, or to the end. It can be read once.
 *
 * @example
 * for await (const { path, problems } of db.verify()) console.log(path, problems)
 * const { ok, damaged } = await db.verify().all()
 */
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

/** A series: rows of one metric with the same tags. */
export interface SeriesInfo {
  /** Decimal text of the unsigned 64-bit id. */
  readonly id: string
  readonly metric: string
  readonly tags: Tags
  /** `cpu{dc="x",host="a"}` */
  readonly printed: string
}

/**
 * An open database. Everything works side by side: ingest, queries, maintenance. Calls reject with a `SydraError`; those that
 * take a `signal` with `cancelled`, whose `cause` is the signal's reason, as soon as it is aborted.
 *
 * @example
 * await using db = await open('./data')
 */
export interface Database extends AsyncDisposable {
  /** The directory, or ':memory:'. */
  readonly dataDir: string

  // ---- rows go in ---------------------------------------------------------------------------------------------------

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

  // ---- queries ------------------------------------------------------------------------------------------------------

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

  // ---- what happens -------------------------------------------------------------------------------------------------

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

  // ---- upkeep -------------------------------------------------------------------------------------------------------

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
