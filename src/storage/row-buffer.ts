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
import { type ArrayMemory, ownArrays } from '../columnar/arena.ts'
import { type Column, InterningDictionary } from '../columnar/batch.ts'
import type { FieldInfo } from './types.ts'

type Values = Float64Array | Uint8Array | Uint32Array

export interface FieldBuffer {
  readonly field: FieldInfo
  /** float, integer: Float64Array; boolean: Uint8Array; string: Uint32Array. */
  values: Values
  valid: Uint8Array
  nulls: boolean
  readonly dictionary: InterningDictionary | undefined
}

export class RowBuffer {
  length = 0
  series: Uint32Array
  timeUs: Float64Array
  readonly fields: readonly FieldBuffer[]

  readonly #memory: ArrayMemory

  /** `like`: has the same fields; its strings' codes are the new one's, too. */
  constructor(fields: readonly FieldInfo[], capacity = 1024, like?: RowBuffer, memory: ArrayMemory = ownArrays) {
    this.#memory = memory
    this.series = memory.uint32(capacity)
    this.timeUs = memory.float64(capacity)
    this.fields = fields.map((field, index) => ({
      field,
      values: newValues(field, capacity, memory),
      valid: memory.uint8(capacity),
      nulls: false,
      dictionary: field.type === 'string' ? (like?.fields[index]?.dictionary ?? new InterningDictionary()) : undefined,
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
    const memory = this.#memory
    const grown = <A extends Values>(from: A, to: A): A => {
      to.set(from.subarray(0, this.length) as never)
      memory.giveBack?.(from)
      return to
    }
    this.series = grown(this.series, memory.uint32(capacity))
    this.timeUs = grown(this.timeUs, memory.float64(capacity))
    for (const buffer of this.fields) {
      buffer.values = grown(buffer.values, newValues(buffer.field, capacity, memory))
      buffer.valid = grown(buffer.valid, memory.uint8(capacity))
    }
  }

  /** Forgets the rows, keeps the arrays and dictionaries. */
  clear(): void {
    this.length = 0
    for (const buffer of this.fields) buffer.nulls = false
  }

  get byteLength(): number {
    let rowBytes = this.series.BYTES_PER_ELEMENT + this.timeUs.BYTES_PER_ELEMENT
    for (const { values } of this.fields) rowBytes += values.BYTES_PER_ELEMENT + 1
    return this.capacity * rowBytes
  }

  /** Forgets the rows from `from` on that are not among these, which ascend and are counted from there. */
  keep(rows: Uint32Array, from = 0): void {
    let runs = 0
    for (let i = 0; i < rows.length; i++) if (i === 0 || rows[i] !== rows[i - 1]! + 1) runs++
    const move = rows.length >= movedRunRowsMin * runs ? moveRuns : moveRows
    for (const column of this.#columns()) move(column.subarray(from), rows)
    this.length = from + rows.length
  }

  /** Appends rows [from, to) of a buffer of the same fields and dictionaries. */
  append(rows: RowBuffer, from: number, to: number): void {
    this.reserve(to - from)
    const at = this.length
    this.series.set(rows.series.subarray(from, to), at)
    this.timeUs.set(rows.timeUs.subarray(from, to), at)
    for (let i = 0; i < this.fields.length; i++) {
      const field = this.fields[i]!
      const { values, valid, nulls } = rows.fields[i]!
      field.values.set(values.subarray(from, to) as never, at)
      if (nulls) field.valid.set(valid.subarray(from, to), at)
      else field.valid.fill(1, at, at + to - from)
      if (nulls) field.nulls = true
    }
    this.length += to - from
  }

  /** Forgets the first rows; those that follow take their places. */
  dropFirst(rows: number): void {
    const end = this.length
    if (rows < end) for (const column of this.#columns()) column.copyWithin(0, rows, end)
    this.length = end - rows
  }

  /** Those that a row has a place of its own in: without nulls all validity is the same. */
  #columns(): Values[] {
    const fields = this.fields.flatMap(({ values, valid, nulls }): Values[] => (nulls ? [values, valid] : [values]))
    return [this.series, this.timeUs, ...fields]
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

/** Runs of rows that follow one another are moved as such from so many rows a run on, on average. */
const movedRunRowsMin = 8

function moveRows(column: Values, rows: Uint32Array): void {
  for (let i = 0; i < rows.length; i++) column[i] = column[rows[i]!]!
}

function moveRuns(column: Values, rows: Uint32Array): void {
  for (let at = 0; at < rows.length; ) {
    const first = rows[at]!
    let end = at + 1
    while (end < rows.length && rows[end] === first + end - at) end++
    if (first !== at) column.copyWithin(at, first, first + end - at)
    at = end
  }
}

function newValues({ type }: FieldInfo, capacity: number, memory: ArrayMemory): Values {
  // Nulls have a code, too.
  if (type === 'string') return memory.uint32(capacity).fill(0)
  return type === 'boolean' ? memory.uint8(capacity) : memory.float64(capacity)
}
