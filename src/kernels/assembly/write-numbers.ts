/**
 * Doubles as JavaScript writes them: the likely short decimal by scaled integers, everything else by Schubfach.
 *
 * Invariants:
 * 1. Text is exactly `String(v)`, but `-0` for −0, and quoted where the format wants it for what JSON cannot say.
 * 2. A column's `decimals` (at its descriptor + 20) says what to try first; it changes speed, never text.
 */
import { digitText, eightDigits, integer, powers, quad, quotes, upToFourDigits } from './write-digits'

/** Decimals the fast path tries: as many as eight digits of fraction are written at once. */
const decimalsMax: i32 = 8
const integerScales: usize = memory.data<u32>([1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000])
/** Its last entry, NaN, fails every comparison. */
const scales: usize = memory.data<f64>([1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, NaN])
/** A column's `decimals` after a number that needed more: try the general way first. */
const decimalsUnlikely: i32 = 9

/**
 * The likely case: as many decimals as the column had before. Where d / 10^decimals == v for an integer d < 10^15, d
 * holds the shortest digits (but for trailing zeros), because decimals of at most 15 digits and doubles map one to one.
 */
@inline
export function number(p: usize, column: usize, v: f64): usize {
  const decimals = load<i32>(column, 20)
  const size = abs(v)
  const power = load<f64>(scales + (<usize>decimals << 3))
  const d = nearest(size * power)
  // under 1e-6 JavaScript turns to exponents
  if (d < 1e15 && d / power == size && size >= 1e-6) {
    store<u8>(p, 45)
    return fixed(p + <usize>(v < 0), size, <u64>d, decimals)
  }
  return anyNumber(p, column, v)
}

function anyNumber(p: usize, column: usize, v: f64): usize {
  const bits = reinterpret<u64>(v)
  if ((bits & 0x7ff0000000000000) == 0x7ff0000000000000) return nonFinite(p, bits)
  if (bits >> 63 != 0) {
    store<u8>(p, 45)
    p++
    v = -v
  }
  if (v == 0) {
    store<u8>(p, 48)
    return p + 1
  }
  if (v < 9007199254740992 && trunc(v) == v) return integer(p, <u64>v)
  if (load<i32>(column, 20) != decimalsUnlikely && v >= 1e-6) {
    for (let e: i32 = 1; e <= decimalsMax; e++) {
      const power = load<f64>(scales + (<usize>e << 3))
      const d = nearest(v * power)
      if (d < 1e15 && d / power == v) {
        store<i32>(column, e, 20)
        return fixed(p, v, <u64>d, e)
      }
    }
    store<i32>(column, decimalsUnlikely, 20)
  }
  return shortest(p, column, v)
}

/** v = d / 10^decimals without trailing zeros. (As above, v's integer part is that of the decimal.) */
@inline
function fixed(p: usize, v: f64, d: u64, decimals: i32): usize {
  const whole = <u64>v
  p = integer(p, whole)
  if (decimals == 0) return p
  const fraction = <u32>(d - whole * load<u32>(integerScales + (<usize>decimals << 2)))
  if (fraction == 0) return p
  store<u8>(p, 46)
  p++
  if (decimals <= 4) store<u32>(p, quad(fraction) >> ((4 - decimals) << 3))
  else eightDigits(p, fraction * load<u32>(integerScales + (<usize>(8 - decimals) << 2)))
  p += decimals
  while (load<u8>(p - 1) == 48) p--
  return p
}

function nonFinite(p: usize, bits: u64): usize {
  if (quotes) store<u8>(p++, 34)
  if ((bits & 0x000fffffffffffff) != 0) {
    store<u32>(p, 0x004e614e)
    p += 3
  } else {
    if (bits >> 63 != 0) store<u8>(p++, 45)
    store<u64>(p, 0x7974696e69666e49)
    p += 8
  }
  if (quotes) store<u8>(p++, 34)
  return p
}

