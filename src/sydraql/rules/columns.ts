/** Where a column comes from, what a partition settles, and what the plan below says about a column's times. */
import type { Schema } from '../../columnar/batch.ts'
import type { Expr } from '../expression.ts'
import type { LogicalPlan, NamedExpr, Sequence, TimeRange } from '../plan.ts'
import { conjuncts, someNode, substituteColumns } from '../rewrite.ts'
import { isConstant } from '../slots.ts'
import { everything, hull, intersection, nothing, timeConditionOn } from '../time-range.ts'

/** Whether a column of a scan depends on the series alone. */
export const isSeriesColumn = (name: string): boolean =>
  name === 'series' || name === 'series_id' || name.startsWith('tag.')

export const hasColumn = (plan: LogicalPlan, name: string): boolean => plan.schema.some(column => column.name === name)

/** The expression over a projection's output, said over its input. */
export const throughItems = (expr: Expr, items: readonly NamedExpr[]): Expr =>
  substituteColumns(expr, column => items.find(item => item.name === column.name)?.expr ?? column)

/** Whether the expression reads columns for which the test holds, and no others. */
export const readsOnly = (expr: Expr, test: (column: string) => boolean): boolean =>
  !someNode(expr, node => node.kind === 'column' && !test(node.name))

/** A column that the series of a row settles. */
interface SeriesOrigin {
  /** The scan, or the union of scans, that the series are of. */
  readonly source: LogicalPlan
  /** It is the series itself, so that it settles all that series do. */
  readonly identifies: boolean
}

/** undefined: it depends on more than the series, or that is not known. */
export function seriesOrigin(plan: LogicalPlan, column: string): SeriesOrigin | undefined {
  switch (plan.kind) {
    case 'scan':
      return isSeriesColumn(column)
        ? { source: plan, identifies: column === 'series' || column === 'series_id' }
        : undefined
    case 'project': {
      const expr = plan.items.find(item => item.name === column)?.expr
      return expr?.kind === 'column' ? seriesOrigin(plan.input, expr.name) : undefined
    }
    case 'union': {
      // Series of different metrics differ, so that the union's series settle what those of its inputs do.
      const origins = plan.inputs.map(input =>
        isConstantColumn(input, column) ? 'constant' : seriesOrigin(input, column),
      )
      if (origins.includes(undefined)) return undefined
      return {
        source: plan,
        identifies: origins.every(origin => typeof origin === 'object' && origin.identifies),
      }
    }
    case 'join':
      return seriesOrigin(hasColumn(plan.left, column) ? plan.left : plan.right, column)
    case 'window':
      return hasColumn(plan.input, column) ? seriesOrigin(plan.input, column) : undefined
    case 'filter':
    case 'sort':
    case 'limit':
    case 'limit_per':
      return seriesOrigin(plan.input, column)
    default:
      return undefined
  }
}

function isConstantColumn(plan: LogicalPlan, column: string): boolean {
  const expr = plan.kind === 'project' ? plan.items.find(item => item.name === column)?.expr : undefined
  return expr !== undefined && isConstant(expr)
}

/** Tells columns of `plan` that are the same in all rows of a partition. */
export function settledBySequence({ partition }: Sequence, plan: LogicalPlan): (column: string) => boolean {
  return column => {
    if (partition.includes(column)) return true
    const origin = seriesOrigin(plan, column)
    if (origin === undefined) return false
    return partition.some(name => {
      const other = seriesOrigin(plan, name)
      return other?.identifies === true && other.source === origin.source
    })
  }
}

/** A range outside of which no row of the plan has a value in this column of timestamps. */
export function rangeOfColumn(plan: LogicalPlan, column: string): TimeRange {
  switch (plan.kind) {
    case 'scan':
      return column === 'time' ? intersection(plan.range, rangeOf(plan.rowPredicate, column)) : everything
    case 'filter':
      return intersection(rangeOf(plan.predicate, column), rangeOfColumn(plan.input, column))
    case 'project': {
      const expr = plan.items.find(item => item.name === column)?.expr
      return expr?.kind === 'column' ? rangeOfColumn(plan.input, expr.name) : everything
    }
    case 'union':
      return plan.inputs.map(input => rangeOfColumn(input, column)).reduce(hull, nothing)
    case 'join':
      return rangeOfColumn(hasColumn(plan.left, column) ? plan.left : plan.right, column)
    case 'aggregate': {
      const expr = plan.keys.find(key => key.name === column)?.expr
      return expr?.kind === 'column' ? rangeOfColumn(plan.input, expr.name) : everything
    }
    case 'window':
      return hasColumn(plan.input, column) ? rangeOfColumn(plan.input, column) : everything
    case 'sort':
    case 'limit':
    case 'limit_per':
      return rangeOfColumn(plan.input, column)
    default:
      return everything
  }
}

const rangeOf = (condition: Expr | undefined, column: string): TimeRange =>
  condition === undefined
    ? everything
    : conjuncts(condition)
        .map(part => timeConditionOn(part, column).range)
        .reduce(intersection, everything)

/** The plan with these of its columns alone. */
export function columnsAs(plan: LogicalPlan, schema: Schema): LogicalPlan {
  const items = schema.map(
    ({ name, type }): NamedExpr => ({ name, expr: { kind: 'column', type, name, span: { start: 0, end: 0 } } }),
  )
  return { kind: 'project', input: plan, items, schema }
}
