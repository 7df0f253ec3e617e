/**
 * Series as columns, and which of them a scan reads.
 *
 *   ordinals  ->  `series` `series_id` `tag.<key>` columns: dictionary codes straight from the catalog
 *   predicate ->  SeriesSet: by inverted index where tags are compared with constants, else evaluated once per series
 */
import type { Column, Schema } from '../../columnar/batch.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { CatalogReader, TagColumn } from '../../storage/catalog/types.ts'
import type { MetricInfo, SeriesSet } from '../../storage/types.ts'
import type { Expr } from '../../sydraql/expression.ts'
import { collectColumns, conjuncts } from '../../sydraql/rewrite.ts'
import { reusableBytes, reusableCodes } from '../functions/evaluator.ts'
import { compilePredicate } from '../predicate.ts'

const tagPrefix = 'tag.'

/** Below this many rows a loop beats a call of `fill`. */
const shortRun = 16

/** Whether a column of a scan depends on the series alone. */
export const isSeriesColumn = (name: string): boolean =>
  name === 'series' || name === 'series_id' || name.startsWith(tagPrefix)

/** Makes the column of this name from the ordinals of its rows; it is overwritten by the next call. */
export type SeriesColumn = (ordinals: Uint32Array, length: number) => Column

export function seriesColumn(name: string, catalog: CatalogReader): SeriesColumn {
  if (name === 'series' || name === 'series_id') {
    const dictionary = name === 'series' ? catalog.printed : catalog.ids
    return ordinals => ({ type: 'string', values: ordinals, valid: undefined, dictionary })
  }
  assert(name.startsWith(tagPrefix), `${name} is a column of series`)
  const key = name.slice(tagPrefix.length)
  const codes = reusableCodes()
  const masks = reusableBytes()
  const known = new RememberedCodes()
  return (ordinals, length) => {
    const values = codes(length)
    const valid = masks(length)
    const tag = catalog.tag(key)
    if (tag === undefined) {
      valid.fill(0, 0, length)
      return { type: 'string', values, valid, dictionary: catalog.printed }
    }
    let nulls = 0
    for (let from = 0; from < length; ) {
      const series = ordinals[from]!
      let to = from + 1
      while (to < length && ordinals[to] === series) to++
      if (to - from < shortRun) {
        to = known.fill(ordinals, from, length, values)
        if (to > from) {
          from = to
          continue
        }
        to = from + 1
      }
      const code = known.code(tag, series)
      if (code < 0) {
        if (nulls === 0) valid.fill(1, 0, length)
        nulls += to - from
        for (let row = from; row < to; row++) valid[row] = 0
      } else values.fill(code, from, to)
      from = to
    }
    return { type: 'string', values, valid: nulls === 0 ? undefined : valid, dictionary: tag.dictionary }
  }
}

/** Series whose codes are remembered, each in the one place that it may have. */
const rememberedMax = 4096
const rememberedFrom = 1024

/** In order of time every row is of another series, but they come again and again. */
class RememberedCodes {
  /** Ordinal + 1 of the series that has the place; 0: none. */
  #series = new Uint32Array(0)
  #codes = new Uint32Array(0)
  #asked = 0

  /** -1: the series has no such tag. */
  code(tag: TagColumn, ordinal: number): number {
    const code = tag.code(ordinal)
    // Room for them costs more than a few are worth.
    if (this.#asked < rememberedFrom) {
      this.#asked++
      return code
    }
    if (this.#series.length === 0) {
      this.#series = new Uint32Array(rememberedMax)
      this.#codes = new Uint32Array(rememberedMax)
    }
    if (code >= 0) {
      const place = ordinal & (rememberedMax - 1)
      this.#series[place] = ordinal + 1
      this.#codes[place] = code
    }
    return code
  }

  /** Writes the codes of rows from `from` on, up to the first of a series that is not known; returns that row. */
  fill(ordinals: Uint32Array, from: number, to: number, values: Uint32Array): number {
    const series = this.#series
    const codes = this.#codes
    if (series.length === 0) return from
    for (let row = from; row < to; row++) {
      const ordinal = ordinals[row]!
      const place = ordinal & (rememberedMax - 1)
      if (series[place] !== ordinal + 1) return row
      values[row] = codes[place]!
    }
    return to
  }
}

