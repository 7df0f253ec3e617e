/** The parts that strategies are made of: scopes, differences, rows of a commit. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { branchesOf } from '../../../src/operators/live/branches.ts'
import { commitReader } from '../../../src/operators/live/commit-batch.ts'
import { CommitIndex } from '../../../src/operators/live/commit-index.ts'
import { appendRows, difference, rowKeyOf, sameRow } from '../../../src/operators/live/difference.ts'
import { livePartsOf } from '../../../src/operators/live/parts.ts'
import { clusters, disjoint, type Scope, scopesOfNow } from '../../../src/operators/live/scope.ts'
import type { LiveColumns, LiveRow } from '../../../src/operators/live/types.ts'
import type { CatalogReader } from '../../../src/storage/catalog/types.ts'
import { everything } from '../../../src/sydraql/time-range.ts'
import { orNull } from '../batches.ts'
import { type FakeSeries, fakeCatalog } from '../fake-database.ts'
import { World } from './world.ts'

const minuteUs = 60_000_000

describe('scopes', () => {
  const scope = (fromUs: number, toUs: number, ...series: number[]): Scope => ({
    metric: 'cpu',
    fromUs,
    toUs,
    series: series.length === 0 ? undefined : Uint32Array.from(series),
  })

  test('late rows that lie together are read together', () => {
    expect(clusters('cpu', [5, 1, 3 * minuteUs, 2], [7, 9, 7, 7])).toEqual([
      scope(1, 6, 7, 9),
      scope(3 * minuteUs, 3 * minuteUs + 1, 7),
    ])
  })
  test('in a limited number of ranges', () => {
    const timeUs = Array.from({ length: 1000 }, (_, i) => i * 2 * minuteUs)
    const found = clusters('cpu', timeUs, new Array(1000).fill(1))
    expect(found.length).toBe(16)
    expect(timeUs.every(us => found.some(({ fromUs, toUs }) => us >= fromUs && us < toUs))).toBe(true)
  })
  test('those that overlap are one', () => {
    expect(disjoint([scope(10, 20, 1), scope(0, 12, 2), scope(20, 30, 3)])).toEqual([
      scope(0, 20, 1, 2),
      scope(20, 30, 3),
    ])
    expect(disjoint([scope(0, 5, 1), scope(4, 6)])).toEqual([scope(0, 6)])
    expect(disjoint([scope(5, 5), { ...scope(0, 5), series: new Uint32Array(0) }])).toEqual([])
    const other = { ...scope(0, 5), metric: 'mem' }
    expect(disjoint([scope(0, 5), other])).toEqual([scope(0, 5), other])
  })
  test('now() moves the ends of a range', () => {
    const world = worldOf(2)
    const source = world.source('select usage from cpu where time >= now() - 10us and time < now() + 10us')
    const { barePlanAt } = livePartsOf(source, world.context(), 0)
    const parts = (from: number, to: number) => scopesOfNow(barePlanAt(from), barePlanAt(to))
    expect(parts(100, 103)).toEqual([scope(90, 93), scope(110, 113)])
    expect(parts(100, 1000)).toEqual([scope(90, 110), scope(990, 1010)])
    expect(parts(100, 100)).toEqual([])
  })
})

describe('differences', () => {
  const value = orNull(fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constantFrom(NaN, -0, '', 'a', '1:a', true, false)))
  const rowsOf = (width: number) =>
    fc.array(fc.tuple(...new Array(width).fill(value)) as fc.Arbitrary<LiveRow>, { maxLength: 12 })
  const columns = (width: number, keys: readonly number[]): LiveColumns => ({
    schema: Array.from({ length: width }, (_, i) => ({ name: `c${i}`, type: 'float', nullable: true })),
    keys,
    selected: width,
  })
  const same = (a: readonly LiveRow[], b: readonly LiveRow[]): boolean => {
    const left = [...b]
    return (
      a.length === b.length &&
      a.every(row => {
        const at = left.findIndex(other => sameRow(row, other))
        return at >= 0 && left.splice(at, 1).length === 1
      })
    )
  }

  test.each([[[0]], [[0, 1]], [[]]])('by key %j', keys => {
    fc.assert(
      fc.property(rowsOf(3), rowsOf(3), (a, b) => {
        const keyOf = rowKeyOf(keys)
        const unique = (rows: readonly LiveRow[]) => [...new Map(rows.map(row => [keyOf(row), row])).values()]
        const [before, after] = [unique(a), unique(b)]
        const { added, changed, removed } = difference(before, after, columns(3, keys))
        const gone = new Set([...removed, ...changed].map(keyOf))
        expect(same([...before.filter(row => !gone.has(keyOf(row))), ...added, ...changed], after)).toBe(true)
        expect(new Set([...added, ...changed, ...removed].map(keyOf)).size).toBe(
          added.length + changed.length + removed.length,
        )
        for (const row of removed) expect(row.every((each, i) => keys.includes(i as never) || each === null)).toBe(true)
      }),
    )
  })
  test('of rows that may be there several times', () => {
    fc.assert(
      fc.property(rowsOf(2), rowsOf(2), (before, after) => {
        const { added, changed, removed } = difference(before, after, columns(2, [0, 1]))
        expect(changed).toEqual([])
        expect(same([...before, ...added], [...after, ...removed])).toBe(true)
        expect(added.some(row => removed.some(other => sameRow(row, other)))).toBe(false)
      }),
    )
  })
  test('keys are equal where their values are', () => {
    const keyOf = rowKeyOf([0, 1])
    fc.assert(
      fc.property(fc.tuple(value, value), fc.tuple(value, value), (a, b) => {
        expect(keyOf(a) === keyOf(b)).toBe(sameRow(a, b))
      }),
    )
  })
})

describe('rows of a commit', () => {
  test('are found by series', () => {
    const ordinals = fc.array(fc.oneof(fc.nat(40), fc.nat(2 ** 24)), { minLength: 1, maxLength: 60, size: 'max' })
    fc.assert(
      fc.property(ordinals, fc.array(fc.nat(40), { maxLength: 5 }), (series, others) => {
        const metric = { id: 0, name: 'cpu', fields: [] }
        const timeUs = Float64Array.from(series.keys())
        const rows = { metric, length: series.length, series: Uint32Array.from(series), timeUs, fields: [] }
        const index = new CommitIndex(rows)
        expect(index.lastOrdinal).toBe(Math.max(...series))
        const out = new Uint32Array(series.length)
        for (const ordinal of [...series, ...others]) {
          const count = index.rowsOf([ordinal], out)
          const expected = [...series.keys()].filter(row => series[row] === ordinal)
          expect([...out.subarray(0, count)]).toEqual(expected)
        }
      }),
    )
  })

  /** More series come while it is read. */
  test.each([
    ["select usage, tag.host from cpu where tag.host in ('h1', 'h3', 'h70')"],
    ["select usage, tag.host from cpu where tag.host != 'h2' and usage > 2"],
    ['select usage, note, tag.host from cpu where time >= 10 and time < 60'],
    ['select * from cpu'],
  ])('%s', text => {
    const world = worldOf(100)
    const { catalog } = world
    let known = 2
    const growing: CatalogReader = {
      ...catalog,
      seriesOf: metric => catalog.seriesOf(metric).subarray(0, known),
      seriesWithTag: (...args) => catalog.seriesWithTag(...args).filter(ordinal => ordinal < known),
    }
    const [branch] = branchesOf(livePartsOf(world.source(text), world.context(), 0).plan)!
    const reader = commitReader(branch!, { catalog: growing, kernels: world.context().kernels })
    const full = commitReader(branch!, world.context())
    for (const series of [2, 5, 60, 100]) {
      known = series
      const rows = Array.from({ length: 80 }, (_, i) => ({
        series: (i * 7) % series,
        timeUs: i,
        values: [i % 5, i % 3 === 0 ? undefined : `n${i % 4}`],
      }))
      world.happens({ kind: 'rows', metric: 'cpu', rows })
      const committed = world.rows.at(-1)!
      const read = (from: typeof reader, isElsewhere?: (ordinal: number, timeUs: number) => boolean): LiveRow[] => {
        const out: LiveRow[] = []
        const range = text.includes('time') ? { fromUs: 10, toUs: 60 } : everything
        const batch = from.read({ ...committed, late: undefined }, range, isElsewhere)
        if (batch !== undefined) appendRows(batch, out)
        return out.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      }
      const tag = (host: string) => Number(host.slice(1))
      const timed = rows.filter(({ timeUs }) => !text.includes('time') || (timeUs >= 10 && timeUs < 60))
      const wanted = timed.filter(({ series: ordinal, values }) => {
        if (text.includes(' in ')) return [1, 3, 70].includes(ordinal)
        return text.includes('!=') ? ordinal !== 2 && (values[0] as number) > 2 : true
      })
      const hostColumn = branch!.plan.schema.findIndex(({ name }) => name === 'tag.host' || name === 'host')
      const found = read(reader)
      expect(found.map(row => tag(row[hostColumn] as string)).sort()).toEqual(wanted.map(row => row.series).sort())
      expect(found).toEqual(read(full))
      const even = read(reader, ordinal => ordinal % 2 === 1)
      expect(even).toEqual(found.filter(row => tag(row[hostColumn] as string) % 2 === 0))
    }
  })
})

function worldOf(count: number): World {
  const series = Array.from({ length: count }, (_, i): FakeSeries => ({ metric: 'cpu', tags: { host: `h${i}` } }))
  return new World({ catalog: fakeCatalog({ cpu: { usage: 'float', note: 'string' } }, series), series })
}
