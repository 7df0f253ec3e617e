import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { overlapGroups } from '../../src/storage/overlap.ts'
import type { Piece } from '../../src/storage/types.ts'

interface Run {
  readonly series: number
  readonly from: number
  readonly to: number
}

function piece(
  runs: readonly Run[],
  source: object | undefined,
  tells: boolean,
): Piece & { readonly runs: readonly Run[] } {
  return {
    runs,
    rows: runs.length,
    minTimeUs: Math.min(...runs.map(run => run.from)),
    maxTimeUs: Math.max(...runs.map(run => run.to)),
    series: runs.length === 1 ? runs[0]!.series : undefined,
    source,
    whole: true,
    ...(tells
      ? {
          seriesRanges: () => ({
            series: Uint32Array.from(runs, run => run.series),
            minTimeUs: Float64Array.from(runs, run => run.from),
            maxTimeUs: Float64Array.from(runs, run => run.to),
          }),
        }
      : {}),
    statistics: () => undefined,
    read: () => {},
  }
}

const run = fc
  .tuple(fc.nat(6), fc.nat(40), fc.nat(8))
  .map(([series, from, length]): Run => ({ series, from, to: from + length }))

describe('overlapGroups', () => {
  test('pieces that may share a (series, time) are together, in write order (invariants 1, 2)', () => {
    const pieces = fc.array(
      fc.record({
        runs: fc.uniqueArray(run, { selector: each => each.series, minLength: 1, maxLength: 4 }),
        source: fc.nat(3),
        tells: fc.boolean(),
      }),
      { maxLength: 14 },
    )
    fc.assert(
      fc.property(pieces, fc.boolean(), (input, allTell) => {
        const sources = [{}, {}, {}, undefined]
        const list = input.map(({ runs, source, tells }) => piece(runs, sources[source], tells || allTell))
        const groups = overlapGroups(list)
        expect(groups.flatMap(group => group.pieces).length).toBe(list.length)
        const groupOf = (one: Piece): number => groups.findIndex(group => group.pieces.includes(one))
        for (const [i, a] of list.entries()) {
          for (const b of list.slice(i + 1)) {
            if (a.source !== undefined && a.source === b.source) continue
            const share = a.runs.some(x => b.runs.some(y => x.series === y.series && x.from <= y.to && y.from <= x.to))
            if (share) expect(groupOf(a)).toBe(groupOf(b))
          }
        }
        for (const group of groups) {
          const order = group.pieces.map(each => list.indexOf(each as (typeof list)[number]))
          expect(order).toEqual(order.toSorted((a, b) => a - b))
        }
      }),
    )
  })

  test('neighbouring flushes that share a moment, but no row, stay apart', () => {
    const first = {}
    const second = {}
    const pieces = [
      piece(
        [
          { series: 1, from: 0, to: 10 },
          { series: 2, from: 0, to: 9 },
        ],
        first,
        true,
      ),
      piece(
        [
          { series: 1, from: 11, to: 20 },
          { series: 2, from: 10, to: 20 },
        ],
        second,
        true,
      ),
    ]
    expect(overlapGroups(pieces).map(group => group.pieces.length)).toEqual([1, 1])
  })

  test('a late row unites what it touches and nothing else', () => {
    const pieces = [
      piece([{ series: 1, from: 0, to: 10 }], {}, true),
      piece([{ series: 1, from: 11, to: 20 }], {}, true),
      piece(
        [
          { series: 1, from: 5, to: 5 },
          { series: 2, from: 30, to: 30 },
        ],
        {},
        true,
      ),
    ]
    expect(
      overlapGroups(pieces)
        .map(group => group.pieces.length)
        .toSorted(),
    ).toEqual([1, 2])
  })
})
