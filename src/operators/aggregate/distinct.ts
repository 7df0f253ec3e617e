/** How often each value occurs: `count(distinct v)` and `mode(v)` of one argument share this state. */
import type { Column, ValueType } from '../../columnar/batch.ts'
import { ColumnBuilder } from '../../columnar/builder.ts'
import { compareScalars, type Scalar } from '../../columnar/value.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import { EntriesByGroup } from './entries.ts'
import { type KeyIndex, keyIndex, PairTable } from './keys.ts'
import {
  type AggregateState,
  type DrainedValues,
  forValues,
  type GroupedRows,
  grownCodes,
  grownNumbers,
} from './state.ts'

/** Values drained at once. */
const drainedMax = 8192

export class FrequencyState implements AggregateState {
  readonly #type: ValueType
  readonly #keys: KeyIndex
  /** (group, value id). */
  readonly #pairs = new PairTable()
  /** Rows of each pair. */
  #rows = new Float64Array(0)
  /** Pairs of each group. */
  #counts = new Float64Array(0)
  /** By group its most frequent pair + 1: worked out when a mode is asked for, and kept from then on. */
  #modes: Uint32Array | undefined
  readonly #ofGroups = new EntriesByGroup()
  readonly #ids = reusableCodes()
  readonly #selection = reusableCodes()

  constructor(type: ValueType) {
    this.#type = type
    this.#keys = keyIndex(type)
  }

  get byteLength(): number {
    const asked = (this.#modes?.byteLength ?? 0) + this.#ofGroups.byteLength
    return this.#keys.byteLength + this.#pairs.byteLength + this.#rows.byteLength + this.#counts.byteLength + asked
  }
  reserve(groups: number): void {
    if (this.#modes !== undefined) this.#modes = grownCodes(this.#modes, groups)
    this.#counts = grownNumbers(this.#counts, groups) as Float64Array<ArrayBuffer>
  }

  add(column: Column, rows: GroupedRows): void {
    const ids = this.#ids(rows.length)
    this.#keys.assign(column, { length: rows.length, columns: [], selection: rows.selection }, ids)
    forValues(column, rows, (row, group) => this.#add(group, ids[row]!, 1))
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    const selection = this.#selection(to - from).subarray(0, to - from)
    for (let k = 0; k < selection.length; k++) selection[k] = from + k
    const ids = this.#ids(to)
    this.#keys.assign(column, { length: to, columns: [], selection }, ids)
    for (let row = from; row < to; row++)
      if (column.valid === undefined || column.valid[row] === 1) this.#add(group, ids[row]!, 1)
  }

  merge(other: FrequencyState, from: Uint32Array, to: Uint32Array): void {
    const entries = other.#ofGroups
    entries.extend(other.#pairs.size, other.#counts.length, pair => other.#pairs.left(pair))
    for (let i = 0; i < from.length; i++)
      for (let pair = entries.newest(from[i]!); pair >= 0; pair = entries.before(pair))
        this.#add(to[i]!, this.#keys.idOf(other.#keys.value(other.#pairs.right(pair))), other.#rows[pair]!)
  }

  *drain(): Generator<DrainedValues> {
    for (let from = 0; from < this.#pairs.size; from += drainedMax) {
      const to = Math.min(from + drainedMax, this.#pairs.size)
      const values = new ColumnBuilder(this.#type, to - from)
      const groups = new Uint32Array(to - from)
      for (let pair = from; pair < to; pair++) {
        values.push(this.#valueOf(pair))
        groups[pair - from] = this.#pairs.left(pair)
      }
      yield { length: to - from, groups, values: values.column(), rows: this.#rows.subarray(from, to) }
    }
  }

  /** How many distinct values. */
  distinct(group: number): number {
    return this.#counts[group]!
  }

  /** The most frequent value; of equally frequent ones the smallest. */
  mode(group: number): Scalar {
    this.#modes ??= this.#findModes()
    const pair = this.#modes[group]!
    return pair === 0 ? null : this.#valueOf(pair - 1)
  }

  #add(group: number, id: number, rows: number): void {
    const known = this.#pairs.size
    const pair = this.#pairs.id(group, id)
    if (pair === known) {
      this.#counts[group]!++
      this.#rows = grownNumbers(this.#rows, pair + 1) as Float64Array<ArrayBuffer>
    }
    this.#rows[pair]! += rows
    if (this.#modes !== undefined) this.#offer(this.#modes, group, pair)
  }

  #offer(modes: Uint32Array, group: number, pair: number): void {
    const best = modes[group]!
    if (best === 0 || (best !== pair + 1 && this.#isBetter(pair, best - 1))) modes[group] = pair + 1
  }

  #findModes(): Uint32Array {
    const modes = new Uint32Array(this.#counts.length)
    for (let pair = 0; pair < this.#pairs.size; pair++) this.#offer(modes, this.#pairs.left(pair), pair)
    return modes
  }

  #isBetter(pair: number, than: number): boolean {
    if (this.#rows[pair] !== this.#rows[than]) return this.#rows[pair]! > this.#rows[than]!
    return compareScalars(this.#valueOf(pair), this.#valueOf(than)) < 0
  }

  /** Nulls are not counted. */
  #valueOf(pair: number): Exclude<Scalar, null> {
    return this.#keys.value(this.#pairs.right(pair)) as Exclude<Scalar, null>
  }
}
