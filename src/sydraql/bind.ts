/**
 * Binding: parameters and `now()` become literals, then the plan is built and optimised.
 *
 * Invariant: the plan of a query without parameters and `now()` is made once.
 */
import { SydraError } from '../lib/errors.ts'
import { buildPlan } from './build.ts'
import { optimize } from './optimize.ts'
import { checkCount, type ParameterValue } from './parameters.ts'
import type { LogicalPlan } from './plan.ts'
import type { Prepared } from './prepare.ts'
import { reporter } from './problem.ts'
import { unboundedMetric } from './required-range.ts'
import { substitute } from './substitute.ts'

export interface BindOptions {
  /** Rules to leave out, by name. */
  readonly withoutRules?: ReadonlySet<string>
  /** Refuse a `select` that reads a metric without a lower bound of time. */
  readonly requireTimeRange?: boolean
}

export interface Bound {
  readonly plan: LogicalPlan
  readonly firedRules: readonly string[]
}

/** Plans of prepared queries that nothing varies. */
const constantPlans = new WeakMap<Prepared, Bound>()

/**
 * Of a `select` or `show`; for what writes see `bind-write.ts`.
 *
 * @example
 * bind(prepare('select value from cpu where time >= ?', schema), [new Date()], clock.nowUs()).plan
 */
export function bind(
  prepared: Prepared,
  values: readonly ParameterValue[],
  nowUs: number,
  options: BindOptions = {},
): Bound {
  checkCount(prepared.parameterCount, values)
  const report = reporter(prepared.text)
  const isCached = prepared.isConstant && options.withoutRules === undefined
  const known = isCached ? constantPlans.get(prepared) : undefined
  if (known !== undefined && !options.requireTimeRange) return known
  const query = prepared.isConstant ? prepared.query : substitute(prepared.query, values, nowUs, report)
  if (options.requireTimeRange) {
    const metric = unboundedMetric(query)
    if (metric !== undefined) {
      const hint = 'add a bound, such as time >= now() - 1h'
      throw new SydraError('time_range_required', `where must bound time below: ${metric} is read from its start`, {
        hint,
      })
    }
  }
  if (known !== undefined) return known
  const bound = optimize(buildPlan(query, report), options.withoutRules)
  if (isCached) constantPlans.set(prepared, bound)
  return bound
}
