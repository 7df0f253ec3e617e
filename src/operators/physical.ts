/**
 * The physical planner: a logical plan to a tree of operators, ready to run.
 *
 * Invariants:
 * 1. A rule changes how an answer is found, never the answer: each can be switched off by its name.
 * 2. A physical plan holds no state of a run: it may be opened again.
 * 3. A parent closes its inputs; `instrument` wraps every operator.
 */
import type { Batch, Schema, ValueType } from '../columnar/batch.ts'
import { assert } from '../lib/assert.ts'
import type { ColumnRef, Expr } from '../sydraql/expression.ts'
import type { AggregateNode, LogicalPlan, ScanNode } from '../sydraql/plan.ts'
import { collectColumns } from '../sydraql/rewrite.ts'
import { aggregate } from './aggregate/aggregate.ts'
import type { InputOrder } from './aggregate/aggregator.ts'
import type { Execution } from './execution.ts'
import { fill } from './fill.ts'
import { filter } from './filter.ts'
import { instrument } from './instrument.ts'
import { limit } from './limit.ts'
import type { BatchStream } from './operator.ts'
import { project } from './project.ts'
import { openScan, type PhysicalOrder } from './scan/scan.ts'
import { isSeriesColumn } from './scan/series.ts'
import { show, type Tables } from './show.ts'
import { sort } from './sort.ts'
import { values } from './values.ts'

/** What each rule does, for `explain` and the documentation. */
export const physicalRules = {
  'block-bounds': 'skip blocks whose statistics rule out the row predicate',
  'statistics-answer': 'answer aggregates from the statistics of pieces that are whole and overlap no other',
  'bucket-runs': 'fold runs of rows of one series by kernels, cut by bucket, instead of row by row',
  'series-groups': 'find the group once per series where the keys depend on it alone',
  'bucket-streaming': 'read by time windows, so that buckets leave in order as soon as they have ended',
  'top-n': 'keep only the rows that a limit over a sort can want',
} as const

export type PhysicalRule = keyof typeof physicalRules

export interface PhysicalPlan {
  readonly name: string
  readonly schema: Schema
  readonly details: Readonly<Record<string, string | number | boolean>>
  /** Rules that shaped this operator. */
  readonly rules: readonly PhysicalRule[]
  readonly inputs: readonly PhysicalPlan[]
  open(execution: Execution): BatchStream
}

export interface PlannerOptions {
  readonly disabledRules: ReadonlySet<string>
  readonly tables: Tables | undefined
}

export function planPhysical(plan: LogicalPlan, options: PlannerOptions): PhysicalPlan {
  const { schema } = plan
  const input = 'input' in plan && plan.kind !== 'aggregate' ? planPhysical(plan.input, options) : undefined
  const unary = (
    details: PhysicalPlan['details'],
    open: (stream: BatchStream, execution: Execution) => BatchStream,
    rules: readonly PhysicalRule[] = [],
  ): PhysicalPlan => ({
    name: plan.kind,
    schema,
    details,
    rules,
    inputs: [input!],
    open: execution => instrument(plan.kind, open(input!.open(execution), execution), execution),
  })

  switch (plan.kind) {
    case 'scan':
      return planScan(plan, plan.order, options).plan
    case 'filter':
      return unary({}, (stream, execution) => filter({ ...plan, schema: input!.schema }, stream, execution))
    case 'project':
      return unary({ columns: plan.items.length }, stream => project(plan, input!.schema, stream))
    case 'sort': {
      const isTop = plan.limit !== undefined && !options.disabledRules.has('top-n')
      const node = isTop ? plan : { ...plan, limit: undefined }
      return unary(
        isTop ? { keys: plan.keys.length, limit: plan.limit! } : { keys: plan.keys.length },
        (stream, execution) => sort(node, input!.schema, stream, execution),
        isTop ? ['top-n'] : [],
      )
    }
    case 'limit':
      return unary({ limit: plan.limit ?? -1, offset: plan.offset }, stream => limit(plan, stream))
    case 'fill':
      return unary({ mode: plan.mode.kind }, (stream, execution) => fill(plan, input!.schema, stream, execution))
    case 'aggregate':
      return planAggregate(plan, options)
    case 'values':
      return leaf(plan, { rows: plan.rows.length }, () => values(plan))
    case 'show':
      return leaf(plan, { subject: plan.subject }, execution => {
        assert(options.tables !== undefined, 'show needs tables')
        return show(plan, options.tables, execution)
      })
  }
}

const leaf = (
  plan: LogicalPlan,
  details: PhysicalPlan['details'],
  open: (execution: Execution) => BatchStream,
): PhysicalPlan => ({
  name: plan.kind,
  schema: plan.schema,
  details,
  rules: [],
  inputs: [],
  open: execution => instrument(plan.kind, open(execution), execution),
})

// ---- scan -----------------------------------------------------------------------------------------------------------

interface PlannedScan {
  readonly plan: PhysicalPlan
  /** Finds the pieces; `stream` then reads them. */
  open(execution: Execution): ReturnType<typeof openScan>
}

function planScan(node: ScanNode, order: PhysicalOrder, options: PlannerOptions): PlannedScan {
  const bounds = node.rowPredicate !== undefined && !options.disabledRules.has('block-bounds')
  const open = (execution: Execution) => openScan(node, order, bounds, execution)
  const plan: PhysicalPlan = {
    name: 'scan',
    schema: node.schema,
    details: { metric: node.metric, order, ...(node.limit === undefined ? {} : { limit: node.limit }) },
    rules: bounds ? ['block-bounds'] : [],
    inputs: [],
    open: execution =>
      instrument(
        'scan',
        asStream(() => open(execution).batches()),
        execution,
      ),
  }
  return { plan, open }
}

/** A generator as a stream; nothing happens before the first pull. */
async function* asStream(open: () => Generator<Batch>): BatchStream {
  yield* open()
}

// ---- aggregate ------------------------------------------------------------------------------------------------------

/** A scan under filters alone, with the columns that order rows. */
interface OrderedScan {
  readonly scan: ScanNode
  readonly predicates: readonly Expr[]
}

function planAggregate(node: AggregateNode, options: PlannerOptions): PhysicalPlan {
  const source = scanUnderFilters(node.input)
  return source === undefined ? aggregateAnything(node, options) : aggregateScan(node, source, options)
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
function aggregateAnything(node: AggregateNode, options: PlannerOptions): PhysicalPlan {
  const input = planPhysical(node.input, options)
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
