/**
 * Row functions that carry one value per partition from row to row.
 *
 *   v                   ·  10  13   ·   9
 *   difference          ·   ·   3   ·  -4
 *   cumulative_sum      ·  10  23  23  32
 *   fill_forward        ·  10  13  13   9
 *   row_number          1   2   3   4   5
 *   ema(v, 1m, 0.5)     ·  10  11.5 11.5 9.6
 *
 * Invariants:
 * 1. Nulls carry nothing: what is kept is of rows whose value is not null.
 * 2. A run's state is in local variables from its first row to its last.
 */
import type { Batch, Column, ValueType } from '../../columnar/batch.ts'
import { grownNumbers } from '../aggregate/state.ts'
import type { Evaluator } from '../functions/evaluator.ts'
import { roundedAway, total } from './compensated.ts'
import { CarriedText, ResultColumn, type WindowState } from './state.ts'

/** v minus the latest earlier v. */
export class Difference implements WindowState {
  readonly #value: Evaluator
  readonly #isWhole: boolean
  readonly #out: ResultColumn
  #column: Column | undefined
  /** By partition: the latest v, and 1 once there is one. */
  #last: Float64Array = new Float64Array(0)
  #known: Float64Array = new Float64Array(0)

  constructor(value: Evaluator, type: ValueType) {
    this.#value = value
    this.#isWhole = type !== 'float'
    this.#out = new ResultColumn(type)
  }
  get byteLength(): number {
    return this.#last.byteLength + this.#known.byteLength
  }

  begin(batch: Batch, partitions: number): void {
    this.#column = this.#value.evaluate(batch)
    this.#last = grownNumbers(this.#last, partitions)
    this.#known = grownNumbers(this.#known, partitions)
    this.#out.begin(batch.length)
  }

  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const { values, valid } = this.#column!
    const out = this.#out.values
    const outValid = this.#out.valid
    let last = this.#last[partition]!
    let k = from
    if (this.#known[partition] === 0) {
      // Nothing to subtract yet: null up to the first value.
      this.#out.hasNulls = true
      for (let found = false; k < to && !found; k++) {
        const row = rows === undefined ? k : rows[k]!
        outValid[row] = 0
        if (valid !== undefined && valid[row] === 0) continue
        last = values[row]!
        this.#known[partition] = 1
        found = true
      }
    }
    if (rows === undefined && valid === undefined)
      for (; k < to; k++) {
        const value = values[k]!
        out[k] = value - last
        last = value
      }
    else
      for (; k < to; k++) {
        const row = rows === undefined ? k : rows[k]!
        if (valid !== undefined && valid[row] === 0) {
          outValid[row] = 0
          this.#out.hasNulls = true
          continue
        }
        const value = values[row]!
        out[row] = value - last
        last = value
      }
    this.#last[partition] = last
    if (this.#isWhole) this.#dropInexact(rows, from, to)
  }

  /** Whole numbers are exact or null. */
  #dropInexact(rows: Uint32Array | undefined, from: number, to: number): void {
    const out = this.#out.values
    for (let k = from; k < to; k++) {
      const row = rows === undefined ? k : rows[k]!
      if (Math.abs(out[row]!) <= Number.MAX_SAFE_INTEGER) continue
      this.#out.valid[row] = 0
      this.#out.hasNulls = true
    }
  }

  reset(partition: number): void {
    if (partition < this.#known.length) this.#known[partition] = 0
  }
  finish(): Column {
    return this.#out.column()
  }
}

/** The sum so far, compensated, so that its error does not grow with the number of rows. */
export class CumulativeSum implements WindowState {
  readonly #value: Evaluator
  readonly #out = new ResultColumn('float')
  #column: Column | undefined
  /** By partition: the sum, what rounding has lost of it, and 1 once there is a value. */
  #sums: Float64Array = new Float64Array(0)
  #lost: Float64Array = new Float64Array(0)
  #known: Float64Array = new Float64Array(0)

  constructor(value: Evaluator) {
    this.#value = value
  }
  get byteLength(): number {
    return 3 * this.#sums.byteLength
  }

  begin(batch: Batch, partitions: number): void {
    this.#column = this.#value.evaluate(batch)
    this.#sums = grownNumbers(this.#sums, partitions)
    this.#lost = grownNumbers(this.#lost, partitions)
    this.#known = grownNumbers(this.#known, partitions)
    this.#out.begin(batch.length)
  }

  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const { values, valid } = this.#column!
    const out = this.#out.values
    const outValid = this.#out.valid
    let sum = this.#sums[partition]!
    let lost = this.#lost[partition]!
    let isKnown = this.#known[partition] === 1
    for (let k = from; k < to; k++) {
      const row = rows === undefined ? k : rows[k]!
      if (valid === undefined || valid[row] === 1) {
        const value = values[row]!
        const next = sum + value
        lost += roundedAway(sum, value, next)
        sum = next
        isKnown = true
      } else if (!isKnown) {
        outValid[row] = 0
        this.#out.hasNulls = true
        continue
      }
      out[row] = total(sum, lost)
    }
    this.#sums[partition] = sum
    this.#lost[partition] = lost
    this.#known[partition] = isKnown ? 1 : 0
  }

  reset(partition: number): void {
    if (partition >= this.#sums.length) return
    this.#sums[partition] = 0
    this.#lost[partition] = 0
    this.#known[partition] = 0
  }
  finish(): Column {
    return this.#out.column()
  }
}

