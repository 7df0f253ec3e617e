/** `select`: its clauses, looked up and typed in the order in which they depend on each other. */
import type { Schema, ValueType } from '../../columnar/batch.ts'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { MetricInfo } from '../../storage/types.ts'
import type {
  CountSyntax,
  FillSyntax,
  OrderSyntax,
  SelectItem,
  SelectStatement,
  SourceSyntax,
  SyntaxExpr,
} from '../ast.ts'
import type { Expr } from '../expression.ts'
import { formatExpr } from '../format.ts'
import type { FillMode, NamedExpr, Sequence, SortKey } from '../plan.ts'
import type { Report } from '../problem.ts'
import type { Grouping, RowCount, SelectQuery, SourceQuery } from '../query.ts'
import { type QuerySchema, scanSchema } from '../schema.ts'
import { analyzeCondition, analyzeExpr, type Surroundings } from './expressions.ts'
import { GroupingBuilder, hasAggregate, isNullable, uniqueName } from './grouping.ts'
import { columnRef, emptyScope, MetricScope, resultName, type Scope } from './scope.ts'

const metricSequence: Sequence = { time: 'time', partition: ['series'] }

/** One column of the select list, before grouping. */
interface Item {
  readonly name: string
  /** Whether the name is an alias that other clauses may use. */
  readonly isAlias: boolean
  readonly expr: Expr
}

export function analyzeSelect(select: SelectStatement, text: string, report: Report, schema: QuerySchema): SelectQuery {
  const { source, scope } = analyzeSource(select.source, report, schema)
  const plain: Surroundings = { text, report, scope, aliases: undefined, noAggregates: undefined }
  const where =
    select.where && analyzeCondition(select.where, { ...plain, noAggregates: 'where' }, 'the condition of where')
  const items = select.items.flatMap(item => analyzeItem(item, plain))
  const aliases = new Map(items.filter(item => item.isAlias).map(item => [item.name, item.expr]))
  const named: Surroundings = { ...plain, aliases }
  const having = select.having && analyzeCondition(select.having, named, 'the condition of having')
  const orders = select.orderBy.map(order => analyzeOrder(order, items, named))

  const isGrouped =
    select.groupBy.length > 0 ||
    having !== undefined ||
    items.some(item => hasAggregate(item.expr)) ||
    orders.some(order => hasAggregate(order.expr))
  const result = isGrouped
    ? group(select, items, orders, having, plain, aliases)
    : { ...ungrouped(select, items, report), orderBy: source === undefined ? orders : withTies(orders, rawTies) }
  const { output, named: namedItems } = nameItems(items, result.items, result.grouping)
  return {
    kind: 'select',
    source,
    where,
    grouping: result.grouping,
    histogram: undefined,
    windows: [],
    sequence: metricSequence,
    distinct: false,
    limitPer: undefined,
    orderBy: result.orderBy,
    items: namedItems,
    limit: select.limit && analyzeCount(select.limit, 'limit', report),
    offset: select.offset && analyzeCount(select.offset, 'offset', report),
    output,
  }
}

// ---- from -----------------------------------------------------------------------------------------------------------

function analyzeSource(
  source: SourceSyntax | undefined,
  report: Report,
  schema: QuerySchema,
): { source: SourceQuery | undefined; scope: Scope } {
  if (source === undefined) return { source: undefined, scope: emptyScope }
  const metric = source.kind === 'metric' ? findMetric(source.name, source.span, report, schema) : ofSeries()
  const seriesIds = source.kind === 'series' ? [source.id] : undefined
  return {
    source: {
      kind: 'metric',
      sequence: metricSequence,
      metric: metric.name,
      seriesIds,
      schema: scanSchema(metric, schema),
    },
    scope: new MetricScope(metric, schema, source.alias),
  }

  function ofSeries(): MetricInfo {
    const { id, span } = source as Extract<SourceSyntax, { kind: 'series' }>
    const series = schema.seriesById(id)
    if (series === undefined) throw report('unknown_metric', `there is no series with the id '${id}'`, span)
    return schema.metricOf(series)
  }
}

