/**
 * Puts values in the place of parameters and `now()`, all over a typed query.
 *
 * Invariants:
 * 1. What holds neither is shared with the prepared query, not copied.
 * 2. Constants that analysis could not see are checked here.
 */
import { checkConstants } from './analyze/constants.ts'
import type { Call, Expr } from './expression.ts'
import { type ParameterValue, parameterLiteral } from './parameters.ts'
import type { Report } from './problem.ts'
import type { Grouping, HistogramQuery, JoinSide, Query, RowCount, SelectQuery, SourceQuery } from './query.ts'
import { mapChildren, mapSame } from './rewrite.ts'

/** The query without parameters; throws what is wrong with a value. */
export function substitute<Some extends Query>(
  query: Some,
  values: readonly ParameterValue[],
  nowUs: number,
  report: Report,
): Some
export function substitute(query: Query, values: readonly ParameterValue[], nowUs: number, report: Report): Query {
  const replace = (expr: Expr): Expr => {
    if (expr.kind === 'parameter') return parameterLiteral(expr, values[expr.index - 1]!, report)
    if (expr.kind === 'now') return { kind: 'literal', type: 'timestamp', value: nowUs, span: expr.span }
    const mapped = mapChildren(expr, replace)
    if (mapped !== expr && mapped.kind === 'call') checkConstants(mapped, report)
    return mapped
  }
  const count = (given: RowCount | undefined, clause: string): RowCount | undefined => {
    if (given?.kind !== 'parameter') return given
    const literal = parameterLiteral(given, values[given.index - 1]!, report)
    if (typeof literal.value === 'number' && literal.value >= 0) return literal
    throw report('wrong_argument', `${clause} must be a whole number not below 0`, given.span)
  }
  const maybe = (expr: Expr | undefined): Expr | undefined => expr && replace(expr)

  const ofSelect = (select: SelectQuery): SelectQuery => ({
    ...select,
    source: select.source && ofSource(select.source),
    where: maybe(select.where),
    grouping: select.grouping && boundGrouping(select.grouping, replace, report),
    histogram: select.histogram && boundHistogram(select.histogram, replace, report),
    windows: mapSame(select.windows, call => boundCall(call, replace, report)),
    orderBy: mapSame(select.orderBy, key => replaced(key, replace)),
    items: mapSame(select.items, item => replaced(item, replace)),
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
        tags: query.tags.map(tag => ({ ...tag, value: replace(tag.value) })),
        rows: query.rows.map(row => ({ ...row, time: replace(row.time), values: row.values.map(replace) })),
      }
    case 'delete':
      return { ...query, where: replace(query.where) }
  }
}

function replaced<T extends { readonly expr: Expr }>(item: T, replace: (expr: Expr) => Expr): T {
  const expr = replace(item.expr)
  return expr === item.expr ? item : { ...item, expr }
}

/** An aggregate or a row function: its constants are checked as those of any call. */
function boundCall<T extends { readonly function: string; readonly args: readonly Expr[] }>(
  call: T,
  replace: (expr: Expr) => Expr,
  report: Report,
): T {
  const args = mapSame(call.args, replace)
  if (args === call.args) return call
  checkConstants(asCall(call.function, args), report)
  return { ...call, args }
}

const asCall = (name: string, args: readonly Expr[]): Call => ({
  kind: 'call',
  type: 'float',
  name,
  args,
  span: args[0]!.span,
})

function boundGrouping(grouping: Grouping, replace: (expr: Expr) => Expr, report: Report): Grouping {
  return {
    ...grouping,
    keys: mapSame(grouping.keys, key => replaced(key, replace)),
    aggregates: mapSame(grouping.aggregates, aggregate => boundCall(aggregate, replace, report)),
    having: grouping.having && replace(grouping.having),
  }
}

function boundHistogram(histogram: HistogramQuery, replace: (expr: Expr) => Expr, report: Report): HistogramQuery {
  const { value, low, high, buckets } = histogram
  const before = [value, low, high, buckets]
  const args = mapSame(before, replace)
  if (args === before) return histogram
  checkConstants(asCall('histogram', args), report)
  return { value: args[0]!, low: args[1]!, high: args[2]!, buckets: args[3]! }
}
