/**
 * Verifying the order of segments: where two hold rows of one series and time, the one with the higher LSNs must be right.
 *
 *   flush     holds every commit of its LSN range: whatever another has of that range it has, too
 *   merge     holds its inputs' alone: a segment with LSNs among them, that is no input, must not share a row with it
 *
 * Invariants:
 * 1. Only pairs whose LSN ranges meet and whose times overlap are read, and of these only what overlaps.
 */
import type { Catalog } from '../catalog/catalog.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { RowBuffer } from '../row-buffer.ts'
import type { SegmentEnvironment } from '../segment/environment.ts'
import { openSegment } from '../segment/segment.ts'
import type { MetricInfo, SegmentMeta, SeriesSet } from '../types.ts'
import { damage } from './problems.ts'
import type { FileProblem } from './types.ts'

/** A segment that was read and is sound. */
export interface OrderedSegment {
  readonly meta: SegmentMeta
  /** Ids of the inputs of the merge that wrote it; empty for a flush. */
  readonly replaced: readonly string[]
}

const advice = 'keep a copy of the directory and report it: which of two values of a row is newer is not certain'

export function* verifyOrder(
  environment: SegmentEnvironment,
  segments: readonly OrderedSegment[],
  catalog: Catalog,
): Generator<void, readonly FileProblem[]> {
  const problems: FileProblem[] = []
  for (const [older, newer] of doubtfulPairs(segments)) {
    const shared = yield* sharedRow(environment, older.meta, newer.meta, catalog)
    if (shared !== undefined)
      problems.push(damage(`segments ${older.meta.id} and ${newer.meta.id} interleave: both have ${shared}`, advice))
  }
  return problems
}

/** Pairs, the one that wins second, that may hold one row of which the loser's is newer. */
export function* doubtfulPairs(
  segments: readonly OrderedSegment[],
): Generator<readonly [older: OrderedSegment, newer: OrderedSegment]> {
  const byTime = segments
    .filter(({ meta }) => meta.rollup === undefined)
    .sort((a, b) => a.meta.minTimeUs - b.meta.minTimeUs)
  for (const [i, one] of byTime.entries()) {
    for (let j = i + 1; j < byTime.length && byTime[j]!.meta.minTimeUs <= one.meta.maxTimeUs; j++) {
      const other = byTime[j]!
      const isOlder =
        one.meta.maxLsn < other.meta.maxLsn || (one.meta.maxLsn === other.meta.maxLsn && one.meta.id < other.meta.id)
      const [older, newer] = isOlder ? [one, other] : [other, one]
      if (older.meta.maxLsn < newer.meta.minLsn) continue
      const sameCommits = older.meta.minLsn === newer.meta.minLsn && older.meta.maxLsn === newer.meta.maxLsn
      if (newer.replaced.length === 0 && !sameCommits) continue
      if (newer.replaced.includes(older.meta.id)) continue
      yield [older, newer]
    }
  }
}

/** A row that both have, as text. */
function* sharedRow(
  environment: SegmentEnvironment,
  a: SegmentMeta,
  b: SegmentMeta,
  catalog: Catalog,
): Generator<void, string | undefined> {
  const [first, second] = [openSegment(environment, a, catalog), openSegment(environment, b, catalog)]
  const fromUs = Math.max(a.minTimeUs, b.minTimeUs)
  const toUs = Math.min(a.maxTimeUs, b.maxTimeUs) + 1
  const request = (metric: MetricInfo, series?: SeriesSet) => ({
    metric,
    fields: [],
    fromUs,
    toUs,
    series,
    statistics: newReadStatistics(),
  })
  try {
    for (const metric of catalog.metrics()) {
      for (const piece of first.pieces(request(metric))) {
        const rows = new RowBuffer([], piece.rows)
        piece.read(fromUs, toUs, rows)
        const times = timesBySeries(rows)
        const ordinals = Uint32Array.from(times.keys()).sort()
        for (const other of second.pieces(request(metric, { ordinals, has: ordinal => times.has(ordinal) }))) {
          const found = new RowBuffer([], other.rows)
          other.read(fromUs, toUs, found)
          for (let row = 0; row < found.length; row++)
            if (times.get(found.series[row]!)?.has(found.timeUs[row]!) === true)
              return `${catalog.printed.at(found.series[row]!)} at ${found.timeUs[row]}`
          yield
        }
      }
    }
    return undefined
  } finally {
    first.close()
    second.close()
  }
}

function timesBySeries({ series, timeUs, length }: RowBuffer): Map<number, Set<number>> {
  const times = new Map<number, Set<number>>()
  for (let row = 0; row < length; row++) {
    const known = times.get(series[row]!) ?? new Set<number>()
    times.set(series[row]!, known.add(timeUs[row]!))
  }
  return times
}
