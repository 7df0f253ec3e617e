/**
 * `npm run bench`: our figures beside the peers', in one run.
 *
 *   npm run bench                                     ingest and queries: a day of two-decimal values, every peer there is
 *   npm run bench -- queries --days 0.1 --values integer --peers duckdb,sqlite --json FILE
 *   npm run bench -- live growth                      what else there is is below
 *   npm run bench:smoke                               a little of it, without peers
 *
 * Peers that are not installed are named and left out: `npm ci --prefix bench`, and Debian's `victoria-metrics` and
 * `clickhouse-server`.
 */
import { parseArgs } from 'node:util'
import { liveCompactionBench } from './compaction-live.ts'
import { growthBench } from './growth.ts'
import { machine } from './harness.ts'
import { liveBench } from './live.ts'
import { recoveryBench } from './recovery.ts'
import { print, type Result, writeRun } from './result.ts'
import { rollupsBench } from './rollups.ts'
import { concurrentBench } from './side-by-side/concurrent.ts'
import { dataOf, type Values } from './side-by-side/data.ts'
import { engines } from './side-by-side/engine-process.ts'
import { ingestBench } from './side-by-side/ingest.ts'
import { queriesBench } from './side-by-side/queries.ts'
import { type Field, ours, overHttp, present } from './side-by-side/running.ts'
import { streamingBench } from './streaming.ts'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Of the side-by-side data: 0.1 to 5. */
    days: { type: 'string', default: '1' },
    values: { type: 'string', default: 'decimal' },
    peers: { type: 'string' },
    runs: { type: 'string', default: '7' },
    /** Of what ours alone is measured on: growth (to 400 M), compaction, rollups. */
    points: { type: 'string', default: '20000000' },
    json: { type: 'string' },
  },
})
const choose = <T extends string>(what: string, from: readonly T[], given: readonly string[]): T[] =>
  given.map(name => {
    const known = from.find(one => one === name)
    if (known === undefined) throw new Error(`no ${what} "${name}"; there are ${from.join(', ')}`)
    return known
  })

const peerNames = Object.keys(engines).filter(name => name !== ours && name !== overHttp)
const peers = choose('peer', peerNames, (options.peers ?? peerNames.join(',')).split(',').filter(Boolean))
const [values] = choose<Values>('kind of values', ['decimal', 'integer', 'double'], [options.values])
const days = Number(options.days)
const conditions = machine()
process.stdout.write(`${conditions}\n`)
const none: Field = { data: dataOf(days, values!), days, engines: [] }
const field: Field = { ...none, engines: await present([ours, overHttp, ...peers], none) }
const versions = field.engines.map(
  ({ name, version, durability }) => `${name}: ${version}, acknowledged means ${durability}`,
)
process.stdout.write(`${versions.join('\n')}\n\n`)
const runs = Number(options.runs)

const benches = {
  ingest: () => ingestBench(field, runs),
  queries: () => queriesBench(field, runs),
  concurrent: () => concurrentBench(field),
  growth: () => growthBench(Number(options.points)),
  streaming: () => streamingBench(10_000_000),
  recovery: () => recoveryBench(),
  compaction: () => liveCompactionBench(Number(options.points), 'normal'),
  rollups: () => rollupsBench(Number(options.points)),
  live: () => liveBench([1_000_000, 10_000_000]),
} satisfies Readonly<Record<string, () => Promise<Result[]>>>
const names = Object.keys(benches) as (keyof typeof benches)[]
const chosen =
  positionals.length === 0 ? (['ingest', 'queries', 'concurrent'] as const) : choose('bench', names, positionals)

const results: Result[] = []
for (const name of chosen) {
  const measured = await benches[name]()
  process.stdout.write(`## ${name}\n\n`)
  print(measured)
  results.push(...measured)
}
if (options.json !== undefined) writeRun(options.json, { machine: conditions, versions, options, results })
