/** The rules of a row as plainly as they can be said: everything by name, nothing remembered from row to row. */
import { SydraError } from '../../../src/lib/errors.ts'
import { canonicalTags } from '../../../src/storage/catalog/identity.ts'
import type { CatalogWriter } from '../../../src/storage/catalog/types.ts'
import { plainValue, specialNumbers, timeOf } from '../../../src/storage/rows/row-rules.ts'
import type { TimeSettings } from '../../../src/storage/rows/timestamp.ts'
import type { FieldInfo } from '../../../src/storage/types.ts'

type Plain = number | boolean | string

export interface SettledRow {
  readonly metric: string
  readonly series: number
  readonly timeUs: number
  readonly fields: readonly (readonly [name: string, value: Plain])[]
}

const rowKeys = ['series', 'ts', 'value', 'fields', 'tags']
const meant: Record<string, string> = { time: 'ts', metric: 'series', labels: 'tags' }

export function settleByReference(row: unknown, times: TimeSettings, catalog: CatalogWriter): SettledRow {
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw invalid(`a row is an object, not ${kind(row)}`)
  const { series: name, ts, value, fields, tags } = row as Record<string, unknown>
  for (const key of Object.keys(row))
    if (!rowKeys.includes(key))
      throw invalid(
        `unknown key ${JSON.stringify(key)}: a row has "series", "ts", "value", "fields" and "tags"` +
          (Object.hasOwn(meant, key) ? `; did you mean "${meant[key]}"?` : ''),
      )
  if (name === undefined) throw invalid('"series" is missing')
  if (typeof name !== 'string' || name === '')
    throw invalid(`"series" must be a non-empty string, not ${name === '' ? 'an empty one' : kind(name)}`)
  const timeUs = timeOf(ts, times)
  const values = collect(value, fields)
  const pairs = tagPairs(tags)
  const metric = catalog.useMetric(name)
  const known = (field: string): FieldInfo | undefined => metric.fields.find(other => other.name === field)
  // what is known is checked before anything is registered
  for (const [field, plain] of values) {
    const info = known(field)
    if (info !== undefined && !fits(info, plain)) catalog.useField(metric, field, typeName(plain))
  }
  const series = catalog.useSeries(metric, canonicalTags(pairs))
  const settled = values.map(([field, plain]): readonly [string, Plain] => {
    const info = known(field) ?? catalog.useField(metric, field, typeName(plain))
    return [field, info.type === 'float' && typeof plain === 'string' ? specialNumbers.get(plain)! : plain]
  })
  return { metric: name, series, timeUs, fields: settled }
}

function collect(value: unknown, fields: unknown): [string, Plain][] {
  const values: [string, Plain][] = []
  if (value !== undefined && value !== null) values.push(['value', plainValue('value', value)])
  const byItself = values.length > 0
  if (fields !== undefined && fields !== null) {
    if (typeof fields !== 'object' || Array.isArray(fields))
      throw invalid(`"fields" must be an object, not ${kind(fields)}`)
    for (const name of Object.keys(fields)) {
      const field = (fields as Record<string, unknown>)[name]
      if (field === undefined || field === null) continue
      if (byItself && name === 'value') throw invalid('"value" is given twice: by itself and in "fields"')
      if (name === '') throw invalid('a field name must not be empty')
      values.push([name, plainValue(name, field)])
    }
  }
  if (values.length === 0) throw invalid('the row has no field: give a "value", or "fields" that are not all null')
  return values
}

function tagPairs(tags: unknown): [string, string][] {
  if (tags === undefined || tags === null) return []
  if (typeof tags !== 'object' || Array.isArray(tags)) throw invalid(`"tags" must be an object, not ${kind(tags)}`)
  const pairs: [string, string][] = []
  for (const name of Object.keys(tags)) {
    const value = (tags as Record<string, unknown>)[name]
    if (value === undefined || value === null || value === '') continue
    if (typeof value !== 'string') throw invalid(`tag ${JSON.stringify(name)} must be a string, not ${kind(value)}`)
    pairs.push([name, value])
  }
  return pairs
}

const fits = ({ type }: FieldInfo, value: Plain): boolean =>
  type === typeName(value) || (type === 'float' && typeof value === 'string' && specialNumbers.has(value))
const typeName = (value: Plain): 'float' | 'boolean' | 'string' =>
  typeof value === 'number' ? 'float' : typeof value === 'boolean' ? 'boolean' : 'string'
const invalid = (message: string): SydraError => new SydraError('invalid_row', message)
const kind = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`
