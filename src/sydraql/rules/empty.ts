/** What can hold no row becomes no rows: a range that is empty, a condition that is false, `limit 0`. A union of one goes. */
import type { Expr } from '../expression.ts'
import type { LogicalPlan } from '../plan.ts'
import { conjuncts } from '../rewrite.ts'
import { isLiteral } from '../slots.ts'
import { isEmptyRange } from '../time-range.ts'
import { bottomUp, type Rule, withInputs } from './rule.ts'

export const emptyInput: Rule = {
  name: 'empty-input',
  apply: plan =>
    bottomUp(plan, node => {
      if (holdsNothing(node)) return { kind: 'values', rows: [], schema: node.schema }
      if (node.kind !== 'union') return node
      const inputs = node.inputs.filter(input => !isEmpty(input))
      if (inputs.length === 1) return inputs[0]!
      return inputs.length === node.inputs.length ? node : withInputs(node, inputs)
    }),
}

function holdsNothing(plan: LogicalPlan): boolean {
  switch (plan.kind) {
    case 'scan':
      return isEmptyRange(plan.range) || isFalse(plan.seriesPredicate) || isFalse(plan.rowPredicate)
    case 'filter':
      return isFalse(plan.predicate) || isEmpty(plan.input)
    case 'limit':
    case 'limit_per':
      return plan.limit === 0 || isEmpty(plan.input)
    case 'aggregate':
      // Without keys there is one group, rows or not.
      return plan.keys.length > 0 && isEmpty(plan.input)
    case 'project':
    case 'sort':
    case 'fill':
    case 'window':
      return isEmpty(plan.input)
    case 'union':
      return plan.inputs.every(isEmpty)
    case 'join':
      return isEmpty(plan.left) || isEmpty(plan.right)
    default:
      return false
  }
}

const isEmpty = (plan: LogicalPlan): boolean => plan.kind === 'values' && plan.rows.length === 0
const isFalse = (condition: Expr | undefined): boolean =>
  condition !== undefined && conjuncts(condition).some(part => isLiteral(part, false) || isLiteral(part, null))
