/**
 * Which merge is worth doing next. A pure decision; the pipeline carries it out and asks again until there is none.
 *
 *   hour   open:    runs of rows just flushed: many small ones become one       (size-tiered, as O'Neil et al., "The
 *          closed:  16 MiB or more: settled; less goes with its day               log-structured merge-tree", 1996, §3.4,
 *   day    open:    likewise, of its small hours                                  and Cassandra's time windows have it)
 *          closed:  settled
 *   week   closed:  its small settled days become one segment
 *   wider           late rows of many weeks: runs only
 *
 * A settled segment is encoded densely, has rollups, and is left alone: late rows that overlap it stay beside it until they
 * are worth writing it again (`lateRatio`). Few of them, and never worth it, they are gathered a level up.
 *
 * Write amplification, in bytes written per byte flushed: 1 for settling, 1 for promoting, at most 1 + `lateRatio` for a late
 * row, and for runs log4(4 · largest / smallest input), as each run merge at least quadruples what a row lies in: with inputs of
 * 64 KiB to 8 MiB 4.5 at most, mostly 1 to 2. A merge that only drops duplicates and deleted rows is paid by these.
 *
 * Invariants:
 * 1. A job changes no answer (see runs.ts), and its inputs can be read and are of one namespace.
 * 2. Asking again and again, with each job done, comes to an end: a job leaves fewer segments that are not settled, or fewer
 *    settled ones, or fewer deletes or expired rows to apply. `scatter`, which is not chosen in the background, leaves finer
 *    ones, and what it has cut is not gathered again.
 * 3. For n segments n log n, and for each window with late rows what was written since its settled rows.
 */
import type { SegmentMeta } from '../types.ts'
import { deletesLsnOf } from '../versions.ts'
import {
  type CompactionJob,
  type CompactionPolicy,
  type CompactionReason,
  type CompactionState,
  cutsMax,
} from './job.ts'
import { byWriteOrder, type Candidate, firstOf, mergeableRuns } from './runs.ts'
import {
  ByTime,
  bytesOf,
  type Cluster,
  clusters,
  everything,
  hour,
  levelOf,
  named,
  spanOf,
  type WindowSpan,
  week,
  windowAround,
  windowStart,
} from './windows.ts'

/**
 * `background`: what pays. `all`: as if every window had closed and all late rows were worth it, deletes applied: to the end,
 * each row that is not in the right place is written once or twice.
 */
export type CompactionScope = 'background' | 'all'

/** @example while ((job = choose(state(), defaultCompactionPolicy, clock.nowUs())) !== undefined) await carryOut(job) */
export function choose(
  state: CompactionState,
  policy: CompactionPolicy,
  nowUs: number,
  scope: CompactionScope = 'background',
): CompactionJob | undefined {
  const rollups = Map.groupBy(
    state.segments.filter(({ rollup }) => rollup !== undefined),
    ({ rollup }) => rollup!.of,
  )
  const jobOf = ({ reason, inputs, window, cuts = [], settled = false }: Choice): CompactionJob => {
    const metas = inputs.toSorted(byWriteOrder).map(({ meta }) => meta)
    const remove = metas.flatMap(({ id }) => [id, ...(rollups.get(id) ?? []).map(rollup => rollup.id)])
    return { reason, inputs: metas, remove, window: named(window).name, cuts: cuts.map(named), settled }
  }
  const all = state.segments
    .filter(({ rollup }) => rollup === undefined)
    .map((meta): Candidate => ({ meta, mark: 0 }))
    .sort(byWriteOrder)
  const namespaces = Map.groupBy(all, ({ meta }) => meta.namespace)
  for (const [namespace, own] of namespaces) {
    const related =
      namespace === undefined ? all : all.filter(each => [undefined, namespace].includes(each.meta.namespace))
    const readable = own.filter(({ meta }) => !state.unreadable.has(meta.id))
    const found =
      trimmed(readable, state.horizonUs(namespace)) ?? new Choices(readable, related, policy, nowUs, scope).find()
    if (found !== undefined) return jobOf(found)
  }
  const erased = erasable(state, all, scope === 'all' ? 0 : policy.tombstonesMax)
  return erased && jobOf(erased)
}

