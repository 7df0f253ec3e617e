/**
 * Gatherer: rows of several cursors' blocks, copied column by column into one batch.
 *
 * Invariants:
 * 1. Rows added are copied by `gather`, which comes before a block they are of is replaced.
 * 2. A text that several rows of one block share is in the batch's dictionary once.
 */
import { ArrayDictionary, type Batch, type Column, type Schema, type StringColumn } from '../../columnar/batch.ts'
import { columnOf } from '../../columnar/builder.ts'
import type { Cursor } from './cursor.ts'

export class Gatherer {
  readonly #schema: Schema
  readonly #cursors: readonly Cursor[]
  readonly #rowsMax: number
  readonly #sources: Uint32Array
  readonly #rows: Uint32Array
  #values: (Float64Array | Uint8Array | Uint32Array)[] = []
  #valid: Uint8Array[] = []
  #nulls: Uint8Array
  #dictionaries: ArrayDictionary[] = []
  /** Per text column and cursor: its block's codes -> code + 1 in the dictionary. */
  #codes: (CodeMemo | undefined)[][] = []
  #gathered = 0
  length = 0

  constructor(schema: Schema, cursors: readonly Cursor[], rowsMax: number) {
    this.#schema = schema
    this.#cursors = cursors
    this.#rowsMax = rowsMax
    this.#sources = new Uint32Array(rowsMax)
    this.#rows = new Uint32Array(rowsMax)
    this.#nulls = new Uint8Array(schema.length)
    this.#clear()
  }

  get isFull(): boolean {
    return this.length === this.#rowsMax
  }

  add(cursor: number, row: number): void {
    this.#sources[this.length] = cursor
    this.#rows[this.length++] = row
  }

  gather(): void {
    for (let c = 0; c < this.#schema.length; c++) {
      if (this.#schema[c]!.type === 'string') this.#gatherTexts(c)
      else this.#gatherValues(c)
      this.#gatherMask(c)
    }
    this.#gathered = this.length
  }

  /** The rows so far; then it is empty. */
  take(): Batch {
    this.gather()
    const columns = this.#schema.map(
      ({ type }, c): Column =>
        columnOf(type, this.#values[c]!, this.#nulls[c] === 1 ? this.#valid[c]! : undefined, this.#dictionaries[c]),
    )
    const batch = { length: this.length, columns, selection: undefined }
    this.#clear()
    return batch
  }

  #clear(): void {
    const rows = this.#rowsMax
    this.length = 0
    this.#gathered = 0
    this.#values = this.#schema.map(({ type }) =>
      type === 'string' ? new Uint32Array(rows) : type === 'boolean' ? new Uint8Array(rows) : new Float64Array(rows),
    )
    this.#valid = this.#schema.map(() => new Uint8Array(rows))
    this.#nulls.fill(0)
    this.#dictionaries = this.#schema.map(() => new ArrayDictionary())
    this.#codes = this.#schema.map(() => [])
  }

  #gatherValues(c: number): void {
    const sources = this.#sources
    const rows = this.#rows
    const target = this.#values[c]!
    const values = this.#cursors.map(cursor => cursor.columns[c]?.values)
    for (let k = this.#gathered; k < this.length; k++) target[k] = values[sources[k]!]![rows[k]!]!
  }

  #gatherMask(c: number): void {
    const target = this.#valid[c]!
    const masks = this.#cursors.map(cursor => cursor.columns[c]?.valid)
    if (masks.every(mask => mask === undefined)) {
      target.fill(1, this.#gathered, this.length)
      return
    }
    for (let k = this.#gathered; k < this.length; k++) {
      const mask = masks[this.#sources[k]!]
      const ok = mask === undefined ? 1 : mask[this.#rows[k]!]!
      target[k] = ok
      if (ok === 0) this.#nulls[c] = 1
    }
  }

  #gatherTexts(c: number): void {
    const target = this.#values[c]!
    const { strings } = this.#dictionaries[c]!
    const memos = this.#codes[c]!
    for (let k = this.#gathered; k < this.length; k++) {
      const source = this.#sources[k]!
      const cursor = this.#cursors[source]!
      const { values, valid, dictionary } = cursor.columns[c] as StringColumn
      const row = this.#rows[k]!
      if (valid !== undefined && valid[row] === 0) continue
      let memo = memos[source]
      if (memo?.block !== cursor.block)
        memos[source] = memo = { block: cursor.block, codes: new Uint32Array(dictionary.size) }
      const code = values[row]!
      if (memo.codes[code] === 0) {
        strings.push(dictionary.at(code))
        memo.codes[code] = strings.length
      }
      target[k] = memo.codes[code]! - 1
    }
  }
}

interface CodeMemo {
  readonly block: number
  readonly codes: Uint32Array
}
