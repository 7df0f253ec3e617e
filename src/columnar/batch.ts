/**
 * Batch: the unit in which rows move between operators — columns in typed arrays, never row objects.
 *
 *   schema   [time: timestamp] [tag.host: string] [value: float]
 *   columns  Float64Array      codes + dictionary  Float64Array          (each `length` long)
 *   valid    undefined = no nulls, else one byte a row: 1 valid, 0 null
 *   selection undefined = all rows, else the ascending indexes of the rows that count
 *
 * Invariants:
 * 1. A batch is borrowed: it is valid until the consumer pulls the next one from the same operator.
 * 2. The value under a null is unspecified and never read.
 * 3. A dictionary only grows while a query runs; a code means the same string for ever. Two codes of one dictionary
 *    may name equal strings: compare text, or intern, never codes of different dictionaries.
 */

/** `timestamp` is µs since the epoch (UTC), `duration` µs; both exact in a double, as is `integer` (±2^53). */
export type ValueType = 'float' | 'integer' | 'boolean' | 'string' | 'timestamp' | 'duration'

/** The texts of a column by code, from 0. */
export interface Dictionary {
  readonly size: number
  at(code: number): string
}

/** Numbers, a row each; `valid`: 1 where there is one, 0 for null, undefined when no row is null. */
export interface NumberColumn {
  readonly type: 'float' | 'integer' | 'timestamp' | 'duration'
  readonly values: Float64Array
  readonly valid: Uint8Array | undefined
}
/** Booleans, a row each; `valid`: 1 where there is one, 0 for null, undefined when no row is null. */
export interface BooleanColumn {
  readonly type: 'boolean'
  /** 1 true, 0 false. */
  readonly values: Uint8Array
  readonly valid: Uint8Array | undefined
}
/** Texts, a row each, which stand in a dictionary; `valid`: 1 where there is one, 0 for null, undefined when no row is null. */
export interface StringColumn {
  readonly type: 'string'
  /** Codes into the dictionary. */
  readonly values: Uint32Array
  readonly dictionary: Dictionary
  readonly valid: Uint8Array | undefined
}
/** Values of one column, in typed arrays; what stands under a null is unspecified. */
export type Column = NumberColumn | BooleanColumn | StringColumn

/** A column of a result. */
export interface ColumnInfo {
  /** As rows as objects have it: `value`, `tag.host`, or its alias. */
  readonly name: string
  readonly type: ValueType
  readonly nullable: boolean
}
/** The columns of a result, in their order. */
export type Schema = readonly ColumnInfo[]

/** Index of the column with this name, -1 when there is none. */
export const columnIndex = (schema: Schema, name: string): number => schema.findIndex(info => info.name === name)

/**
 * Rows as columns: some thousand at a time.
 *
 * @example
 * const rowAt = (i: number) => batch.selection?.[i] ?? i // of the i-th row that counts
 */
export interface Batch {
  /** Physical rows in each column; columns may be longer, never shorter. */
  readonly length: number
  readonly columns: readonly Column[]
  /** Ascending row indexes that count; its length is exact. */
  readonly selection: Uint32Array | undefined
  /** Later batches of the same stream hold no row with a `time` before this; unset where nothing is known. */
  readonly watermarkUs?: number | undefined
}

export const rowCount = (batch: Batch): number => batch.selection?.length ?? batch.length

/** A dictionary over an array of strings. */
export class ArrayDictionary implements Dictionary {
  readonly strings: string[]
  constructor(strings: string[] = []) {
    this.strings = strings
  }
  get size(): number {
    return this.strings.length
  }
  at(code: number): string {
    return this.strings[code]!
  }
}

/** A text's head, its place in the array and its entry in the map. */
const internedBytes = 64

/** A dictionary that interns: equal strings get equal codes. */
export class InterningDictionary extends ArrayDictionary {
  readonly #codes = new Map<string, number>()
  #textUnits = 0
  constructor(strings: readonly string[] = []) {
    super([])
    for (const text of strings) this.code(text)
  }
  /** Memory held, about. */
  get byteLength(): number {
    return this.strings.length * internedBytes + this.#textUnits
  }
  code(text: string): number {
    let found = this.#codes.get(text)
    if (found === undefined) {
      found = this.strings.length
      this.strings.push(text)
      this.#textUnits += text.length
      this.#codes.set(text, found)
    }
    return found
  }
}
