/** The state that keeps every value: exact percentiles. */
import type { Column } from '../../columnar/batch.ts'
import { numbersFirst, selectPlace } from './select.ts'
import { type AggregateState, type DrainedValues, forValues, type GroupedRows } from './state.ts'
import { ValueChunks } from './value-chunks.ts'

/** Values drained at once. */
const drainedMax = 8192

/** A group's values side by side, as far as selecting has put them in order; NaN from `numbers` on. */
interface Gathered {
  readonly group: number
  readonly count: number
  readonly numbers: number
}

/** All values by group; put side by side when a result is asked for, which is then selected, not sorted. */
export class ValuesState implements AggregateState {
  readonly #chunks = new ValueChunks()
  #values = new Float64Array(0)
  #gathered: Gathered | undefined

  get byteLength(): number {
    return this.#chunks.byteLength + this.#values.byteLength
  }
  reserve(groups: number): void {
    this.#chunks.reserve(groups)
  }

  add(column: Column, rows: GroupedRows): void {
    this.#gathered = undefined
    const chunks = this.#chunks
    const values = column.values as Float64Array
    forValues(column, rows, (row, group) => chunks.push(group, values[row]!))
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    this.#gathered = undefined
    const { valid } = column
    const values = column.values as Float64Array
    if (valid === undefined) this.#chunks.append(group, values, from, to)
    else for (let row = from; row < to; row++) if (valid[row] === 1) this.#chunks.push(group, values[row]!)
  }

  merge(other: ValuesState, from: Uint32Array, to: Uint32Array): void {
    this.#gathered = undefined
    for (let i = 0; i < from.length; i++)
      other.#chunks.each(from[i]!, (values, begin, end) => this.#chunks.append(to[i]!, values, begin, end))
  }

  keep(groups: Uint32Array): void {
    this.#gathered = undefined
    this.#chunks.keep(groups)
  }

  release(): void {
    this.#chunks.release()
  }

  *drain(): Generator<DrainedValues> {
    const groups = new Uint32Array(drainedMax)
    const values = new Float64Array(drainedMax)
    const column = { type: 'float', values, valid: undefined } as const
    let length = 0
    for (let group = 0; group < this.#chunks.groups; group++) {
      const { count } = this.#gather(group)
      for (let from = 0; from < count; ) {
        const to = Math.min(from + drainedMax - length, count)
        values.set(this.#values.subarray(from, to), length)
        groups.fill(group, length, length + to - from)
        length += to - from
        from = to
        if (length < drainedMax) continue
        yield { length, groups, values: column, rows: undefined }
        length = 0
      }
    }
    if (length > 0) yield { length, groups, values: column, rows: undefined }
  }

  /** Linear between the two ranks around p · (n - 1), as `percentile_cont`. */
  percentile(group: number, p: number): number | null {
    const { count, numbers } = this.#gather(group)
    if (count === 0) return null
    const values = this.#values
    const position = p * (count - 1)
    const place = Math.floor(position)
    if (place >= numbers) return NaN
    selectPlace(values, place, 0, numbers - 1)
    const low = values[place]!
    if (position === place) return low + 0
    if (place + 1 === numbers) return NaN
    let high = values[place + 1]!
    for (let next = place + 2; next < numbers; next++) high = Math.min(high, values[next]!)
    return (low === high ? low : low + (high - low) * (position - place)) + 0
  }

  #gather(group: number): Gathered {
    if (this.#gathered?.group === group) return this.#gathered
    const count = this.#chunks.count(group)
    if (this.#values.length < count) this.#values = new Float64Array(2 * count)
    const values = this.#values
    let length = 0
    this.#chunks.each(group, (slab, from, to) => {
      values.set(slab.subarray(from, to), length)
      length += to - from
    })
    return (this.#gathered = { group, count, numbers: numbersFirst(values, 0, count) })
  }
}
