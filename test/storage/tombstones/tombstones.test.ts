/** The set of tombstones, and what they leave of pieces, against the plain definition. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newReadStatistics } from '../../../src/storage/read-statistics.ts'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import { maskedPieces } from '../../../src/storage/tombstones/mask.ts'
import {
  type Tombstone,
  Tombstones,
  tombstoneSeriesMax,
  tombstonesMax,
} from '../../../src/storage/tombstones/tombstones.ts'
import type { MetricInfo, Piece, ReadRequest } from '../../../src/storage/types.ts'

const field = { id: 0, name: 'f', type: 'float' } as const
const metric: MetricInfo = { id: 4, name: 'm', fields: [field] }
const timesMax = 30
const seriesMax = 6

const tombstone = (lsn: number, from: number, to: number, series?: readonly number[], of = metric.id): Tombstone => ({
  lsn,
  metric: of,
  fromUs: from,
  toUs: to,
  series: series && Uint32Array.from(series).sort(),
})

interface Row {
  readonly series: number
  readonly timeUs: number
}

/** A source's rows by series and time, cut into pieces. */
function piecesOf(rows: readonly Row[], request: ReadRequest, size: number): Piece[] {
  const pieces: Piece[] = []
  for (let from = 0; from < rows.length; from += size) {
    const own = rows.slice(from, from + size)
    const times = own.map(({ timeUs }) => timeUs)
    const series = new Set(own.map(row => row.series))
    pieces.push({
      rows: own.length,
      minTimeUs: Math.min(...times),
      maxTimeUs: Math.max(...times),
      series: series.size === 1 ? own[0]!.series : undefined,
      whole: true,
      statistics: () => undefined,
      read(fromUs, toUs, into) {
        for (const { series, timeUs } of own) {
          if (timeUs < fromUs || timeUs >= toUs || request.series?.has(series) === false) continue
          into.reserve(1)
          into.series[into.length] = series
          into.timeUs[into.length] = timeUs
          into.fields[0]!.values[into.length] = series * 100 + timeUs
          into.fields[0]!.valid[into.length] = 1
          into.length++
        }
      },
    })
  }
  return pieces
}

const oneTombstone = fc
  .record({
    lsn: fc.integer({ min: 1, max: 9 }),
    ends: fc.uniqueArray(fc.nat(timesMax), { minLength: 2, maxLength: 2 }),
    series: fc.option(fc.uniqueArray(fc.nat(seriesMax - 1), { minLength: 1 }), { nil: undefined }),
    of: fc.constantFrom(metric.id, metric.id, metric.id, 5),
  })
  .map(({ lsn, ends: [a, b], series, of }) => tombstone(lsn, Math.min(a!, b!), Math.max(a!, b!), series, of))

