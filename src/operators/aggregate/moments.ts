/**
 * Mean and sum of squared deviations, numerically stable: B. P. Welford, "Note on a Method for Calculating Corrected Sums
 * of Squares and Products" (1962), and merged after Chan, Golub, LeVeque, "Updating Formulae …" (1979), eq. 2.1.
 */
import type { Column } from '../../columnar/batch.ts'
import { type AggregateState, forValues, type GroupedRows, grownNumbers } from './state.ts'

/** Per group: count, mean, squared deviations. */
const width = 3

export class MomentsState implements AggregateState {
  #cells = new Float64Array(0)

  get byteLength(): number {
    return this.#cells.byteLength
  }
  reserve(groups: number): void {
    this.#cells = grownNumbers(this.#cells, groups * width) as Float64Array<ArrayBuffer>
  }

  add(column: Column, rows: GroupedRows): void {
    forValues(column, rows, (row, group) => this.#addValue(group, column.values[row]!))
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    const { values, valid } = column
    for (let row = from; row < to; row++)
      if (valid === undefined || valid[row] === 1) this.#addValue(group, values[row]!)
  }

  merge(other: MomentsState, from: Uint32Array, to: Uint32Array): void {
    const cells = this.#cells
    for (let i = 0; i < from.length; i++) {
      const otherAt = from[i]! * width
      const otherCount = other.#cells[otherAt]!
      if (otherCount === 0) continue
      const at = to[i]! * width
      const count = cells[at]!
      const total = count + otherCount
      const delta = other.#cells[otherAt + 1]! - cells[at + 1]!
      cells[at] = total
      cells[at + 1]! += (delta * otherCount) / total
      cells[at + 2]! += other.#cells[otherAt + 2]! + (delta * delta * count * otherCount) / total
    }
  }

  /** Of a sample: null below two values. */
  variance(group: number): number | null {
    const count = this.#cells[group * width]!
    return count < 2 ? null : Math.max(this.#cells[group * width + 2]!, 0) / (count - 1)
  }
  stddev(group: number): number | null {
    const variance = this.variance(group)
    return variance === null ? null : Math.sqrt(variance)
  }

  #addValue(group: number, value: number): void {
    const cells = this.#cells
    const at = group * width
    const count = ++cells[at]!
    const delta = value - cells[at + 1]!
    cells[at + 1]! += delta / count
    cells[at + 2]! += delta * (value - cells[at + 1]!)
  }
}