export function findMetric(name: string, span: { start: number; end: number }, report: Report, schema: QuerySchema) {
  const metric = schema.metric(name)
  if (metric !== undefined) return metric
  const names = schema.metrics().map(known => known.name)
  throw report('unknown_metric', `there is no metric "${name}"`, span, didYouMeanHint(name, names))
}

// ---- select list ----------------------------------------------------------------------------------------------------

function analyzeItem(item: SelectItem, around: Surroundings): Item[] {
  if (item.expr.kind === 'star') {
    const columns = around.scope.star(item.span)
    if (columns === undefined) throw around.report('wrong_argument', '* needs a from clause', item.span)
    if (item.alias !== undefined) throw around.report('wrong_argument', '* cannot have an alias', item.span)
    return columns.map(column => ({ name: resultName(column.name), isAlias: false, expr: column }))
  }
  const expr = analyzeExpr(item.expr, around)
  if (item.alias !== undefined) return [{ name: item.alias, isAlias: true, expr }]
  return [{ name: impliedName(item.expr, expr), isAlias: false, expr }]
}

/** Columns keep their name, calls give theirs, casts that of what they convert; the rest is named by its text. */
function impliedName(node: SyntaxExpr, expr: Expr): string {
  if (node.kind === 'name' && expr.kind === 'column') {
    // A field reached as `value` is called so.
    return expr.name.startsWith('field.') ? (node.parts.at(-1) ?? expr.name) : expr.name
  }
  if (node.kind === 'call') return node.name.toLowerCase()
  if (node.kind === 'case') return 'case'
  if (node.kind === 'operator' && node.name.startsWith('cast_')) return impliedName(node.args[0]!, expr)
  return formatExpr(node)
}

/** Result columns have distinct names: the second `avg` is `avg_2`. */
function nameItems(
  items: readonly Item[],
  exprs: readonly Expr[],
  grouping: Grouping | undefined,
): { named: NamedExpr[]; output: Schema } {
  const taken = new Set<string>()
  const nullable = grouping && new Map(grouping.filledSchema.map(column => [column.name, column.nullable]))
  const named = items.map((item, index) => {
    const name = uniqueName(item.name, taken)
    taken.add(name)
    return { name, expr: exprs[index]! }
  })
  const output = named.map(({ name, expr }) => ({
    name,
    type: expr.type === 'null' ? ('float' as const) : expr.type,
    nullable: isNullable(expr, nullable),
  }))
  return { named, output }
}

// ---- grouping -------------------------------------------------------------------------------------------------------

interface Shaped {
  readonly items: readonly Expr[]
  readonly grouping: Grouping | undefined
  readonly orderBy: readonly SortKey[]
}

function group(
  select: SelectStatement,
  items: readonly Item[],
  orders: readonly SortKey[],
  having: Expr | undefined,
  plain: Surroundings,
  aliases: ReadonlyMap<string, Expr>,
): Shaped {
  const { report } = plain
  const fill = select.fill && fillMode(select.fill)
  const builder = new GroupingBuilder(report, fill)
  // An alias may name a key unless it holds an aggregate: `select max(value) value … group by value` means the field.
  const keyAliases = new Map([...aliases].filter(([, expr]) => !hasAggregate(expr)))
  const around = { ...plain, aliases: keyAliases, noAggregates: 'group by' }
  for (const node of select.groupBy) builder.addKey(analyzeKey(node, items, around), node.span)
  const exprs = items.map(item => builder.regroup(item.expr))
  const filtered = having && builder.regroup(having)
  const sorted = orders.map(order => ({ ...order, expr: builder.regroup(order.expr) }))
  if (fill !== undefined) checkFill(select.fill!, fill, builder, report)
  // Ties as the groups come without `order by`: by bucket, then the other keys.
  const tieKeys = builder.keys.toSorted((a, b) => Number(a.bucket === undefined) - Number(b.bucket === undefined))
  const ties = tieKeys.map(key => sortKey(columnRef(key.name, key.expr.type as ValueType, key.expr.span)))
  return {
    items: exprs,
    orderBy: sorted.length === 0 ? [] : withTies(sorted, ties),
    grouping: {
      keys: builder.keys,
      aggregates: builder.aggregates,
      schema: builder.schema(undefined),
      filledSchema: builder.schema(fill),
      having: filtered,
      fill,
    },
  }
}

