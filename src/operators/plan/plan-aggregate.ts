/**
 * Plans an aggregation: straight over a scan where it can, so that runs of one series, statistics and time windows serve
 * it; else over any input, row by row.
 */
import type { Schema, ValueType } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { ColumnRef, Expr } from '../../sydraql/expression.ts'
import type { AggregateNode, LogicalPlan, ScanNode } from '../../sydraql/plan.ts'
import { collectColumns, sameExpr } from '../../sydraql/rewrite.ts'
import { aggregate } from '../aggregate/aggregate.ts'
import type { InputOrder } from '../aggregate/aggregator.ts'
import type { Execution } from '../execution.ts'
import { filter } from '../filter.ts'
import { dayUs } from '../functions/civil.ts'
import { instrument } from '../instrument.ts'
import type { BatchStream } from '../operator.ts'
import type { IsSmall, PhysicalOrder } from '../scan/scan.ts'
import { isSeriesColumn } from '../scan/series.ts'
import { ascendingInTime } from './ascending.ts'
import { goesBySeries, pairsOver, planPairs } from './plan-pairs.ts'
import { asStream, planScan } from './plan-scan.ts'
import type { PhysicalPlan, PhysicalRule, PlannerOptions } from './types.ts'

/** Plans the input of an aggregation that is over no scan. */
export type PlanInput = (plan: LogicalPlan, options: PlannerOptions) => PhysicalPlan

/** A scan under filters alone, with the columns that order rows. */
interface OrderedScan {
  readonly scan: ScanNode
  readonly predicates: readonly Expr[]
}

export function planAggregate(node: AggregateNode, options: PlannerOptions, planInput: PlanInput): PhysicalPlan {
  const source = scanUnderFilters(node.input)
  return source === undefined || !comesAsWanted(node, source.scan)
    ? aggregateAnything(node, options, planInput)
    : aggregateScan(node, source, options)
}

/** A limited scan keeps the order that its limit is about, which may not be by series and time. */
const comesAsWanted = (node: AggregateNode, scan: ScanNode): boolean =>
  !isLimited(scan) || !goesBySeries(node) || scan.order === 'time' || scan.order === 'series,time'

const isLimited = (scan: ScanNode): boolean => scan.limit !== undefined || scan.seriesLimit !== undefined

function aggregateScan(node: AggregateNode, { scan, predicates }: OrderedScan, options: PlannerOptions): PhysicalPlan {
  const enabled = (rule: PhysicalRule) => !options.disabledRules.has(rule)
  const hasBucket = node.keys.some(key => key.bucket !== undefined)
  const others = node.keys.filter(key => key.bucket === undefined)
  const bySeries = others.every(key => dependsOnSeriesAlone(key.expr))
  const isBare = predicates.length === 0 && scan.rowPredicate === undefined && !isLimited(scan)
  const byRuns = isBare && bySeries && enabled('bucket-runs') && (others.length === 0 || enabled('series-groups'))
  const paired = goesBySeries(node) ? planPairs(node, scan.schema, { ordinals: 'series' }) : undefined
  const fromStatistics = isBare && bySeries && paired === undefined && enabled('statistics-answer')
  const isStreaming = hasBucket && !isLimited(scan) && enabled('bucket-streaming')
  const point = isBare && bySeries && others.length === node.keys.length && enabled('last-point')
  const end = point ? soughtEnd(node) : undefined
  const order = isLimited(scan) ? scan.order : scanOrder(isStreaming, hasBucket, paired !== undefined)
  const isSmall = order === 'windows' && bySeries && enabled('whole-buckets') ? fewGroups(node) : undefined
  const planned = planScan(scan, end?.order ?? order, options, { until: end?.found, isSmall })
  const filtered = predicates.reduceRight<PhysicalPlan>(
    (below, predicate) => filterPlan(predicate, below),
    planned.plan,
  )
  const input = paired === undefined ? filtered : pairsOver(paired, filtered)
  const rules: PhysicalRule[] = []
  if (byRuns) rules.push('bucket-runs')
  if (byRuns && others.length > 0) rules.push('series-groups')
  if (fromStatistics) rules.push('statistics-answer')
  if (isStreaming) rules.push('bucket-streaming')
  if (isSmall !== undefined) rules.push('whole-buckets')
  if (end !== undefined) rules.push('last-point')

  const open = (execution: Execution): BatchStream => {
    const openInput = () => {
      const opened = isBare && paired === undefined ? planned.open(execution) : undefined
      const metric = execution.catalog.metric(scan.metric)!
      return {
        schema: input.schema,
        order: { time: 'time', series: 'series', ranks: () => execution.catalog.ranks(metric.id) },
        scan: opened,
        stream: (pieces?: readonly number[]) =>
          opened === undefined
            ? input.open(execution)
            : instrument(
                planned.plan,
                asStream(() => opened.batches(pieces)),
                execution,
              ),
      }
    }
    return aggregate(paired?.node ?? node, openInput, { byRuns, fromStatistics }, execution)
  }
  return {
    name: 'aggregate',
    schema: node.schema,
    details: { keys: node.keys.length, aggregates: node.aggregates.length },
    rules,
    inputs: [input],
    open(execution) {
      return instrument(this, open(execution), execution)
    },
  }
}

