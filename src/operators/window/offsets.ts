/**
 * `lag` and `lead`: the value some rows before or after.
 *
 *   v          1  2  3  4
 *   lag(v)     ·  1  2  3
 *   lead(v)    2  3  4  ·
 *
 * Invariants:
 * 1. Nulls are rows like others; beyond the ends of a partition is null.
 * 2. Within a run values are moved, not looked up; only what reaches back before the run comes from memory.
 * 3. Lead holds nothing: it is run when the rows it looks at are there.
 */
import type { Batch, Column, ValueType } from '../../columnar/batch.ts'
import type { Evaluator } from '../functions/evaluator.ts'
import { Rings } from './rings.ts'
import { CarriedText, ResultColumn, type WindowState } from './state.ts'

/** No rows away: the value itself. */
export class SameRow implements WindowState {
  readonly byteLength = 0
  readonly #value: Evaluator
  #column: Column | undefined
  constructor(value: Evaluator) {
    this.#value = value
  }
  begin(batch: Batch): void {
    this.#column = this.#value.evaluate(batch)
  }
  run(): void {}
  reset(): void {}
  finish(): Column {
    return this.#column!
  }
}

export class Lag implements WindowState {
  readonly #value: Evaluator
  readonly #offset: number
  /** The last rows of each partition: the value (or code), and 1 where there is one. */
  readonly #rings = new Rings()
  readonly #out: ResultColumn
  readonly #text = new CarriedText()
  #values: Float64Array | Uint8Array | Uint32Array = new Float64Array(0)
  #valid: Uint8Array | undefined

  constructor(value: Evaluator, type: ValueType, offset: number) {
    this.#value = value
    this.#offset = offset
    this.#out = new ResultColumn(type)
  }

  get byteLength(): number {
    return this.#rings.byteLength
  }

  begin(batch: Batch, partitions: number): void {
    const column = this.#value.evaluate(batch)
    this.#valid = column.valid
    this.#values =
      column.type === 'string' ? this.#text.codes(column, batch, translate => this.#recode(translate)) : column.values
    this.#rings.reserve(partitions)
    this.#out.begin(batch.length)
  }

  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const offset = this.#offset
    const middle = Math.min(from + offset, to)
    this.#fromMemory(partition, rows, from, middle)
    if (middle < to) this.#move(rows, from, to)
    this.#remember(partition, rows, Math.max(from, to - offset), to)
  }

  reset(partition: number): void {
    if (partition < this.#rings.length.length) this.#rings.clear(partition)
  }

  finish(): Column {
    return this.#out.column(this.#out.type === 'string' ? this.#text.dictionary : undefined)
  }

  /** The run's first rows look back before it. */
  #fromMemory(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const rings = this.#rings
    const { a, b } = rings
    const { values, valid } = this.#out
    const base = rings.base[partition]!
    const mask = rings.capacity[partition]! - 1
    const start = rings.start[partition]!
    const before = rings.length[partition]! - this.#offset
    for (let k = from; k < to; k++) {
      const row = rows === undefined ? k : rows[k]!
      const entry = before + k - from
      const place = base + ((start + entry) & mask)
      if (entry >= 0 && b[place] === 1) values[row] = a[place]!
      else {
        valid[row] = 0
        this.#out.hasNulls = true
      }
    }
  }

  #move(rows: Uint32Array | undefined, from: number, to: number): void {
    const offset = this.#offset
    const out = this.#out
    if (rows === undefined) {
      out.values.set(this.#values.subarray(from, to - offset), from + offset)
      if (this.#valid === undefined) return
      out.valid.set(this.#valid.subarray(from, to - offset), from + offset)
      const hole = out.valid.indexOf(0, from + offset)
      if (hole >= 0 && hole < to) out.hasNulls = true
      return
    }
    const source = this.#values
    const valid = this.#valid
    const { values } = out
    for (let k = from + offset; k < to; k++) {
      const row = rows[k]!
      const other = rows[k - offset]!
      values[row] = source[other]!
      if (valid !== undefined && valid[other] === 0) {
        out.valid[row] = 0
        out.hasNulls = true
      }
    }
  }

  /** At most `offset` rows, the last of the run. */
  #remember(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const rings = this.#rings
    const offset = this.#offset
    const kept = Math.min(rings.length[partition]!, offset - (to - from))
    rings.start[partition]! += rings.length[partition]! - kept
    rings.length[partition] = kept
    rings.grow(partition, kept + to - from)
    const { a, b } = rings
    const base = rings.base[partition]!
    const mask = rings.capacity[partition]! - 1
    const values = this.#values
    const valid = this.#valid
    let at = rings.start[partition]! + kept
    for (let k = from; k < to; k++) {
      const row = rows === undefined ? k : rows[k]!
      const place = base + (at++ & mask)
      a[place] = values[row]!
      b[place] = valid === undefined ? 1 : valid[row]!
    }
    rings.start[partition]! &= mask
    rings.length[partition] = kept + to - from
  }

  #recode(translate: (code: number) => number): void {
    const rings = this.#rings
    for (let partition = 0; partition < rings.length.length; partition++) {
      const base = rings.base[partition]!
      const mask = rings.capacity[partition]! - 1
      for (let i = 0; i < rings.length[partition]!; i++) {
        const place = base + ((rings.start[partition]! + i) & mask)
        if (rings.b[place] === 1) rings.a[place] = translate(rings.a[place]!)
      }
    }
  }
}

export class Lead implements WindowState {
  readonly byteLength = 0
  readonly #value: Evaluator
  readonly #offset: number
  readonly #out: ResultColumn
  #column: Column | undefined

  constructor(value: Evaluator, type: ValueType, offset: number) {
    this.#value = value
    this.#offset = offset
    this.#out = new ResultColumn(type)
  }

  begin(batch: Batch): void {
    this.#column = this.#value.evaluate(batch)
    this.#out.begin(batch.length)
  }

  run(_partition: number, rows: Uint32Array | undefined, from: number, to: number, end: number): void {
    const offset = this.#offset
    const out = this.#out
    const { values, valid } = this.#column!
    const known = Math.max(from, Math.min(to, end - offset))
    if (rows === undefined) {
      out.values.set(values.subarray(from + offset, known + offset), from)
      if (valid !== undefined) {
        out.valid.set(valid.subarray(from + offset, known + offset), from)
        const hole = out.valid.indexOf(0, from)
        if (hole >= 0 && hole < known) out.hasNulls = true
      }
    } else
      for (let k = from; k < known; k++) {
        const row = rows[k]!
        const other = rows[k + offset]!
        out.values[row] = values[other]!
        if (valid !== undefined && valid[other] === 0) {
          out.valid[row] = 0
          out.hasNulls = true
        }
      }
    if (known < to) out.hasNulls = true
    for (let k = known; k < to; k++) out.valid[rows === undefined ? k : rows[k]!] = 0
  }

  reset(): void {}

  finish(): Column {
    const column = this.#column!
    return this.#out.column(column.type === 'string' ? column.dictionary : undefined)
  }
}
