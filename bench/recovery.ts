/**
 * Opening: after a crash with a full WAL, and a year of hourly rows of 10,000 series.
 *
 *   npx node bench/recovery.ts [--series 10000] [--profile]
 *
 * The directories are made by the storage layer, in the temporary directory, and removed. The year is 53 segments, one a
 * week, as compaction leaves them. Each opening is a process of its own: nothing is warm but the page cache.
 */
import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { open } from '../src/index.ts'
import { createWasmKernels } from '../src/kernels/wasm-kernels.ts'
import { nodePorts } from '../src/lib/node/ports.ts'
import { openCatalog } from '../src/storage/catalog/store.ts'
import { createManifest } from '../src/storage/manifest/manifest.ts'
import { newManifestState } from '../src/storage/manifest/state.ts'
import { RowBuffer } from '../src/storage/row-buffer.ts'
import { SegmentWriter } from '../src/storage/segment/encode.ts'
import { createSegment, publishAll, segmentPath } from '../src/storage/segment/publish.ts'
import { metaOf } from '../src/storage/segment/recover.ts'
import type { SegmentMeta } from '../src/storage/types.ts'
import { median, temporaryDirectory } from './harness.ts'
import { print, type Result } from './result.ts'

const hourUs = 3_600_000_000
const weekHours = 168
const yearHours = 8760

/** Nothing is flushed before it is killed. */
const unflushed = { memtableMaxBytes: 2 ** 31, memLimitBytes: 2 ** 33, flushIntervalMs: 86_400_000 }

/** A year of `cpu` in segments of a week each. */
async function makeYear(dataDir: string, seriesCount: number): Promise<number> {
  const ports = nodePorts()
  const kernels = createWasmKernels()
  const store = await openCatalog({ ports, directory: dataDir, seriesMax: 1e7 })
  const { catalog } = store
  const metric = catalog.useMetric('cpu')
  const field = catalog.useField(metric, 'value', 'float')
  const ordinals = Array.from({ length: seriesCount }, (_, i) =>
    catalog.useSeries(metric, [
      ['dc', `dc${i % 7}`],
      ['host', `host-${String(i).padStart(6, '0')}`],
    ]),
  )
  const ranks = catalog.ranks(metric.id)
  ordinals.sort((a, b) => ranks[a]! - ranks[b]!)
  const segments: SegmentMeta[] = []
  const startUs = Date.UTC(2024, 0, 1) * 1000
  let rows = 0
  for (let fromHour = 0; fromHour < yearHours; fromHour += weekHours) {
    const hours = Math.min(weekHours, yearHours - fromHour)
    const lsn = segments.length + 1
    const id = String(lsn).padStart(10, '0')
    const path = segmentPath(`bench-${lsn}`, id)
    const file = createSegment(ports.files, dataDir, path)
    const head = { minLsn: lsn, maxLsn: lsn, incarnation: catalog.incarnation }
    const writer = new SegmentWriter(head, kernels, ports.checksums, ports.zstd, file)
    const seriesAtOnce = 256
    for (let from = 0; from < seriesCount; from += seriesAtOnce) {
      const buffer = new RowBuffer([field], seriesAtOnce * hours)
      for (const ordinal of ordinals.slice(from, from + seriesAtOnce)) {
        for (let hour = 0; hour < hours; hour++) {
          buffer.series[buffer.length] = ordinal
          buffer.timeUs[buffer.length] = startUs + (fromHour + hour) * hourUs
          buffer.fields[0]!.values[buffer.length] = Math.round(2000 + 1000 * Math.sin(ordinal + hour / 24)) / 100
          buffer.length++
        }
      }
      buffer.fields[0]!.valid.fill(1)
      writer.rows(metric, buffer, undefined)
      rows += buffer.length
    }
    const header = writer.close(catalog).seal(1)
    await publishAll(ports.files, dataDir, [file])
    segments.push(metaOf(header, path))
  }
  await store.checkpoint()
  await store.close()
  const state = newManifestState(ports.random.bytes(new Uint8Array(16)), 'last')
  const flushed = { flushedLsn: segments.length, nextSegment: segments.length + 1, segments }
  await (await createManifest(ports, dataDir, { ...state, ...flushed })).close()
  return rows
}

