/**
 * Conditions sink towards the scans, where they save reading.
 *
 *   project, sort          all pass, a projection's names replaced by what they stand for
 *   aggregate, distinct    those over keys; where samples are paired, over keys that a partition settles
 *   window                 those that a partition settles: a row leaves with all that its value depends on
 *   limit_per              those that its key settles
 *   fill                   those over keys, when both ends of the filled range are fixed
 *   union                  all, into each input
 *   join                   those over one side; of the right, what cannot change which row is the newest
 *   limit, histogram       none
 */
import type { Expr } from '../expression.ts'
import { functionInfo } from '../functions.ts'
import type { AggregateNode, FilterNode, JoinNode, LimitPerNode, LogicalPlan } from '../plan.ts'
import { conjuncts, joined, sameExpr, someNode } from '../rewrite.ts'
import { valueNeeded } from '../slots.ts'
import { isBoundedAbove, isBoundedBelow, timeConditionOn } from '../time-range.ts'
import { hasColumn, readsOnly, seriesOrigin, settledBySequence, throughItems } from './columns.ts'
import { bottomUp, mapInputs, type Rule, withInput, withInputs } from './rule.ts'
import { plainCondition } from './simplify.ts'

export const pushFilterDown: Rule = {
  name: 'push-filter-down',
  apply: plan => bottomUp(plan, node => (node.kind === 'filter' ? sunk(node) : node)),
}

function sunk(filter: FilterNode): LogicalPlan {
  const parts = conjuncts(filter.predicate)
  const { plan, rest } = sink(parts, filter.input)
  return plan === filter.input && rest.length === parts.length ? filter : filtered(plan, rest)
}

/** The plan with these conditions upon it, each as far down as it goes. */
export function placed(parts: readonly Expr[], plan: LogicalPlan): LogicalPlan {
  if (parts.length === 0) return plan
  const below = sink(parts, plan)
  return filtered(below.plan, below.rest)
}

function filtered(input: LogicalPlan, parts: readonly Expr[]): LogicalPlan {
  const predicate = joined('and', parts)
  return predicate === undefined ? input : { kind: 'filter', input, predicate, schema: input.schema }
}

interface Sunk {
  readonly plan: LogicalPlan
  /** What does not pass this node. */
  readonly rest: readonly Expr[]
}

function sink(parts: readonly Expr[], plan: LogicalPlan): Sunk {
  const stays: Sunk = { plan, rest: parts }
  switch (plan.kind) {
    case 'filter': {
      const below = sink(parts, plan.input)
      return { plan: filtered(below.plan, [...conjuncts(plan.predicate), ...below.rest]), rest: [] }
    }
    case 'project': {
      const said = parts.map(part => plainCondition(throughItems(part, plan.items)))
      return { plan: withInput(plan, placed(said, plan.input)), rest: [] }
    }
    case 'union':
      return { plan: mapInputs(plan, input => placed(parts, input)), rest: [] }
    case 'sort':
      return plan.limit === undefined ? some(plan, parts, () => true) : stays
    case 'window':
      return some(plan, parts, settled(settledBySequence(plan.sequence, plan.input)))
    case 'limit_per':
      return some(plan, parts, part => settledByKey(part, plan))
    case 'aggregate': {
      const said = (part: Expr) => throughItems(part, plan.keys)
      return some(plan, parts, part => passesAggregate(part, plan), said)
    }
    case 'fill': {
      const isFixed = isBoundedBelow(plan.range) && isBoundedAbove(plan.range)
      return isFixed
        ? some(
            plan,
            parts,
            settled(name => plan.keyColumns.includes(name)),
          )
        : stays
    }
    case 'join':
      return intoJoin(parts, plan)
    default:
      return stays
  }
}

/** A condition that reads columns, and only such. One that reads none says something of every row: it stays. */
const settled =
  (test: (column: string) => boolean) =>
  (part: Expr): boolean =>
    readsOnly(part, test) && !readsOnly(part, () => false)

/** Lets some conditions pass a node with one input. */
function some(
  plan: Extract<LogicalPlan, { readonly input: LogicalPlan }>,
  parts: readonly Expr[],
  passes: (part: Expr) => boolean,
  said: (part: Expr) => Expr = part => part,
): Sunk {
  const passing = parts.filter(passes)
  if (passing.length === 0) return { plan, rest: parts }
  return {
    plan: withInput(plan, placed(passing.map(said), plan.input)),
    rest: parts.filter(part => !passing.includes(part)),
  }
}

function settledByKey(part: Expr, { key, input }: LimitPerNode): boolean {
  // Whether the two say the same.
  if (someNode(key, node => node.kind === 'parameter')) valueNeeded()
  const origin = key.kind === 'column' ? seriesOrigin(input, key.name) : undefined
  const isOfSeries = (column: string): boolean =>
    origin?.identifies === true && seriesOrigin(input, column)?.source === origin.source
  const reads = (expr: Expr): boolean => {
    if (sameExpr(expr, key)) return true
    if (expr.kind === 'column') return isOfSeries(expr.name)
    if (expr.kind === 'call') return expr.args.every(reads)
    if (expr.kind !== 'case') return true
    const branches = expr.branches.every(branch => reads(branch.when) && reads(branch.then))
    return branches && (expr.otherwise === undefined || reads(expr.otherwise))
  }
  return reads(part)
}

/** Whether samples are paired with the one before, so that no row may go missing between two. */
export const pairsSamples = ({ aggregates }: AggregateNode): boolean =>
  aggregates.some(({ function: name }) => functionInfo(name)?.hints.needsSeriesOrder === true)

function passesAggregate(part: Expr, node: AggregateNode): boolean {
  const keys = node.keys.filter(key => key.bucket === undefined)
  if (!settled(name => keys.some(key => key.name === name))(part)) return false
  if (!pairsSamples(node)) return true
  return readsOnly(throughItems(part, keys), settledBySequence(node.sequence, node.input))
}

function intoJoin(parts: readonly Expr[], join: JoinNode): Sunk {
  const ofLeft = settled(name => hasColumn(join.left, name))
  const ofRight = settled(name => hasColumn(join.right, name))
  const isConstant = settled(settledBySequence(join.rightSequence, join.right))
  const { time } = join.rightSequence
  const onlyRaises = (part: Expr): boolean => {
    if (time === undefined) return false
    const { range, exact } = timeConditionOn(part, time)
    return exact && !isBoundedAbove(range)
  }
  const left = parts.filter(ofLeft)
  const right = parts.filter(part => ofRight(part) && (join.withinUs === 0 || isConstant(part) || onlyRaises(part)))
  if (left.length === 0 && right.length === 0) return { plan: join, rest: parts }
  return {
    plan: withInputs(join, [placed(left, join.left), placed(right, join.right)]),
    rest: parts.filter(part => !left.includes(part) && !right.includes(part)),
  }
}
