/**
 * Rows of an `insert` as one row batch: all of one series, with typed values.
 *
 * Invariants:
 * 1. Values are checked before the catalog is touched: a refused statement adds no field, and none of its rows.
 * 2. The rules are those of rows from anywhere else; integers are those that were written so.
 */
import { SydraError } from '../../lib/errors.ts'
import { canonicalTags } from '../catalog/identity.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { FieldInfo, FieldRows, FieldType, MetricInfo, RowBatch } from '../types.ts'
import { plainValue, specialNumbers } from './row-rules.ts'

export interface InsertRows {
  readonly metric: string
  readonly tags: Readonly<Record<string, string>>
  /** At least one. */
  readonly rows: readonly {
    readonly timeUs: number
    /** Present fields only. */
    readonly fields: Readonly<Record<string, InsertedValue>>
  }[]
}
export interface InsertedValue {
  readonly type: FieldType
  readonly value: number | boolean | string
}

/** Column memory one `insert` may take: it is one commit. */
export const insertBytesMax = 16 * 2 ** 20

/** A field's values by row; `undefined` where it is missing. */
interface Column {
  readonly name: string
  readonly type: FieldType
  readonly values: (number | boolean | string | undefined)[]
}

/**
 * Throws `type_mismatch`, `invalid_row`, `invalid_timestamp`, `integer_out_of_range`, `too_many_tags`, `too_many_fields`,
 * `too_many_series`, `series_id_collision`, and `body_too_large` beyond `insertBytesMax`.
 */
export function settleInsert({ metric: name, tags, rows }: InsertRows, catalog: CatalogWriter): RowBatch {
  const known = catalog.metric(name)
  const columns = columnsOf(name, rows, known)
  for (const { timeUs } of rows)
    if (!Number.isSafeInteger(timeUs)) throw new SydraError('invalid_timestamp', `time ${timeUs} is outside ±2^53 µs`)
  const byteLength = bytesOf(columns, rows.length)
  if (byteLength > insertBytesMax)
    throw new SydraError('body_too_large', `an insert takes at most ${insertBytesMax} bytes, this one ${byteLength}`, {
      hint: 'use several statements, or ingest the rows',
    })
  const metric = known ?? catalog.useMetric(name)
  const series = catalog.useSeries(metric, canonicalTags(Object.entries(tags)))
  const fields = columns.map(column => fieldRows(catalog.useField(metric, column.name, column.type), column.values))
  const settled = {
    metric,
    length: rows.length,
    series: new Uint32Array(rows.length).fill(series),
    timeUs: Float64Array.from(rows, ({ timeUs }) => timeUs),
    fields: fields.sort((a, b) => a.field.id - b.field.id),
  }
  return { metrics: [settled], rowCount: rows.length, byteLength }
}

function columnsOf(metric: string, rows: InsertRows['rows'], known: MetricInfo | undefined): Column[] {
  const columns = new Map<string, Column>()
  for (const [row, { fields }] of rows.entries()) {
    const entries = Object.entries(fields)
    if (entries.length === 0)
      throw new SydraError('invalid_row', `row ${row + 1} has no value: give at least one that is not null`)
    for (const [name, given] of entries) {
      let column = columns.get(name)
      if (column === undefined) {
        const type = known?.fields.find(field => field.name === name)?.type ?? given.type
        columns.set(name, (column = { name, type, values: new Array(rows.length) }))
      }
      column.values[row] = settleValue(metric, column, given)
    }
  }
  return [...columns.values()]
}

function settleValue(metric: string, { name, type }: Column, given: InsertedValue): number | boolean | string {
  const value = plainValue(name, given.value)
  if (given.type === 'integer' && !(Math.abs(Number(value)) <= 2 ** 53))
    throw new SydraError('integer_out_of_range', `field ${JSON.stringify(name)}: ${value} is beyond ±2^53`)
  if (given.type === type || (type === 'float' && given.type === 'integer')) return value
  const special = type === 'float' ? specialNumbers.get(String(value)) : undefined
  if (special !== undefined && given.type === 'string') return special
  throw new SydraError(
    'type_mismatch',
    `field ${JSON.stringify(name)} of metric ${JSON.stringify(metric)} is of type ${type}, ` +
      `the value is of type ${given.type}`,
  )
}

function fieldRows(field: FieldInfo, column: Column['values']): FieldRows {
  const length = column.length
  const isFull = !column.includes(undefined)
  const valid = isFull ? undefined : Uint8Array.from(column, value => (value === undefined ? 0 : 1))
  if (field.type === 'string') {
    const codes = new Map<string, number>()
    const values = new Uint32Array(length)
    for (const [row, value] of column.entries()) {
      if (value === undefined) continue
      const text = String(value)
      if (!codes.has(text)) codes.set(text, codes.size)
      values[row] = codes.get(text)!
    }
    return { field, values, valid, strings: [...codes.keys()] }
  }
  const numbers = column.map(value => Number(value ?? 0))
  const values = field.type === 'boolean' ? Uint8Array.from(numbers) : Float64Array.from(numbers)
  return { field, values, valid, strings: undefined }
}

/** Series and time of a row, and a value with its validity. */
const rowBytes = 12
const valueBytes = 9

function bytesOf(columns: readonly Column[], rows: number): number {
  let bytes = rows * (rowBytes + valueBytes * columns.length)
  for (const { values } of columns) for (const value of values) if (typeof value === 'string') bytes += value.length * 2
  return bytes
}
