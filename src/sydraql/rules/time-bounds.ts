/** Rules that carry bounds of time to where they are not written: below an aggregation, to the other side of a join. */
import { dayUs } from '../bucket.ts'
import type { Span } from '../expression.ts'
import type { AggregateNode, Bucket, FilterNode, GroupKey, JoinNode, LogicalPlan, TimeRange } from '../plan.ts'
import { conjuncts, joined } from '../rewrite.ts'
import { boundsWithin, everything, intersection, known, timeConditionOn } from '../time-range.ts'
import { rangeOfColumn } from './columns.ts'
import { pairsSamples, placed } from './push-filter.ts'
import { bottomUp, hasNode, type Rule, withInput, withInputs } from './rule.ts'

/**
 * Bounds of a bucket bound the rows that fall into it. For buckets of a fixed width the two say the same, so that the
 * condition goes; where samples are paired, earlier rows may still be wanted, and only the upper bound counts.
 */
export const bucketRange: Rule = {
  name: 'bucket-range',
  apply: plan =>
    bottomUp(plan, node =>
      node.kind === 'filter' && node.input.kind === 'aggregate' ? belowBuckets(node, node.input) : node,
    ),
}

function belowBuckets(filter: FilterNode, aggregate: AggregateNode): LogicalPlan {
  const key = aggregate.keys.find(each => each.bucket !== undefined)
  const time = key && timeOf(key)
  if (key === undefined || time === undefined) return filter
  const parts = conjuncts(filter.predicate)
  const conditions = parts.map(part => timeConditionOn(part, key.name))
  const starts = conditions.map(condition => condition.range).reduce(intersection, everything)
  const isPaired = pairsSamples(aggregate)
  const rows = rowsOfBuckets(known(starts), key.bucket!)
  const wanted = isPaired ? { fromUs: -Infinity, toUs: rows.toUs } : rows
  const implied = boundsWithin(wanted, rangeOfColumn(aggregate.input, time), time, filter.predicate.span)
  const isExact = key.bucket!.kind === 'fixed' && !isPaired
  const rest = isExact ? parts.filter((_, index) => !conditions[index]!.exact) : parts
  if (implied.length === 0 && rest.length === parts.length) return filter
  const below = withInput(aggregate, placed(implied, aggregate.input))
  const predicate = joined('and', rest)
  return predicate === undefined ? below : { ...filter, input: below, predicate }
}

/** The column that the bucket is of. */
function timeOf({ expr }: GroupKey): string | undefined {
  const time = expr.kind === 'call' ? expr.args[1] : undefined
  return time?.kind === 'column' ? time.name : undefined
}

/** Where the rows of buckets lie whose starts are in the range: exactly for a fixed width. */
function rowsOfBuckets(starts: TimeRange, bucket: Bucket): TimeRange {
  if (bucket.kind !== 'fixed') return { fromUs: starts.fromUs, toUs: starts.toUs + longest(bucket) }
  const { widthUs, originUs } = bucket
  const boundary = (us: number) => originUs + Math.ceil((us - originUs) / widthUs) * widthUs
  return { fromUs: boundary(starts.fromUs), toUs: boundary(starts.toUs) }
}

/** No bucket is longer: zones move by less than two days. */
const longest = (bucket: Exclude<Bucket, { readonly kind: 'fixed' }>): number =>
  2 * dayUs + (bucket.kind === 'calendar' ? bucket.months * 31 * dayUs : bucket.widthUs)

/** Rows that a join can bring together lie no further apart than its reach. */
export const joinTime: Rule = {
  name: 'join-time',
  apply(plan) {
    if (!hasNode(plan, 'join')) return plan
    const bound = (node: LogicalPlan): LogicalPlan => (node.kind === 'join' ? boundSides(node) : node)
    // What the outer of two joins found out reaches the sides of the inner one the second time.
    return bottomUp(bottomUp(plan, bound), bound)
  },
}

const nowhere: Span = { start: 0, end: 0 }

function boundSides(join: JoinNode): LogicalPlan {
  const [leftTime, rightTime] = [join.leftSequence.time, join.rightSequence.time]
  if (leftTime === undefined || rightTime === undefined) return join
  const ofLeft = known(rangeOfColumn(join.left, leftTime))
  const ofRight = known(rangeOfColumn(join.right, rightTime))
  const toLeft = boundsWithin({ fromUs: ofRight.fromUs, toUs: ofRight.toUs + join.withinUs }, ofLeft, leftTime, nowhere)
  const toRight = boundsWithin(
    { fromUs: ofLeft.fromUs - join.withinUs, toUs: ofLeft.toUs },
    ofRight,
    rightTime,
    nowhere,
  )
  if (toLeft.length === 0 && toRight.length === 0) return join
  return withInputs(join, [placed(toLeft, join.left), placed(toRight, join.right)])
}
