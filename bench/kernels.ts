/**
 * Codec and aggregate kernels in isolation: speed in values a second, density in bytes a value.
 *
 *   npx node bench/kernels.ts [wasm|reference]
 *
 * Columns of 1,024-row blocks, hot in cache; the best of several rounds, because other work only ever slows one down.
 */
import { blockBytesMax, blockRowsMax, type Kernels, type Summary } from '../src/kernels/kernels.ts'
import { referenceKernels } from '../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'

const blocks = 64
const rows = blocks * blockRowsMax
const rounds = 8
/** Long enough for the engine to compile what is measured. */
const roundMs = 20

function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
const random = generator(1)
const step = (spread: number) => Math.round((random() + random() + random() - 1.5) * spread)

function walk(start: number, spread: number, scale: number): Float64Array {
  let at = start
  return Float64Array.from({ length: rows }, () => {
    at += step(spread)
    return at / scale
  })
}
const clock = (jitterUs: () => number) => Float64Array.from({ length: rows }, (_, i) => 1.7e15 + i * 1e7 + jitterUs())

const columns: readonly { name: string; times: boolean; data: Float64Array }[] = [
  { name: 'gauge, 2-decimal walk', times: false, data: walk(2347, 6, 100) },
  {
    name: 'gauge, 2 decimals at random',
    times: false,
    data: Float64Array.from({ length: rows }, () => Math.round(random() * 1e4) / 100),
  },
  { name: 'gauge, normal steps of 1.00', times: false, data: walk(5000, 200, 100) },
  {
    name: 'gauge that mostly stays',
    times: false,
    data: walk(5000, 60, 100).map((_, i, all) => all[i - (i % 5)]!),
  },
  { name: 'integer walk', times: false, data: walk(1000, 10, 1) },
  {
    name: 'full-precision doubles',
    times: false,
    data: Float64Array.from({ length: rows }, () => random() * 100 + random() * 1e-7),
  },
  { name: 'clock, every 10 s', times: true, data: clock(() => 0) },
  { name: 'clock, jitter 100 ms', times: true, data: clock(() => Math.floor(random() * 100) * 1000) },
  { name: 'clock, jitter 1 ms in µs', times: true, data: clock(() => Math.floor(random() * 1000)) },
]

/** Values a second, in millions, of work that handles all rows once. */
function rate(work: () => void): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    let repeats = 0
    const start = performance.now()
    let elapsed = 0
    for (; elapsed < roundMs; elapsed = performance.now() - start) {
      work()
      repeats++
    }
    best = Math.min(best, elapsed / repeats)
  }
  return Math.round(rows / best / 1000)
}

function bench(kernels: Kernels): void {
  const out = new Uint8Array(blockBytesMax)
  const decoded = new Float64Array(blockRowsMax)
  const summary: Summary = { count: 0, nanCount: 0, min: 0, max: 0, sum: 0 }
  console.log(`\n${kernels.name}: M values/s`)
  const table: Record<string, Record<string, number | string>> = {}
  for (const { name, times, data } of columns) {
    const fast = times ? kernels.encodeTimes : kernels.encodeValues
    const dense = times ? kernels.encodeDenseTimes : kernels.encodeDenseValues
    const decode = times ? kernels.decodeTimes : kernels.decodeValues
    for (const encode of [fast, dense]) {
      const encoded: Uint8Array[] = []
      for (let row = 0; row < rows; row += blockRowsMax)
        encoded.push(out.slice(0, encode(data, row, blockRowsMax, out, 0)))
      const bytes = encoded.reduce((sum, block) => sum + block.length, 0)
      table[encode === fast ? name : `${name}, dense`] = {
        'bytes/value': (bytes / rows).toFixed(3),
        encode: rate(() => {
          for (let row = 0; row < rows; row += blockRowsMax) encode(data, row, blockRowsMax, out, 0)
        }),
        decode: rate(() => {
          for (const block of encoded) decode(block, 0, block.length, decoded, 0)
        }),
        'summarise block': rate(() => {
          for (const block of encoded) kernels.summarizeBlock(block, 0, block.length, summary)
        }),
      }
    }
  }
  console.table(table)

  const values = columns.find(({ name }) => name === 'gauge, 2 decimals at random')!.data
  const timeUs = columns.find(({ times }) => times)!.data
  const batch = 8192
  const valid = new Uint8Array(rows).fill(1)
  const selected = new Uint32Array(batch)
  const starts = new Float64Array(batch)
  const summaries = new Float64Array(5 * batch)
  const buckets = (rowsEach: number, mask?: Uint8Array) => () => {
    for (let row = 0; row < rows; row += batch) {
      kernels.bucketRuns(timeUs, values, mask, row, row + batch, 0, rowsEach * 1e7, starts, summaries)
    }
  }
  const slices = Array.from({ length: rows / batch }, (_, i) => values.subarray(i * batch, (i + 1) * batch))
  const filter = (constant: number) => () => {
    for (const slice of slices) kernels.filter(slice, undefined, batch, undefined, 'gt', constant, selected)
  }
  console.table({
    summarize: { 'M values/s': rate(() => kernels.summarize(values, undefined, 0, rows, summary)) },
    'summarize, masked': { 'M values/s': rate(() => kernels.summarize(values, valid, 0, rows, summary)) },
    'buckets of 360 rows': { 'M values/s': rate(buckets(360)) },
    'buckets of 6 rows': { 'M values/s': rate(buckets(6)) },
    'filter, half pass': { 'M values/s': rate(filter(50)) },
    'filter, 1 % passes': { 'M values/s': rate(filter(99)) },
  })
}

const only = process.argv[2]
for (const kernels of [createWasmKernels(), referenceKernels]) {
  if (only === undefined || only === kernels.name) bench(kernels)
}
