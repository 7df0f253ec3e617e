/**
 * Retention rules: how long rows are kept, by the namespace of their metric.
 *
 *   metric weather.station   namespace weather   rule weather = 30 (days), else the default
 *
 * Invariants:
 * 1. A row is expired when its time is below the horizon of its metric. Horizons are whole minutes less whole days or parts
 *    of them: every reader of one minute sees the same.
 * 2. Where no rule applies the horizon is -Infinity: nothing expires.
 */
import type { Checksums } from '../../lib/ports.ts'
import type { RollupWidth } from '../../lib/rollup-widths.ts'
import { rollupWidthName } from '../rollup/widths.ts'

const minuteUs = 60_000_000
const dayUs = 86_400_000_000

/** What the settings say; see docs/settings.md. */
export interface RetentionSettings {
  /** Days that rows are kept; 0: for ever. */
  readonly retentionDays: number
  /** The same by namespace. */
  readonly retention: Readonly<Record<string, number>>
  /** Days that rollups of a width are kept when their rows are gone, 0: for ever; absent: they go with the rows. */
  readonly rollups?: { readonly keepDays: Partial<Readonly<Record<RollupWidth, number>>> }
}

/** The metric's name up to the first `.`, or all of it. */
export function namespaceOf(metric: string): string {
  const dot = metric.indexOf('.')
  return dot < 0 ? metric : metric.slice(0, dot)
}

export interface RetentionRules {
  /** Whether nothing ever expires. */
  readonly isEmpty: boolean
  /** The metric's namespace where that has a rule of its own: its rows are kept apart from others in segments. */
  classOf(metric: string): string | undefined
  /** Rows of the namespace (undefined: of those without a rule) with a lower time are expired; -Infinity: none. */
  horizonOf(namespace: string | undefined, nowUs: number): number
  /** The same for a metric. */
  horizonUs(metric: string, nowUs: number): number
  /** The latest horizon that any namespace has. */
  latestHorizonUs(nowUs: number): number
  /** Buckets that end by then are expired unless the rows they summarise are there; Infinity: they go with the rows. */
  rollupHorizonUs(widthUs: number, nowUs: number): number
}

/**
 * @example
 * const rules = retentionRules({ retentionDays: 0, retention: { weather: 30 } })
 * rules.horizonUs('weather.station', nowUs) // 30 days before the minute of nowUs
 * rules.horizonUs('cpu', nowUs)             // -Infinity
 */
export function retentionRules({ retentionDays, retention, rollups }: RetentionSettings): RetentionRules {
  const days = new Map(Object.entries(retention))
  const horizonOf = (namespace: string | undefined, nowUs: number): number =>
    daysBefore((namespace === undefined ? undefined : days.get(namespace)) ?? retentionDays, nowUs)
  const limited = [retentionDays, ...days.values()].filter(kept => kept > 0)
  const shortest = limited.length === 0 ? 0 : Math.min(...limited)
  const horizonUs = (metric: string, nowUs: number): number => horizonOf(namespaceOf(metric), nowUs)
  return {
    isEmpty: limited.length === 0,
    classOf: metric => {
      const namespace = namespaceOf(metric)
      return days.has(namespace) ? namespace : undefined
    },
    horizonOf,
    horizonUs,
    latestHorizonUs: nowUs => daysBefore(shortest, nowUs),
    rollupHorizonUs: (widthUs, nowUs) => {
      const kept = rollups?.keepDays[rollupWidthName(widthUs)]
      return kept === undefined ? Number.POSITIVE_INFINITY : daysBefore(kept, nowUs)
    },
  }
}

function daysBefore(days: number, nowUs: number): number {
  if (days === 0) return Number.NEGATIVE_INFINITY
  return Math.floor(nowUs / minuteUs) * minuteUs - Math.round(days * dayUs)
}

/** The mark of a namespace in the header of its segments; 0 is that of segments without one. */
export function retentionClassOf(namespace: string | undefined, checksums: Checksums): number {
  if (namespace === undefined) return 0
  return checksums.crc32(new TextEncoder().encode(namespace)) || 1
}
