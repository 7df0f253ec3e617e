/** Series as programs see them, found by tags or listed by metric. */
import { SydraError } from '../../lib/errors.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import type { SeriesInfo } from '../../types.ts'

/** Series with all of these tags (`and`) or any (`or`), metric by metric. */
export function* seriesWithTags(
  catalog: CatalogReader,
  tags: Readonly<Record<string, string>>,
  op: 'and' | 'or',
): Generator<SeriesInfo> {
  const wanted = Object.entries(tags)
  for (const { id } of catalog.metrics()) {
    const sets = wanted.map(([key, value]) => catalog.seriesWithTag(id, key, value))
    const found = op === 'or' ? new Set(sets.flatMap(set => [...set])) : intersection(sets)
    for (const ordinal of [...found].sort((a, b) => a - b)) yield seriesInfo(catalog, ordinal)
  }
}

/** Series of one metric, or of all. */
export function* listSeries(catalog: CatalogReader, metric: string | undefined): Generator<SeriesInfo> {
  for (const info of catalog.metrics()) {
    if (metric !== undefined && info.name !== metric) continue
    for (const ordinal of catalog.seriesOf(info.id)) yield seriesInfo(catalog, ordinal)
  }
}

/** Throws `not_found`. */
export function seriesAt(catalog: CatalogReader, ordinal: number): SeriesInfo {
  if (Number.isInteger(ordinal) && ordinal >= 0 && ordinal < catalog.seriesCount) return seriesInfo(catalog, ordinal)
  throw new SydraError('not_found', `there is no series ${ordinal}`)
}

const seriesInfo = (catalog: CatalogReader, ordinal: number): SeriesInfo => ({
  id: catalog.ids.at(ordinal),
  metric: catalog.metricOf(ordinal).name,
  tags: catalog.tagsOf(ordinal),
  printed: catalog.printed.at(ordinal),
})

function intersection(sets: readonly Uint32Array[]): Iterable<number> {
  const [smallest, ...others] = sets.toSorted((a, b) => a.length - b.length)
  if (smallest === undefined) return []
  const rest = others.map(set => new Set(set))
  return smallest.filter(ordinal => rest.every(set => set.has(ordinal)))
}
