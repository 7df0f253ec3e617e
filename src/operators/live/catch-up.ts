/**
 * Catching up: of rows that were committed while nobody looked, what they mean for who knows the result of before them.
 *
 * Invariant: every key that the rows may concern is told, as it is at the moment; the result before is not asked for.
 */
import type { Scalar } from '../../columnar/value.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import { appendRows, type RowKey, rowKeyOf, tooManyRows } from './difference.ts'
import type { BoundReaders } from './readers.ts'
import { openAt } from './run-at.ts'
import { clusters, restricted } from './scope.ts'
import type { CommittedRows, LiveColumns, LiveContext, LiveDelta, LiveRow, Moment } from './types.ts'

/** Throws `too_many_points` when the rows have more than `rowsMax` keys. */
export async function catchUpRows(
  committed: readonly CommittedRows[],
  at: Moment,
  readers: BoundReaders,
  columns: LiveColumns,
  context: LiveContext,
): Promise<LiveDelta> {
  const { catalog, rowsMax } = context
  const keyOf = rowKeyOf(columns.keys)
  const left = new Map<RowKey, LiveRow>()
  const changed: LiveRow[] = []
  for (const [metric, { series, timeUs }] of concernedOf(committed, readers, rowsMax)) {
    series.forEach((ordinal, index) => {
      const row = keyRowOf(ordinal, timeUs[index]!, columns, catalog)
      left.set(keyOf(row), row)
    })
    const { plan } = readers.branches.get(metric)!
    for (const scope of clusters(metric, timeUs, series)) {
      for await (const batch of openAt(restricted(plan, scope, catalog), at, context)) {
        const rows: LiveRow[] = []
        appendRows(batch, rows)
        // Others may be there, too: rows of these series that were known before.
        for (const row of rows) if (left.delete(keyOf(row))) changed.push(row)
      }
    }
  }
  return { added: [], changed, removed: [...left.values()] }
}

interface Concerned {
  readonly series: number[]
  readonly timeUs: number[]
}

/** By metric, where rows lie that the query reads: a (series, time) may come more than once. */
function concernedOf(
  committed: readonly CommittedRows[],
  { branches, isRead }: BoundReaders,
  rowsMax: number,
): ReadonlyMap<string, Concerned> {
  const byMetric = new Map<string, Concerned>()
  let count = 0
  for (const { rows } of committed) {
    const { name } = rows.metric
    const { fromUs, toUs } = branches.get(name)!.scan.range
    let concerned = byMetric.get(name)
    if (concerned === undefined) byMetric.set(name, (concerned = { series: [], timeUs: [] }))
    for (let row = 0; row < rows.length; row++) {
      const [ordinal, timeUs] = [rows.series[row]!, rows.timeUs[row]!]
      if (timeUs < fromUs || timeUs >= toUs || !isRead(name, ordinal)) continue
      if (++count > rowsMax) throw tooManyRows(rowsMax)
      concerned.series.push(ordinal)
      concerned.timeUs.push(timeUs)
    }
  }
  return byMetric
}

function keyRowOf(ordinal: number, timeUs: number, { schema, keys }: LiveColumns, catalog: CatalogReader): LiveRow {
  const [seriesId, time] = keys as readonly [number, number]
  const row: Scalar[] = new Array<Scalar>(schema.length).fill(null)
  row[seriesId] = catalog.ids.at(ordinal)
  row[time] = timeUs
  return row
}