/** v, or the latest earlier one. */
export class FillForward implements WindowState {
  readonly #value: Evaluator
  readonly #out: ResultColumn
  readonly #text = new CarriedText()
  #values: Float64Array | Uint8Array | Uint32Array = new Float64Array(0)
  #valid: Uint8Array | undefined
  /** By partition: the latest v (or its code), and 1 once there is one. */
  #last: Float64Array = new Float64Array(0)
  #known: Float64Array = new Float64Array(0)

  constructor(value: Evaluator, type: ValueType) {
    this.#value = value
    this.#out = new ResultColumn(type)
  }
  get byteLength(): number {
    return this.#last.byteLength + this.#known.byteLength
  }

  begin(batch: Batch, partitions: number): void {
    const column = this.#value.evaluate(batch)
    this.#valid = column.valid
    this.#values =
      column.type === 'string' ? this.#text.codes(column, batch, translate => this.#recode(translate)) : column.values
    this.#last = grownNumbers(this.#last, partitions)
    this.#known = grownNumbers(this.#known, partitions)
    this.#out.begin(batch.length)
  }

  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const values = this.#values
    const valid = this.#valid
    const out = this.#out.values
    let last = this.#last[partition]!
    let isKnown = this.#known[partition] === 1
    for (let k = from; k < to; k++) {
      const row = rows === undefined ? k : rows[k]!
      if (valid === undefined || valid[row] === 1) {
        last = values[row]!
        isKnown = true
      } else if (!isKnown) {
        this.#out.valid[row] = 0
        this.#out.hasNulls = true
        continue
      }
      out[row] = last
    }
    this.#last[partition] = last
    this.#known[partition] = isKnown ? 1 : 0
  }

  reset(partition: number): void {
    if (partition < this.#known.length) this.#known[partition] = 0
  }
  finish(): Column {
    return this.#out.column(this.#out.type === 'string' ? this.#text.dictionary : undefined)
  }

  #recode(translate: (code: number) => number): void {
    for (let partition = 0; partition < this.#last.length; partition++)
      if (this.#known[partition] === 1) this.#last[partition] = translate(this.#last[partition]!)
  }
}

export class RowNumber implements WindowState {
  readonly #out = new ResultColumn('integer')
  #rows: Float64Array = new Float64Array(0)

  get byteLength(): number {
    return this.#rows.byteLength
  }
  begin(batch: Batch, partitions: number): void {
    this.#rows = grownNumbers(this.#rows, partitions)
    this.#out.begin(batch.length)
  }
  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const out = this.#out.values
    let number = this.#rows[partition]!
    for (let k = from; k < to; k++) out[rows === undefined ? k : rows[k]!] = ++number
    this.#rows[partition] = number
  }
  reset(partition: number): void {
    if (partition < this.#rows.length) this.#rows[partition] = 0
  }
  finish(): Column {
    return this.#out.column()
  }
}

/**
 * Exponential moving average of an irregular series: after Δt a value weighs 1 - (1 - alpha)^(Δt / period), so that the
 * average does not depend on how densely a steady signal is sampled. A row without a time moves nothing.
 */
export class ExponentialAverage implements WindowState {
  readonly #value: Evaluator
  readonly #timeColumn: number
  readonly #periodUs: number
  readonly #alpha: number
  readonly #out = new ResultColumn('float')
  #column: Column | undefined
  #times: Column | undefined
  /** By partition: the average, the time of the latest value (NaN before the first). */
  #averages: Float64Array = new Float64Array(0)
  #lastUs: Float64Array = new Float64Array(0)

  constructor(value: Evaluator, timeColumn: number, periodUs: number, alpha: number) {
    this.#value = value
    this.#timeColumn = timeColumn
    this.#periodUs = periodUs
    this.#alpha = alpha
  }
  get byteLength(): number {
    return this.#averages.byteLength + this.#lastUs.byteLength
  }

  begin(batch: Batch, partitions: number): void {
    this.#column = this.#value.evaluate(batch)
    this.#times = batch.columns[this.#timeColumn]!
    this.#averages = grownNumbers(this.#averages, partitions)
    this.#lastUs = grownNumbers(this.#lastUs, partitions, NaN)
    this.#out.begin(batch.length)
  }

  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const { values, valid } = this.#column!
    const { values: timesUs, valid: timed } = this.#times!
    const out = this.#out.values
    const rest = 1 - this.#alpha
    let average = this.#averages[partition]!
    let lastUs = this.#lastUs[partition]!
    // Series are often sampled evenly: one power then serves them all.
    let gapUs = 0
    let weight = 0
    for (let k = from; k < to; k++) {
      const row = rows === undefined ? k : rows[k]!
      if ((valid === undefined || valid[row] === 1) && (timed === undefined || timed[row] === 1)) {
        const timeUs = timesUs[row]!
        const value = values[row]!
        if (Number.isNaN(lastUs)) average = value
        else {
          if (timeUs - lastUs !== gapUs) {
            gapUs = timeUs - lastUs
            weight = 1 - rest ** (gapUs / this.#periodUs)
          }
          average += weight * (value - average)
        }
        lastUs = timeUs
      }
      if (!Number.isNaN(lastUs)) out[row] = average
      else {
        this.#out.valid[row] = 0
        this.#out.hasNulls = true
      }
    }
    this.#averages[partition] = average
    this.#lastUs[partition] = lastUs
  }

  reset(partition: number): void {
    if (partition < this.#lastUs.length) this.#lastUs[partition] = NaN
  }
  finish(): Column {
    return this.#out.column()
  }
}