/** A job, as it is found. */
interface Choice {
  readonly reason: CompactionReason
  readonly inputs: readonly Candidate[]
  readonly window: WindowSpan
  readonly cuts?: readonly WindowSpan[]
  readonly settled?: boolean
}

/** A segment too wide to go whole for a long time, half of it expired. */
function trimmed(segments: readonly Candidate[], horizonUs: number): Choice | undefined {
  const found = segments.find(
    ({ meta }) =>
      meta.minTimeUs < horizonUs &&
      meta.maxTimeUs >= horizonUs &&
      horizonUs - meta.minTimeUs >= (meta.maxTimeUs - meta.minTimeUs) / 2 &&
      levelOf(meta) === everything,
  )
  if (found === undefined) return undefined
  const left = { minTimeUs: horizonUs, maxTimeUs: found.meta.maxTimeUs }
  return { reason: 'trim', inputs: [found], window: windowAround(levelOf(left), horizonUs) }
}

/** A segment with rows that a delete may concern, where more than so many deletes are held. */
function erasable(
  { tombstones, unreadable }: CompactionState,
  all: readonly Candidate[],
  most: number,
): Choice | undefined {
  if (tombstones.length <= most) return undefined
  const latest = tombstones.reduce((max, { lsn }) => Math.max(max, lsn), 0)
  const isConcerned = (meta: SegmentMeta): boolean =>
    tombstones.some(
      ({ lsn, fromUs, toUs }) => lsn > deletesLsnOf(meta) && meta.maxTimeUs >= fromUs && meta.minTimeUs < toUs,
    )
  const found = all.find(({ meta }) => deletesLsnOf(meta) < latest && !unreadable.has(meta.id) && isConcerned(meta))
  if (found === undefined) return undefined
  const window = windowAround(levelOf(found.meta), found.meta.minTimeUs)
  return { reason: 'erase', inputs: [found], window, settled: found.meta.settled === true }
}

/** The segments of one namespace, or of those without a rule. */
class Choices {
  readonly #policy: CompactionPolicy
  readonly #nowUs: number
  readonly #scope: CompactionScope
  /** All that may be in the way, in write order. */
  readonly #related: readonly Candidate[]
  readonly #settled: ByTime<Candidate>
  readonly #settledList: readonly Candidate[]
  readonly #unsettled: readonly Candidate[]

  constructor(
    readable: readonly Candidate[],
    related: readonly Candidate[],
    policy: CompactionPolicy,
    nowUs: number,
    scope: CompactionScope,
  ) {
    this.#policy = policy
    this.#nowUs = nowUs
    this.#scope = scope
    this.#related = related
    this.#settledList = readable.filter(({ meta }) => meta.settled === true)
    this.#settled = new ByTime(this.#settledList)
    this.#unsettled = readable.filter(({ meta }) => meta.settled !== true)
  }

