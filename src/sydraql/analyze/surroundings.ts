/** What the parts of one analysis share, and where in the statement an expression stands. */
import type { Expr, Literal } from '../expression.ts'
import type { Sequence } from '../plan.ts'
import { attempt, type Report } from '../problem.ts'
import type { QuerySchema } from '../schema.ts'
import type { Scope } from './scope.ts'

/** One statement's analysis. */
export interface Analysis {
  readonly report: Report
  readonly schema: QuerySchema
}

export interface Surroundings {
  readonly analysis: Analysis
  readonly report: Report
  readonly scope: Scope
  /** Of the source. */
  readonly sequence: Sequence
  /** Aliases of the select list, where they may be used; they win over columns, but not inside an aggregate. */
  readonly aliases: ReadonlyMap<string, Expr> | undefined
  /** undefined: aggregates may stand here; else why not, such as `where`. */
  readonly noAggregates: string | undefined
  /** As `noAggregates`, for row functions. */
  readonly noWindows: string | undefined
}

/**
 * Stands for an expression in error. Whatever holds it is in error too and becomes it, so that one mistake is told once.
 */
export const failed: Literal = { kind: 'literal', type: 'null', value: null, span: { start: 0, end: 0 } }

export const isFailed = (expr: Expr): boolean => expr === failed

/** An expression, or `failed` when it throws. */
export const attemptExpr = (report: Report, run: () => Expr): Expr => attempt(report, run, failed)
