/** The language one row at a time, as plainly as it can be said: what compiled expressions are held to. */
import { RE2JS } from 're2js'
import type { Scalar } from '../../src/columnar/value.ts'
import { bucketOf } from '../../src/sydraql/bucket.ts'
import type { Call, Expr } from '../../src/sydraql/expression.ts'
import type { Bucket } from '../../src/sydraql/plan.ts'
import {
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
  timestampByMagnitude,
} from '../../src/sydraql/times.ts'

export type Row = Readonly<Record<string, Scalar>>

export function interpret(expr: Expr, row: Row): Scalar {
  switch (expr.kind) {
    case 'literal':
      return expr.value
    case 'column': {
      const value = row[expr.name]
      if (value === undefined) throw new Error(`no column ${expr.name}`)
      return value
    }
    case 'case': {
      const branch = expr.branches.find(({ when }) => interpret(when, row) === true)
      if (branch !== undefined) return interpret(branch.then, row)
      return expr.otherwise === undefined ? null : interpret(expr.otherwise, row)
    }
    case 'call':
      return call(
        expr,
        expr.args.map(arg => interpret(arg, row)),
      )
    default:
      throw new Error(`${expr.kind} is not bound`)
  }
}

function call(expr: Call, args: readonly Scalar[]): Scalar {
  const [a, b] = args
  switch (expr.name) {
    case 'and':
      return args.includes(false) ? false : args.includes(null) ? null : true
    case 'or':
      return args.includes(true) ? true : args.includes(null) ? null : false
    case 'is_null':
      return a === null
    case 'in': {
      if (a === null) return null
      const list = args.slice(1)
      if (list.some(value => value !== null && order(a!, value) === 0)) return true
      return list.includes(null) ? null : false
    }
    case 'concat':
      return args.map((value, i) => (value === null ? '' : text(value, expr.args[i]!))).join('')
    case 'coalesce':
      return args.find(value => value !== null) ?? null
    case 'nullif':
      return a !== null && b !== null && order(a!, b!) === 0 ? null : a!
    case 'least':
    case 'greatest': {
      const sign = expr.name === 'least' ? 1 : -1
      return args.filter(value => value !== null).toSorted((x, y) => sign * order(x, y))[0] ?? null
    }
  }
  if (args.includes(null)) return null
  const strict = strictFunctions[expr.name]
  if (strict === undefined) throw new Error(`the interpreter lacks ${expr.name}`)
  return strict(args, expr)
}

/** Text here is ASCII or compared by code point: the same as UTF-8 bytes. */
export function order(a: Scalar, b: Scalar): number {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0)
  if (typeof a === 'string') {
    const [x, y] = [[...a], [...(b as string)]]
    for (let i = 0; i < Math.min(x.length, y.length); i++)
      if (x[i] !== y[i]) return x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!
    return x.length - y.length
  }
  const [x, y] = [Number(a), Number(b)]
  if (Number.isNaN(x) || Number.isNaN(y)) return (Number.isNaN(x) ? 1 : 0) - (Number.isNaN(y) ? 1 : 0)
  return x < y ? -1 : x > y ? 1 : 0
}

function text(value: Scalar, expr: Expr): string {
  if (expr.type === 'timestamp') return formatTimestamp(value as number)
  if (expr.type === 'duration') return formatDuration(value as number)
  return Object.is(value, -0) ? '-0' : String(value)
}

const halfAway = (x: number): number => (x < 0 ? -Math.round(-x) : Math.round(x))

function roundTo(x: number, digits: number): number {
  if (!Number.isFinite(x)) return x
  const [mantissa, exponent = '0'] = String(Math.abs(x)).split('e')
  const shifted = Number(`${mantissa}e${Number(exponent) + digits}`)
  if (shifted >= 2 ** 52) return x
  return Math.sign(x) * Number(`${Math.round(shifted)}e${-digits}`)
}

function like(value: string, pattern: string): boolean {
  const source = [...pattern.matchAll(/\\(.)|(%)|(_)|(.)|\\$/gsu)]
    .map(([whole, escaped, any, one, other]) => {
      if (any) return '[^]*'
      if (one) return '[^]'
      return (escaped ?? other ?? whole).replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
    })
    .join('')
  return new RegExp(`^${source}$`, 'su').test(value)
}

/** µs since the start of the day. */
const ofDay = (us: number): number => ((us % 86_400e6) + 86_400e6) % 86_400e6
const at = (us: number): Date => new Date(Math.floor(us / 1000))

