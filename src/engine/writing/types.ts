/** The public types of ingest: rows as programs give them, where they come from, and what became of them. */
import type { Subscribable } from 'rxjs'
import type { Stoppable } from '../../lib/cancel.ts'
import type { ErrorCode, SydraError } from '../../lib/errors.ts'
import type { Lsn } from '../../storage/types.ts'
import type { Precision } from '../queries/types.ts'

export type {
  ColumnRows,
  FieldColumn,
  GivenBooleans,
  GivenNumbers,
  GivenStrings,
  IndexArray,
  NumberArray,
  TagSet,
  TimeColumn,
} from '../../storage/rows/column-types.ts'

/** A field's value; null and undefined are absent. A bigint does not go: integers are between ±2^53. */
export type FieldValue = number | string | boolean | null | undefined

/**
 * A row as an object: at least one field, of one moment of one series. Rows of one series and time are merged field by field.
 *
 * @example
 * const row: RowObject = { series: 'cpu', ts: new Date(), fields: { usage: 0.64, state: 'ok' }, tags: { host: 'a' } }
 */
export interface RowObject {
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
 * Where rows come from: objects, or NDJSON as bytes or text cut anywhere. What is pulled is pulled no faster than it is stored;
 * an Observable has no such brake, and fails with `overloaded` when it is a million rows ahead of the disk.
 */
export type IngestSource =
  | Iterable<RowObject>
  | AsyncIterable<RowObject | Uint8Array | string>
  | ReadableStream<RowObject | Uint8Array>
  | Subscribable<RowObject>

/** How rows are read. An abort of the signal stops that: what was read before is stored. */
export interface IngestOptions extends Stoppable {
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

/** How columns are read. An abort of the signal stops that: what was read before is stored. */
export interface ColumnOptions extends Stoppable {
  /** Unit of integer times; without it the first one settles it by magnitude. */
  readonly precision?: Precision | undefined
  /** Called after each durable commit: the first `lines` rows are safe. */
  readonly onCommit?: ((progress: { readonly lines: number; readonly lsn: Lsn }) => void) | undefined
}

/** A row that was not stored, and why. */
export interface RowError {
  /** Counts from 1; of objects the row's index + 1. */
  readonly line: number
  readonly code: ErrorCode
  readonly message: string
}

/** What became of a source's rows. */
export interface IngestReport {
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

/**
 * Rows that are pushed as NDJSON bytes: what an HTTP body is written to.
 *
 * @example
 * await using stream = db.ingestStream({ precision: 'ms' })
 * for await (const chunk of socket) await stream.write(chunk)
 * const { ingested, failure } = await stream.end()
 */
export interface IngestStream extends AsyncDisposable {
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
