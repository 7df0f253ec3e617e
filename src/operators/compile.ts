/**
 * Compiles typed expressions to evaluators, once per query.
 *
 *   Expr over the columns of a schema  ->  Evaluator: Batch -> Column
 *
 * Invariants:
 * 1. Only the typed plan is read; no text of a query becomes code.
 * 2. A call whose arguments are all constant is computed here, once.
 */
import { type Batch, columnIndex, type Schema } from '../columnar/batch.ts'
import { type Scalar, valueAt } from '../columnar/value.ts'
import { assert } from '../lib/assert.ts'
import type { Call, Expr } from '../sydraql/expression.ts'
import { castFunctions } from './functions/casts.ts'
import { columnEvaluator, columnType, constantEvaluator, type Evaluator } from './functions/evaluator.ts'
import type { Implementation } from './functions/implementation.ts'
import { caseEvaluator, logicFunctions } from './functions/logic.ts'
import { numericFunctions, round1, round2, wholeFunctions } from './functions/numeric.ts'
import { numericEvaluator } from './functions/numeric-evaluator.ts'
import { scalarEvaluator } from './functions/scalar-evaluator.ts'
import { textFunctions } from './functions/text.ts'
import { timeFunctions } from './functions/time.ts'

const implementations: ReadonlyMap<string, Implementation> = new Map<string, Implementation>(
  Object.entries({ ...logicFunctions, ...numericFunctions, ...textFunctions, ...timeFunctions, ...castFunctions }),
)

/** Every scalar function and operator of the language that `compile` knows, by its name in the registry. */
export const implementedFunctions: readonly string[] = [...implementations.keys(), 'round']

/** Throws `invalid_regex` and `wrong_argument` for constants that cannot be used. */
export function compile(expr: Expr, schema: Schema): Evaluator {
  switch (expr.kind) {
    case 'literal':
      return constantEvaluator(expr.type, expr.value)
    case 'column': {
      const index = columnIndex(schema, expr.name)
      assert(index >= 0, `no column ${expr.name} among ${schema.map(info => info.name).join(', ')}`)
      return columnEvaluator(schema[index]!.type, index)
    }
    case 'call': {
      const args = expr.args.map(arg => compile(arg, schema))
      return folded(compileCall(expr, args), args)
    }
    case 'case': {
      const branches = expr.branches.map(branch => ({
        when: compile(branch.when, schema),
        result: compile(branch.then, schema),
      }))
      const otherwise = expr.otherwise === undefined ? undefined : compile(expr.otherwise, schema)
      const inputs = [...branches.flatMap(branch => [branch.when, branch.result]), ...(otherwise ? [otherwise] : [])]
      return folded(caseEvaluator(expr, branches, otherwise), inputs)
    }
    case 'parameter':
    case 'now':
      assert(false, `${expr.kind} in a plan that was not bound`)
  }
}

function compileCall(call: Call, args: readonly Evaluator[]): Evaluator {
  const implementation = implementationOf(call)
  assert(implementation !== undefined, `function ${call.name} has no implementation`)
  switch (implementation.kind) {
    case 'numeric':
      return numericEvaluator(implementation, columnType(call.type), args)
    case 'scalar':
      return scalarEvaluator(implementation, call, args)
    case 'special':
      return implementation.compile(call, args)
  }
}

function implementationOf({ name, type, args }: Call): Implementation | undefined {
  if (name === 'round') return args.length === 1 ? round1 : round2
  const isWhole = type === 'integer' || type === 'timestamp' || type === 'duration'
  return (isWhole ? wholeFunctions[name] : undefined) ?? implementations.get(name)
}

const oneRow: Batch = { length: 1, columns: [], selection: undefined }

function folded(evaluator: Evaluator, inputs: readonly Evaluator[]): Evaluator {
  if (inputs.some(input => input.constant === undefined)) return evaluator
  return constantEvaluator(evaluator.type, valueAt(evaluator.evaluate(oneRow), 0))
}

/** The value of an expression without columns. */
export function constantValue(expr: Expr): Scalar {
  const { constant } = compile(expr, [])
  assert(constant !== undefined, 'a constant expression')
  return constant.value
}
