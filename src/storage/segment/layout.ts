/**
 * Where the rows of one metric go: runs of one series, gathered into row groups, cut into blocks.
 *
 *   rows   aaaa…aaaa bbb ccccc dd …          sorted by (series rank, time)
 *   runs   a         b   c     d
 *   groups [a 8,192] [a rest] [b c d …]      a long series has groups of its own, short ones share
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
import { groupRowsMax, groupSpanUsMax } from './format.ts'

/** A series with this many rows in the segment has row groups of its own. */
const longSeriesRowsMin = 2048
/** A run this long has blocks of its own: values of one series are closer to each other than to a neighbour's. */
const ownBlockRowsMin = 64
const groupStringBytesMax = 4 * 1024 * 1024

export interface Run {
  /** Number of the series within the segment. */
  readonly local: number
  /** Position of its first row among the metric's rows. */
  readonly from: number
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
}

export interface GroupLayout {
  readonly from: number
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly runs: readonly Run[]
  /** Rows of each block. */
  readonly blocks: readonly number[]
}

export interface MetricLayout {
  readonly groups: readonly GroupLayout[]
  /** Catalog ordinals of the metric's series, in row order. */
  readonly ordinals: readonly number[]
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
  const ordinals: number[] = []
  let shared: Run[] = []
  let sharedRows = 0
  let sharedBytes = 0
  let minTimeUs = Infinity
  let maxTimeUs = -Infinity

  const closeShared = (): void => {
    if (shared.length > 0) groups.push(groupOf(shared))
    shared = []
    sharedRows = 0
    sharedBytes = 0
    minTimeUs = Infinity
    maxTimeUs = -Infinity
  }

  for (let from = 0; from < rows.length; ) {
    const to = endOfSeries(rows, from)
    const local = firstLocal + ordinals.length
    ordinals.push(rows.series[from]!)
    const parts = cutRun(rows, local, from, to)
    if (to - from >= longSeriesRowsMin || parts.length > 1) {
      closeShared()
      for (const part of parts) groups.push(groupOf([part.run]))
    } else {
      const { run, stringBytes } = parts[0]!
      const spanUs = Math.max(maxTimeUs, run.maxTimeUs) - Math.min(minTimeUs, run.minTimeUs)
      const full =
        sharedRows + run.rows > groupRowsMax ||
        sharedBytes + stringBytes > groupStringBytesMax ||
        spanUs > groupSpanUsMax
      if (full) closeShared()
      shared.push(run)
      sharedRows += run.rows
      sharedBytes += stringBytes
      minTimeUs = Math.min(minTimeUs, run.minTimeUs)
      maxTimeUs = Math.max(maxTimeUs, run.maxTimeUs)
    }
    from = to
  }
  closeShared()
  return { groups, ordinals }
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

/** The rows of one series, cut where a group would hold too many rows, too much text, or too long a time. */
function cutRun(rows: LayoutRows, local: number, from: number, to: number): { run: Run; stringBytes: number }[] {
  const { timeUs, stringBytes } = rows
  const parts: { run: Run; stringBytes: number }[] = []
  for (let start = from; start < to; ) {
    let end = Math.min(start + groupRowsMax, to)
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

function groupOf(runs: readonly Run[]): GroupLayout {
  const first = runs[0]!
  const last = runs.at(-1)!
  let minTimeUs = Infinity
  let maxTimeUs = -Infinity
  for (const run of runs) {
    minTimeUs = Math.min(minTimeUs, run.minTimeUs)
    maxTimeUs = Math.max(maxTimeUs, run.maxTimeUs)
  }
  return {
    from: first.from,
    rows: last.from + last.rows - first.from,
    minTimeUs,
    maxTimeUs,
    runs,
    blocks: cutBlocks(runs),
  }
}

function cutBlocks(runs: readonly Run[]): number[] {
  const blocks: number[] = []
  let shared = 0
  const closeShared = (): void => {
    if (shared > 0) blocks.push(shared)
    shared = 0
  }
  for (const run of runs) {
    if (run.rows < ownBlockRowsMin) {
      if (shared + run.rows > blockRowsMax) closeShared()
      shared += run.rows
      continue
    }
    closeShared()
    for (let left = run.rows; left > 0; left -= blockRowsMax) blocks.push(Math.min(left, blockRowsMax))
  }
  closeShared()
  return blocks
}