/**
 * When all that is asked is the first, or the last, value of one expression: from which end to read, and when a series
 * has given it. Over all series together the one row would have to be found first; there it does not pay.
 */
function soughtEnd({ keys, aggregates }: AggregateNode): { order: PhysicalOrder; found: Expr } | undefined {
  const [first, ...others] = aggregates
  if (first === undefined || keys.length === 0 || (first.function !== 'last' && first.function !== 'first'))
    return undefined
  const value = first.args[0]!
  if (others.some(call => call.function !== first.function || !sameExpr(call.args[0]!, value))) return undefined
  const { span } = value
  const isNull: Expr = { kind: 'call', type: 'boolean', name: 'is_null', args: [value], span }
  return {
    order: first.function === 'last' ? 'time desc' : 'time',
    found: { kind: 'call', type: 'boolean', name: 'not', args: [isNull], span },
  }
}

/** Up to so many rows the first bucket may wait for the last, */
const wholeRowsMax = 2 ** 24
/** if all groups are no more than this. */
const wholeGroupsMax = 2 ** 18
/** Aggregates whose state does not grow with the rows of a group. */
const ofFixedSize = new Set('count sum avg min max spread first last stddev variance min_by max_by'.split(' '))

/**
 * Windows of time cut blocks, which are then decoded in each window that they reach into; pieces as they lie are decoded
 * once. Undefined where the groups' memory is not known beforehand.
 */
function fewGroups({ keys, aggregates }: AggregateNode): IsSmall | undefined {
  const { bucket } = keys.find(key => key.bucket !== undefined)!
  const widthUs = bucket!.kind === 'calendar' ? bucket!.months * shortestMonthUs : bucket!.widthUs
  if (!aggregates.every(call => ofFixedSize.has(call.function) && !call.distinct)) return undefined
  return (pieces, series) => {
    let [rows, fromUs, toUs] = [0, Infinity, -Infinity]
    for (const piece of pieces) {
      rows += piece.rows
      fromUs = Math.min(fromUs, piece.minTimeUs)
      toUs = Math.max(toUs, piece.maxTimeUs)
    }
    // Twice: the end of a day cuts a bucket that a zone's days hold.
    const buckets = (2 * (toUs - fromUs)) / widthUs + 2
    return rows <= wholeRowsMax && buckets * (keys.length > 1 ? series : 1) <= wholeGroupsMax
  }
}
const shortestMonthUs = 28 * dayUs

/** Per-series aggregates need each series' rows to ascend: by windows, unless buckets are not to leave early. */
function scanOrder(isStreaming: boolean, hasBucket: boolean, bySeries: boolean): PhysicalOrder {
  if (!bySeries) return isStreaming ? 'windows' : 'none'
  return isStreaming || !hasBucket ? 'series in windows' : 'series,time'
}

function filterPlan(predicate: Expr, input: PhysicalPlan): PhysicalPlan {
  const { schema } = input
  return {
    name: 'filter',
    schema,
    details: {},
    rules: [],
    inputs: [input],
    open(execution) {
      return instrument(this, filter({ predicate, schema }, input.open(execution), execution), execution)
    },
  }
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
  const order: InputOrder = { time, series: undefined, ranks: undefined, partition: sequence.partition }
  const openInput = (execution: Execution) => () => ({
    schema: input.schema,
    order,
    scan: undefined,
    stream: () => input.open(execution),
  })
  const none = { byRuns: false, fromStatistics: false }
  const open = (execution: Execution) => aggregate(paired?.node ?? node, openInput(execution), none, execution)
  return {
    name: 'aggregate',
    schema: node.schema,
    details: { keys: node.keys.length, aggregates: node.aggregates.length },
    rules: [],
    inputs: [input],
    open(execution) {
      return instrument(this, open(execution), execution)
    },
  }
}

/** The scan under any filters, made to yield `time` and `series` too. */
function scanUnderFilters(plan: LogicalPlan): OrderedScan | undefined {
  const predicates: Expr[] = []
  let node = plan
  for (; node.kind === 'filter'; node = node.input) predicates.push(node.predicate)
  if (node.kind !== 'scan') return undefined
  const schema = withColumn(withColumn(node.schema, 'time', 'timestamp'), 'series', 'string')
  return { scan: { ...node, schema }, predicates }
}

function withColumn(schema: Schema, name: ColumnRef['name'], type: ValueType): Schema {
  return schema.some(info => info.name === name) ? schema : [...schema, { name, type, nullable: false }]
}

function dependsOnSeriesAlone(expr: Expr): boolean {
  const columns = new Set<string>()
  collectColumns(expr, columns)
  return [...columns].every(isSeriesColumn)
}
