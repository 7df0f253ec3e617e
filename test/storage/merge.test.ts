import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Duplicates, permuteRows, type RowOrder, SortScratch, sortRows } from '../../src/storage/merge.ts'
import { overlapGroups } from '../../src/storage/overlap.ts'
import { RowBuffer } from '../../src/storage/row-buffer.ts'
import type { FieldInfo, Piece } from '../../src/storage/types.ts'

const fields: FieldInfo[] = [
  { id: 0, name: 'f', type: 'float' },
  { id: 1, name: 'b', type: 'boolean' },
  { id: 2, name: 's', type: 'string' },
]
/** A float as its bits, so that NaN payloads and -0 count. */
type Row = { series: number; timeUs: number; f: bigint | null; b: number | null; s: string | null }

const bits = new BigUint64Array(1)
const float = new Float64Array(bits.buffer)

function toBuffer(rows: readonly Row[]): RowBuffer {
  const buffer = new RowBuffer(fields, Math.max(1, rows.length))
  rows.forEach((row, i) => {
    buffer.series[i] = row.series
    buffer.timeUs[i] = row.timeUs
    const [f, b, s] = buffer.fields
    for (const [field, value] of [
      [f, row.f],
      [b, row.b],
      [s, row.s],
    ] as const) {
      field!.valid[i] = value === null ? 0 : 1
      if (value === null) field!.nulls = true
    }
    if (row.f !== null) new BigUint64Array(f!.values.buffer)[i] = row.f
    if (row.b !== null) b!.values[i] = row.b
    if (row.s !== null) s!.values[i] = s!.dictionary!.code(row.s)
  })
  buffer.length = rows.length
  return buffer
}

function toRows(buffer: RowBuffer): Row[] {
  const [f, b, s] = buffer.fields
  return Array.from({ length: buffer.length }, (_, i) => ({
    series: buffer.series[i]!,
    timeUs: buffer.timeUs[i]!,
    f: f!.valid[i] ? new BigUint64Array(f!.values.buffer)[i]! : null,
    b: b!.valid[i] ? b!.values[i]! : null,
    s: s!.valid[i] ? s!.dictionary!.at(s!.values[i]!) : null,
  }))
}

function model(rows: readonly Row[], order: RowOrder, ranks: Uint32Array, duplicates: Duplicates): Row[] {
  const byTime = (a: Row, b: Row): number => (order === 'time-series desc' ? b.timeUs - a.timeUs : a.timeUs - b.timeUs)
  const byRank = (a: Row, b: Row): number => ranks[a.series]! - ranks[b.series]!
  const sorted = [...rows].sort((a, b) =>
    order === 'series-time' ? byRank(a, b) || byTime(a, b) : byTime(a, b) || byRank(a, b),
  )
  const merged: Row[] = []
  for (const row of sorted) {
    const last = merged.at(-1)
    if (last?.series !== row.series || last.timeUs !== row.timeUs) merged.push({ ...row })
    else {
      const [weak, strong] = duplicates === 'last' ? [{ ...last }, row] : [row, { ...last }]
      Object.assign(last, { f: strong.f ?? weak.f, b: strong.b ?? weak.b, s: strong.s ?? weak.s })
    }
  }
  return merged
}

const seriesMax = 40
/** A permutation of ranks, as a catalog whose series came in another order has. */
const someRanks = fc
  .shuffledSubarray(
    Array.from({ length: seriesMax }, (_, i) => i),
    { minLength: seriesMax },
  )
  .map(order => Uint32Array.from(order))
const someFloat = fc.oneof(
  fc.double().map(value => {
    float[0] = value
    return bits[0]!
  }),
  fc.constantFrom(0x7ff8_0000_dead_beefn, 0xfff8_0000_0000_0001n, 0x8000_0000_0000_0000n, 0x7ff0_0000_0000_0000n),
)
/** Times: crowded, on a grid, spread, or at both ends of what a timestamp may be. */
const someTime = fc.constantFrom(
  fc.nat(20),
  fc.nat(500).map(n => 1_700_000_000_000_000 + n * 10_000_000),
  fc.integer({ min: 1_700_000_000_000_000, max: 1_700_086_400_000_000 }),
  fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  fc.maxSafeInteger(),
)
const someRows = someTime.chain(timeUs =>
  fc.array(
    fc.record({
      series: fc.nat(seriesMax - 1),
      timeUs,
      f: fc.option(someFloat, { freq: 5 }),
      b: fc.option(fc.nat(1), { freq: 3 }),
      s: fc.option(fc.constantFrom('', 'x', 'y', 'é'), { freq: 3 }),
    }),
    { maxLength: 300, size: 'max' },
  ),
)
const someOrder = fc.constantFrom<RowOrder>('series-time', 'time-series', 'time-series desc')
const somePolicy = fc.constantFrom<Duplicates>('last', 'first')

/** Rows as they arrive in life: every series once a tick, or series after series; late ones among them. */
function regular(count: number, seriesCount: number, jitterUs: number, runs: boolean, seed: number): Row[] {
  let state = seed
  const random = (below: number): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) % below
  return Array.from({ length: count }, (_, i) => {
    const perSeries = Math.ceil(count / seriesCount)
    const [series, tick] = runs
      ? [Math.floor(i / perSeries), i % perSeries]
      : [i % seriesCount, Math.floor(i / seriesCount)]
    const late = random(50) === 0 ? random(1000) : 0
    return {
      series,
      timeUs: 1_700_000_000_000_000 + Math.max(0, tick - late) * 10_000_000 + (jitterUs === 0 ? 0 : random(jitterUs)),
      f: BigInt(i),
      b: null,
      s: i % 3 === 0 ? `s${i % 11}` : null,
    }
  })
}