function extract(part: string, us: number): number {
  const date = at(us)
  const dayOfWeek = date.getUTCDay()
  switch (part) {
    case 'year':
      return date.getUTCFullYear()
    case 'quarter':
      return Math.floor(date.getUTCMonth() / 3) + 1
    case 'month':
      return date.getUTCMonth() + 1
    case 'day':
      return date.getUTCDate()
    case 'dow':
      return dayOfWeek
    case 'isodow':
      return dayOfWeek === 0 ? 7 : dayOfWeek
    case 'doy':
      return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400e3) + 1
    case 'week': {
      const thursday = new Date(date.getTime() + (4 - (dayOfWeek === 0 ? 7 : dayOfWeek)) * 86_400e3)
      return Math.floor((thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / (7 * 86_400e3)) + 1
    }
    case 'hour':
      return date.getUTCHours()
    case 'minute':
      return date.getUTCMinutes()
    case 'second':
      return (ofDay(us) % 60e6) / 1e6
    case 'millisecond':
      return (ofDay(us) % 60e6) / 1e3
    case 'microsecond':
      return ofDay(us) % 60e6
    default:
      return us / 1e6
  }
}

/** Fixed widths and UTC months: zones have tests of their own. */
export function bucketStart(bucket: Bucket, us: number): number {
  if (bucket.kind === 'fixed') {
    const rest = (us - bucket.originUs) % bucket.widthUs
    return us - (rest < 0 ? rest + bucket.widthUs : rest)
  }
  if (bucket.kind === 'zoned' || bucket.zone !== 'UTC') throw new Error('no zones here')
  const month = (at(us).getUTCFullYear() - 1970) * 12 + at(us).getUTCMonth()
  return Date.UTC(1970, Math.floor(month / bucket.months) * bucket.months, 1) * 1000
}

const number =
  (compute: (a: number, b: number, c: number) => number, defined?: (a: number, b: number) => boolean) =>
  ([a, b, c]: readonly Scalar[]): Scalar =>
    defined === undefined || defined(a as number, b as number) ? compute(a as number, b as number, c as number) : null

/** What is not a float is whole: exact, or null. */
const operator =
  (compute: (a: number, b: number) => number, defined?: (a: number, b: number) => boolean) =>
  (args: readonly Scalar[], { type }: Call): Scalar => {
    const result = number(compute, defined)(args)
    if (result === null || type === 'float') return result
    return Number.isSafeInteger(halfAway(result as number)) ? halfAway(result as number) + 0 : null
  }

const ofText =
  (compute: (s: string, ...rest: never[]) => Scalar) =>
  (args: readonly Scalar[]): Scalar =>
    compute(...(args as [string, ...never[]]))

const castNumber = (value: Scalar): number | null => {
  if (typeof value !== 'string') return Number(value)
  const trimmed = value.trim()
  if (/^[+-]?(nan|infinity)$/i.test(trimmed))
    return trimmed.toLowerCase().includes('nan') ? NaN : trimmed.startsWith('-') ? -Infinity : Infinity
  return trimmed !== '' && /^[-+.\deE]+$/.test(trimmed) && !Number.isNaN(Number(trimmed)) ? Number(trimmed) : null
}
const castInteger = (value: Scalar): number | null => {
  const found = castNumber(value)
  return found === null || !(Math.abs(halfAway(found)) <= 2 ** 53) ? null : halfAway(found) + 0
}

