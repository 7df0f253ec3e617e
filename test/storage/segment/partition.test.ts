/** Windows: each worth a file gets one, the rest goes together. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  defaultPartitionPolicy,
  encodedRowBytes,
  HourSizes,
  planWindows,
} from '../../../src/storage/segment/partition.ts'
import { bufferOf, fields, inOrder, metricOf, type Row } from './model.ts'

const hourUs = 3_600_000_000
const dayUs = 24 * hourUs
const metric = metricOf('m', fields('float'))
const marchUs = Date.UTC(2024, 2, 1) * 1000

const evenly = (count: number, fromUs: number, toUs: number, series = 0): Row[] =>
  Array.from({ length: count }, (_, i) => ({
    series,
    timeUs: fromUs + Math.floor((i * (toUs - fromUs)) / count),
    values: [i],
  }))

/** Each window with the rows it takes, as indexes. */
function windowsOf(rows: readonly Row[], windowBytesMin = defaultPartitionPolicy.windowBytesMin) {
  const buffer = bufferOf(metric, rows)
  const hours = new HourSizes()
  hours.add(buffer.timeUs, buffer.length, encodedRowBytes(buffer))
  const { names, split } = planWindows(hours, { windowBytesMin })
  const selections = names.length === 0 ? [] : split(buffer)
  return names.map((name, i) => ({
    name,
    picked: selections[i] ?? Uint32Array.from({ length: buffer.length }, (_, row) => row),
  }))
}
const namesOf = (rows: readonly Row[], windowBytesMin?: number): string[] =>
  windowsOf(rows, windowBytesMin).map(({ name }) => name)

describe('partition', () => {
  test('nothing makes nothing', () => {
    expect(windowsOf([])).toEqual([])
  })

  test('what is small goes to the finest window that holds it', () => {
    expect(namesOf(evenly(10, marchUs, marchUs + hourUs))).toEqual(['h-2024-03-01T00'])
    expect(namesOf(evenly(10, marchUs, marchUs + dayUs))).toEqual(['d-2024-03-01'])
    expect(namesOf(evenly(10, marchUs, marchUs + 3 * dayUs))).toEqual(['w-2024-02-26'])
    expect(namesOf(evenly(10, marchUs, marchUs + 9 * dayUs))).toEqual(['4w-2024-02-19'])
    expect(namesOf(evenly(10, marchUs, marchUs + 100 * dayUs))).toEqual(['all'])
    expect(namesOf(evenly(10, -dayUs, 2 * dayUs))).toEqual(['w-1969-12-29'])
  })

  test('of what is small, an hour or a day with half of it is apart', () => {
    expect(namesOf(evenly(10, -5, 5)).sort()).toEqual(['h-1969-12-31T23', 'h-1970-01-01T00'])
    const today = evenly(20, marchUs, marchUs + 5 * hourUs)
    const late = evenly(9, marchUs - 300 * dayUs, marchUs - dayUs)
    expect(namesOf([...late, ...today]).sort()).toEqual(['all', 'd-2024-03-01'])
    expect(namesOf([...late.slice(0, 1), ...today]).sort()).toEqual(['d-2024-03-01', 'h-2023-05-06T00'])
  })

  test('windows worth a file have one, the rest goes up', () => {
    // About 1.75 bytes a row: 1,000 rows are worth a file of 1,500 bytes.
    const busy = evenly(1000, marchUs + hourUs, marchUs + 2 * hourUs)
    const day = evenly(1000, marchUs + 2 * hourUs, marchUs + dayUs)
    const next = evenly(5, marchUs + dayUs + 3 * hourUs, marchUs + dayUs + 4 * hourUs)
    const old = evenly(5, 0, 1000)
    expect(namesOf([...busy, ...day], 1500)).toEqual(['h-2024-03-01T01', 'd-2024-03-01'])
    expect(namesOf([...busy, ...day, ...next], 1500).sort()).toEqual([
      'd-2024-03-01',
      'h-2024-03-01T01',
      'h-2024-03-02T03',
    ])
    expect(namesOf([...busy, ...day, ...next, ...old], 1500).sort()).toEqual([
      'd-2024-03-01',
      'h-1970-01-01T00',
      'h-2024-03-01T01',
      'h-2024-03-02T03',
    ])
  })

  test('a slice of a day for all series makes one segment, a decade makes one, not thousands', () => {
    const slice = Array.from({ length: 50 }, (_, series) => evenly(1000, marchUs, marchUs + 5 * hourUs, series)).flat()
    expect(namesOf(slice)).toEqual(['d-2024-03-01'])
    expect(namesOf(evenly(20_000, marchUs, marchUs + 3650 * dayUs))).toEqual(['all'])
  })

  test('every row is in one window, in order, and its window holds its time', () => {
    const times = fc.oneof(
      fc.integer({ min: 0, max: 50 }).map(n => n * hourUs),
      fc.integer({ min: -40, max: 400 }).map(n => n * dayUs),
    )
    const row = fc.record({ series: fc.nat(3), timeUs: times, values: fc.constant([1]) })
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { maxLength: 80, selector: each => `${each.series} ${each.timeUs}` }),
        fc.integer({ min: 1, max: 60 }),
        (rows, windowBytesMin) => {
          const windows = windowsOf(rows, windowBytesMin)
          const ordered = inOrder(metric, rows)
          const seen = windows.flatMap(({ name, picked }) => {
            for (const [i, index] of picked.entries()) {
              if (i > 0) expect(index).toBeGreaterThan(picked[i - 1]!)
              expect(holds(name, ordered[index]!.timeUs)).toBe(true)
            }
            return [...picked]
          })
          expect(seen.sort((a, b) => a - b)).toEqual([...rows.keys()])
          expect(new Set(windows.map(({ name }) => name)).size).toBe(windows.length)
          expect(windows.length).toBeLessThanOrEqual((rows.length * 1.75) / windowBytesMin + 2)
        },
      ),
    )
  })
})

function holds(name: string, timeUs: number): boolean {
  if (name === 'all') return true
  const [, kind, start] = /^(\w+?)-(.*)$/.exec(name)!
  const startUs = Date.parse(kind === 'h' ? `${start}:00:00Z` : `${start}T00:00:00Z`) * 1000
  const widthUs = { h: hourUs, d: dayUs, w: 7 * dayUs, '4w': 28 * dayUs }[kind!]!
  return timeUs >= startUs && timeUs < startUs + widthUs
}
