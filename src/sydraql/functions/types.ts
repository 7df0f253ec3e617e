/**
 * What the registry says about one function: enough for analysis, documentation, completion and `show functions`, and
 * nothing about how it is computed.
 */
import type { ExprType } from '../expression.ts'

/**
 * `operator` is reached by syntax only (`a + b`, `x::float`), `scalar` and `aggregate` by name. `planner` functions are
 * rewritten by analysis and never reach an operator: `now()`, `date_trunc`.
 */
export type FunctionKind = 'operator' | 'scalar' | 'aggregate' | 'planner'

export type FunctionGroup =
  | 'logic'
  | 'comparison'
  | 'arithmetic'
  | 'math'
  | 'text'
  | 'time'
  | 'conditional'
  | 'aggregate'

/**
 * What an argument may be. `number` is float or integer, `quantity` a number or a duration, `common` one type that all
 * `common` arguments of the call share (integers widen to float).
 */
export type ParameterType =
  | 'any'
  | 'common'
  | 'number'
  | 'quantity'
  | 'integer'
  | 'boolean'
  | 'string'
  | 'timestamp'
  | 'duration'
  | 'width'

export interface ParameterInfo {
  readonly name: string
  readonly type: ParameterType
  readonly optional?: true
  /** Takes any number of further arguments; only the last parameter may. */
  readonly variadic?: true
  /** Must be a literal or a parameter: known before the first row. */
  readonly constant?: true
}

/** A type, or how it follows from the arguments: `first` argument's, the `common` one, or `arithmetic`'s table. */
export type ReturnRule = ExprType | 'first' | 'common' | 'arithmetic'

export interface FunctionHints {
  /** Partial states merge: groups may be computed in parts (spilling, live, rollups). */
  readonly mergeable?: true
  /** Depends on the order of rows in time. */
  readonly needsOrder?: true
  /** Answerable from block statistics alone. */
  readonly statistics?: true
  /** Takes `distinct` before its argument. */
  readonly distinct?: true
  /** May be called with `*`. */
  readonly star?: true
}

export interface FunctionInfo {
  readonly name: string
  readonly kind: FunctionKind
  readonly group: FunctionGroup
  readonly parameters: readonly ParameterInfo[]
  readonly returns: ReturnRule
  /** One line, without a full stop at its end. */
  readonly description: string
  /** A whole statement over the demo metric of the tests and docs: `cpu{host, dc}` with `usage`, `value`, `up`, `note`. */
  readonly example: string
  readonly hints: FunctionHints
  /** How an operator is written, such as `a + b`; undefined for functions. */
  readonly syntax: string | undefined
}

export const parameter = (
  name: string,
  type: ParameterType,
  rest: Omit<ParameterInfo, 'name' | 'type'> = {},
): ParameterInfo => ({ name, type, ...rest })
