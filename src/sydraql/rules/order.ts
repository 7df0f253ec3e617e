/** Rules on order: let the input sort, and sort nothing twice or for nobody. */
import { functionInfo } from '../functions.ts'
import type { AggregateNode, LogicalPlan } from '../plan.ts'
import { inOrder, orderingOf, satisfies } from './ordering.ts'
import { bottomUp, type Rule, topDown, withInput } from './rule.ts'

/** A sort goes where scans, and what is over them, can give its order. */
export const scanOrder: Rule = {
  name: 'scan-order',
  apply: plan =>
    topDown(plan, node => {
      let current = node
      while (current.kind === 'sort' && current.limit === undefined) {
        const input = inOrder(current.input, current.keys)
        if (input === undefined || input === current.input) break
        current = input
      }
      return current
    }),
}

/** A sort of rows that come in its order goes. */
export const redundantSort: Rule = {
  name: 'redundant-sort',
  apply: plan =>
    bottomUp(plan, node => {
      if (node.kind !== 'sort' || node.limit !== undefined) return node
      return satisfies(orderingOf(node.input), node.keys, node.input.schema) ? node.input : node
    }),
}

/** A sort below what does not look at the order of rows goes. */
export const unusedSort: Rule = {
  name: 'unused-sort',
  apply: plan =>
    bottomUp(plan, node => {
      if (node.kind !== 'histogram' && (node.kind !== 'aggregate' || looksAtOrder(node))) return node
      const input = unsorted(node.input)
      return input === node.input ? node : withInput(node, input)
    }),
}

const looksAtOrder = ({ aggregates }: AggregateNode): boolean =>
  aggregates.some(({ function: name }) => {
    const hints = functionInfo(name)?.hints
    return hints === undefined || hints.needsOrder === true || hints.needsSeriesOrder === true
  })

/** Without the sorts that only order its rows. */
function unsorted(plan: LogicalPlan): LogicalPlan {
  if (plan.kind === 'sort' && plan.limit === undefined) return unsorted(plan.input)
  if (plan.kind !== 'filter' && plan.kind !== 'project') return plan
  const input = unsorted(plan.input)
  return input === plan.input ? plan : withInput(plan, input)
}
