/** Sorted rows, a slice of whole series at a time: what a segment writer takes before others get a turn. */
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'

/** A slice has at most so many rows, or one series. */
export const sliceRowsMax = 65_536

/** Slices of rows that are sorted by series, over the same arrays, with these of their fields. */
export function* slicesOf(
  rows: RowBuffer,
  fields: readonly FieldBuffer[],
  rowsMax: number,
): Generator<RowBuffer, void, undefined> {
  const { series, length } = rows
  for (let from = 0, to = 0; from < length; from = to) {
    to = Math.min(from + rowsMax, length)
    while (to > from && to < length && series[to] === series[to - 1]) to--
    if (to === from) while (to < length && series[to] === series[from]) to++
    yield sliceOf(rows, fields, from, to)
  }
}

function sliceOf(rows: RowBuffer, fields: readonly FieldBuffer[], from: number, to: number): RowBuffer {
  return Object.assign(new RowBuffer([], 0), {
    length: to - from,
    series: rows.series.subarray(from, to),
    timeUs: rows.timeUs.subarray(from, to),
    fields: fields.map(field => ({
      ...field,
      values: field.values.subarray(from, to),
      valid: field.valid.subarray(from, to),
    })),
  })
}
