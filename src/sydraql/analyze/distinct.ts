/** `select distinct`: like grouping by every output column. What follows it reads the output. */
import type { Expr } from '../expression.ts'
import type { SortKey } from '../plan.ts'
import { keep, type Report } from '../problem.ts'
import { sameExpr } from '../rewrite.ts'
import type { Output } from './items.ts'
import { sortKey, withTies } from './ordering.ts'
import { columnRef } from './scope.ts'
import { failed, isFailed } from './surroundings.ts'

export interface DistinctOrder {
  readonly orderBy: readonly SortKey[]
  readonly limitPer: Expr | undefined
}

/**
 * By the bucket, if an item is one, then the columns as they are listed; after what `order by` says. `orders` and `per`
 * read what the items read, and must be among them.
 */
export function orderDistinct(
  { items, output }: Output,
  orders: readonly SortKey[],
  per: Expr | undefined,
  isBucket: (expr: Expr) => boolean,
  report: Report,
): DistinctOrder {
  const columns = output.map(({ name, type }, index) => columnRef(name, type, items[index]!.expr.span))
  const listed = (expr: Expr, clause: string): Expr => {
    if (isFailed(expr)) return failed
    const index = items.findIndex(item => sameExpr(item.expr, expr))
    if (index >= 0) return { ...columns[index]!, span: expr.span }
    const message = `with select distinct, ${clause} takes columns of the select list`
    keep(report, report('wrong_argument', message, expr.span, 'add it to the select list, or group by it instead'))
    return failed
  }
  const bucket = items.findIndex(item => isBucket(item.expr))
  const natural = bucket < 0 ? columns : [columns[bucket]!, ...columns.filter((_, index) => index !== bucket)]
  const limitPer = per && listed(per, 'limit per')
  // Groups come sorted by their keys already.
  if (orders.length === 0 && bucket <= 0) return { orderBy: [], limitPer }
  const keys = orders.map(order => ({ ...order, expr: listed(order.expr, 'order by') }))
  return { orderBy: withTies(keys, natural.map(sortKey)), limitPer }
}
