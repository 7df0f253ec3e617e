/** Engines in processes of their own, as the benches use them: started, asked one thing at a time, closed. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { temporaryDirectory } from '../harness.ts'
import type { Data } from './data.ts'
import type { Way } from './engine.ts'
import type { Answered, Asked, Ingested, Job, Opened, Request, Settled, Used } from './engine-process.ts'
import type { UnderLoad } from './under-load.ts'

/** Ours in process; the figures of peers are compared with it. */
export const ours = 'sydradb'
export const overHttp = 'sydradb-http'

export interface Running extends Opened {
  readonly name: string
  ingest(way: Way): Promise<Ingested>
  settle(): Promise<Settled>
  ask(id: string, forMs: number): Promise<Asked>
  rows(id: string): Promise<Answered>
  underLoad(): Promise<UnderLoad>
  usage(): Promise<Used>
  close(): Promise<unknown>
}

/** Which engines, on what. */
export interface Field {
  readonly data: Data
  readonly days: number
  readonly engines: readonly Present[]
}

export interface Present extends Omit<Opened, 'openMs'> {
  readonly name: string
}

/** Starts each once. Those that are not installed are named, and left out. */
export async function present(names: readonly string[], field: Field): Promise<Present[]> {
  const directory = temporaryDirectory('present')
  const found: Present[] = []
  try {
    for (const name of names) {
      const running = await start(name, directory.make(name), field)
      if ('missing' in running) process.stdout.write(`${name} is left out: ${running.missing}\n`)
      else {
        const { version, durability, ways, canBeAppended } = running
        found.push({ name, version, durability, ways, canBeAppended })
        await running.close()
      }
    }
  } finally {
    directory.remove()
  }
  return found
}

/** One that is present. */
export async function started(name: string, directory: string, field: Field): Promise<Running> {
  const running = await start(name, directory, field)
  if ('missing' in running) throw new Error(`${name}: ${running.missing}`)
  return running
}

async function start(
  name: string,
  directory: string,
  { days, data }: Field,
): Promise<Running | { readonly missing: string }> {
  const job: Job = { engine: name, directory, days, values: data.values }
  const child = fork(new URL('./engine-process.ts', import.meta.url), [JSON.stringify(job)], {
    serialization: 'advanced',
  })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`)))
  ended.catch(() => {})
  const reply = async (): Promise<Record<string, unknown>> => {
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [Record<string, unknown>]
    if (message['error'] !== undefined) throw new Error(message['error'] as string)
    return message
  }
  const opened = await reply()
  if (opened['missing'] !== undefined) return { missing: opened['missing'] as string }
  const request = async <T>(what: Request): Promise<T> => {
    child.send(what)
    return (await reply()) as T
  }
  return {
    name,
    ...(opened as unknown as Opened),
    ingest: way => request({ do: 'ingest', way }),
    settle: () => request({ do: 'settle' }),
    ask: (id, forMs) => request({ do: 'ask', id, forMs }),
    rows: id => request({ do: 'rows', id }),
    underLoad: () => request({ do: 'under load' }),
    usage: () => request({ do: 'usage' }),
    async close() {
      await request({ do: 'close' })
      await ended.catch(() => {})
    },
  }
}

/** What is asked first is read from the disk then, where the machine lets us. False: it does not. */
export function dropPageCache(): boolean {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1')
    return true
  } catch {
    return false
  }
}
