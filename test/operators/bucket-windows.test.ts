/** Limits over buckets: read from the end that is wanted, no further than needed, with what reading everything gives. */
import { describe, expect, test } from 'vitest'
import { newReadStatistics } from '../../src/storage/read-statistics.ts'
import { SeededRandom } from '../simulated/random.ts'
import { type FakeDatabase, type FakeRow, fakeCatalog } from './fake-database.ts'
import { planOf, run } from './support.ts'

const series = [
  { metric: 'cpu', tags: { host: 'a' } },
  { metric: 'cpu', tags: { host: 'b' } },
]
const catalog = fakeCatalog({ cpu: { usage: 'float' } }, series)
const secondUs = 1e6
const yearUs = 365 * 86_400 * secondUs

/** A row a second for both series, in pieces of a hundred. */
function everySecond(seconds: number): FakeDatabase {
  const pieces: FakeRow[][] = []
  for (let from = 0; from < seconds; from += 50)
    pieces.push(
      Array.from({ length: 50 }, (_, i) =>
        [0, 1].map(each => ({ series: each, timeUs: (from + i) * secondUs, values: [(from + i) % 17] })),
      ).flat(),
    )
  return { catalog, series, pieces: { cpu: pieces } }
}

describe('reads no further than there are enough', () => {
  const database = everySecond(5000)
  test.each([
    ['order by t desc limit 2', 40],
    ['order by t limit 2', 40],
    ['limit 2 offset 1', 60],
    ['order by t desc, v limit 3', 60],
    ["having max(usage) > 15 and tag.host = 'a' order by t desc limit 1", 1000],
  ])('%s', async (end, rowsMax) => {
    const text = `select time_bucket(10s, time) t, ${end.includes('having') ? 'tag.host, ' : ''}max(usage) v from cpu group by t${end.includes('having') ? ', tag.host' : ''} ${end}`
    const read = newReadStatistics()
    const rows = await run(planOf(text, database), database, { read })
    expect(rows).toEqual(await run(planOf(text, database), database, {}, ['bucket-windows']))
    expect(rows.length).toBeGreaterThan(0)
    expect(read.rowsScanned).toBeLessThanOrEqual(rowsMax)
  })
})

test('what looks at the row before is read as a whole', async () => {
  const database = everySecond(500)
  const text = 'select time_bucket(10s, time) t, delta(usage) v from cpu group by t order by t desc limit 2'
  expect(await run(planOf(text, database), database)).toEqual(
    await run(planOf(text, database), database, {}, ['bucket-windows']),
  )
})

test('buckets of zones and calendars, and years without rows', async () => {
  const buckets = ['1d, time, Europe/Amsterdam', '6h, time, America/New_York', '1mo, time', '1w, time', '1y, time']
  for (let seed = 0; seed < 60; seed++) {
    const random = new SeededRandom(seed)
    const [width, , zone] = buckets[random.below(buckets.length)]!.split(', ')
    const spanUs = [30 * 86_400 * secondUs, yearUs, 30 * yearUs][random.below(3)]!
    const pieces = Array.from({ length: random.below(4) }, () =>
      Array.from({ length: 1 + random.below(30) }, (_, i) => ({
        series: i % 2,
        timeUs: Math.floor((random.next32() / 2 ** 32) * spanUs) + i,
        values: [random.below(9)],
      })),
    )
    const database: FakeDatabase = { catalog, series, pieces: { cpu: pieces } }
    const bucket = `time_bucket(${width}, time${zone === undefined ? '' : `, '${zone}'`})`
    const order = random.chance(0.6) ? 'order by t desc' : 'order by t'
    const text = `select ${bucket} t, count(*) c, sum(usage) s from cpu group by t ${order} limit ${1 + random.below(5)}`
    expect(await run(planOf(text, database), database), `seed ${seed}: ${text}`).toEqual(
      await run(planOf(text, database), database, {}, ['bucket-windows']),
    )
  }
})
