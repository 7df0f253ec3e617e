/**
 * Compaction while the engine is in use: how long commits and queries take with a merge under way, and without.
 *
 *   npx node bench/compaction-live.ts                     20 M points
 *   npx node bench/compaction-live.ts --points 100000000 --steps normal
 *
 * The store has a metric of 1,000 hosts in flushes of a million rows. Two clients take turns with pauses: one commits 2,000
 * rows of another metric, durable when acknowledged, the other asks in turn for the maximum by the minute of an hour of one
 * host, the newest value of each host, and the average by the hour of a day of ten hosts. First no merge runs, then
 * `compact` does until everything is settled, with rollups, and then none again. Clients, engine and the merge's thread share
 * one machine: with two cores or less the merge takes its share of what the others would have.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { rowCount } from '../src/columnar/batch.ts'
import { open } from '../src/index.ts'
import type { SegmentMeta } from '../src/storage/types.ts'
import type { Database } from '../src/types.ts'
import { quantile, temporaryDirectory, usage } from './harness.ts'
import { type History, historyStartMs, historyStepMs, hostName, type Steps, writeHistory } from './history.ts'
import { uniform } from './random.ts'
import { print, type Result } from './result.ts'

const hosts = 1000
const flushRows = 1_000_000
const commitRows = 2000
const commitPauseMs = 40
const queryPauseMs = 10
const warmUpMs = 2000
const idleMs = 15_000

const day = 86_400_000

interface Question {
  readonly name: string
  readonly text: string
  parameters(random: () => number, endMs: number): readonly (string | Date)[]
}
const questions: readonly Question[] = [
  {
    name: 'max by minute, one host, one hour',
    text: `select time_bucket(1m, time) as minute, max(value) from cpu where tag.hostname = ? and time >= ? and time < ? group by minute`,
    parameters(random, endMs) {
      const fromMs = historyStartMs + Math.floor((random() * (endMs - historyStartMs)) / 3_600_000) * 3_600_000
      return [hostName(Math.floor(random() * hosts)), new Date(fromMs), new Date(fromMs + 3_600_000)]
    },
  },
  {
    name: 'newest value of each host',
    text: 'select tag.hostname, last(value) from cpu group by tag.hostname',
    parameters: () => [],
  },
  {
    name: 'avg by hour of a day, ten hosts',
    text: `select time_bucket(1h, time) as hour, tag.hostname, avg(value) from cpu
      where tag.hostname in (${Array(10).fill('?').join(', ')}) and time >= ? and time < ? group by hour, tag.hostname`,
    parameters(random, endMs) {
      const fromMs = historyStartMs + Math.floor((random() * (endMs - historyStartMs)) / day) * day
      const names = Array.from({ length: 10 }, () => hostName(Math.floor(random() * hosts)))
      return [...names, new Date(fromMs), new Date(fromMs + day)]
    },
  },
]

const commitName = `commit of ${commitRows.toLocaleString('en')} rows`

interface Load {
  /** Milliseconds, by name of what was done. */
  readonly times: ReadonlyMap<string, number[]>
  /** Of a timer, 99 of 100. */
  readonly delayMs: number
}

/** Keeps both clients busy until the task has ended. */
async function underLoad(db: Database, endMs: number, task: Promise<unknown>): Promise<Load> {
  const times = new Map<string, number[]>([commitName, ...questions.map(({ name }) => name)].map(name => [name, []]))
  const encoder = new TextEncoder()
  const random = uniform(7)
  let isOver = false
  const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const from = performance.now()
    await work()
    times.get(name)!.push(performance.now() - from)
  }
  const commits = async (): Promise<void> => {
    while (!isOver) {
      let text = ''
      const ts = Date.now() * 1000
      for (let i = 0; i < commitRows; i++)
        text += `{"series":"live","ts":${ts + i},"tags":{"host":"h${i % 200}"},"value":${Math.round(random() * 10_000) / 100}}\n`
      const bytes = encoder.encode(text)
      await timed(commitName, async () => {
        const stream = db.ingestStream({ precision: 'us' })
        await stream.write(bytes)
        const { ingested, failure } = await stream.end()
        if (ingested !== commitRows) throw failure ?? new Error('rows were refused')
      })
      await pause(commitPauseMs)
    }
  }
  const asks = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const { name, text, parameters } = questions[n % questions.length]!
      const given = parameters(random, endMs)
      let rows = 0
      await timed(name, async () => {
        for await (const batch of db.query(text, given).batches({ borrow: true })) rows += rowCount(batch)
      })
      if (rows === 0) throw new Error(`"${name}" has no answer`)
      await pause(queryPauseMs)
    }
  }
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const clients = Promise.all([commits(), asks()])
  await Promise.race([task, clients])
  isOver = true
  await clients
  delays.disable()
  return { times, delayMs: delays.percentile(99) / 1e6 }
}

