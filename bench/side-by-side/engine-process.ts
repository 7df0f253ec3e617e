/**
 * An engine in a process of its own, so that its memory and its garbage are its own. The parent says what to do, one thing at
 * a time; times are taken here, without the way between the processes.
 */
import { median, usage } from '../harness.ts'
import { type Data, dataOf, type Values } from './data.ts'
import type { DiskBytes, Engine, OpenEngine, Program, Rows, Sums, Way } from './engine.ts'
import { chdb } from './engines/chdb.ts'
import { clickhouse } from './engines/clickhouse.ts'
import { duckdb } from './engines/duckdb.ts'
import { sqlite } from './engines/sqlite.ts'
import { sydradb } from './engines/sydradb.ts'
import { sydradbHttp } from './engines/sydradb-http.ts'
import { victoriaMetrics } from './engines/victoria-metrics.ts'
import { questionsOf } from './questions.ts'
import { readersAsk, underLoad } from './under-load.ts'

export const engines: Readonly<Record<string, Program>> = {
  sydradb,
  'sydradb-http': sydradbHttp,
  duckdb,
  sqlite,
  chdb,
  clickhouse,
  'victoria-metrics': victoriaMetrics,
}

export interface Job {
  readonly engine: string
  readonly directory: string
  readonly days: number
  readonly values: Values
}
export type Request =
  | { readonly do: 'ingest'; readonly way: Way }
  /** Asks again and again for so long, once at least; gives the median. */
  | { readonly do: 'ask'; readonly id: string; readonly forMs: number }
  | { readonly do: 'rows'; readonly id: string }
  | { readonly do: 'settle' | 'under load' | 'usage' | 'close' }

export interface Opened {
  readonly version: string
  readonly durability: Engine['durability']
  readonly ways: readonly Way[]
  readonly canBeAppended: boolean
  /** With the program loaded; of a server, with its start. */
  readonly openMs: number
}
export interface Ingested {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
}
export interface Asked {
  /** undefined: it cannot be asked that. */
  readonly ms: number | undefined
}
export interface Answered {
  readonly rows: Rows | Sums | undefined
}
export interface Settled {
  readonly bytes: DiskBytes
}
export interface Used {
  readonly peakRssBytes: number
}

if (process.send !== undefined && process.argv[2] !== undefined) await serve(JSON.parse(process.argv[2]) as Job)

async function serve({ engine: name, directory, days, values }: Job): Promise<void> {
  const reply = (message: object): void => void process.send!(message)
  const data = dataOf(days, values)
  let open: OpenEngine
  try {
    open = await engines[name]!()
  } catch (error) {
    reply({ missing: (error as Error).message })
    process.disconnect()
    return
  }
  const started = performance.now()
  const engine = await open(directory)
  const opened: Opened = {
    version: engine.version,
    durability: engine.durability,
    ways: Object.keys(engine.ways) as Way[],
    canBeAppended: engine.append !== undefined,
    openMs: performance.now() - started,
  }
  const answer = answering(engine, data)
  process.on('message', (request: Request) => {
    answer(request)
      .catch((error: unknown) => ({ error: `${name}: ${(error as Error).stack}` }))
      .then(message => {
        reply(message)
        if (request.do === 'close') process.disconnect()
      })
  })
  reply(opened)
}

function answering(engine: Engine, data: Data): (request: Request) => Promise<object> {
  const questions = new Map(questionsOf(data).map(question => [question.id, question]))
  const used = (): Used => ({ peakRssBytes: usage(engine.pid).peakRssBytes })
  return async request => {
    switch (request.do) {
      case 'ingest': {
        let [seconds, cpuSeconds] = [0, 0]
        await engine.ways[request.way]!(data, async work => {
          const before = usage(engine.pid).cpuSeconds
          const started = performance.now()
          await work()
          seconds = (performance.now() - started) / 1000
          cpuSeconds = usage(engine.pid).cpuSeconds - before
        })
        return { seconds, cpuSeconds, ...used() }
      }
      case 'settle':
        await engine.settle()
        return { bytes: await engine.bytes() }
      case 'ask': {
        const question = questions.get(request.id)!
        const times: number[] = []
        const startedMs = performance.now()
        do {
          const askedMs = performance.now()
          const asked = engine.ask(question)
          if (asked === undefined) return { ms: undefined }
          await asked
          times.push(performance.now() - askedMs)
        } while (performance.now() - startedMs < request.forMs)
        return { ms: median(times) }
      }
      case 'rows': {
        const question = questions.get(request.id)!
        const asked = engine.ask(question)
        await asked
        return { rows: asked === undefined ? undefined : await engine.rows(question) }
      }
      case 'under load': {
        const { append, form } = engine
        if (append === undefined || form === undefined) throw new Error(`${engine.version} is no server`)
        const asked = readersAsk.map(id => questions.get(id)!)
        return underLoad({ ...engine, append, form }, data, asked)
      }
      case 'usage':
        return used()
      case 'close':
        await engine.close()
        return {}
    }
  }
}
