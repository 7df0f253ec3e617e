/**
 * `sydradb demo`: a fresh server, real data sent to it over HTTP, and the questions one asks of such data.
 *
 *   vega-datasets CSV -> NDJSON over HTTP -> server on a temporary directory -> sydraQL over HTTP -> tables
 *   this machine's CPU, memory and event-loop delay -> the same server, live, all the while
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Readable } from 'node:stream'
import { open } from '../../index.ts'
import { SydraError } from '../../lib/errors.ts'
import { parseSettings, type Settings } from '../../lib/settings.ts'
import { createHttpServer } from '../http/server.ts'
import { datasets } from './demo-data.ts'
import { wantsColor, writeOut } from './output.ts'
import { writeTable } from './table.ts'
import { connect, type Target } from './target.ts'
import { startTelemetry } from './telemetry.ts'

interface DemoOptions {
  readonly keep?: boolean
  readonly dataDir?: string
  readonly color: boolean
}

/** How long telemetry is gathered before it is asked for. */
const telemetryMs = 10_000

const questions: readonly { readonly title: string; readonly sql: string }[] = [
  {
    title: 'Yearly mean of the daily maximum temperature in Seattle, °C',
    sql: `select time_bucket(1y, time) as year, avg(temp_max) as temp_max
from weather
where tag.location = 'Seattle' and time >= 2012-01-01 and time < 2016-01-01
group by year`,
  },
  {
    title: 'The ten wettest days by location, mm',
    sql: `select time, tag.location as location, precipitation, weather
from weather
order by precipitation desc, time
limit 10`,
  },
  {
    title: 'CO₂ at Mauna Loa: monthly mean by decade, ppm',
    sql: `select time_bucket(10y, time) as decade, avg(co2) as co2, min(co2) as lowest, max(co2) as highest
from climate.co2
group by decade`,
  },
  {
    title: 'S&P 500: last close per quarter and its change since the quarter opened, 2007–2009',
    sql: `select time_bucket(1q, time) as quarter, last(close) as close, last(close) - first(open) as change,
  round((last(close) / first(open) - 1) * 100, 1) as percent
from market.sp500
where time >= 2007-01-01 and time < 2010-01-01
group by quarter`,
  },
  {
    title: 'A Seattle day: hourly mean temperature over the year of normals, °C',
    sql: `select extract(hour from time) as hour, avg(temperature) as temperature
from weather_normals
group by hour
order by hour`,
  },
]

const telemetryQuestion = {
  title: 'This machine’s CPU, the last ten seconds, %',
  sql: `select time_bucket(1s, time) as second, avg(cpu_percent) as cpu, max(loop_delay_ms) as loop_delay_ms, last(rss_mib) as rss_mib
from machine
where time >= now() - 10s
group by second`,
}

export async function demo(base: Settings, options: DemoOptions): Promise<void> {
  const temporary = options.dataDir === undefined
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'sydradb-demo-'))
  const settings = parseSettings({ ...base, dataDir, httpHost: '127.0.0.1', httpPort: 0, authToken: '' })
  const db = await open(settings)
  const server = await createHttpServer(db, settings)
  const target = connect(server.address, '')
  const telemetry = startTelemetry(server.address)
  const kept = temporary && options.keep === true

  try {
    await writeOut(`sydradb listening on ${server.address} (data in ${dataDir})\n\n`)
    const loaded = await load(target)
    await db.flush()
    for (const question of questions) await ask(target, question, options.color)
    await telemetry.ready(telemetryMs)
    await ask(target, telemetryQuestion, options.color)
    await summary(db.stats(), loaded)
    if (options.keep) await keepUp(server.address, dataDir)
  } finally {
    await telemetry.stop()
    await server.close()
    await db.close()
    if (temporary && !kept) rmSync(dataDir, { recursive: true, force: true })
  }
}

interface Loaded {
  readonly rows: number
  readonly values: number
  readonly seconds: number
}

async function load(target: Target): Promise<Loaded> {
  let rows = 0
  let values = 0
  let seconds = 0
  for await (const dataset of datasets()) {
    const started = performance.now()
    const report = await target.ingest(Readable.from([dataset.ndjson]), { format: 'ndjson' })
    if (report.rejected > 0) throw new SydraError('invalid_row', `${dataset.metric}: ${report.errors[0]?.message}`)
    seconds += (performance.now() - started) / 1000
    rows += report.ingested
    values += dataset.values
    await writeOut(`${dataset.file}: ${report.ingested.toLocaleString('en')} rows into ${dataset.metric}\n`)
  }
  return { rows, values, seconds }
}

async function ask(
  target: Target,
  question: { readonly title: string; readonly sql: string },
  color: boolean,
): Promise<void> {
  await writeOut(`\n${question.title}\n\n${question.sql.replaceAll(/^/gm, '  ')}\n\n`)
  const text = target.sql(question.sql, [], { format: 'ndjson' })
  await writeTable(text, writeOut, wantsColor(process.stdout, color))
}

async function summary(stats: ReturnType<Awaited<ReturnType<typeof open>>['stats']>, loaded: Loaded): Promise<void> {
  const { bytes } = stats.segments
  await writeOut(
    `\n${loaded.rows.toLocaleString('en')} rows (${loaded.values.toLocaleString('en')} values) arrived over HTTP at ` +
      `${Math.round(loaded.rows / loaded.seconds).toLocaleString('en')} rows/s, each durable before its answer; ` +
      `${stats.segments.count} segments hold them in ${bytes.toLocaleString('en')} bytes: ` +
      `${(bytes / loaded.values).toFixed(2)} bytes per value, time included.\n`,
  )
}

async function keepUp(address: string, dataDir: string): Promise<void> {
  await writeOut(`
The server stays up at ${address} with its data in ${dataDir}; Ctrl-C ends it. Go on with:

  curl -s ${address}/api/v1/sydraql -d 'show metrics'
  curl -s ${address}/api/v1/sydraql -H 'accept: text/csv' -d 'select time, temp_max from weather limit 5'
  curl -s ${address}/api/v1/ingest -d '{"series":"hello","value":1}'
`)
  await new Promise<void>(resolve => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
