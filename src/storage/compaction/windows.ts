/**
 * Segments by the windows of time they lie in, and which of them overlap.
 *
 *   level   0 hour   1 day   2 week   3 wider than any
 *
 * Invariants:
 * 1. A segment's window is the finest that holds all its rows, wherever its file lies.
 */
import { dayLevel, hourLevel, type Level, startOf, type TimeWindow, weekLevel, windowAt } from '../segment/partition.ts'
import type { SegmentMeta } from '../types.ts'
import type { Candidate } from './runs.ts'

const windowLevels: readonly Level[] = [hourLevel, dayLevel, weekLevel]
export const hour = 0
export const week = 2
export const everything = 3

/** The finest level whose windows hold both times. */
export function levelOf({ minTimeUs, maxTimeUs }: Pick<SegmentMeta, 'minTimeUs' | 'maxTimeUs'>): number {
  const found = windowLevels.findIndex(level => startOf(level, minTimeUs) === startOf(level, maxTimeUs))
  return found < 0 ? everything : found
}

/** Where the window of the level around a time begins. */
export const windowStart = (level: number, timeUs: number): number =>
  level === everything ? Number.NEGATIVE_INFINITY : startOf(windowLevels[level]!, timeUs)

/** Half-open. Its name is made when it is asked for. */
export interface WindowSpan {
  readonly level: number
  readonly fromUs: number
  readonly toUs: number
}

/** The window of the level around a time. */
export function windowAround(level: number, timeUs: number): WindowSpan {
  const fromUs = windowStart(level, timeUs)
  return {
    level,
    fromUs,
    toUs: level === everything ? Number.POSITIVE_INFINITY : fromUs + windowLevels[level]!.widthUs,
  }
}

export const named = ({ level, fromUs, toUs }: WindowSpan): TimeWindow =>
  level === everything ? { name: 'all', fromUs, toUs } : windowAt(windowLevels[level]!, fromUs)

/** Inclusive. */
export interface TimeSpan {
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

export function spanOf(candidates: readonly Candidate[]): TimeSpan {
  let minTimeUs = Infinity
  let maxTimeUs = -Infinity
  for (const { meta } of candidates) {
    minTimeUs = Math.min(minTimeUs, meta.minTimeUs)
    maxTimeUs = Math.max(maxTimeUs, meta.maxTimeUs)
  }
  return { minTimeUs, maxTimeUs }
}

export const bytesOf = (candidates: readonly Candidate[]): number =>
  candidates.reduce((sum, { meta }) => sum + meta.bytes, 0)

/** Candidates that are found by time. */
export class ByTime<C extends Candidate> {
  /** By where they begin. */
  readonly #sorted: readonly C[]
  /** The latest end up to each. */
  readonly #reach: Float64Array

  constructor(candidates: readonly C[]) {
    this.#sorted = candidates.toSorted(byTime)
    this.#reach = new Float64Array(candidates.length)
    let reach = -Infinity
    for (const [i, { meta }] of this.#sorted.entries()) this.#reach[i] = reach = Math.max(reach, meta.maxTimeUs)
  }

  /** Those that overlap a span, by time. */
  within({ minTimeUs, maxTimeUs }: TimeSpan): C[] {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle]!.meta.minTimeUs <= maxTimeUs) low = middle + 1
      else high = middle
    }
    const found: C[] = []
    for (let i = low - 1; i >= 0 && this.#reach[i]! >= minTimeUs; i--)
      if (this.#sorted[i]!.meta.maxTimeUs >= minTimeUs) found.push(this.#sorted[i]!)
    return found.reverse()
  }
}

const byTime = ({ meta: a }: Candidate, { meta: b }: Candidate): number =>
  a.minTimeUs - b.minTimeUs || a.maxTimeUs - b.maxTimeUs

/** Candidates that overlap, directly or through others. */
export interface Cluster<C extends Candidate> extends TimeSpan {
  readonly members: readonly C[]
}

/** Disjoint, by time. */
export function clusters<C extends Candidate>(candidates: readonly C[]): Cluster<C>[] {
  const found: { members: C[]; minTimeUs: number; maxTimeUs: number }[] = []
  for (const candidate of candidates.toSorted(byTime)) {
    const { minTimeUs, maxTimeUs } = candidate.meta
    const last = found.at(-1)
    if (last === undefined || minTimeUs > last.maxTimeUs) found.push({ members: [candidate], minTimeUs, maxTimeUs })
    else {
      last.members.push(candidate)
      last.maxTimeUs = Math.max(last.maxTimeUs, maxTimeUs)
    }
  }
  return found
}
