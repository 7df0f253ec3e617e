/**
 * The rules of a row, for rows that are values: {series, ts, value | fields, tags} -> a settled draft.
 *
 * Invariants:
 * 1. A draft is settled: metric, series and fields are in the catalog, each value has its field's type.
 * 2. A refused row throws a `SydraError`; what can be refused without the catalog is, before the catalog changes.
 * 3. The draft is one object, filled anew by each call.
 */
import { SydraError } from '../../lib/errors.ts'
import { utf8Length } from '../../lib/text.ts'
import { canonicalTags } from '../catalog/identity.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { FieldInfo, MetricInfo } from '../types.ts'
import { LargeNumber } from './json-text.ts'
import { seriesAliasesMax, stringValueBytesMax } from './limits.ts'
import { isoTimeUs, type TimeSettings } from './timestamp.ts'

export interface Draft {
  metric: MetricInfo
  series: number
  /** NaN: the row gave none. */
  timeUs: number
  /** Present fields only, with distinct names. */
  readonly fields: FieldInfo[]
  /** A number for float, a boolean, a string: as the field's type is. */
  readonly values: (number | boolean | string)[]
}

interface Alias {
  readonly metric: MetricInfo
  readonly series: number
}

/** The special numbers that JSON can only write as strings. */
export const specialNumbers: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

export class RowRules {
  readonly #catalog: CatalogWriter
  readonly #aliases = new Map<string, Alias>()
  /** Per metric id: fields by name, as far as they were used. */
  readonly #fields: (Map<string, FieldInfo> | undefined)[] = []
  readonly #names: string[] = []
  readonly #draft: Draft = {
    metric: undefined as unknown as MetricInfo,
    series: 0,
    timeUs: Number.NaN,
    fields: [],
    values: [],
  }

  constructor(catalog: CatalogWriter) {
    this.#catalog = catalog
  }

  /** Throws what is wrong with the row. The draft is valid until the next call. */
  settle(row: unknown, times: TimeSettings): Draft {
    if (typeof row !== 'object' || row === null || Array.isArray(row) || row instanceof LargeNumber)
      throw invalid(`a row is an object, not ${kindOf(row)}`)
    const { series, ts, value, fields, tags } = row as Record<string, unknown>
    for (const key in row) if (!rowKeys.has(key) && Object.hasOwn(row, key)) throw unknownKey(key)
    if (typeof series !== 'string' || series === '')
      throw invalid(
        series === undefined
          ? '"series" is missing'
          : `"series" must be a non-empty string, not ${series === '' ? 'an empty one' : kindOf(series)}`,
      )
    const draft = this.#draft
    draft.timeUs = timeOf(ts, times)
    this.#collect(value, fields)
    const aliasKey = tagsKey(series, tags)
    const known = this.#aliases.get(aliasKey)
    const metric = known?.metric ?? this.#catalog.useMetric(series)
    this.#settleFields(metric, draft)
    draft.metric = metric
    draft.series = known?.series ?? this.#addAlias(aliasKey, metric, tags)
    if (draft.fields.length < this.#names.length) this.#addFields(metric, draft)
    return draft
  }

  /** Names and plain values of the fields that are present. */
  #collect(value: unknown, fields: unknown): void {
    const names = this.#names
    const { values } = this.#draft
    names.length = 0
    values.length = 0
    const byItself = value !== undefined && value !== null
    if (byItself) {
      values.push(plainValue('value', value))
      names.push('value')
    }
    if (fields !== undefined && fields !== null) {
      if (typeof fields !== 'object' || Array.isArray(fields) || fields instanceof LargeNumber)
        throw invalid(`"fields" must be an object, not ${kindOf(fields)}`)
      for (const name of Object.keys(fields)) {
        const field = (fields as Record<string, unknown>)[name]
        if (field === undefined || field === null) continue
        if (byItself && name === 'value') throw invalid('"value" is given twice: by itself and in "fields"')
        if (name === '') throw invalid('a field name must not be empty')
        values.push(plainValue(name, field))
        names.push(name)
      }
    }
    if (names.length === 0) throw invalid('the row has no field: give a "value", or "fields" that are not all null')
  }

  /** The fields the metric has already; refuses values of another type. Stops at the first new one. */
  #settleFields(metric: MetricInfo, draft: Draft): void {
    const names = this.#names
    const known = this.#known(metric)
    draft.fields.length = 0
    let complete = true
    for (let i = 0; i < names.length; i++) {
      const field = known.get(names[i]!)
      if (field === undefined) complete = false
      else {
        this.#checkType(metric, field, i)
        if (complete) draft.fields.push(field)
      }
    }
  }

  #addFields(metric: MetricInfo, draft: Draft): void {
    const known = this.#known(metric)
    for (let i = draft.fields.length; i < this.#names.length; i++) {
      const name = this.#names[i]!
      let field = known.get(name)
      if (field === undefined) {
        field = this.#catalog.useField(metric, name, typeName(draft.values[i]!))
        known.set(name, field)
      }
      draft.fields.push(field)
    }
  }

  #checkType(metric: MetricInfo, field: FieldInfo, index: number): void {
    const { values } = this.#draft
    const value = values[index]!
    if (typeof value === 'string') {
      if (field.type === 'string') return
      const special = field.type === 'float' ? specialNumbers.get(value) : undefined
      if (special !== undefined) {
        values[index] = special
        return
      }
    } else if (typeof value === 'number' ? field.type === 'float' : field.type === 'boolean') return
    this.#catalog.useField(metric, field.name, typeName(value)) // throws type_mismatch
    throw invalid(`field ${JSON.stringify(field.name)} of ${metric.name} is ${field.type}, not ${typeName(value)}`)
  }

  /** Fields by name; the catalog's list is looked through once and whenever it has grown. */
  #known(metric: MetricInfo): Map<string, FieldInfo> {
    const known = (this.#fields[metric.id] ??= new Map())
    const { fields } = metric
    for (let i = known.size; i < fields.length; i++) known.set(fields[i]!.name, fields[i]!)
    return known
  }

  #addAlias(key: string, metric: MetricInfo, tags: unknown): number {
    const pairs = tags === undefined || tags === null ? [] : Object.entries(tags as Record<string, string | null>)
    const series = this.#catalog.useSeries(metric, canonicalTags(pairs))
    if (this.#aliases.size >= seriesAliasesMax) this.#aliases.clear()
    this.#aliases.set(key, { metric, series })
    return series
  }
}

