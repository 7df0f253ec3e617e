/**
 * Plans an aggregation: straight over a scan where it can, so that runs of one series, statistics and time windows serve
 * it; else over any input, row by row.
 */
import type { Schema, ValueType } from '../../columnar/batch.ts'
import type { ColumnRef, Expr } from '../../sydraql/expression.ts'
import type { AggregateNode, LogicalPlan, ScanNode } from '../../sydraql/plan.ts'
import { collectColumns } from '../../sydraql/rewrite.ts'
import { aggregate } from '../aggregate/aggregate.ts'
import type { InputOrder } from '../aggregate/aggregator.ts'
import type { Execution } from '../execution.ts'
import { filter } from '../filter.ts'
import { instrument } from '../instrument.ts'
import type { BatchStream } from '../operator.ts'
import { isSeriesColumn } from '../scan/series.ts'
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
  return source === undefined
    ? aggregateAnything(node, planInput(node.input, options))
    : aggregateScan(node, source, options)
}

function aggregateScan(node: AggregateNode, { scan, predicates }: OrderedScan, options: PlannerOptions): PhysicalPlan {
  const enabled = (rule: PhysicalRule) => !options.disabledRules.has(rule)
  const hasBucket = node.keys.some(key => key.bucket !== undefined)
  const others = node.keys.filter(key => key.bucket === undefined)
  const bySeries = others.every(key => dependsOnSeriesAlone(key.expr))
  const isBare = predicates.length === 0 && scan.rowPredicate === undefined && scan.limit === undefined
  const byRuns = isBare && bySeries && enabled('bucket-runs') && (others.length === 0 || enabled('series-groups'))
  const fromStatistics = isBare && bySeries && enabled('statistics-answer')
  // A scan with a limit of its own must keep the order that the limit is about.
  const isStreaming = hasBucket && scan.limit === undefined && enabled('bucket-streaming')
  const order = isStreaming ? 'windows' : scan.limit === undefined ? 'none' : scan.order
  const planned = planScan(scan, order, options)
  const input = predicates.reduceRight<PhysicalPlan>((below, predicate) => filterPlan(predicate, below), planned.plan)
  const rules: PhysicalRule[] = []
  if (byRuns) rules.push('bucket-runs')
  if (byRuns && others.length > 0) rules.push('series-groups')
  if (fromStatistics) rules.push('statistics-answer')
  if (isStreaming) rules.push('bucket-streaming')

  const open = (execution: Execution): BatchStream => {
    const openInput = () => {
      const opened = isBare ? planned.open(execution) : undefined
      const metric = execution.catalog.metric(scan.metric)!
      return {
        schema: scan.schema,
        order: { time: 'time', series: 'series', ranks: () => execution.catalog.ranks(metric.id) },
        scan: opened,
        stream: (pieces?: readonly number[]) =>
          opened === undefined
            ? input.open(execution)
            : instrument(
                'scan',
                asStream(() => opened.batches(pieces)),
                execution,
              ),
      }
    }
    return aggregate(node, openInput, { byRuns, fromStatistics }, execution)
  }
  return {
    name: 'aggregate',
    schema: node.schema,
    details: { keys: node.keys.length, aggregates: node.aggregates.length },
    rules,
    inputs: [input],
    open: execution => instrument('aggregate', open(execution), execution),
  }
}

function filterPlan(predicate: Expr, input: PhysicalPlan): PhysicalPlan {
  const { schema } = input
  return {
    name: 'filter',
    schema,
    details: {},
    rules: [],
    inputs: [input],
    open: execution => instrument('filter', filter({ predicate, schema }, input.open(execution), execution), execution),
  }
}

/** Over anything but a scan rows are ordered by a column `time` where there is one, else as they come. */
function aggregateAnything(node: AggregateNode, input: PhysicalPlan): PhysicalPlan {
  const hasTime = input.schema.some(({ name, type, nullable }) => name === 'time' && type === 'timestamp' && !nullable)
  const order: InputOrder = { time: hasTime ? 'time' : undefined, series: undefined, ranks: undefined }
  const openInput = (execution: Execution) => () => ({
    schema: input.schema,
    order,
    scan: undefined,
    stream: () => input.open(execution),
  })
  const none = { byRuns: false, fromStatistics: false }
  return {
    name: 'aggregate',
    schema: node.schema,
    details: { keys: node.keys.length, aggregates: node.aggregates.length },
    rules: [],
    inputs: [input],
    open: execution => instrument('aggregate', aggregate(node, openInput(execution), none, execution), execution),
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
