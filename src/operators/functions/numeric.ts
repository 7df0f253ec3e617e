/** Functions of numbers. Each is a constant of the program, so that each gets a loop of its own (`loops.ts`). */
import { type Implementation, numeric } from './implementation.ts'

/** The comparisons of the language: NaN equals itself and is above every number, -0 equals +0. */
export const comparisons = {
  eq: (a: number, b: number) => a === b || (Number.isNaN(a) && Number.isNaN(b)),
  ne: (a: number, b: number) => a !== b && !(Number.isNaN(a) && Number.isNaN(b)),
  lt: (a: number, b: number) => a < b || (Number.isNaN(b) && !Number.isNaN(a)),
  le: (a: number, b: number) => a <= b || Number.isNaN(b),
  gt: (a: number, b: number) => a > b || (Number.isNaN(a) && !Number.isNaN(b)),
  ge: (a: number, b: number) => a >= b || Number.isNaN(a),
}

export const leastOf = (a: number, b: number): number => (comparisons.le(a, b) ? a : b)
export const greatestOf = (a: number, b: number): number => (comparisons.ge(a, b) ? a : b)

/** Half away from zero. `Math.round` rounds half up, which agrees for what is not negative. */
export const roundHalfAway = (x: number): number => (x < 0 ? -Math.round(-x) : Math.round(x))

/**
 * Rounds the decimal that a double prints as. Scaling alone errs where the scaled value falls next to a half (1.005 has
 * no exact double), so those go through their decimal text.
 */
function roundDigits(x: number, digits: number): number {
  const places = Math.trunc(digits)
  if (!Number.isFinite(x) || places > 323) return x
  if (places < -308) return 0
  const scale = 10 ** Math.abs(places)
  const scaled = places >= 0 ? x * scale : x / scale
  if (Math.abs(scaled) >= 2 ** 52) return x
  const fromHalf = Math.abs(Math.abs(scaled) - Math.floor(Math.abs(scaled)) - 0.5)
  const rounded = roundHalfAway(fromHalf <= Math.abs(scaled) * 2 ** -50 + 2 ** -52 ? scaledByText(x, places) : scaled)
  return places >= 0 ? rounded / scale : rounded * scale
}

function scaledByText(x: number, places: number): number {
  const [mantissa, exponent = '0'] = String(x).split('e')
  return Number(`${mantissa}e${Number(exponent) + places}`)
}

function power(x: number, y: number): number {
  if (x === 1 || y === 0) return 1
  if (x === -1 && (y === Infinity || y === -Infinity)) return 1
  return x ** y
}

const isFiniteOrNaN = (x: number): boolean => x !== Infinity && x !== -Infinity
const withinOne = (x: number): boolean => !(x < -1 || x > 1)
const positive = (x: number): boolean => !(x <= 0)
const divisible = (_: number, b: number): boolean => b !== 0

export const numericFunctions = {
  add: numeric((a, b) => a + b),
  sub: numeric((a, b) => a - b),
  mul: numeric((a, b) => a * b),
  div: numeric((a, b) => a / b, divisible),
  mod: numeric((a, b) => a % b, divisible),
  neg: numeric(a => -a),
  abs: numeric(a => Math.abs(a)),
  ceil: numeric(a => Math.ceil(a)),
  floor: numeric(a => Math.floor(a)),
  trunc: numeric(a => Math.trunc(a)),
  sign: numeric(a => Math.sign(a)),
  sqrt: numeric(
    a => Math.sqrt(a),
    a => !(a < 0),
  ),
  cbrt: numeric(a => Math.cbrt(a)),
  exp: numeric(a => Math.exp(a)),
  ln: numeric(a => Math.log(a), positive),
  log10: numeric(a => Math.log10(a), positive),
  log2: numeric(a => Math.log2(a), positive),
  log: numeric(a => Math.log10(a), positive),
  pow: numeric(power, (x, y) => !(x < 0 && Number.isFinite(y) && !Number.isInteger(y)) && !(x === 0 && y < 0)),
  sin: numeric(a => Math.sin(a), isFiniteOrNaN),
  cos: numeric(a => Math.cos(a), isFiniteOrNaN),
  tan: numeric(a => Math.tan(a), isFiniteOrNaN),
  asin: numeric(a => Math.asin(a), withinOne),
  acos: numeric(a => Math.acos(a), withinOne),
  atan: numeric(a => Math.atan(a)),
  atan2: numeric((y, x) => Math.atan2(y, x)),
  pi: numeric(() => Math.PI),
  radians: numeric(a => (a * Math.PI) / 180),
  degrees: numeric(a => (a * 180) / Math.PI),
  to_timestamp: numeric(
    a => roundHalfAway(a * 1e6) + 0,
    a => Math.abs(a * 1e6) <= 2 ** 53,
  ),
  epoch_ms: numeric(a => Math.floor(a / 1000) + 0),
} satisfies Record<string, Implementation>

/** Whole: 2^53 itself may stand for a neighbour that no double holds. */
const isExact = (x: number): boolean => Math.abs(x) <= Number.MAX_SAFE_INTEGER

/**
 * The operators where they give an integer, a timestamp or a duration: a whole number without -0, null where that would
 * not be exact. Products and quotients of a duration round to µs.
 */
export const wholeFunctions: Readonly<Partial<Record<string, Implementation>>> = {
  add: numeric(
    (a, b) => a + b,
    (a, b) => isExact(a + b),
  ),
  sub: numeric(
    (a, b) => a - b,
    (a, b) => isExact(a - b),
  ),
  mul: numeric(
    (a, b) => roundHalfAway(a * b) + 0,
    (a, b) => isExact(a * b),
  ),
  div: numeric(
    (a, b) => roundHalfAway(a / b) + 0,
    (a, b) => b !== 0 && isExact(a / b),
  ),
  mod: numeric((a, b) => (a % b) + 0, divisible),
  neg: numeric(a => 0 - a),
}

/** `round` by its number of arguments. */
export const round1 = numeric(roundHalfAway)
export const round2 = numeric(roundDigits)
export const clampNumbers = numeric((x, low, high) => leastOf(greatestOf(x, low), high))
