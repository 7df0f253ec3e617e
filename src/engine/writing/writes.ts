/**
 * Writes: what `insert` and `delete` of the language do, by the way every row goes.
 *
 *   insert -> permit -> rows settled -> submit -> commit        delete -> permit -> series found -> submit -> commit
 *
 * Invariants:
 * 1. A statement is one commit: all of it is durable by the policy and visible when its promise resolves, or none is.
 * 2. The series a delete concerns are found when it is submitted. Rows submitted before have lower LSNs and their series
 *    are in the catalog; later ones have higher LSNs and are not concerned.
 */
import { unlessCancelled } from '../../lib/cancel.ts'
import { SydraError } from '../../lib/errors.ts'
import { selectSeries } from '../../operators/scan/series.ts'
import { settleInsert } from '../../storage/rows/insert-rows.ts'
import type { Deletion } from '../../storage/tombstones/tombstones.ts'
import type { Lsn, RowBatch } from '../../storage/types.ts'
import type { DeleteWrite, InsertWrite, Writes } from '../queries/engine.ts'
import type { Storage } from '../recovery/open-storage.ts'
import type { IngestEngine } from './progress.ts'

/** What writes need of the engine. */
export type WriteEngine = Pick<IngestEngine, 'permits' | 'admit'> & {
  readonly storage: Pick<Storage, 'catalog' | 'kernels'>
  /** Resolves when the rows, or the delete, are durable by the policy and visible. */
  submit(batch: RowBatch, deletion?: Deletion): Promise<Lsn>
}

const noRows: RowBatch = { metrics: [], rowCount: 0, byteLength: 0 }
/** What a row of an insert is taken to weigh before it is settled. */
const insertedRowBytes = 128
const deletedSeriesBytes = 4

export function createWrites(engine: WriteEngine): Writes {
  /** Runs a write with a permit for its bytes. One that has begun goes on, whoever gives up waiting. */
  const admitted = async <T>(bytes: number, signal: AbortSignal, write: () => Promise<T>): Promise<T> => {
    engine.admit()
    await engine.permits.acquire(bytes, signal)
    const run = async (): Promise<T> => {
      try {
        engine.admit()
        return await write()
      } finally {
        engine.permits.release(bytes)
      }
    }
    return unlessCancelled(run(), signal)
  }

  return {
    insert: (write: InsertWrite, signal: AbortSignal) =>
      admitted(write.rows.length * insertedRowBytes, signal, async () => {
        if (write.rows.length === 0) return 0
        const batch = settleInsert(write, engine.storage.catalog)
        await engine.submit(batch)
        return batch.rowCount
      }),

    delete: (write: DeleteWrite, signal: AbortSignal) => {
      const { catalog } = engine.storage
      return admitted(deletedSeriesBytes * catalog.seriesCount, signal, async () => {
        const { series, concerned } = resolve(write, engine.storage)
        if (concerned === 0) return 0
        const { fromUs, toUs } = write.range
        await engine.submit(noRows, { metric: catalog.metric(write.metric)!.id, fromUs, toUs, series })
        return concerned
      })
    },
  }
}

interface Resolved {
  /** undefined: all of the metric. */
  readonly series: Uint32Array | undefined
  readonly concerned: number
}

function resolve(
  { metric: name, range, seriesPredicate }: DeleteWrite,
  { catalog, kernels }: WriteEngine['storage'],
): Resolved {
  const metric = catalog.metric(name)
  if (metric === undefined) throw new SydraError('unknown_metric', `there is no metric ${JSON.stringify(name)}`)
  const all = catalog.seriesOf(metric.id).length
  if (!(range.fromUs < range.toUs)) return { series: undefined, concerned: 0 }
  const chosen = selectSeries(metric, undefined, seriesPredicate, catalog, kernels)?.ordinals
  if (chosen === undefined || chosen.length === all) return { series: undefined, concerned: all }
  // an array of its own: the catalog's lists grow
  return { series: chosen.slice(), concerned: chosen.length }
}