/** A set of ordinals as a bitmap. `ordinals` ascend. */
export function seriesSet(ordinals: Uint32Array): SeriesSet {
  const first = ordinals[0] ?? 0
  const last = ordinals.at(-1) ?? 0
  const bits = new Uint32Array(ordinals.length === 0 ? 0 : ((last - first) >>> 5) + 1)
  for (const ordinal of ordinals) bits[(ordinal - first) >>> 5]! |= 1 << ((ordinal - first) & 31)
  return {
    ordinals,
    has: ordinal =>
      ordinal >= first && ordinal <= last && (bits[(ordinal - first) >>> 5]! & (1 << ((ordinal - first) & 31))) !== 0,
  }
}

/** The series of the metric that the predicate is true for; undefined when nothing restricts them. */
export function selectSeries(
  metric: MetricInfo,
  ids: readonly string[] | undefined,
  predicate: Expr | undefined,
  catalog: CatalogReader,
  kernels: Kernels,
): SeriesSet | undefined {
  if (ids === undefined && predicate === undefined) return undefined
  let chosen = ids === undefined ? undefined : seriesByIds(metric, ids, catalog)
  const evaluated: Expr[] = []
  for (const part of predicate === undefined ? [] : conjuncts(predicate)) {
    const listed = byIndex(metric, part, catalog)
    if (listed === undefined) evaluated.push(part)
    else chosen = chosen === undefined ? listed : intersection(chosen, listed)
  }
  chosen ??= catalog.seriesOf(metric.id)
  for (const part of evaluated) chosen = seriesTest(part, catalog, kernels)(chosen)
  return seriesSet(chosen)
}

function seriesByIds(metric: MetricInfo, ids: readonly string[], catalog: CatalogReader): Uint32Array {
  const found = new Set<number>()
  for (const id of ids) {
    const ordinal = catalog.seriesById(id)
    if (ordinal !== undefined && catalog.metricOf(ordinal).id === metric.id) found.add(ordinal)
  }
  return Uint32Array.from(found).sort()
}

/** `tag.k = 'v'` and `tag.k in ('v', …)` from the inverted index. */
function byIndex(metric: MetricInfo, part: Expr, catalog: CatalogReader): Uint32Array | undefined {
  if (part.kind !== 'call' || (part.name !== 'eq' && part.name !== 'in')) return undefined
  const operands = part.name === 'eq' && part.args[0]!.kind === 'literal' ? [...part.args].reverse() : part.args
  const [column, ...values] = operands
  if (column!.kind !== 'column' || !column!.name.startsWith(tagPrefix)) return undefined
  const key = column!.name.slice(tagPrefix.length)
  const lists: Uint32Array[] = []
  for (const value of values) {
    if (value.kind !== 'literal') return undefined
    if (typeof value.value === 'string') lists.push(catalog.seriesWithTag(metric.id, key, value.value))
  }
  return lists.length === 1 ? lists[0]! : union(lists)
}

function union(lists: readonly Uint32Array[]): Uint32Array {
  const all = new Set<number>()
  for (const list of lists) for (const ordinal of list) all.add(ordinal)
  return Uint32Array.from(all).sort()
}

function intersection(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(Math.min(a.length, b.length))
  let length = 0
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i]! < b[j]!) i++
    else if (a[i]! > b[j]!) j++
    else {
      out[length++] = a[i]!
      i++
      j++
    }
  }
  return out.subarray(0, length)
}

/** Rows evaluated at once. */
const seriesBatchRows = 8192

/** Of the series given, those that the predicate is true for, in an array of their own. */
export function seriesTest(
  predicate: Expr,
  catalog: CatalogReader,
  kernels: Kernels,
): (ordinals: Uint32Array) => Uint32Array {
  const read = new Set<string>()
  collectColumns(predicate, read)
  const names = [...read]
  const schema: Schema = names.map(name => ({ name, type: 'string', nullable: true }))
  const columns = names.map(name => seriesColumn(name, catalog))
  const isTrue = compilePredicate(predicate, schema, kernels)
  return ordinals => {
    const out = new Uint32Array(ordinals.length)
    let length = 0
    for (let from = 0; from < ordinals.length; from += seriesBatchRows) {
      const rows = ordinals.subarray(from, from + seriesBatchRows)
      const batch = {
        length: rows.length,
        columns: columns.map(column => column(rows, rows.length)),
        selection: undefined,
      }
      const selection = isTrue(batch)
      if (selection === undefined) {
        out.set(rows, length)
        length += rows.length
      } else for (const row of selection) out[length++] = rows[row]!
    }
    return out.subarray(0, length)
  }
}
