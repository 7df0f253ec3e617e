/**
 * A memtable's way: filled batch by batch, sorted slice by slice, encoded — the work of a flush without its files.
 *
 *   npx node bench/flush.ts
 *
 * A thousand series in turn, one value each. CPU time, best of several rounds; the longest slice is how long others wait.
 */
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'
import { nodePorts } from '../src/lib/node/ports.ts'
import { Catalog } from '../src/storage/catalog/catalog.ts'
import { loadSeriesHasher } from '../src/storage/catalog/identity.ts'
import { ChunkMemory, ChunkPool } from '../src/storage/memtable/chunk-memory.ts'
import { Memtable } from '../src/storage/memtable/memtable.ts'
import { sortedSlices } from '../src/storage/memtable/sorted-rows.ts'
import { SegmentWriter } from '../src/storage/segment/encode.ts'
import { uniform } from './random.ts'
import { tagNames, tagsOf } from './side-by-side/data.ts'

const hosts = 1000
const batchRows = 5000
const memtableBytes = 32 << 20
const rounds = 8

const ports = nodePorts()
const kernels = createWasmKernels()
const incarnation = '00112233445566778899aabbccddeeff'
const catalog = new Catalog({ incarnation, hash: await loadSeriesHasher(), seriesMax: hosts })
const metric = catalog.useMetric('cpu')
const field = catalog.useField(metric, 'value', 'float')
const series = Uint32Array.from({ length: hosts }, (_, host) => {
  const tags = tagsOf(host).map((value, i): [string, string] => [tagNames[i]!, value])
  return catalog.useSeries(
    metric,
    tags.sort(([a], [b]) => (a < b ? -1 : 1)),
  )
})
const random = uniform(1)
const walks = Float64Array.from({ length: hosts }, () => Math.floor(random() * 10_000))
const startUs = Date.UTC(2024, 0, 1) * 1000

function batchFrom(firstRow: number) {
  const timeUs = new Float64Array(batchRows)
  const values = new Float64Array(batchRows)
  const ordinals = new Uint32Array(batchRows)
  for (let i = 0; i < batchRows; i++) {
    const host = (firstRow + i) % hosts
    walks[host]! += Math.round((random() - 0.5) * 200)
    ordinals[i] = series[host]!
    timeUs[i] = startUs + Math.floor((firstRow + i) / hosts) * 10_000_000
    values[i] = walks[host]! / 100
  }
  const rows = { metric, length: batchRows, series: ordinals, timeUs }
  const fields = [{ field, values, valid: undefined, strings: undefined }]
  return { metrics: [{ ...rows, fields }], rowCount: batchRows, byteLength: 0 }
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const pool = new ChunkPool()
const best = { append: Infinity, sort: Infinity, encode: Infinity, slice: Infinity }
for (let round = 0; round < rounds; round++) {
  const memory = new ChunkMemory(pool)
  const memtable = new Memtable({ duplicates: 'last', memory })
  let rows = 0
  let append = 0
  for (; memory.bytes < memtableBytes; rows += batchRows) {
    const batch = batchFrom(rows)
    const started = cpuMs()
    memtable.append(batch, rows + 1)
    append += cpuMs() - started
  }
  memtable.freeze()
  const head = { minLsn: 1, maxLsn: rows, incarnation }
  const writer = new SegmentWriter(head, kernels, ports.checksums, ports.zstd)
  let [sort, encode, slice] = [0, 0, 0]
  let from = cpuMs()
  const { id } = metric
  for (const table of memtable.tables()) {
    for (const sorted of sortedSlices(table, catalog.ranks(id), catalog.seriesOf(id).length, 'last')) {
      const middle = cpuMs()
      writer.rows(metric, sorted, undefined)
      const to = cpuMs()
      sort += middle - from
      encode += to - middle
      slice = Math.max(slice, to - from)
      from = to
    }
  }
  encode -= cpuMs()
  writer.groups()
  encode += cpuMs()
  memory.release()
  const took = { append: (append * 1e6) / rows, sort: (sort * 1e6) / rows, encode: (encode * 1e6) / rows, slice }
  for (const part of ['append', 'sort', 'encode', 'slice'] as const) best[part] = Math.min(best[part], took[part])
}
process.stdout.write(
  `append ${best.append.toFixed(1)}, sort ${best.sort.toFixed(1)}, encode ${best.encode.toFixed(1)} ns a row; ` +
    `longest slice ${best.slice.toFixed(1)} ms\n`,
)
