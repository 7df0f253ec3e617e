/**
 * Encoding a flush: the rows of a frozen memtable -> the groups of its segments. A function from plain data to plain data: it may
 * run in another thread, over the same memory.
 *
 *   chunks -> hours -> windows;   slice of sorted rows -> its rows of each window -> that window's SegmentWriter -> its groups
 *
 * Metrics of a namespace with a retention rule of its own go to segments of their own, so that they go whole one day.
 *
 * Invariants:
 * 1. Beside the memtable, one block of sorted rows is held and what is encoded, a tenth of it.
 * 2. Rows that have expired are left out; a segment without rows is not made.
 * 3. Others get turns, half as much time as this takes while they have something to do.
 */
import { createWasmKernels } from '../kernels/wasm-kernels.ts'
import { inTurns } from '../lib/in-turns.ts'
import type { Ports, WorkerTask } from '../lib/ports.ts'
import { type FrozenTable, sampleRows } from './memtable/frozen-table.ts'
import { sortedSlices } from './memtable/sorted-rows.ts'
import type { Duplicates } from './merge.ts'
import { dropBefore } from './retention/trim.ts'
import { type Encoders, type SegmentHead, SegmentWriter, type WrittenGroups } from './segment/encode.ts'
import { encodedRowBytes, HourSizes, planWindows } from './segment/partition.ts'

export interface EncodeJob {
  /** Of all segments. */
  readonly head: Pick<SegmentHead, 'minLsn' | 'maxLsn' | 'incarnation'>
  /** In the order of metric ids. */
  readonly tables: readonly EncodedTable[]
  /** By ordinal: the rank of a series among those of its metric. */
  readonly ranks: Uint32Array
  readonly duplicates: Duplicates
}

export interface EncodedTable extends FrozenTable {
  /** Ranks of the metric are below. */
  readonly seriesCount: number
  readonly namespace: string | undefined
  /** Rows with a lower time are expired. */
  readonly horizonUs: number
}

export interface EncodedSegment {
  /** Directory under `segments/`. */
  readonly window: string
  readonly namespace: string | undefined
  /** From the beginning of the file, with room for the header, to the end of the groups. */
  readonly bytes: Uint8Array
  readonly groups: WrittenGroups
}

/** Others get half of a turn's time: with more, the next memtable fills meanwhile, and that is memory. */
const turns = { turnMs: 2, othersShare: 0.5 }

export const encodeSegments = (
  job: EncodeJob,
  encoders: Encoders,
  ports: Pick<Ports, 'clock' | 'timers'>,
): Promise<EncodedSegment[]> => inTurns({ ports, ...turns }, encoding(job, encoders))

function* encoding(
  { head, tables, ranks, duplicates }: EncodeJob,
  { kernels, checksums, zstd }: Encoders,
): Generator<void, EncodedSegment[]> {
  const segments: EncodedSegment[] = []
  for (const [namespace, own] of Map.groupBy(tables, table => table.namespace)) {
    const plan = planWindows(sizesOf(own))
    const writers = plan.bytes.map(
      bytesExpected => new SegmentWriter({ ...head, bytesExpected }, kernels, checksums, zstd),
    )
    for (const table of own) {
      for (const rows of sortedSlices(table, ranks, table.seriesCount, duplicates)) {
        yield
        dropBefore(rows, table.horizonUs)
        for (const [window, selection] of plan.split(rows).entries())
          writers[window]!.rows(table.metric, rows, selection)
      }
    }
    for (const [index, writer] of writers.entries()) {
      const written = writer.groups()
      if (written.groups.rows > 0) segments.push({ window: plan.names[index]!, namespace, ...written })
    }
  }
  return segments
}

/** Of the thread: made with its first flush. */
let kernels: ReturnType<typeof createWasmKernels> | undefined

/** @example const segments = await ports.workers.run(encodeTask, job, { ports, signal, progress }) */
export const encodeTask: WorkerTask<EncodeJob, EncodedSegment[], never> = {
  module: import.meta.url,
  name: 'encodeTask',
  isAwaited: true,
  handsOver: segments => segments.map(({ bytes }) => bytes.buffer as ArrayBuffer),
  run: (job, { ports }) => encodeSegments(job, { ...ports, kernels: (kernels ??= createWasmKernels()) }, ports),
}

/** Rows that tell how large the others will be. */
const sampledRows = 1024

function sizesOf(tables: readonly FrozenTable[]): HourSizes {
  const sizes = new HourSizes()
  for (const table of tables) {
    const rowBytes = encodedRowBytes(sampleRows(table, sampledRows))
    for (const { timeUs, rows } of table.chunks) sizes.add(timeUs, rows, rowBytes)
  }
  return sizes
}