/** A process that ingests until its WAL is full, and is killed. */
async function fillWal(dataDir: string, walBytes: number): Promise<void> {
  const db = await open({ dataDir, ...unflushed, fsync: 'interval' })
  const encoder = new TextEncoder()
  const seriesCount = 1000
  const stream = db.ingestStream()
  for (let round = 0; db.stats().wal.bytes < walBytes; round++) {
    let text = ''
    for (let i = 0; i < seriesCount; i++) {
      const value = Math.round(5000 + 3000 * Math.sin(i + round / 50)) / 100
      text += `{"series":"cpu","tags":{"host":"host-${i}"},"ts":${1_700_000_000_000_000 + round * 10_000_000 + i},"value":${value}}\n`
    }
    await stream.write(encoder.encode(text))
    await new Promise(resolve => setImmediate(resolve))
  }
  process.kill(process.pid, 'SIGKILL')
}

async function openOnce(dataDir: string): Promise<void> {
  const started = performance.now()
  const db = await open({ dataDir, ...unflushed })
  const elapsedMs = performance.now() - started
  const { memtable, segments, wal } = db.stats()
  process.stdout.write(
    `${JSON.stringify({ elapsedMs, rows: memtable.rows + segments.rows, segments: segments.count, walBytes: wal.bytes })}\n`,
  )
  // As a crash would leave it, for the next.
  process.kill(process.pid, 'SIGKILL')
}

interface Opening {
  readonly elapsedMs: number
  readonly rows: number
  readonly segments: number
  readonly walBytes: number
}

function inProcess(task: string, dataDir: string, profile = false): string {
  const options = profile ? ['--cpu-prof'] : []
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...options, import.meta.filename, '--task', task, '--dir', dataDir],
    {
      encoding: 'utf8',
    },
  )
  if (stderr !== '') process.stderr.write(stderr)
  return stdout
}

function opened(dataDir: string, runs: number): Opening {
  const openings = Array.from({ length: runs }, () => JSON.parse(inProcess('open', dataDir)) as Opening)
  return { ...openings[0]!, elapsedMs: median(openings.map(({ elapsedMs }) => elapsedMs)) }
}

export async function recoveryBench(seriesCount = 10_000): Promise<Result[]> {
  const year = temporaryDirectory('year')
  const crashed = temporaryDirectory('crashed')
  try {
    const rows = await makeYear(year.path, seriesCount)
    const ofYear = opened(year.path, 5)
    inProcess('fill', crashed.path)
    const ofCrash = opened(crashed.path, 5)
    return [
      {
        name: `open a year of hourly rows of ${seriesCount} series (${(rows / 1e6).toFixed(1)} M rows, ${ofYear.segments} segments)`,
        unit: 'ms',
        ours: ofYear.elapsedMs,
        peers: {},
        aim: { atMost: 300 },
      },
      {
        name: `open after a crash, WAL of ${(ofCrash.walBytes / 2 ** 20).toFixed(0)} MiB (${(ofCrash.rows / 1e6).toFixed(1)} M rows)`,
        unit: 'ms',
        ours: ofCrash.elapsedMs,
        peers: {},
        aim: { atMost: 1000 },
      },
    ]
  } finally {
    year.remove()
    crashed.remove()
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: { task: { type: 'string' }, dir: { type: 'string' }, series: { type: 'string', default: '10000' } },
  })
  if (values.task === 'open') await openOnce(values.dir!)
  else if (values.task === 'fill') await fillWal(values.dir!, 63 * 2 ** 20)
  else {
    print(await recoveryBench(Number(values.series)))
  }
}
