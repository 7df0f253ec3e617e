/**
 * Time zones: offsets of IANA zones from `Intl`, and local wall-clock time back to instants.
 *
 * "Local µs" below count a zone's wall clock as if it were UTC: local = utc + offset(utc).
 *
 * Invariants:
 * 1. `Intl` is asked twice per UTC day at most; in between a cached day answers.
 * 2. A day holds at most one change of offset (true of every zone since 1900).
 */
import { SydraError } from '../../lib/errors.ts'
import { dayUs, floorTo } from './civil.ts'

/** Days whose offsets are kept per zone. */
const zoneDaysMax = 20_000

interface ZoneDay {
  readonly beforeUs: number
  readonly afterUs: number
  /** The first instant with the offset `afterUs`; Infinity when the day has one offset. */
  readonly changeUs: number
}

export interface Zone {
  /** Offset in µs at an instant: local = utc + offset. */
  offsetUs(utcUs: number): number
  /** The first instant that shows this wall-clock time; where clocks skip it, the instant they skip to. */
  instantUs(localUs: number): number
}

const zones = new Map<string, Zone>()

/** Throws `wrong_argument` for a name that `Intl` does not know. */
export function zone(name: string): Zone {
  let found = zones.get(name)
  if (found === undefined) {
    found = name === 'UTC' ? utc : makeZone(name)
    zones.set(name, found)
  }
  return found
}

const utc: Zone = { offsetUs: () => 0, instantUs: localUs => localUs }

function makeZone(name: string): Zone {
  const read = offsetReader(name)
  const days = new Map<number, ZoneDay>()

  function dayOf(utcUs: number): ZoneDay {
    const startUs = floorTo(utcUs, dayUs)
    let day = days.get(startUs)
    if (day === undefined) {
      if (days.size >= zoneDaysMax) days.clear()
      const beforeUs = read(startUs)
      const afterUs = read(startUs + dayUs)
      const changeUs = beforeUs === afterUs ? Infinity : findChange(read, startUs, startUs + dayUs)
      day = { beforeUs, afterUs, changeUs }
      days.set(startUs, day)
    }
    return day
  }

  function offsetUs(utcUs: number): number {
    const day = dayOf(utcUs)
    return utcUs < day.changeUs ? day.beforeUs : day.afterUs
  }

  return {
    offsetUs,
    instantUs(localUs) {
      const earlier = offsetUs(localUs - dayUs)
      const first = localUs - earlier
      if (offsetUs(first) === earlier) return first
      const later = offsetUs(localUs + dayUs)
      const second = localUs - later
      if (offsetUs(second) === later) return second
      return findChange(offsetUs, second, first)
    },
  }
}

/** The first instant in (fromUs, toUs] with the offset of `toUs`, to the second. */
function findChange(offsetUs: (utcUs: number) => number, fromUs: number, toUs: number): number {
  const after = offsetUs(toUs)
  let low = Math.floor(fromUs / 1e6)
  let high = Math.ceil(toUs / 1e6)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetUs(middle * 1e6) === after) high = middle
    else low = middle
  }
  return high * 1e6
}

function offsetReader(name: string): (utcUs: number) => number {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch {
    throw new SydraError('wrong_argument', `unknown time zone '${name}'`, {
      hint: "use a name of the IANA database, such as 'Europe/Berlin'",
    })
  }
  return utcUs => {
    const seconds = Math.floor(utcUs / 1e6)
    const parts: Record<string, number> = {}
    for (const part of format.formatToParts(seconds * 1000)) parts[part.type] = Number(part.value)
    const local = Date.UTC(
      parts['year']!,
      parts['month']! - 1,
      parts['day']!,
      parts['hour']!,
      parts['minute']!,
      parts['second']!,
    )
    return (local / 1000 - seconds) * 1e6
  }
}
