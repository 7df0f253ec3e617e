/** What Prometheus scrapes: the database's statistics, this process, and the requests served. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Database, DatabaseStatistics } from '../../types.ts'
import type { CutReason } from './live-delivery.ts'

type Reading = readonly [name: string, help: string, read: (stats: DatabaseStatistics) => number]

const gauges: readonly Reading[] = [
  ['sydradb_lsn', 'Log sequence number of the last commit', stats => stats.lsn],
  ['sydradb_metrics', 'Metrics known', stats => stats.metrics],
  ['sydradb_series', 'Series known', stats => stats.series],
  ['sydradb_segments', 'Segment files', stats => stats.segments.count],
  ['sydradb_segment_rows', 'Rows in segments', stats => stats.segments.rows],
  ['sydradb_segment_bytes', 'Bytes of segments', stats => stats.segments.bytes],
  ['sydradb_segments_quarantined', 'Damaged segments left out at opening', stats => stats.segments.quarantined],
  ['sydradb_segments_damaged', 'Segments found damaged since', stats => stats.segments.damaged],
  ['sydradb_files_set_aside', 'Damaged files kept beside their successors', stats => stats.setAside],
  ['sydradb_memtable_rows', 'Rows in memtables', stats => stats.memtable.rows],
  ['sydradb_memtable_bytes', 'Bytes of memtables', stats => stats.memtable.bytes],
  ['sydradb_memtables_frozen', 'Memtables waiting for their flush', stats => stats.memtable.frozen],
  ['sydradb_wal_bytes', 'Bytes of WAL files', stats => stats.wal.bytes],
  ['sydradb_wal_files', 'WAL files', stats => stats.wal.files],
  ['sydradb_ingest_in_flight_bytes', 'Rows not yet acknowledged', stats => stats.ingest.inFlightBytes],
  ['sydradb_ingest_in_flight_max_bytes', 'Their limit', stats => stats.ingest.inFlightMaxBytes],
  ['sydradb_queries_running', 'Queries running', stats => stats.queries.running],
  ['sydradb_live_subscriptions', 'Subscriptions to live queries', stats => stats.live.subscriptions],
  ['sydradb_live_queries', 'Distinct live queries', stats => stats.live.queries],
  ['sydradb_live_bytes', 'What live queries keep', stats => stats.live.bytes],
  ['sydradb_live_pending_bytes', 'Commits that live queries have not looked at', stats => stats.live.pendingBytes],
  ['sydradb_live_pending_max_bytes', 'Their limit', stats => stats.live.pendingMaxBytes],
  ['sydradb_live_behind_lsns', 'How far the slowest live query is behind', stats => stats.live.behindLsns],
  ['sydradb_versions_pinned', 'Readers that hold a version', stats => stats.versions.pins],
  ['sydradb_version_oldest_seconds', 'Age of the oldest of them', stats => stats.versions.oldestPinMs / 1000],
  ['sydradb_files_waiting', 'Replaced segments that a reader still needs', stats => stats.versions.filesWaiting],
  ['sydradb_files_waiting_bytes', 'Their bytes', stats => stats.versions.bytesWaiting],
  ['sydradb_compaction_running', '1 while segments are merged', stats => Number(stats.compaction.running)],
  ['sydradb_compaction_skipped', 'Segments that merges failed with and leave alone', stats => stats.compaction.skipped],
  [
    'sydradb_write_amplification',
    'Bytes that flushes and merges wrote per byte that flushes wrote',
    stats => stats.compaction.writeAmplification,
  ],
  ['sydradb_memory_limit_bytes', 'mem_limit_bytes', stats => stats.memory.limitBytes],
  ['sydradb_memory_bytes', 'What the parts below hold together', stats => stats.memory.bytes],
  ['sydradb_memory_peak_bytes', 'The most that they held', stats => stats.memory.peakBytes],
  ['sydradb_memory_memtables_bytes', 'Memtables, active and frozen', stats => stats.memory.parts.memtables.bytes],
  ['sydradb_memory_pinned_bytes', 'Flushed memtables still read', stats => stats.memory.parts.pinned.bytes],
  ['sydradb_memory_queries_bytes', 'Sorts, groups and windows', stats => stats.memory.parts.queries.bytes],
  ['sydradb_memory_backlog_bytes', 'Commits live queries are behind', stats => stats.memory.parts.backlog.bytes],
  ['sydradb_memory_live_bytes', 'What live queries keep', stats => stats.memory.parts.live.bytes],
  ['sydradb_memory_pool_bytes', 'Slabs for the next memtable', stats => stats.memory.parts.pool.bytes],
  ['sydradb_memory_cache_bytes', 'What was read from segments', stats => stats.memory.parts.cache.bytes],
  ['sydradb_memory_spare_bytes', 'Arrays for the next query', stats => stats.memory.parts.spare.bytes],
  ['sydradb_slabs_in_use', 'Slabs of memtables', stats => stats.memory.chunks.slabsInUse],
  ['sydradb_read_only', '1 when no rows are taken', stats => Number(stats.readOnly)],
]
const counters: readonly Reading[] = [
  ['sydradb_ingest_rows_total', 'Rows stored', stats => stats.ingest.rows],
  ['sydradb_ingest_rejected_total', 'Rows refused', stats => stats.ingest.rejected],
  ['sydradb_ingest_bytes_total', 'Bytes of rows read', stats => stats.ingest.bytes],
  ['sydradb_commits_total', 'Commits', stats => stats.commits],
  ['sydradb_flushes_total', 'Flushes', stats => stats.flushes],
  ['sydradb_flushes_early_total', 'Flushes because memory was short', stats => stats.earlyFlushes],
  ['sydradb_readers_expired_total', 'Readers told snapshot_expired', stats => stats.memory.readersExpired],
  ['sydradb_slabs_made_total', 'Slabs allocated', stats => stats.memory.chunks.slabsMade],
  ['sydradb_slabs_reused_total', 'Slabs used again', stats => stats.memory.chunks.slabsReused],
  ['sydradb_compaction_merges_total', 'Merges of segments', stats => stats.compaction.merges],
  ['sydradb_compaction_failed_total', 'Merges that failed', stats => stats.compaction.failed],
  ['sydradb_compaction_rows_total', 'Rows that merges read', stats => stats.compaction.rowsRead],
  ['sydradb_compaction_read_bytes_total', 'Bytes that merges read', stats => stats.compaction.bytesRead],
  ['sydradb_compaction_written_bytes_total', 'Bytes that merges wrote', stats => stats.compaction.bytesWritten],
  ['sydradb_expired_segments_total', 'Segments that expired', stats => stats.retention.segments],
  ['sydradb_expired_rows_total', 'Rows in them', stats => stats.retention.rows],
  ['sydradb_wal_frames_total', 'WAL frames written', stats => stats.wal.frames],
  ['sydradb_wal_syncs_total', 'WAL syncs', stats => stats.wal.syncs],
  ['sydradb_queries_total', 'Queries started', stats => stats.queries.started],
  ['sydradb_queries_failed_total', 'Queries that ended with an error', stats => stats.queries.failed],
  ['sydradb_queries_cancelled_total', 'Queries cancelled', stats => stats.queries.cancelled],
  ['sydradb_live_steps_total', 'Steps of live queries', stats => stats.live.steps],
  ['sydradb_live_reruns_total', 'Live queries run again', stats => stats.live.reruns],
  ['sydradb_live_rows_total', 'Rows that live queries changed', stats => stats.live.rows],
  ['sydradb_live_lagged_total', 'Subscribers told to begin anew', stats => stats.live.lagged],
  ['sydradb_rows_scanned_total', 'Rows read by queries', stats => stats.queries.rowsScanned],
  ['sydradb_rows_emitted_total', 'Rows given by queries', stats => stats.queries.rowsEmitted],
]

export type Transport = 'sse' | 'websocket'

export interface Metrics {
  /** `route` is the pattern, never the path: the number of label values is the number of routes. */
  observe(method: string, route: string, status: number, seconds: number): void
  /** A client that follows a live query, until it is `closed`, by us where there is a reason. */
  liveConnection(transport: Transport): { closed(cut: CutReason | undefined): void }
  /** The exposition and its content type. */
  expose(): Promise<{ readonly text: string; readonly contentType: string }>
}

