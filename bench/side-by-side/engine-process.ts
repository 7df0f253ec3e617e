/**
 * An engine in a process of its own, so that its memory and its garbage are its own. The parent says what to do, one thing at
 * a time; times are taken here, without the way between the processes.
 */
import { usage } from '../harness.ts'
import { dataOf, type Values } from './data.ts'
import type { DiskBytes, Engine, OpenEngine, Rows, Sums } from './engine.ts'
import { openClickhouse } from './engines/clickhouse.ts'
import { openDuckdb } from './engines/duckdb.ts'
import { openSqlite } from './engines/sqlite.ts'
import { openSydradb } from './engines/sydradb.ts'
import { openSydradbHttp } from './engines/sydradb-http.ts'
import { openVictoriaMetrics } from './engines/victoria-metrics.ts'
import { questionsOf } from './questions.ts'

export const engines: Readonly<Record<string, OpenEngine>> = {
  sydradb: openSydradb,
  'sydradb-http': openSydradbHttp,
  duckdb: openDuckdb,
  sqlite: openSqlite,
  clickhouse: openClickhouse,
  'victoria-metrics': openVictoriaMetrics,
}

export interface Job {
  readonly engine: string
  readonly directory: string
  readonly days: number
  readonly values: Values
}
export type Request = { readonly do: 'load' | 'usage' | 'close' } | { readonly do: 'ask' | 'rows'; readonly id: string }

export interface LoadFigures {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  readonly bytes: DiskBytes
}
export type Reply =
  | { readonly version: string }
  | LoadFigures
  /** undefined: it cannot be asked that. */
  | { readonly ms: number | undefined }
  | { readonly rows: Rows | Sums | undefined }
  | { readonly peakRssBytes: number }
  | { readonly error: string }

if (process.send !== undefined && process.argv[2] !== undefined) await serve(JSON.parse(process.argv[2]) as Job)

async function serve({ engine: name, directory, days, values }: Job): Promise<void> {
  const reply = (message: Reply): void => void process.send!(message)
  const data = dataOf(days, values)
  const questions = new Map(questionsOf(data).map(question => [question.id, question]))
  let engine: Engine
  try {
    engine = await engines[name]!(directory)
  } catch (error) {
    reply({ error: (error as Error).message })
    process.disconnect()
    return
  }
  const answer = async (request: Request): Promise<Reply> => {
    switch (request.do) {
      case 'load': {
        const before = usage(engine.pid).cpuSeconds
        const seconds = await engine.load(data)
        const { cpuSeconds, peakRssBytes } = usage(engine.pid)
        return { seconds, cpuSeconds: cpuSeconds - before, peakRssBytes, bytes: await engine.bytes() }
      }
      case 'ask': {
        const started = performance.now()
        const asked = engine.ask(questions.get(request.id)!)
        await asked
        return { ms: asked === undefined ? undefined : performance.now() - started }
      }
      case 'rows': {
        const question = questions.get(request.id)!
        const asked = engine.ask(question)
        await asked
        return { rows: asked === undefined ? undefined : await engine.rows(question) }
      }
      case 'usage':
        return { peakRssBytes: usage(engine.pid).peakRssBytes }
      case 'close':
        await engine.close()
        return { version: engine.version }
    }
  }
  process.on('message', (request: Request) => {
    answer(request)
      .catch((error: unknown): Reply => ({ error: `${name}: ${(error as Error).stack}` }))
      .then(message => {
        reply(message)
        if (request.do === 'close') process.disconnect()
      })
  })
  reply({ version: engine.version })
}
