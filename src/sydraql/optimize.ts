/** Optimisation: rules in ordered stages, each applied once. `explain` lists those that changed something. */
import type { LogicalPlan } from './plan.ts'
import { scanLimit, scanOrder, topN } from './rules/order.ts'
import { emptyInput, pruneColumns } from './rules/prune.ts'
import { pushFilterDown, rowPredicate, seriesPredicate, timeRange } from './rules/push-filter.ts'
import type { Rule } from './rules/rule.ts'
import { foldConstants, simplifyConditions } from './rules/simplify.ts'

/** Order matters: a later stage works on what earlier ones made plain. */
const stages: readonly (readonly Rule[])[] = [
  [foldConstants, simplifyConditions],
  [pushFilterDown, timeRange, seriesPredicate, rowPredicate],
  [emptyInput],
  [scanOrder, topN, scanLimit],
  [pruneColumns],
]

export const ruleNames: readonly string[] = stages.flatMap(rules => rules.map(rule => rule.name))

export interface Optimized {
  readonly plan: LogicalPlan
  /** Names of the rules that changed the plan, in the order they did. */
  readonly firedRules: readonly string[]
}

/** `withoutRules` switches rules off by name: the answer stays the same. */
export function optimize(plan: LogicalPlan, withoutRules?: ReadonlySet<string>): Optimized {
  const firedRules: string[] = []
  let current = plan
  for (const rule of stages.flat()) {
    if (withoutRules?.has(rule.name)) continue
    const next = rule.apply(current)
    if (next !== current) firedRules.push(rule.name)
    current = next
  }
  return { plan: current, firedRules }
}
