/**
 * Churn: writes and reads in turn for a while — how long a commit takes at the tail, and whether memory stays where it is.
 *
 *   npx node bench/churn.ts                        2,000, 20,000 and 200,000 operations
 *   npx node bench/churn.ts --operations 20000 --fsync interval
 *   npx node bench/churn.ts --minutes 30 --fsync interval --allocation pool
 *
 * Four of five operations ingest 100 rows of NDJSON into one of 40 small metrics or the large one, and wait for the
 * acknowledgement; the fifth reads: a series by the minute, or the newest rows. One reader in a hundred is slow: it holds
 * its version for the next 200 operations. Each run is a process of its own, with a memtable of 8 MiB, so that memory changes
 * hands often, and without compaction, which has a thread of its own.
 *
 * `pool`: chunks are cut from slabs that one memtable uses after the other. `plain`: each array comes from V8 and goes there.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { openDatabase } from '../src/database.ts'
import { nodePorts } from '../src/lib/node/ports.ts'
import { parseSettings } from '../src/lib/settings.ts'
import type { Database } from '../src/types.ts'
import { machine, temporaryDirectory } from './harness.ts'
import { uniform } from './random.ts'

const { values: options } = parseArgs({
  options: {
    operations: { type: 'string' },
    minutes: { type: 'string' },
    fsync: { type: 'string' },
    allocation: { type: 'string' },
    child: { type: 'boolean' },
  },
})

const rowsPerCommit = 100
const smallMetrics = 40
const hosts = 50
const memtableMaxBytes = 8 * 2 ** 20
const readEvery = 5
const slowReadEvery = 500
const slowReadOperations = 200
/** Of the time or the operations: caches fill, memtables turn over, V8 compiles. */
const warmUpShare = 0.25
const rssSamples = 200

interface Run {
  readonly fsync: 'always' | 'interval'
  readonly allocation: 'pool' | 'plain'
  readonly operations: number
  readonly minutes: number
}

interface Measured {
  readonly operations: number
  readonly seconds: number
  readonly ingestMs: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number }
  readonly flushes: number
  readonly slabs: string
  /** After the warm-up. */
  readonly rssMB: { readonly mean: number; readonly min: number; readonly max: number }
}

const random = uniform(7)

const metricOf = (operation: number): string =>
  operation % 3 === 0 ? 'churn.large' : `churn.small_${operation % smallMetrics}`

function commitBytes(metric: string, operation: number, startMs: number): Uint8Array {
  let text = ''
  for (let i = 0; i < rowsPerCommit; i++) {
    const value = Math.round(random() * 10_000) / 100
    const ts = startMs + operation * 10 + Math.floor(i / 10)
    text += `{"series":"${metric}","ts":${ts},"tags":{"host":"h${(operation + i) % hosts}"},"fields":{"value":${value},"busy":${value * 2}}}\n`
  }
  return new TextEncoder().encode(text)
}

async function read(db: Database, operation: number, startMs: number): Promise<void> {
  const now = startMs + operation * 10
  if (operation % 2 === 0) {
    const text = `select time_bucket(1m, time) as minute, avg(value) as mean from "churn.large"
                  where tag.host = ? and time >= ? group by minute`
    await db.query(text, [`h${operation % hosts}`, new Date(now - 600_000)]).all()
  } else {
    const text = `select time, value from "churn.small_${operation % smallMetrics}" where time >= ? limit 500`
    await db.query(text, [new Date(now - 30_000)]).all()
  }
}

