/**
 * One scan as a source of an aggregation: in which order it is read, and what may stand for its rows.
 *
 *   scan  ->  filters  ->  projection  ->  pairs         each where there is something for it to do
 */
import type { Schema } from '../../columnar/batch.ts'
import type { End } from '../../storage/series-ends.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { AggregateNode, NamedExpr, ScanNode } from '../../sydraql/plan.ts'
import { collectColumns, sameExpr } from '../../sydraql/rewrite.ts'
import { throughItems } from '../../sydraql/rules/columns.ts'
import type { AggregateSource } from '../aggregate/aggregate.ts'
import type { Execution } from '../execution.ts'
import { filter } from '../filter.ts'
import { dayUs } from '../functions/civil.ts'
import { instrument } from '../instrument.ts'
import type { BatchStream } from '../operator.ts'
import { project } from '../project.ts'
import type { IsSmall, PhysicalOrder } from '../scan/scan.ts'
import { isSeriesColumn } from '../scan/series.ts'
import { type PairsPlan, pairsOver } from './plan-pairs.ts'
import { planRollup } from './plan-rollup.ts'
import { planScan } from './plan-scan.ts'
import type { PhysicalPlan, PhysicalRule, PlannerOptions } from './types.ts'

/** A scan that yields `time` and `series` too, and what is between it and the aggregation. */
export interface ScanSource {
  readonly scan: ScanNode
  /** Over the scan's columns; from the last to be tested to the first. */
  readonly predicates: readonly Expr[]
  /** What the aggregation reads, over the scan's columns; undefined: it reads those. */
  readonly projection: Projection | undefined
}
export interface Projection {
  readonly items: readonly NamedExpr[]
  readonly schema: Schema
}

export interface SourcePlan {
  readonly plan: PhysicalPlan
  /** How the aggregation uses it. */
  readonly rules: readonly PhysicalRule[]
  source(execution: Execution): AggregateSource
}

export interface SourceRole {
  readonly paired: PairsPlan | undefined
  /** There is no other source, so that a bucket may leave when this one is past it. */
  readonly alone: boolean
}

export const isLimited = (scan: ScanNode): boolean => scan.limit !== undefined || scan.seriesLimit !== undefined

/** `node` reads what the source gives. */
export function planSource(
  node: AggregateNode,
  { scan, predicates, projection }: ScanSource,
  { paired, alone }: SourceRole,
  options: PlannerOptions,
): SourcePlan {
  const said = (expr: Expr) => (projection === undefined ? expr : throughItems(expr, projection.items))
  const own = overScan(node, said)
  const enabled = (rule: PhysicalRule) => !options.disabledRules.has(rule)
  const others = own.keys.filter(key => key.bucket === undefined)
  const bySeries = others.every(key => dependsOnSeriesAlone(key.expr))
  const isBare = predicates.length === 0 && scan.rowPredicate === undefined && !isLimited(scan)
  const byRuns = isBare && bySeries && enabled('bucket-runs') && (others.length === 0 || enabled('series-groups'))
  const bucketsLeave = alone && others.length < own.keys.length
  const isStreaming = bucketsLeave && !isLimited(scan) && enabled('bucket-streaming')
  const point = isBare && bySeries && others.length === own.keys.length && enabled('last-point')
  const end = point ? soughtEnd(own) : undefined
  // Statistics would be looked at in all pieces, rows are read in a few.
  const fromStatistics = isBare && bySeries && paired === undefined && end === undefined && enabled('statistics-answer')
  const order = isLimited(scan) ? scan.order : scanOrder(isStreaming, bucketsLeave, paired !== undefined)
  const isSmall = order === 'windows' && bySeries && enabled('whole-buckets') ? fewGroups(own) : undefined
  const rollup =
    isBare && bySeries && paired === undefined && enabled('rollup')
      ? planRollup(own, { fromStatistics, fromEnd: end !== undefined }, options)
      : undefined
  const planned = planScan(scan, end?.order ?? order, options, {
    until: end?.found,
    end: end?.ofField,
    isSmall,
    rollups: rollup?.widths,
  })
  const filtered = predicates.reduceRight<PhysicalPlan>(
    (below, predicate) => filterPlan(predicate, below),
    planned.plan,
  )
  const projected = projection === undefined ? undefined : projectPlan(projection, filtered)
  const given = projected?.plan ?? filtered
  const plan = paired === undefined ? given : pairsOver(paired, given)
  const rules: PhysicalRule[] = []
  if (byRuns) rules.push('bucket-runs')
  if (byRuns && others.length > 0) rules.push('series-groups')
  if (fromStatistics) rules.push('statistics-answer')
  if (isStreaming) rules.push('bucket-streaming')
  if (isSmall !== undefined) rules.push('whole-buckets')
  if (end !== undefined) rules.push('last-point')
  if (rollup !== undefined) rules.push('rollup')

  const source = (execution: Execution): AggregateSource => ({
    ofScan: { byRuns, fromStatistics, schema: scan.schema, said },
    open({ withRollups }) {
      if (!isBare || paired !== undefined) return { scan: undefined, stream: () => plan.open(execution) }
      const opened = planned.open(execution, { rollups: withRollups ? rollup?.choose : undefined })
      const stream = (pieces?: readonly number[]): BatchStream => {
        const batches = instrument(planned.plan, opened.batches(pieces), execution)
        return projected === undefined ? batches : projected.over(batches, execution)
      }
      return { scan: opened, stream }
    },
  })
  return { plan, rules, source }
}

