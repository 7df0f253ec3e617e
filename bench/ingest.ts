/** NDJSON over HTTP into a server process, durable at each answer; then what it takes on disk and how fast it is asked. */
import { open } from '../src/index.ts'
import type { Dataset } from './dataset.ts'
import { duckdb, duckdbAvailable } from './duckdb.ts'
import { medianMs, type Result, startServer, temporaryDirectory, usage } from './harness.ts'
import { post } from './post.ts'

export async function ingestBench(data: Dataset): Promise<Result[]> {
  const directory = temporaryDirectory('ingest')
  try {
    const peer = (await duckdbAvailable()) ? await duckdb(data) : undefined
    const server = await startServer(directory.path)
    const before = usage(server.pid)
    const started = performance.now()
    const answer = JSON.parse(await post(server.url, data.path)) as { ingested: number }
    const seconds = (performance.now() - started) / 1000
    const after = usage(server.pid)
    if (answer.ingested !== data.points) throw new Error(`stored ${answer.ingested} of ${data.points} points`)
    await fetch(`${server.url}/api/v1/flush`, { method: 'POST' })
    await server.stop()

    const millions = data.points / 1e6
    const db = await open(directory.path)
    const stats = db.stats()
    const from = new Date(data.startMs + 3_600_000)
    const to = new Date(data.startMs + 7_200_000)
    const perMinute = db.prepare(
      `select time_bucket(1m, time) as minute, max(value) as top from cpu
       where tag.hostname = 'host_7' and time >= ? and time < ? group by minute`,
    )
    const everything = db.prepare('select sum(value), min(value), max(value), count(value) from cpu')
    const rows = (await perMinute.query([from, to]).all()).rows.length
    if (rows !== 60) throw new Error(`${rows} minutes instead of 60`)
    const maxMs = await medianMs(() => perMinute.query([from, to]).all(), 201, 50)
    const allMs = await medianMs(() => everything.query().all())
    const decodeMs = await medianMs(
      () => db.query('select sum(value), min(value), max(value), count(value) from cpu where value >= -1').all(),
      5,
      1,
    )
    await db.close()

    const peers = (value: number | undefined): Record<string, number> => (value === undefined ? {} : { DuckDB: value })
    return [
      {
        name: 'HTTP NDJSON, one point a line, fsync always',
        unit: 'M points/s',
        ours: millions / seconds,
        peers: peers(peer && millions / peer.loadSeconds),
        target: '≥ 3',
      },
      {
        name: 'CPU of the server',
        unit: 's per M points',
        ours: (after.cpuSeconds - before.cpuSeconds) / millions,
        peers: peers(peer && peer.cpuSeconds / millions),
        target: '≤ 0.35',
      },
      {
        name: 'peak RSS while ingesting',
        unit: 'MB',
        ours: after.peakRssBytes / 1e6,
        peers: peers(peer && peer.peakRssBytes / 1e6),
        target: '< 300',
      },
      {
        name: 'on disk',
        unit: 'bytes per point',
        ours: stats.segments.bytes / data.points,
        peers: peers(peer && peer.bytes / data.points),
        target: '≤ 1.35',
      },
      {
        name: 'max per minute, one series, one hour',
        unit: 'ms',
        ours: maxMs,
        peers: peers(peer?.maxMs),
        target: '< 0.5',
      },
      {
        name: 'sum, min, max, count of everything',
        unit: 'ms',
        ours: allMs,
        peers: peers(peer?.allMs),
        target: '< 30',
      },
      {
        name: 'the same with a filter (all blocks decoded)',
        unit: 'ms',
        ours: decodeMs,
        peers: peers(peer?.filteredMs),
      },
    ]
  } finally {
    directory.remove()
  }
}
