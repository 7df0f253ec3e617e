/**
 * A footer as the catalog sees it: local series numbers to ordinals, and back for the series a request wants.
 *
 * Invariants:
 * 1. Local numbers are in the order of ranks; what is listed here by them ascends, whatever the ordinals do.
 */
import type { SeriesSet } from '../types.ts'
import type { Footer, FooterMetric, GroupEntry } from './footer.ts'
import { type MetricEnds, metricEndsBytes } from './metric-ends.ts'

/** A footer with its series mapped to the catalog. */
export interface OpenFooter {
  readonly footer: Footer
  /** Local number -> catalog ordinal. */
  readonly ordinals: Uint32Array
  readonly metrics: ReadonlyMap<string, OpenMetric>
}
export interface OpenMetric {
  readonly metric: FooterMetric
  /** Name -> index in `metric.fields`. */
  readonly fields: ReadonlyMap<string, number>
  /** Made when first needed. */
  index: SeriesIndex | undefined
  /** The same, by field and end. */
  readonly ends: Map<string, MetricEnds>
}

export function openFooter(footer: Footer, ordinals: Uint32Array): OpenFooter {
  const open = (metric: FooterMetric): OpenMetric => ({
    metric,
    fields: new Map(metric.fields.map((field, i) => [field.name, i])),
    index: undefined,
    ends: new Map(),
  })
  return { footer, ordinals, metrics: new Map(footer.metrics.map(metric => [metric.name, open(metric)])) }
}

/** About what a footer takes in memory once it is used: its records, its columns, its index. */
export function heapBytes({ footer, ordinals, metrics }: OpenFooter): number {
  let bytes = footer.bytes.length + ordinals.length * 12 + metrics.size * 512
  for (const { metric, ends } of metrics.values()) {
    for (const group of metric.groups) bytes += 300 + group.columnCount * 250
    for (const each of ends.values()) bytes += metricEndsBytes(each)
  }
  return bytes
}

/** A metric's series by ordinal: `ordinals` ascending, `locals` the local number of each. */
interface SeriesIndex {
  readonly ordinals: Uint32Array
  readonly locals: Uint32Array
}

function seriesIndex({ firstSeries, seriesCount }: FooterMetric, ordinals: Uint32Array): SeriesIndex {
  const own = ordinals.subarray(firstSeries, firstSeries + seriesCount)
  // Sorted as doubles that carry the position in their low digits: much faster than a comparator.
  const keys = Float64Array.from(own, (ordinal, i) => ordinal * positions + i).sort()
  return {
    ordinals: Uint32Array.from(keys, key => Math.floor(key / positions)),
    locals: Uint32Array.from(keys, key => firstSeries + (key % positions)),
  }
}

/** More than a segment has series: ordinals times this are exact. */
const positions = 2 ** 21

/** Ascending local numbers of the wanted series; undefined: all of the metric's. */
export function wantedSeries(open: OpenMetric, ordinals: Uint32Array, wanted: SeriesSet): Uint32Array | undefined {
  const { firstSeries, seriesCount } = open.metric
  const found = new Uint32Array(Math.min(seriesCount, wanted.ordinals.length))
  let count = 0
  if (wanted.ordinals.length < seriesCount / 8) {
    open.index ??= seriesIndex(open.metric, ordinals)
    const { index } = open
    let from = 0
    for (const ordinal of wanted.ordinals) {
      from = lowerBound(index.ordinals, ordinal, from)
      if (from === seriesCount) break
      if (index.ordinals[from] === ordinal) found[count++] = index.locals[from]!
    }
    return found.subarray(0, count).sort()
  }
  for (let local = firstSeries; local < firstSeries + seriesCount && count < found.length; local++)
    if (wanted.has(ordinals[local]!)) found[count++] = local
  return count === seriesCount ? undefined : found.subarray(0, count)
}

/** The groups, [from, to), that may hold series between the first and the last wanted. */
export function groupsAround({ groups, groupSeries }: FooterMetric, wanted: Uint32Array): [from: number, to: number] {
  // The series may have begun in the group before the first that begins at or after it.
  const from = Math.max(0, lowerBound(groupSeries, wanted[0]!, 0) - 1)
  const to = lowerBound(groupSeries, wanted.at(-1)! + 1, from)
  return [from, Math.min(to, groups.length)]
}

/**
 * Walks the groups of a metric, in order, beside the ascending local numbers that are wanted.
 *
 * @example const runs = walk.runsOf(group) // indexes of the group's wanted runs; undefined: all; empty: none
 */
export class WantedWalk {
  readonly #wanted: Uint32Array
  #at = 0

  constructor(wanted: Uint32Array) {
    this.#wanted = wanted
  }

  runsOf({ firstSeries, runCount }: GroupEntry): Uint32Array | undefined {
    const wanted = this.#wanted
    const end = firstSeries + runCount
    while (this.#at < wanted.length && wanted[this.#at]! < firstSeries) this.#at++
    let to = this.#at
    while (to < wanted.length && wanted[to]! < end) to++
    if (to === this.#at) return noRuns
    if (to - this.#at === runCount) return undefined
    return wanted.subarray(this.#at, to).map(local => local - firstSeries)
  }
}

const noRuns = new Uint32Array(0)

function lowerBound(ascending: Uint32Array, value: number, from: number): number {
  let low = from
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ascending[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
