/** Rules that leave out what no one reads: columns, and whole scans. */
import type { Expr } from '../expression.ts'
import { functionInfo } from '../functions.ts'
import type { AggregateNode, LogicalPlan } from '../plan.ts'
import { collectColumns } from '../rewrite.ts'
import { isEmptyRange } from '../time-range.ts'
import { bottomUp, inputOf, type Rule, withInput } from './rule.ts'

/** The scan yields the columns that are read above it, and those its row predicate reads. */
export const pruneColumns: Rule = {
  name: 'prune-columns',
  apply: plan => prune(plan, new Set(plan.schema.map(column => column.name))),
}

/** `needed`: what is read of the node's columns. */
function prune(plan: LogicalPlan, needed: ReadonlySet<string>): LogicalPlan {
  if (plan.kind === 'scan') {
    const kept = new Set(needed)
    if (plan.rowPredicate !== undefined) collectColumns(plan.rowPredicate, kept)
    const schema = plan.schema.filter(column => kept.has(column.name))
    return schema.length === plan.schema.length ? plan : { ...plan, schema }
  }
  const input = inputOf(plan)
  if (input === undefined) return plan
  const below = prune(input, neededBelow(plan, needed))
  return below === input ? plan : withInput(plan, below)
}

function neededBelow(plan: LogicalPlan, needed: ReadonlySet<string>): ReadonlySet<string> {
  switch (plan.kind) {
    case 'filter':
      return withColumns(needed, [plan.predicate])
    case 'sort':
      return withColumns(
        needed,
        plan.keys.map(key => key.expr),
      )
    case 'project':
      return withColumns(
        [],
        plan.items.map(item => item.expr),
      )
    case 'aggregate':
      return neededByAggregate(plan)
    case 'fill':
      return new Set(plan.input.schema.map(column => column.name))
    default:
      return needed
  }
}

function neededByAggregate({ keys, aggregates }: AggregateNode): ReadonlySet<string> {
  const exprs = [...keys.map(key => key.expr), ...aggregates.flatMap(aggregate => aggregate.args)]
  // `first` and `last` look at the time of rows, and at the series where times are equal.
  const isOrdered = aggregates.some(aggregate => functionInfo(aggregate.function)?.hints.needsOrder)
  return withColumns(isOrdered ? ['time', 'series'] : [], exprs)
}

function withColumns(names: Iterable<string>, exprs: readonly Expr[]): Set<string> {
  const all = new Set(names)
  for (const expr of exprs) collectColumns(expr, all)
  return all
}

/** What can hold no row becomes no rows: a range that is empty, a condition that is false, `limit 0`. */
export const emptyInput: Rule = {
  name: 'empty-input',
  apply: plan =>
    bottomUp(plan, node => (holdsNothing(node) ? { kind: 'values', rows: [], schema: node.schema } : node)),
}

function holdsNothing(plan: LogicalPlan): boolean {
  switch (plan.kind) {
    case 'scan':
      return isEmptyRange(plan.range) || isFalse(plan.seriesPredicate) || isFalse(plan.rowPredicate)
    case 'filter':
      return isFalse(plan.predicate) || isEmpty(plan.input)
    case 'limit':
      return plan.limit === 0 || isEmpty(plan.input)
    case 'aggregate':
      // Without keys there is one group, rows or not.
      return plan.keys.length > 0 && isEmpty(plan.input)
    case 'project':
    case 'sort':
    case 'fill':
      return isEmpty(plan.input)
    default:
      return false
  }
}

const isEmpty = (plan: LogicalPlan): boolean => plan.kind === 'values' && plan.rows.length === 0
const isFalse = (expr: Expr | undefined): boolean => expr?.kind === 'literal' && expr.value !== true
