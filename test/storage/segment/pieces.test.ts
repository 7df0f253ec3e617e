/** What pieces say before they are read: statistics, ranges, wholeness; and what reading them leaves alone. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import { groupRowsMax } from '../../../src/storage/segment/format.ts'
import type { FieldStatistics } from '../../../src/storage/types.ts'
import {
  expectSameRows,
  fields,
  inOrder,
  matching,
  metricOf,
  type Row,
  randomOf,
  read,
  requestOf,
  rowsOf,
  setOf,
  TestCatalog,
  write,
} from './model.ts'

const metric = metricOf('m', fields('float', 'integer', 'boolean', 'string'))

function naive(rows: readonly Row[], field: number): FieldStatistics {
  const present = rows.filter(row => row.values[field] !== undefined)
  const numbers = present.map(row => row.values[field] as number)
  const real = numbers.filter(value => !Number.isNaN(value))
  const byTime = present.toSorted((a, b) => a.timeUs - b.timeUs)
  return {
    count: numbers.length,
    nanCount: numbers.length - real.length,
    min: real.reduce((a, b) => Math.min(a, b), Infinity),
    max: real.reduce((a, b) => Math.max(a, b), -Infinity),
    sum: numbers.reduce((a, b) => a + b, 0),
    first: (byTime[0]?.values[field] as number | undefined) ?? Number.NaN,
    firstTimeUs: byTime[0]?.timeUs ?? Number.NaN,
    last: (byTime.at(-1)?.values[field] as number | undefined) ?? Number.NaN,
    lastTimeUs: byTime.at(-1)?.timeUs ?? Number.NaN,
  }
}

const value = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }).map(n => n / 10),
  fc.constantFrom(Number.NaN, -0, Infinity, -Infinity, 1 / 3),
)
const someRows = fc.uniqueArray(
  fc.record({
    series: fc.integer({ min: 0, max: 4 }),
    timeUs: fc.integer({ min: 0, max: 30 }),
    values: fc.tuple(
      fc.option(value, { nil: undefined }),
      fc.option(fc.integer(), { nil: undefined, freq: 1 }),
      fc.option(fc.boolean(), { nil: undefined }),
      fc.option(fc.string(), { nil: undefined }),
    ),
  }),
  { minLength: 1, maxLength: 50, selector: row => `${row.series} ${row.timeUs}` },
)

describe('statistics', () => {
  test('are those of the rows, for every numeric field', () => {
    fc.assert(
      fc.property(someRows, rows => {
        const { segment } = write(metric, rows)
        const pieces = segment.pieces(requestOf(metric))
        expect(pieces).toHaveLength(1)
        for (const field of [0, 1]) {
          const { sum, ...told } = pieces[0]!.statistics(field)!
          const { sum: expectedSum, ...expected } = naive(inOrder(metric, rows), field)
          expect({ ...told, min: told.min + 0, max: told.max + 0 }).toMatchObject({
            ...expected,
            min: expected.min + 0,
            max: expected.max + 0,
          })
          if (Number.isFinite(expectedSum)) expect(sum).toBeCloseTo(expectedSum, 6)
          else expect(sum).toBe(expectedSum)
        }
        expect(pieces[0]!.statistics(2)).toBeUndefined()
        expect(pieces[0]!.statistics(3)).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })
})

const stepUs = 10_000_000
const gauge = metricOf('gauge', fields('float'))
const walks = (counts: readonly number[]): Row[] => {
  const random = randomOf(77)
  return counts.flatMap((count, series) => {
    let level = 100 * series
    return Array.from({ length: count }, (_, i) => {
      level += random() - 0.5
      return { series, timeUs: i * stepUs, values: [Math.round(level * 100) / 100] }
    })
  })
}

describe('pieces', () => {
  test('a long series has pieces of its own, short ones share', () => {
    const { segment } = write(gauge, walks([13_000, 10, 10, 2048, 10]))
    const pieces = segment.pieces(requestOf(gauge))
    const owners = pieces.map(piece => piece.series)
    expect(owners.filter(series => series === 0)).toHaveLength(2)
    expect(owners.filter(series => series === 3)).toHaveLength(1)
    expect(owners).toContain(undefined)
    expect(pieces.reduce((sum, piece) => sum + piece.rows, 0)).toBe(15_078)
  })

  test.each([2048, 8193, 12_287, 12_288, 12_289, 20_479, 20_481, 33_000])('%i rows are shared out alike', count => {
    const { segment } = write(gauge, walks([count]))
    const sizes = segment.pieces(requestOf(gauge)).map(piece => piece.rows)
    expect(sizes.reduce((sum, rows) => sum + rows, 0)).toBe(count)
    if (count <= 12_288) expect(sizes.length).toBeLessThanOrEqual(2)
    for (const rows of sizes.length > 1 ? sizes : []) {
      expect(rows).toBeGreaterThanOrEqual(4096)
      expect(rows).toBeLessThanOrEqual(groupRowsMax)
    }
    for (const rows of sizes.slice(0, -1)) expect(rows % 1024).toBe(0)
  })

  test('whole: all series and the whole range of the piece are wanted', () => {
    const rows = walks([10, 10, 10])
    const { segment } = write(gauge, rows)
    const whole = (part: Parameters<typeof requestOf>[1]): boolean[] =>
      segment.pieces(requestOf(gauge, part)).map(piece => piece.whole)
    expect(whole({})).toEqual([true])
    expect(whole({ fromUs: 0, toUs: 9 * stepUs + 1 })).toEqual([true])
    expect(whole({ toUs: 9 * stepUs })).toEqual([false])
    expect(whole({ fromUs: 1 })).toEqual([false])
    expect(whole({ series: setOf([0, 1, 2, 3]) })).toEqual([true])
    expect(whole({ series: setOf([0, 2]) })).toEqual([false])
    expect(whole({ series: setOf([9]) })).toEqual([])
    expect(whole({ fromUs: 9 * stepUs + 1 })).toEqual([])
  })

  test('only the blocks that hold wanted rows are decoded, only the wanted columns read', () => {
    const wide = metricOf('wide', fields('float', 'float', 'float'))
    const rows = walks([8192, 8192]).map(row => ({ ...row, values: [row.values[0], row.timeUs % 97, row.timeUs % 89] }))
    const { segment, bytes } = write(wide, rows)
    const request = requestOf(wide, {
      fields: [wide.fields[1]!],
      series: setOf([1]),
      fromUs: 1000 * stepUs,
      toUs: 1100 * stepUs,
    })
    expectSameRows(read(segment, request), matching(wide, rows, request))
    expect(request.statistics).toMatchObject({
      blocksScanned: 2,
      blocksPruned: 14,
      rowsScanned: 100,
      segmentsScanned: 1,
    })
    expect(request.statistics.bytesRead).toBeLessThan(bytes.length / 3)

    const again = requestOf(wide, request)
    const cached = { ...again, statistics: requestOf(wide).statistics }
    read(segment, cached)
    expect(cached.statistics.bytesRead).toBe(0)
  })

  test('reading a part of a piece reads no more than the request wants', () => {
    const rows = walks([5000])
    const { segment } = write(gauge, rows)
    const request = requestOf(gauge, { fromUs: 100 * stepUs, toUs: 4000 * stepUs })
    const [piece] = segment.pieces(request)
    const into = new RowBuffer(gauge.fields)
    piece!.read(-Infinity, 200 * stepUs, into)
    expect(into.length).toBe(100)
    piece!.read(3990 * stepUs, Infinity, into)
    expectSameRows(rowsOf(into), [...rows.slice(100, 200), ...rows.slice(3990, 4000)])
  })

  test('bounds skip blocks, never a row that satisfies them', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -50, max: 350, noNaN: true }),
        fc.double({ min: 0, max: 40, noNaN: true }),
        fc.boolean(),
        (min, width, nan) => {
          const bounds = [{ field: 0, min, max: min + width, nan }]
          const request = requestOf(gauge)
          const into = new RowBuffer(gauge.fields)
          for (const piece of bounded.segment.pieces(request)) piece.read(-Infinity, Infinity, into, bounds)
          const satisfies = ({ values: [v] }: Row): boolean =>
            v !== undefined && (Number.isNaN(v) ? nan : (v as number) >= min && (v as number) <= min + width)
          const found = rowsOf(into)
          expectSameRows(found.filter(satisfies), inOrder(gauge, bounded.rows).filter(satisfies))
          expect(request.statistics.blocksPruned + request.statistics.blocksScanned).toBe(bounded.blocks)
        },
      ),
      { numRuns: 100 },
    )
    const none = requestOf(gauge)
    expect(read(bounded.segment, none, [{ field: 0, min: 1e6, max: 2e6, nan: false }])).toEqual([])
    expect(none.statistics).toMatchObject({ blocksScanned: 0, blocksPruned: bounded.blocks, bytesRead: 0 })
  })
})

const bounded = ((): { rows: Row[]; segment: ReturnType<typeof write>['segment']; blocks: number } => {
  const rows = walks([4000, 700, 20, 20, 20, 3000]).map((row, i) => {
    const kind = Math.floor(i / 1000) % 4
    if (kind === 1 && i % 3 === 0) return { ...row, values: [undefined] }
    return kind === 2 && i % 500 === 0 ? { ...row, values: [Number.NaN] } : row
  })
  const { segment } = write(gauge, rows)
  const all = requestOf(gauge)
  read(segment, all)
  return { rows, segment, blocks: all.statistics.blocksScanned }
})()

describe('series', () => {
  const rows = walks([5, 3000, 7, 1, 1, 40])

  test('are found by key when the catalog is another one, or does not know the ordinals yet', () => {
    for (const catalog of [new TestCatalog('f'.repeat(32)), new TestCatalog(undefined, 3)]) {
      const { segment } = write(gauge, rows, { catalog })
      const request = requestOf(gauge)
      const found = read(segment, request)
      // The test catalog gives ordinals in order of arrival, which is the order in the dictionary.
      const ordinals = new Map<number, number>()
      const expected = matching(gauge, rows, request)
      for (const { series } of expected) if (!ordinals.has(series)) ordinals.set(series, ordinals.size)
      expectSameRows(
        found,
        expected.map(row => ({ ...row, series: ordinals.get(row.series)! })),
      )
    }
  })

  test('many wanted of many, in any order of ordinals', () => {
    const many = Array.from({ length: 2000 }, (_, series) => ({ series, timeUs: series, values: [series] }))
    const { segment } = write(gauge, many)
    for (const wanted of [
      [3],
      [1999, 0, 5000],
      Array.from({ length: 200 }, (_, i) => i * 9),
      Array.from({ length: 1500 }, (_, i) => i),
      many.map(row => row.series),
    ]) {
      const request = requestOf(gauge, { series: setOf(wanted) })
      expectSameRows(read(segment, request), matching(gauge, many, request))
    }
  })
})

test('8,640 rows a series of random walks with two decimals take at most 1.35 bytes a value, all included', () => {
  const random = randomOf(1)
  const rows = Array.from({ length: 20 }, (_, series) => {
    let level = 50
    return Array.from({ length: 8640 }, (_, i): Row => {
      level += (random() - 0.5) * 2
      return { series, timeUs: 1.7e15 + i * stepUs, values: [Math.round(level * 100) / 100] }
    })
  }).flat()
  expect(write(gauge, rows).bytes.length / rows.length).toBeLessThan(1.35)
})