describe('tombstones', () => {
  test('leave of the pieces of a source what the definition says', () => {
    const rows = fc.uniqueArray(fc.record({ series: fc.nat(seriesMax - 1), timeUs: fc.nat(timesMax) }), {
      selector: ({ series, timeUs }) => series * 1000 + timeUs,
      maxLength: 80,
    })
    const wanted = fc.option(fc.uniqueArray(fc.nat(seriesMax - 1)), { nil: undefined })
    fc.assert(
      fc.property(
        fc.uniqueArray(oneTombstone, { selector: ({ lsn }) => lsn }),
        rows,
        fc.nat(10),
        fc.integer({ min: 1, max: 20 }),
        wanted,
        (list, unordered, maxLsn, size, only) => {
          const ordinals = only && Uint32Array.from(only).sort()
          const series = ordinals && { ordinals, has: (ordinal: number) => ordinals.includes(ordinal) }
          const request = { metric, fields: [field], fromUs: 2, toUs: 25, series, statistics: newReadStatistics() }
          const sorted = unordered.toSorted((a, b) => a.series - b.series || a.timeUs - b.timeUs)
          const touching = Tombstones.of(list).touching(request)
          const pieces = piecesOf(sorted, request, size)
          const left = maskedPieces(pieces, touching, maxLsn)
          const found = new RowBuffer([field])
          for (const piece of left) piece.read(request.fromUs, request.toUs, found)

          const isDeleted = ({ series, timeUs }: Row): boolean =>
            list.some(
              each =>
                each.metric === metric.id &&
                each.lsn > maxLsn &&
                timeUs >= each.fromUs &&
                timeUs < each.toUs &&
                each.series?.includes(series) !== false,
            )
          const expected = sorted.filter(
            row => row.timeUs >= 2 && row.timeUs < 25 && series?.has(row.series) !== false && !isDeleted(row),
          )
          expect([...found.series.subarray(0, found.length)]).toEqual(expected.map(row => row.series))
          expect([...found.timeUs.subarray(0, found.length)]).toEqual(expected.map(row => row.timeUs))
          expect([...found.fields[0]!.values.subarray(0, found.length)]).toEqual(
            expected.map(row => row.series * 100 + row.timeUs),
          )
          // what is still whole has lost nothing
          for (const piece of left) {
            if (!piece.whole) continue
            expect(pieces).toContain(piece)
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  test('one by one or together make the same set; each further one hides the covered', () => {
    const set = Tombstones.none
      .with(tombstone(1, 10, 20, [1, 2]))
      .with(tombstone(2, 10, 20, [1, 3]))
      .with(tombstone(3, 0, 30, [1, 2, 4]))
    expect(set.list.map(({ lsn }) => lsn)).toEqual([2, 3])
    expect([set.size, set.seriesCount]).toEqual([2, 5])
    const all = set.with(tombstone(4, 10, 30))
    expect(all.list.map(({ lsn }) => lsn)).toEqual([3, 4])
    expect(Tombstones.of([...all.list].reverse()).list).toEqual(all.list)
    expect(
      set.list.map(({ lsn }) => lsn),
      'the set before stays',
    ).toEqual([2, 3])
    expect(all.with(tombstone(5, 0, 30, undefined, 9)).size, 'another metric covers nothing').toBe(3)
  })

  test('have limits, which a delete that covers others keeps', () => {
    let set = Tombstones.of(Array.from({ length: tombstonesMax }, (_, i) => tombstone(i + 1, 2 * i, 2 * i + 1)))
    expect(set.size).toBe(tombstonesMax)
    expect(set.hasRoomFor(tombstone(0, -5, -4))).toBe(false)
    expect(set.hasRoomFor(tombstone(0, 0, 1))).toBe(true)
    expect(set.hasRoomFor(tombstone(0, 0, 1, [1]))).toBe(false)

    const half = Uint32Array.from({ length: tombstoneSeriesMax / 2 }, (_, i) => i)
    const large = (lsn: number, from: number) => ({ ...tombstone(lsn, from, from + 1), series: half })
    set = Tombstones.of([large(1, 0), large(2, 5)])
    expect(set.hasRoomFor(tombstone(0, 9, 10, [1]))).toBe(false)
    expect(set.hasRoomFor(tombstone(0, 9, 10))).toBe(true)
    expect(set.hasRoomFor(large(0, 5))).toBe(true)
  })

  test('of many series, or by the thousand, find those of a series', () => {
    const everyOther = Uint32Array.from({ length: 5000 }, (_, i) => 2 * i)
    const list: Tombstone[] = [{ ...tombstone(1, 0, 10), series: everyOther }]
    for (let i = 0; i < 3000; i++) list.push(tombstone(i + 2, 100 + i, 101 + i, [i % 7]))
    const request = { metric, fields: [], fromUs: 0, toUs: 5000, series: undefined, statistics: newReadStatistics() }
    const above = Tombstones.of(list).touching(request)!.above(0)!
    expect(above.rangesOf(4).contains(0, 10)).toBe(true)
    expect(above.rangesOf(5).overlaps(0, 10)).toBe(false)
    expect([...above.rangesOf(5)].length).toBe(Math.ceil((3000 - 5) / 7))
    expect(above.rangesOf(5).contains(105, 106)).toBe(true)
    expect(above.rangesOf(5).overlaps(106, 112)).toBe(false)
    expect(Tombstones.of(list).touching({ ...request, fromUs: 10, toUs: 100 })).toBeUndefined()
    expect(Tombstones.of(list).touching({ ...request, metric: { ...metric, id: 5 } })).toBeUndefined()
  })
})
