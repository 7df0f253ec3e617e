/**
 * Resuming from the log: what a subscriber missed who was away for longer than recent changes are kept.
 *
 *   commits after its LSN, from the WAL -> rows of the query's metrics -> the keys they concern, as they are now
 *
 * Invariants:
 * 1. Every frame between is read, or nothing is told: where one is missing or damaged, where rows were deleted or expired,
 *    and where more was missed than may wait in memory, a snapshot says more for less.
 */
import type { CommittedRows, LiveDelta, Moment } from '../../operators/live/types.ts'
import type { Lsn } from '../../storage/types.ts'
import { framesBetween } from '../../storage/wal/frames-between.ts'
import { understand } from '../../storage/wal/understand.ts'
import type { LiveEnvironment } from './environment.ts'
import type { Position } from './ids.ts'
import type { SharedQuery } from './shared-query.ts'

/** How long frames are read before others get their turn. */
const turnMaxMs = 8

/** From what is known to the moment; undefined: nobody can say. Throws `io_error`. */
export async function missedChanges(
  environment: LiveEnvironment,
  query: SharedQuery,
  known: Position,
  at: Moment,
): Promise<LiveDelta | undefined> {
  const { live, metrics, position } = query
  if (live.catchUp === undefined || live.dependsOnNow) return undefined
  // what expired since is in no answer; a tail has no rows that others changed
  if (known.tick !== position.tick && live.strategy !== 'tail') return undefined
  const rows = await missedRows(environment, new Set(metrics.map(({ id }) => id)), known.lsn, at.version.lsn)
  return rows && (await live.catchUp(rows, at))
}

async function missedRows(
  { ports, settings, storage }: LiveEnvironment,
  metrics: ReadonlySet<number>,
  afterLsn: Lsn,
  toLsn: Lsn,
): Promise<CommittedRows[] | undefined> {
  const missed: CommittedRows[] = []
  let bytes = 0
  let next = afterLsn + 1
  let turnStartedMs = ports.clock.monotonicMs()
  for (const frame of framesBetween(ports, `${settings.dataDir}/wal`, afterLsn, toLsn)) {
    // the catalog knows what they announced
    const { deletion, batches } = understand(frame, storage.catalog, () => {})
    if (deletion !== undefined && metrics.has(deletion.metric)) return undefined
    for (const { metrics: parts, byteLength } of batches) {
      const rows = parts.filter(({ metric }) => metrics.has(metric.id))
      if (rows.length === 0) continue
      missed.push(...rows.map(each => ({ lsn: frame.lsn, rows: each, late: undefined })))
      bytes += byteLength
    }
    if (bytes > settings.live.pendingMaxBytes) return undefined
    next = frame.lsn + 1
    if (ports.clock.monotonicMs() - turnStartedMs > turnMaxMs) {
      await new Promise<void>(resolve => ports.timers.soon(resolve))
      turnStartedMs = ports.clock.monotonicMs()
    }
  }
  return next === toLsn + 1 ? missed : undefined
}
