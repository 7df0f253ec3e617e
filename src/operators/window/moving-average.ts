/**
 * `moving_avg`: the mean of the values in a frame that ends at the row, by time or by rows.
 *
 *   by time   (t - width, t], with the rows that share the time t      by rows   this row and the width - 1 before
 *
 * A frame is a ring of (position, value), where a position is a time or the number of the row. Nothing is ever subtracted:
 * the sum is kept as two stacks (K. Tangwongsan, M. Hirzel, S. Schneider, "Low-Latency Sliding-Window Aggregation in
 * Worst-Case Constant Time", DEBS 2017, describe and name the algorithm):
 *
 *   entries   [ front: sums of an entry and those after it, to the front's end ][ back: values ]     + sum of the back
 *
 * An entry leaves at the front; when the front is empty, the back becomes the front, each entry summed once more.
 *
 * Invariants:
 * 1. The sum of a frame is front[0] + back: sums of its own values only, so that neither rounding nor an infinity that has
 *    left stays. Both are compensated, so that the error is a few roundings whatever the frame's length.
 * 2. Nulls are no entries; a frame without entries has the average null.
 * 3. By time, positions of a partition do not descend, and rows of one time come in one run.
 */
import type { Batch, Column } from '../../columnar/batch.ts'
import { grownCodes, grownNumbers } from '../aggregate/state.ts'
import type { Evaluator } from '../functions/evaluator.ts'
import { roundedAway, total } from './compensated.ts'
import { Rings } from './rings.ts'
import { ResultColumn, type WindowState } from './state.ts'

export class MovingAverage implements WindowState {
  readonly #value: Evaluator
  /** -1: positions are numbers of rows. */
  readonly #timeColumn: number
  readonly #width: number
  readonly #out = new ResultColumn('float')
  #column: Column | undefined
  #times: Column | undefined
  /** `a`: positions, `b`: values, or sums in the front. */
  readonly #rings = new Rings()
  /** By partition: entries in the front; the back's sum and what rounding lost of it; rows so far. */
  #front: Uint32Array = new Uint32Array(0)
  #sums: Float64Array = new Float64Array(0)
  #lost: Float64Array = new Float64Array(0)
  #rows: Float64Array = new Float64Array(0)

  constructor(value: Evaluator, timeColumn: number, width: number) {
    this.#value = value
    this.#timeColumn = timeColumn
    this.#width = width
  }
  get byteLength(): number {
    return this.#rings.byteLength + this.#front.byteLength + 3 * this.#sums.byteLength
  }

  begin(batch: Batch, partitions: number): void {
    this.#column = this.#value.evaluate(batch)
    this.#times = this.#timeColumn < 0 ? undefined : batch.columns[this.#timeColumn]!
    this.#rings.reserve(partitions)
    this.#front = grownCodes(this.#front, partitions)
    this.#sums = grownNumbers(this.#sums, partitions)
    this.#lost = grownNumbers(this.#lost, partitions)
    this.#rows = grownNumbers(this.#rows, partitions)
    this.#out.begin(batch.length)
  }

  run(partition: number, rows: Uint32Array | undefined, from: number, to: number): void {
    const rings = this.#rings
    const { values, valid } = this.#column!
    const times = this.#times?.values
    const timed = this.#times?.valid
    const out = this.#out.values
    const width = this.#width
    let { a: positions, b: sums } = rings
    let base = rings.base[partition]!
    let capacity = rings.capacity[partition]!
    let start = rings.start[partition]!
    let length = rings.length[partition]!
    let front = this.#front[partition]!
    let sum = this.#sums[partition]!
    let lost = this.#lost[partition]!
    let rowsBefore = this.#rows[partition]!

    for (let k = from; k < to; ) {
      const first = k
      let row = rows === undefined ? k : rows[k]!
      if (timed !== undefined && timed[row] === 0) {
        // Without a time it is in no frame.
        this.#out.valid[row] = 0
        this.#out.hasNulls = true
        k++
        continue
      }
      const position = times === undefined ? ++rowsBefore : times[row]!
      // The row, and those that share its time.
      do {
        if (valid === undefined || valid[row] === 1) {
          if (length === capacity) {
            rings.start[partition] = start
            rings.length[partition] = length
            rings.grow(partition, length + 1)
            positions = rings.a
            sums = rings.b
            base = rings.base[partition]!
            capacity = rings.capacity[partition]!
            start = 0
          }
          const value = values[row]!
          const place = base + ((start + length) & (capacity - 1))
          positions[place] = position
          sums[place] = value
          length++
          const next = sum + value
          lost += roundedAway(sum, value, next)
          sum = next
        }
        k++
        if (times === undefined || k === to) break
        row = rows === undefined ? k : rows[k]!
      } while (times[row] === position && (timed === undefined || timed[row] === 1))

      const gone = position - width
      while (length > 0 && positions[base + start]! <= gone) {
        if (front === 0) {
          sum = 0
          lost = 0
          if (positions[base + ((start + length - 1) & (capacity - 1))]! <= gone) {
            length = 0
            break
          }
          toFront(sums, base, start, length, capacity - 1)
          front = length
        }
        start = (start + 1) & (capacity - 1)
        length--
        front--
      }

      if (length === 0) {
        this.#out.hasNulls = true
        for (let each = first; each < k; each++) this.#out.valid[rows === undefined ? each : rows[each]!] = 0
        continue
      }
      const back = total(sum, lost)
      const mean = (front > 0 ? sums[base + start]! + back : back) / length
      for (let each = first; each < k; each++) out[rows === undefined ? each : rows[each]!] = mean
    }

    rings.start[partition] = start
    rings.length[partition] = length
    this.#front[partition] = front
    this.#sums[partition] = sum
    this.#lost[partition] = lost
    this.#rows[partition] = rowsBefore
  }

  reset(partition: number): void {
    if (partition >= this.#front.length) return
    this.#rings.clear(partition)
    this.#front[partition] = 0
    this.#sums[partition] = 0
    this.#lost[partition] = 0
    this.#rows[partition] = 0
  }
  finish(): Column {
    return this.#out.column()
  }
}

/** Replaces each value by the sum of it and those after it. */
function toFront(sums: Float64Array, base: number, start: number, length: number, mask: number): void {
  let sum = 0
  let lost = 0
  for (let i = length - 1; i >= 0; i--) {
    const place = base + ((start + i) & mask)
    const value = sums[place]!
    const next = sum + value
    lost += roundedAway(sum, value, next)
    sum = next
    sums[place] = total(sum, lost)
  }
}
