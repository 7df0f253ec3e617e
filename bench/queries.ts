/**
 * Questions beside DuckDB on the same points: a metric of one field with `points` rows of 1,000 hosts, and one of ten
 * fields with a tenth of the rows. Both sides are asked for columns, not for row objects; each figure is a median.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, createReadStream, existsSync, openSync, renameSync, writeSync } from 'node:fs'
import { rowCount } from '../src/columnar/batch.ts'
import { open } from '../src/index.ts'
import { cpuDataset, type Dataset, hostTags, randomWalk } from './dataset.ts'
import { duckdbAvailable } from './duckdb.ts'
import { medianMs, type Result, temporaryDirectory } from './harness.ts'

const fields = Array.from({ length: 10 }, (_, field) => `f${field}`)
const runs = 7
const warmUps = 2

interface Question {
  readonly name: string
  readonly ours: string
  readonly duckdb: string
}

const averages = (column: (field: string) => string): string => fields.map(field => `avg(${column(field)})`).join(', ')
const newest = (count: number): string =>
  `qualify row_number() over (partition by tags.hostname order by time desc) <= ${count} order by time desc`

const questions: readonly Question[] = [
  {
    name: 'avg by hour and host, 1 field',
    ours: 'select time_bucket(1h, time) t, tag.hostname, avg(value) from cpu group by t, tag.hostname',
    duckdb: `select time_bucket(interval 1 hour, time) t, tags.hostname h, avg(value) from cpu group by t, h order by t, h`,
  },
  {
    name: 'avg by hour and host, 10 fields',
    ours: `select time_bucket(1h, time) t, tag.hostname, ${averages(field => field)} from wide group by t, tag.hostname`,
    duckdb: `select time_bucket(interval 1 hour, time) t, tags.hostname h, ${averages(field => `fields.${field}`)} from wide group by t, h order by t, h`,
  },
  {
    name: 'percentile per 5 minutes',
    ours: 'select time_bucket(5m, time) t, percentile(value, 0.95) from cpu group by t',
    duckdb: 'select time_bucket(interval 5 minute, time) t, quantile_cont(value, 0.95) from cpu group by t order by t',
  },
  {
    name: 'newest 3 rows of each series',
    ours: 'select time, tag.hostname, value from cpu order by time desc limit 3 per series',
    duckdb: `select time, tags.hostname, value from cpu ${newest(3)}`,
  },
  {
    name: 'last value of each host',
    ours: 'select tag.hostname, last(value) from cpu group by tag.hostname',
    duckdb: 'select tags.hostname h, arg_max(value, time) from cpu group by h order by h',
  },
  {
    name: 'rows above a high value',
    ours: 'select time, tag.hostname, value from cpu where value > 99.5',
    duckdb: 'select time, tags.hostname, value from cpu where value > 99.5 order by time, tags.hostname',
  },
  {
    name: 'the 10 newest rows',
    ours: 'select time, tag.hostname, value from cpu order by time desc limit 10',
    duckdb: 'select time, tags.hostname, value from cpu order by time desc, tags.hostname limit 10',
  },
]

/** By name of the question: rows answered and milliseconds. */
type Answers = Readonly<Record<string, { readonly rows: number; readonly ms: number }>>

export async function queriesBench(points: number): Promise<Result[]> {
  const data = { cpu: cpuDataset(points, 1000), wide: wideDataset(points / 10, 1000) }
  const ours = await askOurs(data)
  const peers = (await duckdbAvailable()) ? await inChild(data) : undefined
  return questions.map(({ name }): Result => {
    const { ms, rows } = ours[name]!
    const other = peers?.[name]
    if (other !== undefined && other.rows !== rows)
      throw new Error(`"${name}": ${rows} rows here, ${other.rows} in DuckDB`)
    const figures = other === undefined ? {} : { duckdb: other.ms, 'duckdb / ours': other.ms / ms }
    return { name: `${name} (${rows.toLocaleString('en')} rows)`, unit: 'ms', ours: ms, peers: figures }
  })
}

interface Data {
  readonly cpu: Dataset
  readonly wide: Dataset
}

