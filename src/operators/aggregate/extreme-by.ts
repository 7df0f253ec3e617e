/**
 * `min_by` and `max_by`: v of the row with the least or greatest k. Rows without k are skipped; a null v of the row that
 * wins is the answer.
 *
 * Invariant: of rows with equal k the earliest by (time, then printed series) wins.
 */
import { type Column, InterningDictionary, type ValueType } from '../../columnar/batch.ts'
import { CodeTranslation } from '../../columnar/builder.ts'
import { compareNumbers, type Scalar } from '../../columnar/value.ts'
import { assert } from '../../lib/assert.ts'
import { compareUtf8 } from '../../lib/text.ts'
import {
  type AggregateState,
  forValues,
  type GroupedRows,
  grownCodes,
  grownNumbers,
  noSeries,
  type RowOrdering,
  timeOf,
} from './state.ts'

/** Times of groups that have no row yet. */
const noTime = NaN

export class ExtremeByState implements AggregateState {
  readonly #type: ValueType
  /** 1 keeps the least k, -1 the greatest. */
  readonly #direction: 1 | -1
  /** Numbers, booleans as 1 and 0, or codes of the texts below. */
  #keys = new Float64Array(0)
  #values = new Float64Array(0)
  /** 1 where the winning row has a value. */
  #hasValue: Uint32Array = new Uint32Array(0)
  #timesUs = new Float64Array(0)
  #series: Uint32Array = new Uint32Array(0)
  readonly #keyTexts = new CodeTranslation(new InterningDictionary())
  readonly #valueTexts = new CodeTranslation(new InterningDictionary())
  #keysAreTexts = false
  /** Stands for the time where rows have none: they come as they come. */
  #sequence = 0
  #order: Pick<RowOrdering, 'ranks'> | undefined

  constructor(type: ValueType, which: 'min' | 'max') {
    this.#type = type
    this.#direction = which === 'min' ? 1 : -1
  }

  get byteLength(): number {
    return this.#keys.byteLength * 3 + this.#series.byteLength * 2
  }
  reserve(groups: number): void {
    this.#keys = grownNumbers(this.#keys, groups) as Float64Array<ArrayBuffer>
    this.#values = grownNumbers(this.#values, groups) as Float64Array<ArrayBuffer>
    this.#hasValue = grownCodes(this.#hasValue, groups)
    this.#timesUs = grownNumbers(this.#timesUs, groups, noTime) as Float64Array<ArrayBuffer>
    this.#series = grownCodes(this.#series, groups)
  }

  add(column: Column, rows: GroupedRows, second?: Column): void {
    const offer = this.#offering(column, second, rows.order)
    forValues(second!, rows, offer)
  }

  addRange(
    column: Column,
    from: number,
    to: number,
    group: number,
    order: RowOrdering | undefined,
    second?: Column,
  ): void {
    const offer = this.#offering(column, second, order)
    if (second!.type !== 'string') {
      // Rows ascend in time: of equal keys the first one is the earliest.
      const best = extremeRow(second!.values, second!.valid, from, to, this.#direction)
      if (best >= 0) offer(best, group)
      return
    }
    const { valid } = second!
    for (let row = from; row < to; row++) if (valid === undefined || valid[row] === 1) offer(row, group)
  }

  merge(other: ExtremeByState, from: Uint32Array, to: Uint32Array): void {
    this.#order = other.#order ?? this.#order
    this.#sequence = Math.max(this.#sequence, other.#sequence)
    this.#keysAreTexts ||= other.#keysAreTexts
    this.#keyTexts.from(other.#keyTexts.target)
    this.#valueTexts.from(other.#valueTexts.target)
    for (let i = 0; i < from.length; i++) {
      const group = to[i]!
      const theirs = from[i]!
      const timeUs = other.#timesUs[theirs]!
      if (Number.isNaN(timeUs)) continue
      const key = other.#keysAreTexts ? this.#keyTexts.code(other.#keys[theirs]!) : other.#keys[theirs]!
      const series = other.#series[theirs]!
      if (!this.#wins(group, key, timeUs, series)) continue
      this.#keys[group] = key
      this.#timesUs[group] = timeUs
      this.#series[group] = series
      const value = other.#values[theirs]!
      const has = other.#hasValue[theirs]!
      this.#hasValue[group] = has
      this.#values[group] = this.#type === 'string' && has === 1 ? this.#valueTexts.code(value) : value
    }
  }

  value(group: number): Scalar {
    if (Number.isNaN(this.#timesUs[group]!) || this.#hasValue[group] === 0) return null
    const value = this.#values[group]!
    if (this.#type === 'string') return this.#valueTexts.target.at(value)
    return this.#type === 'boolean' ? value === 1 : value
  }

  #offering(values: Column, keys: Column | undefined, order: RowOrdering | undefined) {
    assert(keys !== undefined, 'the key of min_by and max_by')
    this.#order = order
    this.#keysAreTexts = keys.type === 'string'
    if (keys.type === 'string') this.#keyTexts.from(keys.dictionary)
    if (values.type === 'string') this.#valueTexts.from(values.dictionary)
    return (row: number, group: number): void => {
      const key = keys.type === 'string' ? this.#keyTexts.code(keys.values[row]!) : keys.values[row]!
      const timeUs = order === undefined ? this.#sequence++ : timeOf(order, row)
      const series = order?.series === undefined ? noSeries : order.series[row]!
      if (!this.#wins(group, key, timeUs, series)) return
      this.#keys[group] = key
      this.#timesUs[group] = timeUs
      this.#series[group] = series
      const has = values.valid === undefined || values.valid[row] === 1
      this.#hasValue[group] = has ? 1 : 0
      if (!has) return
      this.#values[group] = values.type === 'string' ? this.#valueTexts.code(values.values[row]!) : values.values[row]!
    }
  }

  #wins(group: number, key: number, timeUs: number, series: number): boolean {
    const bestUs = this.#timesUs[group]!
    if (Number.isNaN(bestUs)) return true
    const comparison = this.#compareKeys(key, this.#keys[group]!)
    if (comparison !== 0) return comparison * this.#direction < 0
    if (timeUs !== bestUs) return timeUs < bestUs
    const best = this.#series[group]!
    const ranks = this.#order?.ranks
    return series !== noSeries && best !== noSeries && ranks !== undefined && ranks[series]! < ranks[best]!
  }

  #compareKeys(a: number, b: number): number {
    if (!this.#keysAreTexts) return compareNumbers(a, b)
    return a === b ? 0 : compareUtf8(this.#keyTexts.target.at(a), this.#keyTexts.target.at(b))
  }
}

/** The first row with the least (1) or greatest (-1) value; NaN is above every number. -1: all are null. */
function extremeRow(
  values: Float64Array | Uint8Array,
  valid: Uint8Array | undefined,
  from: number,
  to: number,
  direction: 1 | -1,
): number {
  let best = -1
  let bestValue = 0
  for (let row = from; row < to; row++) {
    if (valid !== undefined && valid[row] === 0) continue
    const value = values[row]!
    const isBetter =
      direction === 1
        ? value < bestValue || (Number.isNaN(bestValue) && !Number.isNaN(value))
        : value > bestValue || (Number.isNaN(value) && !Number.isNaN(bestValue))
    if (best >= 0 && !isBetter) continue
    best = row
    bestValue = value
  }
  return best
}
