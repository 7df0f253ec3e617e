/** Buckets in time zones around clock changes: by hand, and against what Intl shows, instant by instant. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bucketFunction } from '../../src/operators/buckets.ts'
import type { Bucket } from '../../src/sydraql/plan.ts'
import { formatTimestamp, parseTimestamp } from '../../src/sydraql/times.ts'

const hourUs = 3600e6
const dayUs = 24 * hourUs
const us = (iso: string): number => parseTimestamp(iso)!

const zoned = (widthUs: number, zone: string): Bucket => ({ kind: 'zoned', widthUs, zone })
const calendar = (months: number, zone: string, origin = '1970-01-01'): Bucket => ({
  kind: 'calendar',
  months,
  zone,
  originUs: us(origin),
})

const amsterdam = 'Europe/Amsterdam'
const newYork = 'America/New_York'
const lordHowe = 'Australia/Lord_Howe'
const kathmandu = 'Asia/Kathmandu'

describe('by hand', () => {
  // [what, bucket, an instant in it, its start, the next one's]
  test.each<readonly [string, Bucket, string, string, string]>([
    // Clocks in Amsterdam went from 02:00 to 03:00 at 2024-03-31T01:00Z and from 03:00 to 02:00 at 2024-10-27T01:00Z.
    ['a day of 23 h', zoned(dayUs, amsterdam), '2024-03-31T12:00:00Z', '2024-03-30T23:00:00Z', '2024-03-31T22:00:00Z'],
    ['a day of 25 h', zoned(dayUs, amsterdam), '2024-10-27T22:59:59Z', '2024-10-26T22:00:00Z', '2024-10-27T23:00:00Z'],
    // Quarters of the short day count elapsed time: 23:00, 05:00, 11:00, 17:00 Z, and the last has five hours.
    [
      'its last 6 h',
      zoned(6 * hourUs, amsterdam),
      '2024-03-31T21:00:00Z',
      '2024-03-31T17:00:00Z',
      '2024-03-31T22:00:00Z',
    ],
    [
      'its second 6 h',
      zoned(6 * hourUs, amsterdam),
      '2024-03-31T05:00:00Z',
      '2024-03-31T05:00:00Z',
      '2024-03-31T11:00:00Z',
    ],
    // The long day has a fifth part of one hour.
    [
      'a fifth part',
      zoned(6 * hourUs, amsterdam),
      '2024-10-27T22:30:00Z',
      '2024-10-27T22:00:00Z',
      '2024-10-27T23:00:00Z',
    ],
    // The hour that comes twice is two buckets.
    ['02:30 summer', zoned(hourUs, amsterdam), '2024-10-27T00:30:00Z', '2024-10-27T00:00:00Z', '2024-10-27T01:00:00Z'],
    ['02:30 winter', zoned(hourUs, amsterdam), '2024-10-27T01:30:00Z', '2024-10-27T01:00:00Z', '2024-10-27T02:00:00Z'],
    // The week from Monday 25 March is an hour short; 2829 weeks after 1970-01-05, it is the second of a pair.
    ['a week', zoned(7 * dayUs, amsterdam), '2024-03-31T12:00:00Z', '2024-03-24T23:00:00Z', '2024-03-31T22:00:00Z'],
    ['two weeks', zoned(14 * dayUs, amsterdam), '2024-03-31T12:00:00Z', '2024-03-17T23:00:00Z', '2024-03-31T22:00:00Z'],
    ['a month', calendar(1, amsterdam), '2024-03-31T21:59:59Z', '2024-02-29T23:00:00Z', '2024-03-31T22:00:00Z'],
    ['a quarter', calendar(3, amsterdam), '2024-05-01T00:00:00Z', '2024-03-31T22:00:00Z', '2024-06-30T22:00:00Z'],
    ['a year', calendar(12, amsterdam), '2024-12-31T22:59:59Z', '2023-12-31T23:00:00Z', '2024-12-31T23:00:00Z'],
    // New York: 2024-03-10T07:00Z and 2024-11-03T06:00Z.
    ['a day of 23 h', zoned(dayUs, newYork), '2024-03-10T12:00:00Z', '2024-03-10T05:00:00Z', '2024-03-11T04:00:00Z'],
    ['a day of 25 h', zoned(dayUs, newYork), '2024-11-03T12:00:00Z', '2024-11-03T04:00:00Z', '2024-11-04T05:00:00Z'],
    [
      'its last 6 h',
      zoned(6 * hourUs, newYork),
      '2024-11-04T04:30:00Z',
      '2024-11-04T04:00:00Z',
      '2024-11-04T05:00:00Z',
    ],
    ['a month', calendar(1, newYork), '2024-11-03T12:00:00Z', '2024-11-01T04:00:00Z', '2024-12-01T05:00:00Z'],
    // Lord Howe: +11:00 from 2024-10-05T15:30Z, +10:30 from 2024-04-06T15:00Z.
    ['24.5 h', zoned(dayUs, lordHowe), '2024-04-07T00:00:00Z', '2024-04-06T13:00:00Z', '2024-04-07T13:30:00Z'],
    ['23.5 h', zoned(dayUs, lordHowe), '2024-10-06T00:00:00Z', '2024-10-05T13:30:00Z', '2024-10-06T13:00:00Z'],
    [
      'half an hour is left',
      zoned(hourUs, lordHowe),
      '2024-04-07T13:15:00Z',
      '2024-04-07T13:00:00Z',
      '2024-04-07T13:30:00Z',
    ],
    [
      '5.5 h are left',
      zoned(6 * hourUs, lordHowe),
      '2024-10-06T12:59:59Z',
      '2024-10-06T07:30:00Z',
      '2024-10-06T13:00:00Z',
    ],
    ['a month', calendar(1, lordHowe), '2024-10-15T00:00:00Z', '2024-09-30T13:30:00Z', '2024-10-31T13:00:00Z'],
    // Kathmandu is at +05:45 all year.
    ['a day', zoned(dayUs, kathmandu), '2024-03-31T18:15:00Z', '2024-03-31T18:15:00Z', '2024-04-01T18:15:00Z'],
    ['an hour', zoned(hourUs, kathmandu), '2024-03-31T18:14:59Z', '2024-03-31T17:15:00Z', '2024-03-31T18:15:00Z'],
    ['a week', zoned(7 * dayUs, kathmandu), '2024-04-01T00:00:00Z', '2024-03-31T18:15:00Z', '2024-04-07T18:15:00Z'],
    ['a year', calendar(12, kathmandu), '2024-12-31T18:14:59Z', '2023-12-31T18:15:00Z', '2024-12-31T18:15:00Z'],
    // An origin moves months to its day, and years to its month.
    [
      'from the 15th',
      calendar(1, 'UTC', '2020-01-15'),
      '2024-03-14T23:59:59Z',
      '2024-02-15T00:00:00Z',
      '2024-03-15T00:00:00Z',
    ],
    [
      'a fiscal year',
      calendar(12, 'UTC', '2020-04-01'),
      '2024-03-31T23:59:59Z',
      '2023-04-01T00:00:00Z',
      '2024-04-01T00:00:00Z',
    ],
    [
      'at noon',
      calendar(3, 'UTC', '2020-02-01T12:00:00Z'),
      '2024-05-01T11:59:59Z',
      '2024-02-01T12:00:00Z',
      '2024-05-01T12:00:00Z',
    ],
  ])('%s', (_, bucket, instant, start, next) => {
    const { floor, next: after } = bucketFunction(bucket)
    expect(formatTimestamp(floor(us(instant)))).toBe(start)
    expect(formatTimestamp(after(us(start)))).toBe(next)
    expect(formatTimestamp(floor(us(next) - 1))).toBe(start)
    expect(formatTimestamp(floor(us(next)))).toBe(next)
  })
})

describe('as Intl shows it', () => {
  const formats = new Map<string, Intl.DateTimeFormat>()
  /** Days since 1970-01-01 of the local date. */
  function localDay(timeUs: number, zone: string): number {
    let format = formats.get(zone)
    if (format === undefined) {
      format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' })
      formats.set(zone, format)
    }
    return Date.parse(`${format.format(timeUs / 1000)}T00:00:00Z`) / 86_400_000
  }
  /** A number that is the same in a whole bucket and grows from one to the next. */
  function bucketNumber(timeUs: number, bucket: Bucket): number {
    if (bucket.kind === 'fixed') throw new Error('fixed')
    const day = localDay(timeUs, bucket.zone)
    if (bucket.kind === 'zoned') {
      const days = bucket.widthUs / dayUs
      return Math.floor((day - (days % 7 === 0 ? 4 : 0)) / days)
    }
    const date = new Date(day * 86_400_000)
    return Math.floor((date.getUTCFullYear() * 12 + date.getUTCMonth()) / bucket.months)
  }
  /** The first minute of the bucket, by bisection. */
  function firstInstant(timeUs: number, bucket: Bucket): number {
    const wanted = bucketNumber(timeUs, bucket)
    const minuteUs = 60e6
    let low = Math.floor(timeUs / minuteUs) - 370 * 1440
    let high = Math.floor(timeUs / minuteUs)
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (bucketNumber(middle * minuteUs, bucket) === wanted) high = middle
      else low = middle
    }
    return high * minuteUs
  }

  const changes = [
    '2024-03-31T01:00:00Z',
    '2024-10-27T01:00:00Z',
    '2024-03-10T07:00:00Z',
    '2024-11-03T06:00:00Z',
    '2024-04-06T15:00:00Z',
    '2024-10-05T15:30:00Z',
  ]
  const instants = fc.oneof(
    fc
      .tuple(fc.constantFrom(...changes), fc.integer({ min: -3 * 1440, max: 3 * 1440 }))
      .map(([at, minutes]) => us(at) + minutes * 60e6),
    fc.integer({ min: us('1972-01-01') / 60e6, max: us('2037-01-01') / 60e6 }).map(minutes => minutes * 60e6),
  )
  const zone = fc.constantFrom(amsterdam, newYork, lordHowe, kathmandu)
  const wide = fc.oneof(
    fc.tuple(fc.constantFrom(1, 2, 3, 7, 14), zone).map(([days, name]) => zoned(days * dayUs, name)),
    fc.tuple(fc.constantFrom(1, 3, 12), zone).map(([months, name]) => calendar(months, name)),
  )
  test('days, weeks, months, quarters and years', () => {
    fc.assert(
      fc.property(instants, wide, (timeUs, bucket) => {
        expect(formatTimestamp(bucketFunction(bucket).floor(timeUs))).toBe(
          formatTimestamp(firstInstant(timeUs, bucket)),
        )
      }),
      { numRuns: 300 },
    )
  })
  test('parts of a day count from its first instant', () => {
    fc.assert(
      fc.property(instants, zone, fc.constantFrom(1, 2, 6, 12), (timeUs, name, hours) => {
        const start = firstInstant(timeUs, zoned(dayUs, name))
        const expected = start + Math.floor((timeUs - start) / (hours * hourUs)) * hours * hourUs
        expect(bucketFunction(zoned(hours * hourUs, name)).floor(timeUs)).toBe(expected)
      }),
      { numRuns: 200 },
    )
  })
})
