/** Optimisation: rules in ordered stages, each applied once. `explain` lists those that changed something. */
import type { LogicalPlan } from './plan.ts'
import { emptyInput } from './rules/empty.ts'
import { inlineProjections } from './rules/inline.ts'
import { joinKeys } from './rules/join-keys.ts'
import { scanLimit, seriesLimit, topN } from './rules/limit.ts'
import { redundantSort, scanOrder, unusedSort } from './rules/order.ts'
import { pruneCalls, pruneColumns } from './rules/prune.ts'
import { pushFilterDown } from './rules/push-filter.ts'
import type { Rule } from './rules/rule.ts'
import { rowPredicate, seriesPredicate, timeRange } from './rules/scan-filter.ts'
import { foldConstants, simplifyConditions } from './rules/simplify.ts'
import { bucketRange, joinTime } from './rules/time-bounds.ts'

/** Order matters: a later stage works on what earlier ones made plain. */
const stages: readonly (readonly Rule[])[] = [
  [foldConstants, simplifyConditions],
  [pruneCalls],
  [pushFilterDown, joinKeys, bucketRange, joinTime],
  [timeRange, seriesPredicate, rowPredicate],
  [emptyInput],
  [unusedSort, scanOrder, redundantSort],
  [inlineProjections],
  [seriesLimit, topN, scanLimit],
  [pruneColumns],
]

const rules: readonly Rule[] = stages.flat()

export const ruleNames: readonly string[] = rules.map(rule => rule.name)

export interface Optimized {
  readonly plan: LogicalPlan
  /** Names of the rules that changed the plan, in the order they did. */
  readonly firedRules: readonly string[]
}

/** With some rules left out the answer stays the same. */
export function optimize(plan: LogicalPlan, isLeftOut: (rule: Rule) => boolean = () => false): Optimized {
  const firedRules: string[] = []
  let current = plan
  for (const rule of rules) {
    if (isLeftOut(rule)) continue
    const next = rule.apply(current)
    if (next !== current) firedRules.push(rule.name)
    current = next
  }
  return { plan: current, firedRules }
}
