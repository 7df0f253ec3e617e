/** Views of parts of a batch: no value is copied. */
import type { Batch, Column } from './batch.ts'
import { columnOf } from './builder.ts'

/** Rows [from, to) of a column, over the same memory. */
export function sliceColumn(column: Column, from: number, to: number): Column {
  return columnOf(
    column.type,
    column.values.subarray(from, to),
    column.valid?.subarray(from, to),
    column.type === 'string' ? column.dictionary : undefined,
  )
}

/** The rows [from, to) of those that count. */
export function sliceBatch(batch: Batch, from: number, to: number): Batch {
  if (batch.selection !== undefined) return { ...batch, selection: batch.selection.subarray(from, to) }
  if (from === 0) return { length: to, columns: batch.columns, selection: undefined }
  return {
    length: to - from,
    columns: batch.columns.map(column => sliceColumn(column, from, to)),
    selection: undefined,
  }
}
