/**
 * Which segments may be merged: write order decides between rows of one series and time, and a merge must not change it.
 *
 *   write order   x1   z   x2        x1 and x2 would come to lie where x2 does: over z, which lay over x1
 *
 * A set X may be merged if there is no z outside of it that overlaps an x of it in time, came later than that x, and not
 * later than the last of X. Where LSNs are equal, segments are of one flush or merge and share no (series, time); but what
 * was merged into one of them may lie under the other, so that "not later" counts.
 *
 * Invariants:
 * 1. Every run that is found may be merged, whatever is done with the others.
 */
import type { SegmentMeta } from '../types.ts'

/** A segment, as choices are made about it. */
export interface Candidate {
  readonly meta: SegmentMeta
  /** The run under consideration that it belongs to; see `mergeableRuns`. */
  mark: number
}

let marks = 0

/**
 * The members in write order, cut where merging over the cut would change an answer.
 *
 * @param members in write order
 * @param all every segment that may share a (series, time) with a member, the members among them, in write order
 */
export function mergeableRuns<C extends Candidate>(members: readonly C[], all: readonly Candidate[]): C[][] {
  const mark = ++marks
  for (const member of members) member.mark = mark
  const runs: C[][] = []
  let run: C[] = []
  let minTimeUs = Infinity
  let maxTimeUs = -Infinity
  let isBlocked = false
  let at = firstLater(all, members[0]!.meta.maxLsn)
  for (let next = 0; next < members.length; ) {
    const lsn = members[next]!.meta.maxLsn
    for (; at < all.length && all[at]!.meta.maxLsn <= lsn; at++) {
      const { meta, mark: own } = all[at]!
      if (own !== mark && meta.minTimeUs <= maxTimeUs && meta.maxTimeUs >= minTimeUs) isBlocked = true
    }
    if (isBlocked) {
      runs.push(run)
      run = []
      minTimeUs = Infinity
      maxTimeUs = -Infinity
      isBlocked = false
    }
    // Members of one LSN: what is outside and has it, too, lies over none of them.
    for (; next < members.length && members[next]!.meta.maxLsn === lsn; next++) {
      const member = members[next]!
      run.push(member)
      minTimeUs = Math.min(minTimeUs, member.meta.minTimeUs)
      maxTimeUs = Math.max(maxTimeUs, member.meta.maxTimeUs)
    }
  }
  runs.push(run)
  return runs
}

/**
 * Some of a run that may be merged without the others: the oldest, at most so many, and two at least where there are. Of
 * those with one LSN all are in it, or none, or nothing else is.
 */
export function firstOf<C extends Candidate>(run: readonly C[], most: number): readonly C[] {
  if (run.length <= most) return run
  const lsnAt = (i: number): number => run[i]!.meta.maxLsn
  let end = most
  while (end > 0 && lsnAt(end) === lsnAt(end - 1)) end--
  return end >= 2 ? run.slice(0, end) : run.slice(end, end + most).filter(({ meta }) => meta.maxLsn === lsnAt(end))
}

/** The first in write order that has a higher LSN. */
function firstLater(all: readonly Candidate[], lsn: number): number {
  let low = 0
  let high = all.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (all[middle]!.meta.maxLsn <= lsn) low = middle + 1
    else high = middle
  }
  return low
}

/** As the manifest has it: by highest LSN, then by id. */
export const byWriteOrder = ({ meta: a }: Candidate, { meta: b }: Candidate): number =>
  a.maxLsn - b.maxLsn || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
