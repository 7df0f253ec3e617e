/** The public types of queries: what a statement is given, and what its result can be read as. */
import type { Subscribable } from 'rxjs'
import type { Batch, Schema } from '../../columnar/batch.ts'
import type { Stoppable } from '../../lib/cancel.ts'
import type { SydraError } from '../../lib/errors.ts'

// ---- what goes in ---------------------------------------------------------------------------------------------------

/** A value for a `?` or `$n`: bound to the statement, never made part of its text. A Date is a timestamp. */
export type QueryParameter = number | string | boolean | null | Date

/** Values for `?` in their order, or for `$n` by position: the first is `$1`. */
export type QueryParameters = readonly QueryParameter[]

/** How long a query may run, and what ends it. */
export interface RunOptions extends Stoppable {
  /** Milliseconds after which it fails with `query_timeout`; 0: none; by default the setting `query.timeoutMs`. */
  readonly timeoutMs?: number | undefined
}

/** How rows carry timestamps; for Dates, see `WithDates`. */
export interface RowOptions {
  /** `us` (default): numbers of microseconds since the epoch, UTC. `date`: Dates, which are exact to the millisecond. */
  readonly time?: 'us' | undefined
}

/** Options of a query. */
export interface QueryOptions extends RunOptions, RowOptions {}

/**
 * The same options, for rows whose timestamps are Dates.
 *
 * @example
 * const newest = await db.query<{ time: Date }>('select time from cpu order by time desc limit 1', [], { time: 'date' }).first()
 */
export type WithDates<Options extends RowOptions> = Omit<Options, 'time'> & { readonly time: 'date' }

// ---- rows -----------------------------------------------------------------------------------------------------------

/**
 * A value of a result. Timestamps are numbers of µs since the epoch (UTC), durations are of µs; both are exact, and so are
 * integers, which are between ±2^53.
 */
export type Value = number | string | boolean | null

/** A row whose columns are not known when the program is written. */
export type AnyRow<Cell = Value> = Record<string, Cell>

/**
 * What a type of rows is: an object whose properties are the columns' values, by name. Nothing checks that the statement
 * selects them.
 *
 * @example
 * interface Usage { time: number; 'tag.host': string; usage: number | null }
 * for await (const { usage } of db.query<Usage>('select time, tag.host, usage from cpu')) …
 */
export type RowOf<Row, Cell = Value> = object & { readonly [Column in keyof Row]: Cell }

/** A result that was read to its end. */
export interface QueryAnswer<Row> {
  readonly columns: Schema
  readonly rows: Row[]
  readonly stats: QueryStatistics
}

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
export interface QueryResult<Row = AnyRow> extends AsyncIterable<Row>, AsyncDisposable {
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

/** A statement that was parsed and typed once, to run often: it is planned in microseconds then. */
export interface PreparedQuery<Row = AnyRow, Params extends QueryParameters = QueryParameters> {
  /**
   * Runs it. The parameters may be left out where there are none.
   *
   * @example
   * const above = db.prepare<{ n: number }, [least: number]>('select count(*) as n from cpu where value >= ?')
   * const { n } = (await above.query([0.5]).first())!
   */
  query(...given: PreparedArguments<Params>): QueryResult<Row>
}

/** Parameters and options; without parameters that are needed, both may be left out. */
export type PreparedArguments<Params extends QueryParameters> = [] extends Params
  ? [params?: Params, options?: RunOptions]
  : [params: Params, options?: RunOptions]

// ---- text and statistics --------------------------------------------------------------------------------------------

/** Unit of a number that is a timestamp: seconds, milliseconds, microseconds or nanoseconds since the epoch. */
export type Precision = 's' | 'ms' | 'us' | 'ns'

/** `json` is the envelope {columns, rows, stats}, `ndjson` an object a row and line, `csv` RFC 4180 with a header. */
export type TextFormat = 'json' | 'ndjson' | 'csv'

/** How a result is written as text. */
export interface TextOptions {
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

/** What a query did; the names are those of the wire. */
export interface QueryStatistics {
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
