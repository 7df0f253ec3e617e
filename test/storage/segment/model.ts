/** A naive model of rows, and the machinery to write them as a segment and read them back. */

import assert from 'node:assert/strict'
import type { Kernels } from '../../../src/kernels/kernels.ts'
import { referenceKernels } from '../../../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../../../src/kernels/wasm-kernels.ts'
import { memoryFiles } from '../../../src/lib/memory-files.ts'
import { nodeChecksums, nodeZstd } from '../../../src/lib/node/ports.ts'
import { compareUtf8 } from '../../../src/lib/text.ts'
import { printSeries } from '../../../src/storage/catalog/identity.ts'
import { newReadStatistics } from '../../../src/storage/read-statistics.ts'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import { encodeSegment, type SegmentInput, type SegmentMetric } from '../../../src/storage/segment/encode.ts'
import { type SegmentEnvironment, segmentEnvironment } from '../../../src/storage/segment/environment.ts'
import { readSegmentMeta } from '../../../src/storage/segment/recover.ts'
import { openSegment, type Segment, type SegmentCatalog } from '../../../src/storage/segment/segment.ts'
import type { FieldBound, FieldInfo, MetricInfo, ReadRequest, SeriesSet, Tags } from '../../../src/storage/types.ts'

export type Value = number | boolean | string
export interface Row {
  readonly series: number
  readonly timeUs: number
  /** By field; undefined: missing. */
  readonly values: readonly (Value | undefined)[]
}

export const wasmKernels = createWasmKernels()
export const kernelsByName: Readonly<Record<string, Kernels>> = { wasm: wasmKernels, reference: referenceKernels }
export const incarnation = '000102030405060708090a0b0c0d0e0f'
export const fields = (...types: FieldInfo['type'][]): FieldInfo[] =>
  types.map((type, id) => ({ id, name: `${type}${id}`, type }))
export const metricOf = (name: string, infos: readonly FieldInfo[], id = 0): MetricInfo => ({ id, name, fields: infos })

/** Series n of a test catalog; the order of the printed forms is not that of the ordinals. */
export const tagsOf = (series: number): Tags =>
  series === 0
    ? []
    : [
        ['host', `h${(series * 7919) % 10_007}`],
        ['n', String(series)],
      ]
const printed = (metric: string, series: number): string => printSeries(metric, tagsOf(series))

export const keys = { ids: { size: 1e6, at: (series: number) => String(series * 1_000_003) }, tagsOf }

