/**
 * Which series a scan reads, decided once for each.
 *
 *   decided   the metric's series below some ordinal; later ones when rows of them come
 *   read      a bit for each
 *   listed    the same as a list, while it is short
 *
 * Invariants:
 * 1. A series keeps its tags, so that what is decided stays so.
 * 2. Where few series are read, a commit costs a look for each of those, not one for each of its rows.
 */
import { assert } from '../../lib/assert.ts'
import type { MetricRows } from '../../storage/types.ts'
import type { ScanNode } from '../../sydraql/plan.ts'
import { selectSeries, seriesTest } from '../scan/series.ts'
import { commitIndex } from './commit-index.ts'
import type { LiveContext } from './types.ts'

export interface SeriesFilter {
  /** Every series of the metric is read. */
  readonly isAll: boolean
  readonly byteLength: number
  has(ordinal: number): boolean
  /** Writes the indexes of rows of series that are read, those of each ascending; how many. */
  select(rows: MetricRows, out: Uint32Array): number
}

/** Longer lists are not kept. */
const listedMax = 1024
/** A look for a series costs as much as one at so many rows. */
const rowsOfLook = 4

export function seriesFilter(
  { metric: name, seriesIds, seriesPredicate }: Pick<ScanNode, 'metric' | 'seriesIds' | 'seriesPredicate'>,
  { catalog, kernels }: Pick<LiveContext, 'catalog' | 'kernels'>,
): SeriesFilter {
  if (seriesIds === undefined && seriesPredicate === undefined) return allSeries
  const metric = catalog.metric(name)
  assert(metric !== undefined, `metric ${name} is known`)
  let decided = 0
  let beyond = 0
  let bits = new Uint32Array(0)
  let listed: number[] | undefined = []
  let test: ((ordinals: Uint32Array) => Uint32Array) | undefined

  const add = (ordinals: Uint32Array): void => {
    for (const ordinal of ordinals) {
      bits[ordinal >>> 5]! |= 1 << (ordinal & 31)
      listed?.push(ordinal)
    }
    if (listed !== undefined && listed.length > listedMax) listed = undefined
  }
  /** Those of new series, which none of the ids can name. */
  const fresh = (ordinals: Uint32Array): Uint32Array => {
    if (seriesIds !== undefined) return new Uint32Array(0)
    test ??= seriesTest(seriesPredicate!, catalog, kernels)
    return test(ordinals)
  }
  const decide = (): void => {
    const all = catalog.seriesOf(metric.id)
    if (all.length === decided) return
    beyond = all.at(-1)! + 1
    if (beyond > 32 * bits.length) {
      const grown = new Uint32Array(Math.max(Math.ceil(beyond / 32), 2 * bits.length))
      grown.set(bits)
      bits = grown
    }
    add(
      decided === 0
        ? selectSeries(metric, seriesIds, seriesPredicate, catalog, kernels)!.ordinals
        : fresh(all.subarray(decided)),
    )
    decided = all.length
  }

  return {
    isAll: false,
    get byteLength() {
      return bits.byteLength + 8 * (listed?.length ?? 0)
    },
    has(ordinal) {
      if (ordinal >= beyond) decide()
      return (bits[ordinal >>> 5]! & (1 << (ordinal & 31))) !== 0
    },
    select(rows, out) {
      const index = commitIndex(rows)
      if (index.lastOrdinal >= beyond) decide()
      if (listed !== undefined && listed.length * rowsOfLook < rows.length) return index.rowsOf(listed, out)
      const { series, length } = rows
      let count = 0
      for (let row = 0; row < length; row++) {
        const ordinal = series[row]!
        if ((bits[ordinal >>> 5]! & (1 << (ordinal & 31))) !== 0) out[count++] = row
      }
      return count
    },
  }
}

const allSeries: SeriesFilter = {
  isAll: true,
  byteLength: 0,
  has: () => true,
  select({ length }, out) {
    for (let row = 0; row < length; row++) out[row] = row
    return length
  },
}
