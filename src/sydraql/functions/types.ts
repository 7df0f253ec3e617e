/**
 * What the registry says about one function: enough for analysis, documentation, completion and `show functions`, and
 * nothing about how it is computed.
 */
import type { ExprType } from '../expression.ts'

/**
 * `operator` is reached by syntax only (`a + b`, `x::float`), `scalar`, `aggregate` and `window` (row functions, which
 * look at the rows around theirs) by name. `planner` functions are rewritten by analysis and never reach an operator under
 * their name: `now()`, `date_trunc`, `histogram`.
 */
export type FunctionKind = 'operator' | 'scalar' | 'aggregate' | 'window' | 'planner'

export type FunctionGroup =
  | 'logic'
  | 'comparison'
  | 'arithmetic'
  | 'math'
  | 'text'
  | 'time'
  | 'conditional'
  | 'aggregate'
  | 'series aggregate'
  | 'row function'

/**
 * What an argument may be. `number` is float or integer, `quantity` a number or a duration, `measure` a number, a
 * duration or a timestamp (what can be subtracted), `common` one type that all `common` arguments of the call share
 * (integers widen to float), `frame` a duration or a whole number of rows.
 */
export type ParameterType =
  | 'any'
  | 'common'
  | 'number'
  | 'quantity'
  | 'measure'
  | 'integer'
  | 'boolean'
  | 'string'
  | 'timestamp'
  | 'duration'
  | 'frame'
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

/**
 * A type, or how it follows from the arguments: `first` argument's, the `common` one, `arithmetic`'s table, or the
 * `difference` of two first arguments: of timestamps a duration, else their type.
 */
export type ReturnRule = ExprType | 'first' | 'common' | 'arithmetic' | 'difference'

export interface FunctionHints {
  /** Partial states merge: groups may be computed in parts (spilling, live, rollups). */
  readonly mergeable?: true
  /** Depends on the order of rows in time. */
  readonly needsOrder?: true
  /** Goes by consecutive samples of each series: the source must have a time, and rows come in its order. */
  readonly needsSeriesOrder?: true
  /** A row function's view: rows before its own alone, or also rows after it. */
  readonly window?: 'forward' | 'lookahead'
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
  /** What comes out, for people, where it is no single value. */
  readonly gives?: string
  /** One line, without a full stop at its end. */
  readonly description: string
  /** A whole statement over the demo metric of the tests and docs: `cpu{host, dc}` with `usage`, `value`, `up`, `note`, `cores`. */
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
