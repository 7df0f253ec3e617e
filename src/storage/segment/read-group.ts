/**
 * Reading a row group: block by block, straight into the columns of a row buffer.
 *
 *   block wanted whole     kernels decode into the buffer's arrays, no copy
 *   block wanted in part   decoded apart and remembered, the wanted ranges copied
 *   found, then placed     series and times alone; fields later, one after the other, each row to the place that it then has
 *
 * Invariants:
 * 1. Rows come out in (series rank, time) order: the order they lie in.
 * 2. A block is decoded only if it overlaps the wanted series, times and bounds; its times only if the run table and
 *    the block's own time range leave open which rows are wanted.
 */
import { firstAtOrAfter } from '../../columnar/search.ts'
import type { FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { FieldBound, ReadStatistics } from '../types.ts'
import { type BlockValues, translation } from './block-values.ts'
import type { FieldChunk, TimeChunk } from './decode-column.ts'
import type { NumberStatistics } from './footer.ts'
import { groupRowsMax } from './format.ts'
import type { GroupHead } from './group-head.ts'
import type { FoundBlock } from './place-blocks.ts'
import { RowRanges } from './row-ranges.ts'

export interface LoadedField {
  readonly chunk: FieldChunk
  /** Of the group, for numbers. */
  readonly statistics: NumberStatistics | undefined
}
export interface LoadedGroup {
  readonly head: GroupHead
  readonly time: TimeChunk
  /** In the order of the request's fields; undefined where no row has the field. */
  readonly fields: readonly (LoadedField | undefined)[]
}

export interface RowsWanted {
  /** Ascending indexes of the runs to read; undefined: all. */
  readonly runs: Uint32Array | undefined
  /** Catalog ordinal of a run's series. */
  readonly ordinal: (run: number) => number
  readonly fromUs: number
  readonly toUs: number
  readonly bounds: readonly FieldBound[]
  /** Only blocks that begin then: the first of their rows that are wanted by time. Undefined: whenever. */
  readonly begins?: { readonly fromUs: number; readonly toUs: number } | undefined
}

export class GroupReader {
  readonly #blocks: BlockValues
  /** Of the block at hand. */
  readonly #wanted = new RowRanges()

  constructor(blocks: BlockValues) {
    this.#blocks = blocks
  }

  /** Appends the wanted rows. `progress` says which field is at work (-1: times) when an error is thrown. */
  read(group: LoadedGroup, wanted: RowsWanted, into: RowBuffer, statistics: ReadStatistics, progress: Progress): void {
    const { head } = group
    const translations = group.fields.map((field, i) => translation(field?.chunk, into.fields[i]!))
    this.#walk(group, wanted, statistics, into, progress, (block, rows) => {
      for (let i = 0; i < group.fields.length; i++) {
        progress.field = i
        this.#readField(group.fields[i]?.chunk, head, block, rows, into.fields[i]!, into.length, translations[i])
      }
    })
  }

  /** Appends series and times of the wanted rows; gives the blocks that they are in, for `BlockPlacer`. */
  find(
    group: LoadedGroup,
    wanted: RowsWanted,
    into: RowBuffer,
    statistics: ReadStatistics,
    progress: Progress,
  ): FoundBlock[] {
    const { blockStarts } = group.head
    const found: FoundBlock[] = []
    this.#walk(group, wanted, statistics, into, progress, (block, rows) => {
      const isPart = rows < blockStarts[block + 1]! - blockStarts[block]!
      found.push({ block, isPart, rows, picked: isPart ? this.#wanted.rows(rows) : undefined })
    })
    return found
  }

  /** Visits each block with wanted rows: their series and times stand past the buffer's end, which moves after them. */
  #walk(
    group: LoadedGroup,
    wanted: RowsWanted,
    statistics: ReadStatistics,
    into: RowBuffer,
    progress: Progress,
    visit: (block: number, rows: number) => void,
  ): void {
    const { head, time } = group
    const { blockStarts, runStarts } = head
    const runs = wanted.runs ?? allRuns(runStarts.length - 1)
    const blockCount = blockStarts.length - 1
    let next = 0
    for (let block = 0; block < blockCount; block++) {
      const rowFrom = blockStarts[block]!
      const rowTo = blockStarts[block + 1]!
      while (next < runs.length && runStarts[runs[next]! + 1]! <= rowFrom) next++
      // Another range's: neither scanned nor pruned.
      if (wanted.begins !== undefined && !isWithin(beginOf(time, block, wanted), wanted.begins)) continue
      const none =
        next === runs.length ||
        runStarts[runs[next]!]! >= rowTo ||
        time.maxUs[block]! < wanted.fromUs ||
        time.minUs[block]! >= wanted.toUs ||
        wanted.bounds.some(bound => excludes(group.fields[bound.field], block, bound))
      if (none) {
        statistics.blocksPruned++
        continue
      }
      statistics.blocksScanned++
      progress.field = -1
      const rows = this.#findRanges(group, wanted, runs, next, block, into)
      if (rows === 0) continue
      visit(block, rows)
      into.length += rows
      statistics.rowsScanned += rows
    }
  }

  /** Finds the wanted ranges of a block, writes their series and times past the buffer's end; returns their rows. */
  #findRanges(
    { head, time }: LoadedGroup,
    { fromUs, toUs, ordinal }: RowsWanted,
    runs: Uint32Array,
    firstRun: number,
    block: number,
    into: RowBuffer,
  ): number {
    const { runStarts, runMinUs, runMaxUs, blockStarts } = head
    const rowFrom = blockStarts[block]!
    const blockRows = blockStarts[block + 1]! - rowFrom
    const allTimes = time.minUs[block]! >= fromUs && time.maxUs[block]! < toUs
    const ranges = this.#wanted
    ranges.count = 0
    into.reserve(blockRows)
    const { series, length } = into
    /** The block's, once they were looked at. */
    let times: Float64Array | undefined
    let rows = 0
    for (let i = firstRun; i < runs.length; i++) {
      const run = runs[i]!
      let from = Math.max(runStarts[run]! - rowFrom, 0)
      if (from >= blockRows) break
      let to = Math.min(runStarts[run + 1]! - rowFrom, blockRows)
      if (!allTimes && (runMinUs[run]! < fromUs || runMaxUs[run]! >= toUs)) {
        times ??= this.#blocks.rememberedTimes(time, block, blockRows)
        from = firstAtOrAfter(times, fromUs, from, to)
        to = firstAtOrAfter(times, toUs, from, to)
        if (from === to) continue
      }
      series.fill(ordinal(run), length + rows, length + rows + to - from)
      rows += to - from
      ranges.add(from, to)
    }
    if (rows === 0) return 0
    if (rows === blockRows && times === undefined) this.#blocks.times(time, block, blockRows, into.timeUs, length)
    else this.#copyRanges(times ?? this.#blocks.rememberedTimes(time, block, blockRows), into.timeUs, length)
    return rows
  }

  /** Writes the wanted rows of a block of one field at `at`; `rows` of them. */
  #readField(
    chunk: FieldChunk | undefined,
    { blockStarts }: GroupHead,
    block: number,
    rows: number,
    buffer: FieldBuffer,
    at: number,
    codes: Int32Array | undefined,
  ): void {
    const { valid } = buffer
    const denseFrom = chunk?.denseStarts[block] ?? 0
    const count = chunk === undefined ? 0 : chunk.denseStarts[block + 1]! - denseFrom
    if (chunk === undefined || count === 0) {
      valid.fill(0, at, at + rows)
      buffer.nulls = true
      return
    }
    const rowFrom = blockStarts[block]!
    const blockRows = blockStarts[block + 1]! - rowFrom
    let present: Uint8Array | undefined
    if (count === blockRows) {
      valid.fill(1, at, at + rows)
      if (chunk.kind === 'number' && rows === blockRows) {
        this.#blocks.numbers(chunk, block, count, buffer.values as Float64Array, at)
        return
      }
    } else {
      present = this.#blocks.presence(chunk, rowFrom, rowFrom + blockRows, count)
      this.#copyRanges(present, valid, at)
      buffer.nulls = true
    }
    switch (chunk.kind) {
      case 'number':
        this.#place(this.#blocks.rememberedNumbers(chunk, block, count), present, buffer.values as Float64Array, at)
        break
      case 'boolean':
        this.#place(this.#blocks.booleans(chunk, block, count), present, buffer.values as Uint8Array, at)
        break
      case 'string': {
        const values = this.#blocks.codes(chunk, block, count, present, this.#wanted, buffer, codes)
        this.#place(values, present, buffer.values as Uint32Array, at)
      }
    }
  }

  /** Copies the wanted ranges of a block's rows. */
  #copyRanges<A extends Float64Array | Uint8Array | Uint32Array>(rows: A, to: A, at: number): void {
    const { bounds, count } = this.#wanted
    let out = at
    for (let i = 0; i < count; i++) {
      const from = bounds[2 * i]!
      const end = bounds[2 * i + 1]!
      if (end - from < 16) for (let row = from; row < end; row++) to[out++] = rows[row]!
      else {
        to.set(rows.subarray(from, end) as never, out)
        out += end - from
      }
    }
  }

  /** Copies the wanted ranges of a block whose present values are dense; rows without one are left as they are. */
  #place<A extends Float64Array | Uint8Array | Uint32Array>(
    dense: A,
    present: Uint8Array | undefined,
    to: A,
    at: number,
  ): void {
    if (present === undefined) {
      this.#copyRanges(dense, to, at)
      return
    }
    const { bounds, count } = this.#wanted
    let out = at
    let row = 0
    let next = 0
    for (let i = 0; i < count; i++) {
      const from = bounds[2 * i]!
      const end = bounds[2 * i + 1]!
      for (; row < from; row++) next += present[row]!
      for (; row < end; row++, out++) if (present[row] === 1) to[out] = dense[next++]!
    }
  }
}

