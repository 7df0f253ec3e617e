/**
 * A bound query to the plan that says what it means, before any rule: one node per clause, nothing clever.
 *
 *   scan → filter (where) → sort → project → limit
 *   scan → filter (where) → aggregate → filter (having) → sort → project → limit
 *   scan → filter (where) → aggregate → fill (with having) → sort → project → limit
 */
import { assert } from '../lib/assert.ts'
import { columnRef } from './analyze/scope.ts'
import { evaluate } from './evaluate.ts'
import type { Call, Expr, Literal } from './expression.ts'
import type { FillMode, FillNode, GroupKey, LogicalPlan, TimeRange } from './plan.ts'
import type { Report } from './problem.ts'
import type { Grouping, Query, RowCount, SelectQuery } from './query.ts'
import { conjuncts, joined } from './rewrite.ts'
import { plainCondition } from './rules/simplify.ts'
import { everything, timeCondition } from './time-range.ts'

export function buildPlan(query: Query, report: Report): LogicalPlan {
  if (query.kind === 'insert' || query.kind === 'delete') throw new Error('a write has no plan')
  const plan = query.kind === 'show' ? buildShow(query) : buildSelect(query, report)
  const limit = countOf(query.limit)
  const offset = query.kind === 'select' ? (countOf(query.offset) ?? 0) : 0
  if (limit === undefined && offset === 0) return plan
  return { kind: 'limit', input: plan, limit, offset, schema: plan.schema }
}

function countOf(count: RowCount | undefined): number | undefined {
  if (count === undefined) return undefined
  assert(count.kind === 'literal', 'a row count is bound')
  return Number(count.value)
}

const filtered = (input: LogicalPlan, predicate: Expr | undefined): LogicalPlan =>
  predicate === undefined ? input : { kind: 'filter', input, predicate, schema: input.schema }

function buildShow({ subject, metric, where, output }: Extract<Query, { kind: 'show' }>): LogicalPlan {
  return filtered({ kind: 'show', subject, metric, schema: output }, where)
}

function buildSelect(query: SelectQuery, report: Report): LogicalPlan {
  const { source, grouping } = query
  let plan: LogicalPlan =
    source?.kind !== 'metric'
      ? { kind: 'values', rows: [[]], schema: [] }
      : {
          kind: 'scan',
          metric: source.metric,
          seriesIds: source.seriesIds,
          range: everything,
          seriesPredicate: undefined,
          rowPredicate: undefined,
          order: 'none',
          limit: undefined,
          seriesLimit: undefined,
          schema: source.schema,
        }
  plan = grouping === undefined ? filtered(plan, query.where) : aggregated(plan, query.where, grouping, report)
  if (query.orderBy.length > 0) {
    plan = { kind: 'sort', input: plan, keys: query.orderBy, limit: undefined, schema: plan.schema }
  }
  return { kind: 'project', input: plan, items: query.items, schema: query.output }
}

function aggregated(scan: LogicalPlan, where: Expr | undefined, grouping: Grouping, report: Report): LogicalPlan {
  const { keys, aggregates, schema, having, fill, filledSchema } = grouping
  const bucketKey = keys.find(key => key.bucket !== undefined)
  const { range, plain } = plainRange(where)
  const span = where?.span ?? { start: 0, end: 0 }
  const seeded = fill?.kind === 'previous' && fill.lookbackUs !== undefined && bucketKey !== undefined
  const reach = seeded
    ? withLookback(plain, fill, bucketKey, () => report('unsupported_fill', lookbackMessage, span))
    : where
  const rows = filtered(scan, reach)
  const groups: LogicalPlan = {
    kind: 'aggregate',
    input: rows,
    keys,
    aggregates,
    sequence: { time: 'time', partition: ['series'] },
    schema,
  }
  if (fill === undefined || bucketKey === undefined) return filtered(groups, having)
  const node: FillNode = {
    kind: 'fill',
    input: groups,
    mode: fill,
    ...(having === undefined ? {} : { kept: having }),
    bucketColumn: bucketKey.name,
    bucket: bucketKey.bucket!,
    keyColumns: keys.filter(key => key !== bucketKey).map(key => key.name),
    valueColumns: aggregates.map(aggregate => aggregate.name),
    range,
    schema: filledSchema,
  }
  return node
}

const lookbackMessage = 'fill(previous, …) needs a plain time range in where: bounds joined by and'

/**
 * The condition with its range opened downwards by the lookback. Rows of the range's first bucket that lie before the
 * range stay out: what looks back are whole earlier buckets.
 */
function withLookback(
  where: Expr | undefined,
  fill: Extract<FillMode, { kind: 'previous' }>,
  bucketKey: GroupKey,
  problem: () => Error,
): Expr | undefined {
  if (where === undefined) return undefined
  const parts = conjuncts(where)
  const conditions = parts.map(timeCondition)
  if (conditions.some(({ range, exact }) => !exact && range.fromUs !== -Infinity)) throw problem()
  const { fromUs, toUs } = timeCondition(
    joined(
      'and',
      parts.filter((_, i) => conditions[i]!.exact),
    ) ?? where,
  ).range
  if (fromUs === -Infinity || fromUs >= toUs) return where
  const { span } = where
  const at = (us: number): Literal => ({ kind: 'literal', type: 'timestamp', value: us, span })
  const time = columnRef('time', 'timestamp', span)
  const compare = (name: string, right: Expr): Call => ({
    kind: 'call',
    type: 'boolean',
    name,
    args: [time, right],
    span,
  })
  const rest = parts.filter((_, i) => !conditions[i]!.exact)
  rest.push(compare('ge', at(fromUs - fill.lookbackUs!)))
  if (toUs !== Infinity) rest.push(compare('lt', at(toUs)))
  const firstBucket: Call = { ...(bucketKey.expr as Call), args: (bucketKey.expr as Call).args.with(1, at(fromUs)) }
  const first = evaluate(firstBucket) ?? firstBucket
  const isAligned = first.kind === 'literal' && first.value === fromUs
  if (!isAligned) rest.push(joined('or', [compare('lt', first), compare('ge', at(fromUs))])!)
  return joined('and', rest)
}

/** Where the query's rows lie in time, by its `where`; unbounded sides are infinite. */
export const rangeOf = (query: Query): TimeRange =>
  query.kind === 'select' ? plainRange(query.where).range : everything

function plainRange(where: Expr | undefined): { readonly range: TimeRange; readonly plain: Expr | undefined } {
  if (where === undefined) return { range: everything, plain: undefined }
  const plain = plainCondition(where)
  return { range: timeCondition(plain).range, plain }
}
