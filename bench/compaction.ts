/**
 * Merging: what a merge costs in time and memory, what it saves in bytes, and what flushes write in the end.
 *
 *   npx node bench/compaction.ts            10 M points, in this thread
 *   npx node bench/compaction.ts 100        100 M points
 *   npx node bench/compaction.ts 100 thread in a thread of its own, as the engine has it
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'
import { inlineWorkers } from '../src/lib/inline-workers.ts'
import { nodePorts } from '../src/lib/node/ports.ts'
import { choose } from '../src/storage/compaction/choose.ts'
import { defaultCompactionPolicy, type MergeJob } from '../src/storage/compaction/job.ts'
import { mergeTask } from '../src/storage/compaction/task.ts'
import { RowBuffer } from '../src/storage/row-buffer.ts'
import { SegmentWriter } from '../src/storage/segment/encode.ts'
import { segmentPath } from '../src/storage/segment/publish.ts'
import type { FieldInfo, MetricInfo, SegmentMeta } from '../src/storage/types.ts'
import { temporaryDirectory, usage } from './harness.ts'
import { type Steps, stepsOf } from './history.ts'
import { uniform } from './random.ts'

const points = Number(process.argv[2] ?? 10) * 1e6
const inThread = process.argv[3] === 'thread'
const ports = nodePorts()
const kernels = createWasmKernels()
const incarnation = '0'.repeat(32)
const keys = {
  ids: { size: 1e7, at: (ordinal: number) => String(ordinal + 1) },
  tagsOf: (ordinal: number) => [['host', `host-${String(ordinal).padStart(7, '0')}`]] as const,
}

interface Shape {
  readonly name: string
  readonly series: number
  readonly fields: number
  readonly inputs: number
  /** Rows of the inputs alternate in time, instead of following each other. */
  readonly interleaved?: boolean
  readonly settled?: boolean
  /** Default normal. */
  readonly steps?: Steps
}
const shapes: readonly Shape[] = [
  { name: 'one after the other, 1 field', series: 1000, fields: 1, inputs: 8 },
  { name: 'one after the other, 1 field, dense with rollups', series: 1000, fields: 1, inputs: 8, settled: true },
  {
    name: 'one after the other, 1 field, dense with rollups, uniform steps',
    series: 1000,
    fields: 1,
    inputs: 8,
    settled: true,
    steps: 'uniform',
  },
  { name: 'one after the other, 10 fields', series: 1000, fields: 10, inputs: 8 },
  { name: 'alternating in time, 1 field', series: 1000, fields: 1, inputs: 8, interleaved: true },
  { name: '100,000 short series, 1 field', series: 100_000, fields: 1, inputs: 8 },
]

/** Random walks with two decimals, ten seconds apart, over all inputs; the inputs' paths. */
function writeInputs(directory: string, shape: Shape, rowsPerSeries: number): string[] {
  const fields = Array.from({ length: shape.fields }, (_, n): FieldInfo => ({ id: n, name: `f${n}`, type: 'float' }))
  const metric: MetricInfo = { id: 0, name: 'm', fields }
  mkdirSync(join(directory, 'segments/all'), { recursive: true })
  const inputs = Array.from({ length: shape.inputs }, (_, input) => {
    const path = segmentPath('all', String(input + 1))
    const file = openSync(join(directory, path), 'w')
    const sink = {
      write: (bytes: Uint8Array, position: number) => void writeSync(file, bytes, 0, bytes.length, position),
      truncate: (length: number) => ftruncateSync(file, length),
    }
    const head = { minLsn: input + 1, maxLsn: input + 1, incarnation }
    const writer = new SegmentWriter(head, kernels, ports.checksums, ports.zstd, sink)
    return { path, file, writer, rows: new RowBuffer(fields, 2 ** 16) }
  })
  const step = stepsOf(shape.steps ?? 'normal', uniform(1))
  const flush = ({ writer, rows }: (typeof inputs)[0]): void => {
    for (const { valid } of rows.fields) valid.fill(1, 0, rows.length)
    writer.rows(metric, rows, undefined)
    rows.clear()
  }
  for (let series = 0; series < shape.series; series++) {
    const hundredths = fields.map(() => 5000)
    for (let row = 0; row < rowsPerSeries * shape.inputs; row++) {
      const { rows } = inputs[shape.interleaved ? row % shape.inputs : Math.floor(row / rowsPerSeries)]!
      if (rows.length === rows.capacity) rows.reserve(1)
      const at = rows.length++
      rows.series[at] = series
      rows.timeUs[at] = 1_704_067_200e6 + row * 1e7
      for (let field = 0; field < hundredths.length; field++) {
        hundredths[field]! += step()
        rows.fields[field]!.values[at] = hundredths[field]! / 100
      }
    }
    for (const input of inputs) if (input.rows.length + rowsPerSeries > 65_536) flush(input)
  }
  for (const input of inputs) {
    if (input.rows.length > 0) flush(input)
    input.writer.close(keys).seal(0)
    closeSync(input.file)
  }
  return inputs.map(({ path }) => path)
}

