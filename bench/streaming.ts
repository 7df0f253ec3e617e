/**
 * A long answer to a slow reader: ten million rows of a hundred series, read over HTTP at a few MB/s. Measures when the
 * first row arrives, what the server's memory does meanwhile, and how soon the scan stops when the reader goes away.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { open } from '../src/index.ts'
import { startServer, temporaryDirectory, usage } from './harness.ts'
import { uniform } from './random.ts'
import type { Result } from './result.ts'
import { tagsJson } from './side-by-side/data.ts'

const hosts = 100
const startMs = Date.UTC(2024, 0, 1)

export async function streamingBench(rows: number): Promise<Result[]> {
  const directory = temporaryDirectory('streaming')
  try {
    await fill(directory.path, rows)
    const server = await startServer(directory.path)
    try {
      await readAll(server.url, 'select time, value from m limit 10')
      const first = await firstRowMs(server.url)
      const { peakRssBytes, stoppedMs, scanned } = await slowReader(server.url, server.pid)
      const seconds = await readAll(server.url, 'select time, value from m')
      return [
        { name: `first row of ${rows / 1e6} M`, unit: 'ms', ours: first, peers: {}, aim: { atMost: 20 } },
        {
          name: 'server RSS, peak, with a slow reader',
          unit: 'MB',
          ours: peakRssBytes / 1e6,
          peers: {},
          aim: { atMost: 300 },
        },
        { name: 'scan stops after the reader is gone', unit: 'ms', ours: stoppedMs, peers: {} },
        {
          name: 'rows scanned when it was gone',
          unit: '% of all',
          ours: (scanned / rows) * 100,
          peers: {},
          aim: { atMost: 20 },
        },
        { name: 'a fast reader, whole answer as JSON', unit: 'M rows/s', ours: rows / seconds / 1e6, peers: {} },
      ]
    } finally {
      await server.stop()
    }
  } finally {
    directory.remove()
  }
}

async function fill(dataDir: string, rows: number): Promise<void> {
  const db = await open({ dataDir, fsync: 'none' })
  const random = uniform(7)
  const stream = db.ingestStream({ precision: 'ms' })
  const encoder = new TextEncoder()
  let text = ''
  for (let row = 0; row < rows; row++) {
    const ts = startMs + Math.floor(row / hosts) * 1000
    text += `{"series":"m","ts":${ts},"value":${Math.round(random() * 10_000) / 100},"tags":${tagsJson[row % hosts]}}\n`
    if (text.length > 1 << 20) {
      await stream.write(encoder.encode(text))
      text = ''
    }
  }
  await stream.write(encoder.encode(text))
  const report = await stream.end()
  if (report.ingested !== rows) throw new Error(`stored ${report.ingested} of ${rows} rows`)
  await db.close()
}

function ask(url: string, sql: string) {
  const sent = request(`${url}/api/v1/sydraql`, { method: 'POST', headers: { 'content-type': 'text/plain' } })
  sent.end(sql)
  return sent
}

async function firstRowMs(url: string): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < 9; run++) {
    const started = performance.now()
    const sent = ask(url, 'select time, value from m')
    const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream & { destroy(): void }]
    await once(response, 'data')
    times.push(performance.now() - started)
    response.destroy()
    await delay(50)
  }
  return times.toSorted((a, b) => a - b)[times.length >> 1]!
}

async function slowReader(
  url: string,
  pid: number,
): Promise<{ peakRssBytes: number; stoppedMs: number; scanned: number }> {
  const before = await scannedRows(url)
  const sent = ask(url, 'select time, value from m')
  const [response] = (await once(sent, 'response')) as [
    NodeJS.ReadableStream & { destroy(): void; read(size?: number): Buffer | null },
  ]
  let peakRssBytes = 0
  for (let step = 0; step < 50; step++) {
    response.read(64 * 1024)
    await delay(100)
    peakRssBytes = Math.max(peakRssBytes, usage(pid).rssBytes)
  }
  const started = performance.now()
  response.destroy()
  while ((await metric(url, 'sydradb_queries_running')) > 0) await delay(5)
  return { peakRssBytes, stoppedMs: performance.now() - started, scanned: (await scannedRows(url)) - before }
}

const scannedRows = (url: string): Promise<number> => metric(url, 'sydradb_rows_scanned_total')

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const match = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)
  if (match === null) throw new Error(`/metrics has no ${name}`)
  return Number(match[1])
}

async function readAll(url: string, sql: string): Promise<number> {
  const started = performance.now()
  const [response] = (await once(ask(url, sql), 'response')) as [NodeJS.ReadableStream]
  response.resume()
  await once(response, 'end')
  return (performance.now() - started) / 1000
}
