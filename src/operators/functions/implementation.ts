/** How one function of the language is computed; `compile.ts` turns these into evaluators. */
import type { Scalar } from '../../columnar/value.ts'
import type { Call } from '../../sydraql/expression.ts'
import type { Evaluator } from './evaluator.ts'
import type { NumberFunction } from './loops.ts'

/** Numbers in, a number or truth value out; a null argument makes the result null. */
export interface NumericImplementation {
  readonly kind: 'numeric'
  readonly apply: NumberFunction
  /** Where it gives false the result is null: outside the function's domain. */
  readonly defined?: (a: number, b: number, c: number) => boolean
}

/**
 * Scalars in, a scalar out. `bind` sees the arguments that are constant (undefined where not) once per query, so that
 * patterns are compiled once; the function it returns must be pure, because results are kept per distinct text.
 */
export interface ScalarImplementation {
  readonly kind: 'scalar'
  /** True: a null argument makes the result null without a call. */
  readonly strict: boolean
  bind(constants: readonly (Scalar | undefined)[], call: Call): (args: readonly Scalar[]) => Scalar
}

/** Builds its evaluator itself: logic, and what looks at argument types. */
export interface SpecialImplementation {
  readonly kind: 'special'
  compile(call: Call, args: readonly Evaluator[]): Evaluator
}

export type Implementation = NumericImplementation | ScalarImplementation | SpecialImplementation

/** Result null whenever NaN comes of arguments that are not: the usual domain error. */
export const numeric = (
  apply: NumericImplementation['apply'],
  defined?: NumericImplementation['defined'],
): NumericImplementation => (defined === undefined ? { kind: 'numeric', apply } : { kind: 'numeric', apply, defined })

/** A strict scalar function without anything to prepare. */
export const scalar = (apply: (args: readonly Scalar[]) => Scalar): ScalarImplementation => ({
  kind: 'scalar',
  strict: true,
  bind: () => apply,
})
