/**
 * Where the rows of one metric go: runs of one series, gathered into row groups, cut into blocks.
 *
 *   rows   aaaa…aaaa bbb ccccc dd …          sorted by (series rank, time)
 *   runs   a         b   c     d
 *   groups [a 9,216] [a rest] [b c d …]      a long series has groups of its own, about alike; short ones share
 *   blocks 1,024 each        [b c d | e | …] a run that fills a block well has blocks of its own
 *
 * Invariants:
 * 1. A group holds 1 to `groupRowsMax` rows, spans at most `groupSpanUsMax` and no more strings than
 *    `groupStringBytesMax` plus one row; a series appears in it once.
 * 2. A block holds either rows of one run, or several whole runs; only the reader's speed depends on it.
 * 3. Local series are numbered in row order, so the runs of a group have consecutive numbers.
 */

import { blockRowsMax } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import { U32List } from '../catalog/packed.ts'
import { groupRowsWanted, groupSpanUsMax } from './format.ts'

/** A series with this many rows in the segment has row groups of its own. */
const longSeriesRowsMin = 2048
/** A run this long has blocks of its own: values of one series are closer to each other than to a neighbour's. */
const ownBlockRowsMin = 64
const groupStringBytesMax = 4 * 1024 * 1024

export interface GroupLayout {
  readonly from: number
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  /** Number of the first run's series within the segment; the others follow. */
  readonly firstSeries: number
  /** Where each run ends among the metric's rows: it begins where the one before ends, and its times ascend. */
  readonly runEnds: Uint32Array
  /** Rows of each block. */
  readonly blocks: readonly number[]
}

export interface MetricLayout {
  readonly groups: readonly GroupLayout[]
  /** Catalog ordinals of the metric's series, in row order. */
  readonly ordinals: Uint32Array
}

/** The rows of one metric in order; `stringBytes` says how much text a row holds, undefined when it cannot have any. */
export interface LayoutRows {
  readonly length: number
  readonly series: Uint32Array
  readonly timeUs: Float64Array
  readonly stringBytes: ((position: number) => number) | undefined
}

export function layoutRows(rows: LayoutRows, firstLocal: number): MetricLayout {
  const groups: GroupLayout[] = []
  const ordinals = new U32List(1024)
  const { series, timeUs } = rows
  // runs of the group that short series share, and where it begins
  const shared = new U32List(1024)
  let sharedFrom = 0
  let sharedBytes = 0
  let minTimeUs = Infinity
  let maxTimeUs = -Infinity

  const closeShared = (): void => {
    if (shared.length > 0)
      groups.push(
        groupOf(sharedFrom, ordinals.length - shared.length + firstLocal, shared.view().slice(), minTimeUs, maxTimeUs),
      )
    shared.length = 0
    sharedBytes = 0
    minTimeUs = Infinity
    maxTimeUs = -Infinity
  }

  for (let from = 0; from < rows.length; ) {
    const to = endOfSeries(rows, from)
    const firstUs = timeUs[from]!
    const lastUs = timeUs[to - 1]!
    const bytes = rows.stringBytes === undefined ? 0 : bytesOf(from, to, rows.stringBytes)
    if (to - from >= longSeriesRowsMin || lastUs - firstUs > groupSpanUsMax || bytes > groupStringBytesMax) {
      closeShared()
      for (const { run } of cutRun(rows, firstLocal + ordinals.length, from, to))
        groups.push(groupOf(run.from, run.local, Uint32Array.of(run.from + run.rows), run.minTimeUs, run.maxTimeUs))
    } else {
      const spanUs = Math.max(maxTimeUs, lastUs) - Math.min(minTimeUs, firstUs)
      const full =
        to - sharedFrom > groupRowsWanted || sharedBytes + bytes > groupStringBytesMax || spanUs > groupSpanUsMax
      if (full) closeShared()
      if (shared.length === 0) sharedFrom = from
      shared.push(to)
      sharedBytes += bytes
      minTimeUs = Math.min(minTimeUs, firstUs)
      maxTimeUs = Math.max(maxTimeUs, lastUs)
    }
    ordinals.push(series[from]!)
    from = to
  }
  closeShared()
  return { groups, ordinals: ordinals.view() }
}

function bytesOf(from: number, to: number, stringBytes: (position: number) => number): number {
  let bytes = 0
  for (let row = from; row < to; row++) bytes += stringBytes(row)
  return bytes
}

function endOfSeries({ length, series, timeUs }: LayoutRows, from: number): number {
  const ordinal = series[from]!
  let to = from + 1
  while (to < length && series[to] === ordinal) {
    assert(timeUs[to]! > timeUs[to - 1]!, 'rows must be sorted by (series, time) and merged')
    to++
  }
  return to
}

/** As many groups as come closest to the wanted size, of whole blocks: no small one is left at the end. */
function groupRowsOf(rows: number): number {
  const groups = Math.max(1, Math.round(rows / groupRowsWanted))
  return groups === 1 ? rows : Math.ceil(rows / groups / blockRowsMax) * blockRowsMax
}

interface Run {
  /** Number of the series within the segment. */
  readonly local: number
  /** Position of its first row among the metric's rows. */
  readonly from: number
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

/** The rows of one series, cut where a group would hold too many rows, too much text, or too long a time. */
function cutRun(rows: LayoutRows, local: number, from: number, to: number): { run: Run; stringBytes: number }[] {
  const { timeUs, stringBytes } = rows
  const parts: { run: Run; stringBytes: number }[] = []
  for (let start = from; start < to; ) {
    let end = start + groupRowsOf(to - start)
    while (timeUs[end - 1]! - timeUs[start]! > groupSpanUsMax) end--
    let bytes = 0
    if (stringBytes !== undefined) {
      const last = end
      for (end = start; end < last && bytes <= groupStringBytesMax; end++) bytes += stringBytes(end)
    }
    const run = { local, from: start, rows: end - start, minTimeUs: timeUs[start]!, maxTimeUs: timeUs[end - 1]! }
    parts.push({ run, stringBytes: bytes })
    start = end
  }
  return parts
}

function groupOf(
  from: number,
  firstSeries: number,
  runEnds: Uint32Array,
  minTimeUs: number,
  maxTimeUs: number,
): GroupLayout {
  const rows = runEnds.at(-1)! - from
  return { from, rows, minTimeUs, maxTimeUs, firstSeries, runEnds, blocks: cutBlocks(from, runEnds) }
}

function cutBlocks(from: number, runEnds: Uint32Array): number[] {
  const blocks: number[] = []
  let shared = 0
  const closeShared = (): void => {
    if (shared > 0) blocks.push(shared)
    shared = 0
  }
  let start = from
  for (const end of runEnds) {
    const rows = end - start
    start = end
    if (rows < ownBlockRowsMin) {
      if (shared + rows > blockRowsMax) closeShared()
      shared += rows
      continue
    }
    closeShared()
    for (let left = rows; left > 0; left -= blockRowsMax) blocks.push(Math.min(left, blockRowsMax))
  }
  closeShared()
  return blocks
}