/** Of the metric's rows, without rollups: what is left of the live metric is a few percent of it. */
const bytesOf = (segments: readonly SegmentMeta[]): number =>
  segments.reduce((sum, { bytes, rollup }) => sum + (rollup === undefined ? bytes : 0), 0)

function fileBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.seg'))
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

export async function liveCompactionBench(points: number, steps: Steps): Promise<Result[]> {
  const directory = temporaryDirectory('compaction-live')
  const history: History = { dataDir: join(directory.path, 'data'), hosts, points, flushRows, steps }
  try {
    // In a process of its own: its garbage is not the engine's.
    const { status, stderr } = spawnSync(process.execPath, [import.meta.filename, '--write', JSON.stringify(history)], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
    return await measure(history)
  } finally {
    directory.remove()
  }
}

async function measure({ dataDir, points, steps }: History): Promise<Result[]> {
  const before = fileBytes(dataDir)
  const endMs = historyStartMs + Math.ceil(points / hosts) * historyStepMs
  const db = await open({ dataDir, compaction: { enabled: false } })
  const settled = new Map<string, SegmentMeta>()
  db.events$.subscribe(event => {
    if (event.kind !== 'compacted') return
    for (const { id } of event.inputs) settled.delete(id)
    for (const meta of event.segments) settled.set(meta.id, meta)
  })
  try {
    await underLoad(db, endMs, pause(warmUpMs))
    const idle = await underLoad(db, endMs, pause(idleMs))
    const rss = usage(process.pid).peakRssBytes
    // The flush that `compact` begins with is not a merge.
    await db.flush()
    const flushed = db.stats().segments.bytes
    const started = performance.now()
    const compacted = db.compact()
    const during = await underLoad(db, endMs, compacted)
    const { rowsRead, bytesWritten, merges } = await compacted
    const seconds = (performance.now() - started) / 1000
    const after = await underLoad(db, endMs, pause(idleMs))
    const name = `${(points / 1e6).toFixed(0)} M points, ${steps} steps`
    const figures: Result[] = [
      {
        name: `compaction under load, ${name}, ${merges} merges`,
        unit: 'M points/s',
        ours: rowsRead / seconds / 1e6,
        peers: {},
      },
      { name: 'bytes written for each byte flushed', unit: '', ours: (flushed + bytesWritten) / flushed, peers: {} },
      { name: 'bytes per value, flushed', unit: '', ours: before / points, peers: {} },
      { name: 'bytes per value, settled', unit: '', ours: bytesOf([...settled.values()]) / rowsRead, peers: {} },
      {
        name: 'resident memory of clients, engine and merge, at most',
        unit: 'MiB',
        ours: usage(process.pid).peakRssBytes / 2 ** 20,
        peers: { before: rss / 2 ** 20 },
      },
    ]
    const compared = (of: (load: Load) => number): Pick<Result, 'ours' | 'peers'> => {
      const [ours, others] = [of(during), { before: of(idle), after: of(after) }]
      return { ours, peers: { ...others, 'ours / before': ours / others.before } }
    }
    figures.push({ name: 'delay of a timer, p99', unit: 'ms', ...compared(({ delayMs }) => delayMs) })
    for (const [what, { length }] of during.times)
      for (const [label, q] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const)
        figures.push({
          name: `${what}, ${label} while merging (n = ${length})`,
          unit: 'ms',
          ...compared(({ times }) => quantile(times.get(what)!, q)),
        })
    return figures
  } finally {
    await db.close()
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      write: { type: 'string' },
      points: { type: 'string', default: '20000000' },
      steps: { type: 'string', default: 'normal' },
    },
  })
  if (values.write === undefined) print(await liveCompactionBench(Number(values.points), values.steps as Steps))
  else await writeHistory(JSON.parse(values.write) as History)
}
