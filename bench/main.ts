/**
 * `npm run bench`: our figures beside the peers', in one run.
 *
 *   npm run bench                          everything, 8.64 M points
 *   npm run bench -- --points 864000       smaller
 *   npm run bench -- --only streaming
 *   npm run bench -- --json results.json
 *
 * DuckDB is measured when it is installed: npm ci --prefix bench
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { liveCompactionBench } from './compaction-live.ts'
import { cpuDataset } from './dataset.ts'
import { duckdbAvailable } from './duckdb.ts'
import { machine, print, type Result } from './harness.ts'
import { ingestBench } from './ingest.ts'
import { liveBench } from './live.ts'
import { queriesBench } from './queries.ts'
import { recoveryBench } from './recovery.ts'
import { rollupsBench } from './rollups.ts'
import { streamingBench } from './streaming.ts'

const { values: options } = parseArgs({
  options: {
    points: { type: 'string', default: '8640000' },
    rows: { type: 'string', default: '10000000' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
})

const benches: Readonly<Record<string, () => Promise<Result[]>>> = {
  ingest: () => ingestBench(cpuDataset(Number(options.points), 1000)),
  queries: () => queriesBench(Number(options.points)),
  streaming: () => streamingBench(Number(options.rows)),
  recovery: () => recoveryBench(),
  compaction: () => liveCompactionBench(Number(options.points), 'normal'),
  rollups: () => rollupsBench(Number(options.points)),
  live: () => liveBench([1_000_000, 10_000_000]),
}
const chosen = options.only === undefined ? Object.keys(benches) : [options.only]

const conditions = machine()
process.stdout.write(`${conditions}\n`)
if (!(await duckdbAvailable()))
  process.stdout.write('DuckDB is not installed (npm ci --prefix bench); measuring ours only\n')
const results: Result[] = []
for (const name of chosen) {
  const bench = benches[name]
  if (bench === undefined) throw new Error(`no bench "${name}"; there are ${Object.keys(benches).join(', ')}`)
  const measured = await bench()
  print(measured)
  process.stdout.write('\n')
  results.push(...measured)
}
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify({ machine: conditions, results }, undefined, 2)}\n`)
}
