/** What a row predicate says about single fields: ranges outside of which no row can satisfy it. */

import type { FieldBound, FieldInfo } from '../../storage/types.ts'
import type { Expr } from '../../sydraql/expression.ts'
import { conjuncts } from '../../sydraql/rewrite.ts'
import { asConstantComparison } from '../predicate.ts'

/** Bounds from each `field.x <op> constant` that must hold. Values equal to a bound are inside it. */
export function fieldBounds(predicate: Expr | undefined, fields: readonly FieldInfo[]): FieldBound[] {
  if (predicate === undefined) return []
  return conjuncts(predicate).flatMap(expr => {
    const comparison = asConstantComparison(expr)
    if (comparison === undefined || comparison.operand.kind !== 'column') return []
    const { name } = comparison.operand
    const field = fields.findIndex(info => `field.${info.name}` === name)
    const type = fields[field]?.type
    if (type !== 'float' && type !== 'integer') return []
    const bound = boundOf(comparison.op, comparison.constant)
    return bound === undefined ? [] : [{ field, ...bound }]
  })
}

const none = { min: Infinity, max: -Infinity }

function boundOf(op: string, constant: number): Omit<FieldBound, 'field'> | undefined {
  if (Number.isNaN(constant)) {
    if (op === 'eq' || op === 'ge') return { ...none, nan: true }
    if (op === 'gt') return { ...none, nan: false }
    return op === 'lt' || op === 'ne' ? { min: -Infinity, max: Infinity, nan: false } : undefined
  }
  if (op === 'eq') return { min: constant, max: constant, nan: false }
  if (op === 'lt' || op === 'le') return { min: -Infinity, max: constant, nan: false }
  if (op === 'gt' || op === 'ge') return { min: constant, max: Infinity, nan: true }
  return undefined
}
