/**
 * Timestamps of rows: integers in a unit, ISO 8601 texts, Dates — to µs since the epoch.
 *
 * Invariants:
 * 1. The result is an integer within ±2^53 µs, and exact: what is finer than a µs is truncated towards −∞.
 * 2. Without a given precision, the first integer timestamp settles the unit by its magnitude; each later one must have
 *    a magnitude of that unit.
 */
import type { TimeScale, TimeUnit } from '../../kernels/scan.ts'
import { SydraError } from '../../lib/errors.ts'

export const timeUsMax = 2 ** 53
const usMax = BigInt(timeUsMax)

/** Largest absolute value of a unit that stays within ±2^53 µs. */
const unitMax: Record<TimeUnit, bigint> = { s: usMax / 1_000_000n, ms: usMax / 1000n, us: usMax, ns: usMax * 1000n }

const anyMagnitude = (unit: TimeUnit): TimeScale => ({ unit, min: 0n, max: unitMax[unit] })
const given: Record<TimeUnit, TimeScale> = {
  s: anyMagnitude('s'),
  ms: anyMagnitude('ms'),
  us: anyMagnitude('us'),
  ns: anyMagnitude('ns'),
}
const byMagnitude: readonly TimeScale[] = [
  { unit: 's', min: 0n, max: 10n ** 11n - 1n },
  { unit: 'ms', min: 10n ** 11n, max: 10n ** 14n - 1n },
  { unit: 'us', min: 10n ** 14n, max: unitMax.us },
  { unit: 'ns', min: 10n ** 17n, max: unitMax.ns },
]

/** The unit of one request's integer timestamps. */
export class TimeSettings {
  #scale: TimeScale | undefined
  /** The scale's bounds; no magnitude is within them while there is none. */
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY
  readonly #given: boolean

  constructor(precision: TimeUnit | undefined) {
    this.#given = precision !== undefined
    if (precision !== undefined) this.#settle(given[precision])
  }

  get scale(): TimeScale | undefined {
    return this.#scale
  }

  /** µs of an integer timestamp. Throws `invalid_timestamp`. */
  integer(value: bigint): number {
    const magnitude = value < 0n ? -value : value
    if (this.#scale === undefined)
      this.#settle(byMagnitude.find(scale => magnitude >= scale.min && magnitude <= scale.max))
    const scale = this.#scale
    if (scale === undefined || magnitude > scale.max || magnitude < scale.min) throw this.#outside(value, magnitude)
    if (scale.unit === 's') return Number(value) * 1e6
    if (scale.unit === 'ms') return Number(value) * 1e3
    if (scale.unit === 'us') return Number(value)
    return Number(value < 0n ? -((magnitude + 999n) / 1000n) : value / 1000n) + 0
  }

  /** The same for an integer that a double holds exactly. */
  safeInteger(value: number): number {
    const scale = this.#scale
    if (scale === undefined) return this.integer(BigInt(value))
    const magnitude = Math.abs(value)
    if (magnitude < this.#min || magnitude > this.#max) throw this.#outside(value, BigInt(magnitude))
    // + 0 turns -0 into 0
    if (scale.unit === 's') return value * 1e6 + 0
    if (scale.unit === 'ms') return value * 1e3 + 0
    if (scale.unit === 'us') return value + 0
    const rest = value % 1000
    return (value - (rest < 0 ? rest + 1000 : rest)) / 1000 + 0
  }

  #settle(scale: TimeScale | undefined): void {
    if (scale === undefined) return
    this.#scale = scale
    this.#min = Number(scale.min)
    this.#max = Number(scale.max)
  }

  #outside(value: bigint | number, magnitude: bigint): SydraError {
    const scale = this.#scale
    const actual = byMagnitude.find(other => magnitude >= other.min && magnitude <= other.max)
    if (scale === undefined || this.#given || actual === undefined)
      return new SydraError('invalid_timestamp', `"ts" ${value}${scale ? ` ${scale.unit}` : ''} is outside ±2^53 µs`)
    return new SydraError(
      'invalid_timestamp',
      `"ts" ${value} has the magnitude of ${actual.unit}, but this request's first integer timestamp was in ${scale.unit}`,
      { hint: 'give the precision, or one unit throughout' },
    )
  }
}

const iso =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/

/** µs of an ISO 8601 text; without a zone it is UTC, a date alone is midnight. Throws `invalid_timestamp`. */
export function isoTimeUs(text: string): number {
  const match = iso.exec(text)
  if (match === null) throw notATime(text, 'is not an ISO 8601 time such as 2024-03-01T12:00:00Z')
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match
  const date = new Date(0)
  date.setUTCFullYear(+year!, +month! - 1, +day!)
  if (date.getUTCMonth() !== +month! - 1 || date.getUTCDate() !== +day!) throw notATime(text, 'is not a day')
  const micros = +fraction.slice(0, 6).padEnd(6, '0')
  const midnight = +hour === 24 && +minute === 0 && +second === 0 && !/[1-9]/.test(fraction)
  if ((+hour > 23 && !midnight) || +minute > 59 || +second > 59) throw notATime(text, 'is not a time of day')
  const zoneMinutes = zoneOffset(zone)
  if (zoneMinutes === undefined) throw notATime(text, 'has an impossible zone')
  const seconds = (+hour * 60 + +minute - zoneMinutes) * 60 + +second
  const us = date.getTime() * 1000 + seconds * 1e6 + micros
  if (Math.abs(us) > timeUsMax) throw notATime(text, 'is outside ±2^53 µs')
  return us
}

/** Minutes that a zone is ahead of UTC. */
function zoneOffset(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0
  const hours = +zone.slice(1, 3)
  const minutes = zone.length > 3 ? +zone.slice(-2) : 0
  if (hours > 23 || minutes > 59) return undefined
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes)
}

const notATime = (text: string, why: string): SydraError =>
  new SydraError(
    'invalid_timestamp',
    `"ts" ${JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)} ${why}`,
  )
