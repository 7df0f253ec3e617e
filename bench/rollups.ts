/**
 * Aggregates with and without rollups, over a store that compaction has settled: the same questions of the same files, by an
 * engine that may use rollups and one that may not. Answers must be the same, sums but for the order of additions.
 *
 *   npx node bench/rollups.ts                     20 M points
 *   npx node bench/rollups.ts --points 100000000
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { open } from '../src/index.ts'
import type { Value } from '../src/types.ts'
import { medianMs, temporaryDirectory } from './harness.ts'
import { type History, historyStartMs, writeHistory } from './history.ts'
import { print, type Result } from './result.ts'

const hosts = 1000
const runs = 7
const warmUps = 2
/** Of a sum, relative. */
const noiseMax = 1e-12

const day = 86_400_000
const at = (ms: number): string => `'${new Date(ms).toISOString()}'`

const questions = [
  {
    name: 'avg by hour and host, all hosts',
    text: 'select time_bucket(1h, time) as hour, tag.hostname, avg(value) from cpu group by hour, tag.hostname',
  },
  {
    name: 'min, max, first, last, count by day and host',
    text: `select time_bucket(1d, time) as day, tag.hostname, min(value), max(value), first(value), last(value), count(value)
      from cpu group by day, tag.hostname`,
  },
  {
    name: 'avg by hour and host, from 7 past to 3 before',
    text: `select time_bucket(1h, time) as hour, tag.hostname, avg(value) from cpu
      where time >= ${at(historyStartMs + 420_000)} and time < ${at(historyStartMs + day - 180_000)} group by hour, tag.hostname`,
  },
] as const

interface Answer {
  readonly ms: number
  readonly rows: readonly Readonly<Record<string, Value>>[]
  /** Widths that answered. */
  readonly rollup: string | null
}

export async function rollupsBench(points: number): Promise<Result[]> {
  const directory = temporaryDirectory('rollups')
  const history: History = {
    dataDir: join(directory.path, 'data'),
    hosts,
    points,
    flushRows: 1_000_000,
    steps: 'normal',
  }
  try {
    // In a process of its own: its garbage is not the engine's.
    const { status, stderr } = spawnSync(process.execPath, [import.meta.filename, '--write', JSON.stringify(history)], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
    await settle(history.dataDir)
    const having = await ask(history.dataDir, true)
    const lacking = await ask(history.dataDir, false)
    return questions.map(({ name }, n): Result => {
      const [ours, other] = [having[n]!, lacking[n]!]
      if (ours.rollup === null) throw new Error(`"${name}": no rollup answered`)
      if (other.rollup !== null) throw new Error(`"${name}": a rollup answered that is switched off`)
      mustBeSame(name, ours.rows, other.rows)
      return {
        name: `${name} (${ours.rows.length.toLocaleString('en')} rows of ${(points / 1e6).toFixed(0)} M points, by ${ours.rollup})`,
        unit: 'ms',
        ours: ours.ms,
        peers: { 'without rollups': other.ms, 'without / with': other.ms / ours.ms },
      }
    })
  } finally {
    directory.remove()
  }
}

async function settle(dataDir: string): Promise<void> {
  const db = await open({ dataDir, compaction: { enabled: false } })
  await db.compact()
  await db.close()
}

async function ask(dataDir: string, enabled: boolean): Promise<Answer[]> {
  const db = await open({ dataDir, compaction: { enabled: false }, rollups: { enabled } })
  try {
    const answers: Answer[] = []
    for (const { text } of questions) {
      const { rows, stats } = await db.query<Record<string, Value>>(text).all()
      const ms = await medianMs(
        async () => {
          for await (const _ of db.query(text).batches({ borrow: true })) {
          }
        },
        runs,
        warmUps,
      )
      answers.push({ ms, rows, rollup: stats.rollup })
    }
    return answers
  } finally {
    await db.close()
  }
}

function mustBeSame(name: string, ours: Answer['rows'], others: Answer['rows']): void {
  if (ours.length !== others.length) throw new Error(`"${name}": ${ours.length} rows, ${others.length} without rollups`)
  for (const [i, row] of ours.entries())
    for (const [column, value] of Object.entries(row)) {
      const other = others[i]![column]
      const isNear =
        typeof value === 'number' && typeof other === 'number' && Math.abs(value - other) <= noiseMax * Math.abs(other)
      if (value !== other && !isNear)
        throw new Error(`"${name}": ${column} of row ${i} is ${value}, ${other} without rollups`)
    }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: { write: { type: 'string' }, points: { type: 'string', default: '20000000' } },
  })
  if (values.write === undefined) print(await rollupsBench(Number(values.points)))
  else await writeHistory(JSON.parse(values.write) as History)
}
