/**
 * MetricTable: the rows of one metric in a memtable, as chunks in arrival order.
 *
 *   row number  = chunk index * chunkRowsMax + place in the chunk
 *
 * Invariants:
 * 1. Every chunk but the last is full.
 * 2. `latestTimeUs(chunk)` is the latest time of that chunk and all before it: a walk along a series' links may stop where
 *    it falls below the range.
 */
import { InterningDictionary } from '../../columnar/batch.ts'
import { RowBuffer } from '../row-buffer.ts'
import type { FieldInfo, MetricInfo, MetricRows } from '../types.ts'
import { Chunk } from './chunk.ts'
import { type ChunkMemory, chunkRowsMax } from './chunk-memory.ts'
import { gatherRows } from './gather.ts'
import type { SeriesRows } from './series-rows.ts'

export class MetricTable {
  readonly metric: MetricInfo
  readonly chunks: Chunk[] = []
  rows = 0
  readonly #dictionaries: (InterningDictionary | undefined)[] = []
  readonly #memory: ChunkMemory
  readonly #latest: number[] = []

  constructor(metric: MetricInfo, memory: ChunkMemory) {
    this.metric = metric
    this.#memory = memory
  }

  append(batch: MetricRows, newest: SeriesRows): void {
    for (let from = 0; from < batch.length; ) {
      let chunk = this.chunks.at(-1)
      if (chunk === undefined || chunk.rows === chunkRowsMax) {
        if (chunk !== undefined) this.#latest.push(this.latestTimeUs(this.chunks.length - 1))
        chunk = new Chunk(this.#memory, chunk === undefined)
        this.chunks.push(chunk)
      }
      const at = chunk.rows
      const count = Math.min(batch.length - from, chunkRowsMax - at)
      chunk.append(batch, from, count, this.dictionary)
      newest.link(chunk.series, at, at + count, this.rows, chunk.previous)
      this.rows += count
      from += count
    }
  }

  readonly dictionary = (field: number): InterningDictionary =>
    (this.#dictionaries[field] ??= new InterningDictionary())

  /** Fields that a row has, in the order of their ids. */
  presentFields(): FieldInfo[] {
    return this.metric.fields.filter(({ id }) => this.chunks.some(chunk => chunk.columns[id] !== undefined))
  }

  /** At most so many rows, taken evenly from the chunks. */
  sample(rows: number): RowBuffer {
    const buffer = new RowBuffer(this.presentFields(), rows)
    const each = Math.max(1, Math.floor(rows / this.chunks.length))
    for (const chunk of this.chunks.slice(0, rows)) {
      const step = Math.max(1, Math.floor(chunk.rows / each))
      const picked = Uint32Array.from({ length: Math.min(each, chunk.rows) }, (_, i) => i * step)
      gatherRows(chunk, picked, 0, picked.length, buffer, this.dictionary)
    }
    return buffer
  }

  latestTimeUs(index: number): number {
    if (index < this.#latest.length) return this.#latest[index]!
    const before = index === 0 ? Number.NEGATIVE_INFINITY : this.#latest[index - 1]!
    return Math.max(before, this.chunks[index]!.maxTimeUs)
  }
}
