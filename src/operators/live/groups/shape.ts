/** Which aggregate of a plan is kept, and what is over it. */
import type { FilterNode, LogicalPlan, ProjectNode } from '../../../sydraql/plan.ts'
import { inputsOf, withInput } from '../../../sydraql/rules/rule.ts'
import { type GroupInput, groupInput } from './input.ts'

export interface GroupShape {
  readonly input: GroupInput
  /** Over the aggregate, from below. */
  readonly above: readonly LogicalPlan[]
}

/** Of an aggregate over raw rows under operators of one input each; undefined: there is none. */
export function groupShape(plan: LogicalPlan): GroupShape | undefined {
  const above: LogicalPlan[] = []
  for (let node = plan; ; ) {
    if (node.kind === 'aggregate') {
      const input = groupInput(node)
      if (input !== undefined) return { input, above }
    }
    const inputs = inputsOf(node)
    if (inputs.length !== 1) return undefined
    above.unshift(node)
    node = inputs[0]!
  }
}

/** The operators over an aggregate where each takes a row by itself; undefined: some do not. */
export function rowByRow(above: readonly LogicalPlan[]): readonly (FilterNode | ProjectNode)[] | undefined {
  const steps = above.filter(node => node.kind === 'filter' || node.kind === 'project')
  return steps.length === above.length ? steps : undefined
}

/** The operators over other rows than the aggregate's. */
export const placedOver = (above: readonly LogicalPlan[], rows: LogicalPlan): LogicalPlan =>
  above.reduce((input, node) => withInput(node, input), rows)
