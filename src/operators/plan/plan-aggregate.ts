/**
 * Plans an aggregation: straight over a scan where it can, so that runs of one series, statistics and time windows serve
 * it; over a union of scans straight over each; else over any input, row by row.
 */
import { assert } from '../../lib/assert.ts'
import type { AggregateNode, LogicalPlan, ScanNode } from '../../sydraql/plan.ts'
import { type AggregateInput, aggregate } from '../aggregate/aggregate.ts'
import { seriesRanks } from '../aggregate/series-ranks.ts'
import type { Execution } from '../execution.ts'
import { instrument } from '../instrument.ts'
import type { BatchStream } from '../operator.ts'
import { ascendingInTime } from './ascending.ts'
import { goesBySeries, pairsOver, planPairs } from './plan-pairs.ts'
import { isLimited, planSource, type ScanSource } from './plan-source.ts'
import type { PhysicalPlan, PhysicalRule, PlannerOptions } from './types.ts'
import { scanUnderFilters, unionOfScans } from './underlying-scans.ts'

/** Plans the input of an aggregation that is over no scan. */
export type PlanInput = (plan: LogicalPlan, options: PlannerOptions) => PhysicalPlan

export function planAggregate(node: AggregateNode, options: PlannerOptions, planInput: PlanInput): PhysicalPlan {
  const source = scanUnderFilters(node.input)
  if (source !== undefined && comesAsWanted(node, source.scan)) return aggregateScans(node, [source], options)
  const sources = options.disabledRules.has('partial-aggregation') ? undefined : unionOfScans(node)
  return sources === undefined ? aggregateAnything(node, options, planInput) : aggregateScans(node, sources, options)
}

/** A limited scan keeps the order that its limit is about, which may not be by series and time. */
const comesAsWanted = (node: AggregateNode, scan: ScanNode): boolean =>
  !isLimited(scan) || !goesBySeries(node) || scan.order === 'time' || scan.order === 'series,time'

/** Its scans are of different metrics: a series is in one source alone, and its ordinal says which it is in all. */
function aggregateScans(node: AggregateNode, sources: readonly ScanSource[], options: PlannerOptions): PhysicalPlan {
  const [{ scan, projection }] = sources as readonly [ScanSource]
  const schema = projection?.schema ?? scan.schema
  const paired = goesBySeries(node) ? planPairs(node, schema, { ordinals: 'series' }) : undefined
  const alone = sources.length === 1
  const plans = sources.map(source => planSource(node, source, { paired, alone }, options))
  const rules = new Set<PhysicalRule>(alone ? [] : ['partial-aggregation'])
  for (const plan of plans) for (const rule of plan.rules) rules.add(rule)
  const inputOf = (execution: Execution): AggregateInput => ({
    schema: paired?.schema ?? schema,
    order: { time: 'time', series: 'series', ranks: ranksOf(sources, execution) },
    sources: plans.map(plan => plan.source(execution)),
  })
  return aggregatePlan(
    node,
    plans.map(({ plan }) => plan),
    [...rules],
    execution => aggregate(paired?.node ?? node, inputOf(execution), execution),
  )
}

function ranksOf(sources: readonly ScanSource[], { catalog }: Execution): () => Uint32Array {
  const metrics = sources.map(({ scan }) => scan.metric)
  if (metrics.length === 1) return () => catalog.ranks(catalog.metric(metrics[0]!)!.id)
  let ranks: Uint32Array | undefined
  return () => (ranks ??= seriesRanks(metrics, catalog))
}

/** Over anything but a scan rows are ordered by the columns of their sequence, or come as they come. */
function aggregateAnything(node: AggregateNode, options: PlannerOptions, planInput: PlanInput): PhysicalPlan {
  const { sequence } = node
  const time = node.input.schema.some(({ name }) => name === sequence.time) ? sequence.time : undefined
  const bySeries = goesBySeries(node)
  assert(!bySeries || time !== undefined, 'per-series aggregates have a time')
  const below = planInput(bySeries ? ascendingInTime(node.input, { ...sequence, time: time! }) : node.input, options)
  const paired = bySeries ? planPairs(node, below.schema, { columns: sequence.partition }) : undefined
  const input = paired === undefined ? below : pairsOver(paired, below)
  const inputOf = (execution: Execution): AggregateInput => ({
    schema: input.schema,
    order: { time, series: undefined, ranks: undefined, partition: sequence.partition },
    sources: [{ ofScan: undefined, open: () => ({ scan: undefined, stream: () => input.open(execution) }) }],
  })
  return aggregatePlan(node, [input], [], execution => aggregate(paired?.node ?? node, inputOf(execution), execution))
}

function aggregatePlan(
  node: AggregateNode,
  inputs: readonly PhysicalPlan[],
  rules: readonly PhysicalRule[],
  open: (execution: Execution) => BatchStream,
): PhysicalPlan {
  return {
    name: 'aggregate',
    schema: node.schema,
    details: { keys: node.keys.length, aggregates: node.aggregates.length },
    rules,
    inputs,
    open(execution) {
      return instrument(this, open(execution), execution)
    },
  }
}
