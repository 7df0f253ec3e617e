/** What the live planner knows of a query, and hands to each strategy in turn. */
import { SydraError } from '../../lib/errors.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import { withKeys } from './keys.ts'
import { sameButRanges } from './same-plan.ts'
import { scansOf } from './scope.ts'
import type { LiveColumns, LiveContext, LiveSource } from './types.ts'

export interface LiveParts {
  readonly source: LiveSource
  readonly context: LiveContext
  /** When `plan` is bound for: any time does to tell its shape. */
  readonly nowUs: number
  /** `barePlanAt(nowUs)`. */
  readonly plan: LogicalPlan
  readonly columns: LiveColumns
  /** The rules that `barePlanAt` does without. */
  readonly withoutRules: ReadonlySet<string>
  /** Those whose rows it reads, by name. */
  readonly metrics: ReadonlySet<string>
  readonly dependsOnNow: boolean
  /** What `now()` moves are ends of the scans' ranges; as far as two times tell, so that each step has to look. */
  readonly movesRangesAlone: boolean
  /**
   * With bare scans: none counts rows or gives an order, so that it can be read in parts. The key columns are at its end.
   * The very same plan for the same `nowUs`, and where it does not depend on that.
   */
  barePlanAt(nowUs: number): LogicalPlan
  /** As the batch planner does it best, with the key columns. */
  planAt(nowUs: number): LogicalPlan
}

/** Neither a whole second, nor hour, nor day. */
const laterUs = 123_456_789_012

/** A range that is empty now may not be so later: the shape of a plan must not depend on that. */
const always: readonly string[] = ['empty-input']
/** They have scans count rows, and give them in an order. */
const pushing: readonly string[] = ['scan-order', 'series-limit', 'top-n', 'scan-limit']

/** Throws `unsupported_feature` for what cannot be live at all. */
export function livePartsOf(source: LiveSource, context: LiveContext, nowUs: number): LiveParts {
  const withoutRules: ReadonlySet<string> = new Set([...always, ...pushing])
  const barePlanAt = plansOf(source, withoutRules)
  const plan = barePlanAt(nowUs)
  const scans = scansOf(plan)
  if (scans.some(scan => scan.asOf !== undefined))
    throw new SydraError('unsupported_feature', 'a snapshot does not change: a live query cannot read one', {
      hint: 'leave out as of, or query it',
    })
  return {
    source,
    context,
    nowUs,
    plan,
    columns: withKeys(source.planAt(nowUs, withoutRules)).columns,
    withoutRules,
    metrics: new Set(scans.map(({ metric }) => metric)),
    dependsOnNow: source.dependsOnNow,
    movesRangesAlone: sameButRanges(plan, barePlanAt(nowUs + laterUs)),
    barePlanAt,
    planAt: plansOf(source, new Set(always)),
  }
}

/** Bound once for each `nowUs`; a step has two of them. */
function plansOf(source: LiveSource, withoutRules: ReadonlySet<string>): (nowUs: number) => LogicalPlan {
  const bind = (nowUs: number): LogicalPlan => withKeys(source.planAt(nowUs, withoutRules)).plan
  if (!source.dependsOnNow) {
    let only: LogicalPlan | undefined
    return nowUs => (only ??= bind(nowUs))
  }
  const kept = new Map<number, LogicalPlan>()
  return nowUs => {
    let plan = kept.get(nowUs)
    if (plan === undefined) {
      plan = bind(nowUs)
      kept.set(nowUs, plan)
      if (kept.size > 2) kept.delete(kept.keys().next().value!)
    }
    return plan
  }
}
