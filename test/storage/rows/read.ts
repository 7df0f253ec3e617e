/** Reads bodies through the whole way — scanner, rules, batches — and flattens what comes out. */
import { createReferenceScanner } from '../../../src/kernels/reference-scan.ts'
import { createWasmScanner, type Scanner } from '../../../src/kernels/scan.ts'
import type { BadRow } from '../../../src/storage/rows/bad-rows.ts'
import { NdjsonReader, type ReaderOptions } from '../../../src/storage/rows/ndjson-reader.ts'
import { RowWriter, type ScanStatistics } from '../../../src/storage/rows/row-writer.ts'
import type { MetricRows, RowBatch } from '../../../src/storage/types.ts'
import { type FakeCatalog, fakeCatalog } from './fake-catalog.ts'

export type Row = [series: string, timeUs: number, fields: Record<string, number | string | boolean>]

export interface Outcome {
  /** Per metric, in scan order. */
  readonly rows: Record<string, Row[]>
  readonly errors: readonly BadRow[]
  readonly counts: { readonly lines: number; readonly accepted: number; readonly rejected: number }
  readonly stopped: string | undefined
}

export const serverTimeUs = 1_700_000_000_000_000
export const fixedClock = { nowUs: (): number => serverTimeUs, monotonicMs: (): number => 0 }

export interface Subject {
  readonly writer: RowWriter
  readonly catalog: FakeCatalog
}

// One scanner of each kind serves all tests: their memory adds up.
const scanners: Record<string, Scanner> = {
  wasm: createWasmScanner(0x1234_5678_9abcn),
  reference: createReferenceScanner(),
  general: createReferenceScanner(0),
}

/** `general` never has a template: each line goes through JSON.parse. */
export function subject(kind: 'wasm' | 'reference' | 'general'): Subject {
  const catalog = fakeCatalog()
  const scanner = scanners[kind]!
  scanner.clearRows()
  scanner.clearTemplates()
  return { catalog, writer: new RowWriter({ catalog, scanner, clock: fixedClock }) }
}

export function read(
  { writer, catalog }: Subject,
  body: string | Uint8Array,
  options: ReaderOptions & { readonly cuts?: readonly number[]; readonly clean?: boolean } = {},
): Outcome {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  const reader = new NdjsonReader(writer, options)
  const batches: RowBatch[] = []
  let from = 0
  for (const cut of [...(options.cuts ?? []), bytes.length]) {
    batches.push(...reader.push(bytes.slice(from, cut)))
    from = cut
  }
  batches.push(...reader.end(options.clean ?? true))
  const { lines, accepted, rejected } = reader
  return {
    rows: flatten(batches, catalog),
    errors: [...reader.errors],
    counts: { lines, accepted, rejected },
    stopped: reader.stopped?.code,
  }
}

export function flatten(batches: readonly RowBatch[], catalog: FakeCatalog): Record<string, Row[]> {
  const rows: Record<string, Row[]> = Object.create(null)
  for (const batch of batches)
    for (const metric of batch.metrics) {
      const into = (rows[metric.metric.name] ??= [])
      for (let i = 0; i < metric.length; i++)
        into.push([catalog.describe(metric.series[i]!), metric.timeUs[i]!, fieldsOf(metric, i)])
    }
  return rows
}

function fieldsOf(metric: MetricRows, row: number): Row[2] {
  const fields: Row[2] = Object.create(null)
  for (const { field, values, valid, strings } of metric.fields) {
    if (valid !== undefined && valid[row] === 0) continue
    const value = values[row]!
    fields[field.name] = field.type === 'string' ? strings![value]! : field.type === 'boolean' ? value === 1 : value
  }
  return fields
}

export const statistics = ({ writer }: Subject): ScanStatistics => writer.statistics()
