/** The state that keeps every value: exact percentiles. */
import type { Column } from '../../columnar/batch.ts'
import { EntriesByGroup } from './entries.ts'
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

/** Fewer groups than this share of all are put together one by one, from their runs alone. */
const fewShare = 1 / 8

/** Values by group, `starts[g]` to `starts[g + 1]`; NaN from `nans[g] - 1` on, or anywhere while that is 0. */
interface Grouped {
  readonly values: Float64Array
  readonly starts: Uint32Array
  readonly nans: Uint32Array
  /** The place of a group in `starts`, where not all have one. */
  readonly places: ReadonlyMap<number, number> | undefined
}

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
  readonly #ofGroups = new EntriesByGroup()
  #grouped: Grouped | undefined

  get byteLength(): number {
    const { byteLength } = this.#grouped?.values ?? { byteLength: 0 }
    return this.#values.byteLength + this.#runGroups.byteLength * 2 + this.#ofGroups.byteLength + byteLength
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

  merge(other: ValuesState, from: Uint32Array, to: Uint32Array): void {
    for (let i = 0; i < from.length; i++) {
      this.#grow(other.#rowsOf(from[i]!))
      const before = this.#length
      this.#length = other.#copyRuns(from[i]!, this.#values, before)
      if (this.#length > before) this.#endRun(to[i]!, this.#length)
    }
  }

  gather(groups: Uint32Array): void {
    if (this.#grouped !== undefined || groups.length > this.#groupCount * fewShare) return
    const starts = new Uint32Array(groups.length + 1)
    for (let i = 0; i < groups.length; i++) starts[i + 1] = starts[i]! + this.#rowsOf(groups[i]!)
    const values = new Float64Array(starts[groups.length]!)
    for (let i = 0; i < groups.length; i++) this.#copyRuns(groups[i]!, values, starts[i]!)
    const places = new Map(Array.from(groups, (group, i) => [group, i]))
    this.#grouped = { values, starts, nans: new Uint32Array(groups.length), places }
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
    const { values, starts, nans, places } = this.#groupedWith(group)
    const at = places === undefined ? group : places.get(group)!
    const from = starts[at]!
    const to = starts[at + 1]!
    if (from === to) return null
    if (nans[at] === 0) nans[at] = numbersFirst(values, from, to) + 1
    const numbersEnd = nans[at]! - 1
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

  #groupedWith(group: number): Grouped {
    const grouped = this.#grouped
    if (grouped !== undefined && (grouped.places === undefined || grouped.places.has(group))) return grouped
    this.#grouped = this.#partition()
    return this.#grouped
  }

  #rowsOf(group: number): number {
    const entries = this.#ofGroups
    entries.extend(this.#runs, this.#groupCount, run => this.#runGroups[run]!)
    let rows = 0
    for (let run = entries.newest(group); run >= 0; run = entries.before(run))
      rows += this.#runEnds[run]! - (run === 0 ? 0 : this.#runEnds[run - 1]!)
    return rows
  }

  /** Writes the values of a group whose runs are known; where they end. */
  #copyRuns(group: number, into: Float64Array, at: number): number {
    const entries = this.#ofGroups
    let next = at
    for (let run = entries.newest(group); run >= 0; run = entries.before(run)) {
      const start = run === 0 ? 0 : this.#runEnds[run - 1]!
      const end = this.#runEnds[run]!
      if (end - start >= copiedMin) into.set(this.#values.subarray(start, end), next)
      else for (let i = start, to = next; i < end; i++) into[to++] = this.#values[i]!
      next += end - start
    }
    return next
  }

  /** A counting sort by group, run by run. */
  #partition(): Grouped {
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
    return { values, starts, nans: new Uint32Array(this.#groupCount), places: undefined }
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
