/**
 * Ours and the peers on the same points, in one run:
 *
 *   npm run bench:peers                          a day of two-decimal values, every peer there is
 *   npm run bench:peers -- --days 0.1 --values integer --engines sydradb,duckdb --json FILE
 *
 * Each engine is a process with a directory of its own. All are loaded, one after another; then each question is asked of all in
 * turn, seven times around after two warm-ups, and the medians are compared. Before that the answers are, of each with ours:
 * a difference ends the run. Peers that are not installed are named and left out: `npm ci --prefix bench`, and Debian's
 * `victoria-metrics` and `clickhouse-server`.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { machine, median, temporaryDirectory } from '../harness.ts'
import { compareAnswers } from './answers.ts'
import { type Data, dataOf, fileOf, type Values } from './data.ts'
import type { Rows, Sums } from './engine.ts'
import { engines, type Job, type LoadFigures, type Request } from './engine-process.ts'
import { type Question, questionsOf } from './questions.ts'

const runs = 7
const warmUps = 2
/** Below it on both sides a row is reported, not judged. */
const judgedMs = 0.1
const [ours, overHttp] = ['sydradb', 'sydradb-http']

interface Running {
  readonly name: string
  readonly version: string
  request(request: Request): Promise<Record<string, unknown>>
}

export interface ComparedResult {
  readonly name: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly ours: number
  readonly peers: Readonly<Record<string, number>>
  /** Above 1 where ours is better, whatever the unit; undefined: there is no peer, or it is too little to be judged. */
  readonly ratio_to_best: number | undefined
}

const result = (
  name: string,
  unit: string,
  figures: ReadonlyMap<string, number>,
  better: 'more' | 'less',
  judgedFrom = 0,
): ComparedResult => {
  const own = figures.get(ours)!
  const peers = Object.fromEntries([...figures].filter(([engine]) => engine !== ours))
  const others = [...figures].filter(([engine]) => engine !== ours && engine !== overHttp).map(([, value]) => value)
  const best = better === 'more' ? Math.max(...others) : Math.min(...others)
  const isJudged = others.length > 0 && (own >= judgedFrom || best >= judgedFrom)
  return {
    name,
    unit,
    better,
    ours: own,
    peers,
    ratio_to_best: isJudged ? (better === 'more' ? own / best : best / own) : undefined,
  }
}

export async function sideBySide(days: number, values: Values, names: readonly string[]): Promise<ComparedResult[]> {
  const data = dataOf(days, values)
  fileOf(data, 'wide')
  fileOf(data, 'flat')
  const directory = temporaryDirectory('side-by-side')
  const running: Running[] = []
  try {
    for (const name of names) {
      const started = await start(name, { engine: name, directory: directory.make(name), days, values })
      if (started !== undefined) running.push(started)
    }
    process.stdout.write(`${running.map(({ version }) => version).join(', ')}\n\n`)
    return [...(await loadAll(running, data)), ...(await askAll(running, questionsOf(data)))]
  } finally {
    for (const engine of running) await engine.request({ do: 'close' }).catch(() => {})
    directory.remove()
  }
}

async function loadAll(running: readonly Running[], { points, values }: Data): Promise<ComparedResult[]> {
  const figures = new Map<string, LoadFigures>()
  for (const engine of running)
    figures.set(engine.name, (await engine.request({ do: 'load' })) as unknown as LoadFigures)
  const by = (of: (load: LoadFigures) => number): Map<string, number> =>
    new Map([...figures].map(([name, load]) => [name, of(load)]))
  const millions = points / 1e6
  return [
    result(
      'ingest, ten fields a line',
      'M points/s',
      by(({ seconds }) => millions / seconds),
      'more',
    ),
    result(
      '… its CPU',
      's per M points',
      by(({ cpuSeconds }) => cpuSeconds / millions),
      'less',
    ),
    result(
      `bytes per value, ${values}`,
      'bytes',
      by(({ bytes }) => bytes.settled / points),
      'less',
    ),
    result(
      '… all files, with a log that is kept',
      'bytes',
      by(({ bytes }) => bytes.all / points),
      'less',
    ),
    result(
      'peak RSS, ingest',
      'MB',
      by(({ peakRssBytes }) => peakRssBytes / 1e6),
      'less',
    ),
  ]
}

