/** Scans that read whole blocks: series of several blocks, side by side or not, with rows that merge and rows that are gone. */
import { describe, expect, test } from 'vitest'
import { type Database, open } from '../../src/index.ts'
import { ValueChunks } from '../../src/operators/aggregate/value-chunks.ts'
import type { Value } from '../../src/types.ts'
import { SeededRandom } from '../simulated/random.ts'

interface Row {
  readonly host: string
  readonly timeMs: number
  readonly value: number | null
  readonly note: string | null
}

const between = (random: SeededRandom, least: number, greatest: number): number =>
  least + random.below(greatest - least + 1)
const share = (random: SeededRandom): number => random.next32() / 2 ** 32

/** What rows of a series do in time: all at the same moments, or each at its own. */
const paces = ['together', 'apart'] as const

function seriesRows(random: SeededRandom, pace: (typeof paces)[number], fromMs: number): Row[] {
  const rows: Row[] = []
  for (const host of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const count = pace === 'together' ? 3000 : between(random, 1, 4000)
    let timeMs = pace === 'together' ? fromMs : fromMs + between(random, 0, 5_000_000)
    for (let i = 0; i < count; i++) {
      const value = random.chance(0.1) ? null : Math.round(share(random) * 1e4) / 100
      const note = random.chance(0.5) ? null : `n${between(random, 0, 5)}`
      rows.push({ host, timeMs, value, note: value === null && note === null ? 'none' : note })
      timeMs += pace === 'together' ? 1000 : between(random, 1, 3000)
    }
  }
  return rows
}

const lineOf = ({ host, timeMs, value, note }: Row): string => {
  const fields = { ...(value === null ? {} : { value }), ...(note === null ? {} : { note }) }
  return `${JSON.stringify({ series: 'm', ts: timeMs, fields, tags: { host } })}\n`
}

async function* textOf(rows: readonly Row[]): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(rows.map(lineOf).join(''))
}

/** Later rows of a (series, time) win field by field. */
class Model {
  readonly #rows = new Map<string, Row>()

  write(rows: readonly Row[]): void {
    for (const row of rows) {
      const key = `${row.host} ${row.timeMs}`
      const before = this.#rows.get(key)
      const { value, note } = row
      this.#rows.set(key, { ...row, value: value ?? before?.value ?? null, note: note ?? before?.note ?? null })
    }
  }

  delete(host: string, fromMs: number, toMs: number): void {
    for (const [key, row] of this.#rows)
      if (row.host === host && row.timeMs >= fromMs && row.timeMs < toMs) this.#rows.delete(key)
  }

  /** By time, then host. */
  rows(isWanted: (row: Row) => boolean = () => true): Row[] {
    const wanted = [...this.#rows.values()].filter(isWanted)
    return wanted.sort((x, y) => x.timeMs - y.timeMs || (x.host < y.host ? -1 : 1))
  }
}

async function asked(db: Database, where: string): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of db.query<Record<string, Value>>(`select time, tag.host, value, note from m ${where}`))
    rows.push({
      host: row['tag.host'] as string,
      timeMs: Number(row['time']) / 1000,
      value: row['value'] as number | null,
      note: row['note'] as string | null,
    })
  return rows
}

const percentileOf = (values: readonly number[], p: number): number | null => {
  if (values.length === 0) return null
  const sorted = Float64Array.from(values).sort()
  const position = p * (sorted.length - 1)
  const rank = Math.floor(position)
  const low = sorted[rank]!
  const high = sorted[Math.min(rank + 1, sorted.length - 1)]!
  return low === high || position === rank ? low : low + (high - low) * (position - rank)
}

