/**
 * The head of a row group: how its rows fall into runs of one series and into blocks.
 *
 *   flags u8 (1 irregular blocks, 2 several runs)
 *   irregular:    rows of each block, varints
 *   several runs: three lists as value blocks of up to 1,024:
 *                 rows | min time - group's min time | max time - min time
 *
 * Invariants:
 * 1. A group with one run and regular blocks (1,024 each, the last fewer) has no head chunk at all.
 * 2. Runs and blocks each cover the group's rows exactly; a run's times lie within the group's.
 */
import { blockRowsMax, type Kernels } from '../../kernels/kernels.ts'
import { ByteReader, type ByteWriter, DamageError } from '../codecs/bytes.ts'
import type { GroupLayout } from './layout.ts'
import { readValueList, type Scratch, writeValueList } from './scratch.ts'

const irregularBlocks = 1
const severalRuns = 2

export interface GroupShape {
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly runCount: number
  readonly blockCount: number
}

export interface GroupHead {
  /** First row of each block, and the row count at the end. */
  readonly blockStarts: Uint32Array
  /** First row of each run, and the row count at the end. */
  readonly runStarts: Uint32Array
  readonly runMinUs: Float64Array
  readonly runMaxUs: Float64Array
}

export const headBytes = (head: GroupHead): number =>
  head.blockStarts.byteLength + head.runStarts.byteLength + head.runMinUs.byteLength + head.runMaxUs.byteLength

/** Appends the head, `timeUs` being those of the metric's rows; nothing where it can be derived. */
export function encodeHead(
  group: GroupLayout,
  timeUs: Float64Array,
  kernels: Kernels,
  scratch: Scratch,
  out: ByteWriter,
): void {
  const regular = group.blocks.every((rows, i) => i === group.blocks.length - 1 || rows === blockRowsMax)
  const several = group.runEnds.length > 1
  if (regular && !several) return
  out.u8((regular ? 0 : irregularBlocks) | (several ? severalRuns : 0))
  if (!regular) for (const rows of group.blocks) out.varint(rows)
  if (!several) return

  const { from, runEnds, minTimeUs } = group
  const runs = runEnds.length
  const start = (run: number): number => (run === 0 ? from : runEnds[run - 1]!)
  writeValueList(runs, i => runEnds[i]! - start(i), kernels, scratch, out)
  writeValueList(runs, i => timeUs[start(i)]! - minTimeUs, kernels, scratch, out)
  writeValueList(runs, i => timeUs[runEnds[i]! - 1]! - timeUs[start(i)]!, kernels, scratch, out)
}

/** Reads a head chunk; `bytes` undefined when the group has none. */
export function decodeHead(bytes: Uint8Array | undefined, shape: GroupShape, kernels: Kernels): GroupHead {
  if (bytes === undefined) {
    if (shape.runCount !== 1) throw new DamageError('a group of several series without a run table', 0)
    return { blockStarts: regularStarts(shape), ...oneRun(shape) }
  }
  const reader = new ByteReader(bytes)
  const flags = reader.u8()
  if (flags > 3 || (flags & severalRuns) !== (shape.runCount > 1 ? severalRuns : 0))
    throw new DamageError('flags of the group head', 0)
  const blockStarts = (flags & irregularBlocks) !== 0 ? irregularStarts(reader, shape) : regularStarts(shape)
  const runs = shape.runCount > 1 ? readRuns(reader, shape, kernels) : oneRun(shape)
  reader.expectEnd()
  return { blockStarts, ...runs }
}

function regularStarts({ rows, blockCount }: GroupShape): Uint32Array {
  if (blockCount !== Math.ceil(rows / blockRowsMax)) throw new DamageError('number of blocks', 0)
  return Uint32Array.from({ length: blockCount + 1 }, (_, i) => Math.min(i * blockRowsMax, rows))
}

function irregularStarts(reader: ByteReader, { rows, blockCount }: GroupShape): Uint32Array {
  const starts = new Uint32Array(blockCount + 1)
  for (let i = 0; i < blockCount; i++) {
    const count = reader.varint(blockRowsMax)
    if (count === 0) throw new DamageError('a block without rows', reader.at)
    starts[i + 1] = starts[i]! + count
  }
  if (starts[blockCount] !== rows) throw new DamageError('rows of the blocks', reader.at)
  return starts
}

const oneRun = ({ rows, minTimeUs, maxTimeUs }: GroupShape): Omit<GroupHead, 'blockStarts'> => ({
  runStarts: Uint32Array.of(0, rows),
  runMinUs: Float64Array.of(minTimeUs),
  runMaxUs: Float64Array.of(maxTimeUs),
})

function readRuns(reader: ByteReader, shape: GroupShape, kernels: Kernels): Omit<GroupHead, 'blockStarts'> {
  const { runCount, rows, minTimeUs, maxTimeUs } = shape
  const counts = readValueList(reader, runCount, kernels)
  const runMinUs = readValueList(reader, runCount, kernels)
  const runMaxUs = readValueList(reader, runCount, kernels)
  const runStarts = new Uint32Array(runCount + 1)
  for (let i = 0; i < runCount; i++) {
    const count = counts[i]!
    runMinUs[i] = minTimeUs + runMinUs[i]!
    runMaxUs[i] = runMinUs[i]! + runMaxUs[i]!
    const inGroup = runMinUs[i]! >= minTimeUs && runMaxUs[i]! >= runMinUs[i]! && runMaxUs[i]! <= maxTimeUs
    if (!(count >= 1 && count <= rows && Number.isInteger(count) && inGroup))
      throw new DamageError('run table', reader.at)
    runStarts[i + 1] = runStarts[i]! + count
  }
  if (runStarts[runCount] !== rows) throw new DamageError('run table', reader.at)
  return { runStarts, runMinUs, runMaxUs }
}
