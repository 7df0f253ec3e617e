/**
 * The backlog: commits that some live query has not looked at yet, with the memory of their rows.
 *
 *   commit 7   held by q1, q2        commit 8   held by q2          commit 9   held by q1, q2, q3
 *   bytes      of all that are held, once each
 *
 * Invariants:
 * 1. Rows are given back as soon as no query holds their commit, and not before.
 * 2. At most `bytesMax` wait, but for the newest commit, which may always: who holds the oldest is to let go first.
 */
import { assert } from '../../lib/assert.ts'
import type { CommittedDelete, CommittedRows } from '../../operators/live/types.ts'
import type { Lsn } from '../../storage/types.ts'

export interface WaitingCommit {
  readonly lsn: Lsn
  /** Of metrics that some live query reads. */
  readonly rows: readonly CommittedRows[]
  readonly deletes: readonly CommittedDelete[]
  readonly bytes: number
  /** Those who will look at it, or do so. */
  holders: number
}

export interface Commit extends Omit<WaitingCommit, 'holders'> {
  /** Its rows are not read any more. */
  letGo(): void
}

/** Who holds commits. */
export interface Holder {
  /** The oldest commit that it holds and can let go of; undefined: none. */
  readonly oldestLsn: Lsn | undefined
  /** It was told to let go, and has to end what it is doing first. */
  readonly isFalling: boolean
  /** Lets go of all of them, and begins anew from a later moment. */
  fallBehind(): void
}

export class Backlog {
  readonly bytesMax: number
  bytes = 0
  #newestLsn: Lsn = 0
  readonly #letGo = new WeakMap<WaitingCommit, () => void>()

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Held by the caller. */
  add({ letGo, ...commit }: Commit): WaitingCommit {
    const waiting: WaitingCommit = { ...commit, holders: 1 }
    this.#letGo.set(waiting, letGo)
    this.bytes += commit.bytes
    this.#newestLsn = commit.lsn
    return waiting
  }

  release(commits: readonly WaitingCommit[]): void {
    for (const commit of commits) {
      assert(commit.holders > 0, 'a commit is let go of as often as it is held')
      if (--commit.holders > 0) continue
      this.bytes -= commit.bytes
      this.#letGo.get(commit)!()
    }
  }

  /** Has those let go who are furthest behind, until the rest is within the limit. */
  limit(holders: Iterable<Holder>): void {
    while (this.bytes > this.bytesMax) {
      let furthest: Holder | undefined
      let lsn = this.#newestLsn
      for (const holder of holders) {
        if (holder.isFalling) return
        if (holder.oldestLsn === undefined || holder.oldestLsn >= lsn) continue
        lsn = holder.oldestLsn
        furthest = holder
      }
      if (furthest === undefined) return
      furthest.fallBehind()
    }
  }
}