describe('sortRows', () => {
  test('agrees with a naive sort and merge, bit for bit', () => {
    fc.assert(
      fc.property(someRows, someOrder, somePolicy, someRanks, fc.boolean(), (rows, order, policy, ranks, fresh) => {
        const buffer = toBuffer(rows)
        sortRows(buffer, order, ranks, policy, fresh ? new SortScratch() : undefined)
        expect(toRows(buffer)).toEqual(model(rows, order, ranks, policy))
      }),
      { numRuns: 300 },
    )
  })

  test('agrees on thousands of rows: grids, jitter, runs, late rows, wide keys', () => {
    const ranks = Uint32Array.from({ length: 5000 }, (_, i) => (i * 2999) % 5000)
    for (const order of ['series-time', 'time-series', 'time-series desc'] as const)
      for (const [count, seriesCount, jitter, runs] of [
        [6000, 1, 0, false],
        [6000, 37, 0, false],
        [6000, 37, 0, true],
        [6000, 37, 9_000_000, true],
        [6000, 5000, 20_000_000, false],
      ] as const) {
        const rows = regular(count, seriesCount, jitter, runs, count + jitter)
        for (const wide of [false, true]) {
          // One row far away widens the keys until most share a bucket.
          const all = wide ? [...rows, { ...rows[0]!, timeUs: -(2 ** 52) }, { ...rows[0]!, timeUs: 2 ** 51 - 1 }] : rows
          const buffer = toBuffer(all)
          sortRows(buffer, order, ranks, 'last')
          expect(toRows(buffer)).toEqual(model(all, order, ranks, 'last'))
        }
      }
  })

  test('sorted rows stay as they are; an empty buffer too', () => {
    const ranks = Uint32Array.from({ length: 10 }, (_, i) => i)
    const rows = model(regular(500, 10, 0, true, 1), 'series-time', ranks, 'last')
    const buffer = toBuffer(rows)
    const { timeUs } = buffer
    sortRows(buffer, 'series-time', ranks, 'last')
    expect(toRows(buffer)).toEqual(rows)
    expect(buffer.timeUs).toBe(timeUs)
    const empty = new RowBuffer(fields)
    sortRows(empty, 'time-series', ranks, 'last')
    expect(empty.length).toBe(0)
  })

  test('permuteRows moves row permutation[i] to place i', () => {
    const rows = regular(5, 5, 0, false, 3)
    const buffer = toBuffer(rows)
    permuteRows(buffer, Uint32Array.of(4, 2, 0, 1, 3))
    expect(toRows(buffer)).toEqual([rows[4], rows[2], rows[0], rows[1], rows[3]])
  })
})

describe('overlapGroups', () => {
  const piece = (minTimeUs: number, maxTimeUs: number, series: number | undefined): Piece => ({
    rows: 1,
    minTimeUs,
    maxTimeUs,
    series,
    whole: false,
    statistics: () => undefined,
    read: () => {},
  })
  const somePiece = fc
    .tuple(fc.nat(60), fc.nat(12), fc.option(fc.nat(3), { nil: undefined, freq: 3 }))
    .map(([from, width, series]) => piece(from, from + width, series))

  test('gives the connected groups of pieces that may share a row', () => {
    fc.assert(
      fc.property(fc.array(somePiece, { maxLength: 25 }), pieces => {
        const meet = (a: Piece, b: Piece): boolean =>
          a.minTimeUs <= b.maxTimeUs &&
          b.minTimeUs <= a.maxTimeUs &&
          (a.series === undefined || b.series === undefined || a.series === b.series)
        const left = new Set(pieces)
        const expected: Set<Piece>[] = []
        for (const start of pieces) {
          if (!left.delete(start)) continue
          const group = new Set([start])
          for (const member of group)
            for (const other of left)
              if (meet(member, other)) {
                left.delete(other)
                group.add(other)
              }
          expected.push(group)
        }
        const groups = overlapGroups(pieces)
        expect(new Set(groups.map(group => new Set(group.pieces)))).toEqual(new Set(expected))
        for (const group of groups) {
          const indexes = group.pieces.map(member => pieces.indexOf(member))
          expect(indexes).toEqual([...indexes].sort((a, b) => a - b))
          expect(group.minTimeUs).toBe(Math.min(...group.pieces.map(member => member.minTimeUs)))
          expect(group.maxTimeUs).toBe(Math.max(...group.pieces.map(member => member.maxTimeUs)))
        }
        const starts = groups.map(group => group.minTimeUs)
        expect(starts).toEqual([...starts].sort((a, b) => a - b))
      }),
      { numRuns: 500 },
    )
  })

  test('pieces of one source never meet each other, those of different sources do', () => {
    const [a, b] = [{}, {}]
    const from = (source: object, minTimeUs: number, maxTimeUs: number): Piece => ({
      ...piece(minTimeUs, maxTimeUs, undefined),
      source,
    })
    const alone = [from(a, 0, 10), from(a, 5, 15), from(a, 5, 5)]
    expect(overlapGroups(alone).map(group => group.pieces)).toEqual(alone.map(member => [member]))
    const later = [from(b, 16, 20), from(b, 12, 13)]
    const groups = overlapGroups([...alone, ...later])
    expect(groups.map(group => group.pieces)).toEqual([[alone[0]], [alone[2]], [alone[1], later[1]], [later[0]]])
  })

  test('takes thousands of pieces, long ones among them, in one sweep', () => {
    const pieces = Array.from({ length: 20_000 }, (_, i) => piece(i, i % 3 === 0 ? 30_000 : i, i % 2 ? i : undefined))
    expect(overlapGroups(pieces)).toHaveLength(1)
    const apart = Array.from({ length: 20_000 }, (_, i) => piece(0, 10, i))
    expect(overlapGroups(apart)).toHaveLength(20_000)
  })
})
