/** Places in order of time: against a sort, for rows that come as runs and for rows that do not. */
import { describe, expect, test } from 'vitest'
import { TimePlaces } from '../../src/operators/scan/time-places.ts'
import { RowBuffer } from '../../src/storage/row-buffer.ts'
import { SeededRandom } from '../simulated/random.ts'

interface Key {
  readonly series: number
  readonly timeUs: number
}

const between = (random: SeededRandom, least: number, greatest: number): number =>
  least + random.below(greatest - least + 1)

function bufferOf(keys: readonly Key[]): RowBuffer {
  const rows = new RowBuffer([], Math.max(1, keys.length))
  for (const [row, { series, timeUs }] of keys.entries()) {
    rows.series[row] = series
    rows.timeUs[row] = timeUs
  }
  rows.length = keys.length
  return rows
}

const clocks = { even: 10_000_000, apart: 1 } as const

/** Runs of some series, in any order of rank, each on the same clock or at its own moments. */
function someRuns(random: SeededRandom, clock: keyof typeof clocks, fromUs: number): Key[] {
  const keys: Key[] = []
  const seriesCount = between(random, 1, 12)
  for (let part = 0; part < 2; part++)
    for (let series = 0; series < seriesCount; series++) {
      const count = between(random, random.chance(0.2) ? 0 : 20, 300)
      const before = keys.filter(key => key.series === series).at(-1)?.timeUs
      let timeUs = before ?? fromUs + between(random, 0, 50) * clocks[clock]
      if (before !== undefined || count === 0) timeUs += clocks[clock]
      for (let i = 0; i < count; i++) {
        keys.push({ series, timeUs })
        timeUs +=
          clock === 'even' ? clocks.even * between(random, 1, random.chance(0.1) ? 3 : 1) : between(random, 1, 1e7)
      }
    }
  return keys
}

function check(places: TimePlaces, keys: readonly Key[], ranks: Uint32Array, fromUs: number, frontierUs: number): void {
  const rows = bufferOf(keys)
  const found = places.find(rows, ranks, fromUs, frontierUs)
  const at = found.places === undefined ? keys.map((_, row) => row) : [...found.places.subarray(0, keys.length)]
  const placed: Key[] = new Array(keys.length)
  for (const [row, place] of at.entries()) placed[place] = keys[row]!
  expect(placed.filter(key => key !== undefined)).toHaveLength(keys.length)
  const early = keys.filter(({ timeUs }) => timeUs < frontierUs)
  expect(found.ready).toBe(early.length)
  early.sort((a, b) => a.timeUs - b.timeUs || ranks[a.series]! - ranks[b.series]!)
  expect(placed.slice(0, found.ready)).toEqual(early)
  const last = new Map<number, number>()
  for (const { series, timeUs } of placed.slice(found.ready)) {
    expect(timeUs).toBeGreaterThan(last.get(series) ?? -Infinity)
    last.set(series, timeUs)
  }
}

describe('places in order of time', () => {
  for (const clock of ['even', 'apart'] as const)
    test(`of runs whose clocks are ${clock}`, () => {
      const places = new TimePlaces()
      for (let seed = 1; seed <= 40; seed++) {
        const random = new SeededRandom(seed)
        const fromUs = random.chance(0.3) ? -3_000_000_000 : 1_700_000_000_000_000 - between(random, 0, 20_000_000)
        const keys = someRuns(random, clock, fromUs)
        const ranks = Uint32Array.from({ length: 12 }, (_, series) => series)
        if (random.chance(0.5)) ranks.reverse()
        const times = keys.map(({ timeUs }) => timeUs)
        const some = keys.length === 0 ? fromUs : times[random.below(times.length)]!
        for (const frontierUs of [some, some + 1, fromUs, Infinity]) check(places, keys, ranks, fromUs, frontierUs)
      }
    })

  test('of rows that are no runs, one row, and none', () => {
    const places = new TimePlaces()
    const ranks = Uint32Array.of(3, 1, 2, 0)
    const random = new SeededRandom(9)
    const keys: Key[] = []
    for (let timeUs = 0; timeUs < 500; timeUs++)
      for (let series = 0; series < 4; series++) if (random.chance(0.5)) keys.push({ series, timeUs })
    check(places, keys, ranks, 0, 321)
    check(
      places,
      keys.toReversed().toSorted((a, b) => a.timeUs - b.timeUs),
      ranks,
      0,
      1000,
    )
    check(places, [{ series: 2, timeUs: 7 }], ranks, 0, 8)
    check(places, [{ series: 2, timeUs: 7 }], ranks, 0, 7)
    check(places, [], ranks, 0, 7)
  })
})
