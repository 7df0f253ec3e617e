/** Rows of a block that are wanted, as ranges. */
import { blockRowsMax } from '../../kernels/kernels.ts'

export class RowRanges {
  /** from, to, from, to, … within the block, none adjacent. */
  readonly bounds = new Uint32Array(2 * blockRowsMax)
  count = 0

  /** After those that are there. */
  add(from: number, to: number): void {
    const { bounds, count } = this
    if (count > 0 && bounds[2 * count - 1] === from) bounds[2 * count - 1] = to
    else {
      bounds[2 * count] = from
      bounds[2 * count + 1] = to
      this.count++
    }
  }

  /** `rows` in all, one by one. */
  rows(rows: number): Uint16Array {
    const all = new Uint16Array(rows)
    let next = 0
    for (let i = 0; i < this.count; i++)
      for (let row = this.bounds[2 * i]!; row < this.bounds[2 * i + 1]!; row++) all[next++] = row
    return all
  }
}
