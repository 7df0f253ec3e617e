/** `select histogram(v, low, high, n) from …`: it gives rows, and stands alone. */
import type { Schema } from '../../columnar/batch.ts'
import type { CallSyntax, SelectStatement } from '../ast.ts'
import type { Expr, Span } from '../expression.ts'
import { functionInfo } from '../functions.ts'
import { attempt, keep, type Report } from '../problem.ts'
import type { SelectQuery } from '../query.ts'
import { checkCount, finishCall } from './calls.ts'
import { analyze, checkFinished } from './expressions.ts'
import { columnRef } from './scope.ts'
import type { Source } from './sources.ts'
import { attemptExpr, isFailed, type Surroundings } from './surroundings.ts'

const output: Schema = [
  { name: 'bucket', type: 'float', nullable: false },
  { name: 'count', type: 'integer', nullable: false },
]

/** The call, where the select list holds one as an item. */
export const histogramOf = ({ items }: SelectStatement): CallSyntax | undefined =>
  items
    .map(item => item.expr)
    .filter(expr => expr.kind === 'call')
    .find(call => call.name.toLowerCase() === 'histogram')

export function analyzeHistogram(
  select: SelectStatement,
  node: CallSyntax,
  source: Source,
  where: Expr | undefined,
  plain: Surroundings,
): SelectQuery {
  const { report } = plain
  checkAlone(select, node, report)
  const around = { ...plain, noAggregates: 'histogram', noWindows: 'histogram' }
  const call = attemptExpr(report, () => {
    const info = functionInfo('histogram')!
    checkCount(info, node, report)
    const args = node.args.map(arg => analyze(arg, around))
    return finishCall(info, args, node.span, report)
  })
  checkFinished(call, report)
  const isSound = call.kind === 'call' && !isFailed(call)
  const [value, low, high, buckets] = isSound ? call.args : [call, call, call, call]
  const items = output.map(({ name, type }) => ({ name, expr: columnRef(name, type, node.span) }))
  return {
    kind: 'select',
    source: attempt(report, source.finish, undefined),
    where,
    grouping: undefined,
    histogram: { value: value!, low: low!, high: high!, buckets: buckets! },
    windows: [],
    windowColumns: [],
    sequence: { time: undefined, partition: [] },
    orderBy: [],
    items,
    distinct: false,
    limit: undefined,
    limitPer: undefined,
    offset: undefined,
    output,
  }
}

/** Each clause that may not stand beside it is told. */
function checkAlone(select: SelectStatement, { span }: CallSyntax, report: Report): void {
  const hint = 'use a sub-select, as in select … from (select histogram(v, 0, 100, 10) from …) as h'
  const refuse = (what: string, at: Span): void => keep(report, report('unsupported_feature', what, at, hint))
  const { items, source, groupBy, having, fill, orderBy, limit, limitPer, offset } = select
  if (source === undefined) keep(report, report('wrong_argument', 'histogram needs a from clause', span))
  if (items.length > 1) {
    const other = items.find(item => item.expr.span.start !== span.start)!
    refuse('histogram stands alone in a select list', other.span)
  } else if (items[0]!.alias !== undefined) {
    keep(report, report('wrong_argument', 'histogram gives the columns bucket and count: no alias', items[0]!.span))
  }
  if (select.distinct) refuse('select distinct does not go with histogram', span)
  if (groupBy.length > 0) refuse('group by does not go with histogram', groupBy[0]!.span)
  if (having !== undefined) refuse('having does not go with histogram', having.span)
  if (fill !== undefined) refuse('fill does not go with histogram', fill.span)
  if (orderBy.length > 0) refuse('order by does not go with histogram', orderBy[0]!.expr.span)
  for (const count of [limit, limitPer, offset]) {
    if (count !== undefined) refuse('limit and offset do not go with histogram', count.span)
  }
}