const rowKeys: ReadonlySet<string> = new Set(['series', 'ts', 'value', 'fields', 'tags'])
const otherNames: Readonly<Record<string, string>> = {
  time: 'ts',
  timestamp: 'ts',
  t: 'ts',
  metric: 'series',
  name: 'series',
  measurement: 'series',
  field: 'fields',
  values: 'fields',
  labels: 'tags',
  tag: 'tags',
}

function unknownKey(key: string): SydraError {
  const meant = Object.hasOwn(otherNames, key) ? otherNames[key] : undefined
  return new SydraError(
    'invalid_row',
    `unknown key ${quote(key)}: a row has "series", "ts", "value", "fields" and "tags"${meant ? `; did you mean "${meant}"?` : ''}`,
  )
}

function timeOf(ts: unknown, times: TimeSettings): number {
  if (ts === undefined || ts === null) return Number.NaN
  if (typeof ts === 'number') {
    if (Number.isSafeInteger(ts)) return times.safeInteger(ts)
    if (Number.isInteger(ts)) return times.integer(BigInt(ts))
    throw new SydraError('invalid_timestamp', `"ts" ${ts} is not an integer`)
  }
  if (typeof ts === 'string') return isoTimeUs(ts)
  if (typeof ts === 'bigint') return times.integer(ts)
  if (ts instanceof LargeNumber) {
    if (ts.isDigits) return times.integer(BigInt(ts.text))
    if (Number.isFinite(ts.value)) return times.integer(BigInt(ts.value))
    throw new SydraError('invalid_timestamp', `"ts" ${ts.text} is outside ±2^53 µs`)
  }
  if (ts instanceof Date) {
    const ms = ts.getTime()
    if (Number.isNaN(ms)) throw new SydraError('invalid_timestamp', '"ts" is an invalid Date')
    return ms * 1000
  }
  throw new SydraError('invalid_timestamp', `"ts" must be an integer or an ISO 8601 string, not ${kindOf(ts)}`)
}

/** The value as fields hold it: a number, boolean or string within the limits. Throws what is wrong with it. */
export function plainValue(name: string, value: unknown): number | boolean | string {
  if (typeof value === 'number' || typeof value === 'boolean') return value
  if (typeof value === 'string') {
    if (value.length * 3 > stringValueBytesMax && utf8Length(value) > stringValueBytesMax)
      throw invalid(`field ${quote(name)} is a string of over ${stringValueBytesMax} bytes`)
    if (!value.isWellFormed()) throw invalid(`field ${quote(name)} is a string with a lone surrogate`)
    return value
  }
  if (value instanceof LargeNumber) {
    if (value.isDigits && BigInt(value.text) !== BigInt(Math.sign(value.value)) * integerMax)
      throw new SydraError('integer_out_of_range', `field ${quote(name)}: ${clip(value.text)} is beyond ±2^53`, {
        hint: 'write it as a string, or with an exponent if a rounded number will do',
      })
    if (!Number.isFinite(value.value))
      throw invalid(`field ${quote(name)}: ${clip(value.text)} is more than a double holds`)
    return value.value
  }
  throw invalid(`field ${quote(name)} must be a number, string, boolean or null, not ${kindOf(value)}`)
}

const integerMax = 2n ** 53n

/** Metric and tags as given, as one text: lengths make it unambiguous. Refuses tags that are not strings. */
function tagsKey(series: string, tags: unknown): string {
  let key = `${series.length}:${series}`
  if (tags === undefined || tags === null) return key
  if (typeof tags !== 'object' || Array.isArray(tags) || tags instanceof LargeNumber)
    throw invalid(`"tags" must be an object, not ${kindOf(tags)}`)
  for (const name of Object.keys(tags)) {
    const value = (tags as Record<string, unknown>)[name]
    if (value === undefined || value === null || value === '') continue
    if (typeof value !== 'string') throw invalid(`tag ${quote(name)} must be a string, not ${kindOf(value)}`)
    key += `${name.length}:${name}${value.length}:${value}`
  }
  return key
}

const typeName = (value: number | boolean | string): 'float' | 'boolean' | 'string' =>
  typeof value === 'number' ? 'float' : typeof value === 'boolean' ? 'boolean' : 'string'

const invalid = (message: string): SydraError => new SydraError('invalid_row', message)
const clip = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)
const quote = (text: string): string => JSON.stringify(clip(text))

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof LargeNumber) return 'a number'
  if (typeof value === 'object') return 'an object'
  return `a ${typeof value}`
}
