/** Rows by the cell that they are in. */
import type { Batch } from '../../../columnar/batch.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
import type { Grid } from './grid.ts'

export interface PartOfBatch {
  readonly range: TimeRange
  readonly batch: Batch
}

/** The cell of all rows; undefined: they are of several. */
export function onlyCellOf({ selection, length }: Batch, times: Float64Array, grid: Grid): TimeRange | undefined {
  const count = selection?.length ?? length
  const range = grid.cellOf(times[selection === undefined ? 0 : selection[0]!]!)
  if (grid.isWhole) return range
  for (let k = 1; k < count; k++) {
    const timeUs = times[selection === undefined ? k : selection[k]!]!
    if (timeUs < range.fromUs || timeUs >= range.toUs) return undefined
  }
  return range
}

export function cutByCell(batch: Batch, times: Float64Array, grid: Grid): PartOfBatch[] {
  const { selection, length } = batch
  const count = selection?.length ?? length
  const parts = new Map<number, { readonly range: TimeRange; readonly rows: number[] }>()
  let part: { readonly range: TimeRange; readonly rows: number[] } | undefined
  for (let k = 0; k < count; k++) {
    const row = selection === undefined ? k : selection[k]!
    const timeUs = times[row]!
    if (part === undefined || timeUs < part.range.fromUs || timeUs >= part.range.toUs) {
      const range = grid.cellOf(timeUs)
      part = parts.get(range.fromUs)
      if (part === undefined) parts.set(range.fromUs, (part = { range, rows: [] }))
    }
    part.rows.push(row)
  }
  return Array.from(parts.values(), ({ range, rows }) => ({
    range,
    batch: { ...batch, selection: Uint32Array.from(rows) },
  }))
}
