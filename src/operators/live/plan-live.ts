/**
 * The live planner: the first strategy that can keep a query of this shape.
 *
 *   tail     filters and projections over raw rows, in any order
 *   top      the same, with a limit
 *   series   row functions over raw rows, per series
 *   groups   aggregates, and what is over them
 *   rerun    all else
 */
import { planGroups } from './groups/groups.ts'
import { type LiveParts, livePartsOf } from './parts.ts'
import { planRerun } from './rerun.ts'
import { planSeries } from './series.ts'
import { planTail } from './tail.ts'
import { planTop } from './top.ts'
import type { LiveContext, LiveQuery, LiveSource } from './types.ts'

/** undefined: the shape is none of its own. */
type Strategy = (parts: LiveParts) => LiveQuery | undefined

const strategies: readonly Strategy[] = [planTail, planTop, planSeries, planGroups]

/**
 * `nowUs` is used to look at the plan: any time does. Throws `unsupported_feature` for what cannot be live.
 *
 * @example
 * const live = planLive(source, context, clock.nowUs())
 * const delta = await live.step({ before, after, rows, deletes })
 */
export function planLive(source: LiveSource, context: LiveContext, nowUs: number): LiveQuery {
  const parts = livePartsOf(source, context, nowUs)
  for (const strategy of strategies) {
    const query = strategy(parts)
    if (query !== undefined) return query
  }
  return planRerun(parts)
}
