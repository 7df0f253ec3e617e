/**
 * A query to the plan that says what it means, before any rule: one node per clause, nothing clever.
 *
 *   source → filter (where) → [aggregate → fill | filter (having)] | [histogram] → [sort → window] → sort → limit per → project
 *   → [aggregate by every column (distinct) → sort → limit per] → limit
 *
 *   source   a scan, a union of projected scans, a sub-select's plan, or a join of projected sources, each sorted by time
 */
import type { ValueType } from '../columnar/batch.ts'
import { assert } from '../lib/assert.ts'
import { columnRef } from './analyze/scope.ts'
import { evaluate } from './evaluate.ts'
import type { Call, Expr, Literal, Parameter } from './expression.ts'
import type {
  FillNode,
  GroupKey,
  HistogramNode,
  JoinNode,
  LogicalPlan,
  ScanNode,
  Sequence,
  SortKey,
  TimeRange,
} from './plan.ts'
import type { Report } from './problem.ts'
import type {
  Grouping,
  HistogramQuery,
  JoinSide,
  MetricSource,
  Query,
  RowCount,
  SelectQuery,
  ShowQuery,
  SourceQuery,
} from './query.ts'
import { conjuncts, joined } from './rewrite.ts'
import { plainCondition } from './rules/simplify.ts'
import { valueNeeded } from './slots.ts'
import { everything, known, timeConditionOn } from './time-range.ts'

export function buildPlan(query: Query, report: Report): LogicalPlan {
  switch (query.kind) {
    case 'select':
      return buildSelect(query, report)
    case 'show':
      return limited(buildShow(query), query.limit, undefined)
    default:
      throw new Error('a write has no plan')
  }
}

/** NaN for a slot. */
function countOf(count: RowCount | undefined): number | undefined {
  if (count === undefined) return undefined
  return count.kind === 'parameter' ? Number.NaN : Number(count.value)
}

const slotOf = (count: RowCount | undefined): Parameter | undefined => (count?.kind === 'parameter' ? count : undefined)

const nowhere = { start: 0, end: 0 }

const filtered = (input: LogicalPlan, predicate: Expr | undefined): LogicalPlan =>
  predicate === undefined ? input : { kind: 'filter', input, predicate, schema: input.schema }

const sorted = (input: LogicalPlan, keys: readonly SortKey[]): LogicalPlan =>
  keys.length === 0 ? input : { kind: 'sort', input, keys, limit: undefined, schema: input.schema }

function limited(input: LogicalPlan, given: RowCount | undefined, skipped: RowCount | undefined): LogicalPlan {
  const [limit, offset] = [countOf(given), countOf(skipped) ?? 0]
  if (limit === undefined && offset === 0) return input
  const slots = { limit: slotOf(given), offset: slotOf(skipped) }
  const isOpen = slots.limit !== undefined || slots.offset !== undefined
  return { kind: 'limit', input, limit, offset, ...(isOpen && { slots }), schema: input.schema }
}

function limitedPer(input: LogicalPlan, key: Expr | undefined, given: RowCount | undefined): LogicalPlan {
  if (key === undefined || given === undefined) return input
  // Whether the key is read at all depends on what the series' scans can count themselves.
  const limit = given.kind === 'parameter' ? valueNeeded() : Number(given.value)
  return { kind: 'limit_per', input, key, limit, schema: input.schema }
}

function buildShow({ subject, metric, where, output }: ShowQuery): LogicalPlan {
  return filtered({ kind: 'show', subject, metric, schema: output }, where)
}

// ---- select ---------------------------------------------------------------------------------------------------------

