/**
 * Scopes: parts of a metric, as a time range and some of its series, that are read again before and after a step, where
 * rows did not just come at the end of their series.
 *
 *   late rows       clusters in time, with the series they are of
 *   deletes         as they were given
 *   now() moved     what the range of a scan lost at one end and won at the other
 *   retention       what expired
 *
 * Invariants:
 * 1. Outside of the scopes of a step, all that differs between its moments are rows that came and are not late.
 * 2. Scopes of one metric do not overlap in time, and there are few: what lies close together is one.
 */
import { assert } from '../../lib/assert.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import type { MetricInfo } from '../../storage/types.ts'
import type { LogicalPlan, ScanNode, TimeRange } from '../../sydraql/plan.ts'
import { bottomUp, inputsOf } from '../../sydraql/rules/rule.ts'
import { intersection, isEmptyRange, nothing } from '../../sydraql/time-range.ts'
import { sameButRanges } from './same-plan.ts'
import type { CommittedDelete, CommittedRows, Step } from './types.ts'

export interface Scope {
  readonly metric: string
  /** Half-open. */
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals, ascending; undefined: all of the metric. */
  readonly series: Uint32Array | undefined
}

/** Late rows closer than this are read together, */
const gapUs = 60_000_000
/** in so many ranges at most. */
const clustersMax = 16
/** A scope has so many series at most; more are all of the metric. */
export const seriesIdsMax = 4096

/** The plan with its scans reading what is in the scope alone: those of other metrics read nothing. */
export function restricted(plan: LogicalPlan, scope: Scope, catalog: CatalogReader): LogicalPlan {
  return bottomUp(plan, node => (node.kind === 'scan' ? restrictedScan(node, scope, catalog) : node))
}

export function restrictedScan(
  scan: ScanNode,
  { metric, fromUs, toUs, series }: Scope,
  catalog: CatalogReader,
): ScanNode {
  assert(scan.limit === undefined && scan.seriesLimit === undefined, 'a scan that counts rows cannot be restricted')
  if (scan.metric !== metric) return { ...scan, range: nothing }
  const range = intersection(scan.range, { fromUs, toUs })
  if (series === undefined) return { ...scan, range }
  const ids = Array.from(series, ordinal => catalog.ids.at(ordinal))
  if (scan.seriesIds === undefined) return { ...scan, range, seriesIds: ids }
  const own = new Set(scan.seriesIds)
  return { ...scan, range, seriesIds: ids.filter(id => own.has(id)) }
}

/** `undefined`: all of the metric. */
export const wholeSeries = (metric: string, series: Uint32Array | undefined): Scope => ({
  metric,
  fromUs: -Infinity,
  toUs: Infinity,
  series,
})

/** All of the metrics, as one scope each. */
export const everythingOf = (metrics: Iterable<string>): Scope[] =>
  Array.from(metrics, metric => wholeSeries(metric, undefined))

export function scansOf(plan: LogicalPlan): ScanNode[] {
  return plan.kind === 'scan' ? [plan] : inputsOf(plan).flatMap(scansOf)
}

/** Whether a row of the metric can be in the result, by its series. */
export type IsRead = (metric: string, ordinal: number) => boolean

/**
 * The parts of metrics that have to be read again; `before` and `after` are the plan as bound at the two moments. None,
 * mostly.
 */
export function scopesOf(
  step: Step,
  before: LogicalPlan,
  after: LogicalPlan,
  catalog: CatalogReader,
  isRead: IsRead,
): Scope[] {
  const scopes = scopesOfHorizons(step, after, catalog)
  if (before !== after) scopes.push(...scopesOfNow(before, after))
  if (step.deletes.length > 0) scopes.push(...scopesOfDeletes(step.deletes, isRead))
  if (step.rows.some(({ late }) => late !== undefined)) scopes.push(...scopesOfLate(step.rows, isRead))
  return disjoint(scopes)
}

export const scopesOfDeletes = (deletes: readonly CommittedDelete[], isRead: IsRead): Scope[] =>
  deletes.map(({ metric: { name }, fromUs, toUs, series }) => {
    return { metric: name, fromUs, toUs, series: series?.filter(ordinal => isRead(name, ordinal)) }
  })

/** What only the passing of time has changed: all there is, where it is more than the ends of ranges. */
export function scopesOfNow(before: LogicalPlan, after: LogicalPlan): Scope[] {
  if (before === after) return []
  const [scansBefore, scansAfter] = [scansOf(before), scansOf(after)]
  if (!sameButRanges(before, after)) {
    return everythingOf(new Set([...scansBefore, ...scansAfter].map(({ metric }) => metric)))
  }
  return scansBefore.flatMap(({ metric, range }, index) =>
    moved(range, scansAfter[index]!.range).map(part => ({ ...part, metric, series: undefined })),
  )
}

/** What is in one of the ranges alone. */
function moved(before: TimeRange, after: TimeRange): TimeRange[] {
  if (isEmptyRange(before) || isEmptyRange(after) || isEmptyRange(intersection(before, after)))
    return [before, after].filter(range => !isEmptyRange(range))
  const ends = [
    { fromUs: Math.min(before.fromUs, after.fromUs), toUs: Math.max(before.fromUs, after.fromUs) },
    { fromUs: Math.min(before.toUs, after.toUs), toUs: Math.max(before.toUs, after.toUs) },
  ]
  return ends.filter(range => !isEmptyRange(range))
}

