/**
 * The rules of a row, for rows that are values: {series, ts, value | fields, tags} -> a settled draft.
 *
 *   fields ─ shape (shapes.ts) ─────────> fields and values       names seen before in this order, values of their types
 *          └ by name, then the catalog ─┘
 *   tags ─── series-lookup.ts ──────────> series                  the same metric and tags seen before
 *          └ the catalog ───────────────┘
 *
 * Invariants:
 * 1. A draft is settled: metric, series and fields are in the catalog, each value has its field's type.
 * 2. A refused row throws a `SydraError`; what can be refused without the catalog is, before the catalog changes.
 * 3. The draft is one object, filled anew by each call.
 * 4. Each property of a row is read once: a getter may answer otherwise the second time.
 */
import { SydraError } from '../../lib/errors.ts'
import { utf8Length } from '../../lib/text.ts'
import { canonicalTags } from '../catalog/identity.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { FieldInfo, MetricInfo } from '../types.ts'
import { LargeNumber } from './json-text.ts'
import { stringValueBytesMax } from './limits.ts'
import { SeriesLookup } from './series-lookup.ts'
import { type Shape, Shapes, stepTo } from './shapes.ts'
import { isoTimeUs, type TimeSettings } from './timestamp.ts'

export interface Draft {
  metric: MetricInfo
  series: number
  /** NaN: the row gave none. */
  timeUs: number
  /** Present fields only, with distinct names. Whoever has the list may know by it which they are: it never changes. */
  fields: readonly FieldInfo[]
  /** One a field — a number for float, a boolean, a string: as its type is —, and more that mean nothing. */
  values: ArrayLike<number | boolean | string>
}

/** The special numbers that JSON can only write as strings. */
export const specialNumbers: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

/** With `for in` the own names alone, at the price of `for in`: V8 knows this call there, and it makes no array. */
const hasOwn = Object.prototype.hasOwnProperty

export class RowRules {
  readonly #catalog: CatalogWriter
  readonly #lookup = new SeriesLookup()
  readonly #shapes = new Shapes()
  /** Per metric id: fields by name, as far as they were used. */
  readonly #fields: (Map<string, FieldInfo> | undefined)[] = []
  /** The first `#count` are those of the fields present. */
  readonly #names: string[] = []
  /** Their values while all are numbers, without an object for each; then `#mixed` has them. */
  readonly #numbers = new Float64Array(64)
  readonly #mixed: (number | boolean | string)[] = []
  #count = 0
  #isMixed = false
  /** Where the names led; undefined when they, or types of values, are new. */
  #shape: Shape | undefined
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
    for (const key in row) if (!isRowKey(key) && Object.hasOwn(row, key)) throw unknownKey(key)
    if (typeof series !== 'string' || series === '')
      throw invalid(
        series === undefined
          ? '"series" is missing'
          : `"series" must be a non-empty string, not ${series === '' ? 'an empty one' : kindOf(series)}`,
      )
    const draft = this.#draft
    draft.timeUs = timeOf(ts, times)
    this.#collect(series, value, fields)
    this.#collectTags(series, tags)
    draft.values = this.#isMixed ? this.#mixed : this.#numbers
    const known = this.#lookup.find()
    const shapeFields = this.#shape?.fields
    if (known !== undefined && shapeFields !== undefined) {
      draft.metric = known.metric
      draft.series = known.series
      draft.fields = shapeFields
      return draft
    }
    const metric = known?.metric ?? this.#catalog.useMetric(series)
    const settled = this.#settleFields(metric)
    draft.metric = metric
    draft.series = known?.series ?? this.#addSeries(metric)
    if (settled.length < this.#count) this.#addFields(metric, settled)
    draft.fields = this.#shapes.learn(series, settled)
    return draft
  }

  /** Names and plain values of the fields that are present. */
  #collect(series: string, value: unknown, fields: unknown): void {
    this.#count = 0
    this.#isMixed = false
    this.#shape = this.#shapes.of(series)
    const byItself = value !== undefined && value !== null
    if (byItself) this.#take('value', plainValue('value', value))
    if (fields !== undefined && fields !== null) {
      if (typeof fields !== 'object' || Array.isArray(fields) || fields instanceof LargeNumber)
        throw invalid(`"fields" must be an object, not ${kindOf(fields)}`)
      this.#collectFields(fields as Record<string, unknown>, byItself)
    }
    if (this.#count === 0) throw invalid('the row has no field: give a "value", or "fields" that are not all null')
  }

