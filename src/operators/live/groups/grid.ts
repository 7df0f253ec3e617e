/**
 * Cells: stretches of time that no group crosses, so that each is kept, made again and dropped on its own.
 *
 *   buckets   |---|---|---|---|---|---|---|          cells of whole buckets, those that begin in one minute
 *   cells     [-------)[-----------)[-------)
 *
 * Invariants:
 * 1. Cells are disjoint, and each time is in one.
 * 2. A cell begins and ends where a bucket does. Without buckets all time is one cell.
 */
import type { Bucket, TimeRange } from '../../../sydraql/plan.ts'
import { bucketFunction } from '../../buckets.ts'

/** Short buckets share a cell: a cell has tables of its own, and states that are made for a few groups at least. */
const cellUs = 60_000_000

export interface Grid {
  /** Groups are not told apart by time. */
  readonly isWhole: boolean
  cellOf(timeUs: number): TimeRange
  /** The cells that a range touches, as one. */
  around(range: TimeRange): TimeRange
}

const always: TimeRange = { fromUs: -Infinity, toUs: Infinity }

export function gridOf(bucket: Bucket | undefined): Grid {
  if (bucket === undefined) return { isWhole: true, cellOf: () => always, around: () => always }
  // With memories of their own: rows are cut by another.
  const { floor, next } = bucketFunction(bucket)
  const startAtOrAfter = (timeUs: number): number => {
    const startUs = floor(timeUs)
    return startUs === timeUs ? startUs : next(startUs)
  }
  const cellOf = (timeUs: number): TimeRange => {
    const minuteUs = Math.floor(floor(timeUs) / cellUs) * cellUs
    return { fromUs: startAtOrAfter(minuteUs), toUs: startAtOrAfter(minuteUs + cellUs) }
  }
  return {
    isWhole: false,
    cellOf,
    around: ({ fromUs, toUs }) => ({
      fromUs: Number.isFinite(fromUs) ? cellOf(fromUs).fromUs : fromUs,
      toUs: Number.isFinite(toUs) ? cellOf(toUs - 1).toUs : toUs,
    }),
  }
}
