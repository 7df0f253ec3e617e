/**
 * The whole engine on a machine that crashes and fails, against a naive model: a sample of what `npm run simulate` runs.
 * SYDRADB_CRASH_SEED and SYDRADB_CRASH_RUNS say which seeds; SYDRADB_CRASH_TALLY prints what happened.
 */
import { expect, test } from 'vitest'
import { crashAtCall, failureText, runSeed, shrunk } from './run-seed.ts'
import { shortest } from './shrink.ts'
import { type Tally, tallyText } from './tally.ts'

const firstSeed = Number(process.env['SYDRADB_CRASH_SEED'] ?? 1)
const runs = Number(process.env['SYDRADB_CRASH_RUNS'] ?? (process.env['SYDRADB_CRASH_SEED'] === undefined ? 10 : 1))
const timeout = 3_600_000

const print = (tally: Tally): void => {
  if (process.env['SYDRADB_CRASH_TALLY'] !== undefined) console.log(tallyText(tally))
}

const stride = runs < 100 ? 401 : 1

test(`a crash at ${stride === 1 ? 'every' : `every ${stride}st`} disk call of a busy day`, { timeout }, async () => {
  const tally: Tally = new Map()
  for (let call = 1 + (firstSeed % stride), crashed = true; crashed; call += stride) {
    try {
      crashed = await crashAtCall(call, tally)
    } catch (error) {
      throw new Error(`call ${call}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
  print(tally)
  const moments = ['write wal', 'dataSync wal', 'write segments', 'rename segments', 'dataSync MANIFEST', 'remove wal']
  if (stride === 1) for (const moment of moments) expect(tally.get(`crash at ${moment}`), moment).toBeGreaterThan(0)
})

test(`${runs} seeds of work, faults and crashes lose, double and invent nothing`, { timeout }, async () => {
  const tally: Tally = new Map()
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const failure = await runSeed(seed, tally)
    if (failure !== undefined) throw new Error(failureText(await shrunk(failure)))
  }
  print(tally)
  if (runs < 10) return
  for (const what of [
    'power loss',
    'kill',
    'snapshot taken',
    'rows acknowledged',
    'delete accepted',
    'error disk_full',
  ])
    expect(tally.get(what), what).toBeGreaterThan(0)
})

test('a list that fails shrinks to the shortest that does', async () => {
  const list = Array.from({ length: 40 }, (_, i) => i)
  expect(await shortest(list, async part => [3, 17, 18].every(each => part.includes(each)))).toEqual([3, 17, 18])
  expect(await shortest(list, async () => true)).toEqual([])
  expect(await shortest(list, async part => part.length === 40)).toEqual(list)
})
