/**
 * Slots: the constants of a plan whose values are not known yet. A template (`template.ts`) has a parameter in the place of
 * each; the plan of one execution has literals alone.
 *
 * Rules do their work on slots as on literals, for as long as they need not know a value. One that does says so with
 * `valueNeeded`: then there is no template, and the plan is made for the values of each execution.
 */
import type { Expr, Literal } from './expression.ts'

/** Never seen outside of `bind.ts`; one for all, since a trace of the stack costs more than making the plan. */
export const valueIsNeeded = new Error('the plan depends on a value')

export function valueNeeded(): never {
  throw valueIsNeeded
}

/** A literal, or a slot, which will be one. */
export const isConstant = (expr: Expr): boolean => expr.kind === 'literal' || expr.kind === 'parameter'

/** Whether the expression is the literal with this value. */
export function isLiteral(expr: Expr, value: Literal['value']): boolean {
  if (expr.kind === 'parameter') valueNeeded()
  return expr.kind === 'literal' && expr.value === value
}