  find(): Choice | undefined {
    const byLevel = Map.groupBy(this.#unsettled, ({ meta }) => levelOf(meta))
    let escalated: Candidate[] = []
    for (let level = hour; level <= everything; level++) {
      const pools = poolsOf([...(byLevel.get(level) ?? []), ...escalated], level)
      if (level === week) addSmallWeeks(pools, this.#settledList, this.#policy.promoteBytesMax)
      escalated = []
      for (const startUs of [...pools.keys()].sort((a, b) => a - b)) {
        const pool = { level, window: windowAround(level, startUs), members: pools.get(startUs)! }
        const found = this.#isClosed(pool) ? this.#closed(pool, escalated) : this.#runs(pool.members)
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  #isClosed({ level, window }: Pool): boolean {
    if (this.#scope === 'all') return true
    return level !== everything && window.toUs + this.#policy.settleDelayUs <= this.#nowUs
  }

  /** A merge in a closed window; what is to be looked at a level up is added to `escalated`. */
  #closed({ level, window, members }: Pool, escalated: Candidate[]): Choice | undefined {
    const left: Candidate[] = []
    const found =
      (members.length === 0 ? undefined : this.#settle(level, window, members, left)) ??
      (level === week ? this.#promote(window, left) : undefined)
    if (found !== undefined) return found
    const stay: Candidate[] = []
    for (const candidate of left) {
      const overlapped = this.#settled.within(candidate.meta)
      const isHere = overlapped.length > 0 && overlapped.every(each => isWithin(each, window))
      const isGathered = !isHere || this.#scope === 'all' || candidate.meta.bytes < this.#policy.lateBytesMax
      if (isGathered && level < everything) escalated.push(candidate)
      else stay.push(candidate)
    }
    // What cannot be merged where it belongs would only be gathered to be scattered again.
    return this.#scope === 'all' ? undefined : this.#runs(stay)
  }

  /** `left` gets what is not worth it here. */
  #settle(level: number, window: WindowSpan, members: readonly Candidate[], left: Candidate[]): Choice | undefined {
    const settled = this.#settled.within(spanOf(members))
    const late = new Set(members)
    let stretch: Candidate[] = []
    const stretches: (readonly Candidate[])[] = []
    for (const cluster of clusters([...members, ...settled])) {
      const own = cluster.members.filter(member => late.has(member))
      if (own.length === cluster.members.length) {
        stretch.push(...own)
        continue
      }
      // Nothing is merged over what lies between.
      if (stretch.length > 0) stretches.push(stretch)
      stretch = []
      if (own.length === 0) continue
      const found = this.#late(level, window, cluster, own)
      if (found !== undefined) return found
      left.push(...own)
    }
    if (stretch.length > 0) stretches.push(stretch)
    for (const each of stretches) {
      const isWorth = level > hour || bytesOf(each) >= this.#policy.windowBytesMin
      const found = isWorth ? this.#settleStretch(level, window, each) : undefined
      if (found !== undefined) return found
      left.push(...each)
    }
    return undefined
  }

  #settleStretch(level: number, window: WindowSpan, stretch: readonly Candidate[]): Choice | undefined {
    if (level === everything) return this.#scope === 'all' ? this.#scatter(level, stretch) : undefined
    const runs = this.#runsOf(stretch)
    // What is in the way is cut or merged a level up.
    if (runs.length > 1 && this.#scope === 'all') return undefined
    const run = largest(runs)
    if (run.length <= this.#policy.inputsMax) return { reason: 'settle', inputs: run, window, settled: true }
    return this.#firstOf(run)
  }

  /** Late rows, `own`, with the settled segments of their cluster. */
  #late(
    level: number,
    window: WindowSpan,
    { members }: Cluster<Candidate>,
    own: readonly Candidate[],
  ): Choice | undefined {
    const { lateRatio, inputsMax } = this.#policy
    const settled = members.filter(member => !own.includes(member))
    if (this.#scope === 'all') {
      const finer = this.#gatherOrScatter(level, own, settled)
      if (finer !== undefined) return finer
    } else if (members.length > inputsMax || bytesOf(own) * lateRatio < bytesOf(settled)) return undefined
    if (!settled.every(each => isWithin(each, window)) || level === everything) return undefined
    const whole = this.#runsOf(members).find(run => settled.every(each => run.includes(each)))
    const hasLate = whole !== undefined && whole.length > settled.length
    return hasLate ? { reason: 'late', inputs: whole, window, settled: true } : undefined
  }

  /**
   * Makes late rows fit for a merge that is not too large: cut down to the level of the settled segments they overlap; or, at
   * that level, gathered.
   */
  #gatherOrScatter(level: number, own: readonly Candidate[], settled: readonly Candidate[]): Choice | undefined {
    const { inputsMax, mergeBytesMax } = this.#policy
    const count = own.length + settled.length
    if (level > hour && settled.every(({ meta }) => levelOf(meta) < level)) {
      const isLarge = level === everything || count > inputsMax || bytesOf([...own, ...settled]) > mergeBytesMax
      return isLarge ? this.#scatter(level, own) : undefined
    }
    if (own.length <= inputsMax) return undefined
    const run = largest(this.#runsOf(own))
    return run.length > 1 ? this.#firstOf(run) : undefined
  }

  /** Rows of segments of a level are cut into windows of the next finer one. */
  #scatter(level: number, own: readonly Candidate[]): Choice | undefined {
    const wide = own.filter(({ meta }) => levelOf(meta) === level)
    if (wide.length === 0) return undefined
    const inputs = firstOf(largest(this.#runsOf(wide)), this.#policy.inputsMax)
    const span = spanOf(inputs)
    const cuts: WindowSpan[] = []
    for (let fromUs = span.minTimeUs; fromUs <= span.maxTimeUs && cuts.length < cutsMax; fromUs = cuts.at(-1)!.toUs)
      cuts.push(windowAround(level - 1, fromUs))
    // What is behind the last cut is cut the next time.
    return { reason: 'scatter', inputs, window: windowAround(level, span.minTimeUs), cuts }
  }

  /** The small settled segments of a week, and late rows among them. */
  #promote(window: WindowSpan, left: readonly Candidate[]): Choice | undefined {
    const { promoteBytesMax, lateRatio, inputsMax } = this.#policy
    const inWeek = this.#settled.within({ minTimeUs: window.fromUs, maxTimeUs: window.toUs - 1 })
    const isSmall = (each: Candidate): boolean => each.meta.bytes < promoteBytesMax && isWithin(each, window)
    let stretch: Candidate[] = []
    const found: Candidate[][] = [stretch]
    for (const { members } of clusters(inWeek)) {
      if (members.every(isSmall)) stretch.push(...members)
      else found.push((stretch = []))
    }
    for (const each of found) {
      const some = each.slice(0, inputsMax)
      const most = some.reduce((max, { meta }) => Math.max(max, meta.bytes), 0)
      if (some.length < 2 || (bytesOf(some) - most) * lateRatio < most) continue
      const span = spanOf(some)
      const among = left.filter(({ meta }) => meta.minTimeUs >= span.minTimeUs && meta.maxTimeUs <= span.maxTimeUs)
      const inputs = [[...some, ...among], some].find(
        members => members.length <= inputsMax && this.#runsOf(members).length === 1,
      )
      if (inputs !== undefined) return { reason: 'promote', inputs, window, settled: true }
    }
    return undefined
  }

  /**
   * Many small segments, one after the other in write order, of which the largest is at most a quarter of all: the smallest
   * first.
   */
  #runs(members: readonly Candidate[]): Choice | undefined {
    const { runsMin, runBytesMax } = this.#policy
    const small = members.filter(({ meta }) => meta.bytes <= runBytesMax).sort(byWriteOrder)
    if (small.length < runsMin) return undefined
    const least = small.reduce((min, { meta }) => Math.min(min, meta.bytes), runBytesMax)
    for (let most = least * 4; ; most *= 4) {
      const sized = small.filter(({ meta }) => meta.bytes <= most)
      for (const run of sized.length < runsMin ? [] : mergeableRuns(sized, this.#related)) {
        const found = run.length < runsMin ? undefined : this.#firstOf(run)
        if (found === undefined) continue
        const largestBytes = found.inputs.reduce((max, { meta }) => Math.max(max, meta.bytes), 0)
        if (bytesOf(found.inputs) >= largestBytes * 4) return found
      }
      if (most >= runBytesMax) return undefined
    }
  }

  /** As many of a run as one merge takes, the oldest first. */
  #firstOf(run: readonly Candidate[]): Choice {
    const inputs = firstOf(run, this.#policy.inputsMax)
    const span = spanOf(inputs)
    return { reason: 'runs', inputs, window: windowAround(levelOf(span), span.minTimeUs) }
  }

  #runsOf(members: readonly Candidate[]): Candidate[][] {
    return mergeableRuns(members.toSorted(byWriteOrder), this.#related)
  }
}

/** What a window has that is not settled. */
interface Pool {
  readonly level: number
  readonly window: WindowSpan
  readonly members: readonly Candidate[]
}

/** By the start of the window. */
function poolsOf(members: readonly Candidate[], level: number): Map<number, Candidate[]> {
  return Map.groupBy(members, ({ meta }) => windowStart(level, meta.minTimeUs))
}

/** Weeks with small settled segments are looked at though all is settled. */
function addSmallWeeks(pools: Map<number, Candidate[]>, settled: readonly Candidate[], bytesMin: number): void {
  for (const { meta } of settled) {
    const fromUs = windowStart(week, meta.minTimeUs)
    if (meta.bytes < bytesMin && !pools.has(fromUs)) pools.set(fromUs, [])
  }
}

const isWithin = ({ meta }: Candidate, { fromUs, toUs }: WindowSpan): boolean =>
  meta.minTimeUs >= fromUs && meta.maxTimeUs < toUs

const largest = <C>(runs: readonly C[][]): C[] => runs.reduce((most, run) => (run.length > most.length ? run : most))
