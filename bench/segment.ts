/**
 * Segments, fast and dense: encode, size, full scan, some rows of one series, minute maxima of another, against the file
 * system of the machine.
 *
 *   npx node bench/segment.ts
 *
 * Best of several rounds, in CPU time: other processes of the machine disturb it less than wall time.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'
import { nodePorts } from '../src/lib/node/ports.ts'
import { newReadStatistics } from '../src/storage/read-statistics.ts'
import { RowBuffer } from '../src/storage/row-buffer.ts'
import { ChunkCache } from '../src/storage/segment/chunk-cache.ts'
import { encodeSegment, type SegmentMetric } from '../src/storage/segment/encode.ts'
import type { Encoding } from '../src/storage/segment/encode-column.ts'
import { segmentEnvironment } from '../src/storage/segment/environment.ts'
import { publishSegment } from '../src/storage/segment/publish.ts'
import { readSegmentMeta } from '../src/storage/segment/recover.ts'
import { openSegment, type Segment } from '../src/storage/segment/segment.ts'
import type { MetricInfo, ReadRequest, Tags } from '../src/storage/types.ts'

const ports = nodePorts()
const kernels = createWasmKernels()
const directory = mkdtempSync(join(tmpdir(), 'sydradb-bench-segment-'))
const incarnation = '00112233445566778899aabbccddeeff'
const stepUs = 10_000_000
const metric: MetricInfo = { id: 0, name: 'cpu', fields: [{ id: 0, name: 'value', type: 'float' }] }

const tagsOf = (series: number): Tags => [
  ['dc', `dc${series % 7}`],
  ['host', `host-${String(series).padStart(7, '0')}`],
]
const keys = {
  ids: { size: 1 << 30, at: (series: number) => ((BigInt(series) * 0x9e3779b97f4a7c15n) % (1n << 64n)).toString() },
  tagsOf,
}
const catalog = {
  incarnation,
  seriesCount: 1 << 30,
  useMetric: () => metric,
  useSeries: () => 0,
}

function randomWalks(seriesCount: number, rowsPerSeries: number): RowBuffer {
  const rows = new RowBuffer(metric.fields, seriesCount * rowsPerSeries)
  const values = rows.fields[0]!.values
  let state = 42
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const startUs = Date.UTC(2024, 2, 1) * 1000
  let row = 0
  for (let series = 0; series < seriesCount; series++) {
    let value = 20 + random() * 60
    for (let i = 0; i < rowsPerSeries; i++, row++) {
      // about normal, of deviation 1: TSBS's steps
      value += (random() + random() + random() + random() - 2) * Math.sqrt(3)
      rows.series[row] = series
      rows.timeUs[row] = startUs + i * stepUs
      values[row] = Math.round(value * 100) / 100
    }
  }
  rows.fields[0]!.valid.fill(1)
  rows.length = row
  return rows
}

function best<T>(runs: number, task: () => T): { ms: number; result: T } {
  let ms = Infinity
  let result!: T
  for (let i = 0; i < runs; i++) {
    const start = process.cpuUsage()
    result = task()
    const { user, system } = process.cpuUsage(start)
    ms = Math.min(ms, (user + system) / 1000)
  }
  return { ms, result }
}

function request(part: Partial<ReadRequest>): ReadRequest {
  const statistics = newReadStatistics()
  return { metric, fields: metric.fields, fromUs: -Infinity, toUs: Infinity, series: undefined, statistics, ...part }
}

function scan(segment: Segment, into: RowBuffer): number {
  let rows = 0
  const asked = request({})
  for (const piece of segment.pieces(asked)) {
    into.clear()
    piece.read(-Infinity, Infinity, into)
    rows += into.length
  }
  return rows
}

function readSeries(segment: Segment, series: number, fromUs: number, toUs: number, into: RowBuffer): number {
  const ordinals = Uint32Array.of(series)
  into.clear()
  const asked = request({ series: { ordinals, has: ordinal => ordinal === series }, fromUs, toUs })
  for (const piece of segment.pieces(asked)) piece.read(fromUs, toUs, into)
  return into.length
}

const bucketStarts = new Float64Array(16_384)
const bucketSummaries = new Float64Array(5 * 16_384)

/** All rows of the series, each minute's summary. */
function minuteMaxima(segment: Segment, series: number, into: RowBuffer): number {
  const count = readSeries(segment, series, -Infinity, Infinity, into)
  const { timeUs } = into
  const values = into.fields[0]!.values as Float64Array
  return kernels.bucketRuns(timeUs, values, undefined, 0, count, 0, 60e6, bucketStarts, bucketSummaries)
}

