/**
 * Random queries over random data, wherever its rows lie, against an evaluator that takes them one row at a time; with
 * every rule, then with one switched off and other sizes of batches and windows. A failing seed is in the error's message; `SYDRADB_QUERIES_SEED` runs it again,
 * `SYDRADB_QUERIES_DATABASES` makes as many databases as it says.
 */

import { expect, test } from 'vitest'
import type { Scalar } from '../../src/columnar/value.ts'
import { SydraError } from '../../src/lib/errors.ts'
import { physicalRules } from '../../src/operators/plan/types.ts'
import { ruleNames } from '../../src/sydraql/optimize.ts'
import { SeededRandom } from '../simulated/random.ts'
import type { Cell } from './aggregates.ts'
import { ask, usualWay, type Way } from './ask.ts'
import { randomDatabase } from './database.ts'
import { Generator } from './expressions.ts'
import { groupedQuestion, rawQuestion } from './queries.ts'

const onlySeed = process.env['SYDRADB_QUERIES_SEED']
const databases = Number(process.env['SYDRADB_QUERIES_DATABASES'] ?? (onlySeed === undefined ? 30 : 1))
const questionsPerDatabase = 25

function isSame(found: Scalar | undefined, { value, tolerance }: Cell): boolean {
  if (Object.is(found, value)) return true
  if (typeof found !== 'number' || typeof value !== 'number') return false
  return found === value ? tolerance > 0 || value === 0 : Math.abs(found - value) <= tolerance
}

/** The first difference, or undefined. */
function difference(found: readonly Scalar[][], answer: readonly (readonly Cell[])[]): string | undefined {
  const row = answer.findIndex((cells, i) => !cells.every((cell, c) => isSame(found[i]?.[c], cell)))
  if (row < 0 && found.length === answer.length) return undefined
  const at = row < 0 ? answer.length : row
  const wanted = answer[at]?.map(cell => cell.value)
  return `row ${at} of ${answer.length} (found ${found.length}): ${print(found[at])} instead of ${print(wanted)}`
}
const print = (row: readonly Scalar[] | undefined): string =>
  row === undefined
    ? 'nothing'
    : `[${row.map(value => (typeof value === 'string' ? JSON.stringify(value) : Object.is(value, -0) ? '-0' : String(value))).join(', ')}]`

function ways(random: SeededRandom): Way[] {
  const sizes = () => ({
    batchRows: [1, 7, 100, 8192][random.below(4)]!,
    windowRowsMax: [undefined, undefined, 5, 40, 300][random.below(5)],
  })
  const optional = [
    ...ruleNames.map(withoutRule => ({ withoutRule })),
    ...Object.keys(physicalRules).map(disabledRule => ({ disabledRule })),
  ]
  return [usualWay, { ...optional[random.below(optional.length)]!, ...sizes() }]
}

async function check(seed: number): Promise<number> {
  const random = new SeededRandom(seed)
  const database = await randomDatabase(random)
  let asked = 0
  try {
    for (let i = 0; i < questionsPerDatabase; i++) {
      const generate = new Generator(random)
      const question = random.chance(0.45)
        ? rawQuestion(generate, database.setting)
        : groupedQuestion(generate, database.setting)
      const answer = question.answer(database.rows)
      if (answer === undefined) continue
      for (const way of ways(random)) {
        asked++
        const about = `seed ${seed}, ${JSON.stringify(way)}\n${question.text}\n${JSON.stringify(question.params)}`
        let found: Scalar[][]
        try {
          found = await ask(database, question, way)
        } catch (error) {
          throw new Error(`${about}\n${error instanceof SydraError ? error.message : String(error)}`, { cause: error })
        }
        const wrong = difference(found, answer)
        if (wrong !== undefined) throw new Error(`${about}\n${wrong}`)
      }
    }
  } finally {
    await database.storage.close()
  }
  return asked
}

const first = Number(onlySeed ?? 1)
test(`answers of ${databases} databases are those of the naive evaluator`, { timeout: 600_000 }, async () => {
  let asked = 0
  for (let seed = first; seed < first + databases; seed++) asked += await check(seed)
  // Few questions are given up for making too many rows.
  expect(asked).toBeGreaterThan(databases * questionsPerDatabase)
})