/** Writes v > 0 in JavaScript's layout (ECMA-262 Number::toString) from its shortest digits. */
function shortest(p: usize, column: usize, v: f64): usize {
  toShortest(v)
  let digits = shortestDigits
  let exponent = shortestExponent
  while (digits % 10 == 0) {
    digits /= 10
    exponent++
  }
  if (exponent <= 0 && exponent >= -decimalsMax && digits < 1000000000000000) store<i32>(column, -exponent, 20)
  const count = <i32>(integer(digitText, digits) - digitText)
  const point = count + exponent
  if (point > 21 || point <= -6) {
    store<u8>(p, load<u8>(digitText))
    p++
    if (count > 1) {
      store<u8>(p, 46)
      v128.store(p + 1, v128.load(digitText + 1))
      p += <usize>count
    }
    const e = point - 1
    store<u8>(p, 101)
    store<u8>(p, e < 0 ? 45 : 43, 1)
    return upToFourDigits(p + 2, e < 0 ? -e : e)
  }
  if (point <= 0) {
    store<u64>(p, 0x303030303030_2e30)
    p += <usize>(2 - point)
    store<u64>(p, load<u64>(digitText, 16), 16)
    v128.store(p, v128.load(digitText))
    return p + <usize>count
  }
  v128.store(p, v128.load(digitText))
  store<u64>(p, load<u64>(digitText, 16), 16)
  if (point >= count) {
    for (let i = count; i < point; i++) store<u8>(p + i, 48)
    return p + <usize>point
  }
  store<u8>(p + point, 46)
  v128.store(p + point + 1, v128.load(digitText + point))
  return p + <usize>(count + 1)
}

let shortestDigits: u64 = 0
let shortestExponent: i32 = 0

/**
 * Schubfach: R. Giulietti, "The Schubfach way to render doubles" (2020), figure 4 and section 9; `powers` holds
 * ⌈10^k · 2^(127 − ⌊log2 10^k⌋)⌉. Leaves v = digits · 10^exponent with the fewest digits, the closest of those.
 */
function toShortest(v: f64): void {
  const bits = reinterpret<u64>(v)
  const fraction = bits & 0x000fffffffffffff
  const biased = <i32>(bits >> 52)
  let c: u64 = fraction
  let q: i32 = -1074
  if (biased != 0) {
    c |= 0x0010000000000000
    q = biased - 1075
  }
  const closerBelow = fraction == 0 && biased > 1
  const odd = c & 1
  const k = (q * 1262611 - (closerBelow ? 524031 : 0)) >> 22
  const h = q + ((-k * 1741647) >> 19) + 1
  const power = powers + (<usize>(292 - k) << 4)
  const high = load<u64>(power, 8)
  const low = load<u64>(power)
  const middle = c << 2
  const lower = roundToOdd(high, low, (middle - 2 + <u64>closerBelow) << <u64>h) + odd
  const exact = roundToOdd(high, low, middle << <u64>h)
  const upper = roundToOdd(high, low, (middle + 2) << <u64>h) - odd
  const s = exact >> 2
  if (s >= 10) {
    const tens = s / 10
    const downInside = lower <= 40 * tens
    const upInside = 40 * tens + 40 <= upper
    if (downInside != upInside) {
      shortestDigits = tens + <u64>upInside
      shortestExponent = k + 1
      return
    }
  }
  const downInside = lower <= 4 * s
  const upInside = 4 * s + 4 <= upper
  if (downInside != upInside) shortestDigits = s + <u64>upInside
  else {
    const half = 4 * s + 2
    shortestDigits = s + <u64>(exact > half || (exact == half && (s & 1) != 0))
  }
  shortestExponent = k
}

/** ⌊g · x / 2^128⌋ with the lowest bit set when something was cut off. */
@inline
function roundToOdd(high: u64, low: u64, x: u64): u64 {
  const cut = multiplyHigh(low, x)
  const bottom = high * x
  const sum = bottom + cut
  const top = multiplyHigh(high, x) + <u64>(sum < bottom)
  return top | <u64>(sum > 1)
}

/** The upper 64 bits of the product. */
@inline
function multiplyHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff
  const a1 = a >> 32
  const b0 = b & 0xffffffff
  const b1 = b >> 32
  const mid = a1 * b0 + ((a0 * b0) >> 32)
  const mid2 = a0 * b1 + (mid & 0xffffffff)
  return a1 * b1 + (mid >> 32) + (mid2 >> 32)
}
