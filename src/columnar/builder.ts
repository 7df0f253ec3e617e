/**
 * Builders: owned columns that grow, from single values or from the selected rows of other columns.
 *
 * Invariants:
 * 1. `column()` and `batch()` are views: valid until the next push, append, `clear` or `truncate`.
 * 2. A string builder fed from one dictionary keeps that dictionary and its codes; from the second one on it interns
 *    into its own. Codes handed out before that moment are codes of the first dictionary only.
 */
import {
  type Batch,
  type Column,
  type Dictionary,
  InterningDictionary,
  type Schema,
  type StringColumn,
  type ValueType,
} from './batch.ts'
import type { Scalar } from './value.ts'

type Values = Float64Array | Uint8Array | Uint32Array

/** Of columns that have no text yet. */
const noText: Dictionary = { size: 0, at: () => '' }

const newValues = (type: ValueType, capacity: number): Values =>
  type === 'string'
    ? new Uint32Array(capacity)
    : type === 'boolean'
      ? new Uint8Array(capacity)
      : new Float64Array(capacity)

/** A column over the given arrays, whatever its type. */
export function columnOf(
  type: ValueType,
  values: Values,
  valid: Uint8Array | undefined,
  dictionary: Dictionary | undefined,
): Column {
  if (type === 'string') return { type, values: values as Uint32Array, valid, dictionary: dictionary! }
  if (type === 'boolean') return { type, values: values as Uint8Array, valid }
  return { type, values: values as Float64Array, valid }
}

/** Maps codes of other dictionaries to codes of an interning one; each distinct string is looked up once. */
export class CodeTranslation {
  readonly target: InterningDictionary
  readonly #tables = new WeakMap<Dictionary, Uint32Array>()
  #source: Dictionary | undefined
  #table: Uint32Array = new Uint32Array(0)

  constructor(target: InterningDictionary) {
    this.target = target
  }

