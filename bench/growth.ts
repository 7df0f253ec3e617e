/**
 * Whether a point costs the same when there are more of them, and more series: a server, fed over HTTP, measured from outside.
 *
 *   series   10 M points, one a line, of 1,000 to 1,000,000 series, in turn; each count a server of its own
 *   points   lines of ten fields of 1,000 series: what a point cost since the last mark, 1 M to `pointsMax`
 *
 * CPU is the whole process's, with the flushes and merges that come meanwhile. Bodies are made once; before each request
 * times and values are written into them, all of one width, so that the client costs little.
 */
import { type Server, startServer, temporaryDirectory, usage } from './harness.ts'
import { uniform } from './random.ts'
import type { Result } from './result.ts'
import { fields } from './side-by-side/data.ts'
import { textOf } from './side-by-side/engines/client.ts'

const seriesCounts = [1000, 10_000, 100_000, 1_000_000]
const pointsOfSeriesRun = 10_000_000
const marks = [1e6, 4e6, 16e6, 64e6, 100e6, 200e6, 300e6, 400e6]
const seriesOfPointsRun = 1000
const linesAtLeast = 20_000
const stepMs = 10_000
const startMs = Date.UTC(2024, 0, 1)

export async function growthBench(pointsMax: number): Promise<Result[]> {
  return [...(await moreSeries()), ...(await morePoints(pointsMax))]
}

async function moreSeries(): Promise<Result[]> {
  const results: Result[] = []
  const found: { readonly cpu: number; readonly rss: number }[] = []
  for (const count of seriesCounts) {
    const { body, next } = bodyOf(count, ['value'])
    const runs = Math.ceil(pointsOfSeriesRun / body.lines)
    const { seconds, cpuSeconds, rssBytes, peakRssBytes } = await onServer(async server => {
      const before = usage(server.pid).cpuSeconds
      const started = performance.now()
      for (let run = 0; run < runs; run++) {
        next()
        await send(server.url, body.bytes, body.lines)
      }
      const seconds = (performance.now() - started) / 1000
      const { cpuSeconds, rssBytes, peakRssBytes } = usage(server.pid)
      return { seconds, cpuSeconds: cpuSeconds - before, rssBytes, peakRssBytes }
    })
    const millions = (runs * body.lines) / 1e6
    found.push({ cpu: cpuSeconds / millions, rss: rssBytes })
    const name = `${count.toLocaleString('en')} series`
    results.push(
      { name: `${name}: one point a line`, unit: 'M points/s', better: 'more', ours: millions / seconds, peers: {} },
      { name: `${name}: CPU`, unit: 's per M points', better: 'less', ours: cpuSeconds / millions, peers: {} },
      { name: `${name}: peak RSS`, unit: 'MB', better: 'less', ours: peakRssBytes / 1e6, peers: {} },
    )
  }
  const [first, last] = [found[0]!, found.at(-1)!]
  const [few, many] = [seriesCounts[0]!, seriesCounts.at(-1)!]
  return [
    ...results,
    {
      name: 'CPU of a point, 1 M series to 1,000',
      unit: '×',
      better: 'less',
      ours: last.cpu / first.cpu,
      peers: {},
      aim: { atMost: 2.5 },
    },
    {
      name: 'memory of a series',
      unit: 'bytes',
      better: 'less',
      ours: (last.rss - first.rss) / (many - few),
      peers: {},
      aim: { atMost: 250 },
    },
  ]
}

