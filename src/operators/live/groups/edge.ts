/**
 * The edge: rows that leave one after another as the lower bound of a range moves on, of states that cannot let go of any.
 *
 *   [ current |   slice   |   slice   |   slice   )  toUs        suffix i = all rows from slice i on
 *   ^ from    [----------- suffix 1 --------------)
 *                         [------ suffix 2 -------)
 *                                     [ suffix 3  )
 *
 * There is a state for each place where the bound will be next, made once for each pass of the bound, and only what is left of
 * the current slice is added anew when some of it has left: the two stacks of K. Tangwongsan, M. Hirzel, S. Schneider,
 * "Low-Latency Sliding-Window Aggregation in Worst-Case Constant Time", DEBS 2017, section 2. A slice of many rows is cut in
 * the same way itself when it becomes the current one; as soon as they are few enough, its rows are held.
 *
 * Invariants:
 * 1. Each row in [from, toUs) is in `current`, in one suffix that is in force, or among those that came since, in one of them.
 * 2. Held rows are sorted by time, and all that there are before `heldToUs` but for those that came since.
 */
import { type Batch, columnIndex, rowCount } from '../../../columnar/batch.ts'
import { BatchBuilder } from '../../../columnar/builder.ts'
import { firstAtOrAfter } from '../../../columnar/search.ts'
import { sliceBatch } from '../../../columnar/slice.ts'
import { assert } from '../../../lib/assert.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
import type { Aggregation } from '../../aggregate/aggregation.ts'
import { Aggregator, type GroupMemory } from '../../aggregate/aggregator.ts'
import type { GroupTable } from '../../aggregate/groups.ts'
import type { BatchStream } from '../../operator.ts'

const slicesMax = 16
/** Rows of a slice that are held, */
const heldRowsMax = 32_768
/** that are added anew when some have left, */
const currentRowsMax = 256
/** and that may come later: with more all is cut anew. */
const lateRowsMax = 8192

/** Reads rows of a range as of the beginning of a step. */
export interface EdgeReader {
  rows(range: TimeRange): BatchStream
  addRows(aggregator: Aggregator, range: TimeRange): Promise<void>
}

export interface EdgeGroups {
  readonly aggregation: Aggregation
  readonly memory: GroupMemory
  readonly table: GroupTable
}

interface Level {
  /** Starts of slices, and the end of the last. */
  readonly bounds: readonly number[]
  /** By slice; undefined: not in force any more, or never was. */
  readonly suffixes: (Aggregator | undefined)[]
  /** The slice that the bound is in. */
  current: number
}

export class Edge {
  /** Rows from here on are not in it. */
  readonly toUs: number
  readonly #groups: EdgeGroups
  readonly #timeColumn: number
  #fromUs = -Infinity
  /** The outermost first: each is cut from the current slice of the one before. */
  readonly #levels: Level[] = []
  #held: BatchBuilder
  #heldToUs = -Infinity
  /** Of held rows, from the bound to the end of the current slice. */
  #current: Aggregator
  #currentToUs = -Infinity
  #late: BatchBuilder
  #lateGroups: Aggregator
  #lateFromUs = Infinity

  private constructor(groups: EdgeGroups, toUs: number) {
    const { input } = groups.aggregation
    this.toUs = toUs
    this.#groups = groups
    this.#timeColumn = columnIndex(input, 'time')
    this.#held = new BatchBuilder(input)
    this.#late = new BatchBuilder(input)
    this.#current = this.#newAggregator()
    this.#lateGroups = this.#newAggregator()
  }

  /** With all rows of the range. */
  static async over({ fromUs, toUs }: TimeRange, groups: EdgeGroups, reader: EdgeReader): Promise<Edge> {
    const edge = new Edge(groups, toUs)
    try {
      edge.#fromUs = fromUs
      await edge.#enter(fromUs, toUs, reader)
      edge.#addCurrent()
      return edge
    } catch (error) {
      edge.release()
      throw error
    }
  }

