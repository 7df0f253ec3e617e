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
  /** It works with the numbers of `limit` nodes, which may be in slots. */
  readonly readsCounts?: true
  apply(plan: LogicalPlan): LogicalPlan
}

const noInputs: readonly LogicalPlan[] = []

/** The node's inputs; none for a leaf. */
export function inputsOf(plan: LogicalPlan): readonly LogicalPlan[] {
  if ('input' in plan) return [plan.input]
  if (plan.kind === 'union') return plan.inputs
  return plan.kind === 'join' ? [plan.left, plan.right] : noInputs
}

/** The node over other inputs, as many as it has. Nodes that pass rows on have the schema of their inputs. */
export function withInputs(plan: LogicalPlan, inputs: readonly LogicalPlan[]): LogicalPlan {
  if (plan.kind === 'union') return { ...plan, inputs, schema: inputs[0]!.schema }
  if (plan.kind === 'join') {
    const [left, right] = [inputs[0]!, inputs[1]!]
    return { ...plan, left, right, schema: [...left.schema, ...right.schema] }
  }
  return inputs.length === 0 ? plan : withInput(plan, inputs[0]!)
}

/** `withInputs` for a node that has one. */
export function withInput(plan: LogicalPlan, input: LogicalPlan): LogicalPlan {
  switch (plan.kind) {
    case 'filter':
    case 'sort':
    case 'limit':
    case 'limit_per':
      return { ...plan, input, schema: input.schema }
    case 'window':
      return { ...plan, input, schema: [...input.schema, ...plan.schema.slice(-plan.calls.length)] }
    case 'project':
    case 'aggregate':
    case 'fill':
    case 'histogram':
      return { ...plan, input }
    default:
      return plan
  }
}

/** The node with each input changed; the very node when none is. */
export function mapInputs(plan: LogicalPlan, change: (input: LogicalPlan) => LogicalPlan): LogicalPlan {
  if ('input' in plan) {
    const input = change(plan.input)
    return input === plan.input ? plan : withInput(plan, input)
  }
  const inputs = inputsOf(plan)
  if (inputs.length === 0) return plan
  const changed = mapSame(inputs, change)
  return changed === inputs ? plan : withInputs(plan, changed)
}

/** Rewrites from the leaves up. */
export const bottomUp = (plan: LogicalPlan, change: (plan: LogicalPlan) => LogicalPlan): LogicalPlan =>
  change(mapInputs(plan, input => bottomUp(input, change)))

/** Rewrites from the root down: what a node became is not offered again, its inputs are. */
export const topDown = (plan: LogicalPlan, change: (plan: LogicalPlan) => LogicalPlan): LogicalPlan =>
  mapInputs(change(plan), input => topDown(input, change))

/** Whether the plan has a node of this kind. */
export const hasNode = (plan: LogicalPlan, kind: LogicalPlan['kind']): boolean =>
  plan.kind === kind || inputsOf(plan).some(input => hasNode(input, kind))

/** Rewrites every expression in the plan. */
export function mapExpressions(plan: LogicalPlan, change: (expr: Expr) => Expr): LogicalPlan {
  const element = <T extends { readonly expr: Expr }>(item: T): T => {
    const expr = change(item.expr)
    return expr === item.expr ? item : { ...item, expr }
  }
  const call = <T extends { readonly args: readonly Expr[] }>(called: T): T => {
    const args = mapSame(called.args, change)
    return args === called.args ? called : { ...called, args }
  }
  return bottomUp(plan, node => {
    switch (node.kind) {
      case 'scan': {
        const seriesPredicate = node.seriesPredicate && change(node.seriesPredicate)
        const rowPredicate = node.rowPredicate && change(node.rowPredicate)
        const isSame = seriesPredicate === node.seriesPredicate && rowPredicate === node.rowPredicate
        return isSame ? node : { ...node, seriesPredicate, rowPredicate }
      }
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
      case 'limit_per': {
        const key = change(node.key)
        return key === node.key ? node : { ...node, key }
      }
      case 'histogram': {
        const value = change(node.value)
        return value === node.value ? node : { ...node, value }
      }
      case 'window': {
        const calls = mapSame(node.calls, call)
        return calls === node.calls ? node : { ...node, calls }
      }
      case 'aggregate': {
        const keys = mapSame(node.keys, element)
        const aggregates = mapSame(node.aggregates, call)
        return keys === node.keys && aggregates === node.aggregates ? node : { ...node, keys, aggregates }
      }
      default:
        return node
    }
  })
}
