/**
 * NDJSON bytes -> row batches, beside `JSON.parse` of the same lines in the same process.
 *
 *   node bench/scan.ts [filter]
 *
 * Prints million lines a second and MB/s, best of several rounds. Bodies come in chunks of 64 KiB, as from a socket.
 */
import { createReferenceScanner } from '../src/kernels/reference-scan.ts'
import { createWasmScanner, type Scanner } from '../src/kernels/scan.ts'
import { NdjsonReader } from '../src/storage/rows/ndjson-reader.ts'
import { ObjectReader } from '../src/storage/rows/object-reader.ts'
import { RowWriter } from '../src/storage/rows/row-writer.ts'
import { fakeCatalog } from '../test/storage/rows/fake-catalog.ts'

const lineCount = 200_000
const chunkBytes = 64 << 10
const rounds = 6

let seed = 1
const random = (): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
  return seed / 2 ** 32
}
const ts = (i: number): string => `${1700000000000 + i * 10}`
const gauge = (): string => (random() * 100).toFixed(2)
const tags = (series: number): string =>
  `{"host":"host-${String(series).padStart(4, '0')}","dc":"eu-west-1","rack":"r${series % 40}","os":"linux-6.1","service":"checkout","team":"payments","environment":"production","version":"1.${series % 7}.0"}`

const narrow = (i: number): string =>
  `{"series":"weather.temperature","ts":${ts(i)},"value":${gauge()},"tags":{"host":"server-${10 + (i % 10)}","region":"eu-west"}}`
const tagged = (i: number, series: number): string =>
  `{"series":"cpu","ts":${ts(i)},"value":${gauge()},"tags":${tags(series)}}`
const fieldNames = ['user', 'system', 'idle', 'nice', 'iowait', 'irq', 'softirq', 'steal', 'guest', 'guest_nice']
const wide = (i: number): string =>
  `{"series":"cpu","ts":${ts(i)},"fields":{${fieldNames.map(name => `"usage_${name}":${gauge()}`).join(',')}},"tags":{"host":"host_${i % 100}","region":"eu-west-1"}}`

const bodies: Record<string, (i: number) => string> = {
  'narrow 10 series': narrow,
  '8 tags, 1,000 series in turn': i => tagged(i, i % 1000),
  '8 tags, 1,000 series shuffled': i => tagged(i, Math.floor(random() * 1000)),
  'wide, 10 fields': wide,
  'full-precision doubles': i => narrow(i).replace(/"value":[\d.]+/, `"value":${random() + Math.PI / 1e6}`),
  'ISO times': i => narrow(i).replace(/"ts":\d+/, `"ts":"${new Date(1.7e12 + i * 10).toISOString()}"`),
  'events with strings': i =>
    `{"series":"http","ts":${ts(i)},"fields":{"status":${200 + (i % 3)},"path":"/api/v1/item/${i % 500}","message":"request ${i} done"}}`,
  'high cardinality (general path)': i => tagged(i, i),
}

const fixedClock = { nowUs: (): number => 1.7e15, monotonicMs: (): number => 0 }
const filter = process.argv[2] ?? ''
const scanners: Record<string, () => Scanner> = {
  wasm: () => createWasmScanner(0x5eedn),
  reference: () => createReferenceScanner(),
}

for (const [name, line] of Object.entries(bodies)) {
  if (!name.includes(filter)) continue
  seed = 1
  const lines = Array.from({ length: lineCount }, (_, i) => line(i))
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`)
  console.log(`\n${name}: ${Math.round(bytes.length / lineCount)} bytes a line`)
  for (const [kind, create] of Object.entries(scanners)) {
    const writer = new RowWriter({ catalog: fakeCatalog(), scanner: create(), clock: fixedClock })
    report(`  ${kind}`, bytes.length, () => {
      const reader = new NdjsonReader(writer)
      let rows = 0
      for (let at = 0; at < bytes.length; at += chunkBytes)
        for (const batch of reader.push(bytes.subarray(at, at + chunkBytes))) rows += batch.rowCount
      if (rows !== lineCount) throw new Error(`${rows} rows, ${JSON.stringify(reader.errors[0])}`)
    })
    const { templateRows, generalRows } = writer.statistics()
    console.log(`    ${((100 * templateRows) / (templateRows + generalRows)).toFixed(2)} % by template`)
  }
  report('  JSON.parse', bytes.length, () => {
    let sum = 0
    for (const text of lines) sum += (JSON.parse(text) as { series: string }).series.length
    if (sum === 0) throw new Error('no rows')
  })
  const objects = lines.map(text => JSON.parse(text) as unknown)
  const writer = new RowWriter({ catalog: fakeCatalog(), scanner: scanners['wasm']!(), clock: fixedClock })
  report('  objects', bytes.length, () => {
    const reader = new ObjectReader(writer)
    for (let at = 0; at < objects.length; at += 1000) reader.push(objects.slice(at, at + 1000))
  })
}

function report(name: string, byteCount: number, work: () => void): void {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < rounds; i++) {
    const start = performance.now()
    work()
    best = Math.min(best, performance.now() - start)
  }
  const millions = lineCount / best / 1000
  console.log(`${name.padEnd(14)} ${millions.toFixed(2)} M lines/s  ${(byteCount / best / 1000).toFixed(0)} MB/s`)
}
