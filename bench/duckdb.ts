/** DuckDB on the same file: `read_json` into a table on disk, then the same questions. Runs in a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Dataset } from './dataset.ts'
import { medianMs, temporaryDirectory, usage } from './harness.ts'

export interface DuckdbFigures {
  readonly version: string
  readonly loadSeconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  readonly bytes: number
  readonly maxMs: number
  readonly allMs: number
  readonly filteredMs: number
}

/** Installed by `npm ci --prefix bench`, or absent. */
export async function duckdbAvailable(): Promise<boolean> {
  try {
    createRequire(import.meta.url).resolve('@duckdb/node-api')
    return true
  } catch {
    return false
  }
}

export async function duckdb(data: Dataset): Promise<DuckdbFigures> {
  const child = fork(new URL(import.meta.url).pathname, [JSON.stringify(data)])
  const [figures] = (await once(child, 'message')) as [DuckdbFigures]
  await once(child, 'exit')
  return figures
}

async function measure(data: Dataset): Promise<DuckdbFigures> {
  const { DuckDBInstance, version } = await import('@duckdb/node-api')
  const directory = temporaryDirectory('duckdb')
  const file = `${directory.path}/cpu.duckdb`
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    const before = usage(process.pid)
    const started = performance.now()
    await connection.run(`create table cpu as
      select make_timestamp(ts * 1000) as time, value, tags from read_json('${data.path}', format = 'newline_delimited',
      columns = {series: 'varchar', ts: 'bigint', value: 'double', tags: 'struct(hostname varchar, region varchar,
      datacenter varchar, rack varchar, os varchar, arch varchar, team varchar, service varchar)'})`)
    await connection.run('checkpoint')
    const loadSeconds = (performance.now() - started) / 1000
    const after = usage(process.pid)
    const ask = (sql: string) => async () => (await connection.runAndReadAll(sql)).getRows()
    const from = data.startMs + 3_600_000
    return {
      version: version(),
      loadSeconds,
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      peakRssBytes: after.peakRssBytes,
      bytes: statSync(file).size,
      maxMs: await medianMs(
        ask(`select time_bucket(interval 1 minute, time) as minute, max(value) from cpu where tags.hostname = 'host_7'
          and time >= make_timestamp(${from * 1000}) and time < make_timestamp(${(from + 3_600_000) * 1000})
          group by minute order by minute`),
      ),
      allMs: await medianMs(ask('select sum(value), min(value), max(value), count(value) from cpu')),
      filteredMs: await medianMs(
        ask('select sum(value), min(value), max(value), count(value) from cpu where value >= -1'),
      ),
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
    directory.remove()
  }
}

if (process.send !== undefined && process.argv[2] !== undefined) {
  process.send(await measure(JSON.parse(process.argv[2]) as Dataset))
  process.disconnect()
}
