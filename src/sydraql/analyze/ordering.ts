/** `order by`, positions, and row counts. */
import type { ValueType } from '../../columnar/batch.ts'
import type { CountSyntax, OrderSyntax, SyntaxExpr } from '../ast.ts'
import type { Expr } from '../expression.ts'
import type { GroupKey, Sequence, SortKey } from '../plan.ts'
import { attempt, type Report } from '../problem.ts'
import type { RowCount, SourceQuery } from '../query.ts'
import { analyzeExpr } from './expressions.ts'
import type { Item } from './items.ts'
import { columnRef } from './scope.ts'
import { attemptExpr, type Surroundings } from './surroundings.ts'

const nowhere = { start: 0, end: 0 }

export const sortKey = (expr: Expr): SortKey => ({ expr, descending: false, nulls: 'last' })
const columnKey = (name: string, type: ValueType): SortKey => sortKey(columnRef(name, type, nowhere))

export function analyzeOrder(order: OrderSyntax, items: readonly Item[], named: Surroundings): SortKey {
  const expr = analyzeReference(order.expr, items, 'order by', named)
  return { expr, descending: order.descending, nulls: order.nulls ?? (order.descending ? 'first' : 'last') }
}

/** An expression over the select list and the source, or the position of a column in the select list. */
export function analyzeReference(node: SyntaxExpr, items: readonly Item[], clause: string, around: Surroundings): Expr {
  return attemptExpr(
    around.report,
    () => byPosition(node, items, clause, around.report)?.expr ?? analyzeExpr(node, around),
  )
}

/** `2` means the second column; any other constant would sort by nothing. */
export function byPosition(node: SyntaxExpr, items: readonly Item[], clause: string, report: Report): Item | undefined {
  if (node.kind !== 'literal' || node.type !== 'integer') return undefined
  const item = items[Number(node.value) - 1]
  if (item !== undefined) return item
  throw report('wrong_argument', `${clause} ${node.value}: the select list ends at column ${items.length}`, node.span)
}

/** Raw rows of metrics come by time, ties by printed series: these two tell any two rows of a metric apart. */
const seriesTies = [columnKey('time', 'timestamp'), columnKey('series', 'string')]

/**
 * What tells any two rows of the source apart, so that an order never depends on where rows lie. A sub-select's rows come in
 * an order of their own, which stays.
 */
export function rawTies(source: SourceQuery | undefined): readonly SortKey[] {
  switch (source?.kind) {
    case undefined:
    case 'query':
      return []
    case 'join': {
      const types = new Map(source.schema.map(({ name, type }) => [name, type]))
      const { time, partition } = source.sequence
      return [time!, ...partition].map(name => columnKey(name, types.get(name)!))
    }
    default:
      return seriesTies
  }
}

/** Ties as groups come without `order by`: by bucket, then the other keys. */
export function groupTies(keys: readonly GroupKey[]): readonly SortKey[] {
  const bucket = keys.filter(key => key.bucket !== undefined)
  return [...bucket, ...keys.filter(key => key.bucket === undefined)].map(key =>
    columnKey(key.name, key.expr.type as ValueType),
  )
}

/** The rows of a sequence by time, then by what tells its parts apart. */
export function sequenceTies({ time, partition }: Sequence, typeOf: (name: string) => ValueType): readonly SortKey[] {
  return time === undefined ? [] : [time, ...partition].map(name => columnKey(name, typeOf(name)))
}

/** Appends what settles ties. */
export function withTies(keys: readonly SortKey[], ties: readonly SortKey[]): SortKey[] {
  const sorted = new Set(keys.map(key => (key.expr.kind === 'column' ? key.expr.name : undefined)))
  return [...keys, ...ties.filter(tie => tie.expr.kind !== 'column' || !sorted.has(tie.expr.name))]
}

export function analyzeCount(count: CountSyntax | undefined, clause: string, report: Report): RowCount | undefined {
  if (count === undefined) return undefined
  if (count.kind === 'parameter') return { kind: 'parameter', type: 'integer', index: count.index, span: count.span }
  const { value, span } = count
  return attempt(
    report,
    () => {
      if (typeof value !== 'number') throw report('wrong_argument', `${clause} is too large`, span)
      return { kind: 'literal', type: 'integer', value, span } as const
    },
    undefined,
  )
}
