/**
 * The simulation finds bugs: each of those that can be planted, within some seeds. `docs/reliability.md` lists them.
 * SYDRADB_PLANTED names one; SYDRADB_PLANTED_FROM begins at another seed.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { type PlantedBug, plantedBugs } from './planted-bugs.ts'

const script = new URL('../../scripts/simulate.ts', import.meta.url)
/** A change elsewhere may move the seed that finds a bug. */
const seedsMax = 60

interface Found {
  readonly seed: number
  readonly failure: string
}
interface Worker {
  readonly process: ChildProcess
  errors: string
}
/** A bug that goes after another finds most of the engine loaded. */
const idle: Worker[] = []
const ends: Promise<unknown>[] = []
function startWorker(): Worker {
  const env = { ...process.env, SYDRADB_SIMULATE_WORKER: '1' }
  const worker: Worker = {
    process: fork(script, { env, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }),
    errors: '',
  }
  worker.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
    worker.errors += text
  })
  ends.push(once(worker.process, 'exit'))
  return worker
}
afterAll(async () => {
  for (const { process } of idle) process.disconnect()
  if (idle.length === ends.length) await Promise.all(ends)
})

/** Seeds from the given one on until one fails. */
function firstFailing({ name }: PlantedBug, from: number): Promise<Found | undefined> {
  const worker = idle.pop() ?? startWorker()
  return new Promise((resolve, reject) => {
    let seed = from
    const give = (): void => {
      worker.process.send({ from: seed, seeds: 1, plant: name, shrink: false })
    }
    const died = (): void => reject(new Error(worker.errors))
    const answered = ({ failures }: { failures: string[] }): void => {
      const failure = failures[0]
      if (failure === undefined && ++seed < from + seedsMax) give()
      else {
        worker.process.off('message', answered).off('exit', died)
        idle.push(worker)
        resolve(failure === undefined ? undefined : { seed, failure })
      }
    }
    worker.process.on('message', answered).on('exit', died)
    give()
  })
}

// two processes
vi.setConfig({ maxConcurrency: 2 })

describe('a planted bug is found', () => {
  const only = process.env['SYDRADB_PLANTED']
  for (const bug of plantedBugs) {
    if (only !== undefined && bug.name !== only) continue
    test.concurrent(bug.name, { timeout: 300_000 }, async () => {
      const from = Number(process.env['SYDRADB_PLANTED_FROM'] ?? bug.foundBySeed)
      const found = await firstFailing(bug, from)
      expect(found, `in ${seedsMax} seeds`).toBeDefined()
      if (found!.seed !== bug.foundBySeed || only !== undefined)
        console.log(`${bug.name}: seed ${found!.seed}\n${only === undefined ? '' : found!.failure}`)
    })
  }
})
