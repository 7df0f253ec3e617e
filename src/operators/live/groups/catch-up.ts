/**
 * Catching up with groups of buckets: the groups that rows are of are known by their times and series, and those stretches of
 * time are read as they are now.
 */
import { columnIndex } from '../../../columnar/batch.ts'
import type { Scalar } from '../../../columnar/value.ts'
import type { AggregateNode, ScanNode, TimeRange } from '../../../sydraql/plan.ts'
import { collectColumns } from '../../../sydraql/rewrite.ts'
import { hull } from '../../../sydraql/time-range.ts'
import { compileAggregation } from '../../aggregate/aggregation.ts'
import { GroupTable } from '../../aggregate/groups.ts'
import { isSeriesColumn } from '../../scan/series.ts'
import { commitReader } from '../commit-batch.ts'
import { type RowKey, rowKeyOf, tooManyRows } from '../difference.ts'
import type { LiveParts } from '../parts.ts'
import { rowsAt } from '../run-at.ts'
import type { CommittedRows, LiveDelta, LiveRow, Moment } from '../types.ts'
import type { Grid } from './grid.ts'
import { type GroupInput, within } from './input.ts'

/** Stretches that are read one by one; more are joined where the gaps are shortest. */
const stretchesMax = 16

/** Whether a row's group is told by its time and series alone, however it merges with others; and not by all time. */
export function canCatchUp({ aggregate, sources }: GroupInput): boolean {
  const columns = new Set<string>()
  for (const key of aggregate.keys) collectColumns(key.expr, columns)
  return (
    sources.length === 1 &&
    sources[0]!.projection === undefined &&
    aggregate.keys.some(key => key.bucket !== undefined) &&
    [...columns].every(name => name === 'time' || isSeriesColumn(name))
  )
}

/** Throws `too_many_points` when the rows are of more than `rowsMax` groups. */
export async function catchUpGroups(
  committed: readonly CommittedRows[],
  at: Moment,
  { aggregate, sources }: GroupInput,
  grid: Grid,
  { columns, context, barePlanAt }: LiveParts,
): Promise<LiveDelta> {
  const { kernels, rowsMax } = context
  const scan = keysAlone(sources[0]!.scan, aggregate)
  const reader = commitReader({ scan, steps: [], plan: scan }, context)
  const order = { time: 'time', series: 'series', ranks: () => new Uint32Array(0) }
  const keys = compileAggregation({ ...aggregate, aggregates: [] }, scan.schema, order, kernels)
  const table = new GroupTable(keys.keyTypes, true)
  const timeColumn = columnIndex(scan.schema, 'time')
  const stretches = new Map<number, TimeRange>()
  for (const each of committed) {
    const batch = reader.read({ ...each, late: undefined }, scan.range)
    if (batch === undefined) continue
    const plain = keys.keys.map(key => key.evaluate(batch))
    table.assign(plain, keys.bucketStarts(batch), batch, keys.groupsRoom(batch.length))
    if (table.size > rowsMax) throw tooManyRows(rowsMax)
    const times = batch.columns[timeColumn]!.values
    let range: TimeRange | undefined
    for (let row = 0; row < batch.length; row++) {
      const timeUs = times[row]!
      if (range !== undefined && timeUs >= range.fromUs && timeUs < range.toUs) continue
      range = grid.cellOf(timeUs)
      stretches.set(range.fromUs, range)
    }
  }

  const keyOf = rowKeyOf(columns.keys)
  const left = new Map<RowKey, LiveRow>()
  for (let group = 0; group < table.size; group++) {
    const row: Scalar[] = new Array<Scalar>(columns.schema.length).fill(null)
    columns.keys.forEach((column, key) => {
      const place = keys.keyPlaces[key]!
      row[column] = place < 0 ? table.bucketStart(group) : table.keyValue(group, place)
    })
    left.set(keyOf(row), row)
  }
  const changed: LiveRow[] = []
  const plan = barePlanAt(at.nowUs)
  for (const range of joined([...stretches.values()])) {
    for (const row of await rowsAt(within(plan, range), at, context)) if (left.delete(keyOf(row))) changed.push(row)
  }
  return { added: [], changed, removed: [...left.values()] }
}

/** The scan's rows, whatever their fields: with what tells their groups. */
function keysAlone(scan: ScanNode, { keys }: AggregateNode): ScanNode {
  const names = new Set(['time', 'series'])
  for (const { expr } of keys) collectColumns(expr, names)
  return { ...scan, rowPredicate: undefined, schema: scan.schema.filter(({ name }) => names.has(name)) }
}

function joined(ranges: TimeRange[]): TimeRange[] {
  ranges.sort((a, b) => a.fromUs - b.fromUs)
  const gaps = ranges.slice(1).map((range, i) => range.fromUs - ranges[i]!.toUs)
  const widest = gaps.filter(gap => gap > 0).sort((a, b) => b - a)
  const leastUs = widest[Math.min(stretchesMax, widest.length) - 1] ?? Infinity
  const out: TimeRange[] = []
  ranges.forEach((range, i) => {
    const isApart = i === 0 || (gaps[i - 1]! >= leastUs && gaps[i - 1]! > 0)
    if (isApart) out.push(range)
    else out[out.length - 1] = hull(out.at(-1)!, range)
  })
  return out
}
