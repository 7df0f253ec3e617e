/** The public types of snapshots. */
import type { Stoppable } from '../../lib/cancel.ts'
import type { Lsn } from '../../storage/types.ts'

/** The database as it was at a moment. */
export interface Snapshot {
  /** 64 hexadecimal digits; the first 8 or more stand for it where they are of one snapshot only. */
  readonly id: string
  readonly names: readonly string[]
  /** `HEAD`: the newest, or the one that was restored last. */
  readonly isHead: boolean
  readonly message: string
  /** When it was taken: µs since the epoch, UTC. */
  readonly timeUs: number
  /** HEAD, where it was put, when it was taken; it may be gone. */
  readonly parent: string | undefined
  /** Every commit up to here is in it. */
  readonly lsn: Lsn
  readonly segments: number
  /** Duplicates and deleted rows count until they are merged away. */
  readonly rows: number
  /** Of all its files; those it shares with others count for each. */
  readonly bytes: number
  /** Damaged segments that could not be read when it was taken, and are not in it. */
  readonly leftOut: readonly string[]
}

/** Options of `snapshot`. An abort leaves no snapshot, and nothing that the next `gc` would not remove. */
export interface SnapshotOptions extends Stoppable {
  /** At most 10,000 characters. */
  readonly message?: string | undefined
  /**
   * A directory for copies, made when absent: what it has not yet is copied there, and the name is set there. Nothing of it
   * stays in the database's own directory.
   */
  readonly to?: string | undefined
}

/** The snapshot that was taken, and what it cost. */
export interface SnapshotReport extends Snapshot {
  /** Objects that were not there before, and their bytes; of the copy where there is one. */
  readonly addedObjects: number
  readonly addedBytes: number
  readonly elapsedMs: number
}

/** Options of `restore`. An abort that comes before all changes at once leaves the database as it is. */
export interface RestoreOptions extends Stoppable {
  /** Verifies and tells what would be; changes nothing. */
  readonly dryRun?: boolean | undefined
}

/** Which snapshot was restored, or would be. */
export interface RestoreReport {
  readonly snapshot: Snapshot
  readonly dryRun: boolean
  readonly elapsedMs: number
}

/** How the rows of a series differ: by their times, then by their fields. */
export interface SeriesDifference {
  readonly metric: string
  /** As printed: `cpu{host="a"}`. */
  readonly series: string
  /** The series has rows on one side only. */
  readonly only: 'before' | 'after' | undefined
  readonly added: number
  readonly removed: number
  /** Rows at one time with other values. */
  readonly changed: number
}

/** What `gc` kept and removed: files of snapshots, each once however many need it. */
export interface GarbageReport {
  readonly kept: number
  readonly removed: number
  readonly removedBytes: number
}
