/**
 * The last value of a field of each series in a memtable: along the series' links, from its newest row back.
 *
 * Invariants:
 * 1. Rows that arrived late lie behind newer ones: a walk ends where all older rows are of earlier times.
 * 2. A walk over too many rows is given up, and so is looking for first values: the series is in doubt then.
 */
import type { Duplicates } from '../merge.ts'
import type { SeriesEnds } from '../series-ends.ts'
import type { SourceTombstones } from '../tombstones/tombstones.ts'
import { chunkRowsMax } from './chunk-memory.ts'
import type { SeriesRows } from './series-rows.ts'
import type { MetricTable } from './table.ts'

/** Rows looked at for all series together: more than reading them would take is not worth it. */
const rowsMax = 4 * chunkRowsMax

export function tableEnds(
  table: MetricTable,
  visible: number,
  field: number,
  { newest, duplicates }: { readonly newest: SeriesRows; readonly duplicates: Duplicates },
  into: SeriesEnds,
  tombstones: SourceTombstones | undefined,
): void {
  const { chunks } = table
  const { ordinals, fromUs, toUs } = into
  let left = into.end === 'last' ? rowsMax : 0
  for (let place = 0; place < ordinals.length; place++) {
    let link = newest.newest(ordinals[place]!)
    if (link === 0) continue
    const hidden = tombstones?.rangesOf(ordinals[place]!)
    let bestUs = Number.NEGATIVE_INFINITY
    let best = 0
    for (; link !== 0 && left > 0; left--) {
      const row = link - 1
      const index = Math.floor(row / chunkRowsMax)
      const latestUs = table.latestTimeUs(index)
      if (latestUs < bestUs || latestUs < fromUs) break
      const chunk = chunks[index]!
      const at = row % chunkRowsMax
      link = chunk.previous[at]!
      const timeUs = chunk.timeUs[at]!
      if (row >= visible || timeUs >= toUs || timeUs < fromUs || timeUs < bestUs) continue
      if (timeUs === bestUs && duplicates === 'last') continue
      const column = chunk.columns[field]
      if (column === undefined || at >= column.length || column.valid?.[at] === 0) continue
      if (hidden?.overlaps(timeUs, timeUs + 1) === true) continue
      bestUs = timeUs
      best = column.values[at]!
    }
    if (left === 0 && link !== 0) into.doubt(place, into.end === 'last' ? Number.POSITIVE_INFINITY : fromUs)
    else if (bestUs > Number.NEGATIVE_INFINITY) into.offer(place, bestUs, best, undefined)
  }
}
