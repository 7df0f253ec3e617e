/**
 * Typed expressions: frozen data that analysis makes, rules rewrite and operators compile.
 *
 * Operators of the language are calls too, by the names in the function registry: `or and not eq ne lt le gt ge is_null
 * add sub mul div mod neg in like ilike regex_match cast_float …`; `between` is `and(ge, le)`, `!=~` is `not(regex_match)`.
 *
 * Invariants:
 * 1. Every node has a type; `null` is the type of the bare literal null only.
 * 2. Nodes are never mutated; a rewrite makes new ones and keeps the span of what it replaces.
 */
import type { ValueType } from '../columnar/batch.ts'

export type ExprType = ValueType | 'null'

/** Offsets into the query text, half-open. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface Literal {
  readonly kind: 'literal'
  readonly type: ExprType
  /** Timestamps and durations are µs. */
  readonly value: number | string | boolean | null
  readonly span: Span
}
/** A column of the input node, by its name there: `time`, `series`, `series_id`, `tag.host`, `field.value`, or an alias. */
export interface ColumnRef {
  readonly kind: 'column'
  readonly type: ValueType
  readonly name: string
  readonly span: Span
}
/** `?` and `$n`, numbered from 1. Replaced by a literal when the plan is bound to values. */
export interface Parameter {
  readonly kind: 'parameter'
  readonly type: ExprType
  /** A number given is an integer where `type` has another reading of it: rows of a frame, not its µs. */
  readonly numberIsInteger?: boolean
  readonly index: number
  readonly span: Span
}
/** `now()`: replaced by a literal when the plan is bound, so it is fixed per query. */
export interface Now {
  readonly kind: 'now'
  readonly type: 'timestamp'
  readonly span: Span
}
export interface Call {
  readonly kind: 'call'
  readonly type: ExprType
  /** Name in the function registry. */
  readonly name: string
  readonly args: readonly Expr[]
  readonly span: Span
}
export interface Case {
  readonly kind: 'case'
  readonly type: ExprType
  readonly branches: readonly { readonly when: Expr; readonly then: Expr }[]
  readonly otherwise: Expr | undefined
  readonly span: Span
}
export type Expr = Literal | ColumnRef | Parameter | Now | Call | Case
