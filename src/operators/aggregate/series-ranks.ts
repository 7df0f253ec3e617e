/**
 * Ranks of the series of several metrics together, by the UTF-8 bytes of their printed forms.
 *
 *   cpu   cpu.load   cpu.load{host="a"}   cpu{host="a"}   cpu{host="b"}       a bare metric lies apart from its tagged series
 *
 * Printed names end where a brace begins, so that of two metrics' tagged series none come between the other's: the
 * catalog knows the order within each, and one series stands for all.
 */
import { assert } from '../../lib/assert.ts'
import { compareUtf8 } from '../../lib/text.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'

/** Series that follow one another, whatever other metrics there are. */
interface Stretch {
  readonly first: string
  readonly ordinals: Uint32Array
}

/** Indexed by ordinal; entries of other metrics are meaningless. */
export function seriesRanks(metrics: readonly string[], catalog: CatalogReader): Uint32Array {
  const stretches = metrics.flatMap(name => stretchesOf(name, catalog))
  stretches.sort((a, b) => compareUtf8(a.first, b.first))
  const ranks = new Uint32Array(catalog.seriesCount)
  let rank = 0
  for (const { ordinals } of stretches) for (const ordinal of ordinals) ranks[ordinal] = rank++
  return ranks
}

function stretchesOf(name: string, catalog: CatalogReader): Stretch[] {
  const metric = catalog.metric(name)
  assert(metric !== undefined, `metric ${name} is known`)
  const series = catalog.seriesOf(metric.id)
  const ranks = catalog.ranks(metric.id)
  const sorted = new Uint32Array(series.length)
  for (const ordinal of series) sorted[ranks[ordinal]!] = ordinal
  const isBare = sorted.length > 0 && catalog.tagsOf(sorted[0]!).length === 0
  return [sorted.subarray(0, isBare ? 1 : 0), sorted.subarray(isBare ? 1 : 0)]
    .filter(ordinals => ordinals.length > 0)
    .map(ordinals => ({ first: catalog.printed.at(ordinals[0]!), ordinals }))
}
