/**
 * The whole engine on a machine that crashes and fails, against a naive model. A failing seed is in the error's message;
 * run it alone with SYDRADB_CRASH_SEED, and more of them with SYDRADB_CRASH_RUNS.
 */
import { expect, test } from 'vitest'
import { newTally, Simulation } from './simulation.ts'

const firstSeed = Number(process.env['SYDRADB_CRASH_SEED'] ?? 1)
const runs = Number(process.env['SYDRADB_CRASH_RUNS'] ?? (process.env['SYDRADB_CRASH_SEED'] === undefined ? 20 : 1))

const stride = runs < 100 ? 5 : 1

test(`a crash at ${stride === 1 ? 'every' : `every ${stride}th`} disk call of two flushes`, {
  timeout: 600_000,
}, async () => {
  const tally = newTally()
  for (let call = 1 + (firstSeed % stride), crashed = true; crashed; call += stride) {
    try {
      crashed = await new Simulation(call * 4 + 1, tally).runFlushes(call)
    } catch (error) {
      throw new Error(`call ${call}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
  if (process.env['SYDRADB_CRASH_TALLY'] !== undefined) console.log(tally)
  const moments = ['write wal', 'dataSync wal', 'write segments', 'rename segments', 'dataSync MANIFEST', 'remove wal']
  if (stride === 1) for (const moment of moments) expect(tally.crashedAt.get(moment), moment).toBeGreaterThan(0)
})

test(`${runs} seeds of work, faults and crashes lose, double and invent nothing`, { timeout: 600_000 }, async () => {
  const tally = newTally()
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    try {
      await new Simulation(seed, tally).run(30)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
  if (process.env['SYDRADB_CRASH_TALLY'] !== undefined) console.log(tally)
  const { accepted, deleted, refused, flushes, crashes, failedOpens, readOnly } = tally
  if (runs >= 20)
    expect(Math.min(accepted, deleted, refused, flushes, crashes, failedOpens, readOnly)).toBeGreaterThan(0)
})