async function churn({ fsync, allocation, operations, minutes }: Run): Promise<Measured> {
  const directory = temporaryDirectory('churn')
  const settings = parseSettings({
    dataDir: directory.path,
    fsync,
    memtableMaxBytes,
    walKeepBytes: 0,
    compaction: { enabled: false },
  })
  const db = await openDatabase(settings, nodePorts(), { plainChunks: allocation === 'plain' })
  const startMs = Date.UTC(2026, 0, 1)
  const ingestMs: number[] = []
  const rss: number[] = []
  const slow: { readonly until: number; readonly rows: AsyncIterator<unknown> }[] = []
  for (let i = 0; i < 3 * smallMetrics; i++) {
    const stream = db.ingestStream({ precision: 'ms' })
    await stream.write(commitBytes(metricOf(i), 0, startMs))
    await stream.end()
  }
  const started = performance.now()
  const elapsed = (): number => performance.now() - started
  const share = (done: number): number => (minutes > 0 ? elapsed() / (minutes * 60_000) : done / operations)
  let done = 0
  let nextSample = warmUpShare
  for (; share(done) < 1; done++) {
    if (done % readEvery === 0) await read(db, done, startMs)
    else {
      const bytes = commitBytes(metricOf(done), done, startMs)
      const from = performance.now()
      const stream = db.ingestStream({ precision: 'ms' })
      await stream.write(bytes)
      const { ingested, failure } = await stream.end()
      if (share(done) >= warmUpShare) ingestMs.push(performance.now() - from)
      if (ingested !== rowsPerCommit) throw failure ?? new Error('rows were refused')
    }
    if (done % slowReadEvery === 0) {
      const rows = db.query('select * from "churn.large"')[Symbol.asyncIterator]()
      await rows.next()
      slow.push({ until: done + slowReadOperations, rows })
    }
    while (slow.length > 0 && slow[0]!.until <= done) await slow.shift()!.rows.return?.()
    if (share(done) >= nextSample) {
      rss.push(process.memoryUsage.rss())
      nextSample += (1 - warmUpShare) / rssSamples
    }
  }
  const seconds = elapsed() / 1000
  const { flushes, memory } = db.stats()
  await db.close()
  directory.remove()
  ingestMs.sort((a, b) => a - b)
  const quantile = (q: number): number => ingestMs[Math.min(ingestMs.length - 1, Math.floor(q * ingestMs.length))]!
  const megabytes = (bytes: number): number => bytes / 1e6
  return {
    operations: done,
    seconds,
    ingestMs: { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), max: ingestMs.at(-1)! },
    flushes,
    slabs: `${memory.chunks.slabsMade} made, ${memory.chunks.slabsReused} reused`,
    rssMB: {
      mean: megabytes(rss.reduce((sum, bytes) => sum + bytes, 0) / rss.length),
      min: megabytes(Math.min(...rss)),
      max: megabytes(Math.max(...rss)),
    },
  }
}

function inChild(run: Run): Measured {
  const { fsync, allocation, operations, minutes } = run
  const args = [
    '--fsync',
    fsync,
    '--allocation',
    allocation,
    '--operations',
    `${operations}`,
    '--minutes',
    `${minutes}`,
  ]
  const { stdout, status, stderr } = spawnSync(process.execPath, [import.meta.filename, '--child', ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Measured
}

const isOneOf = <T extends string>(all: readonly T[], text: string | undefined): T[] => {
  if (text !== undefined && !all.includes(text as T)) throw new Error(`"${text}" is none of ${all.join(', ')}`)
  return text === undefined ? [...all] : [text as T]
}

const fsyncs = isOneOf(['always', 'interval'], options.fsync)
const allocations = isOneOf(['pool', 'plain'], options.allocation)
const minutes = Number(options.minutes ?? 0)

if (options.child === true) {
  const run = { fsync: fsyncs[0]!, allocation: allocations[0]!, operations: Number(options.operations), minutes }
  process.stdout.write(JSON.stringify(await churn(run)))
} else {
  process.stdout.write(`${machine()}\n`)
  const head = [
    'fsync',
    'chunks',
    'operations',
    '/s',
    'p50 ms',
    'p99',
    'p999',
    'max',
    'flushes',
    'slabs',
    'RSS MB',
    '±',
  ]
  process.stdout.write(`| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|\n`)
  const sizes =
    minutes > 0 ? [0] : options.operations === undefined ? [2000, 20_000, 200_000] : [Number(options.operations)]
  for (const operations of sizes)
    for (const fsync of fsyncs)
      for (const allocation of allocations) {
        const { ingestMs, rssMB, ...run } = inChild({ fsync, allocation, operations, minutes })
        const { p50, p99, p999, max } = ingestMs
        const spread = (100 * Math.max(rssMB.max - rssMB.mean, rssMB.mean - rssMB.min)) / rssMB.mean
        const row = [
          fsync,
          allocation,
          run.operations,
          Math.round(run.operations / run.seconds),
          ...[p50, p99, p999, max].map(ms => ms.toFixed(2)),
          run.flushes,
          run.slabs,
          rssMB.mean.toFixed(0),
          `${spread.toFixed(0)} %`,
        ]
        process.stdout.write(`| ${row.join(' | ')} |\n`)
      }
}
