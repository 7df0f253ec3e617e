/** Settings as a program writes them. */
import type { RollupWidth } from './rollup-widths.ts'

/** Bytes as a number, or as text with a unit: `64 * 1024`, `"8MiB"`, `"1.5GB"`. */
export type Size = number | string
/** Milliseconds as a number, or text with a unit: `250`, `"250ms"`, `"2s"`, `"10m"`, `"1h"`, `"7d"`. */
export type Duration = number | string

/**
 * Settings of a database. What is left out has its default; `sydradb.toml` has the same in snake_case. A setting that there is
 * not is `unknown_setting`, a value that will not do `invalid_setting`.
 *
 * @example
 * await open({ dataDir: './data', fsync: 'interval', memLimitBytes: '1GiB', query: { timeoutMs: '10s' } })
 */
export interface SettingsInput {
  /** Directory of the database, or ':memory:'; default `./data`. */
  readonly dataDir?: string | undefined
  /** Where the server listens; default `127.0.0.1`. */
  readonly httpHost?: string | undefined
  /** Default 8080; 0 takes a free port. */
  readonly httpPort?: number | undefined
  /** The server requires it as `Authorization: Bearer …` when it is not empty, which it is by default. */
  readonly authToken?: string | undefined
  /** Allows listening beyond loopback without a token; default false. */
  readonly insecure?: boolean | undefined
  /**
   * When an acknowledged row is on the disk: `always` (default) before it is acknowledged, `interval` within `fsyncIntervalMs`,
   * `none` as the OS likes.
   */
  readonly fsync?: 'always' | 'interval' | 'none' | undefined
  /** Default 200 ms. */
  readonly fsyncIntervalMs?: Duration | undefined
  /** Age at which a memtable is flushed; 0 never; default 10 minutes. */
  readonly flushIntervalMs?: Duration | undefined
  /** Size at which a memtable is flushed; default 32 MiB. */
  readonly memtableMaxBytes?: Size | undefined
  /**
   * Whether large flushes are encoded in another thread, which takes 45 MB while they follow one another; default true, of
   * `sydradb serve` false. In the own thread ingest and queries go before them.
   */
  readonly flushInThread?: boolean | undefined
  /** What memtables, rows in flight, caches and queries hold together; default 256 MiB. */
  readonly memLimitBytes?: Size | undefined
  /** Released WAL that is kept for resuming subscribers; default 256 MiB. */
  readonly walKeepBytes?: Size | undefined
  /** Series that there may be; default a million. Rows of a further one are refused with `too_many_series`. */
  readonly maxSeries?: number | undefined
  /** Which of two rows with one series and timestamp wins (default `last`); fixed when the database is made. */
  readonly duplicates?: 'last' | 'first' | undefined
  /** Days after which a row is not seen any more, and removed in the background; default 0: kept for ever. */
  readonly retentionDays?: number | undefined
  /** The same for the metrics of a namespace, which is a name up to its first `.`: `{ weather: 30 }`. */
  readonly retention?: Readonly<Record<string, number>> | undefined
  readonly compaction?: CompactionSettings | undefined
  readonly rollups?: RollupSettings | undefined
  readonly ingest?: IngestSettings | undefined
  readonly live?: LiveSettings | undefined
  readonly query?: QuerySettings | undefined
}

/** Merging of segments in the background. */
export interface CompactionSettings {
  /** Default true; `db.compact()` merges in any case. */
  readonly enabled?: boolean | undefined
  /** What a merge reads and writes per second; 0: as fast as it can; default 64 MiB. */
  readonly bytesPerSecondMax?: Size | undefined
}

/** Summaries of rows by buckets of time, from which queries answer. */
export interface RollupSettings {
  /** Whether compaction writes them, and queries use them; default true. */
  readonly enabled?: boolean | undefined
  /** Of which widths they are written, where rows are dense; default `1m`, `5m`, `1h`, `1d`. */
  readonly widths?: readonly RollupWidth[] | undefined
  /**
   * Days that they are kept where that is longer than rows: for all widths, or by width; 0: for ever. A width without is kept as
   * long as rows.
   */
  readonly keepDays?: number | Readonly<Partial<Record<RollupWidth, number>>> | undefined
}

/** Rows on their way in. */
export interface IngestSettings {
  /** Bytes of rows between the socket and their acknowledgement; default 8 MiB. */
  readonly inFlightMaxBytes?: Size | undefined
  /** Writers that may wait for those bytes, by default 1,024; one more is answered `overloaded`. */
  readonly waitingMax?: number | undefined
}

/** Live queries. */
export interface LiveSettings {
  /** Subscriptions at once, by default 10,000; one more is refused with `too_many_subscriptions`. */
  readonly subscriptionsMax?: number | undefined
  /** The same over HTTP for one client address, by default 1,000; behind a proxy all clients have its address. */
  readonly perClientMax?: number | undefined
  /** Rows of a snapshot, and rows that one live query keeps; default 100,000. */
  readonly rowsMax?: number | undefined
  /** What one live query keeps, states of groups and rows; default 64 MiB. */
  readonly memoryMaxBytes?: Size | undefined
  /** Rows of recent changes that one live query keeps for subscribers that are slow or come back; default 100,000. */
  readonly changesMax?: number | undefined
  /**
   * Commits that wait to be looked at, for all live queries together; default 32 MiB. A query that is further behind begins
   * anew.
   */
  readonly pendingMaxBytes?: Size | undefined
  /** How often a query runs again that cannot be kept from commit to commit; default 1 s. */
  readonly rerunMs?: Duration | undefined
  /** How often `now()` advances; default 1 s. */
  readonly tickMs?: Duration | undefined
  /** How often a subscriber hears how far its answer goes while nothing changes in it; default 1 s, 0: never. */
  readonly progressMs?: Duration | undefined
  /**
   * How often a client hears something while there is nothing to tell, and is asked whether it is still there; default 15 s, 30 s at
   * most.
   */
  readonly heartbeatMs?: Duration | undefined
  /** A client that takes nothing of what was sent, or does not answer, for so long is cut; default 30 s. */
  readonly clientStallMs?: Duration | undefined
}

/** Queries, live ones apart. */
export interface QuerySettings {
  /** Default 0: no limit. */
  readonly timeoutMs?: Duration | undefined
  /** Refuses selects without a time range with `time_range_required`; default false. */
  readonly requireTimeRange?: boolean | undefined
  /** What one query may hold in sorts, groups and windows; default 128 MiB. */
  readonly memoryMaxBytes?: Size | undefined
  /** What one query may hold in temporary files when its memory is full; 0: nothing; default 8 GiB. */
  readonly spillMaxBytes?: Size | undefined
  /** Queries that run at once, by default 256; one more is answered `overloaded`. */
  readonly runningMax?: number | undefined
}
