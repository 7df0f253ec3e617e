/**
 * Rows per second that leave as text: `npx node bench/write-rows.ts`. One core, columns in the cache, chunks owned.
 */
import { ArrayDictionary, type Batch, type Column, type Schema } from '../src/columnar/batch.ts'
import { textChunks } from '../src/engine/queries/result-text.ts'
import type { QueryStatistics, TextOptions } from '../src/types.ts'

const batchRows = 8192
const batchCount = 400

const numbers = (type: 'float' | 'timestamp', value: (row: number) => number): Column => ({
  type,
  values: Float64Array.from({ length: batchRows }, (_, row) => value(row)),
  valid: undefined,
})
const names = new ArrayDictionary(Array.from({ length: 100 }, (_, i) => `cpu{host="host-${i}"}`))
const start = Date.UTC(2024, 2, 1) * 1000

const time = (stepUs: number) => numbers('timestamp', row => start + row * stepUs)
const gauge = numbers('float', row => Math.round(50 + 40 * Math.sin(row / 300) * 100) / 100 + (row % 97) / 100)
const cents = numbers('float', row => Math.round((50 + 40 * Math.sin(row / 300)) * 100) / 100)
const precise = numbers('float', row => Math.sin(row) * 100)
const text: Column = {
  type: 'string',
  values: Uint32Array.from({ length: batchRows }, (_, row) => row % 100),
  dictionary: names,
  valid: undefined,
}

const cases: readonly (readonly [label: string, columns: readonly Column[], options: TextOptions])[] = [
  ['json, time µs, 2 decimals', [time(10_000_000), cents], { format: 'json', epoch: 'us' }],
  ['json, time ms, 2 decimals', [time(10_000_000), cents], { format: 'json', epoch: 'ms' }],
  ['json, ISO time 10 s, 2 decimals', [time(10_000_000), cents], { format: 'json' }],
  ['json, ISO time 5 min, 2 decimals', [time(300_000_000), cents], { format: 'json' }],
  ['json, ISO time with µs, 2 decimals', [time(123_457), cents], { format: 'json' }],
  ['json, time µs, sums of decimals', [time(10_000_000), gauge], { format: 'json', epoch: 'us' }],
  ['json, time µs, full precision', [time(10_000_000), precise], { format: 'json', epoch: 'us' }],
  ['ndjson, time µs, 2 decimals', [time(10_000_000), cents], { format: 'ndjson', epoch: 'us' }],
  ['csv, ISO time, series, 2 decimals', [time(10_000_000), text, cents], { format: 'csv' }],
  ['json, ISO time, series, 2 decimals', [time(10_000_000), text, cents], { format: 'json' }],
]

for (const [label, columns, options] of cases) {
  const schema: Schema = columns.map((column, i) => ({ name: `c${i}`, type: column.type, nullable: false }))
  const batch: Batch = { length: batchRows, columns, selection: undefined }
  await run(schema, batch, options)
  const startedMs = performance.now()
  const bytes = await run(schema, batch, options)
  const seconds = (performance.now() - startedMs) / 1000
  const rows = batchRows * batchCount
  console.log(
    `${label.padEnd(38)} ${(rows / seconds / 1e6).toFixed(1).padStart(6)} M rows/s ${(bytes / seconds / 1e6).toFixed(0).padStart(6)} MB/s`,
  )
}

async function run(schema: Schema, batch: Batch, options: TextOptions): Promise<number> {
  async function* batches() {
    for (let i = 0; i < batchCount; i++) yield batch
  }
  let bytes = 0
  for await (const chunk of textChunks(schema, batches(), () => ({}) as QueryStatistics, options)) bytes += chunk.length
  return bytes
}
