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
import type { MetricInfo, MetricRows } from '../types.ts'
import { Chunk } from './chunk.ts'
import { type ChunkMemory, chunkRowsMax } from './chunk-memory.ts'
import type { FrozenTable } from './frozen-table.ts'
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

  /** Its rows as they are now; none comes after. */
  frozen(): FrozenTable {
    return {
      metric: this.metric,
      chunks: this.chunks.map(({ rows, series, timeUs, columns }) => ({ rows, series, timeUs, columns })),
      strings: this.#dictionaries.map(dictionary => dictionary?.strings),
    }
  }

  latestTimeUs(index: number): number {
    if (index < this.#latest.length) return this.#latest[index]!
    const before = index === 0 ? Number.NEGATIVE_INFINITY : this.#latest[index - 1]!
    return Math.max(before, this.chunks[index]!.maxTimeUs)
  }
}
