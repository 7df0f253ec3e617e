/** The state that keeps every value: exact percentiles. */
import type { Column } from '../../columnar/batch.ts'
import { numbersFirst, selectPlace } from './select.ts'
import {
  type AggregateState,
  type DrainedValues,
  forValues,
  type GroupedRows,
  grownCodes,
  grownNumbers,
  noGroup,
} from './state.ts'

/** Values drained at once. */
const drainedMax = 8192
/** Fewer values are copied one by one: a call of `set` costs about as much. */
const copiedMin = 16

/**
 * All values, in the order they came, as runs of one group; put together by group when a result is asked for, which is then
 * selected, not sorted.
 */
export class ValuesState implements AggregateState {
  #length = 0
  #values = new Float64Array(0)
  /** Run r is values `runEnds[r - 1]` to `runEnds[r]`. */
  #runs = 0
  #runGroups: Uint32Array = new Uint32Array(0)
  #runEnds: Uint32Array = new Uint32Array(0)
  #groupCount = 0
  /** Values by group, `starts[g]` to `starts[g + 1]`; NaN from `nans[g] - 1` on, or anywhere while that is 0. */
  #grouped: { readonly values: Float64Array; readonly starts: Uint32Array; readonly nans: Uint32Array } | undefined

  get byteLength(): number {
    const { byteLength } = this.#grouped?.values ?? { byteLength: 0 }
    return this.#values.byteLength + this.#runGroups.byteLength * 2 + byteLength
  }
  reserve(groups: number): void {
    this.#groupCount = groups
  }

  add(column: Column, rows: GroupedRows): void {
    this.#grow(rows.selection?.length ?? rows.length)
    const kept = this.#values
    let length = this.#length
    let lastGroup = noGroup
    forValues(column, rows, (row, group) => {
      if (group !== lastGroup && lastGroup !== noGroup) this.#endRun(lastGroup, length)
      lastGroup = group
      kept[length++] = column.values[row]!
    })
    if (lastGroup !== noGroup) this.#endRun(lastGroup, length)
    this.#length = length
  }

  addRange(column: Column, from: number, to: number, group: number): void {
    this.#grow(to - from)
    const { valid } = column
    const values = column.values as Float64Array
    const kept = this.#values
    let length = this.#length
    if (valid === undefined) {
      kept.set(values.subarray(from, to), length)
      length += to - from
    } else for (let row = from; row < to; row++) if (valid[row] === 1) kept[length++] = values[row]!
    if (length > this.#length) this.#endRun(group, length)
    this.#length = length
  }

  merge(other: ValuesState, groups: Uint32Array): void {
    let rows = 0
    let start = 0
    for (let run = 0; run < other.#runs; run++) {
      if (groups[other.#runGroups[run]!] !== noGroup) rows += other.#runEnds[run]! - start
      start = other.#runEnds[run]!
    }
    this.#grow(rows)
    start = 0
    for (let run = 0; run < other.#runs; run++) {
      const group = groups[other.#runGroups[run]!]!
      const end = other.#runEnds[run]!
      if (group !== noGroup) {
        this.#values.set(other.#values.subarray(start, end), this.#length)
        this.#length += end - start
        this.#endRun(group, this.#length)
      }
      start = end
    }
  }

  *drain(): Generator<DrainedValues> {
    let run = 0
    for (let from = 0; from < this.#length; from += drainedMax) {
      const to = Math.min(from + drainedMax, this.#length)
      const groups = new Uint32Array(to - from)
      for (let at = from; at < to; at = Math.min(this.#runEnds[run]!, to)) {
        if (at === this.#runEnds[run]) run++
        groups.fill(this.#runGroups[run]!, at - from, Math.min(this.#runEnds[run]!, to) - from)
      }
      const values = { type: 'float', values: this.#values.subarray(from, to), valid: undefined } as const
      yield { length: to - from, groups, values, rows: undefined }
    }
  }

  /** Linear between the two ranks around p · (n - 1), as `percentile_cont`. */
  percentile(group: number, p: number): number | null {
    const { values, starts, nans } = (this.#grouped ??= this.#partition())
    const from = starts[group]!
    const to = starts[group + 1]!
    if (from === to) return null
    if (nans[group] === 0) nans[group] = numbersFirst(values, from, to) + 1
    const numbersEnd = nans[group]! - 1
    const position = p * (to - from - 1)
    const rank = Math.floor(position)
    const place = from + rank
    if (place >= numbersEnd) return NaN
    selectPlace(values, place, from, numbersEnd - 1)
    const low = values[place]!
    if (position === rank) return low + 0
    if (place + 1 === numbersEnd) return NaN
    let high = values[place + 1]!
    for (let next = place + 2; next < numbersEnd; next++) high = Math.min(high, values[next]!)
    return (low === high ? low : low + (high - low) * (position - rank)) + 0
  }

  /** A counting sort by group, run by run. */
  #partition() {
    const starts = new Uint32Array(this.#groupCount + 1)
    let start = 0
    for (let run = 0; run < this.#runs; run++) {
      starts[this.#runGroups[run]! + 1]! += this.#runEnds[run]! - start
      start = this.#runEnds[run]!
    }
    for (let group = 0; group < this.#groupCount; group++) starts[group + 1]! += starts[group]!
    const next = starts.slice()
    const values = new Float64Array(this.#length)
    const from = this.#values
    start = 0
    for (let run = 0; run < this.#runs; run++) {
      const group = this.#runGroups[run]!
      const end = this.#runEnds[run]!
      let at = next[group]!
      if (end - start >= copiedMin) values.set(from.subarray(start, end), at)
      else for (let i = start; i < end; i++) values[at++] = from[i]!
      next[group]! += end - start
      start = end
    }
    return { values, starts, nans: new Uint32Array(this.#groupCount) }
  }

  /** What came since the last run is of this group. */
  #endRun(group: number, end: number): void {
    if (this.#runs > 0 && this.#runGroups[this.#runs - 1] === group) {
      this.#runEnds[this.#runs - 1] = end
      return
    }
    if (this.#runs === this.#runEnds.length) {
      this.#runGroups = grownCodes(this.#runGroups, this.#runs + 1)
      this.#runEnds = grownCodes(this.#runEnds, this.#runs + 1)
    }
    this.#runGroups[this.#runs] = group
    this.#runEnds[this.#runs++] = end
  }

  #grow(rows: number): void {
    this.#grouped = undefined
    this.#values = grownNumbers(this.#values, this.#length + rows) as Float64Array<ArrayBuffer>
  }
}
