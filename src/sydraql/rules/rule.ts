/** What a rule is, and the ways to walk a plan. */
import type { Expr } from '../expression.ts'
import type { LogicalPlan } from '../plan.ts'
import { mapSame } from '../rewrite.ts'

/**
 * A rewrite that keeps the meaning. It returns the very plan it was given when it has nothing to do.
 * Rules are independent: with any of them switched off the answer is the same, only slower.
 */
export interface Rule {
  /** As `explain` shows it. */
  readonly name: string
  apply(plan: LogicalPlan): LogicalPlan
}

/** The node's input, or undefined for a leaf. */
export function inputOf(plan: LogicalPlan): LogicalPlan | undefined {
  return 'input' in plan ? plan.input : undefined
}

/** The node over another input. Nodes that pass rows on have their input's schema. */
export function withInput(plan: LogicalPlan, input: LogicalPlan): LogicalPlan {
  switch (plan.kind) {
    case 'filter':
    case 'sort':
    case 'limit':
      return { ...plan, input, schema: input.schema }
    case 'project':
    case 'aggregate':
    case 'fill':
      return { ...plan, input }
    default:
      return plan
  }
}

/** Rewrites from the leaves up. */
export function bottomUp(plan: LogicalPlan, change: (plan: LogicalPlan) => LogicalPlan): LogicalPlan {
  const input = inputOf(plan)
  if (input === undefined) return change(plan)
  const changed = bottomUp(input, change)
  return change(changed === input ? plan : withInput(plan, changed))
}

/** Rewrites every expression in the plan. */
export function mapExpressions(plan: LogicalPlan, change: (expr: Expr) => Expr): LogicalPlan {
  const element = <T extends { readonly expr: Expr }>(item: T): T => {
    const expr = change(item.expr)
    return expr === item.expr ? item : { ...item, expr }
  }
  return bottomUp(plan, node => {
    switch (node.kind) {
      case 'filter': {
        const predicate = change(node.predicate)
        return predicate === node.predicate ? node : { ...node, predicate }
      }
      case 'project': {
        const items = mapSame(node.items, element)
        return items === node.items ? node : { ...node, items }
      }
      case 'fill': {
        const kept = node.kept && change(node.kept)
        return kept === undefined || kept === node.kept ? node : { ...node, kept }
      }
      case 'sort': {
        const keys = mapSame(node.keys, element)
        return keys === node.keys ? node : { ...node, keys }
      }
      case 'aggregate': {
        const keys = mapSame(node.keys, element)
        const aggregates = mapSame(node.aggregates, call => {
          const args = mapSame(call.args, change)
          return args === call.args ? call : { ...call, args }
        })
        return keys === node.keys && aggregates === node.aggregates ? node : { ...node, keys, aggregates }
      }
      default:
        return node
    }
  })
}
