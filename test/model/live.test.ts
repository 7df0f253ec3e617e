/**
 * Live queries are what the same queries give when they are run afresh: a sample of what `npm run live:exactness` runs.
 * SYDRADB_LIVE_SEED and SYDRADB_LIVE_RUNS say which seeds, SYDRADB_LIVE_COMMITS how long they are; SYDRADB_LIVE_TALLY prints
 * what was compared.
 */
import { expect, test } from 'vitest'
import { type Tally, tallyText } from '../crash/tally.ts'
import { failureText, runSeed, shrunk } from './live/run-seed.ts'
import { rowsDiffer } from './live/same-rows.ts'

const onlySeed = process.env['SYDRADB_LIVE_SEED']
const firstSeed = Number(onlySeed ?? 1)
const runs = Number(process.env['SYDRADB_LIVE_RUNS'] ?? (onlySeed === undefined ? 8 : 1))
const commits = Number(process.env['SYDRADB_LIVE_COMMITS'] ?? 30)

test(`${runs} runs of ${commits} commits: every subscriber has the rows there are`, {
  timeout: 3_600_000,
}, async () => {
  const tally: Tally = new Map()
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const failure = await runSeed(seed, commits, tally)
    if (failure !== undefined) throw new Error(failureText(await shrunk(failure)))
  }
  if (process.env['SYDRADB_LIVE_TALLY'] !== undefined) console.log(tallyText(tally))
  if (runs < 10) return
  for (const strategy of ['tail', 'groups', 'top', 'series', 'rerun'])
    expect(tally.get(`compared: ${strategy}`), strategy).toBeGreaterThan(0)
})

test('rows differ where they do, and not by their order or the rounding of sums', () => {
  const magnitude = { sum: 1000, squares: 10_000 }
  const differ = (found: readonly (readonly (number | string | null)[])[], wanted: typeof found): boolean =>
    rowsDiffer(found, wanted, ['k', 'v', 'v_r'], magnitude) !== undefined
  const rows = [
    ['a', 1, 0.3],
    ['a', 1, 5],
    ['b', null, NaN],
  ]
  expect(differ(rows, rows.toReversed())).toBe(false)
  expect(differ([['a', -0, 0.1 + 0.2]], [['a', 0, 0.3]])).toBe(false)
  expect(differ([['a', 0.1 + 0.2, 1]], [['a', 0.3, 1]])).toBe(true)
  expect(differ([['a', 1, 1]], [['a', 1, 1.000001]])).toBe(true)
  expect(differ([['a', 1, null]], [['a', 1, 0]])).toBe(true)
  const ends = [null, -Infinity, NaN, Infinity, 1].map(value => ['a', 1, value])
  expect(differ(ends, ends.toReversed())).toBe(false)
  expect(differ(rows, rows.slice(1))).toBe(true)
  expect(differ([...rows, rows[0]!], rows)).toBe(true)
})
