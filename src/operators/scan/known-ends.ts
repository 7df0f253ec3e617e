/** Last (or first) values that are known without reading rows, as the rows that a scan would find them in. */
import type { RowBuffer } from '../../storage/row-buffer.ts'
import type { End } from '../../storage/series-ends.ts'
import type { ReadRequest, Version } from '../../storage/types.ts'

/** Appends a row for each of the series whose value is known: `into` has the request's one field, a number. */
export function appendKnownEnds(
  version: Version,
  request: ReadRequest,
  ordinals: Uint32Array,
  end: End,
  into: RowBuffer,
): void {
  const ends = version.ends?.(request, ordinals, end)
  if (ends === undefined) return
  into.reserve(ordinals.length)
  const { series, timeUs } = into
  const { values, valid } = into.fields[0]!
  let row = into.length
  for (let place = 0; place < ordinals.length; place++) {
    if (!ends.isKnown(place)) continue
    series[row] = ordinals[place]!
    timeUs[row] = ends.timeUs(place)
    values[row] = ends.values[place]!
    valid[row] = 1
    row++
  }
  into.length = row
}
