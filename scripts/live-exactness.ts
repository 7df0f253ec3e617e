/**
 * Compares live queries with the same queries run afresh, seed by seed, in a process a core: random commits, late and doubled
 * rows, deletes, flushes, merges, restores, subscribers that come, lag, leave and come back.
 *
 *   npm run live:exactness -- --seeds 200 --commits 500
 *   npm run live:exactness -- --seeds 1000000 --minutes 30               as many as there is time for
 *   npm run live:exactness -- --from 7 --seeds 1 --commits 60 --queries 3 --steps 0,4,9       a part of one seed
 *
 * Prints what was compared, by strategy and by shape. A failing seed is shrunk, printed with its steps and the command that runs
 * it again, and makes the exit code 1.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { count, type Tally, tallyText } from '../test/crash/tally.ts'
import { failureText, type Parts, runSeed, shrunk } from '../test/model/live/run-seed.ts'
import { shapes } from '../test/model/live/shapes.ts'

/** More failures than this tell nothing new. */
const failuresMax = 5
const workerVariable = 'SYDRADB_LIVE_WORKER'

interface Task {
  readonly seed: number
  readonly commits: number
  readonly parts: Parts
  readonly shrink: boolean
}
interface Done {
  readonly tally: readonly (readonly [string, number])[]
  readonly failure: string | undefined
}

if (process.env[workerVariable] === undefined) await main()
else work()

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '20' },
      from: { type: 'string', default: '1' },
      commits: { type: 'string', default: '500' },
      minutes: { type: 'string', default: 'Infinity' },
      queries: { type: 'string' },
      steps: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      'no-shrink': { type: 'boolean', default: false },
    },
  })
  const end = Number(values.from) + Number(values.seeds)
  const parts = { queries: numbersOf(values.queries), steps: numbersOf(values.steps) }
  const tally: Tally = new Map()
  const failures: string[] = []
  const startedMs = performance.now()
  const endMs = startedMs + Number(values.minutes) * 60_000
  let next = Number(values.from)
  let seeds = 0

  const task = (): Task | undefined => {
    if (next >= end || performance.now() > endMs || failures.length >= failuresMax) return undefined
    return { seed: next++, commits: Number(values.commits), parts, shrink: !values['no-shrink'] }
  }
  const serve = (worker: ChildProcess): Promise<void> =>
    new Promise(resolve => {
      let given: Task | undefined
      const give = (): void => {
        given = task()
        if (given === undefined) worker.disconnect()
        else worker.send(given)
      }
      worker.on('message', ({ tally: found, failure }: Done) => {
        seeds++
        for (const [what, times] of found) count(tally, what, times)
        if (failure !== undefined) {
          failures.push(failure)
          console.error(`\n${failure}\n`)
        }
        if (process.stdout.isTTY) process.stdout.write(`\r${seeds} seeds, ${failures.length} failures `)
        give()
      })
      worker.on('exit', code => {
        if (given !== undefined) {
          failures.push(`seed ${given.seed}: the process ended with ${code}`)
          console.error(`\n${failures.at(-1)}\n`)
        }
        resolve()
      })
      give()
    })
  const workers = Array.from({ length: Math.min(Number(values.workers), end - next) }, () =>
    serve(fork(new URL(import.meta.url), { env: { ...process.env, [workerVariable]: '1' } })),
  )
  await Promise.all(workers)
  console.log(`\n${tallyText(tally)}`)
  const reached = shapes.filter(({ name }) => [...tally.keys()].some(what => what.startsWith(`shape ${name}: `)))
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
  const compared = [...tally].filter(([what]) => what.startsWith('compared')).reduce((sum, [, times]) => sum + times, 0)
  console.log(
    `\n${seeds} runs, ${tally.get('commits') ?? 0} commits, ${reached.length} of ${shapes.length} shapes, ` +
      `${compared} comparisons in ${seconds} s: ${failures.length} differences`,
  )
  if (failures.length > 0) process.exitCode = 1
}

function numbersOf(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined
  return text === 'none' ? [] : text.split(',').map(Number)
}

function work(): void {
  let present: number | undefined
  process.on('unhandledRejection', error => {
    console.error(`seed ${present}: nobody waits for`, error)
    process.exit(3)
  })
  process.on('message', async ({ seed, commits, parts, shrink }: Task) => {
    present = seed
    const tally: Tally = new Map()
    const failure = await runSeed(seed, commits, tally, parts)
    const text = failure && failureText(shrink ? await shrunk(failure) : failure)
    process.send!({ tally: [...tally], failure: text } satisfies Done)
  })
}
