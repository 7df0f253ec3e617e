/**
 * Which segments hold nothing but expired rows: files that go whole, unread.
 *
 * Invariants:
 * 1. Every row of a chosen segment is expired under the present rules, whatever the rules were when it was written.
 * 2. A segment of whose contents too little is known stays.
 * 3. A rollup goes with the segment it summarises, unless rollups of its width are kept longer: then by its own time.
 */
import type { SegmentMeta } from '../types.ts'
import type { RetentionRules } from './rules.ts'

/** Names of the metrics in a segment; undefined where they cannot be read. */
export type MetricsOf = (meta: SegmentMeta) => readonly string[] | undefined

/**
 * @param metricsOf asked only about segments that are old by some rule
 * @example expired(segments, rules, clock.nowUs(), meta => metricsInFooterOf(meta))
 */
export function expired(
  segments: readonly SegmentMeta[],
  rules: RetentionRules,
  nowUs: number,
  metricsOf: MetricsOf,
): SegmentMeta[] {
  if (rules.isEmpty) return []
  const isExpired = (meta: SegmentMeta): boolean => meta.maxTimeUs < horizonOf(meta, rules, nowUs, metricsOf)
  const rowsLeft = new Set(segments.filter(meta => meta.rollup === undefined && !isExpired(meta)).map(({ id }) => id))
  return segments.filter(({ id, rollup, maxTimeUs }) =>
    rollup === undefined
      ? !rowsLeft.has(id)
      : !rowsLeft.has(rollup.of) && maxTimeUs + rollup.widthUs <= rules.rollupHorizonUs(rollup.widthUs, nowUs),
  )
}

/** Rows before it are expired, whichever metric of the segment they are of. */
function horizonOf(meta: SegmentMeta, rules: RetentionRules, nowUs: number, metricsOf: MetricsOf): number {
  if (meta.namespace !== undefined) return rules.horizonOf(meta.namespace, nowUs)
  const metrics = meta.maxTimeUs < rules.latestHorizonUs(nowUs) ? metricsOf(meta) : undefined
  if (metrics === undefined) return Number.NEGATIVE_INFINITY
  return Math.min(...metrics.map(metric => rules.horizonUs(metric, nowUs)))
}
