/**
 * What goes on in the background for years: segments are merged, and dropped when all their rows have expired.
 *
 *   timer            -> retention   -> replaceSegments
 *   flushes, timer   -> compaction  -> a thread of its own -> replaceSegments        (compactor.ts)
 *
 * Invariants:
 * 1. Ingest and queries never wait for it, and readers of before keep what they see: files go with their last reader.
 * 2. Nothing begins on a read-only database, nor once `close` was called: that stops the merge under way and waits for it.
 */
import { from, type Subject } from 'rxjs'
import { type SydraError, toSydraError } from '../../lib/errors.ts'
import type { Ports } from '../../lib/ports.ts'
import type { Settings } from '../../lib/settings.ts'
import { retention } from '../../pipeline/retention.ts'
import { portScheduler } from '../../pipeline/scheduler.ts'
import { expired, type MetricsOf } from '../../storage/retention/expired.ts'
import { segmentMetrics } from '../../storage/retention/segment-metrics.ts'
import type { SegmentMeta } from '../../storage/types.ts'
import type { CompactionOptions, CompactionReport, DatabaseStatistics, EngineEvent } from '../../types.ts'
import type { Storage } from '../recovery/open-storage.ts'
import { createCompactor } from './compactor.ts'

/** How often is looked for segments that have expired, and for windows of time that have closed. */
const intervalMs = 60_000

export interface MaintenanceOptions {
  readonly settings: Settings
  readonly ports: Ports
  readonly storage: Storage
  readonly events: Subject<EngineEvent>
  /** Why nothing may be written now; undefined when it may. */
  readonly refusal: () => SydraError | undefined
}

export interface Maintenance {
  /** Merges until nothing is left to gain. */
  compact(options?: CompactionOptions): Promise<CompactionReport>
  stats(): Pick<DatabaseStatistics, 'compaction' | 'retention'>
  /** Stops it all; resolves when nothing is under way any more. */
  close(): Promise<void>
}

export function startMaintenance(options: MaintenanceOptions): Maintenance {
  const { ports, storage, events } = options
  const { rules } = storage
  const scheduler = portScheduler(ports.clock, ports.timers)
  const compactor = createCompactor({ ...options, scheduler, intervalMs })
  const metricsOf = segmentMetrics(storage.environment)
  const dropped = { segments: 0, rows: 0, bytes: 0 }

  const tell = (segments: readonly SegmentMeta[]): void => {
    const rows = segments.reduce((sum, meta) => sum + (meta.rollup === undefined ? meta.rows : 0), 0)
    const bytes = segments.reduce((sum, meta) => sum + meta.bytes, 0)
    dropped.segments += segments.length
    dropped.rows += rows
    dropped.bytes += bytes
    events.next({ kind: 'expired', segments, rows, bytes })
  }
  const drops = rules.isEmpty
    ? undefined
    : retention({ drop: () => from(dropExpired(options, metricsOf)) }, { intervalMs }, scheduler).subscribe(event => {
        if (event.kind === 'expired') tell(event.segments)
        else events.next({ kind: 'retention-failed', message: toSydraError(event.error).message })
      })

  return {
    compact: compactor.compact,
    stats: () => ({ compaction: compactor.stats(), retention: { ...dropped } }),
    async close() {
      drops?.unsubscribe()
      await compactor.close()
    },
  }
}

/** Those that could not be opened stay for whoever wants to repair them. */
async function dropExpired(
  { ports, storage, refusal }: MaintenanceOptions,
  metricsOf: MetricsOf,
): Promise<readonly SegmentMeta[]> {
  const { versions, rules } = storage
  let gone: readonly SegmentMeta[] = []
  if (refusal() !== undefined) return gone
  await storage.replaceSegments(present => {
    const open = new Set(versions.segments.map(({ meta }) => meta.id))
    gone = expired(present, rules, ports.clock.nowUs(), metricsOf).filter(({ id }) => open.has(id))
    return gone.length === 0 ? undefined : { remove: new Set(gone.map(({ id }) => id)), add: [] }
  })
  return gone
}
