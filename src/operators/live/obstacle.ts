/** Why a query is not kept from commit to commit, in words for `explain`. */
import { functionInfo } from '../../sydraql/functions.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import { inputsOf } from '../../sydraql/rules/rule.ts'
import type { LiveParts } from './parts.ts'

export function obstacleOf({ plan, metrics, movesRangesAlone, dependsOnNow }: LiveParts): string {
  if (metrics.size === 0) return 'it reads no metric'
  if (!movesRangesAlone) return 'now() stands outside of bounds of time'
  return obstacleIn(plan, dependsOnNow) ?? 'several operators stand on one another'
}

/** The first from above. */
function obstacleIn(plan: LogicalPlan, dependsOnNow: boolean): string | undefined {
  if (plan.kind === 'join') return 'it has a join'
  if (plan.kind === 'histogram') return 'it has a histogram'
  if (plan.kind === 'window' && dependsOnNow) return 'it has row functions over a range that now() moves'
  if (plan.kind === 'aggregate') {
    const paired = plan.aggregates.find(call => functionInfo(call.function)?.hints.needsSeriesOrder === true)
    if (paired !== undefined) return `${paired.function} goes from sample to sample`
  }
  for (const input of inputsOf(plan)) {
    const found = obstacleIn(input, dependsOnNow)
    if (found !== undefined) return found
  }
  return undefined
}
