/**
 * Whether a query says from when on it reads each of its metrics (`query.require_time_range`).
 *
 * A bound counts where it is plain: conditions joined by `and` on the time of the source, in the `where` over it. It counts
 * through a sub-select that puts that time, or its bucket, out and neither limits nor follows rows, and for every side of
 * a join, whose times are never after the first's and within of it.
 */
import type { Expr } from './expression.ts'
import type { JoinSide, Query, SelectQuery, SourceQuery } from './query.ts'
import { plainCondition } from './rules/simplify.ts'
import { isBoundedBelow, timeConditionOn } from './time-range.ts'

/** The name of a metric that is read without a lower bound; undefined when there is none. */
export const unboundedMetric = (query: Query): string | undefined =>
  query.kind === 'select' ? ofSelect(query, false) : undefined

/** `isBounded`: what is outside bounds the sub-select's time already. */
function ofSelect(select: SelectQuery, isBounded: boolean): string | undefined {
  const { source } = select
  if (source === undefined) return undefined
  const isInherited = isBounded && passesTime(select, source)
  return ofSource(source, isInherited || isBelow(select.where, source))
}

function ofSource(source: SourceQuery, isBounded: boolean): string | undefined {
  switch (source.kind) {
    case 'metric':
      return isBounded ? undefined : source.metric
    case 'metrics':
      return isBounded ? undefined : source.parts[0]!.source.metric
    case 'query':
      return ofSelect(source.query, isBounded)
    case 'join':
      return ofSource(source.left.source, isBounded) ?? ofSource(source.right.source, isBounded)
  }
}

/** Whether a condition bounds the time of the source, or of any side of a join. */
function isBelow(where: Expr | undefined, source: SourceQuery): boolean {
  if (where === undefined) return false
  const plain = plainCondition(where)
  return timesOf(source).some(time => isBoundedBelow(timeConditionOn(plain, time).range))
}

function timesOf(source: SourceQuery): readonly string[] {
  const { time } = source.sequence
  if (source.kind !== 'join') return time === undefined ? [] : [time]
  const own = (side: JoinSide): readonly string[] =>
    side.alias === undefined ? timesOf(side.source) : [`${side.alias}.${side.source.sequence.time}`]
  return [...own(source.left), ...own(source.right)]
}

/** Whether the time that the sub-select puts out is its source's, or the start of a bucket of it. */
function passesTime(select: SelectQuery, source: SourceQuery): boolean {
  const { grouping, items, limit, limitPer, offset, windows } = select
  if (limit !== undefined || limitPer !== undefined || offset !== undefined || windows.length > 0) return false
  const { time } = source.sequence
  const bucket = grouping?.keys.find(key => key.bucket !== undefined)?.name
  const wanted = grouping === undefined ? time : bucket
  return wanted !== undefined && items.some(({ expr }) => expr.kind === 'column' && expr.name === wanted)
}