async function askOurs(data: Data): Promise<Answers> {
  const directory = temporaryDirectory('queries')
  const db = await open({ dataDir: directory.path, fsync: 'none' })
  try {
    for (const { path } of [data.cpu, data.wide]) {
      const { failure } = await db.ingest(createReadStream(path, { highWaterMark: 1 << 20 }))
      if (failure !== undefined) throw failure
    }
    await db.flush()
    const answers: Record<string, { rows: number; ms: number }> = {}
    for (const { name, ours } of questions) {
      let rows = 0
      const ask = async (): Promise<void> => {
        rows = 0
        for await (const batch of db.query(ours).batches({ borrow: true })) rows += rowCount(batch)
      }
      const ms = await medianMs(ask, runs, warmUps)
      answers[name] = { ms, rows }
    }
    return answers
  } finally {
    await db.close()
    directory.remove()
  }
}

/** Names the data for a child process that asks DuckDB. */
const childData = 'BENCH_QUERIES_DATA'

async function inChild(data: Data): Promise<Answers> {
  const child = fork(new URL(import.meta.url).pathname, [], {
    env: { ...process.env, [childData]: JSON.stringify(data) },
  })
  const [answers] = (await once(child, 'message')) as [Answers]
  await once(child, 'exit')
  return answers
}

const tagsType =
  'struct(hostname varchar, region varchar, datacenter varchar, rack varchar, os varchar, arch varchar, team varchar, service varchar)'

async function askDuckdb({ cpu, wide }: Data): Promise<Answers> {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const directory = temporaryDirectory('queries-duckdb')
  const instance = await DuckDBInstance.create(`${directory.path}/queries.duckdb`)
  const connection = await instance.connect()
  const load = (table: string, { path }: Dataset, columns: string, read: string): Promise<unknown> =>
    connection.run(`create table ${table} as select make_timestamp(ts * 1000) as time, ${read}, tags from
      read_json('${path}', format = 'newline_delimited', columns = {series: 'varchar', ts: 'bigint', ${columns}, tags: '${tagsType}'})`)
  try {
    await load('cpu', cpu, `value: 'double'`, 'value')
    const doubles = fields.map(field => `${field} double`).join(', ')
    await load('wide', wide, `fields: 'struct(${doubles})'`, 'fields')
    await connection.run('checkpoint')
    const answers: Record<string, { rows: number; ms: number }> = {}
    for (const { name, duckdb } of questions) {
      let rows = 0
      const ask = async (): Promise<void> => {
        rows = (await connection.runAndReadAll(duckdb)).currentRowCount
      }
      const ms = await medianMs(ask, runs, warmUps)
      answers[name] = { ms, rows }
    }
    return answers
  } finally {
    connection.closeSync()
    instance.closeSync()
    directory.remove()
  }
}

/** Ten random walks a host, a row each every 10 s. */
function wideDataset(rows: number, hosts: number): Dataset {
  const path = cpuDataset(rows, hosts).path.replace('cpu-', 'wide-')
  if (!existsSync(path)) writeWide(path, rows, hosts)
  return { ...cpuDataset(rows, hosts), path }
}

function writeWide(path: string, rows: number, hosts: number): void {
  const { startMs, stepMs } = cpuDataset(rows, hosts)
  const temporary = `${path}.${process.pid}`
  const file = openSync(temporary, 'w')
  const random = randomWalk(20_240_301)
  const tags = Array.from({ length: hosts }, (_, host) => hostTags(host))
  const hundredths = Array.from({ length: hosts }, () => fields.map(() => Math.floor(random() * 10_000)))
  let text = ''
  for (let row = 0; row < rows; row++) {
    const host = row % hosts
    const walks = hundredths[host]!
    for (let f = 0; f < walks.length; f++)
      walks[f] = Math.min(10_000, Math.max(0, walks[f]! + Math.round((random() - 0.5) * 200)))
    const values = fields.map((field, f) => `"${field}":${walks[f]! / 100}`).join(',')
    const ts = startMs + Math.floor(row / hosts) * stepMs
    text += `{"series":"wide","ts":${ts},"fields":{${values}},"tags":${tags[host]}}\n`
    if (text.length > 1 << 20) {
      writeSync(file, text)
      text = ''
    }
  }
  writeSync(file, text)
  closeSync(file)
  renameSync(temporary, path)
}

const given = process.env[childData]
if (process.send !== undefined && given !== undefined) {
  process.send(await askDuckdb(JSON.parse(given) as Data))
  process.disconnect()
}
