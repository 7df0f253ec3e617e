/** Live queries as users of the library see them. */
import type { Observable } from 'rxjs'
import type { ColumnInfo } from '../../columnar/batch.ts'
import type { Stoppable } from '../../lib/cancel.ts'
import type { LiveStrategy } from '../../operators/live/types.ts'
import type { Lsn } from '../../storage/types.ts'
import type { AnyRow, RowOptions } from '../queries/types.ts'

/** A column of a live result. Rows whose `key` columns are equal are one row, at different times. */
export interface LiveColumn extends ColumnInfo {
  readonly key: boolean
  /** Not selected by the query: there for its key. */
  readonly hidden: boolean
}

/** Why there is a new snapshot: the one before it is void. */
export type LiveRestart =
  /** The subscriber was slower than what is kept for slow ones. */
  | 'lagged'
  /** What happened since the event that was to be resumed from is not known any more. */
  | 'not_resumable'
  /** The database was made what it was at a snapshot. */
  | 'restored'
  /** The columns are others now. */
  | 'schema'

/**
 * What a live query tells. `id` is what to resume from; `lsn`: every commit up to there is in what was told so far.
 * Apply `added` and `changed` by key, remove `removed`, and the rows are those of the query at that LSN.
 */
export type LiveEvent<Row = AnyRow> =
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
  | { readonly kind: 'lagged'; readonly lsn: Lsn; readonly reason: LiveRestart }

/** A row of which only the key columns count; the others are null. */
export type KeysOf<Row> = { readonly [Column in keyof Row]: Row[Column] | null }

/** Options of `live`. An abort of the signal ends the subscription with `cancelled`. */
export interface LiveOptions extends Stoppable, RowOptions {
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
 * The same options, for rows as arrays in the columns' order: what is written as text needs no names. Equal events of equal
 * queries share their arrays, rows and lists of rows alike: they are not to be changed.
 *
 * @example
 * for await (const event of db.live('select * from cpu', [], { rows: 'arrays' })) …
 */
export type WithArrays<Options extends LiveOptions> = Omit<Options, 'rows'> & { readonly rows: 'arrays' }

/**
 * A subscription that is pulled: the slow one finds what it missed as one delta, by key, or `lagged` and a snapshot. What
 * surfaces and bridges with backpressure are made of.
 */
export interface LiveReader<Row = AnyRow> extends AsyncIterableIterator<LiveEvent<Row>>, AsyncDisposable {
  /** Those of the last event's rows; undefined before the first. A subscription that is resumed begins without a snapshot. */
  readonly columns: readonly LiveColumn[] | undefined
  /** What there is to tell now; undefined: nothing. Throws what ended it, once. */
  poll(): LiveEvent<Row> | undefined
  /** Ends the subscription. Calling it again does nothing. */
  close(): void
  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Pushes events to subscribers, who take them as they come; with `reader`, or `for await`, they are pulled.
 *
 * @example
 * for await (const event of db.live('select * from cpu')) if (event.kind === 'delta') console.log(event.added)
 */
export interface LiveObservable<Row = AnyRow> extends Observable<LiveEvent<Row>>, AsyncIterable<LiveEvent<Row>> {
  /** Subscribes, for one who pulls. Throws nothing: what is wrong comes with the first pull. */
  reader(): LiveReader<Row>
}

/** What `stats()` tells of live queries. */
export interface LiveStatistics {
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