async function compare(db: Database, model: Model, random: SeededRandom): Promise<void> {
  const all = model.rows()
  expect(await asked(db, '')).toEqual(all)
  expect(await asked(db, 'where value > 90')).toEqual(all.filter(({ value }) => value !== null && value > 90))
  expect(await asked(db, "where note = 'n3'")).toEqual(all.filter(({ note }) => note === 'n3'))
  const isBoth = ({ value, note }: Row): boolean => value !== null && value < 20 && note !== null && note !== 'n1'
  expect(await asked(db, "where value < 20 and note <> 'n1'")).toEqual(all.filter(isBoth))
  const bySeries = all.toSorted((x, y) => (x.host === y.host ? x.timeMs - y.timeMs : x.host < y.host ? -1 : 1))
  expect(await asked(db, 'order by series, time')).toEqual(bySeries)
  const [fromMs, toMs] = [0, 1].map(() => all[between(random, 0, all.length - 1)]!.timeMs).sort((x, y) => x - y) as [
    number,
    number,
  ]
  const range = `where time >= ${fromMs * 1000} and time < ${toMs * 1000}`
  const within = all.filter(({ timeMs }) => timeMs >= fromMs && timeMs < toMs)
  expect(await asked(db, range)).toEqual(within)
  expect(await asked(db, `${range} and value < 20 and note <> 'n1'`)).toEqual(within.filter(isBoth))
  expect(await asked(db, `${range} limit 1500`)).toEqual(within.slice(0, 1500))

  const widthMs = 60_000 * between(random, 1, 30)
  const buckets = new Map<number, Row[]>()
  for (const row of within) {
    const startMs = Math.floor(row.timeMs / widthMs) * widthMs
    buckets.set(startMs, [...(buckets.get(startMs) ?? []), row])
  }
  const text = `select time_bucket(${widthMs}ms, time) t, percentile(value, 0.9) p, median(value) q, count(*) n from m ${range} group by t`
  expect((await db.query(text).all()).rows).toEqual(
    [...buckets].map(([startMs, rows]) => {
      const values = rows.flatMap(({ value }) => value ?? [])
      return { t: startMs * 1000, p: percentileOf(values, 0.9), q: percentileOf(values, 0.5), n: rows.length }
    }),
  )
}

describe('whole blocks', () => {
  for (const pace of paces)
    for (const seed of [1, 2])
      test(`rows that come ${pace}, late, twice and deleted: seed ${seed}`, async () => {
        const random = new SeededRandom(seed)
        const model = new Model()
        await using db = await open({ dataDir: ':memory:' })
        const write = async (rows: readonly Row[]): Promise<void> => {
          model.write(rows)
          expect((await db.ingest(textOf(rows))).rejected).toBe(0)
        }
        await write(seriesRows(random, pace, 1_700_000_000_000))
        await db.flush()
        await compare(db, model, random)
        // Of one series, among the others' blocks.
        const some = model.rows(({ host }) => host === 'c')
        await write(some.filter(() => random.chance(0.1)).map(row => ({ ...row, value: -1 })))
        await db.flush()
        await compare(db, model, random)
        const [first, last] = [some[Math.floor(some.length / 3)]!.timeMs, some.at(-1)!.timeMs]
        await db.query(`delete from m where tag.host = 'c' and time >= ${first * 1000} and time < ${last * 1000}`).all()
        model.delete('c', first, last)
        await write(seriesRows(random, pace, 1_700_002_000_000).filter(() => random.chance(0.2)))
        await compare(db, model, random)
      })
})

describe('chunks of values', () => {
  test('hold what groups were given, while some are dropped', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed)
      const chunks = new ValueChunks()
      let groups: number[][] = []
      for (let step = 0; step < 300; step++) {
        if (random.chance(0.3)) groups.push([])
        chunks.reserve(groups.length)
        if (groups.length === 0) continue
        const group = between(random, 0, groups.length - 1)
        const values = Float64Array.from({ length: between(random, 0, random.chance(0.2) ? 5000 : 40) }, () =>
          share(random),
        )
        if (random.chance(0.5)) chunks.append(group, values, 0, values.length)
        else for (const value of values) chunks.push(group, value)
        groups[group]!.push(...values)
        if (random.chance(0.9)) continue
        const kept = [...groups.keys()].filter(() => random.chance(0.5))
        chunks.keep(Uint32Array.from(kept))
        groups = kept.map(each => groups[each]!)
      }
      for (const [group, values] of groups.entries()) {
        const found: number[] = []
        chunks.each(group, (slab, from, to) => found.unshift(...slab.subarray(from, to)))
        expect(found, `seed ${seed}`).toEqual(values)
        expect(chunks.count(group)).toBe(values.length)
      }
      chunks.release()
      expect(chunks.byteLength).toBeLessThan(1 << 16)
    }
  })
})
