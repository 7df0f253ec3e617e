/**
 * Buckets: half-open intervals [start, next) that partition time, by the rules of the language.
 *
 *   fixed     width from an origin                     floor((t - origin) / width)
 *   calendar  months in a zone, from an origin         local midnight of day 1, or the origin's day and time
 *   zoned     days of a zone, or parts of one          a day starts at its first instant; its end cuts the last part
 *
 * Invariants:
 * 1. `floor(t) <= t < next(floor(t))`, and `floor(next(s)) === next(s)` for every start s.
 * 2. Starts are whole µs; ±Infinity and NaN never come in.
 */
import type { Bucket } from '../sydraql/plan.ts'
import { civilFromDays, daysFromCivil, dayUs, floorTo } from './functions/civil.ts'
import { type Zone, zone } from './functions/zones.ts'

export interface BucketFunction {
  /** Start of the bucket that holds this time. */
  floor(timeUs: number): number
  /** Start of the bucket after the one with this start. */
  next(startUs: number): number
}

/** Throws `wrong_argument` for an unknown zone. */
export function bucketFunction(bucket: Bucket): BucketFunction {
  switch (bucket.kind) {
    case 'fixed':
      return {
        floor: timeUs => floorTo(timeUs, bucket.widthUs, bucket.originUs),
        next: startUs => startUs + bucket.widthUs,
      }
    case 'calendar':
      return remembering(startUs => monthRange(startUs, bucket.months, bucket.originUs, zone(bucket.zone)))
    case 'zoned': {
      const inZone = zone(bucket.zone)
      const { widthUs } = bucket
      if (widthUs % dayUs === 0) return remembering(timeUs => daysRange(timeUs, widthUs / dayUs, inZone))
      const day = remembering(timeUs => daysRange(timeUs, 1, inZone))
      return remembering(timeUs => {
        const dayStart = day.floor(timeUs)
        const start = floorTo(timeUs, widthUs, dayStart)
        return { start, next: Math.min(start + widthUs, day.next(dayStart)) }
      })
    }
  }
}

interface Range {
  readonly start: number
  readonly next: number
}

/** Times come in runs of one bucket: the last range answers most questions. */
function remembering(find: (timeUs: number) => Range): BucketFunction {
  let range: Range = { start: Infinity, next: -Infinity }
  const at = (timeUs: number): Range => {
    if (!(timeUs >= range.start && timeUs < range.next)) range = find(timeUs)
    return range
  }
  return { floor: timeUs => at(timeUs).start, next: startUs => at(startUs).next }
}

/** Multiples of 7 days align to Monday 1970-01-05, others to 1970-01-01. */
export const alignmentDay = (days: number): number => (days % 7 === 0 ? 4 : 0)

function daysRange(timeUs: number, days: number, inZone: Zone): Range {
  const firstInstant = (day: number) => inZone.instantUs(day * dayUs)
  const localDay = Math.floor((timeUs + inZone.offsetUs(timeUs)) / dayUs)
  let day = floorTo(localDay, days, alignmentDay(days))
  // Clocks set back over midnight show a day's end twice: first instants decide.
  while (firstInstant(day) > timeUs) day -= days
  while (firstInstant(day + days) <= timeUs) day += days
  return { start: firstInstant(day), next: firstInstant(day + days) }
}

/** `originUs` is read as wall-clock time of the zone: what counts is its month, day of month and time of day. */
function monthRange(timeUs: number, months: number, originUs: number, inZone: Zone): Range {
  const originDay = Math.floor(originUs / dayUs)
  const origin = civilFromDays(originDay)
  const timeOfDayUs = originUs - originDay * dayUs
  const originMonth = origin.year * 12 + origin.month - 1
  const firstInstant = (month: number) =>
    inZone.instantUs(
      daysFromCivil(Math.floor(month / 12), (((month % 12) + 12) % 12) + 1, origin.day) * dayUs + timeOfDayUs,
    )
  const local = civilFromDays(Math.floor((timeUs + inZone.offsetUs(timeUs)) / dayUs))
  let month = floorTo(local.year * 12 + local.month - 1, months, originMonth)
  while (firstInstant(month) > timeUs) month -= months
  while (firstInstant(month + months) <= timeUs) month += months
  return { start: firstInstant(month), next: firstInstant(month + months) }
}
