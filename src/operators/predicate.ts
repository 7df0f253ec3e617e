/**
 * Predicates: boolean expressions as functions from a batch to the selection of rows for which they are true.
 *
 * Invariants:
 * 1. Null is not true: such rows are left out, as those where it is false.
 * 2. The selection returned is ascending, a subset of the batch's, and overwritten by the next call.
 */
import type { Batch, NumberColumn, Schema } from '../columnar/batch.ts'
import type { Comparison, Kernels } from '../kernels/kernels.ts'
import type { Expr } from '../sydraql/expression.ts'
import { compile } from './compile.ts'
import { isNumeric, reusableCodes } from './functions/evaluator.ts'

/** undefined: every row of the batch. */
export type Predicate = (batch: Batch) => Uint32Array | undefined

/** The same comparison with its sides swapped; which comparisons there are. */
const swapped: Readonly<Record<Comparison, Comparison>> = { eq: 'eq', ne: 'ne', lt: 'gt', le: 'ge', gt: 'lt', ge: 'le' }
const isComparison = (name: string): name is Comparison => Object.hasOwn(swapped, name)

export function compilePredicate(expr: Expr, schema: Schema, kernels: Kernels): Predicate {
  if (expr.kind === 'call' && expr.name === 'and') {
    const [first, second] = expr.args.map(arg => compilePredicate(arg, schema, kernels))
    return batch => {
      const selection = first!(batch)
      return selection === undefined ? second!(batch) : second!({ ...batch, selection })
    }
  }
  return comparisonWithConstant(expr, schema, kernels) ?? truthOf(expr, schema)
}

export interface ConstantComparison {
  readonly op: Comparison
  readonly operand: Expr
  readonly constant: number
}

/** `operand <op> number`, either way round; undefined for anything else. */
export function asConstantComparison(expr: Expr): ConstantComparison | undefined {
  if (expr.kind !== 'call' || !isComparison(expr.name)) return undefined
  const [left, right] = expr.args
  if (!isNumeric(left!.type) || !isNumeric(right!.type)) return undefined
  if (right!.kind === 'literal' && typeof right!.value === 'number' && left!.kind !== 'literal')
    return { op: expr.name, operand: left!, constant: right!.value }
  if (left!.kind === 'literal' && typeof left!.value === 'number' && right!.kind !== 'literal')
    return { op: swapped[expr.name], operand: right!, constant: left!.value }
  return undefined
}

function comparisonWithConstant(expr: Expr, schema: Schema, kernels: Kernels): Predicate | undefined {
  const comparison = asConstantComparison(expr)
  if (comparison === undefined) return undefined
  const operand = compile(comparison.operand, schema)
  const { op, constant } = comparison
  const selections = reusableCodes()
  return batch => {
    const { values, valid } = operand.evaluate(batch) as NumberColumn
    const out = selections(batch.length)
    const count = kernels.filter(values, valid, batch.length, batch.selection, op, constant, out)
    return out.subarray(0, count)
  }
}

function truthOf(expr: Expr, schema: Schema): Predicate {
  const evaluator = compile(expr, schema)
  if (evaluator.constant !== undefined) {
    const isTrue = evaluator.constant.value === true
    const none = new Uint32Array(0)
    return batch => (isTrue ? batch.selection : none)
  }
  const selections = reusableCodes()
  return batch => {
    const { values, valid } = evaluator.evaluate(batch)
    const out = selections(batch.length)
    const { selection } = batch
    const count = selection?.length ?? batch.length
    let selected = 0
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (values[row] === 1 && (valid === undefined || valid[row] === 1)) out[selected++] = row
    }
    return out.subarray(0, selected)
  }
}
