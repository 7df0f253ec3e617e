/** States that keep every value: exact percentiles, and distinct values. */
import type { Column, ValueType } from '../../columnar/batch.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import { type KeyIndex, keyIndex, PairTable } from './keys.ts'
import { type AggregateState, forValues, type GroupedRows, grownCodes, grownNumbers, noGroup } from './state.ts'

/** All values, in the order they came; sorted by group when a result is asked for. */
export class ValuesState implements AggregateState {
  #length = 0
  #groups: Uint32Array = new Uint32Array(0)
  #values = new Float64Array(0)
  #groupCount = 0
  /** Values by group, each group's ascending with NaN last; `starts[g]` to `starts[g + 1]`. */
  #sorted: { readonly values: Float64Array; readonly starts: Uint32Array; readonly done: Uint8Array } | undefined

  get byteLength(): number {
    const sorted = this.#sorted
    return this.#values.byteLength + this.#groups.byteLength + (sorted === undefined ? 0 : sorted.values.byteLength)
  }
  reserve(groups: number): void {
    this.#groupCount = groups
  }

  add(column: Column, rows: GroupedRows): void {
    this.#grow(rows.selection?.length ?? rows.length)
    forValues(column, rows, (row, group) => {
      this.#values[this.#length] = column.values[row]!
      this.#groups[this.#length++] = group
    })
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    this.#grow(to - from)
    const { values, valid } = column
    for (let row = from; row < to; row++) {
      if (valid !== undefined && valid[row] === 0) continue
      this.#values[this.#length] = values[row]!
      this.#groups[this.#length++] = group
    }
  }

  merge(other: ValuesState, groups: Uint32Array): void {
    this.#grow(other.#length)
    for (let i = 0; i < other.#length; i++) {
      const group = groups[other.#groups[i]!]!
      if (group === noGroup) continue
      this.#values[this.#length] = other.#values[i]!
      this.#groups[this.#length++] = group
    }
  }

  /** Linear between the two ranks around p · (n - 1), as `percentile_cont`. */
  percentile(group: number, p: number): number | null {
    const sorted = (this.#sorted ??= this.#partition())
    const from = sorted.starts[group]!
    const to = sorted.starts[group + 1]!
    if (from === to) return null
    const values = sorted.values.subarray(from, to)
    if (sorted.done[group] === 0) {
      values.sort()
      sorted.done[group] = 1
    }
    const position = p * (values.length - 1)
    const rank = Math.floor(position)
    const low = values[rank]!
    const high = values[Math.min(rank + 1, values.length - 1)]!
    return (low === high || position === rank ? low : low + (high - low) * (position - rank)) + 0
  }

  /** A counting sort by group. */
  #partition() {
    const starts = new Uint32Array(this.#groupCount + 1)
    for (let i = 0; i < this.#length; i++) starts[this.#groups[i]! + 1]!++
    for (let group = 0; group < this.#groupCount; group++) starts[group + 1]! += starts[group]!
    const next = starts.slice()
    const values = new Float64Array(this.#length)
    for (let i = 0; i < this.#length; i++) values[next[this.#groups[i]!]!++] = this.#values[i]!
    return { values, starts, done: new Uint8Array(this.#groupCount) }
  }

  #grow(rows: number): void {
    this.#sorted = undefined
    this.#values = grownNumbers(this.#values, this.#length + rows) as Float64Array<ArrayBuffer>
    this.#groups = grownCodes(this.#groups, this.#length + rows)
  }
}

/** `count(distinct v)`: pairs of (group, value id), each counted once. */
export class DistinctState implements AggregateState {
  readonly #keys: KeyIndex
  readonly #pairs = new PairTable()
  #counts = new Float64Array(0)
  readonly #ids = reusableCodes()

  constructor(type: ValueType) {
    this.#keys = keyIndex(type)
  }

  get byteLength(): number {
    return this.#keys.byteLength + this.#pairs.byteLength + this.#counts.byteLength
  }
  reserve(groups: number): void {
    this.#counts = grownNumbers(this.#counts, groups) as Float64Array<ArrayBuffer>
  }

  add(column: Column, rows: GroupedRows): void {
    const ids = this.#ids(rows.length)
    this.#keys.assign(column, { length: rows.length, columns: [], selection: rows.selection }, ids)
    forValues(column, rows, (row, group) => this.#offer(group, ids[row]!))
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    const selection = new Uint32Array(to - from)
    for (let k = 0; k < selection.length; k++) selection[k] = from + k
    const ids = this.#ids(to)
    this.#keys.assign(column, { length: to, columns: [], selection }, ids)
    for (let row = from; row < to; row++)
      if (column.valid === undefined || column.valid[row] === 1) this.#offer(group, ids[row]!)
  }

  merge(other: DistinctState, groups: Uint32Array): void {
    for (let pair = 0; pair < other.#pairs.size; pair++) {
      const group = groups[other.#pairs.left(pair)]!
      if (group !== noGroup) this.#offer(group, this.#keys.idOf(other.#keys.value(other.#pairs.right(pair))))
    }
  }

  count(group: number): number {
    return this.#counts[group]!
  }

  #offer(group: number, id: number): void {
    const known = this.#pairs.size
    if (this.#pairs.id(group, id) === known) this.#counts[group]!++
  }
}
