/** The same busy day, with a crash at the n-th call of the disk: flushes, deletes, a merge, a snapshot, a restore. */
import { SeededRandom } from '../simulated/random.ts'
import { markMetric } from './model.ts'
import type { Action, Plan } from './plan.ts'
import { dataDir } from './plan.ts'
import { dayUs, RandomRows } from './rows.ts'

export function busyDay(call: number): Plan {
  const rows = new RandomRows(new SeededRandom(7))
  const ingest = (count: number): Action => ({ kind: 'ingest', batches: [rows.take(count)], wait: true })
  const large: Action = { kind: 'ingest', batches: Array.from({ length: 20 }, () => [rows.large(60_000)]), wait: true }
  const remove = (): Action => ({ kind: 'delete', deletions: [rows.deletion()], wait: true })
  const flush: Action = { kind: 'flush', wait: true }
  const actions: Action[] = [
    { kind: 'crash-at', calls: call, power: call % 5 > 0, seed: call },
    // so much that a log file is let go
    large,
    remove(),
    flush,
    remove(),
    ingest(10),
    remove(),
    flush,
    ingest(10),
    { kind: 'snapshot', during: rows.take(5) },
    ingest(10),
    flush,
    { kind: 'clock', us: 8 * dayUs },
    { kind: 'compact', wait: true },
    { kind: 'restore', pick: 0 },
    { kind: 'gc' },
    ingest(3),
    { kind: 'close' },
  ]
  const asks = { shape: 'by-series', metric: 'm0.x', width: '1h', field: 'f0' } as const
  const retention = { [markMetric]: 0, m1: 20 }
  return {
    settings: { dataDir, fsync: 'always', memtableMaxBytes: 128 * 1024, walKeepBytes: 0, retention },
    isWatched: call % 2 === 0,
    steps: actions.map(action => ({ ...action, asks })),
  }
}
