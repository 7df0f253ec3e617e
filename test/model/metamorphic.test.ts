/**
 * Answers that must agree with each other, whoever computes them: a range and its halves, a condition and its other
 * spellings, a condition with its negation and its null (ternary logic partitioning: Rigger & Su, OOPSLA 2020, section 3).
 * A failing seed is in the error's message; `SYDRADB_QUERIES_SEED` runs it again.
 */
import { expect, test } from 'vitest'
import type { Scalar } from '../../src/columnar/value.ts'
import { SeededRandom } from '../simulated/random.ts'
import { ask } from './ask.ts'
import { type ModelDatabase, randomDatabase } from './database.ts'
import { compare, Generator } from './expressions.ts'

const onlySeed = process.env['SYDRADB_QUERIES_SEED']
const databases = Number(process.env['SYDRADB_QUERIES_DATABASES'] ?? (onlySeed === undefined ? 15 : 1))
const roundsPerDatabase = 8

type Rows = readonly (readonly Scalar[])[]

async function check(seed: number): Promise<number> {
  const random = new SeededRandom(seed)
  const database = await randomDatabase(random)
  let asked = 0
  const query = async (text: string): Promise<Rows> => {
    asked++
    try {
      return await ask(database, { text, params: [] })
    } catch (error) {
      throw new Error(`seed ${seed}\n${text}\n${String(error)}`, { cause: error })
    }
  }
  const mustEqual = (found: Rows, wanted: Rows, about: string): void => {
    const at = wanted.findIndex((row, i) => !row.every((cell, c) => Object.is(cell, found[i]?.[c])))
    if (at >= 0 || found.length !== wanted.length)
      throw new Error(`seed ${seed}\n${about}\nrow ${at}: ${String(found[at])} instead of ${String(wanted[at])}`)
  }
  try {
    for (let round = 0; round < roundsPerDatabase; round++) {
      const generate = new Generator(random, { parameters: false })
      const conditions = Array.from({ length: 2 + random.below(2) }, () => generate.truth(2).text)
      const measure = generate.number(1).text
      const [first] = conditions as [string]
      await splitRange(database, random, (condition, items) => query(`select ${items} from m where ${condition}`))
      const rows = (condition: string) => `select time, series, ${measure} as v from m where ${condition}`

      // The order of conditions, and conditions that are always true, change nothing.
      const joined = conditions.join(' and ')
      const wanted = await query(rows(joined))
      const spellings = [
        conditions.toReversed().join(' and '),
        `${joined} and 1 = 1`,
        `series is not null and (${joined})`,
        `(${joined}) and (time = time or ${first})`,
        `not (${conditions.map(part => `not (${part})`).join(' or ')})`,
        `case when ${joined} then true else false end`,
        `not not (${joined})`,
      ]
      for (const spelling of spellings) mustEqual(await query(rows(spelling)), wanted, `${joined}\n${spelling}`)

      // Every row is where the condition is true, false or null.
      const every = await query(`select time, series, ${measure} as v from m`)
      const thirds = await Promise.all(
        [first, `not (${first})`, `(${first}) is null`].map(part => query(`${rows(part)}`)),
      )
      mustEqual(sorted(thirds.flat()), sorted(every), `thirds of ${first}`)

      // A sub-select that keeps every row is none; groups of groups are groups.
      mustEqual(await query(`select time, series, v from (${rows(joined)}) q`), wanted, `sub-select of ${joined}`)
      const counts = `select tag.host as host, count(*) as n from m where ${joined} group by tag.host`
      mustEqual(
        await query(
          `select host, sum(n)::integer as n from (select tag.host as host, tag.dc as dc, count(*) as n from m where ${joined} group by tag.host, tag.dc) q group by host`,
        ),
        await query(counts),
        `groups of groups, ${joined}`,
      )
      mustEqual(
        await query(`select distinct v from (${rows(joined)}) q`),
        await query(`select ${measure} as v from m where ${joined} group by v`),
        `distinct ${measure} where ${joined}`,
      )
    }
  } finally {
    await database.storage.close()
  }
  return asked
}

const sorted = (rows: Rows): Rows =>
  rows.toSorted((a, b) => compare(a[0]! as number, b[0]! as number) || compare(a[1]! as string, b[1]! as string))

async function splitRange(
  { setting }: ModelDatabase,
  random: SeededRandom,
  query: (condition: string, items: string) => Promise<Rows>,
): Promise<void> {
  const at = () => setting.startUs + random.below(setting.steps + 2) * setting.stepUs
  const [from, middle, to] = [at(), at(), at()].sort((a, b) => a - b) as [number, number, number]
  const between = (a: number, b: number) => `time >= ${a}::timestamp and time < ${b}::timestamp`
  const items = 'count(*) as c, count(f) as n, min(n) as low, max(n) as high, sum(n) as s'
  const [whole, left, right] = await Promise.all([
    query(between(from, to), items),
    query(between(from, middle), items),
    query(between(middle, to), items),
  ])
  const [w, l, r] = [whole[0]!, left[0]!, right[0]!] as (number | null)[][]
  expect(w![0]).toBe(l![0]! + r![0]!)
  expect(w![1]).toBe(l![1]! + r![1]!)
  const known = (column: number) => [l![column], r![column]].filter(value => value !== null) as number[]
  expect(w![2]).toBe(known(2).length === 0 ? null : Math.min(...known(2)))
  expect(w![3]).toBe(known(3).length === 0 ? null : Math.max(...known(3)))
  expect(w![4]).toBe(known(4).length === 0 ? null : known(4).reduce((a, b) => a + b))
  const rows = await query(between(from, to), 'time, series, f, s')
  const halves = [
    ...(await query(between(from, middle), 'time, series, f, s')),
    ...(await query(between(middle, to), 'time, series, f, s')),
  ]
  expect(rows).toEqual(halves)
}

const first = Number(onlySeed ?? 1)
test(`answers about ${databases} databases agree with each other`, { timeout: 600_000 }, async () => {
  let asked = 0
  for (let seed = first; seed < first + databases; seed++) asked += await check(seed)
  expect(asked).toBeGreaterThan(databases * roundsPerDatabase * 20)
})
