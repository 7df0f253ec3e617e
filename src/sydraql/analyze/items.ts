/** The select list: its expressions, and the names of the result's columns. */
import type { Schema } from '../../columnar/batch.ts'
import type { SelectItem, SyntaxExpr } from '../ast.ts'
import type { Expr, Span } from '../expression.ts'
import { formatExpr } from '../format.ts'
import { columnsMax } from '../limits.ts'
import type { NamedExpr } from '../plan.ts'
import { attempt } from '../problem.ts'
import { analyzeExpr } from './expressions.ts'
import { isNullable, type Nullability, UniqueNames } from './grouping.ts'
import { failed, isFailed, type Surroundings } from './surroundings.ts'

/** One column of the select list, before grouping. */
export interface Item {
  readonly name: string
  /** Whether the name is an alias that other clauses may use. */
  readonly isAlias: boolean
  readonly expr: Expr
  readonly span: Span
}

export function analyzeItems(list: readonly SelectItem[], around: Surroundings): readonly Item[] {
  const { report } = around
  const items: Item[] = []
  for (const item of list) {
    const columns = attempt(report, () => analyzeItem(item, around), [
      { name: '', isAlias: false, expr: failed, span: item.span },
    ])
    for (const column of columns) items.push(column)
    if (items.length > columnsMax) {
      throw report('query_too_complex', `the select list has more than ${columnsMax} columns`, item.span)
    }
  }
  return items
}

function analyzeItem({ expr: node, alias, span }: SelectItem, around: Surroundings): readonly Item[] {
  const { scope, report } = around
  if (node.kind === 'star') {
    const columns = scope.star(span, report)
    if (columns === undefined) throw report('wrong_argument', '* needs a from clause', span)
    if (alias !== undefined) throw report('wrong_argument', '* cannot have an alias', span)
    return columns.map(({ name, column }) => ({ name, isAlias: false, expr: column, span }))
  }
  const expr = analyzeExpr(node, around)
  const name = alias ?? (isFailed(expr) ? '' : impliedName(node, expr, around))
  return [{ name, isAlias: alias !== undefined, expr, span }]
}

/** Columns keep their name, calls give theirs, casts that of what they convert; the rest is named by its text. */
function impliedName(node: SyntaxExpr, expr: Expr, around: Surroundings): string {
  if (node.kind === 'name' && expr.kind === 'column') return around.scope.title(node, expr)
  if (node.kind === 'call') return node.name.toLowerCase()
  if (node.kind === 'case') return 'case'
  if (node.kind === 'operator' && node.name.startsWith('cast_')) return impliedName(node.args[0]!, expr, around)
  return formatExpr(node)
}

export interface Output {
  readonly items: readonly NamedExpr[]
  readonly output: Schema
}

/** Result columns have distinct names: the second `avg` is `avg_2`. `exprs`: the items' as they are computed. */
export function nameItems(items: readonly Item[], exprs: readonly Expr[], nullable: Nullability): Output {
  const names = new UniqueNames()
  const named = items.map((item, index) => ({ name: names.add(item.name), expr: exprs[index]! }))
  const output = named.map(({ name, expr }) => ({
    name,
    type: expr.type === 'null' ? ('float' as const) : expr.type,
    nullable: isNullable(expr, nullable),
  }))
  return { items: named, output }
}
