/**
 * The first rows of an aggregation by bucket: time is read in windows, from the end that is wanted, until there are enough.
 *
 *   latest n rows    │ 64 n │  8 n  │ n │        n buckets, then 8 times as many, …
 *
 * Invariants:
 * 1. Windows begin and end where buckets do, and partition the range: each bucket is worked out once, from all its rows.
 * 2. They come in the order of the rows: those of one window are before all of the next.
 */
import { rowCount } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { AggregateNode, Bucket, LogicalPlan, SortNode, TimeRange } from '../../sydraql/plan.ts'
import { bucketFunction } from '../buckets.ts'
import type { Execution } from '../execution.ts'
import { dayUs } from '../functions/civil.ts'
import type { BatchStream } from '../operator.ts'
import type { TimeSpan } from '../scan/windows.ts'
import { goesBySeries } from './plan-pairs.ts'
import type { ScanSource } from './plan-source.ts'
import type { PhysicalPlan } from './types.ts'
import { scansUnder } from './underlying-scans.ts'

const windowGrowth = 8
const longestMonthUs = 31 * dayUs

/** Rows by bucket, the first of which are wanted. */
export interface WantedBuckets {
  readonly bucket: Bucket
  readonly descending: boolean
  readonly rows: number
  readonly sources: readonly ScanSource[]
}

/** Under a limit: the rows of an aggregate come by bucket. */
export const bucketsUnderLimit = (input: LogicalPlan, rows: number): WantedBuckets | undefined =>
  wantedBuckets(input, undefined, false, rows)

/** Of a sort with a limit, when it goes by the bucket first. */
export function bucketsUnderSort({ input, keys, limit }: SortNode): WantedBuckets | undefined {
  const [first] = keys
  if (limit === undefined || first?.expr.kind !== 'column') return undefined
  return wantedBuckets(input, first.expr.name, first.descending, limit)
}

/** `column`: the bucket's in the plan's rows; undefined: whichever it is. */
function wantedBuckets(
  plan: LogicalPlan,
  column: string | undefined,
  descending: boolean,
  rows: number,
): WantedBuckets | undefined {
  switch (plan.kind) {
    case 'filter':
      return wantedBuckets(plan.input, column, descending, rows)
    case 'project': {
      const expr = plan.items.find(item => item.name === column)?.expr
      if (column !== undefined && expr?.kind !== 'column') return undefined
      return wantedBuckets(plan.input, expr?.kind === 'column' ? expr.name : undefined, descending, rows)
    }
    case 'aggregate': {
      const key = plan.keys.find(each => each.bucket !== undefined)
      if (key?.bucket === undefined || (column !== undefined && key.name !== column)) return undefined
      const sources = rowByRow(plan) ? scansUnder(plan) : undefined
      return sources && { bucket: key.bucket, descending, rows, sources }
    }
    default:
      return undefined
  }
}

/** Whether a row counts in its own bucket alone: rates look at the row before it, too. */
const rowByRow = (node: AggregateNode): boolean => !goesBySeries(node)

/** The input's rows, a window after the other, until there are as many as are wanted. */
export async function* byBucketWindows(wanted: WantedBuckets, input: PhysicalPlan, execution: Execution): BatchStream {
  let rows = 0
  for (const span of windowsOf(wanted, execution)) {
    for await (const batch of input.open({ ...execution, span })) {
      rows += rowCount(batch)
      yield batch
    }
    if (rows >= wanted.rows) return
  }
}

/** From the end that is wanted; the last one has all that is left. */
function* windowsOf({ bucket, descending, rows, sources }: WantedBuckets, execution: Execution): Generator<TimeSpan> {
  const { floor } = bucketFunction(bucket)
  const widthUs = bucket.kind === 'calendar' ? bucket.months * longestMonthUs : bucket.widthUs
  let { fromUs, toUs } = hull(sources.map(({ scan }) => scan.range))
  const extent = extentOf(sources, execution)
  const firstUs = Math.max(fromUs, extent.fromUs)
  const endUs = Math.min(toUs, extent.toUs)
  let atUs = descending ? endUs : firstUs
  for (let buckets = rows; Number.isFinite(atUs); buckets *= windowGrowth) {
    const cutUs = descending ? atUs - 1 - (buckets - 1) * widthUs : atUs + buckets * widthUs
    // Beyond there may be no row, nor a calendar.
    if (!(cutUs > firstUs && cutUs < endUs)) break
    atUs = floor(cutUs)
    if (!(atUs > fromUs && atUs < toUs)) break
    yield descending ? { fromUs: atUs, toUs } : { fromUs, toUs: atUs }
    if (descending) toUs = atUs
    else fromUs = atUs
  }
  yield { fromUs, toUs }
}

/** Where in time rows may be. */
function extentOf(sources: readonly ScanSource[], { version, versionAt }: Execution): TimeSpan {
  return hull(
    sources.flatMap(({ scan: { asOf } }) => {
      assert(asOf === undefined || versionAt !== undefined, 'a scan of a snapshot has its version')
      const extents = (asOf === undefined ? version : versionAt!(asOf.ref)).sources?.()
      if (extents === undefined) return { fromUs: -Infinity, toUs: Infinity }
      return extents.map(({ minTimeUs, maxTimeUs }) => ({ fromUs: minTimeUs, toUs: maxTimeUs + 1 }))
    }),
  )
}

function hull(spans: readonly Pick<TimeRange, 'fromUs' | 'toUs'>[]): { fromUs: number; toUs: number } {
  let [fromUs, toUs] = [Infinity, -Infinity]
  for (const span of spans) {
    fromUs = Math.min(fromUs, span.fromUs)
    toUs = Math.max(toUs, span.toUs)
  }
  return { fromUs, toUs }
}