/** Which field was at work when reading failed; -1 for the times. */
export interface Progress {
  field: number
}

/** Whether no row of the block can satisfy the bound. */
function excludes(field: LoadedField | undefined, block: number, { min, max, nan }: FieldBound): boolean {
  if (field === undefined) return true
  const { chunk, statistics } = field
  if (chunk.denseStarts[block] === chunk.denseStarts[block + 1]) return true
  if (chunk.kind !== 'number' || statistics === undefined) return false
  const { bounds } = chunk
  const nanCount = bounds === undefined ? statistics.nanCount : (bounds.nanCounts?.[block] ?? 0)
  if (nan && nanCount > 0) return false
  const blockMin = bounds === undefined ? statistics.min : bounds.mins[block]!
  const blockMax = bounds === undefined ? statistics.max : bounds.maxs[block]!
  return !(blockMax >= min && blockMin <= max)
}

const beginOf = ({ minUs }: TimeChunk, block: number, { fromUs }: RowsWanted): number => Math.max(minUs[block]!, fromUs)
const isWithin = (timeUs: number, { fromUs, toUs }: { readonly fromUs: number; readonly toUs: number }): boolean =>
  timeUs >= fromUs && timeUs < toUs

/** When the first block of the group begins that does not begin before `timeUs`; Infinity: there is none. */
export function nextBegin({ time }: LoadedGroup, timeUs: number, wanted: RowsWanted): number {
  let next = Infinity
  for (let block = 0; block < time.minUs.length; block++) {
    const beginUs = beginOf(time, block, wanted)
    if (beginUs >= timeUs && beginUs < next && time.minUs[block]! < wanted.toUs) next = beginUs
  }
  return next
}

const counting = Uint32Array.from({ length: groupRowsMax }, (_, i) => i)
const allRuns = (count: number): Uint32Array => counting.subarray(0, count)
