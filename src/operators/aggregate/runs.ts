/**
 * Aggregation by runs: rows straight from a scan come series by series, so that a group is found once per run of rows
 * and its values are folded by kernels, without a group id per row.
 *
 *   series  a a a a a a b b b b      run = one series, times ascending; cut where a bucket ends
 *
 * Needs keys that depend on the series alone, besides the bucket.
 */
import type { ArrayMemory } from '../../columnar/arena.ts'
import type { Batch, Column } from '../../columnar/batch.ts'
import { firstAtOrAfter, firstAtOrAfterNear } from '../../columnar/search.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Execution } from '../execution.ts'
import { reusableCodes, reusableNumbers } from '../functions/evaluator.ts'
import type { Aggregator, Slot } from './aggregator.ts'
import type { RowOrdering } from './state.ts'
import { SummaryState } from './summary.ts'

/** Shorter runs on average are folded row by row. */
const runRowsMin = 16

/** Finds the part of a group that its series decides. */
export type PartOfSeries = (ordinal: number) => number

/** Adds a batch by runs; false when it has a selection or its runs are too short, and nothing was added. */
export type AddByRuns = (batch: Batch) => boolean

export function runAggregation(
  aggregator: Aggregator,
  partOf: PartOfSeries,
  { kernels, arrays }: Pick<Execution, 'kernels' | 'arrays'>,
): AddByRuns {
  const ends = reusableCodes(arrays)
  const cut = bucketCutter(aggregator, kernels, arrays)
  return batch => {
    if (batch.selection !== undefined) return false
    const series = aggregator.series(batch)
    const times = aggregator.times(batch)
    const runs = findRuns(series, times, batch.length, ends(batch.length))
    if (runs * runRowsMin > batch.length) return false
    const order = aggregator.ordering(batch)
    const columns: Columns = {
      first: aggregator.slots.map(slot => slot.evaluator?.evaluate(batch)),
      second: aggregator.slots.map(slot => slot.secondEvaluator?.evaluate(batch)),
    }
    const runEnds = ends(batch.length)
    for (let run = 0, from = 0; run < runs; run++) {
      const to = runEnds[run]!
      cut(columns, order!, from, to, partOf(series[from]!))
      from = to
    }
    return true
  }
}

/** Writes the ends of runs of one series with ascending times; returns how many. */
function findRuns(series: Uint32Array, times: Float64Array, length: number, ends: Uint32Array): number {
  if (length === 0) return 0
  let runs = 0
  let ordinal = series[0]!
  let timeUs = times[0]!
  for (let row = 1; row < length; row++) {
    const rowOrdinal = series[row]!
    const rowTimeUs = times[row]!
    if (rowOrdinal !== ordinal || rowTimeUs < timeUs) ends[runs++] = row
    ordinal = rowOrdinal
    timeUs = rowTimeUs
  }
  ends[runs++] = length
  return runs
}

/** Of each slot its arguments. */
interface Columns {
  readonly first: readonly (Column | undefined)[]
  readonly second: readonly (Column | undefined)[]
}

type Cutter = (columns: Columns, order: RowOrdering, from: number, to: number, part: number) => void

/** Cuts a run by bucket and adds the pieces to their groups. */
function bucketCutter(aggregator: Aggregator, kernels: Kernels, arrays: ArrayMemory | undefined): Cutter {
  const { bucket, slots, table } = aggregator
  const addRange = ({ first, second }: Columns, order: RowOrdering, from: number, to: number, group: number) => {
    for (let s = 0; s < slots.length; s++) slots[s]!.state.addRange(first[s], from, to, group, order, second[s])
  }
  if (bucket === undefined)
    return (columns, order, from, to, part) => {
      const group = table.group(part, 0)
      aggregator.reserve()
      addRange(columns, order, from, to, group)
    }
  const { functions } = bucket
  if (bucket.bucket.kind === 'fixed')
    return fixedCutter(aggregator, bucket.bucket.widthUs, bucket.bucket.originUs, kernels, arrays)
  return (columns, order, from, to, part) => {
    for (let row = from; row < to; ) {
      const startUs = functions.floor(order.timesUs[row]!)
      const end = firstAtOrAfter(order.timesUs, functions.next(startUs), row, to)
      const group = table.group(part, startUs)
      aggregator.reserve()
      addRange(columns, order, row, end, group)
      row = end
    }
  }
}

function fixedCutter(
  aggregator: Aggregator,
  widthUs: number,
  originUs: number,
  kernels: Kernels,
  arrays: ArrayMemory | undefined,
): Cutter {
  const { bucket, slots, table } = aggregator
  const starts = reusableNumbers(arrays)
  const ends = reusableCodes(arrays)
  const summaries = reusableNumbers(arrays)
  const groups = reusableCodes(arrays)
  const isSummary = (slot: Slot) => slot.kind === 'summary'
  const needsRanges = !slots.every(isSummary) || slots.length === 0

  return (columns, order, from, to, part) => {
    const { timesUs } = order
    const rows = to - from
    const runStarts = starts(rows)
    const cells = summaries(rows * 5)
    const runGroups = groups(rows)
    const cut = (values: Float64Array, valid: Uint8Array | undefined) =>
      kernels.bucketRuns(timesUs, values, valid, from, to, originUs, widthUs, runStarts, cells)
    const assign = (runs: number) => {
      for (let run = 0; run < runs; run++) runGroups[run] = table.group(part, runStarts[run]!)
      aggregator.reserve()
    }
    let assigned = false
    if (needsRanges) {
      const runEnds = ends(rows)
      let runs = 0
      // Mostly the next bucket has rows, and as many.
      let startUs = NaN
      let runRows = 0
      for (let row = from; row < to; ) {
        startUs += widthUs
        if (!(timesUs[row]! < startUs + widthUs)) startUs = bucket!.functions.floor(timesUs[row]!)
        const end = firstAtOrAfterNear(timesUs, startUs + widthUs, row, to, row + runRows)
        runStarts[runs] = startUs
        runEnds[runs++] = end
        runRows = end - row
        row = end
      }
      assign(runs)
      assigned = true
      for (let s = 0; s < slots.length; s++) {
        if (isSummary(slots[s]!)) continue
        const { state } = slots[s]!
        for (let run = 0, row = from; run < runs; row = runEnds[run++]!)
          state.addRange(columns.first[s], row, runEnds[run]!, runGroups[run]!, order, columns.second[s])
      }
    }
    for (let s = 0; s < slots.length; s++) {
      const { state } = slots[s]!
      if (!(state instanceof SummaryState)) continue
      const column = columns.first[s]!
      const runs = cut(column.values as Float64Array, column.valid)
      if (!assigned) assign(runs)
      assigned = true
      state.addRuns(runGroups, cells, runs)
    }
  }
}