function buildSelect(query: SelectQuery, report: Report): LogicalPlan {
  const { source, where, grouping, histogram, windows, sequence, limit, limitPer, offset, items, output } = query
  let plan: LogicalPlan =
    source === undefined ? { kind: 'values', rows: [[]], schema: [] } : buildSource(source, report)
  if (histogram !== undefined) return buildHistogram(filtered(plan, where), histogram, query)
  plan = grouping === undefined ? filtered(plan, where) : buildGroups(plan, query, grouping, report)
  if (windows.length > 0) {
    const input = sorted(plan, sequenceKeys(plan, sequence, true))
    const schema = [...input.schema, ...query.windowColumns]
    plan = { kind: 'window', input, calls: windows, sequence, schema }
  }
  if (!query.distinct) plan = limitedPer(sorted(plan, query.orderBy), limitPer, limit)
  plan = { kind: 'project', input: plan, items, schema: output }
  if (query.distinct) plan = limitedPer(sorted(buildDistinct(plan), query.orderBy), limitPer, limit)
  return limited(plan, limitPer === undefined ? limit : undefined, offset)
}

/** By partition, then time; or, for what is read in time's order, by time, then partition. */
function sequenceKeys(plan: LogicalPlan, { time, partition }: Sequence, byPartition: boolean): SortKey[] {
  if (time === undefined) return []
  const types = new Map(plan.schema.map(({ name, type }): [string, ValueType] => [name, type]))
  const names = byPartition ? [...partition, time] : [time, ...partition]
  return names.map(name => ({ expr: columnRef(name, types.get(name)!, nowhere), descending: false, nulls: 'last' }))
}

function buildDistinct(input: LogicalPlan): LogicalPlan {
  const { schema } = input
  const keys = schema.map(({ name, type }) => ({ name, expr: columnRef(name, type, nowhere), bucket: undefined }))
  return { kind: 'aggregate', input, sequence: unordered, keys, aggregates: [], schema }
}
const unordered: Sequence = { time: undefined, partition: [] }

function buildHistogram(
  input: LogicalPlan,
  { value, low, high, buckets }: HistogramQuery,
  { output }: SelectQuery,
): HistogramNode {
  const number = (expr: Expr): number => {
    if (expr.kind === 'parameter') return valueNeeded()
    assert(expr.kind === 'literal' && typeof expr.value === 'number', 'the constants of a histogram are bound')
    return expr.value
  }
  const constants = { low: number(low), high: number(high), buckets: number(buckets) }
  return { kind: 'histogram', input, value, ...constants, schema: output }
}

// ---- sources --------------------------------------------------------------------------------------------------------

function buildSource(source: SourceQuery, report: Report): LogicalPlan {
  switch (source.kind) {
    case 'metric':
      return scanOf(source)
    case 'metrics': {
      const inputs = source.parts.map((part): LogicalPlan => {
        return { kind: 'project', input: scanOf(part.source), items: part.items, schema: source.schema }
      })
      return { kind: 'union', inputs, order: 'none', schema: source.schema }
    }
    case 'query':
      return buildSelect(source.query, report)
    case 'join':
      return buildJoin(source, report)
  }
}

const scanOf = ({ metric, seriesIds, asOf, schema }: MetricSource): ScanNode => ({
  kind: 'scan',
  metric,
  seriesIds,
  ...(asOf && { asOf }),
  range: everything,
  seriesPredicate: undefined,
  rowPredicate: undefined,
  order: 'none',
  limit: undefined,
  seriesLimit: undefined,
  schema,
})

function buildJoin(
  { left, right, withinUs, schema }: Extract<SourceQuery, { kind: 'join' }>,
  report: Report,
): JoinNode {
  return {
    kind: 'join',
    left: buildSide(left, report),
    right: buildSide(right, report),
    leftSequence: sideSequence(left),
    rightSequence: sideSequence(right),
    withinUs,
    keys: [],
    schema,
  }
}

/** A join comes in its first source's time already. */
function buildSide({ source, items }: JoinSide, report: Report): LogicalPlan {
  const plan = buildSource(source, report)
  if (items === undefined) return plan
  const input = sorted(plan, sequenceKeys(plan, source.sequence, false))
  const nullable = new Map(plan.schema.map(column => [column.name, column.nullable]))
  const schema = items.map(({ name, expr }) => {
    assert(expr.kind === 'column', 'the side of a join renames columns')
    return { name, type: expr.type, nullable: nullable.get(expr.name)! }
  })
  return { kind: 'project', input, items, schema }
}

