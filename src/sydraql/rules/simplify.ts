/** Rules on expressions: fold what is constant, shorten conditions. Both keep three-valued logic and types. */
import { evaluate } from '../evaluate.ts'
import type { Call, Expr, Literal, Span } from '../expression.ts'
import { conjuncts, joined, rewrite } from '../rewrite.ts'
import { isLiteral } from '../slots.ts'
import { bottomUp, mapExpressions, type Rule } from './rule.ts'

/** `now() - 1h`, bound, becomes a timestamp. */
export const foldConstants: Rule = {
  name: 'fold-constants',
  apply: plan =>
    mapExpressions(plan, expr => rewrite(expr, node => (node.kind === 'call' ? (evaluate(node) ?? node) : node))),
}

/** `not (a < 1)` becomes `a >= 1`, `x and true` becomes `x`; a filter that keeps all rows goes. */
export const simplifyConditions: Rule = {
  name: 'simplify-conditions',
  apply(plan) {
    const simplified = mapExpressions(plan, expr => rewrite(expr, simplify))
    return bottomUp(simplified, node => {
      if (node.kind !== 'filter') return node
      const parts = conjuncts(node.predicate)
      const needed = parts.filter(part => !isLiteral(part, true))
      if (needed.length === 0) return node.input
      // Only true passes: null is as good as false here, though not under a `not`.
      const isNever = needed.some(part => isLiteral(part, null) || isLiteral(part, false))
      if (isNever && !isLiteral(node.predicate, false)) return { ...node, predicate: truth(false, node.predicate.span) }
      return needed.length === parts.length ? node : { ...node, predicate: joined('and', needed)! }
    })
  },
}

/** A condition as both rules leave it: bounds of `time` are then plain to see. */
export const plainCondition = (condition: Expr): Expr =>
  rewrite(condition, node => simplify(node.kind === 'call' ? (evaluate(node) ?? node) : node))

const truth = (value: boolean, span: Span): Literal => ({ kind: 'literal', type: 'boolean', value, span })

/** The comparison that is true exactly where this one is false: values are totally ordered, NaN included. */
const opposites: Readonly<Record<string, string>> = { eq: 'ne', ne: 'eq', lt: 'ge', ge: 'lt', gt: 'le', le: 'gt' }

/** One node whose children are simple already. */
function simplify(expr: Expr): Expr {
  if (expr.kind !== 'call') return expr
  switch (expr.name) {
    case 'and':
      return connective(expr, false)
    case 'or':
      return connective(expr, true)
    case 'not':
      return negation(expr, expr.args[0]!)
    case 'in':
      return expr.args.length === 2 ? { ...expr, name: 'eq' } : expr
    default:
      return expr
  }
}

/** `decisive` settles the result whatever the other side is; its opposite leaves the other side. */
function connective(expr: Call, decisive: boolean): Expr {
  const [a, b] = expr.args
  if (isLiteral(a!, decisive) || isLiteral(b!, decisive)) return truth(decisive, expr.span)
  if (isLiteral(a!, !decisive)) return b!
  return isLiteral(b!, !decisive) ? a! : expr
}

function negation(expr: Call, inner: Expr): Expr {
  if (isLiteral(inner, true) || isLiteral(inner, false)) return truth(isLiteral(inner, false), expr.span)
  if (inner.kind !== 'call') return expr
  const opposite = opposites[inner.name]
  if (opposite !== undefined) return { ...inner, name: opposite, span: expr.span }
  if (inner.name === 'not') return inner.args[0]!
  if (inner.name !== 'and' && inner.name !== 'or') return expr
  const args = inner.args.map(arg => negation({ ...expr, args: [arg] }, arg))
  return { ...inner, name: inner.name === 'and' ? 'or' : 'and', args, span: expr.span }
}
