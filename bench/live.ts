/**
 * Live queries: what they cost the ingest that they watch, how soon they tell, and whether stored data makes them slower.
 *
 *   npx node bench/live.ts                              both parts, stores of 1 M and 10 M rows
 *   npx node bench/live.ts --stored 1000000,100000000
 *
 * Load: 4,000 rows every 20 ms (200,000 rows/s) of 1,000 hosts as NDJSON, made by a thread of its own; 1,000 subscriptions to
 * 100 distinct queries (groups by time and host, tails, last values, the ten highest), in the process of the database, as a
 * program would have them. CPU is that of the main thread: ingest, queries and subscribers. The same load without
 * subscriptions comes before and after. Each is a process of its own, with a store on the disk and `fsync: always`.
 *
 * Stored: live queries over a metric with so many rows, and commits of 100 rows that follow them in time.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { open } from '../src/index.ts'
import type { Database } from '../src/types.ts'
import { machine, quantile, temporaryDirectory } from './harness.ts'
import { historyStartMs, historyStepMs, hostName, writeHistory } from './history.ts'
import { uniform } from './random.ts'
import { print, type Result } from './result.ts'

const hosts = 1000
const rowsPerCommit = 4000
const commitEveryMs = 20
const warmUpMs = 3000
const measuredMs = 15_000
const distinct = 100
const subscriptions = 1000

const queryOf = (n: number): string => {
  const host = hostName((n * 37) % hosts)
  const dc = `dc_${n % 10}`
  switch (n % 5) {
    case 0:
      return `select time_bucket(1m, time) as t, avg(value), max(value) from cpu where tag.host = '${host}' group by t`
    case 1:
      return `select time_bucket(10s, time) as t, tag.dc, count(*), avg(value) from cpu where tag.dc = '${dc}' and tag.rack = 'r_${n % 25}' group by t, tag.dc`
    case 2:
      return `select time, tag.host, value from cpu where tag.host = '${host}' and value > 60`
    case 3:
      return `select tag.host, last(value) from cpu where tag.rack = 'r_${n % 25}' group by tag.host`
    default:
      return `select time, tag.host, value from cpu where tag.rack = 'r_${n % 25}' order by value desc limit 10`
  }
}

// ---- the thread that makes rows -----------------------------------------------------------------------------------

/** Answers each message with the bytes of the next commit. */
function makeRows(): void {
  const random = uniform(5)
  const encoder = new TextEncoder()
  const values = Array.from({ length: hosts }, () => 50)
  let row = 0
  parentPort!.on('message', (atMs: number) => {
    let text = ''
    for (let i = 0; i < rowsPerCommit; i++, row++) {
      const host = row % hosts
      values[host]! += Math.round((random() - 0.5) * 200) / 100
      const ts = atMs * 1000 + Math.floor(i / hosts)
      text += `{"series":"cpu","ts":${ts},"tags":{"host":"${hostName(host)}","dc":"dc_${host % 10}","rack":"r_${host % 25}"},"value":${values[host]!.toFixed(2)}}\n`
    }
    const bytes = encoder.encode(text)
    parentPort!.postMessage(bytes, [bytes.buffer])
  })
}

// ---- under load ---------------------------------------------------------------------------------------------------

interface Loaded {
  readonly rowsPerSecond: number
  readonly cpuMsPerSecond: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly eventP50Ms: number
  readonly eventP99Ms: number
  readonly events: number
  readonly bytesPerSubscription: number
  readonly lagged: number
}

