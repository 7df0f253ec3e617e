/**
 * Rollups for an aggregation over a scan: whether they can answer it, and of which widths.
 *
 *   avg(v), max(v) by 1 h in UTC     1h 30m 15m … 1s, coarsest first; every row predicate but on time and series forbids
 *
 * A width serves when each bucket of the query, as far as the data goes, begins on the width's grid: then no bucket of a
 * rollup lies in two of the query's.
 */
import { chooseRollups } from '../../storage/rollup/choose.ts'
import type { RollupView } from '../../storage/rollup/view.ts'
import { rollupWidthName } from '../../storage/rollup/widths.ts'
import type { Piece, ReadRequest } from '../../storage/types.ts'
import type { Expr } from '../../sydraql/expression.ts'
import { functionInfo } from '../../sydraql/functions.ts'
import type { AggregateCall, AggregateNode, Bucket } from '../../sydraql/plan.ts'
import { bucketFunction } from '../buckets.ts'
import type { RollupChooser } from '../scan/scan.ts'
import type { PlannerOptions } from './types.ts'

/** Buckets of zones and calendars are looked at one by one, up to so many: beyond, rows are read. */
const bucketsMax = 100_000

export interface RollupPlan {
  /** The widths that may serve, for `explain`. */
  readonly widths: string
  readonly choose: RollupChooser
}

export interface RollupRole {
  /** Whether statistics of pieces answer, too. */
  readonly fromStatistics: boolean
  /** First or last values are looked for from their end: only where rows are expired do rollups help. */
  readonly fromEnd: boolean
}

/** `node`: over the columns of a bare scan, its keys but the bucket of the series alone. undefined: rollups cannot answer. */
export function planRollup(
  node: AggregateNode,
  { fromStatistics, fromEnd }: RollupRole,
  { rollupWidthsUs: available = [] }: PlannerOptions,
): RollupPlan | undefined {
  if (!node.aggregates.every(isAnswerable)) return undefined
  const bucket = node.keys.find(key => key.bucket !== undefined)?.bucket
  const fitting = available.filter(widthUs => bucket === undefined || mayServe(bucket, widthUs))
  if (fitting.length === 0) return undefined
  const needsSeries =
    node.keys.length > 0 || node.aggregates.some(call => functionInfo(call.function)?.hints.needsOrder)
  const numbersOnly = node.aggregates.every(({ args: [over] }) => over === undefined || isNumber(over))
  const isKnown = (piece: Piece): boolean =>
    fromStatistics && numbersOnly && bucket === undefined && piece.whole && (!needsSeries || piece.series !== undefined)
  const choose: RollupChooser = (pieces, request, { version }) => {
    // Nothing is expired: no rollup need be looked at.
    if (fromEnd && version.horizonUs(request.metric) === -Infinity) return undefined
    const view = version.rollups?.(request)
    if (view === undefined || view.segments.length === 0) return undefined
    const serving = bucket === undefined ? new Set(fitting) : servingWidths(bucket, fitting, view, request)
    return chooseRollups(view, {
      request,
      pieces,
      isUsable: widthUs => serving.has(widthUs),
      isKnown,
      expiredOnly: fromEnd,
    })
  }
  return {
    widths: fitting
      .toSorted((a, b) => b - a)
      .map(rollupWidthName)
      .join(' '),
    choose,
  }
}

/** From the count, sum, least, greatest, first and last number of each bucket, or the count of any values. */
function isAnswerable({ function: name, args, distinct }: AggregateCall): boolean {
  if (functionInfo(name)?.hints.statistics !== true || distinct) return false
  const [over] = args
  if (over === undefined || (over.kind === 'literal' && over.value === null)) return true
  const field = withoutWidening(over)
  return field.kind === 'column' && field.name.startsWith('field.') && (name === 'count' || isNumber(field))
}

const isNumber = ({ type }: Expr): boolean => type === 'float' || type === 'integer'

function withoutWidening(expr: Expr): Expr {
  return expr.kind === 'call' && expr.name === 'cast_float' && expr.args[0]!.type === 'integer' ? expr.args[0]! : expr
}

/** What can be said before it is known how far the data goes. */
function mayServe(bucket: Bucket, widthUs: number): boolean {
  if (bucket.kind === 'fixed') return bucket.widthUs % widthUs === 0 && bucket.originUs % widthUs === 0
  return bucket.kind === 'calendar' || bucket.widthUs >= widthUs
}

function servingWidths(
  bucket: Bucket,
  fitting: readonly number[],
  { segments }: RollupView,
  { fromUs, toUs }: ReadRequest,
): ReadonlySet<number> {
  if (bucket.kind === 'fixed') return new Set(fitting)
  const { floor, next } = bucketFunction(bucket)
  const serving = new Set(fitting)
  let [first, last] = [Infinity, -Infinity]
  for (const { widthUs, minTimeUs, maxTimeUs } of segments.flatMap(({ rollups }) => rollups)) {
    first = Math.min(first, minTimeUs)
    last = Math.max(last, maxTimeUs + widthUs)
  }
  const endUs = Math.min(toUs, last)
  let buckets = 0
  for (let startUs = floor(Math.max(fromUs, first)); startUs < endUs && serving.size > 0; startUs = next(startUs)) {
    if (++buckets > bucketsMax) return new Set()
    for (const widthUs of serving) if (startUs % widthUs !== 0) serving.delete(widthUs)
  }
  return serving
}