const strictFunctions: Readonly<Record<string, (args: readonly Scalar[], expr: Call) => Scalar>> = {
  not: ([a]) => !a,
  eq: ([a, b]) => order(a!, b!) === 0,
  ne: ([a, b]) => order(a!, b!) !== 0,
  lt: ([a, b]) => order(a!, b!) < 0,
  le: ([a, b]) => order(a!, b!) <= 0,
  gt: ([a, b]) => order(a!, b!) > 0,
  ge: ([a, b]) => order(a!, b!) >= 0,
  clamp: ([x, low, high]) => {
    const raised = order(x!, low!) < 0 ? low! : x!
    return order(raised, high!) > 0 ? high! : raised
  },
  add: operator((a, b) => a + b),
  sub: operator((a, b) => a - b),
  mul: operator((a, b) => a * b),
  div: operator(
    (a, b) => a / b,
    (_, b) => b !== 0,
  ),
  mod: operator(
    (a, b) => a % b,
    (_, b) => b !== 0,
  ),
  neg: operator(a => -a),
  abs: number(Math.abs),
  ceil: number(Math.ceil),
  floor: number(Math.floor),
  trunc: number(Math.trunc),
  sign: number(Math.sign),
  round: ([x, digits]) => (digits === undefined ? halfAway(x as number) : roundTo(x as number, digits as number)),
  sqrt: number(Math.sqrt, a => !(a < 0)),
  cbrt: number(Math.cbrt),
  exp: number(Math.exp),
  ln: number(Math.log, a => !(a <= 0)),
  log: number(Math.log10, a => !(a <= 0)),
  log10: number(Math.log10, a => !(a <= 0)),
  log2: number(Math.log2, a => !(a <= 0)),
  pow: number(
    (a, b) => (a === 1 || b === 0 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b),
    (a, b) => !(a === 0 && b < 0) && !(a < 0 && Number.isFinite(b) && !Number.isInteger(b)),
  ),
  sin: number(Math.sin, a => Math.abs(a) !== Infinity),
  cos: number(Math.cos, a => Math.abs(a) !== Infinity),
  tan: number(Math.tan, a => Math.abs(a) !== Infinity),
  asin: number(Math.asin, a => !(Math.abs(a) > 1)),
  acos: number(Math.acos, a => !(Math.abs(a) > 1)),
  atan: number(Math.atan),
  atan2: number(Math.atan2),
  pi: () => Math.PI,
  radians: number(a => (a * Math.PI) / 180),
  degrees: number(a => (a * 180) / Math.PI),
  lower: ofText(s => s.toLowerCase()),
  upper: ofText(s => s.toUpperCase()),
  length: ofText(s => [...s].length),
  trim: ofText(s => s.replace(/^ +| +$/g, '')),
  substring: ofText((s, start: number, length?: number) => {
    if (length !== undefined && length < 0) return null
    return [...s].filter((_, i) => i + 1 >= start && (length === undefined || i + 1 < start + length)).join('')
  }),
  replace: ofText((s, from: string, to: string) => (from === '' ? s : s.split(from).join(to))),
  split_part: ofText((s, separator: string, n: number) => {
    if (n === 0) return null
    const parts = separator === '' ? [s] : s.split(separator)
    return parts[n > 0 ? n - 1 : parts.length + n] ?? ''
  }),
  starts_with: ofText((s, prefix: string) => s.slice(0, prefix.length) === prefix),
  like: ofText((s, pattern: string) => like(s, pattern)),
  ilike: ofText((s, pattern: string) => like(s.toLowerCase(), pattern.toLowerCase())),
  regex_match: ofText((s, pattern: string) => RE2JS.compile(pattern).matcher(s).find()),
  regexp_extract: ofText((s, pattern: string, group?: number) => {
    const matcher = RE2JS.compile(pattern).matcher(s)
    return matcher.find() ? (matcher.group(group ?? Math.min(1, matcher.groupCount())) ?? null) : null
  }),
  time_bucket: ([, us], expr) => bucketStart(bucketOf(expr), us as number),
  extract: ([part, us]) => extract(part as string, us as number),
  to_timestamp: ([seconds]) => {
    const us = halfAway((seconds as number) * 1e6) + 0
    return Math.abs(us) <= 2 ** 53 ? us : null
  },
  epoch_ms: ([us]) => Math.floor((us as number) / 1000) + 0,
  cast_float: ([value]) => castNumber(value!),
  cast_integer: ([value]) => castInteger(value!),
  cast_boolean: ([value]) => {
    if (typeof value !== 'string') return Boolean(value) || Number.isNaN(value)
    const word = value.trim().toLowerCase()
    if (['true', 't', 'yes', 'y', 'on', '1'].includes(word)) return true
    return ['false', 'f', 'no', 'n', 'off', '0'].includes(word) ? false : null
  },
  cast_string: ([value], expr) => text(value!, expr.args[0]!),
  cast_timestamp: ([value], expr) => {
    if (expr.args[0]!.type === 'timestamp') return value!
    return (typeof value === 'string' ? parseTimestamp(value) : timestampByMagnitude(Number(value))) ?? null
  },
  cast_duration: ([value], expr) => {
    if (expr.args[0]!.type === 'duration') return value!
    if (typeof value !== 'string') return castInteger(value!)
    const parsed = parseDuration(value)
    return parsed === undefined || parsed.months !== 0 ? null : parsed.us
  },
}