async function askAll(running: readonly Running[], questions: readonly Question[]): Promise<ComparedResult[]> {
  const results: ComparedResult[] = []
  for (const { id, about } of questions) {
    const able: Running[] = []
    let wanted: Rows | Sums | undefined
    for (const engine of running) {
      const { rows } = (await engine.request({ do: 'rows', id })) as { readonly rows: Rows | Sums | undefined }
      if (rows === undefined) continue
      able.push(engine)
      wanted ??= rows
      const difference = compareAnswers(wanted, rows)
      if (difference !== undefined)
        throw new Error(`${id}, ${about}: ${engine.name} and ${running[0]!.name}: ${difference}`)
    }
    const times = new Map<string, number[]>(able.map(({ name }) => [name, []]))
    for (let run = -warmUps; run < runs; run++)
      for (const engine of able) {
        const { ms } = (await engine.request({ do: 'ask', id })) as { readonly ms: number }
        if (run >= 0) times.get(engine.name)!.push(ms)
      }
    const medians = new Map([...times].map(([name, each]) => [name, median(each)]))
    results.push(result(`${id} ${about}`, 'ms', medians, 'less', judgedMs))
  }
  const peaks = new Map<string, number>()
  for (const engine of running) {
    const { peakRssBytes } = (await engine.request({ do: 'usage' })) as { readonly peakRssBytes: number }
    peaks.set(engine.name, peakRssBytes / 1e6)
  }
  return [...results, result('peak RSS, ingest and queries', 'MB', peaks, 'less')]
}

/** undefined: it is not installed. */
async function start(name: string, job: Job): Promise<Running | undefined> {
  const child = fork(new URL('./engine-process.ts', import.meta.url), [JSON.stringify(job)], {
    serialization: 'advanced',
  })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`)))
  ended.catch(() => {})
  const reply = async (): Promise<Record<string, unknown>> => {
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [Record<string, unknown>]
    return message
  }
  const { version, error } = await reply()
  if (error !== undefined) {
    process.stdout.write(`${name} is left out: ${error}\n`)
    return undefined
  }
  return {
    name,
    version: version as string,
    async request(request) {
      child.send(request)
      const message = await reply()
      if (message['error'] !== undefined) throw new Error(message['error'] as string)
      return message
    },
  }
}

function print(results: readonly ComparedResult[], names: readonly string[]): void {
  const peers = names.filter(name => name !== ours && results.some(({ peers }) => peers[name] !== undefined))
  const text = (value: number | undefined): string =>
    value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value.toPrecision(3)
  const lines = results.map(({ name, unit, ours, peers: theirs, ratio_to_best }) =>
    [`${name}, ${unit}`, text(ours), ...peers.map(peer => text(theirs[peer])), text(ratio_to_best)].join(' | '),
  )
  const head = ['', ours, ...peers, 'best peer / ours']
  process.stdout.write(`| ${head.join(' | ')} |\n|${head.map(() => '---').join('|')}|\n`)
  for (const line of lines) process.stdout.write(`| ${line} |\n`)
}

const { values: options } = parseArgs({
  options: {
    days: { type: 'string', default: '1' },
    values: { type: 'string', default: 'decimal' },
    engines: { type: 'string', default: Object.keys(engines).join(',') },
    json: { type: 'string' },
  },
})
const names = options.engines.split(',')
const unknown = names.find(name => engines[name] === undefined)
if (unknown !== undefined) throw new Error(`no engine "${unknown}"; there are ${Object.keys(engines).join(', ')}`)
const conditions = machine()
process.stdout.write(`${conditions}\n`)
const results = await sideBySide(Number(options.days), options.values as Values, names)
print(results, names)
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ machine: conditions, options, results }, undefined, 2)}\n`)
