/**
 * Rewriting the expressions of a typed query.
 *
 * Invariant: clauses in which nothing changes are shared with the query given, not copied.
 */
import type { Call, Expr } from './expression.ts'
import type { Grouping, HistogramQuery, JoinSide, Query, RowCount, SelectQuery, SourceQuery } from './query.ts'
import { mapSame } from './rewrite.ts'

export interface QueryChange {
  /** An expression of any clause; sources come first. */
  expr(expr: Expr): Expr
  /** `limit` or `offset`, where there is one. */
  count(count: RowCount, clause: string): RowCount
  /** Told of each aggregate, row function and histogram whose arguments changed, with the new ones. */
  called(call: Call): void
}

export function mapQuery<Some extends Query>(query: Some, change: QueryChange): Some
export function mapQuery(query: Query, change: QueryChange): Query {
  const { expr } = change
  const maybe = (given: Expr | undefined): Expr | undefined => given && expr(given)
  const count = (given: RowCount | undefined, clause: string): RowCount | undefined =>
    given && change.count(given, clause)

  const ofSelect = (select: SelectQuery): SelectQuery => ({
    ...select,
    source: select.source && ofSource(select.source),
    where: maybe(select.where),
    grouping: select.grouping && ofGrouping(select.grouping, change),
    histogram: select.histogram && ofHistogram(select.histogram, change),
    windows: mapSame(select.windows, call => ofCall(call, change)),
    orderBy: mapSame(select.orderBy, key => ofElement(key, change)),
    items: mapSame(select.items, item => ofElement(item, change)),
    limit: count(select.limit, 'limit'),
    limitPer: maybe(select.limitPer),
    offset: count(select.offset, 'offset'),
  })
  const ofSide = (side: JoinSide): JoinSide => {
    const source = ofSource(side.source)
    return source === side.source ? side : { ...side, source }
  }
  const ofSource = (source: SourceQuery): SourceQuery => {
    if (source.kind === 'query') return { ...source, query: ofSelect(source.query) }
    if (source.kind !== 'join') return source
    const left = ofSide(source.left)
    const right = ofSide(source.right)
    return left === source.left && right === source.right ? source : { ...source, left, right }
  }

  switch (query.kind) {
    case 'select':
      return ofSelect(query)
    case 'show':
      return { ...query, where: maybe(query.where), limit: count(query.limit, 'limit') }
    case 'insert':
      return {
        ...query,
        tags: query.tags.map(tag => ({ ...tag, value: expr(tag.value) })),
        rows: query.rows.map(row => ({ ...row, time: expr(row.time), values: row.values.map(expr) })),
      }
    case 'delete':
      return { ...query, where: expr(query.where) }
  }
}

function ofElement<T extends { readonly expr: Expr }>(element: T, change: QueryChange): T {
  const expr = change.expr(element.expr)
  return expr === element.expr ? element : { ...element, expr }
}

/** An aggregate or a row function. */
function ofCall<T extends { readonly function: string; readonly args: readonly Expr[] }>(
  call: T,
  change: QueryChange,
): T {
  const args = mapSame(call.args, change.expr)
  if (args === call.args) return call
  change.called(asCall(call.function, args))
  return { ...call, args }
}

const asCall = (name: string, args: readonly Expr[]): Call => ({
  kind: 'call',
  type: 'float',
  name,
  args,
  span: args[0]!.span,
})

function ofGrouping(grouping: Grouping, change: QueryChange): Grouping {
  return {
    ...grouping,
    keys: mapSame(grouping.keys, key => ofElement(key, change)),
    aggregates: mapSame(grouping.aggregates, aggregate => ofCall(aggregate, change)),
    having: grouping.having && change.expr(grouping.having),
  }
}

function ofHistogram(histogram: HistogramQuery, change: QueryChange): HistogramQuery {
  const { value, low, high, buckets } = histogram
  const before = [value, low, high, buckets]
  const args = mapSame(before, change.expr)
  if (args === before) return histogram
  change.called(asCall('histogram', args))
  return { value: args[0]!, low: args[1]!, high: args[2]!, buckets: args[3]! }
}