/** The same aggregation, its keys and arguments over the columns of the scan. */
const overScan = (node: AggregateNode, said: (expr: Expr) => Expr): AggregateNode => ({
  ...node,
  keys: node.keys.map(key => ({ ...key, expr: said(key.expr) })),
  aggregates: node.aggregates.map(call => ({ ...call, args: call.args.map(said) })),
})

interface SoughtEnd {
  readonly order: PhysicalOrder
  readonly found: Expr
  /** It is the end of a field as it is, a number. */
  readonly ofField: End | undefined
}

/**
 * When all that is asked is the first, or the last, value of one expression: from which end to read, and when a series
 * has given it. Over all series together the one row would have to be found first; there it does not pay.
 */
function soughtEnd({ keys, aggregates }: AggregateNode): SoughtEnd | undefined {
  const [first, ...others] = aggregates
  if (first === undefined || keys.length === 0 || (first.function !== 'last' && first.function !== 'first'))
    return undefined
  const value = first.args[0]!
  // What is never found would be looked for in all rows.
  if (value.kind === 'literal' && value.value === null) return undefined
  if (others.some(call => call.function !== first.function || !sameExpr(call.args[0]!, value))) return undefined
  const { span } = value
  const isNull: Expr = { kind: 'call', type: 'boolean', name: 'is_null', args: [value], span }
  const isNumber = value.type === 'float' || value.type === 'integer'
  return {
    order: first.function === 'last' ? 'time desc' : 'time',
    ofField: value.kind === 'column' && isNumber ? first.function : undefined,
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

function projectPlan(
  { items, schema }: Projection,
  input: PhysicalPlan,
): { readonly plan: PhysicalPlan; over(stream: BatchStream, execution: Execution): BatchStream } {
  const over = (stream: BatchStream, execution: Execution): BatchStream =>
    instrument(plan, project({ items, schema }, input.schema, stream), execution)
  const plan: PhysicalPlan = {
    name: 'project',
    schema,
    details: { columns: items.length },
    rules: [],
    inputs: [input],
    open: execution => over(input.open(execution), execution),
  }
  return { plan, over }
}

function dependsOnSeriesAlone(expr: Expr): boolean {
  const columns = new Set<string>()
  collectColumns(expr, columns)
  return [...columns].every(isSeriesColumn)
}