async function measure(shape: Shape): Promise<void> {
  const { path: directory, remove } = temporaryDirectory('compaction')
  try {
    const rowsPerSeries = Math.ceil(points / shape.fields / shape.series / shape.inputs)
    const inputs = writeInputs(directory, shape, rowsPerSeries).map((path, n) => {
      const bytes = statSync(join(directory, path)).size
      return { id: String(n + 1), path, bytes, minLsn: n + 1, maxLsn: n + 1, deletesLsn: n + 1 }
    })
    const settled = shape.settled ?? false
    const job: MergeJob = {
      directory,
      inputs,
      tombstones: [],
      deletesLsn: 100,
      duplicates: 'last',
      incarnation,
      seriesCount: 1e7,
      retention: { retentionDays: 0, retention: {} },
      keepExpired: false,
      nowUs: 0,
      window: 'merged',
      cuts: [],
      settled,
      encoding: settled ? 'dense' : 'fast',
      rollupWidthsUs: settled ? [60e6, 300e6, 3600e6, 86_400e6] : [],
      ids: Array.from({ length: 100 }, (_, n) => String(1000 + n)),
      segmentBytesMax: 2 ** 29,
      bytesPerSecondMax: 0,
    }
    const before = usage(process.pid)
    const signal = new AbortController().signal
    const workers = inThread ? ports.workers : inlineWorkers
    const { segments, elapsedMs } = await workers.run(mergeTask, job, { ports, signal, progress: () => {} })
    const after = usage(process.pid)
    const sum = (bytes: readonly { readonly bytes: number }[]): number =>
      bytes.reduce((all, each) => all + each.bytes, 0)
    const values = rowsPerSeries * shape.series * shape.inputs * shape.fields
    const merged = segments.filter(({ rollup }) => rollup === undefined)
    const cpuSeconds = after.cpuSeconds - before.cpuSeconds
    process.stdout.write(
      `${shape.name}: ${(values / elapsedMs / 1e3).toFixed(1)} M points/s (${(values / cpuSeconds / 1e6).toFixed(1)} per core), ` +
        `${(sum(inputs) / values).toFixed(3)} -> ${(sum(merged) / values).toFixed(3)} bytes a value, ` +
        `rollups ${(sum(segments) / values - sum(merged) / values).toFixed(3)}, ` +
        `RSS ${(before.rssBytes / 2 ** 20).toFixed(0)} -> ${(after.rssBytes / 2 ** 20).toFixed(0)} MiB, peak ${(after.peakRssBytes / 2 ** 20).toFixed(0)}\n`,
    )
    if (!merged.every(({ path }) => existsSync(join(directory, path)))) throw new Error('a merged segment is missing')
  } finally {
    remove()
  }
}

/** Flushes of so many bytes, some with late rows, compacted as it goes: bytes written for each that was flushed, and files. */
function amplification(name: string, days: number, everyMinutes: number, bytes: number, lateShare: number): void {
  const everyUs = everyMinutes * 60e6
  const startUs = 1_704_067_200e6
  let segments: SegmentMeta[] = []
  let [flushed, written, next, filesMax] = [0, 0, 0, 0]
  let state = 1
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const add = (meta: Omit<SegmentMeta, 'id' | 'path' | 'rows'>): void => {
    const id = String(next++).padStart(10, '0')
    segments.push({ id, path: id, rows: 1, ...meta })
  }
  for (let flush = 0; flush * everyUs < days * 86_400e6; flush++) {
    const fromUs = startUs + flush * everyUs
    const lsns = { minLsn: flush + 1, maxLsn: flush + 1 }
    add({ minTimeUs: fromUs, maxTimeUs: fromUs + everyUs - 1, bytes, ...lsns })
    flushed += bytes
    if (flush > 0 && random() < lateShare) {
      const lateUs = startUs + Math.floor(random() * flush) * everyUs
      add({ minTimeUs: lateUs, maxTimeUs: lateUs + everyUs / 2, bytes: bytes / 20, ...lsns })
      flushed += bytes / 20
    }
    for (;;) {
      const given = { segments, unreadable: new Set<string>(), tombstones: [], horizonUs: () => -Infinity }
      const job = choose(given, defaultCompactionPolicy, fromUs + everyUs)
      if (job === undefined) break
      const removed = new Set(job.remove)
      segments = segments.filter(({ id }) => !removed.has(id))
      const sum = job.inputs.reduce((all, meta) => all + meta.bytes, 0)
      add({
        minTimeUs: Math.min(...job.inputs.map(({ minTimeUs }) => minTimeUs)),
        maxTimeUs: Math.max(...job.inputs.map(({ maxTimeUs }) => maxTimeUs)),
        minLsn: Math.min(...job.inputs.map(({ minLsn }) => minLsn)),
        maxLsn: Math.max(...job.inputs.map(({ maxLsn }) => maxLsn)),
        bytes: sum,
        ...(job.settled ? { settled: true } : {}),
      })
      written += sum
    }
    filesMax = Math.max(filesMax, segments.length)
  }
  process.stdout.write(
    `${name}: ${((flushed + written) / flushed).toFixed(2)} bytes written for each byte flushed, at most ${filesMax} segments\n`,
  )
}

amplification('a year, 200 KB an hour, 5 % late', 365, 60, 200e3, 0.05)
amplification('a month, 300 KB every ten minutes, 5 % late', 30, 10, 300e3, 0.05)
amplification('a week, 4 MB every three minutes, 2 % late', 7, 3, 4e6, 0.02)

const wanted = process.argv[4]
for (const shape of shapes) if (wanted === undefined || shape.name.includes(wanted)) await measure(shape)