async function underLoad(dataDir: string, subscribed: number): Promise<Loaded> {
  const db = await open({ dataDir })
  const worker = new Worker(new URL(import.meta.url), { workerData: 'rows' })
  const batch = (): Promise<Uint8Array> =>
    new Promise(resolve => {
      worker.once('message', resolve)
      worker.postMessage(Date.now())
    })
  const acknowledged = new Map<number, number>()
  const early = new Map<number, number[]>()
  const [acks, delays]: [number[], number[]] = [[], []]
  let [isMeasured, events, lagged] = [false, 0, 0]
  const stream = db.ingestStream({
    precision: 'us',
    onCommit: ({ lsn }) => {
      const now = performance.now()
      acknowledged.set(lsn, now)
      for (const _ of early.get(lsn) ?? []) delays.push(0)
      early.delete(lsn)
    },
  })
  await stream.write(await batch())
  globalThis.gc!()
  const before = process.memoryUsage()
  const open1 = Array.from({ length: subscribed }, (_, n) =>
    db.live(queryOf(n % distinct)).subscribe(event => {
      if (event.kind === 'lagged') lagged++
      if (event.kind !== 'delta' || !isMeasured) return
      events++
      const at = acknowledged.get(event.lsn)
      if (at !== undefined) delays.push(performance.now() - at)
      else early.set(event.lsn, [...(early.get(event.lsn) ?? []), 0])
    }),
  )
  await pause(500)
  globalThis.gc!()
  const after = process.memoryUsage()
  const held = (use: NodeJS.MemoryUsage): number => use.heapUsed + use.external

  let rows = 0
  const load = async (ms: number): Promise<void> => {
    const started = performance.now()
    let next = started
    let coming = batch()
    while (performance.now() - started < ms) {
      const bytes = await coming
      coming = batch()
      const sent = performance.now()
      await stream.write(bytes)
      acks.push(performance.now() - sent)
      rows += rowsPerCommit
      next += commitEveryMs
      const wait = next - performance.now()
      if (wait > 0) await pause(wait)
    }
    await coming
  }
  await load(warmUpMs)
  acks.length = 0
  rows = 0
  isMeasured = true
  const cpu = process.threadCpuUsage()
  const started = performance.now()
  await load(measuredMs)
  const used = process.threadCpuUsage(cpu)
  const seconds = (performance.now() - started) / 1000
  for (const subscription of open1) subscription.unsubscribe()
  await stream.end()
  await worker.terminate()
  await db.close()
  return {
    rowsPerSecond: rows / seconds,
    cpuMsPerSecond: (used.user + used.system) / 1000 / seconds,
    ackP50Ms: quantile(acks, 0.5),
    ackP99Ms: quantile(acks, 0.99),
    eventP50Ms: quantile(delays, 0.5),
    eventP99Ms: quantile(delays, 0.99),
    events,
    bytesPerSubscription: subscribed === 0 ? 0 : (held(after) - held(before)) / subscribed,
    lagged,
  }
}

// ---- over stored rows ---------------------------------------------------------------------------------------------

interface OverStored {
  readonly query: string
  readonly firstMs: number
  readonly statesMs: number
  readonly commitMs: number
}

const storedQueries: readonly string[] = [
  'select time_bucket(1h, time) as t, tag.hostname, avg(value) from cpu group by t, tag.hostname having avg(value) > -1e9',
  `select time, value from cpu where tag.hostname = 'host_0007'`,
  'select tag.hostname, avg(value), max(value) from cpu group by tag.hostname',
  'select time, tag.hostname, value from cpu order by time desc limit 20',
]

/** Milliseconds of the main thread for a commit of 100 rows of 100 hosts, with one live query and without. */
async function overStored(dataDir: string, points: number): Promise<readonly OverStored[]> {
  const results: OverStored[] = []
  const db = await open({ dataDir, compaction: { enabled: false }, live: { rowsMax: 10_000_000 } })
  let nowMs = historyStartMs + Math.ceil(points / hosts) * historyStepMs
  const commit = (): Promise<unknown> => {
    nowMs += 1000
    return db.ingest(
      Array.from({ length: 100 }, (_, host) => ({
        series: 'cpu',
        ts: nowMs,
        value: host,
        tags: { hostname: hostName(host) },
      })),
      { precision: 'ms' },
    )
  }
  const perCommit = async (commits: number): Promise<number> => {
    const cpu = process.threadCpuUsage()
    for (let n = 0; n < commits; n++) {
      await commit()
      await pause(1)
    }
    const { user, system } = process.threadCpuUsage(cpu)
    return (user + system) / 1000 / commits
  }
  await perCommit(200)
  const without = await perCommit(300)
  for (const query of storedQueries) {
    const started = performance.now()
    let first = 0
    // Grouped by the hour, all of it would be the snapshot: the range of the last day is what a dashboard asks for.
    const text = query.includes('having')
      ? query.replace(' group by', ` where time >= '${new Date(nowMs - 86_400_000).toISOString()}' group by`)
      : query
    const subscription = await subscribed(db, text, () => (first ||= performance.now() - started))
    // The first commit makes the states that the following ones are added to.
    const committed = performance.now()
    await commit()
    while (db.stats().live.behindLsns > 0) await pause(1)
    const statesMs = performance.now() - committed
    await pause(1000)
    await perCommit(50)
    results.push({ query, firstMs: first, statesMs, commitMs: (await perCommit(300)) - without })
    subscription.unsubscribe()
  }
  await db.close()
  return results
}

