/**
 * Series that share groups: where keys other than a bucket depend on the series alone, rows of some series are of their groups,
 * and of no others.
 */
import type { Schema } from '../../../columnar/batch.ts'
import { valueAt } from '../../../columnar/value.ts'
import { collectColumns } from '../../../sydraql/rewrite.ts'
import { compile } from '../../compile.ts'
import { isSeriesColumn, seriesColumn } from '../../scan/series.ts'
import { type RowKey, rowKeyOf } from '../difference.ts'
import type { LiveContext } from '../types.ts'
import type { GroupInput } from './input.ts'

export interface SeriesGroups {
  readonly metric: string
  /** Of a row of the aggregate's keys, the part that its series decides. */
  keyOf(keys: readonly unknown[]): RowKey
  /** The parts of these series, and all series that have one of them, ascending. */
  sharing(series: ReadonlySet<number>): { readonly keys: ReadonlySet<RowKey>; readonly series: Uint32Array }
}

/** Series whose keys are worked out together. */
const batchRows = 8192

/** undefined: keys look at more than the series, or there are none. */
export function seriesGroups({ aggregate, sources }: GroupInput, { catalog }: LiveContext): SeriesGroups | undefined {
  const [source] = sources
  const places = [...aggregate.keys.keys()].filter(key => aggregate.keys[key]!.bucket === undefined)
  const columns = new Set<string>()
  for (const place of places) collectColumns(aggregate.keys[place]!.expr, columns)
  const isPlain = sources.length === 1 && source!.projection === undefined && places.length > 0
  if (!isPlain || ![...columns].every(isSeriesColumn)) return undefined
  const schema: Schema = Array.from(columns, name => ({ name, type: 'string', nullable: true }))
  const makers = schema.map(({ name }) => seriesColumn(name, catalog))
  const evaluators = places.map(place => compile(aggregate.keys[place]!.expr, schema))
  const keyOfRow = rowKeyOf([...places.keys()])
  const { metric } = source!.scan

  const keysOf = (ordinals: Uint32Array): RowKey[] => {
    const { length } = ordinals
    const batch = { length, columns: makers.map(make => make(ordinals, length)), selection: undefined }
    const values = evaluators.map(each => each.evaluate(batch))
    return Array.from(ordinals, (_, row) => keyOfRow(values.map(column => valueAt(column, row))))
  }
  return {
    metric,
    keyOf: keys => keyOfRow(places.map(place => keys[place] as RowKey)),
    sharing(series) {
      const keys = new Set(keysOf(Uint32Array.from(series)))
      const all = catalog.seriesOf(catalog.metric(metric)!.id)
      const found: number[] = []
      for (let from = 0; from < all.length; from += batchRows) {
        const ordinals = all.subarray(from, from + batchRows)
        keysOf(ordinals).forEach((key, i) => {
          if (keys.has(key)) found.push(ordinals[i]!)
        })
      }
      return { keys, series: Uint32Array.from(found) }
    },
  }
}
