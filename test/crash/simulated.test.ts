/**
 * The whole engine on a machine that crashes and fails, against a naive model. A failing seed is in the error's message;
 * run it alone with SYDRADB_CRASH_SEED, and more of them with SYDRADB_CRASH_RUNS.
 */
import { expect, test } from 'vitest'
import { newTally, Simulation } from './simulation.ts'

const firstSeed = Number(process.env['SYDRADB_CRASH_SEED'] ?? 1)
const runs = Number(process.env['SYDRADB_CRASH_RUNS'] ?? (process.env['SYDRADB_CRASH_SEED'] === undefined ? 60 : 1))

test(`${runs} seeds of work, faults and crashes lose, double and invent nothing`, { timeout: 600_000 }, async () => {
  const tally = newTally()
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    try {
      await new Simulation(seed, tally).run(30)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
  console.log(tally)
  if (runs >= 60) expect(Math.min(tally.accepted, tally.refused, tally.flushes, tally.crashes)).toBeGreaterThan(50)
})