  /** Chooses the dictionary that `code` translates from. */
  from(source: Dictionary): void {
    if (source === this.#source && source.size <= this.#table.length) return
    let table = this.#tables.get(source)
    if (table === undefined || table.length < source.size) {
      const larger = new Uint32Array(Math.max(source.size, 16, 2 * (table?.length ?? 0)))
      if (table !== undefined) larger.set(table)
      table = larger
      this.#tables.set(source, table)
    }
    this.#source = source
    this.#table = table
  }

  code(sourceCode: number): number {
    const known = this.#table[sourceCode]!
    if (known !== 0) return known - 1
    const code = this.target.code(this.#source!.at(sourceCode))
    this.#table[sourceCode] = code + 1
    return code
  }
}

export class ColumnBuilder {
  readonly type: ValueType
  length = 0
  #values: Values
  #valid: Uint8Array
  #nulls = false
  /** The one dictionary rows came from so far; undefined once there are several, or none yet. */
  #adopted: Dictionary | undefined
  #interning: CodeTranslation | undefined

  constructor(type: ValueType, capacity = 64) {
    this.type = type
    this.#values = newValues(type, capacity)
    this.#valid = new Uint8Array(capacity)
  }

  /** Memory held, with its own dictionary, without one that rows came with. */
  get byteLength(): number {
    return this.#values.byteLength + this.#valid.byteLength + (this.#interning?.target.byteLength ?? 0)
  }

  push(value: Scalar): void {
    this.#reserve(1)
    const row = this.length++
    if (value === null) {
      this.#valid[row] = 0
      this.#nulls = true
      this.#values[row] = 0
      return
    }
    this.#valid[row] = 1
    this.#values[row] = typeof value === 'string' ? this.#intern().target.code(value) : Number(value)
  }

  /** Appends rows of a column of the same type: `selection`, or all of [from, to). */
  append(column: Column, from: number, to: number, selection?: Uint32Array): void {
    const count = selection === undefined ? to - from : selection.length
    this.#reserve(count)
    const at = this.length
    const { valid } = column
    const target = this.#valid
    if (valid === undefined) target.fill(1, at, at + count)
    else if (selection === undefined) {
      target.set(valid.subarray(from, to), at)
      const hole = target.indexOf(0, at)
      if (hole !== -1 && hole < at + count) this.#nulls = true
    } else {
      for (let k = 0; k < count; k++) {
        const ok = valid[selection[k]!]!
        target[at + k] = ok
        if (ok === 0) this.#nulls = true
      }
    }
    if (column.type === 'string') this.#appendCodes(column, from, count, selection)
    else this.#copy(column.values, from, count, selection)
    this.length += count
  }

  /** The first `length` rows stay. */
  truncate(length: number): void {
    this.length = length
  }

  clear(): void {
    this.length = 0
    this.#nulls = false
  }

  column(): Column {
    return columnOf(this.type, this.#values, this.#nulls ? this.#valid : undefined, this.#dictionary())
  }

  #dictionary(): Dictionary | undefined {
    if (this.type !== 'string') return undefined
    return this.#adopted ?? this.#interning?.target ?? noText
  }

  #intern(): CodeTranslation {
    if (this.#interning !== undefined) return this.#interning
    this.#interning = new CodeTranslation(new InterningDictionary())
    const adopted = this.#adopted
    this.#adopted = undefined
    if (adopted !== undefined) {
      this.#interning.from(adopted)
      for (let row = 0; row < this.length; row++)
        if (this.#valid[row] === 1) this.#values[row] = this.#interning.code(this.#values[row]!)
    }
    return this.#interning
  }

  #appendCodes(column: StringColumn, from: number, count: number, selection: Uint32Array | undefined): void {
    if (count === 0) return
    if (this.#interning === undefined && (this.#adopted === undefined || this.#adopted === column.dictionary)) {
      this.#adopted = column.dictionary
      this.#copy(column.values, from, count, selection)
      return
    }
    const translation = this.#intern()
    translation.from(column.dictionary)
    const at = this.length
    for (let k = 0; k < count; k++) {
      if (this.#valid[at + k] === 0) this.#values[at + k] = 0
      else this.#values[at + k] = translation.code(column.values[selection === undefined ? from + k : selection[k]!]!)
    }
  }

  #copy(values: Values, from: number, count: number, selection: Uint32Array | undefined): void {
    const target = this.#values
    const at = this.length
    if (selection === undefined) {
      target.set(values.subarray(from, from + count), at)
      return
    }
    if (target instanceof Float64Array && values instanceof Float64Array)
      for (let k = 0; k < count; k++) target[at + k] = values[selection[k]!]!
    else if (target instanceof Uint32Array && values instanceof Uint32Array)
      for (let k = 0; k < count; k++) target[at + k] = values[selection[k]!]!
    else for (let k = 0; k < count; k++) target[at + k] = values[selection[k]!]!
  }

  #reserve(rows: number): void {
    const needed = this.length + rows
    if (needed <= this.#valid.length) return
    const capacity = Math.max(needed, this.#valid.length * 2)
    const values = newValues(this.type, capacity)
    values.set(this.#values.subarray(0, this.length))
    this.#values = values
    const valid = new Uint8Array(capacity)
    valid.set(this.#valid.subarray(0, this.length))
    this.#valid = valid
  }
}

/** One `ColumnBuilder` per column of a schema. */
export class BatchBuilder {
  readonly columns: readonly ColumnBuilder[]
  #rows = 0

  constructor(schema: Schema, capacity = 64) {
    this.columns = schema.map(info => new ColumnBuilder(info.type, capacity))
  }

  get length(): number {
    return this.#rows
  }
  get byteLength(): number {
    let bytes = 0
    for (const column of this.columns) bytes += column.byteLength
    return bytes
  }

  push(row: readonly Scalar[]): void {
    for (let c = 0; c < this.columns.length; c++) this.columns[c]!.push(row[c]!)
    this.#rows++
  }

  /** Copies the rows of a batch that count. */
  append(batch: Batch): void {
    for (let c = 0; c < this.columns.length; c++)
      this.columns[c]!.append(batch.columns[c]!, 0, batch.length, batch.selection)
    this.#rows += batch.selection?.length ?? batch.length
  }

  /** Copies these rows of a batch, in this order. */
  gather(batch: Batch, rows: Uint32Array): void {
    for (let c = 0; c < this.columns.length; c++) this.columns[c]!.append(batch.columns[c]!, 0, 0, rows)
    this.#rows += rows.length
  }

  clear(): void {
    for (const column of this.columns) column.clear()
    this.#rows = 0
  }

  batch(): Batch {
    return { length: this.#rows, columns: this.columns.map(column => column.column()), selection: undefined }
  }
}