export class TestCatalog implements SegmentCatalog {
  readonly incarnation: string
  readonly seriesCount: number
  readonly #series = new Map<string, number>()
  constructor(own = incarnation, seriesCount = 1e6) {
    this.incarnation = own
    this.seriesCount = seriesCount
  }
  useMetric(name: string): MetricInfo {
    return metricOf(name, [])
  }
  /** Ordinals in order of arrival. */
  useSeries(metric: MetricInfo, tags: Tags): number {
    const key = printSeries(metric.name, tags)
    if (!this.#series.has(key)) this.#series.set(key, this.#series.size)
    return this.#series.get(key)!
  }
}

const ordered = new WeakMap<readonly Row[], Row[]>()

/** By printed series, then time. */
export function inOrder(metric: MetricInfo, rows: readonly Row[]): Row[] {
  let found = ordered.get(rows)
  if (found === undefined) {
    const names = new Map(rows.map(({ series }) => [series, printed(metric.name, series)]))
    found = rows.toSorted((a, b) =>
      a.series === b.series ? a.timeUs - b.timeUs : compareUtf8(names.get(a.series)!, names.get(b.series)!),
    )
    ordered.set(rows, found)
  }
  return found
}

export function bufferOf(metric: MetricInfo, rows: readonly Row[]): RowBuffer {
  const buffer = new RowBuffer(metric.fields, Math.max(1, rows.length))
  for (const [i, row] of inOrder(metric, rows).entries()) {
    buffer.series[i] = row.series
    buffer.timeUs[i] = row.timeUs
    for (const [f, field] of buffer.fields.entries()) {
      const value = row.values[f]
      field.valid[i] = value === undefined ? 0 : 1
      if (value === undefined) field.nulls = true
      else field.values[i] = typeof value === 'string' ? field.dictionary!.code(value) : Number(value)
    }
  }
  buffer.length = rows.length
  return buffer
}

/** Numbers by their bits, so that NaN payloads and -0 compare. */
function sameValue(a: Value | undefined, b: Value | undefined): boolean {
  if (typeof a !== 'number' || typeof b !== 'number' || (a === b && a !== 0)) return a === b
  doubles[0] = a
  doubles[1] = b
  return bits[0] === bits[1]
}
const doubles = new Float64Array(2)
const bits = new BigUint64Array(doubles.buffer)

export function rowsOf(buffer: RowBuffer): Row[] {
  return Array.from({ length: buffer.length }, (_, i) => ({
    series: buffer.series[i]!,
    timeUs: buffer.timeUs[i]!,
    values: buffer.fields.map(({ field, valid, values, nulls, dictionary }) => {
      if (valid[i] === 0) {
        if (!nulls) throw new Error('a null in a field that says it has none')
        return undefined
      }
      const value = values[i]!
      return field.type === 'string' ? dictionary!.at(value) : field.type === 'boolean' ? value === 1 : value
    }),
  }))
}

export function expectSameRows(actual: readonly Row[], expected: readonly Row[]): void {
  assert.equal(actual.length, expected.length)
  const differs = actual.findIndex((row, i) => {
    const other = expected[i]!
    if (row.series !== other.series || row.timeUs !== other.timeUs) return true
    return (
      row.values.length !== other.values.length || row.values.some((value, f) => !sameValue(value, other.values[f]))
    )
  })
  if (differs >= 0) assert.deepEqual({ row: differs, ...actual[differs] }, { row: differs, ...expected[differs] })
  assert.equal(differs, -1)
}

export interface WrittenSegment {
  readonly environment: SegmentEnvironment
  readonly segment: Segment
  readonly bytes: Uint8Array
  readonly path: string
}

export interface WriteOptions {
  readonly kernels?: Kernels
  readonly input?: Partial<SegmentInput>
  readonly catalog?: SegmentCatalog
  readonly cacheBytesMax?: number
}

export const portsOf = (files = memoryFiles()) => ({ files, checksums: nodeChecksums, zstd: nodeZstd })

export function encode(
  metrics: readonly SegmentMetric[],
  { kernels = wasmKernels, input }: WriteOptions = {},
): Uint8Array {
  const whole = { minLsn: 3, maxLsn: 9, incarnation, metrics, keys, ...input }
  return encodeSegment(whole, kernels, nodeChecksums, nodeZstd)
}

/** Opens bytes as a segment of their own little database. */
export function openBytes(bytes: Uint8Array, options: WriteOptions = {}): WrittenSegment {
  const { kernels = wasmKernels, catalog = new TestCatalog(), cacheBytesMax } = options
  const ports = portsOf()
  const path = 'segments/all/1.seg'
  ports.files.makeDirectory('data/segments/all')
  const file = ports.files.open(`data/${path}`, 'create')
  file.write(bytes, 0)
  file.close()
  const environment = segmentEnvironment(ports, kernels, {
    directory: 'data',
    ...(cacheBytesMax === undefined ? {} : { cacheBytesMax }),
  })
  const { meta } = readSegmentMeta(environment, path)
  return { environment, segment: openSegment(environment, meta, catalog), bytes, path }
}

export function write(metric: MetricInfo, rows: readonly Row[], options: WriteOptions = {}): WrittenSegment {
  return openBytes(encode([{ metric, rows: bufferOf(metric, rows), selection: undefined }], options), options)
}

export function setOf(ordinals: readonly number[]): SeriesSet {
  const all = new Set(ordinals)
  return { ordinals: Uint32Array.from(all).sort(), has: ordinal => all.has(ordinal) }
}

export function requestOf(metric: MetricInfo, part: Partial<ReadRequest> = {}): ReadRequest {
  const statistics = newReadStatistics()
  return { metric, fields: metric.fields, fromUs: -Infinity, toUs: Infinity, series: undefined, statistics, ...part }
}

/** Everything the request asks for, in piece order. */
export function read(segment: Segment, request: ReadRequest, bounds?: readonly FieldBound[]): Row[] {
  const into = new RowBuffer(request.fields, 4)
  for (const piece of segment.pieces(request)) piece.read(request.fromUs, request.toUs, into, bounds)
  assert.equal(request.statistics.rowsScanned, into.length)
  return rowsOf(into)
}

export function matching(metric: MetricInfo, rows: readonly Row[], request: ReadRequest): Row[] {
  const picked = request.fields.map(field => metric.fields.findIndex(({ name }) => name === field.name))
  return inOrder(metric, rows)
    .filter(
      row =>
        row.timeUs >= request.fromUs &&
        row.timeUs < request.toUs &&
        (request.series === undefined || request.series.has(row.series)),
    )
    .map(row => ({ ...row, values: picked.map(field => row.values[field]) }))
}

/** A small deterministic generator for bulk data (Numerical Recipes' LCG). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Series with so many rows each, values of all kinds with gaps that come and go. */
export function bulk(counts: readonly number[], seed: number): Row[] {
  const random = randomOf(seed)
  return counts.flatMap((count, series) => {
    let level = random() * 100
    let timeUs = Math.floor(random() * 1e6) * 1000
    const jitters = random() < 0.5
    return Array.from({ length: count }, (_, i) => {
      level += random() - 0.5
      timeUs += jitters ? 1 + Math.floor(random() * 2e7) : 10_000_000
      const inGap = Math.floor(i / 100) % 3 === 2
      const values = [
        random() < 0.001 ? Number.NaN : Math.round(level * 100) / 100,
        inGap ? undefined : random() < 0.5 ? `state ${Math.floor(random() * 5)}` : `id ${random()}`,
        random() < 0.3 ? undefined : random() < 0.9,
        i % 50 === 0 ? Math.floor(level) : undefined,
        inGap ? undefined : random(),
      ]
      return { series, timeUs, values }
    })
  })
}
