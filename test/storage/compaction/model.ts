/** Segments as sets of cells, and merges of them: what `choose` decides, carried out without files. */
import type { CompactionJob, CompactionState } from '../../../src/storage/compaction/job.ts'
import { byWriteOrder } from '../../../src/storage/compaction/runs.ts'
import { finestWindow } from '../../../src/storage/segment/partition.ts'
import type { SegmentMeta } from '../../../src/storage/types.ts'

/** `series time` -> LSN of the write that is seen. */
export type Cells = ReadonlyMap<string, number>

export interface ModelSegment {
  readonly meta: SegmentMeta
  readonly cells: Cells
}

export const timeOf = (cell: string): number => Number(cell.slice(cell.indexOf(' ') + 1))

export class ModelDatabase {
  segments: ModelSegment[] = []
  readonly unreadable = new Set<string>()
  lsn = 0
  bytesFlushed = 0
  bytesWritten = 0
  #next = 1
  readonly #bytesPerCell: number

  constructor(bytesPerCell: number) {
    this.#bytesPerCell = bytesPerCell
  }

  /** A flush of one or several segments that share no cell. */
  flush(...parts: readonly (readonly string[])[]): void {
    this.lsn++
    for (const part of parts) {
      if (part.length === 0) continue
      const added = this.#segment(new Map(part.map(cell => [cell, this.lsn])), this.lsn, this.lsn, false)
      this.bytesFlushed += added.meta.bytes
      this.#add(added)
    }
  }

  state(): CompactionState {
    return {
      segments: this.segments.map(({ meta }) => meta),
      unreadable: this.unreadable,
      tombstones: [],
      horizonUs: () => -Infinity,
    }
  }

  carryOut({ inputs, remove, cuts, settled }: CompactionJob): void {
    const removed = new Set(remove)
    const merged = new Map<string, number>()
    for (const { id } of inputs) {
      const { cells } = this.segments.find(({ meta }) => meta.id === id)!
      for (const [cell, lsn] of cells) merged.set(cell, lsn)
    }
    const parts = Map.groupBy(merged, ([cell]) =>
      cuts.find(each => timeOf(cell) >= each.fromUs && timeOf(cell) < each.toUs),
    )
    const minLsn = Math.min(...inputs.map(meta => meta.minLsn))
    const maxLsn = Math.max(...inputs.map(meta => meta.maxLsn))
    this.segments = this.segments.filter(({ meta }) => !removed.has(meta.id))
    for (const part of parts.values()) {
      const added = this.#segment(new Map(part), minLsn, maxLsn, settled)
      this.bytesWritten += added.meta.bytes
      this.#add(added)
    }
  }

  /** What a reader sees. */
  answers(): Cells {
    const seen = new Map<string, number>()
    for (const { cells } of this.segments) for (const [cell, lsn] of cells) seen.set(cell, lsn)
    return seen
  }

  #add(segment: ModelSegment): void {
    this.segments.push(segment)
    this.segments.sort((a, b) => byWriteOrder({ ...a, mark: 0 }, { ...b, mark: 0 }))
  }

  #segment(cells: Cells, minLsn: number, maxLsn: number, settled: boolean): ModelSegment {
    let minTimeUs = Infinity
    let maxTimeUs = -Infinity
    for (const cell of cells.keys()) {
      minTimeUs = Math.min(minTimeUs, timeOf(cell))
      maxTimeUs = Math.max(maxTimeUs, timeOf(cell))
    }
    const id = String(this.#next++).padStart(10, '0')
    const path = `segments/${finestWindow(minTimeUs, maxTimeUs).name}/${id}.seg`
    const bytes = cells.size * this.#bytesPerCell
    const rows = cells.size
    const meta = { id, path, minTimeUs, maxTimeUs, minLsn, maxLsn, rows, bytes, ...(settled ? { settled } : {}) }
    return { meta, cells }
  }
}