  #collectFields(fields: Record<string, unknown>, byItself: boolean): void {
    const names = this.#names
    const numbers = this.#numbers
    let count = this.#count
    let shape = this.#isMixed ? undefined : this.#shape
    for (const name in fields) {
      if (!hasOwn.call(fields, name)) continue
      const field = fields[name]
      if (shape !== undefined && typeof field === 'number' && count < numbers.length) {
        // what most fields are: a number, and one that other rows had here, too
        const next = stepTo(shape, name)
        if (next?.type === 'float') {
          names[count] = name
          numbers[count++] = field
          shape = next
          continue
        }
      }
      if (field === undefined || field === null) continue
      if (byItself && name === 'value') throw invalid('"value" is given twice: by itself and in "fields"')
      if (name === '') throw invalid('a field name must not be empty')
      if (shape !== undefined) this.#shape = shape
      this.#count = count
      this.#take(name, plainValue(name, field))
      count = this.#count
      shape = this.#isMixed ? undefined : this.#shape
    }
    if (shape !== undefined) this.#shape = shape
    this.#count = count
  }

  #take(name: string, value: number | boolean | string): void {
    if (!this.#isMixed && (typeof value !== 'number' || this.#count === this.#numbers.length)) this.#beginMixed()
    const at = this.#count++
    this.#names[at] = name
    if (this.#isMixed) this.#mixed[at] = value
    else this.#numbers[at] = value as number
    let shape = this.#shape
    if (shape === undefined) return
    shape = stepTo(shape, name)
    this.#shape = shape?.type === typeName(value) ? shape : undefined
  }

  #beginMixed(): void {
    for (let i = 0; i < this.#count; i++) this.#mixed[i] = this.#numbers[i]!
    this.#isMixed = true
  }

  /** The fields the metric has already, up to the first new one; refuses values of another type. */
  #settleFields(metric: MetricInfo): FieldInfo[] {
    const names = this.#names
    const known = this.#known(metric)
    const settled: FieldInfo[] = []
    let complete = true
    for (let i = 0; i < this.#count; i++) {
      const field = known.get(names[i]!)
      if (field === undefined) complete = false
      else {
        this.#checkType(metric, field, i)
        if (complete) settled.push(field)
      }
    }
    return settled
  }

  #addFields(metric: MetricInfo, settled: FieldInfo[]): void {
    const known = this.#known(metric)
    const { values } = this.#draft
    for (let i = settled.length; i < this.#count; i++) {
      const name = this.#names[i]!
      let field = known.get(name)
      if (field === undefined) {
        field = this.#catalog.useField(metric, name, typeName(values[i]!))
        known.set(name, field)
      }
      settled.push(field)
    }
  }

  #checkType(metric: MetricInfo, field: FieldInfo, index: number): void {
    const value = this.#draft.values[index]!
    if (typeof value === 'string') {
      if (field.type === 'string') return
      const special = field.type === 'float' ? specialNumbers.get(value) : undefined
      if (special !== undefined) {
        this.#mixed[index] = special
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

  /** Metric and tags as given, as texts to look up. Refuses tags that are not strings. */
  #collectTags(series: string, tags: unknown): void {
    const lookup = this.#lookup
    const { texts } = lookup
    texts[0] = series
    lookup.count = 1
    if (tags === undefined || tags === null) return
    if (typeof tags !== 'object' || Array.isArray(tags) || tags instanceof LargeNumber)
      throw invalid(`"tags" must be an object, not ${kindOf(tags)}`)
    lookup.count = collectTexts(tags as Record<string, unknown>, texts)
  }

  /** The series of a metric with these tags, found or registered. Throws what is wrong with them. */
  useSeries(metric: MetricInfo, tags: unknown): number {
    this.#collectTags(metric.name, tags)
    return this.#lookup.find()?.series ?? this.#addSeries(metric)
  }

  #addSeries(metric: MetricInfo): number {
    const { texts, count } = this.#lookup
    const pairs: [string, string][] = []
    for (let i = 1; i < count; i += 2) pairs.push([texts[i]!, texts[i + 1]!])
    const series = this.#catalog.useSeries(metric, canonicalTags(pairs))
    this.#lookup.add({ metric, series })
    return series
  }
}

/** Writes name and value of each tag behind the first text; how many texts there are then. */
function collectTexts(tags: Record<string, unknown>, texts: string[]): number {
  let count = 1
  for (const name in tags) {
    if (!hasOwn.call(tags, name)) continue
    const value = tags[name]
    if (value === undefined || value === null || value === '') continue
    if (typeof value !== 'string') throw invalid(`tag ${quote(name)} must be a string, not ${kindOf(value)}`)
    texts[count++] = name
    texts[count++] = value
  }
  return count
}

const isRowKey = (key: string): boolean =>
  key === 'series' || key === 'ts' || key === 'value' || key === 'fields' || key === 'tags'

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

/** µs of a row's `ts`; NaN when there is none. Throws `invalid_timestamp`. */
export function timeOf(ts: unknown, times: TimeSettings): number {
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