export function createMetrics(db: Database): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const [name, help, read] of gauges) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read(db.stats()))
      },
    })
  }
  for (const [name, help, read] of counters) {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(read(db.stats()))
      },
    })
  }
  const requests = new Counter({
    name: 'sydradb_http_requests_total',
    help: 'HTTP requests answered',
    labelNames: ['method', 'route', 'status'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'sydradb_http_request_duration_seconds',
    help: 'Time from a request’s head to the end of its response',
    labelNames: ['method', 'route'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
    registers: [registry],
  })
  const connections = new Gauge({
    name: 'sydradb_live_connections',
    help: 'Clients that follow a live query',
    labelNames: ['transport'],
    registers: [registry],
  })
  const cuts = new Counter({
    name: 'sydradb_live_connections_cut_total',
    help: 'Clients of live queries that took nothing any more, or did not answer',
    labelNames: ['transport', 'reason'],
    registers: [registry],
  })
  return {
    observe(method, route, status, seconds) {
      requests.inc({ method, route, status })
      durations.observe({ method, route }, seconds)
    },
    liveConnection(transport) {
      connections.inc({ transport })
      return {
        closed(reason) {
          connections.dec({ transport })
          if (reason !== undefined) cuts.inc({ transport, reason })
        },
      }
    },
    async expose() {
      return { text: await registry.metrics(), contentType: registry.contentType }
    },
  }
}
