/**
 * RowBuffer: growing columns for rows of one metric, into which pieces decode and which sorting rearranges in place.
 *
 *   series  Uint32Array   catalog ordinals
 *   timeUs  Float64Array  µs since the epoch
 *   fields  one per requested field: values, one validity byte a row, a dictionary for strings
 *
 * Invariants:
 * 1. Rows [0, length) are written; arrays are `capacity` long. `reserve` may replace the arrays: take them after it.
 * 2. `valid` is always there; `nulls` is true once any row of the field is null (it may stay true after `clear`d rows).
 * 3. String codes are codes of this buffer's own dictionary, which interns and lives as long as the buffer.
 */
import { type Column, InterningDictionary } from '../columnar/batch.ts'
import type { FieldInfo } from './types.ts'

export interface FieldBuffer {
  readonly field: FieldInfo
  /** float, integer: Float64Array; boolean: Uint8Array; string: Uint32Array. */
  values: Float64Array | Uint8Array | Uint32Array
  valid: Uint8Array
  nulls: boolean
  readonly dictionary: InterningDictionary | undefined
}

export class RowBuffer {
  length = 0
  series: Uint32Array
  timeUs: Float64Array
  readonly fields: readonly FieldBuffer[]

  constructor(fields: readonly FieldInfo[], capacity = 1024) {
    this.series = new Uint32Array(capacity)
    this.timeUs = new Float64Array(capacity)
    this.fields = fields.map(field => ({
      field,
      values: newValues(field, capacity),
      valid: new Uint8Array(capacity),
      nulls: false,
      dictionary: field.type === 'string' ? new InterningDictionary() : undefined,
    }))
  }

  get capacity(): number {
    return this.timeUs.length
  }

  /** Makes room for `rows` more; the contents stay. */
  reserve(rows: number): void {
    const needed = this.length + rows
    if (needed <= this.capacity) return
    const capacity = Math.max(needed, this.capacity * 2)
    this.series = grown(this.series, new Uint32Array(capacity), this.length)
    this.timeUs = grown(this.timeUs, new Float64Array(capacity), this.length)
    for (const buffer of this.fields) {
      buffer.values = grown(buffer.values, newValues(buffer.field, capacity), this.length)
      buffer.valid = grown(buffer.valid, new Uint8Array(capacity), this.length)
    }
  }

  /** Forgets the rows, keeps the arrays and dictionaries. */
  clear(): void {
    this.length = 0
    for (const buffer of this.fields) buffer.nulls = false
  }

  /** Forgets the first rows; those that follow take their places. */
  dropFirst(rows: number): void {
    const end = this.length
    for (const column of [this.series, this.timeUs, ...this.fields.flatMap(({ values, valid }) => [values, valid])])
      column.copyWithin(0, rows, end)
    this.length = end - rows
  }

  /** The field as a column over this buffer's arrays: borrowed until the buffer changes. */
  column(index: number): Column {
    const { field, values, valid, nulls, dictionary } = this.fields[index]!
    const mask = nulls ? valid : undefined
    if (field.type === 'string')
      return { type: 'string', values: values as Uint32Array, valid: mask, dictionary: dictionary! }
    if (field.type === 'boolean') return { type: 'boolean', values: values as Uint8Array, valid: mask }
    return { type: field.type, values: values as Float64Array, valid: mask }
  }
}

function newValues(field: FieldInfo, capacity: number): Float64Array | Uint8Array | Uint32Array {
  if (field.type === 'string') return new Uint32Array(capacity)
  if (field.type === 'boolean') return new Uint8Array(capacity)
  return new Float64Array(capacity)
}

function grown<A extends Float64Array | Uint8Array | Uint32Array>(from: A, to: A, length: number): A {
  to.set(from.subarray(0, length) as never)
  return to
}
