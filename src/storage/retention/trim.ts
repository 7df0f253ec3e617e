/** Leaves expired rows out of what is about to be written. */
import { firstAtOrAfter } from '../../columnar/search.ts'
import type { RowBuffer } from '../row-buffer.ts'
import { keepStretches } from '../tombstones/mask.ts'

/** Drops the rows with a lower time, in place. They are by series and, within one, by time. */
export function dropBefore(rows: RowBuffer, horizonUs: number): void {
  if (horizonUs === Number.NEGATIVE_INFINITY) return
  const { series, timeUs, length } = rows
  // [start, end) of stretches that stay, one after the other
  const kept: number[] = []
  for (let start = 0; start < length; ) {
    let end = start + 1
    while (end < length && series[end] === series[start]) end++
    const from = firstAtOrAfter(timeUs, horizonUs, start, end)
    if (from < end) {
      if (kept.length > 0 && kept.at(-1) === from) kept[kept.length - 1] = end
      else kept.push(from, end)
    }
    start = end
  }
  if (kept.length === 2 && kept[0] === 0 && kept[1] === length) return
  keepStretches(rows, 0, kept)
}