function sideSequence({ source: { sequence }, alias }: JoinSide): Sequence {
  if (alias === undefined) return sequence
  const named = (name: string): string => `${alias}.${name}`
  return { time: sequence.time && named(sequence.time), partition: sequence.partition.map(named) }
}

// ---- groups ---------------------------------------------------------------------------------------------------------

function buildGroups(
  input: LogicalPlan,
  { source, where }: SelectQuery,
  { keys, aggregates, schema, having, fill, filledSchema }: Grouping,
  report: Report,
): LogicalPlan {
  const bucketKey = keys.find(key => key.bucket !== undefined)
  const sequence = source?.sequence ?? unordered
  const groupsOf = (condition: Expr | undefined): LogicalPlan => ({
    kind: 'aggregate',
    input: filtered(input, condition),
    keys,
    aggregates,
    sequence,
    schema,
  })
  if (fill === undefined || bucketKey === undefined) return filtered(groupsOf(where), having)
  const { range, plain } = plainRange(where, sequence.time)
  const span = where?.span ?? nowhere
  const reach =
    fill.kind === 'previous' && fill.lookbackUs !== undefined
      ? withLookback(plain, fill.lookbackUs, bucketKey, sequence.time!, () =>
          report('unsupported_fill', lookbackMessage, span),
        )
      : where
  const node: FillNode = {
    kind: 'fill',
    input: groupsOf(reach),
    mode: fill,
    ...(having === undefined ? {} : { kept: having }),
    bucketColumn: bucketKey.name,
    bucket: bucketKey.bucket!,
    keyColumns: keys.filter(key => key !== bucketKey).map(key => key.name),
    valueColumns: aggregates.map(aggregate => aggregate.name),
    range,
    schema: filledSchema,
  }
  return node
}

const lookbackMessage = 'fill(previous, …) needs a plain time range in where: bounds joined by and'

/**
 * The condition with its range opened downwards by the lookback. Rows of the range's first bucket that lie before the
 * range stay out: what looks back are whole earlier buckets.
 */
function withLookback(
  where: Expr | undefined,
  lookbackUs: number,
  bucketKey: GroupKey,
  timeColumn: string,
  problem: () => Error,
): Expr | undefined {
  if (where === undefined) return undefined
  const parts = conjuncts(where)
  const conditions = parts.map(part => timeConditionOn(part, timeColumn))
  if (conditions.some(({ range, exact }) => !exact && known(range).fromUs !== -Infinity)) throw problem()
  const exact = parts.filter((_, i) => conditions[i]!.exact)
  const { fromUs, toUs } = known(timeConditionOn(joined('and', exact) ?? where, timeColumn).range)
  if (fromUs === -Infinity || fromUs >= toUs) return where
  const { span } = where
  const at = (us: number): Literal => ({ kind: 'literal', type: 'timestamp', value: us, span })
  const time = columnRef(timeColumn, 'timestamp', span)
  const compare = (name: string, right: Expr): Call => ({
    kind: 'call',
    type: 'boolean',
    name,
    args: [time, right],
    span,
  })
  const rest = parts.filter((_, i) => !conditions[i]!.exact)
  rest.push(compare('ge', at(fromUs - lookbackUs)))
  if (toUs !== Infinity) rest.push(compare('lt', at(toUs)))
  const firstBucket: Call = { ...(bucketKey.expr as Call), args: (bucketKey.expr as Call).args.with(1, at(fromUs)) }
  const first = evaluate(firstBucket) ?? firstBucket
  const isAligned = first.kind === 'literal' && first.value === fromUs
  if (!isAligned) rest.push(joined('or', [compare('lt', first), compare('ge', at(fromUs))])!)
  return joined('and', rest)
}

/** Where rows lie in time by the query's own `where`; unbounded sides are infinite. */
function plainRange(
  where: Expr | undefined,
  time: string | undefined,
): { readonly range: TimeRange; readonly plain: Expr | undefined } {
  if (where === undefined || time === undefined) return { range: everything, plain: where }
  const plain = plainCondition(where)
  return { range: timeConditionOn(plain, time).range, plain }
}
