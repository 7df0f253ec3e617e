/**
 * `sydradb demo`: a fresh server, real data sent to it over HTTP, and the questions one asks of such data.
 *
 *   vega-datasets CSV -> NDJSON over HTTP -> server on a temporary directory -> sydraQL over HTTP -> tables
 *   this machine's CPU, memory and event-loop delay -> the same server, live, while the questions are asked
 *
 * On a directory that an earlier demo kept, the data is there already: only the questions are asked again.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Readable } from 'node:stream'
import { open } from '../../index.ts'
import { SydraError } from '../../lib/errors.ts'
import { parseSettings, type Settings } from '../../lib/settings.ts'
import type { Database } from '../../types.ts'
import { createHttpServer } from '../http/server.ts'
import { type Dataset, datasets } from './demo-data.ts'
import { type Question, questions, telemetryQuestion } from './demo-questions.ts'
import { wantsColor, writeOut } from './output.ts'
import { connect } from './remote.ts'
import { Interrupted, stopSignal } from './signals.ts'
import { writeTable } from './table.ts'
import type { Target } from './target.ts'
import { startTelemetry, valuesPerSample } from './telemetry.ts'

interface DemoOptions {
  readonly keep?: boolean
  readonly seconds: number
  readonly dataDir?: string
  readonly httpPort?: string
  readonly color: boolean
}

/** The demo listens on this machine alone, on a free port unless one is given. */
export async function demo(base: Settings, options: DemoOptions): Promise<void> {
  const { keep = false, httpPort = 0 } = options
  const isTemporary = options.dataDir === undefined
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'sydradb-demo-'))
  const settings = parseSettings({ ...base, dataDir, httpHost: '127.0.0.1', httpPort, authToken: '' })
  const stopped = stopSignal()
  try {
    const db = await open(settings)
    try {
      const server = await createHttpServer(db, settings)
      try {
        await writeOut(`sydradb listening on ${server.address} (data in ${dataDir})\n\n`)
        const shown = show(db, server.address, options)
        shown.catch(() => {})
        await Promise.race([shown, stopped.then(() => Promise.reject(new Interrupted()))])
        if (keep) {
          await writeOut(whatNext(server.address, dataDir))
          await stopped
        }
      } finally {
        await server.close()
      }
    } finally {
      await db.close()
    }
  } finally {
    if (isTemporary && !keep) rmSync(dataDir, { recursive: true, force: true })
  }
}

async function show(db: Database, address: string, { seconds, color }: DemoOptions): Promise<void> {
  const target = connect(address, '')
  const loaded = await load(target)
  await db.flush()
  const bytes = db.stats().segments.bytes
  const telemetry = startTelemetry(address)
  try {
    for (const question of questions) await ask(target, question, color)
    await telemetry.sentFor(seconds * 1000)
    await ask(target, telemetryQuestion(seconds), color)
  } finally {
    await telemetry.stop()
  }
  await writeOut(`\n${loaded.speed}${bytesPerValue(bytes, loaded.values)}\n`)
}

interface Loaded {
  /** Numbers and texts that the database holds. */
  readonly values: number
  /** Rows per second, as a sentence; empty when there was nothing to send. */
  readonly speed: string
}

async function load(target: Target): Promise<Loaded> {
  let rows = 0
  let milliseconds = 0
  let values = valuesPerSample * (await rowsOf(target, 'machine'))
  for (const dataset of datasets()) {
    values += dataset.values
    if ((await rowsOf(target, dataset.metric)) >= dataset.rows) {
      await writeOut(`${dataset.file}: its rows are in ${dataset.metric} already\n`)
      continue
    }
    const started = performance.now()
    await send(target, dataset)
    milliseconds += performance.now() - started
    rows += dataset.rows
    await writeOut(`${dataset.file}: ${dataset.rows.toLocaleString('en')} rows into ${dataset.metric}\n`)
  }
  if (rows === 0) return { values, speed: '' }
  const rate = Math.round((rows * 1000) / milliseconds).toLocaleString('en')
  return {
    values,
    speed: `${rows.toLocaleString('en')} rows arrived over HTTP at ${rate} rows per second, durable before each answer.\n`,
  }
}

async function send(target: Target, dataset: Dataset): Promise<void> {
  const { rejected, errors, failure } = await target.ingest(Readable.from([dataset.ndjson]), { format: 'ndjson' })
  if (failure !== undefined) throw failure
  if (rejected > 0) throw new SydraError('invalid_row', `${dataset.file}: ${errors[0]?.message}`)
}

/** How many rows the metric holds; 0 when it was never written. */
async function rowsOf(target: Target, metric: string): Promise<number> {
  let text = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of target.sql(`select count(*) from ${metric}`, [], { format: 'csv' })) {
      text += decoder.decode(chunk, { stream: true })
    }
  } catch (error) {
    if (error instanceof SydraError && error.code === 'unknown_metric') return 0
    throw error
  }
  return Number(text.split('\n')[1])
}

async function ask(target: Target, { title, sql }: Question, color: boolean): Promise<void> {
  await writeOut(`\n${title}\n\n${sql.replaceAll(/^/gm, '  ')}\n\n`)
  await writeTable(target.sql(sql, [], { format: 'ndjson' }), writeOut, wantsColor(process.stdout, color))
}

const bytesPerValue = (bytes: number, values: number): string =>
  `${values.toLocaleString('en')} values are stored in ${bytes.toLocaleString('en')} bytes: ` +
  `${(bytes / values).toFixed(2)} bytes per value, times included.`

const whatNext = (address: string, dataDir: string): string => `
The server stays up at ${address}; Ctrl-C ends it. Go on with:

  curl -s ${address}/api/v1/sydraql -d 'show metrics'
  curl -s ${address}/api/v1/sydraql -H 'accept: text/csv' -d 'select time, temp_max from weather limit 5'
  curl -s ${address}/api/v1/ingest -d '{"series":"hello","value":1}'

Its data stays in ${dataDir}: sydradb demo --keep --data-dir ${dataDir}
`
