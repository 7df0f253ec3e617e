/**
 * Times and durations as text.
 *
 *   "2024-03-01T12:00:00.5+01:00"  <->  µs since the epoch, UTC
 *   "5m30s"                        <->  µs
 *
 * Invariants:
 * 1. Timestamps are whole µs in [timestampMinUs, timestampMaxUs]; finer input is truncated towards −∞.
 * 2. A text without a zone is UTC; a date alone is midnight.
 */

export const usPerSecond = 1e6
const usPerDay = 86_400e6

/** 1685-01-01 and 2255-01-01: within these every µs is exact in a double. */
export const timestampMinUs = Date.UTC(1685, 0, 1) * 1000
export const timestampMaxUs = Date.UTC(2255, 0, 1) * 1000

export const isTimestamp = (us: number): boolean => us >= timestampMinUs && us <= timestampMaxUs

const iso =
  /^([+-]?\d{4,6})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,18}))?)?)?\s*([Zz]|[+-]\d{2}(?::?\d{2})?)?$/

/**
 * µs of an ISO 8601 text, or undefined when it is none or outside the range of timestamps.
 *
 * @example
 * parseTimestamp('2024-03-01') // 1709251200000000
 */
export function parseTimestamp(text: string): number | undefined {
  const match = iso.exec(text.trim())
  if (match === null) return undefined
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match
  if (match[4] === undefined && match[8] !== undefined) return undefined
  if (+hour > 24 || +minute > 59 || +second > 59) return undefined
  if (+hour === 24 && (+minute > 0 || +second > 0 || +fraction > 0)) return undefined
  const date = new Date(0)
  date.setUTCFullYear(+year!, +month! - 1, +day!)
  if (date.getUTCMonth() !== +month! - 1 || date.getUTCDate() !== +day!) return undefined
  const us =
    date.getTime() * 1000 +
    ((+hour * 60 + +minute) * 60 + +second) * usPerSecond +
    +fraction.slice(0, 6).padEnd(6, '0') -
    zoneUs(zone)
  return isTimestamp(us) ? us : undefined
}

function zoneUs(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0
  const minutes = +zone.slice(1, 3) * 60 + +(zone.length > 3 ? zone.slice(-2) : 0)
  return (zone[0] === '-' ? -minutes : minutes) * 60 * usPerSecond
}

/** ISO 8601 in UTC with as many decimals as needed (none, or 3, or 6). */
export function formatTimestamp(us: number): string {
  const ms = Math.floor(us / 1000)
  const text = new Date(ms).toISOString()
  const rest = us - ms * 1000
  if (rest !== 0) return `${text.slice(0, -1)}${String(Math.floor(rest)).padStart(3, '0')}Z`
  return text.endsWith('.000Z') ? `${text.slice(0, -5)}Z` : text
}

/**
 * µs of an integer whose unit its magnitude tells: below 1e11 seconds, below 1e14 ms, below 1e17 µs, else ns.
 * Undefined when it is outside the range of timestamps.
 */
export function timestampByMagnitude(value: number): number | undefined {
  const size = Math.abs(value)
  const us = size < 1e11 ? value * 1e6 : size < 1e14 ? value * 1e3 : size < 1e17 ? value : /* ns */ value / 1e3
  const whole = Math.floor(us)
  return isTimestamp(whole) ? whole : undefined
}

/** As `timestampByMagnitude`, for digits that may exceed what a double holds exactly. */
export function timestampFromDigits(digits: string): number | undefined {
  const value = Number(digits)
  if (Math.abs(value) < 1e17) return timestampByMagnitude(value)
  if (Math.abs(value) > 1e20) return undefined
  const ns = BigInt(digits)
  const us = Number((ns - (((ns % 1000n) + 1000n) % 1000n)) / 1000n)
  return isTimestamp(us) ? us : undefined
}

const unitUs: Readonly<Record<string, number>> = {
  us: 1,
  µs: 1,
  ms: 1e3,
  s: usPerSecond,
  m: 60 * usPerSecond,
  h: 3600 * usPerSecond,
  d: usPerDay,
  w: 7 * usPerDay,
}
const unitMonths: Readonly<Record<string, number>> = { mo: 1, q: 3, y: 12 }
const part = /(\d+)(us|µs|ms|mo|[smhdwqy])/giy

/**
 * A duration of fixed length in µs, or a calendar width in months; undefined when it is neither (or mixes both).
 *
 * @example
 * parseDuration('5m30s') // { us: 330000000, months: 0 }
 */
export function parseDuration(text: string): { us: number; months: number } | undefined {
  const trimmed = text.trim()
  const negative = trimmed.startsWith('-')
  part.lastIndex = negative ? 1 : 0
  let us = 0
  let months = 0
  let end = part.lastIndex
  for (let match = part.exec(trimmed); match !== null; match = part.exec(trimmed)) {
    const unit = match[2]!.toLowerCase()
    us += +match[1]! * (unitUs[unit] ?? 0)
    months += +match[1]! * (unitMonths[unit] ?? 0)
    end = part.lastIndex
  }
  if (end !== trimmed.length || end === (negative ? 1 : 0) || (us !== 0 && months !== 0)) return undefined
  if (!Number.isSafeInteger(us) || !Number.isSafeInteger(months) || (negative && months > 0)) return undefined
  return { us: negative ? -us : us, months }
}

const printedUnits = ['w', 'd', 'h', 'm', 's', 'ms', 'us']

/** The shortest exact text, such as `1h30m`; `0s` for zero. Whole µs only. */
export function formatDuration(us: number): string {
  let rest = Math.abs(us)
  let text = ''
  for (const unit of printedUnits) {
    const size = unitUs[unit]!
    const count = Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text === '' ? '0s' : us < 0 ? `-${text}` : text
}

/** `1y`, `1q`, `5mo`. */
export function formatMonths(months: number): string {
  if (months % 12 === 0) return `${months / 12}y`
  return months % 3 === 0 ? `${months / 3}q` : `${months}mo`
}
