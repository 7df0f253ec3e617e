/**
 * `select`: its clauses, looked up and typed in the order in which they depend on each other.
 *
 * Invariant: a clause in error leaves the others to be looked at; what is made then is never used.
 */
import type { ValueType } from '../../columnar/batch.ts'
import type { SelectStatement } from '../ast.ts'
import type { Expr } from '../expression.ts'
import type { Sequence, SortKey } from '../plan.ts'
import { attempt, keep } from '../problem.ts'
import type { Grouping, SelectQuery, SourceQuery } from '../query.ts'
import { orderDistinct } from './distinct.ts'
import { analyzeCondition, checkNoWindow } from './expressions.ts'
import { analyzeKeys, checkFill, fillMode } from './group-clause.ts'
import { type GroupingBuilder, hasAggregate, type Nullability, timeBucketOf } from './grouping.ts'
import { analyzeHistogram, histogramOf } from './histogram.ts'
import { analyzeItems, type Item, nameItems } from './items.ts'
import { analyzeCount, analyzeOrder, analyzeReference, groupTies, rawTies, sequenceTies, withTies } from './ordering.ts'
import { analyzeFrom } from './sources.ts'
import { type Analysis, attemptExpr, isFailed, type Surroundings } from './surroundings.ts'
import { WindowBuilder } from './windows.ts'

export function analyzeSelect(select: SelectStatement, analysis: Analysis): SelectQuery {
  const { report } = analysis
  const from = analyzeFrom(select, analysis, analyzeSelect)
  const plain: Surroundings = {
    analysis,
    report,
    scope: from.scope,
    sequence: from.sequence,
    aliases: undefined,
    noAggregates: undefined,
    noWindows: undefined,
  }
  const inWhere = { ...plain, noAggregates: 'where', noWindows: 'where' }
  const where = select.where && analyzeCondition(select.where, inWhere, 'the condition of where')
  const histogram = histogramOf(select)
  if (histogram !== undefined) return analyzeHistogram(select, histogram, from, where, plain)

  const clauses = analyzeClauses(select, plain)
  const builder = isGrouped(select, clauses) ? analyzeKeys(select, clauses.items, clauses.aliases, plain) : undefined
  const regrouped = builder === undefined ? clauses : regroup(clauses, builder)
  const source = attempt(report, from.finish, undefined)
  const ofSource = nullabilityOf(source)
  if (select.fill !== undefined) checkFillClause(select, clauses, builder, plain)
  const grouping = builder && groupingOf(builder, select, regrouped.having, ofSource)

  // A key in error may have been the bucket: nothing is said to lack a time then.
  const isOpen = grouping === undefined || builder?.hasFailedKey
  const sequence = isOpen ? from.sequence : groupedSequence(grouping)
  const columns = grouping?.filledSchema ?? (source?.kind === 'metric' ? [] : (source?.schema ?? []))
  const windows = new WindowBuilder(
    report,
    sequence,
    grouping !== undefined,
    columns.map(column => column.name),
  )
  const exprs = regrouped.exprs.map(expr => windows.extract(expr))
  const orders = regrouped.orders.map(order => ({ ...order, expr: windows.extract(order.expr) }))
  const per = regrouped.per && windows.extract(regrouped.per)

  const windowColumns = windows.columns
  const known = new Map([...(grouping?.filledSchema ?? []), ...windowColumns].map(info => [info.name, info.nullable]))
  const output = nameItems(clauses.items, exprs, name => known.get(name) ?? ofSource(name))
  const bucket = grouping?.keys.find(key => key.bucket !== undefined)
  const isBucket = (expr: Expr): boolean =>
    bucket === undefined
      ? timeBucketOf(expr, sequence) !== undefined
      : expr.kind === 'column' && expr.name === bucket.name
  const { orderBy, limitPer } = select.distinct
    ? orderDistinct(output, orders, per, isBucket, report)
    : { orderBy: ordered(orders, grouping, source, windowColumns.length > 0), limitPer: per }
  return {
    kind: 'select',
    source,
    where,
    grouping,
    histogram: undefined,
    windows: windows.calls,
    windowColumns,
    sequence,
    orderBy,
    items: output.items,
    distinct: select.distinct,
    limit: analyzeCount(select.limit, 'limit', report),
    limitPer,
    offset: analyzeCount(select.offset, 'offset', report),
    output: output.output,
  }
}