async function morePoints(pointsMax: number): Promise<Result[]> {
  const { body, next } = bodyOf(seriesOfPointsRun, fields)
  const points = body.lines * fields.length
  return onServer(async server => {
    const results: Result[] = []
    const costs: number[] = []
    let sent = 0
    for (const mark of marks.filter(mark => mark <= pointsMax)) {
      const [before, from] = [usage(server.pid).cpuSeconds, sent]
      const started = performance.now()
      for (; sent < mark; sent += points) {
        next()
        await send(server.url, body.bytes, body.lines)
      }
      const seconds = (performance.now() - started) / 1000
      const { cpuSeconds, peakRssBytes } = usage(server.pid)
      const millions = (sent - from) / 1e6
      costs.push((cpuSeconds - before) / millions)
      const name = `up to ${(mark / 1e6).toFixed(0)} M points`
      results.push(
        { name: `${name}: ten fields a line`, unit: 'M points/s', better: 'more', ours: millions / seconds, peers: {} },
        { name: `${name}: CPU`, unit: 's per M points', better: 'less', ours: costs.at(-1)!, peers: {} },
        { name: `${name}: peak RSS`, unit: 'MB', better: 'less', ours: peakRssBytes / 1e6, peers: {} },
      )
    }
    return [
      ...results,
      {
        name: 'CPU of a point, the dearest span to the first',
        unit: '×',
        better: 'less',
        ours: Math.max(...costs) / costs[0]!,
        peers: {},
        aim: { atMost: 1.1 },
      },
    ]
  })
}

async function onServer<T>(work: (server: Server) => Promise<T>): Promise<T> {
  const directory = temporaryDirectory('growth')
  try {
    const server = await startServer(directory.path)
    try {
      return await work(server)
    } finally {
      await server.stop()
    }
  } finally {
    directory.remove()
  }
}

/** Lines of all series in turn, whole rounds; `next` moves times on, and values by up to 1 either way. */
function bodyOf(
  seriesCount: number,
  names: readonly string[],
): { readonly body: { readonly bytes: Buffer; readonly lines: number }; next(): void } {
  const rounds = Math.max(1, Math.ceil(linesAtLeast / seriesCount))
  const lines = rounds * seriesCount
  const isWide = names.length > 1
  const parts: string[] = []
  const timesAt = new Uint32Array(lines)
  const valuesAt = new Uint32Array(lines * names.length)
  let length = 0
  const add = (text: string): void => {
    parts.push(text)
    length += text.length
  }
  for (let line = 0; line < lines; line++) {
    const host = line % seriesCount
    add('{"series":"cpu","ts":')
    timesAt[line] = length
    add(`${startMs},`)
    for (const [i, name] of names.entries()) {
      add(isWide ? `${i === 0 ? '"fields":{' : ','}"${name}":` : `"${name}":`)
      valuesAt[line * names.length + i] = length
      add('50.00')
    }
    add(
      `${isWide ? '}' : ''},"tags":{"hostname":"host_${String(host).padStart(7, '0')}","region":"r${host % 5}","rack":"${host % 100}","os":"Ubuntu16.10"}}\n`,
    )
  }
  const bytes = Buffer.from(parts.join(''), 'latin1')
  const random = uniform(7)
  /** By series and field, in hundredths, always of two digits before the point. */
  const walks = new Uint16Array(seriesCount * names.length).fill(5000)
  let timeMs = startMs - stepMs
  const next = (): void => {
    for (let line = 0; line < lines; line++) {
      const host = line % seriesCount
      if (host === 0) timeMs += stepMs
      bytes.write(String(timeMs), timesAt[line]!, 'latin1')
      for (let i = 0; i < names.length; i++) {
        const moved = walks[host * names.length + i]! + Math.floor(random() * 201) - 100
        const value = Math.min(9999, Math.max(1000, moved))
        walks[host * names.length + i] = value
        const at = valuesAt[line * names.length + i]!
        bytes[at] = 48 + Math.floor(value / 1000)
        bytes[at + 1] = 48 + (Math.floor(value / 100) % 10)
        bytes[at + 3] = 48 + (Math.floor(value / 10) % 10)
        bytes[at + 4] = 48 + (value % 10)
      }
    }
  }
  return { body: { bytes, lines }, next }
}

/** One request; its rows must all be taken. */
async function send(url: string, body: Buffer, rows: number): Promise<void> {
  const answer = await textOf(`${url}/api/v1/ingest`, body, { 'content-type': 'application/x-ndjson' })
  const { ingested } = JSON.parse(answer) as { readonly ingested?: number }
  if (ingested !== rows) throw new Error(answer)
}
