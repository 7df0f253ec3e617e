/**
 * Numbers and times as text, the same wherever rows leave. Text comes from the language's own `String` and `Date`, so that
 * it is right by definition.
 */

export type EpochUnit = 's' | 'ms' | 'us' | 'ns'

/** ECMA-262's time range, in µs either side of the epoch. */
const timeUsMax = 8.64e18

/** A number as a JSON value: text where JSON has no number, `"NaN"`, `"-Infinity"`. */
export const jsonNumber = (value: number): string =>
  Number.isFinite(value) ? numberText(value) : `"${numberText(value)}"`

/** The shortest text that reads back as the same number. */
export const numberText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

/** A timestamp as a JSON value: `"2024-03-01T00:00:00.25Z"`, or a number in the unit; null outside the range of `Date`. */
export function jsonTimestamp(timeUs: number, epoch: EpochUnit | undefined): string {
  const text = timestampText(timeUs, epoch)
  if (text === undefined) return 'null'
  return epoch === undefined ? `"${text}"` : text
}

/**
 * `2024-03-01T00:00:00.25Z`, with as many digits as it needs, 0 to 6; with an epoch its exact decimal in that unit. undefined
 * outside the range of `Date`, ±100,000,000 days.
 */
export function timestampText(timeUs: number, epoch: EpochUnit | undefined): string | undefined {
  if (!(Math.abs(timeUs) <= timeUsMax)) return undefined
  if (epoch === undefined) return isoText(Math.floor(timeUs))
  const whole = BigInt(Math.floor(timeUs))
  switch (epoch) {
    case 'ns':
      return String(whole * 1000n)
    case 'us':
      return String(whole)
    case 'ms':
      return decimalText(whole, 3)
    default:
      return decimalText(whole, 6)
  }
}

const minuteUs = 60_000_000
/** Times that are written together mostly share a minute: its text, up to the seconds, is kept for the next. */
let lastMinute = Number.NaN
let lastMinuteText = ''

function isoText(timeUs: number): string {
  if (!Number.isSafeInteger(timeUs)) return isoTextOf(BigInt(timeUs))
  const minute = Math.floor(timeUs / minuteUs)
  if (minute !== lastMinute) {
    lastMinute = minute
    lastMinuteText = new Date(minute * 60_000).toISOString().slice(0, -7)
  }
  const rest = timeUs - minute * minuteUs
  const seconds = Math.floor(rest / 1e6)
  return `${lastMinuteText}${seconds < 10 ? '0' : ''}${seconds}${fractionText(rest - seconds * 1e6)}Z`
}

function isoTextOf(timeUs: bigint): string {
  const rest = ((timeUs % 1_000_000n) + 1_000_000n) % 1_000_000n
  const whole = new Date(Number((timeUs - rest) / 1000n)).toISOString().slice(0, -5)
  return `${whole}${fractionText(Number(rest))}Z`
}

const fractionText = (rest: number): string =>
  rest === 0 ? '' : `.${String(rest).padStart(6, '0').replace(/0+$/, '')}`

/** value / 10^decimals, exactly. */
function decimalText(value: bigint, decimals: number): string {
  const digits = String(value < 0n ? -value : value).padStart(decimals + 1, '0')
  const fraction = digits.slice(-decimals).replace(/0+$/, '')
  return `${value < 0n ? '-' : ''}${digits.slice(0, -decimals)}${fraction === '' ? '' : `.${fraction}`}`
}