/** The clauses over the source's columns: aggregates and row functions still stand in them. */
interface Clauses {
  readonly items: readonly Item[]
  /** Of the items. */
  readonly exprs: readonly Expr[]
  readonly aliases: ReadonlyMap<string, Expr>
  readonly having: Expr | undefined
  readonly orders: readonly SortKey[]
  readonly per: Expr | undefined
}

function analyzeClauses(select: SelectStatement, plain: Surroundings): Clauses {
  const { report } = plain
  const items = analyzeItems(select.items, plain)
  const aliases = new Map(items.filter(item => item.isAlias).map(item => [item.name, item.expr]))
  const named: Surroundings = { ...plain, aliases }
  let having: Expr | undefined
  if (select.having !== undefined) {
    const { span } = select.having
    const condition = analyzeCondition(select.having, { ...named, noWindows: 'having' }, 'the condition of having')
    having = attemptExpr(report, () => {
      checkNoWindow(condition, 'having', span, report)
      return condition
    })
  }
  const orders = select.orderBy.map(order => analyzeOrder(order, items, named))
  const per = select.limitPer && analyzeReference(select.limitPer, items, 'limit per', named)
  return { items, exprs: items.map(item => item.expr), aliases, having, orders, per }
}

function isGrouped(select: SelectStatement, { exprs, orders, per }: Clauses): boolean {
  return (
    select.groupBy.length > 0 ||
    select.having !== undefined ||
    exprs.some(hasAggregate) ||
    orders.some(order => hasAggregate(order.expr)) ||
    (per !== undefined && hasAggregate(per))
  )
}

// ---- grouping -------------------------------------------------------------------------------------------------------

/** The clauses over the aggregation's columns. */
function regroup(clauses: Clauses, builder: GroupingBuilder): Clauses {
  return {
    ...clauses,
    exprs: clauses.exprs.map(expr => builder.regroup(expr)),
    having: clauses.having && builder.regroup(clauses.having),
    orders: clauses.orders.map(order => ({ ...order, expr: builder.regroup(order.expr) })),
    per: clauses.per && builder.regroup(clauses.per),
  }
}

function groupingOf(
  builder: GroupingBuilder,
  select: SelectStatement,
  having: Expr | undefined,
  nullable: Nullability,
): Grouping {
  const fill = select.fill && fillMode(select.fill)
  const { keys, aggregates } = builder
  const schema = builder.schema(undefined, nullable)
  const filledSchema = fill === undefined ? schema : builder.schema(fill, nullable)
  return { keys, aggregates, schema, filledSchema, having, fill }
}

/** Groups follow one another from bucket to bucket, apart by their other keys; without buckets, as they come. */
function groupedSequence({ keys }: Grouping): Sequence {
  const bucket = keys.find(key => key.bucket !== undefined)
  if (bucket === undefined) return { time: undefined, partition: [] }
  return { time: bucket.name, partition: keys.filter(key => key !== bucket).map(key => key.name) }
}

function checkFillClause(
  { fill: syntax }: SelectStatement,
  { exprs }: Clauses,
  builder: GroupingBuilder | undefined,
  { report }: Surroundings,
): void {
  const fill = fillMode(syntax!)
  if (builder !== undefined) {
    if (fill !== undefined) attempt(report, () => checkFill(syntax!, fill, builder, report), undefined)
  } else if (!exprs.some(isFailed)) {
    keep(report, report('unsupported_fill', 'fill needs group by time_bucket(…)', syntax!.span))
  }
}

// ---- order ----------------------------------------------------------------------------------------------------------

/** What `order by` says and what settles ties; empty where rows come in their order already. */
function ordered(
  orders: readonly SortKey[],
  grouping: Grouping | undefined,
  source: SourceQuery | undefined,
  hasWindows: boolean,
): readonly SortKey[] {
  if (grouping !== undefined) {
    return orders.length === 0 && !hasWindows ? [] : withTies(orders, groupTies(grouping.keys))
  }
  if (source?.kind !== 'query' || !hasWindows) return withTies(orders, rawTies(source))
  // The window sorted the sub-select's rows by its sequence.
  const types = new Map(source.schema.map(({ name, type }): [string, ValueType] => [name, type]))
  return withTies(
    orders,
    sequenceTies(source.sequence, name => types.get(name)!),
  )
}

/** A metric's columns say it by their names. */
function nullabilityOf(source: SourceQuery | undefined): Nullability {
  if (source === undefined || source.kind === 'metric') return ofMetric
  const columns = new Map(source.schema.map(({ name, nullable }) => [name, nullable]))
  return name => columns.get(name) ?? true
}
const ofMetric: Nullability = name => name !== 'time' && name !== 'series' && name !== 'series_id'
