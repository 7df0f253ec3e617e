/** Running plans at a moment: what live operators read of the past and the present. */
import type { LogicalPlan } from '../../sydraql/plan.ts'
import type { BatchStream } from '../operator.ts'
import { planPhysical } from '../physical.ts'
import { readRows } from './difference.ts'
import type { LiveContext, LiveRow, Moment } from './types.ts'

/** `plan` is bound for the moment's `nowUs`. */
export function openAt(plan: LogicalPlan, at: Moment, context: LiveContext): BatchStream {
  const { disabledRules } = context
  const { rollupWidthsUs } = at.version
  return planPhysical(plan, { disabledRules, tables: undefined, rollupWidthsUs }).open(context.execution(at))
}

/** All of its rows; `too_many_points` when there are more than the query may have. */
export const rowsAt = (plan: LogicalPlan, at: Moment, context: LiveContext): Promise<LiveRow[]> =>
  readRows(openAt(plan, at, context), context.rowsMax)
