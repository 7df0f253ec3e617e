/**
 * The plan of a text, made once: parameters, `now()` and what folds of them are slots. An execution fills them.
 *
 *   time >= now() - 1h and usage > ?    ->    time >= $1 and usage > $2,    $1 = now() - 1h, $2 = ?
 *
 * Invariants:
 * 1. A filled template is the plan that `optimize(buildPlan(substitute(query)))` gives for the values, with the rules that
 *    fired. Where it might not be, there is no template, or the values do not fit it: both throw `valueIsNeeded`.
 * 2. Every value is checked, also where the plan no longer reads it.
 * 3. Filling shares with the template what holds no slot. A query without slots is filled with nothing: its plan is one.
 */
import { checkConstants } from './analyze/constants.ts'
import { buildPlan } from './build.ts'
import { evaluate, isFoldable } from './evaluate.ts'
import type { Call, Expr, Literal, Parameter } from './expression.ts'
import { functionInfo } from './functions.ts'
import { mapQuery } from './map-query.ts'
import { type Optimized, optimize, ruleNames } from './optimize.ts'
import type { LogicalPlan, TimeRange } from './plan.ts'
import type { Report } from './problem.ts'
import type { Query } from './query.ts'
import { unboundedMetric } from './required-range.ts'
import { mapChildren, rewrite, someNode } from './rewrite.ts'
import { bottomUp, mapExpressions } from './rules/rule.ts'
import { valueNeeded } from './slots.ts'
import { type Values, valueGiven } from './substitute.ts'
import { comparedWithValue, intersection, isEmptyRange } from './time-range.ts'

export interface Template {
  /** What parameter i + 1 of the plan stands for: an expression of literals, parameters of the query and `now()`. */
  readonly slots: readonly Expr[]
  /** Calls of the query with slots as constant arguments. */
  readonly checks: readonly Call[]
  readonly optimized: Optimized
  /** Limits have slots: the rules on them wait for the numbers. */
  readonly hasOpenCounts: boolean
  /** See `required-range.ts`. */
  readonly unboundedMetric: string | undefined
}

/** Throws `valueIsNeeded` where the plan's shape depends on the values. */
export function makeTemplate(query: Query, report: Report): Template {
  const slots: Expr[] = []
  const checks: Call[] = []
  let hasOpenCounts = false
  const slot = ({ type, span }: Expr, stands: Expr): Parameter => {
    return { kind: 'parameter', type, index: slots.push(stands), span }
  }
  const check = (call: Call): void => {
    if (hasOpenConstants(call)) checks.push(call)
  }
  const open = (expr: Expr): Expr => {
    if (isSlot(expr)) return slot(expr, expr)
    const mapped = mapChildren(expr, open)
    if (mapped !== expr && mapped.kind === 'call') check(mapped)
    return mapped
  }
  const opened = mapQuery(query, {
    expr: open,
    count(count) {
      if (count.kind === 'literal') return count
      hasOpenCounts = true
      return slot(count, count)
    },
    called: check,
  })
  const optimized = optimize(buildPlan(opened, report), rule => hasOpenCounts && rule.readsCounts === true)
  const folded = slots.some(stands => stands.kind === 'call') ? ['fold-constants'] : []
  return {
    slots,
    checks,
    optimized: { ...optimized, firedRules: inOrder([...folded, ...optimized.firedRules]) },
    hasOpenCounts,
    unboundedMetric: unboundedMetric(opened),
  }
}

const isSlot = (expr: Expr): boolean => isFixed(expr) && someNode(expr, isGiven)
const isGiven = ({ kind }: Expr): boolean => kind === 'parameter' || kind === 'now'
/** Whether it comes to a literal once values are given. */
const isFixed = (expr: Expr): boolean =>
  expr.kind === 'literal' ||
  isGiven(expr) ||
  (expr.kind === 'call' && isFoldable(expr.name) && expr.args.every(isFixed))

const hasOpenConstants = ({ name, args }: Call): boolean =>
  functionInfo(name)?.parameters.some(({ constant }, i) => constant && args[i]?.kind === 'parameter') === true

const inOrder = (fired: readonly string[]): readonly string[] => ruleNames.filter(name => fired.includes(name))

/** Throws what is wrong with a value, and `valueIsNeeded` where the values make another plan. */
export function fillTemplate(template: Template, values: Values, report: Report): Optimized {
  const { slots, checks, optimized } = template
  if (slots.length === 0) return optimized
  const literals = slots.map(slot => literalOf(slot, values, report))
  const fill = (expr: Expr): Expr => (expr.kind === 'parameter' ? literals[expr.index - 1]! : mapChildren(expr, fill))
  for (const call of checks) checkConstants(mapChildren(call, fill) as Call, report)
  const plan = bottomUp(mapExpressions(optimized.plan, fill), node => withNumbers(node, literals))
  if (!template.hasOpenCounts) return { plan, firedRules: optimized.firedRules }
  const limited = optimize(plan, rule => rule.readsCounts !== true)
  return { plan: limited.plan, firedRules: inOrder([...optimized.firedRules, ...limited.firedRules]) }
}

function literalOf(slot: Expr, values: Values, report: Report): Literal {
  const literal = rewrite(slot, node =>
    node.kind === 'call' ? (evaluate(node) ?? node) : (valueGiven(node, values, report) ?? node),
  )
  // A null decides conditions; what does not fold stays a call.
  return literal.kind === 'literal' && literal.value !== null ? literal : valueNeeded()
}

/** The node with its range and counts, of which no rule would have made anything else. */
function withNumbers(node: LogicalPlan, literals: readonly Literal[]): LogicalPlan {
  const count = (slot: Parameter | undefined): number | undefined => {
    const value = slot && literals[slot.index - 1]!.value
    if (value === undefined) return undefined
    return typeof value === 'number' && value >= 0 ? value : valueNeeded()
  }
  switch (node.kind) {
    case 'scan': {
      const range = closed(node.range, literals)
      if (range === node.range) return node
      return isEmptyRange(range) ? valueNeeded() : { ...node, range }
    }
    case 'fill': {
      const range = closed(node.range, literals)
      return range === node.range ? node : { ...node, range }
    }
    case 'limit': {
      if (node.slots === undefined) return node
      const { slots, ...rest } = node
      const limit = count(slots.limit) ?? node.limit
      const offset = count(slots.offset) ?? node.offset
      return limit === 0 || (limit === undefined && offset === 0) ? valueNeeded() : { ...rest, limit, offset }
    }
    default:
      return node
  }
}

function closed(range: TimeRange, literals: readonly Literal[]): TimeRange {
  const { fromUs, toUs, slots } = range
  if (slots === undefined) return range
  return slots.reduce(
    (all, { comparison, slot }) => {
      const { range, exact } = comparedWithValue(comparison, literals[slot.index - 1]!.value)
      return exact ? intersection(all, range) : valueNeeded()
    },
    { fromUs, toUs },
  )
}
