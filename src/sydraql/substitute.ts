/**
 * Puts values in the place of parameters and `now()`, all over a typed query.
 *
 * Invariant: constants that analysis could not see are checked here.
 */
import { checkConstants } from './analyze/constants.ts'
import type { Expr, Literal } from './expression.ts'
import { mapQuery } from './map-query.ts'
import { type ParameterValue, parameterLiteral } from './parameters.ts'
import type { Report } from './problem.ts'
import type { Query } from './query.ts'
import { mapChildren } from './rewrite.ts'

/** What one execution is given. */
export interface Values {
  readonly parameters: readonly ParameterValue[]
  readonly nowUs: number
}

/** The query without parameters; throws what is wrong with a value. */
export function substitute<Some extends Query>(query: Some, values: Values, report: Report): Some {
  const replace = (expr: Expr): Expr => {
    const mapped = valueGiven(expr, values, report) ?? mapChildren(expr, replace)
    if (mapped !== expr && mapped.kind === 'call') checkConstants(mapped, report)
    return mapped
  }
  return mapQuery(query, {
    expr: replace,
    count(count, clause) {
      const literal = valueGiven(count, values, report)
      if (literal === undefined) return count
      if (typeof literal.value === 'number' && literal.value >= 0) return literal
      throw report('wrong_argument', `${clause} must be a whole number not below 0`, count.span)
    },
    called: call => checkConstants(call, report),
  })
}

/** Of a parameter or `now()`; undefined for other expressions. Throws what is wrong with the value. */
export function valueGiven(expr: Expr, { parameters, nowUs }: Values, report: Report): Literal | undefined {
  if (expr.kind === 'parameter') return parameterLiteral(expr, parameters[expr.index - 1]!, report)
  return expr.kind === 'now' ? { kind: 'literal', type: 'timestamp', value: nowUs, span: expr.span } : undefined
}