/** Keeps footers only: what the cache of chunks is worth shows beside it. */
class FooterCache extends ChunkCache {
  override set(key: number, value: object, bytes: number): void {
    if (key % 2 ** 32 === 0) super.set(key, value, bytes)
  }
}

const line = (name: string, value: string): void => console.log(`  ${name.padEnd(44)} ${value.padStart(14)}`)

for (const [seriesCount, rowsPerSeries] of [
  [100, 8640],
  [1000, 1600],
  [10_000, 160],
  [100_000, 10],
] as const) {
  const rows = randomWalks(seriesCount, rowsPerSeries)
  const metrics: SegmentMetric[] = [{ metric, rows, selection: undefined }]
  for (const encoding of ['fast', 'dense'] as const)
    await benchSegment(seriesCount, rowsPerSeries, rows, metrics, encoding)
}
rmSync(directory, { recursive: true })

async function benchSegment(
  seriesCount: number,
  rowsPerSeries: number,
  rows: RowBuffer,
  metrics: SegmentMetric[],
  encoding: Encoding,
): Promise<void> {
  const input = { minLsn: 1, maxLsn: 1, incarnation, metrics, keys, encoding }
  const { ms, result: bytes } = best(4, () => encodeSegment(input, kernels, ports.checksums, ports.zstd))
  const path = `segments/all/${seriesCount}-${encoding}.seg`
  await publishSegment(ports, directory, path, bytes)

  console.log(`\n${seriesCount} series of ${rowsPerSeries} rows, ${encoding}`)
  line('encode', `${(rows.length / ms / 1000).toFixed(1)} M rows/s`)
  line('bytes per value, with times and keys', (bytes.length / rows.length).toFixed(3))

  for (const name of ['footers cached', 'all cached']) {
    const shared = segmentEnvironment(ports, kernels, { directory })
    const environment = name === 'all cached' ? shared : { ...shared, cache: new FooterCache(64 * 2 ** 20) }
    const { meta } = readSegmentMeta(environment, path)
    const opened = best(6, () => openSegment(environment, meta, catalog).pieces(request({})).length)
    line('open', `${(opened.ms * 1000).toFixed(0)} us`)
    const segment = openSegment(environment, meta, catalog)
    const into = new RowBuffer(metric.fields, 16_384)
    const scanned = best(6, () => scan(segment, into))
    line(`full scan (${name})`, `${(scanned.result / scanned.ms / 1000).toFixed(0)} M rows/s`)

    const wanted = Math.min(360, rowsPerSeries)
    const fromUs = rows.timeUs[0]! + Math.max(0, rowsPerSeries - 2 * wanted) * stepUs
    let next = 0
    const reads = 1000
    const single = best(5, () => {
      let count = 0
      for (let i = 0; i < reads; i++) {
        next = (next + 7919) % seriesCount
        count += readSeries(segment, next, fromUs, fromUs + wanted * stepUs, into)
      }
      return count
    })
    line(`one series, ${single.result / reads} rows (${name})`, `${((single.ms * 1000) / reads).toFixed(1)} us`)

    const maxima = best(5, () => {
      for (let i = 0; i < 100; i++) minuteMaxima(segment, (next = (next + 7919) % seriesCount), into)
    })
    line(`max per minute of one series (${name})`, `${(maxima.ms * 10).toFixed(1)} us`)
  }
}
