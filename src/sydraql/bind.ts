/**
 * Binding: a prepared query to the plan of one execution.
 *
 *   once per text    query -> slots -> plan -> rules = template
 *   per execution    template + values = plan; where values decide the plan's shape: query + values -> plan -> rules
 */
import { SydraError } from '../lib/errors.ts'
import { buildPlan } from './build.ts'
import { optimize } from './optimize.ts'
import { checkCount, type ParameterValue } from './parameters.ts'
import type { LogicalPlan } from './plan.ts'
import type { Prepared } from './prepare.ts'
import { type Report, reporter } from './problem.ts'
import { unboundedMetric } from './required-range.ts'
import { valueIsNeeded } from './slots.ts'
import { substitute, type Values } from './substitute.ts'
import { fillTemplate, makeTemplate, type Template } from './template.ts'

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

/** `bound`: it was once, without. `none`: none can be made. */
const templates = new WeakMap<Prepared, Template | 'bound' | 'none'>()

/**
 * Of a `select` or `show`; for what writes see `bind-write.ts`.
 *
 * @example
 * bind(prepare('select value from cpu where time >= ?', schema), [new Date()], clock.nowUs()).plan
 */
export function bind(
  prepared: Prepared,
  parameters: readonly ParameterValue[],
  nowUs: number,
  options: BindOptions = {},
): Bound {
  checkCount(prepared.parameterCount, parameters)
  const values: Values = { parameters, nowUs }
  const report = reporter(prepared.text)
  const isWhole = options.withoutRules === undefined
  return (
    (isWhole ? fromTemplate(prepared, values, options, report) : undefined) ?? anew(prepared, values, options, report)
  )
}

/** Whether no value is in the plan, so that the very same comes with every execution from now on. */
export function isFixed(prepared: Prepared): boolean {
  const template = templates.get(prepared)
  return typeof template === 'object' && template.slots.length === 0
}

/** undefined: there is none, it does not serve these values, or something is wrong, which the other way says. */
function fromTemplate(prepared: Prepared, values: Values, options: BindOptions, report: Report): Bound | undefined {
  const template = templateOf(prepared, report)
  if (template === undefined || (options.requireTimeRange && template.unboundedMetric !== undefined)) return undefined
  return unlessNeeded(() => fillTemplate(template, values, report))
}

/** From the second time on: many a text comes only once. */
function templateOf(prepared: Prepared, report: Report): Template | undefined {
  const known = templates.get(prepared)
  if (typeof known === 'object') return known
  if (known === undefined) templates.set(prepared, 'bound')
  if (known !== 'bound') return undefined
  const made = unlessNeeded(() => makeTemplate(prepared.query, report))
  templates.set(prepared, made ?? 'none')
  return made
}

function unlessNeeded<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error === valueIsNeeded || error instanceof SydraError) return undefined
    throw error
  }
}

/** For these values alone. */
function anew({ query }: Prepared, values: Values, options: BindOptions, report: Report): Bound {
  const { requireTimeRange, withoutRules } = options
  const bound = substitute(query, values, report)
  const metric = requireTimeRange ? unboundedMetric(bound) : undefined
  if (metric !== undefined) {
    const hint = 'add a bound, such as time >= now() - 1h'
    throw new SydraError('time_range_required', `where must bound time below: ${metric} is read from its start`, {
      hint,
    })
  }
  return optimize(buildPlan(bound, report), rule => withoutRules?.has(rule.name) === true)
}
