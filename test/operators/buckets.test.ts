/** Buckets: the invariants for random widths, zones and times, and the days on which clocks change. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bucketFunction } from '../../src/operators/buckets.ts'
import { civilFromDays, daysFromCivil, floorTo } from '../../src/operators/functions/civil.ts'
import type { Bucket } from '../../src/sydraql/plan.ts'
import { formatTimestamp, parseTimestamp } from '../../src/sydraql/times.ts'

const hour = 3600e6
const day = 24 * hour
const at = (text: string): number => parseTimestamp(text)!

const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'Africa/Cairo',
]
const bucket: fc.Arbitrary<Bucket> = fc.oneof(
  fc.record({
    kind: fc.constant('fixed' as const),
    widthUs: fc.constantFrom(1, 7, 1e6, 60e6, day, 7 * day),
    originUs: fc.constantFrom(0, 4 * day, 12_345, -99),
  }),
  fc.record({
    kind: fc.constant('calendar' as const),
    months: fc.constantFrom(1, 2, 3, 5, 12),
    originUs: fc.constantFrom(0, at('2020-03-15T06:00:00Z'), at('1999-12-28')),
    zone: fc.constantFrom(...zones),
  }),
  fc.record({
    kind: fc.constant('zoned' as const),
    widthUs: fc.constantFrom(day, 7 * day, 3 * day, hour, 6 * hour, 15 * 60e6),
    zone: fc.constantFrom(...zones),
  }),
)
const time = fc.oneof(
  fc.integer({ min: at('1950-01-01'), max: at('2100-01-01') }),
  fc.integer({ min: at('1700-01-01'), max: at('2254-01-01') }),
)

test('a bucket holds its times and begins where the one before ends', () => {
  fc.assert(
    fc.property(bucket, time, (bucket, time) => {
      const [fresh, used] = [bucketFunction(bucket), bucketFunction(bucket)]
      const start = fresh.floor(time)
      const next = fresh.next(start)
      expect(start).toBeLessThanOrEqual(time)
      expect(next).toBeGreaterThan(time)
      expect(used.floor(next)).toBe(next)
      expect(used.floor(next - 1)).toBe(start)
      expect(used.floor(start)).toBe(start)
    }),
    { numRuns: 1500 },
  )
})

describe('clocks that change', () => {
  const starts = (bucket: Bucket, from: string, to: string): string[] => {
    const { floor, next } = bucketFunction(bucket)
    const found: string[] = []
    for (let start = floor(at(from)); start < at(to); start = next(start)) found.push(formatTimestamp(start))
    return found
  }
  const berlin = (widthUs: number): Bucket => ({ kind: 'zoned', widthUs, zone: 'Europe/Berlin' })

  test('days are 23 and 25 hours long', () => {
    expect(starts(berlin(day), '2024-03-30T12:00:00Z', '2024-04-01T12:00:00Z')).toEqual([
      '2024-03-29T23:00:00Z',
      '2024-03-30T23:00:00Z',
      '2024-03-31T22:00:00Z',
    ])
    expect(starts(berlin(day), '2024-10-26T12:00:00Z', '2024-10-28T12:00:00Z')).toEqual([
      '2024-10-25T22:00:00Z',
      '2024-10-26T22:00:00Z',
      '2024-10-27T23:00:00Z',
    ])
  })
  test('parts of a day count elapsed time, and its end cuts the last', () => {
    expect(starts(berlin(6 * hour), '2024-03-30T23:00:00Z', '2024-03-31T23:00:00Z')).toEqual([
      '2024-03-30T23:00:00Z',
      '2024-03-31T05:00:00Z',
      '2024-03-31T11:00:00Z',
      '2024-03-31T17:00:00Z',
      '2024-03-31T22:00:00Z',
    ])
  })
  test('weeks begin on Monday', () => {
    expect(starts(berlin(7 * day), '2024-03-06T00:00:00Z', '2024-03-12T00:00:00Z')).toEqual([
      '2024-03-03T23:00:00Z',
      '2024-03-10T23:00:00Z',
    ])
  })
  test('months begin at local midnight', () => {
    const months: Bucket = { kind: 'calendar', months: 1, originUs: 0, zone: 'Europe/Berlin' }
    expect(starts(months, '2024-03-15', '2024-05-15')).toEqual([
      '2024-02-29T23:00:00Z',
      '2024-03-31T22:00:00Z',
      '2024-04-30T22:00:00Z',
    ])
  })
  test('a day whose midnight is skipped begins at its first instant', () => {
    // São Paulo put its clocks forward at midnight: 2018-11-04 began at 01:00 local, 03:00 UTC.
    const saoPaulo: Bucket = { kind: 'zoned', widthUs: day, zone: 'America/Sao_Paulo' }
    expect(starts(saoPaulo, '2018-11-03T12:00:00Z', '2018-11-05T12:00:00Z')).toEqual([
      '2018-11-03T03:00:00Z',
      '2018-11-04T03:00:00Z',
      '2018-11-05T02:00:00Z',
    ])
  })
  test('an unknown zone is refused', () => {
    expect(() => bucketFunction({ kind: 'zoned', widthUs: day, zone: 'Mars/Olympus' }).floor(0)).toThrow(
      expect.objectContaining({ code: 'wrong_argument' }),
    )
  })
})

test('civil dates agree with Date', () => {
  fc.assert(
    fc.property(fc.integer({ min: -110_000, max: 110_000 }), days => {
      const date = new Date(days * 86_400_000)
      const civil = civilFromDays(days)
      expect(civil).toEqual({ year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() })
      expect(daysFromCivil(civil.year, civil.month, civil.day)).toBe(days)
    }),
  )
})

test('floors are exact up to 2^53', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.constantFrom(1, 3, 1000, 1e6), (value, width) => {
      const exact = ((BigInt(value) % BigInt(width)) + BigInt(width)) % BigInt(width)
      fc.pre(Number.isSafeInteger(Number(BigInt(value) - exact)))
      expect(floorTo(value, width)).toBe(Number(BigInt(value) - exact))
    }),
  )
})