const subscribed = (db: Database, text: string, onSnapshot: () => void): Promise<{ unsubscribe(): void }> =>
  new Promise((resolve, reject) => {
    const subscription = db.live(text).subscribe({
      next: event => {
        if (event.kind !== 'snapshot') return
        onSnapshot()
        setImmediate(() => resolve(subscription))
      },
      error: reject,
    })
  })

// ---- the runs -----------------------------------------------------------------------------------------------------

/** In a process of its own, so that one run's garbage is not the next one's. */
function inChild<T>(task: object): T {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', import.meta.filename, '--task', JSON.stringify(task)],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  )
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as T
}

export async function liveBench(storedRows: readonly number[]): Promise<Result[]> {
  const directory = temporaryDirectory('live')
  try {
    const loaded = (name: string, count: number): Loaded =>
      inChild({ load: count, dataDir: join(directory.path, name) })
    const before = loaded('before', 0)
    const live = loaded('live', subscriptions)
    const after = loaded('after', 0)
    const label = `${subscriptions} subscriptions, ${distinct} distinct`
    const compared = (of: (run: Loaded) => number): Pick<Result, 'ours' | 'peers'> => ({
      ours: of(live),
      peers: { 'without, before': of(before), 'without, after': of(after) },
    })
    const results: Result[] = [
      { name: `rows ingested, ${label}`, unit: 'rows/s', ...compared(run => run.rowsPerSecond) },
      { name: 'main thread', unit: 'ms of CPU a second', ...compared(run => run.cpuMsPerSecond) },
      {
        name: 'added by live queries, per query and commit',
        unit: 'µs',
        ours:
          ((live.cpuMsPerSecond - (before.cpuMsPerSecond + after.cpuMsPerSecond) / 2) * 1000) /
          (1000 / commitEveryMs) /
          distinct,
        peers: {},
      },
      { name: 'acknowledgement, p50', unit: 'ms', ...compared(run => run.ackP50Ms) },
      { name: 'acknowledgement, p99', unit: 'ms', ...compared(run => run.ackP99Ms) },
      { name: `acknowledgement to event, p50 (n = ${live.events})`, unit: 'ms', ours: live.eventP50Ms, peers: {} },
      { name: 'acknowledgement to event, p99', unit: 'ms', ours: live.eventP99Ms, peers: {} },
      { name: 'memory for each subscription', unit: 'bytes', ours: live.bytesPerSubscription, peers: {} },
      { name: 'subscriptions that lagged', unit: '', ours: live.lagged, peers: {} },
    ]
    for (const points of storedRows) {
      const dataDir = join(directory.path, `stored-${points}`)
      inChild({ write: points, dataDir })
      for (const { query, firstMs, statesMs, commitMs } of inChild<readonly OverStored[]>({ stored: points, dataDir }))
        results.push(
          {
            name: `${points / 1e6} M stored: ${query}: added by a commit`,
            unit: 'ms of CPU',
            ours: commitMs,
            peers: {},
          },
          { name: `${points / 1e6} M stored: until its snapshot`, unit: 'ms', ours: firstMs, peers: {} },
          { name: `${points / 1e6} M stored: until the first commit is told`, unit: 'ms', ours: statesMs, peers: {} },
        )
    }
    return results
  } finally {
    directory.remove()
  }
}

interface Task {
  readonly dataDir: string
  readonly load?: number
  readonly write?: number
  readonly stored?: number
}

async function run({ dataDir, load, write, stored }: Task): Promise<unknown> {
  if (load !== undefined) return underLoad(dataDir, load)
  if (write !== undefined) return writeHistory({ dataDir, hosts, points: write, flushRows: 1_000_000, steps: 'normal' })
  return overStored(dataDir, stored!)
}

if (!isMainThread && workerData === 'rows') makeRows()
else if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: { task: { type: 'string' }, stored: { type: 'string', default: '1000000,10000000' } },
  })
  if (values.task !== undefined) process.stdout.write(JSON.stringify(await run(JSON.parse(values.task) as Task)))
  else {
    process.stdout.write(`${machine()}\n`)
    print(await liveBench(values.stored.split(',').map(Number)))
  }
}
