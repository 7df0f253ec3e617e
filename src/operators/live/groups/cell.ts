/**
 * A cell: the groups of a stretch of time, as of a moment. What a step does to them is told by their rows before and after.
 *
 *   front   states that rows are added to
 *   edge    where the lower bound of the range moves through the cell: the rows that will leave, before those in front
 *
 * Invariants:
 * 1. The row of a group is known, from before the step, when the step first touches the group.
 * 2. All states share one table, so that a group has one id; a group whose rows have all left stays in the table.
 * 3. A row of a (series, time) is in front or in the edge, never in both.
 */
import type { Batch } from '../../../columnar/batch.ts'
import type { Scalar } from '../../../columnar/value.ts'
import { assert } from '../../../lib/assert.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
import type { Aggregation } from '../../aggregate/aggregation.ts'
import { Aggregator } from '../../aggregate/aggregator.ts'
import { GroupTable } from '../../aggregate/groups.ts'
import { grownCodes } from '../../aggregate/state.ts'
import { CountState } from '../../aggregate/summary.ts'
import { sameRow } from '../difference.ts'
import type { LiveRow } from '../types.ts'
import { Edge, type EdgeReader } from './edge.ts'
import type { KeptMemory } from './memory.ts'

/** What a step did to groups, each once: its row before and after; undefined: it has none. */
export class GroupChanges {
  readonly before: (LiveRow | undefined)[] = []
  readonly after: (LiveRow | undefined)[] = []

  get length(): number {
    return this.after.length
  }
  /** Rows that differ. */
  push(before: LiveRow | undefined, after: LiveRow | undefined): void {
    this.before.push(before)
    this.after.push(after)
  }
}

/** An aggregation twice: as it is, and with the count of rows as a last value, which tells where no row is left. */
export interface Aggregations {
  readonly plain: Aggregation
  readonly counted: Aggregation
}

export interface LeaveReader extends EdgeReader {
  /** No row of the range is later. */
  lastTimeUs(range: TimeRange): number
}

/** What a row takes that is known: an array and its values. */
const rowBytes = (columns: number): number => 48 + 16 * columns

export class Cell {
  readonly range: TimeRange
  /** The step that used it last. */
  usedIn = 0
  readonly #aggregations: Aggregations
  readonly #memory: KeptMemory
  readonly #table: GroupTable
  #front: Aggregator
  #edge: Edge | undefined
  /** No row in front is earlier; -Infinity: nobody knows. */
  #frontFromUs = -Infinity
  /** By group, its row as the last step left it; null: it has none; undefined: nobody has asked. */
  readonly #rows: (LiveRow | null | undefined)[] = []
  #known = 0
  #touchedIn: Uint32Array = new Uint32Array(0)
  #step = 0
  #touched: number[] = []
  #gone = 0

  private constructor(range: TimeRange, aggregations: Aggregations, memory: KeptMemory) {
    const { keyTypes, bucket } = aggregations.plain
    this.range = range
    this.#aggregations = aggregations
    this.#memory = memory
    this.#table = new GroupTable(keyTypes, bucket !== undefined)
    this.#front = new Aggregator(aggregations.plain, memory, this.#table)
  }

