/**
 * The last (or first) value of a field of each series of a metric, as the statistics of row groups tell it: made when first
 * asked for, then kept with the footer.
 *
 * Invariants:
 * 1. Statistics are of whole groups: a group of several series leaves each of them in doubt.
 */
import type { End, SeriesEnds } from '../series-ends.ts'
import type { SourceTombstones } from '../tombstones/tombstones.ts'
import { columnsOf, type Footer } from './footer.ts'
import type { OpenMetric } from './open-footer.ts'

/** By local number, counted from the metric's first series. */
export interface MetricEnds {
  /** NaN: no row has the field. */
  readonly timeUs: Float64Array
  readonly values: Float64Array
  /** Groups of several series may have a value up to there; NaN: it is in none. */
  readonly doubtUs: Float64Array
}

export const metricEndsBytes = ({ timeUs }: MetricEnds): number => 3 * timeUs.byteLength + 256

/** `field`: the index of a number among the metric's fields. */
export function metricEnds(footer: Footer, { metric }: OpenMetric, field: number, end: End): MetricEnds {
  const { firstSeries, seriesCount, groups } = metric
  const timeUs = new Float64Array(seriesCount).fill(Number.NaN)
  const values = new Float64Array(seriesCount)
  const doubtUs = new Float64Array(seriesCount).fill(Number.NaN)
  const isLast = end === 'last'
  const wins = (a: number, b: number): boolean => Number.isNaN(b) || (isLast ? a > b : a < b)
  for (const group of groups) {
    const statistics = columnsOf(footer, metric, group).find(column => column.field === field)?.statistics
    if (statistics === undefined) continue
    const local = group.firstSeries - firstSeries
    if (group.runCount > 1 || statistics.kind !== 'number') {
      const nearest = isLast ? group.maxTimeUs : group.minTimeUs
      for (let i = local; i < local + group.runCount; i++) if (wins(nearest, doubtUs[i]!)) doubtUs[i] = nearest
      continue
    }
    const atUs = isLast ? statistics.lastTimeUs : statistics.firstTimeUs
    if (!wins(atUs, timeUs[local]!)) continue
    timeUs[local] = atUs
    values[local] = isLast ? statistics.last : statistics.first
  }
  return { timeUs, values, doubtUs }
}

/** Tells nothing but that there may be values in all of the range. */
export function doubtAll(
  { metric: { firstSeries, seriesCount } }: OpenMetric,
  ordinals: Uint32Array,
  wanted: Uint32Array | undefined,
  into: SeriesEnds,
): void {
  const count = wanted?.length ?? seriesCount
  for (let i = 0; i < count; i++) {
    const place = into.placeOf(ordinals[wanted === undefined ? firstSeries + i : wanted[i]!]!)
    if (place >= 0) into.doubt(place, into.end === 'last' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY)
  }
}

/** Tells what is known of the series of these local numbers; undefined: all. */
export function offerEnds(
  { timeUs, values, doubtUs }: MetricEnds,
  { metric: { firstSeries, seriesCount } }: OpenMetric,
  ordinals: Uint32Array,
  wanted: Uint32Array | undefined,
  into: SeriesEnds,
  tombstones: SourceTombstones | undefined,
): void {
  const count = wanted?.length ?? seriesCount
  for (let i = 0; i < count; i++) {
    const local = wanted === undefined ? i : wanted[i]! - firstSeries
    const place = into.placeOf(ordinals[firstSeries + local]!)
    if (place < 0) continue
    if (!Number.isNaN(timeUs[local]!)) into.offer(place, timeUs[local]!, values[local]!, tombstones)
    if (!Number.isNaN(doubtUs[local]!)) into.doubt(place, doubtUs[local]!)
  }
}
