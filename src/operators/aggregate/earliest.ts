/** `first` and `last`: the non-null value of the earliest or latest row, by (time, then printed series). */
import { type ArrayMemory, ownArrays } from '../../columnar/arena.ts'
import type { Column, ValueType } from '../../columnar/batch.ts'
import { InterningDictionary } from '../../columnar/batch.ts'
import { CodeTranslation } from '../../columnar/builder.ts'
import type { Scalar } from '../../columnar/value.ts'
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

export class EarliestState implements AggregateState {
  readonly #type: ValueType
  readonly #arrays: ArrayMemory
  /** 1: a row with a smaller time wins (`first`), -1: with a greater one (`last`). */
  readonly #direction: 1 | -1
  /** NaN where the group has no value yet. */
  #timesUs: Float64Array = new Float64Array(0)
  #series: Uint32Array = new Uint32Array(0)
  /** Numbers, booleans as 1 and 0, or codes of `dictionary`. */
  #values: Float64Array = new Float64Array(0)
  readonly #codes = new CodeTranslation(new InterningDictionary())
  /** Stands for the time where rows have none: they come as they come. */
  #sequence = 0
  #order: Pick<RowOrdering, 'ranks'> | undefined

  constructor(type: ValueType, which: 'first' | 'last', arrays: ArrayMemory = ownArrays) {
    this.#arrays = arrays
    this.#type = type
    this.#direction = which === 'first' ? 1 : -1
  }

  get byteLength(): number {
    return this.#timesUs.byteLength * 2 + this.#series.byteLength
  }
  reserve(groups: number): void {
    this.#timesUs = grownNumbers(this.#timesUs, groups, NaN, this.#arrays)
    this.#values = grownNumbers(this.#values, groups, 0, this.#arrays)
    this.#series = grownCodes(this.#series, groups, this.#arrays)
  }

  add(column: Column, rows: GroupedRows): void {
    const { order } = rows
    this.#order = order
    if (column.type === 'string') this.#codes.from(column.dictionary)
    forValues(column, rows, (row, group) => this.#offerRow(column, row, group, order))
  }

  addRange(column: Column, from: number, to: number, group: number, order: RowOrdering | undefined): void {
    this.#order = order
    if (column.type === 'string') this.#codes.from(column.dictionary)
    const { valid } = column
    // Rows of a range ascend in time, so that only the outermost value matters.
    if (this.#direction === 1) {
      let row = from
      while (row < to && valid !== undefined && valid[row] === 0) row++
      if (row < to) this.#offerRow(column, row, group, order)
    } else {
      let row = to - 1
      while (row >= from && valid !== undefined && valid[row] === 0) row--
      if (row >= from) this.#offerRow(column, row, group, order)
    }
  }

  /** A number known from statistics. */
  addKnown(group: number, value: number, timeUs: number, series: number, order: Pick<RowOrdering, 'ranks'>): void {
    this.#order = order
    if (this.#wins(group, timeUs, series)) this.#put(group, value, timeUs, series)
  }

  merge(other: EarliestState, from: Uint32Array, to: Uint32Array): void {
    this.#order = other.#order ?? this.#order
    this.#sequence = Math.max(this.#sequence, other.#sequence)
    this.#codes.from(other.#codes.target)
    for (let i = 0; i < from.length; i++) {
      const group = to[i]!
      const timeUs = other.#timesUs[from[i]!]!
      const series = other.#series[from[i]!]!
      if (Number.isNaN(timeUs) || !this.#wins(group, timeUs, series)) continue
      const value = other.#values[from[i]!]!
      this.#put(group, this.#type === 'string' ? this.#codes.code(value) : value, timeUs, series)
    }
  }

  value(group: number): Scalar {
    if (Number.isNaN(this.#timesUs[group]!)) return null
    const value = this.#values[group]!
    if (this.#type === 'string') return this.#codes.target.at(value)
    return this.#type === 'boolean' ? value === 1 : value
  }

  #offerRow(column: Column, row: number, group: number, order: RowOrdering | undefined): void {
    const timeUs = order === undefined ? this.#sequence++ : timeOf(order, row)
    const series = order?.series === undefined ? noSeries : order.series[row]!
    if (!this.#wins(group, timeUs, series)) return
    const value = column.values[row]!
    this.#put(group, column.type === 'string' ? this.#codes.code(value) : value, timeUs, series)
  }

  #wins(group: number, timeUs: number, series: number): boolean {
    const bestUs = this.#timesUs[group]!
    if (timeUs !== bestUs) return Number.isNaN(bestUs) || timeUs < bestUs === (this.#direction === 1)
    const best = this.#series[group]!
    if (series === best || series === noSeries || best === noSeries) return this.#direction === -1
    const ranks = this.#order?.ranks
    if (ranks === undefined) return this.#direction === -1
    return ranks[series]! < ranks[best]! === (this.#direction === 1)
  }

  #put(group: number, value: number, timeUs: number, series: number): void {
    this.#values[group] = value
    this.#timesUs[group] = timeUs
    this.#series[group] = series
  }
}