  /** `addRows` adds the rows of before the step. */
  static async of(
    range: TimeRange,
    aggregations: Aggregations,
    memory: KeptMemory,
    addRows: (to: Aggregator) => Promise<void>,
  ): Promise<Cell> {
    const cell = new Cell(range, aggregations, memory)
    try {
      await addRows(cell.#front)
      cell.#account()
      return cell
    } catch (error) {
      cell.release()
      throw error
    }
  }

  /** Most groups have left: a table without them is worth making. */
  get isStale(): boolean {
    return this.#gone > 1024 && this.#gone > this.#table.size / 2
  }

  /** A step begins. */
  begin(step: number): void {
    this.#step = step
    this.usedIn = step
  }

  /** Adds rows. Borrowed. */
  add(batch: Batch): void {
    const sizeBefore = this.#table.size
    const groups = this.#front.assign(batch)
    this.#touch(groups, batch, sizeBefore)
    if (this.#frontFromUs > -Infinity) this.#addToParts(batch)
    else if (this.#front.takesAnyRange) this.#front.add(batch)
    else this.#front.addTo(groups, batch)
  }

  /** Adds rows to some states alone: by slot of the aggregation those rows for which it has something new; see `late.ts`. */
  addTo(batch: Batch, rowsOfSlot: readonly (Uint32Array | undefined)[]): void {
    const groups = this.#front.assign(batch)
    this.#touch(groups, batch, this.#table.size)
    this.#front.addToSlots(groups, batch, rowsOfSlot)
  }

  /** Whether all rows from here on are in front. */
  isInFront(fromUs: number): boolean {
    return this.#edge === undefined || fromUs >= this.#edge.toUs
  }

  /**
   * Lets go of the rows of a range, which is what is left of the cell before the new lower bound. `isSure`: the bound will go on
   * through the cell, so that it pays to be ready for it.
   */
  async leave(gone: TimeRange, nowUs: number, isSure: boolean, reader: LeaveReader): Promise<void> {
    const edge = this.#edge
    if (edge === undefined && gone.toUs <= this.#frontFromUs) return
    const held = edge?.leaving(gone.toUs)
    let isAny = held !== undefined
    if (held !== undefined) for (const batch of held) this.#touchRows(batch)
    else
      for await (const batch of reader.rows(gone)) {
        isAny = true
        this.#touchRows(batch)
      }
    if (edge !== undefined) {
      if (await edge.moveTo(gone.toUs, reader)) return
      edge.release()
      this.#edge = undefined
    } else if (!isAny && !isSure) return
    await this.#cutFrom(gone.toUs, nowUs, reader)
  }

  /** Appends what the step has changed, and ends it. */
  takeChanges(into: GroupChanges): void {
    const touched = this.#touched
    if (touched.length === 0) return
    const rows = this.#read(touched)
    for (let i = 0; i < touched.length; i++) {
      const group = touched[i]!
      const before = this.#rows[group] ?? undefined
      const after = rows[i] ?? undefined
      this.#rows[group] = rows[i]!
      if (before === after || (before !== undefined && after !== undefined && sameRow(before, after))) continue
      if (after === undefined) this.#gone++
      into.push(before, after)
    }
    this.#touched = []
    this.#account()
  }

  /** Whether some of its groups can be made again alone. */
  get canRemakeSome(): boolean {
    return this.#edge === undefined
  }

  /** Makes the groups again that have such keys: `addRows` adds all their rows, and no others. */
  async remakeSome(
    isConcerned: (keys: readonly Scalar[]) => boolean,
    addRows: (to: Aggregator) => Promise<void>,
  ): Promise<void> {
    const concerned: number[] = []
    const others: number[] = []
    const keys: Scalar[] = []
    for (let group = 0; group < this.#table.size; group++) {
      this.#front.writeKeys(group, keys)
      ;(isConcerned(keys) ? concerned : others).push(group)
    }
    this.#touchGroups(concerned)
    const sizeBefore = this.#table.size
    const made = new Aggregator(this.#aggregations.counted, this.#memory, this.#table)
    try {
      await addRows(made)
    } catch (error) {
      made.release()
      throw error
    }
    const came = Uint32Array.from({ length: this.#table.size - sizeBefore }, (_, i) => sizeBefore + i)
    this.#touch(came, { length: came.length, columns: [], selection: undefined }, sizeBefore)
    const kept = Uint32Array.from(others)
    this.#front.reserve()
    made.merge(this.#front, kept, kept)
    // Groups that nothing was taken from have rows: how many is not known, nor asked.
    if (made.slots.length > this.#front.slots.length) countOnce(made, kept)
    this.#front.release()
    this.#front = made
    this.#frontFromUs = -Infinity
  }

  /** Ends the step without a word. Returns the rows of before it. */
  takeRowsBefore(): LiveRow[] {
    this.#touchGroups(Array.from({ length: this.#table.size }, (_, group) => group))
    this.#touched = []
    return this.#rows.filter(row => row !== null && row !== undefined)
  }

  /** All rows as they are, which are known from then on. */
  readAll(): LiveRow[] {
    const groups = Array.from({ length: this.#table.size }, (_, group) => group)
    const rows = this.#read(groups)
    for (const group of groups) this.#know(group, rows[group]!)
    this.#account()
    return this.#rows.filter(row => row !== null && row !== undefined)
  }

  release(): void {
    this.#front.release()
    this.#edge?.release()
    this.#memory.release(this)
    this.#memory.release(this.#table)
  }

  #addToParts(batch: Batch): void {
    const times = this.#front.times(batch)
    const [earlier, later] = cutAt(batch, times, this.#edge?.toUs ?? -Infinity)
    if (earlier !== undefined) this.#edge!.add(earlier)
    if (later === undefined) return
    this.#frontFromUs = Math.min(this.#frontFromUs, firstTimeOf(later, times))
    this.#front.add(later)
  }

  #touch(groups: Uint32Array, { length, selection }: Batch, sizeBefore: number): void {
    const { size } = this.#table
    this.#touchedIn = grownCodes(this.#touchedIn, size)
    const touchedIn = this.#touchedIn
    const step = this.#step
    const unknown: number[] = []
    const count = selection?.length ?? length
    for (let k = 0; k < count; k++) {
      const group = groups[selection === undefined ? k : selection[k]!]!
      if (touchedIn[group] === step) continue
      touchedIn[group] = step
      this.#touched.push(group)
      if (group >= sizeBefore) this.#know(group, null)
      else if (this.#rows[group] === undefined) unknown.push(group)
    }
    if (unknown.length === 0) return
    const rows = this.#read(unknown)
    for (let i = 0; i < unknown.length; i++) this.#know(unknown[i]!, rows[i]!)
  }

  /** Says that the groups will change. */
  #touchGroups(groups: readonly number[]): void {
    this.#touch(
      Uint32Array.from(groups),
      { length: groups.length, columns: [], selection: undefined },
      this.#table.size,
    )
  }

  /** Says that the rows' groups will change. */
  #touchRows(batch: Batch): void {
    const sizeBefore = this.#table.size
    this.#touch(this.#front.assign(batch), batch, sizeBefore)
  }

  /** Makes the states anew, with an edge for the bound to move through. */
  async #cutFrom(fromUs: number, nowUs: number, reader: LeaveReader): Promise<void> {
    const { counted: aggregation } = this.#aggregations
    const groups = { aggregation, memory: this.#memory, table: this.#table }
    const endUs = reader.lastTimeUs({ fromUs, toUs: this.range.toUs }) + 1
    // Not up to rows of the far future: what comes would be late for ever.
    const toUs = Math.min(endUs, this.range.toUs, Math.max(nowUs, fromUs) + 1)
    this.#front.release()
    this.#front = new Aggregator(aggregation, this.#memory, this.#table)
    if (fromUs < toUs) this.#edge = await Edge.over({ fromUs, toUs }, groups, reader)
    this.#frontFromUs = endUs > toUs ? Math.max(fromUs, toUs) : Infinity
    if (endUs > toUs) await reader.addRows(this.#front, { fromUs: this.#frontFromUs, toUs: this.range.toUs })
  }

  #know(group: number, row: LiveRow | null): void {
    while (this.#rows.length <= group) this.#rows.push(undefined)
    if (this.#rows[group] === undefined) this.#known++
    this.#rows[group] = row
  }

  /** The rows of groups as their states are. */
  #read(groups: readonly number[]): (LiveRow | null)[] {
    if (this.#edge === undefined) {
      this.#front.reserve()
      if (this.#front.gathers) this.#front.gather(Uint32Array.from(groups))
      return groups.map(group => this.#row(this.#front, group, group))
    }
    const sum = new Aggregator(this.#front.aggregation, unaccounted)
    const ids = Uint32Array.from(groups)
    const places = Uint32Array.from(ids.keys())
    for (const { state } of sum.slots) state.reserve(groups.length)
    for (const part of [this.#front, ...this.#edge.aggregators()]) {
      part.reserve()
      sum.merge(part, ids, places)
    }
    sum.gather(places)
    return groups.map((group, i) => this.#row(sum, i, group))
  }

  #row(states: Aggregator, at: number, group: number): LiveRow | null {
    const known = this.#rows[group]
    const { schema } = this.#aggregations.plain.node
    const row: Scalar[] = known?.slice() ?? new Array<Scalar>(schema.length).fill(null)
    if (!known) this.#front.writeKeys(group, row)
    states.writeValues(at, row)
    if (states.aggregation === this.#aggregations.plain) return row
    const isThere = row.pop() !== 0 || states.node.keys.length === 0
    return isThere ? row : null
  }

  #account(): void {
    const { schema } = this.#aggregations.plain.node
    this.#memory.hold(this.#table, this.#table.byteLength)
    this.#memory.hold(this, this.#touchedIn.byteLength + 8 * this.#rows.length + this.#known * rowBytes(schema.length))
  }
}

function firstTimeOf({ selection, length }: Batch, times: Float64Array): number {
  let first = Infinity
  const count = selection?.length ?? length
  for (let k = 0; k < count; k++) first = Math.min(first, times[selection === undefined ? k : selection[k]!]!)
  return first
}

/** The count of rows is the last value. */
function countOnce(aggregator: Aggregator, groups: Uint32Array): void {
  const { state } = aggregator.outputs.at(-1)!.slot
  assert(state instanceof CountState, 'rows are counted')
  for (const group of groups) state.addCount(group, 1)
}

const unaccounted = { hold: () => true, release: () => {} }

/** Rows before a time, and the others; undefined: none. */
function cutAt(batch: Batch, times: Float64Array, atUs: number): [Batch | undefined, Batch | undefined] {
  const { selection, length } = batch
  const count = selection?.length ?? length
  const earlier = new Uint32Array(count)
  const later = new Uint32Array(count)
  let earlierRows = 0
  let laterRows = 0
  for (let k = 0; k < count; k++) {
    const row = selection === undefined ? k : selection[k]!
    if (times[row]! < atUs) earlier[earlierRows++] = row
    else later[laterRows++] = row
  }
  if (earlierRows === 0) return [undefined, batch]
  if (laterRows === 0) return [batch, undefined]
  return [
    { ...batch, selection: earlier.subarray(0, earlierRows) },
    { ...batch, selection: later.subarray(0, laterRows) },
  ]
}
