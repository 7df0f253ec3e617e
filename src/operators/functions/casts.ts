/** Casts. What has no counterpart in the other type is null. */
import type { Scalar } from '../../columnar/value.ts'
import type { ExprType } from '../../sydraql/expression.ts'
import {
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
  timestampByMagnitude,
} from '../../sydraql/times.ts'
import type { Implementation } from './implementation.ts'
import { roundHalfAway } from './numeric.ts'

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const named: Readonly<Record<string, number>> = {
  nan: NaN,
  infinity: Infinity,
  '+infinity': Infinity,
  '-infinity': -Infinity,
}
const truths = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const falsehoods = new Set(['false', 'f', 'no', 'n', 'off', '0'])

function toNumber(value: Exclude<Scalar, null>): number | null {
  if (typeof value !== 'string') return Number(value)
  const trimmed = value.trim()
  if (decimal.test(trimmed)) return Number(trimmed)
  return named[trimmed.toLowerCase()] ?? null
}

function toInteger(value: Exclude<Scalar, null>): number | null {
  const number = toNumber(value)
  if (number === null) return null
  const rounded = roundHalfAway(number)
  // `+ 0`: an integer has no -0.
  return Math.abs(rounded) <= 2 ** 53 ? rounded + 0 : null
}

function toBoolean(value: Exclude<Scalar, null>): boolean | null {
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value !== 0
  const word = value.trim().toLowerCase()
  if (truths.has(word)) return true
  return falsehoods.has(word) ? false : null
}

/** Numbers print as JSON has them, NaN and infinities by name, -0 as `-0`; times as ISO 8601. */
export function castToText(value: Exclude<Scalar, null>, from: ExprType): string {
  if (typeof value !== 'number') return String(value)
  if (from === 'timestamp') return formatTimestamp(value)
  if (from === 'duration') return formatDuration(value)
  return Object.is(value, -0) ? '-0' : String(value)
}

function toTimestamp(value: Exclude<Scalar, null>, from: ExprType): number | null {
  if (from === 'timestamp') return value as number
  if (typeof value === 'string') return parseTimestamp(value) ?? null
  return timestampByMagnitude(Number(value)) ?? null
}

function toDuration(value: Exclude<Scalar, null>, from: ExprType): number | null {
  if (from === 'duration') return value as number
  if (typeof value !== 'string') return toInteger(value)
  const parsed = parseDuration(value)
  return parsed === undefined || parsed.months !== 0 ? null : parsed.us
}

const cast = (convert: (value: Exclude<Scalar, null>, from: ExprType) => Scalar): Implementation => ({
  kind: 'scalar',
  strict: true,
  bind(_constants, call) {
    const from = call.args[0]!.type
    return ([value]) => convert(value as Exclude<Scalar, null>, from)
  },
})

export const castFunctions = {
  cast_float: cast(toNumber),
  cast_integer: cast(toInteger),
  cast_boolean: cast(toBoolean),
  cast_string: cast(castToText),
  cast_timestamp: cast(toTimestamp),
  cast_duration: cast(toDuration),
} satisfies Record<string, Implementation>
