/**
 * The simulation finds bugs: each of those that can be planted, within some seeds. `docs/reliability.md` lists them.
 * SYDRADB_PLANTED names one; SYDRADB_PLANTED_FROM begins at another seed.
 */
import { fork } from 'node:child_process'
import { describe, expect, test, vi } from 'vitest'
import { type PlantedBug, plantedBugs } from './planted-bugs.ts'

const script = new URL('../../scripts/simulate.ts', import.meta.url)
/** A change elsewhere may move the seed that finds a bug. */
const seedsMax = 60

/** Seeds from the given one on until one fails. */
function firstFailing({ name }: PlantedBug, from: number): Promise<{ seed: number; failure: string } | undefined> {
  const env = { ...process.env, SYDRADB_SIMULATE_WORKER: '1' }
  const worker = fork(script, { env, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  let errors = ''
  worker.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  return new Promise((resolve, reject) => {
    let seed = from
    const give = (): void => {
      worker.send({ from: seed, seeds: 1, plant: name, shrink: false })
    }
    worker.on('message', ({ failures }: { failures: string[] }) => {
      const failure = failures[0]
      if (failure === undefined && ++seed < from + seedsMax) return give()
      resolve(failure === undefined ? undefined : { seed, failure })
      worker.disconnect()
    })
    worker.on('exit', () => reject(new Error(errors)))
    give()
  })
}

// each is a process
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