  /** What has the rows, each once. */
  *aggregators(): Generator<Aggregator> {
    yield this.#current
    yield this.#lateGroups
    for (const { suffixes, current } of this.#levels) {
      const suffix = suffixes[current + 1]
      if (suffix !== undefined) yield suffix
    }
  }

  /** Adds rows of before `toUs` that came since; the batch is borrowed. */
  add(batch: Batch): void {
    this.#late.append(batch)
    const times = this.#timesOf(this.#late)
    for (let row = this.#late.length - rowCount(batch); row < this.#late.length; row++)
      this.#lateFromUs = Math.min(this.#lateFromUs, times[row]!)
    this.#account()
    this.#lateGroups.add(batch)
  }

  /** The rows that leave when the bound moves there; undefined: they are not held. */
  leaving(fromUs: number): Batch[] | undefined {
    if (fromUs > this.#heldToUs) return undefined
    const out: Batch[] = []
    const [from, to] = [this.#place(this.#fromUs), this.#place(fromUs)]
    if (from < to) out.push(sliceBatch(this.#held.batch(), from, to))
    if (this.#lateFromUs < fromUs) out.push(this.#lateRows(timeUs => timeUs < fromUs))
    return out
  }

  /** Lets go of the rows before this time. False: it has passed, or is not worth keeping. */
  async moveTo(fromUs: number, reader: EdgeReader): Promise<boolean> {
    if (fromUs >= this.toUs || this.#late.length > lateRowsMax) return false
    const hasLeft = this.#place(this.#fromUs) < this.#place(fromUs)
    this.#fromUs = fromUs
    if (this.#lateFromUs < fromUs) this.#keepLate(fromUs)
    if (fromUs < this.#currentToUs) {
      if (hasLeft) this.#addCurrent()
      return true
    }
    while (this.#levels.length > 0 && fromUs >= this.#levels.at(-1)!.bounds.at(-1)!) this.#drop(this.#levels.pop()!)
    const level = this.#levels.at(-1)
    assert(level !== undefined, 'what is after the current slice is in a suffix')
    while (level.bounds[level.current + 1]! <= fromUs) {
      level.current++
      level.suffixes[level.current]?.release()
      level.suffixes[level.current] = undefined
    }
    await this.#enter(fromUs, level.bounds[level.current + 1]!, reader)
    this.#addCurrent()
    return true
  }

  release(): void {
    this.#current.release()
    this.#lateGroups.release()
    this.#groups.memory.release(this)
    for (const level of this.#levels) this.#drop(level)
  }

  /** Makes what is left of a slice the current one, cut as often as it takes. */
  async #enter(fromUs: number, toUs: number, reader: EdgeReader): Promise<void> {
    if (toUs > this.#heldToUs) {
      const isLast = toUs - fromUs <= slicesMax
      if (!(await this.#hold({ fromUs, toUs }, isLast ? Infinity : heldRowsMax, reader))) {
        const widthUs = Math.ceil((toUs - fromUs) / slicesMax)
        const bounds: number[] = []
        for (let us = fromUs; us < toUs; us += widthUs) bounds.push(us)
        return this.#cut([...bounds, toUs], reader)
      }
    }
    const [from, to] = [this.#place(fromUs), this.#place(toUs)]
    const times = this.#timesOf(this.#held)
    const bounds = [fromUs]
    if (to - from > currentRowsMax)
      for (let slice = 1; slice < slicesMax; slice++) {
        const us = times[from + Math.floor(((to - from) * slice) / slicesMax)]!
        if (us > bounds.at(-1)!) bounds.push(us)
      }
    if (bounds.length > 1) return this.#cut([...bounds, toUs], reader)
    this.#currentToUs = toUs
  }

  async #cut(bounds: readonly number[], reader: EdgeReader): Promise<void> {
    const level: Level = { bounds, suffixes: [], current: 0 }
    this.#levels.push(level)
    // Suffixes of what is not held have all rows there are.
    if (bounds.at(-1)! > this.#heldToUs) this.#keepLate(bounds.at(-1)!)
    let later: Aggregator | undefined
    for (let slice = bounds.length - 2; slice > 0; slice--) {
      const suffix = this.#newAggregator()
      level.suffixes[slice] = suffix
      const range = { fromUs: bounds[slice]!, toUs: bounds[slice + 1]! }
      if (range.toUs > this.#heldToUs) await reader.addRows(suffix, range)
      else this.#addHeld(suffix, range)
      if (later !== undefined) addGroups(suffix, later)
      later = suffix
    }
    await this.#enter(bounds[0]!, bounds[1]!, reader)
  }

  /** Reads the rows of a range to hold them instead of others. False, and nothing has changed: there are more. */
  async #hold(range: TimeRange, rowsMax: number, reader: EdgeReader): Promise<boolean> {
    const { input } = this.#groups.aggregation
    const read = new BatchBuilder(input)
    for await (const batch of reader.rows(range)) {
      if (read.length + rowCount(batch) > rowsMax) return false
      read.append(batch)
    }
    const times = this.#timesOf(read)
    const order = Uint32Array.from({ length: read.length }, (_, row) => row)
    order.sort((a, b) => times[a]! - times[b]!)
    this.#held = new BatchBuilder(input, read.length)
    this.#held.gather(read.batch(), order)
    this.#heldToUs = range.toUs
    this.#keepLate(range.toUs)
    this.#account()
    return true
  }

  /** The first held row at or after this time. */
  #place(timeUs: number): number {
    return firstAtOrAfter(this.#timesOf(this.#held), timeUs, 0, this.#held.length)
  }

  #addCurrent(): void {
    this.#current.release()
    this.#current = this.#newAggregator()
    this.#addHeld(this.#current, { fromUs: this.#fromUs, toUs: this.#currentToUs })
  }

  #addHeld(to: Aggregator, range: TimeRange): void {
    const [from, end] = [this.#place(range.fromUs), this.#place(range.toUs)]
    if (from < end) to.add(sliceBatch(this.#held.batch(), from, end))
  }

  /** Those from this time on stay. */
  #keepLate(fromUs: number): void {
    if (this.#lateFromUs >= fromUs) return
    const batch = this.#lateRows(timeUs => timeUs >= fromUs)
    const left = new BatchBuilder(this.#groups.aggregation.input)
    left.append(batch)
    this.#late = left
    this.#lateFromUs = Infinity
    const times = this.#timesOf(left)
    for (let row = 0; row < left.length; row++) this.#lateFromUs = Math.min(this.#lateFromUs, times[row]!)
    this.#lateGroups.release()
    this.#lateGroups = this.#newAggregator()
    if (left.length > 0) this.#lateGroups.add(left.batch())
    this.#account()
  }

  #lateRows(which: (timeUs: number) => boolean): Batch {
    const times = this.#timesOf(this.#late)
    const rows: number[] = []
    for (let row = 0; row < this.#late.length; row++) if (which(times[row]!)) rows.push(row)
    return { ...this.#late.batch(), selection: Uint32Array.from(rows) }
  }

  #timesOf(rows: BatchBuilder): Float64Array {
    return rows.columns[this.#timeColumn]!.column().values as Float64Array
  }

  #newAggregator(): Aggregator {
    const { aggregation, memory, table } = this.#groups
    return new Aggregator(aggregation, memory, table)
  }

  #account(): void {
    this.#groups.memory.hold(this, this.#held.byteLength + this.#late.byteLength)
  }

  #drop(level: Level): void {
    for (const suffix of level.suffixes) suffix?.release()
  }
}

function addGroups(into: Aggregator, from: Aggregator): void {
  into.reserve()
  from.reserve()
  const groups = Uint32Array.from({ length: into.table.size }, (_, group) => group)
  into.merge(from, groups, groups)
  into.reserve()
}
