/**
 * FrozenTable: the rows of one metric in a frozen memtable, as plain data over the memory they lie in: what sorts and encodes
 * them may be another thread.
 *
 * Invariants:
 * 1. It survives structured cloning, which copies nothing that lies in shared memory.
 * 2. Chunks hold `chunkRowsMax` rows at most, in arrival order.
 */
import { ArrayDictionary } from '../../columnar/batch.ts'
import { RowBuffer } from '../row-buffer.ts'
import type { FieldInfo, MetricInfo } from '../types.ts'
import type { ChunkRows } from './chunk.ts'
import { chunkRowsMax } from './chunk-memory.ts'
import { gatherRows } from './gather.ts'

export interface FrozenTable {
  readonly metric: MetricInfo
  readonly chunks: readonly ChunkRows[]
  /** By field id: what the codes of a string field stand for. */
  readonly strings: readonly (string[] | undefined)[]
}

/** Fields that a row has, in the order of their ids. */
export const presentFields = ({ metric, chunks }: FrozenTable): FieldInfo[] =>
  metric.fields.filter(({ id }) => chunks.some(({ columns }) => columns[id] !== undefined))

export const dictionaryOf = ({ strings }: FrozenTable, field: number): ArrayDictionary =>
  new ArrayDictionary(strings[field])

/** At most so many rows, taken evenly from the chunks. */
export function sampleRows(table: FrozenTable, rows: number): RowBuffer {
  const { chunks } = table
  const buffer = new RowBuffer(presentFields(table), rows)
  const each = Math.max(1, Math.floor(rows / chunks.length))
  for (const chunk of chunks.slice(0, rows)) {
    const step = Math.max(1, Math.floor(chunk.rows / each))
    const picked = Uint32Array.from({ length: Math.min(each, chunk.rows) }, (_, i) => i * step)
    gatherRows(chunk, picked, 0, picked.length, buffer, field => dictionaryOf(table, field))
  }
  return buffer
}

/** Rows in a buffer, as if they had arrived in that order. */
export function tableOfRows(metric: MetricInfo, { series, timeUs, length, fields }: RowBuffer): FrozenTable {
  const chunks: ChunkRows[] = []
  for (let from = 0; from < length; from += chunkRowsMax) {
    const to = Math.min(from + chunkRowsMax, length)
    const columns: ChunkRows['columns'][number][] = []
    for (const { field, values, valid } of fields) {
      const present = valid.subarray(from, to)
      if (present.includes(1))
        columns[field.id] = { values: values.subarray(from, to), valid: present, length: to - from }
    }
    chunks.push({ rows: to - from, series: series.subarray(from, to), timeUs: timeUs.subarray(from, to), columns })
  }
  const strings: (string[] | undefined)[] = []
  for (const { field, dictionary } of fields) strings[field.id] = dictionary?.strings
  return { metric, chunks, strings }
}