function ungrouped(select: SelectStatement, items: readonly Item[], report: Report): Omit<Shaped, 'orderBy'> {
  if (select.fill !== undefined) {
    throw report('unsupported_fill', 'fill needs group by time_bucket(…)', select.fill.span)
  }
  return { items: items.map(item => item.expr), grouping: undefined }
}

function analyzeKey(node: SyntaxExpr, items: readonly Item[], around: Surroundings): Expr {
  const item = byPosition(node, items, 'group by', around.report)
  if (item === undefined) return analyzeExpr(node, around)
  if (hasAggregate(item.expr)) {
    throw around.report('not_grouped', 'an aggregate may not stand in group by', node.span)
  }
  return item.expr
}

function fillMode(fill: FillSyntax): FillMode | undefined {
  switch (fill.mode) {
    case 'none':
      return undefined
    case 'previous':
      return { kind: 'previous', lookbackUs: fill.lookbackUs }
    case 'constant':
      return { kind: 'constant', value: fill.value! }
    default:
      return { kind: fill.mode }
  }
}

function checkFill(syntax: FillSyntax, fill: FillMode, builder: GroupingBuilder, report: Report): void {
  if (builder.bucketKey === undefined) {
    throw report('unsupported_fill', 'fill needs group by time_bucket(…) over time', syntax.span)
  }
  if (fill.kind === 'null' || fill.kind === 'previous') return
  const other = builder
    .schema(undefined)
    .slice(builder.keys.length)
    .find(({ type }) => type !== 'float' && type !== 'integer')
  if (other !== undefined) {
    const hint = 'use fill(null) or fill(previous)'
    throw report(
      'unsupported_fill',
      `fill(${syntax.mode}) needs numbers; ${other.name} is a ${other.type}`,
      syntax.span,
      hint,
    )
  }
}

// ---- order by, limit ------------------------------------------------------------------------------------------------

const sortKey = (expr: Expr): SortKey => ({ expr, descending: false, nulls: 'last' })

const nowhere = { start: 0, end: 0 }
const timeKey = sortKey(columnRef('time', 'timestamp', nowhere))
const seriesKey = sortKey(columnRef('series', 'string', nowhere))
/** Raw rows come by time, ties by printed series; these two tell any two rows of a metric apart. */
const rawTies = [timeKey, seriesKey]

/** Appends what settles ties, so that an order never depends on where rows lie. */
function withTies(keys: readonly SortKey[], ties: readonly SortKey[]): SortKey[] {
  const isSorted = (tie: SortKey) => keys.some(key => sameColumn(key.expr, tie.expr))
  return [...keys, ...ties.filter(tie => !isSorted(tie))]
}
const sameColumn = (a: Expr, b: Expr): boolean => a.kind === 'column' && b.kind === 'column' && a.name === b.name

function analyzeOrder(order: OrderSyntax, items: readonly Item[], named: Surroundings): SortKey {
  const item = byPosition(order.expr, items, 'order by', named.report)
  const expr = item?.expr ?? analyzeExpr(order.expr, named)
  return { expr, descending: order.descending, nulls: order.nulls ?? (order.descending ? 'first' : 'last') }
}

/** `2` means the second column; any other constant would sort by nothing. */
function byPosition(node: SyntaxExpr, items: readonly Item[], clause: string, report: Report): Item | undefined {
  if (node.kind !== 'literal' || node.type !== 'integer') return undefined
  const item = items[Number(node.value) - 1]
  if (item !== undefined) return item
  throw report('wrong_argument', `${clause} ${node.value}: the select list ends at column ${items.length}`, node.span)
}

export function analyzeCount(count: CountSyntax, clause: string, report: Report): RowCount {
  if (count.kind === 'parameter') return { kind: 'parameter', type: 'integer', index: count.index, span: count.span }
  if (typeof count.value !== 'number') throw report('wrong_argument', `${clause} is too large`, count.span)
  return { kind: 'literal', type: 'integer', value: count.value, span: count.span }
}