/** What retention has made invisible. */
export function scopesOfHorizons({ before, after }: Step, plan: LogicalPlan, catalog: CatalogReader): Scope[] {
  const scopes: Scope[] = []
  for (const metric of metricsOf(plan, catalog)) {
    const [a, b] = [before.version.horizonUs(metric), after.version.horizonUs(metric)]
    if (a !== b) scopes.push({ metric: metric.name, fromUs: Math.min(a, b), toUs: Math.max(a, b), series: undefined })
  }
  return scopes
}

/** Every step asks. */
const metricsOfPlans = new WeakMap<LogicalPlan, readonly MetricInfo[]>()

function metricsOf(plan: LogicalPlan, catalog: CatalogReader): readonly MetricInfo[] {
  let metrics = metricsOfPlans.get(plan)
  if (metrics === undefined) {
    metrics = Array.from(new Set(scansOf(plan).map(scan => scan.metric)), name => {
      const metric = catalog.metric(name)
      assert(metric !== undefined, `metric ${name} is known`)
      return metric
    })
    metricsOfPlans.set(plan, metrics)
  }
  return metrics
}

/** Where late rows lie. */
export function scopesOfLate(committed: readonly CommittedRows[], isRead: IsRead): Scope[] {
  const byMetric = new Map<string, { timeUs: number[]; series: number[] }>()
  for (const { rows, late } of committed) {
    if (late === undefined) continue
    const { name } = rows.metric
    let found = byMetric.get(name)
    if (found === undefined) byMetric.set(name, (found = { timeUs: [], series: [] }))
    for (let row = late.indexOf(1); row >= 0; row = late.indexOf(1, row + 1)) {
      if (!isRead(name, rows.series[row]!)) continue
      found.timeUs.push(rows.timeUs[row]!)
      found.series.push(rows.series[row]!)
    }
  }
  return [...byMetric].flatMap(([metric, { timeUs, series }]) => clusters(metric, timeUs, series))
}

/** Ranges of time that hold the rows: close ones together, with the series that are there. */
export function clusters(metric: string, timeUs: readonly number[], series: readonly number[]): Scope[] {
  const order = Uint32Array.from(timeUs.keys()).sort((a, b) => timeUs[a]! - timeUs[b]!)
  const gaps: { readonly at: number; readonly us: number }[] = []
  for (let k = 1; k < order.length; k++) {
    const us = timeUs[order[k]!]! - timeUs[order[k - 1]!]!
    if (us > gapUs) gaps.push({ at: k, us })
  }
  const widest = gaps.toSorted((a, b) => b.us - a.us).slice(0, clustersMax - 1)
  const ends = [...widest.map(gap => gap.at).sort((a, b) => a - b), order.length]
  let from = 0
  return ends.flatMap(to => {
    if (from === to) return []
    const rows = order.subarray(from, to)
    from = to
    return {
      metric,
      fromUs: timeUs[rows[0]!]!,
      toUs: timeUs[rows.at(-1)!]! + 1,
      series: Uint32Array.from(new Set(Array.from(rows, row => series[row]!))).sort(),
    }
  })
}

/** The same, those of a metric that overlap as one. */
export function disjoint(scopes: readonly Scope[]): Scope[] {
  const sorted = scopes.filter(isNotEmpty).toSorted((a, b) => a.fromUs - b.fromUs)
  const open = new Map<string, number>()
  const out: Scope[] = []
  for (const scope of sorted) {
    const index = open.get(scope.metric)
    const last = index === undefined ? undefined : out[index]!
    if (last !== undefined && scope.fromUs < last.toUs) {
      out[index!] = { ...last, toUs: Math.max(last.toUs, scope.toUs), series: united(last.series, scope.series) }
    } else open.set(scope.metric, out.push(scope) - 1)
  }
  return out.map(scope => ((scope.series?.length ?? 0) > seriesIdsMax ? { ...scope, series: undefined } : scope))
}

const isNotEmpty = ({ fromUs, toUs, series }: Scope): boolean => fromUs < toUs && series?.length !== 0

function united(a: Uint32Array | undefined, b: Uint32Array | undefined): Uint32Array | undefined {
  if (a === undefined || b === undefined) return undefined
  return Uint32Array.from(new Set([...a, ...b])).sort()
}

/** Tells whether a row of the metric lies in one of the scopes; undefined: none does. */
export function rowsWithin(
  scopes: readonly Scope[],
  metric: string,
): ((ordinal: number, timeUs: number) => boolean) | undefined {
  const own = scopes
    .filter(scope => scope.metric === metric)
    .map(({ fromUs, toUs, series }) => ({ fromUs, toUs, series: series && new Set(series) }))
  if (own.length === 0) return undefined
  return (ordinal, timeUs) =>
    own.some(
      ({ fromUs, toUs, series }) => timeUs >= fromUs && timeUs < toUs && (series === undefined || series.has(ordinal)),
    )
}
