/**
 * The edge: rows that leave one after another as the lower bound of a range moves on, in states that cannot let go of any.
 *
 *   |<- buffer ->|   slice   |   slice   |   slice   |         suffix i = all rows from slice i on
 *   ^ from       [----------- suffix 1 --------------)
 *                            [------ suffix 2 -------)
 *                                        [ suffix 3  )
 *
 * Rows of the slice that the bound is in are kept as rows, and added anew when some have left; of the slices after it there
 * is one state for each place where the bound may be next. Suffixes are made once for each pass of the bound, so that each
 * row is read a few times in all: the two stacks of K. Tangwongsan, M. Hirzel, S. Schneider, "Low-Latency Sliding-Window
 * Aggregation in Worst-Case Constant Time", DEBS 2017, section 2. A slice with too many rows is cut in the same way itself.
 *
 * Invariants:
 * 1. Each row in [from, toUs) is in the buffer or in one suffix that is in force, and in no other.
 * 2. Rows that come later stay in the buffer, whichever slice they are of, until their slice is read.
 */
import { type Batch, columnIndex, rowCount } from '../../../columnar/batch.ts'
import { BatchBuilder } from '../../../columnar/builder.ts'
import { assert } from '../../../lib/assert.ts'
import type { TimeRange } from '../../../sydraql/plan.ts'
import type { Aggregation } from '../../aggregate/aggregation.ts'
import { Aggregator, type GroupMemory } from '../../aggregate/aggregator.ts'
import type { GroupTable } from '../../aggregate/groups.ts'
import type { BatchStream } from '../../operator.ts'

const slicesMax = 16
/** Rows of a slice that are kept as rows. */
const bufferedRowsMax = 1024
/** With rows that came later: beyond, all is cut anew. */
const crowdedRows = 8 * bufferedRowsMax

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
  /** The outermost first: each is cut from the current slice of the one before. */
  readonly #levels: Level[] = []
  #buffer: BatchBuilder
  /** Rows of the version from here on are in suffixes. */
  #bufferToUs: number
  #buffered: Aggregator

  private constructor(groups: EdgeGroups, toUs: number) {
    const { input } = groups.aggregation
    this.toUs = toUs
    this.#groups = groups
    this.#timeColumn = columnIndex(input, 'time')
    this.#buffer = new BatchBuilder(input)
    this.#bufferToUs = toUs
    this.#buffered = this.#newAggregator()
  }

  /** With all rows of the range. */
  static async over({ fromUs, toUs }: TimeRange, groups: EdgeGroups, reader: EdgeReader): Promise<Edge> {
    const edge = new Edge(groups, toUs)
    await edge.#enter(fromUs, toUs, reader)
    edge.#addBuffered()
    return edge
  }

  /** What has the rows, each once. */
  *aggregators(): Generator<Aggregator> {
    yield this.#buffered
    for (const { suffixes, current } of this.#levels) {
      const suffix = suffixes[current + 1]
      if (suffix !== undefined) yield suffix
    }
  }

  /** Adds rows of before `toUs`; the batch is borrowed. */
  add(batch: Batch): void {
    this.#buffer.append(batch)
    this.#account()
    this.#buffered.add(batch)
  }

  /** Lets go of the rows before this time. False: it has passed, or is not worth keeping. */
  async moveTo(fromUs: number, reader: EdgeReader): Promise<boolean> {
    if (fromUs >= this.toUs || this.#buffer.length > crowdedRows) return false
    while (this.#levels.length > 0 && fromUs >= this.#levels.at(-1)!.bounds.at(-1)!) this.#drop(this.#levels.pop()!)
    if (fromUs < this.#bufferToUs) this.#keepFrom(fromUs)
    else {
      const level = this.#levels.at(-1)
      assert(level !== undefined, 'rows that are not in the buffer are in a suffix')
      while (level.bounds[level.current + 1]! <= fromUs) {
        level.current++
        level.suffixes[level.current]?.release()
        level.suffixes[level.current] = undefined
      }
      await this.#enter(fromUs, level.bounds[level.current + 1]!, reader)
    }
    this.#addBuffered()
    return true
  }

  release(): void {
    const { memory } = this.#groups
    this.#buffered.release()
    memory.release(this)
    for (const level of this.#levels) this.#drop(level)
  }

  /** Reads the rows from here to the end of a slice, of which only such rows are known as came later. */
  async #enter(fromUs: number, toUs: number, reader: EdgeReader): Promise<void> {
    this.#keepFrom(toUs)
    const isCut = toUs - fromUs > slicesMax
    if (await this.#readBuffer({ fromUs, toUs }, isCut ? bufferedRowsMax : Infinity, reader)) {
      this.#bufferToUs = toUs
      return
    }
    const widthUs = Math.ceil((toUs - fromUs) / slicesMax)
    const bounds: number[] = []
    for (let us = fromUs; us < toUs; us += widthUs) bounds.push(us)
    const level: Level = { bounds: [...bounds, toUs], suffixes: [], current: 0 }
    this.#levels.push(level)
    let later: Aggregator | undefined
    for (let slice = bounds.length - 1; slice > 0; slice--) {
      const suffix = this.#newAggregator()
      level.suffixes[slice] = suffix
      await reader.addRows(suffix, { fromUs: bounds[slice]!, toUs: level.bounds[slice + 1]! })
      if (later !== undefined) addAllGroups(suffix, later)
      later = suffix
    }
    await this.#enter(fromUs, level.bounds[1]!, reader)
  }

  /** False, and nothing is read, where there are more rows. */
  async #readBuffer(range: TimeRange, rowsMax: number, reader: EdgeReader): Promise<boolean> {
    const read = new BatchBuilder(this.#groups.aggregation.input)
    for await (const batch of reader.rows(range)) {
      if (read.length + rowCount(batch) > rowsMax) return false
      read.append(batch)
    }
    this.#buffer.append(read.batch())
    this.#account()
    return true
  }

  #keepFrom(fromUs: number): void {
    const batch = this.#buffer.batch()
    const times = batch.columns[this.#timeColumn]!.values
    let kept = 0
    const rows = new Uint32Array(batch.length)
    for (let row = 0; row < batch.length; row++) if (times[row]! >= fromUs) rows[kept++] = row
    if (kept === batch.length) return
    const left = new BatchBuilder(this.#groups.aggregation.input, kept)
    left.gather(batch, rows.subarray(0, kept))
    this.#buffer = left
    this.#account()
  }

  #addBuffered(): void {
    this.#buffered.release()
    this.#buffered = this.#newAggregator()
    if (this.#buffer.length > 0) this.#buffered.add(this.#buffer.batch())
  }

  #newAggregator(): Aggregator {
    const { aggregation, memory, table } = this.#groups
    return new Aggregator(aggregation, memory, table)
  }

  #account(): void {
    this.#groups.memory.hold(this, this.#buffer.byteLength)
  }

  #drop(level: Level): void {
    for (const suffix of level.suffixes) suffix?.release()
  }
}

function addAllGroups(into: Aggregator, from: Aggregator): void {
  into.reserve()
  from.reserve()
  const groups = Uint32Array.from({ length: into.table.size }, (_, group) => group)
  into.merge(from, groups, groups)
  into.reserve()
}
