/**
 * Simulates the engine, seed by seed, in a process a core: work, faults and crashes against a naive model.
 *
 *   npm run simulate -- --seeds 10000 --from 1
 *   npm run simulate -- --seeds 1000000 --minutes 30             as many as there is time for
 *   npm run simulate -- --from 4711 --seeds 1 --only 0,3,7      some steps of one seed
 *   npm run simulate -- --plant wal-trimmed-too-early            with a bug put in (test/crash/planted-bugs.ts)
 *
 * Prints what happened by kind. A failing seed is shrunk, printed with its steps, and makes the exit code 1.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { count, type Tally, tallyText } from '../test/crash/tally.ts'

/** Seeds a process is given at a time. */
const chunkSeeds = 5
/** More failures than this tell nothing new. */
const failuresMax = 5
const workerVariable = 'SYDRADB_SIMULATE_WORKER'

interface Task {
  readonly from: number
  readonly seeds: number
  readonly steps: number | undefined
  readonly only: readonly number[] | undefined
  readonly plant: string | undefined
  readonly shrink: boolean
}
interface Done {
  readonly tally: readonly (readonly [string, number])[]
  readonly failures: readonly string[]
}

if (process.env[workerVariable] === undefined) await main()
else await work()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      minutes: { type: 'string', default: 'Infinity' },
      steps: { type: 'string' },
      only: { type: 'string' },
      plant: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      'no-shrink': { type: 'boolean', default: false },
    },
  })
  const end = Number(values.from) + Number(values.seeds)
  const only = values.only === undefined ? undefined : values.only === 'none' ? [] : values.only.split(',').map(Number)
  const steps = values.steps === undefined ? undefined : Number(values.steps)
  const tally: Tally = new Map()
  const failures: string[] = []
  const startedMs = performance.now()
  const endMs = startedMs + Number(values.minutes) * 60_000
  let next = Number(values.from)
  let seeds = 0

  const task = (): Task | undefined => {
    if (next >= end || performance.now() > endMs || failures.length >= (values.plant === undefined ? failuresMax : 1))
      return undefined
    const from = next
    next = Math.min(end, from + chunkSeeds)
    return { from, seeds: next - from, steps, only, plant: values.plant, shrink: !values['no-shrink'] }
  }
  const serve = (worker: ChildProcess): Promise<void> =>
    new Promise(resolve => {
      let given: Task | undefined
      const give = (): void => {
        given = task()
        if (given === undefined) worker.disconnect()
        else worker.send(given)
      }
      worker.on('message', (done: Done) => {
        seeds += given!.seeds
        for (const [what, times] of done.tally) count(tally, what, times)
        failures.push(...done.failures)
        for (const failure of done.failures) console.error(`\n${failure}\n`)
        if (process.stdout.isTTY) process.stdout.write(`\r${seeds} seeds, ${failures.length} failures `)
        give()
      })
      worker.on('exit', code => {
        if (given !== undefined) failures.push(`seeds ${given.from} …: the process ended with ${code}`)
        resolve()
      })
      give()
    })
  const workers = Array.from({ length: Math.min(Number(values.workers), end - next) }, () =>
    serve(fork(new URL(import.meta.url), { env: { ...process.env, [workerVariable]: '1' } })),
  )
  await Promise.all(workers)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
  console.log(`\n${seeds} seeds in ${seconds} s, ${failures.length} failures\n${tallyText(tally)}`)
  if (failures.length > 0) process.exitCode = 1
}

async function work(): Promise<void> {
  let present = 0
  process.on('unhandledRejection', error => {
    console.error(`seed ${present}: nobody waits for`, error)
    process.exit(3)
  })
  process.on('message', async ({ from, seeds, steps, only, plant, shrink }: Task) => {
    const { failureText, runSeed, shrunk } = await (plant === undefined
      ? import('../test/crash/run-seed.ts')
      : import('../test/crash/planted-bugs.ts').then(({ plantedSimulation }) => plantedSimulation(plant)))
    const tally: Tally = new Map()
    const failures: string[] = []
    // a planted bug that was found need not be found again
    for (present = from; present < from + seeds && (plant === undefined || failures.length === 0); present++) {
      const failure = await runSeed(present, tally, steps, only)
      if (failure !== undefined) failures.push(failureText(shrink ? await shrunk(failure, steps) : failure, steps))
    }
    process.send!({ tally: [...tally], failures } satisfies Done)
  })
}
