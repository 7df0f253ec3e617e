/**
 * `db.into(metric)`: a live query that is written into a metric, and with it a continuous aggregate.
 *
 *   live query ─► change ─► write ─► what was written, and up to where ─► next change …
 *
 * Invariants:
 * 1. One change is written at a time. A live query is pulled: what happens meanwhile it tells as one change, or begins anew. Other
 *    Observables push: what comes meanwhile is joined, up to a limit.
 * 2. What comes out says that everything up to its event is in the metric. An error, or the end, comes after all that.
 *    With either database it ends.
 * 3. Unsubscribing ends the subscription at once; the write under way is finished.
 */
import { Observable, type OperatorFunction } from 'rxjs'
import { SydraError } from '../../lib/errors.ts'
import type { Lsn } from '../../storage/types.ts'
import { changesOf } from './into-changes.ts'
import { type IntoDatabase, intoMetric } from './into-metric.ts'
import type { LiveEvent } from './types.ts'

/** Options of `into`. */
export interface IntoOptions {
  /**
   * What becomes of rows that leave the result: they stay in the metric (`keep`, default), so that it outlives the rows it was
   * made from, or they are deleted (`delete`), as values are that become null. Then the metric is the result, and nobody
   * else's.
   */
  readonly removed?: 'keep' | 'delete' | undefined
}

/** All that the query told up to an event is in the metric, as durable as `fsync` says. */
export interface Materialized {
  /** Of the event: what to resume the query from. */
  readonly id: string
  /** Every commit up to there is in it. */
  readonly lsn: Lsn
  /** The commit of the rows that were written; undefined: there were none. */
  readonly writtenLsn: Lsn | undefined
  readonly rows: number
  readonly deleted: number
}

/** Subscribed to, it writes the query's rows, and what changes of them. */
export const into =
  <Row>(
    db: IntoDatabase,
    metric: string,
    { removed = 'keep' }: IntoOptions = {},
  ): OperatorFunction<LiveEvent<Row>, Materialized> =>
  source =>
    new Observable(subscriber => {
      const changes = changesOf(source)
      subscriber.add(() => changes.close())
      const target = intoMetric(db, metric, removed)
      const drive = async (): Promise<void> => {
        while (!subscriber.closed) {
          const change = await changes.next()
          if (change === undefined) return subscriber.complete()
          const { writtenLsn, rows, deleted } = await target.write(change)
          subscriber.next({ id: change.id, lsn: change.lsn, writtenLsn, rows, deleted })
        }
      }
      drive().catch((error: unknown) => {
        // a live query of a database that closes ends, too
        if (error instanceof SydraError && error.code === 'shutting_down') subscriber.complete()
        else subscriber.error(error)
      })
    })
