/**
 * Rows → text: a small interpreter that writes staged columns row by row as UTF-8, for JSON, NDJSON and CSV alike.
 *
 *   columns  descriptors of 32 bytes: kind, prefix (address, length), values, validity, decimals last seen
 *   cell     prefix bytes (`,` or `"value":` …), then the value or the null text
 *   row      its cells, then the suffix (`]`, `}\n`, `\r\n`)
 *
 * Invariants:
 * 1. Number text is exactly JavaScript's `String(v)` (but `-0` for −0): shortest digits that read back, closest among those.
 * 2. What was learnt about a column (`decimals`, the open minute) changes speed, never text.
 * 3. A cell is written only if it fits with `cellSlack` bytes to spare; else `write` stops before it and can be resumed.
 * 4. Nothing outside the regions below is written; string entries may be read up to 31 bytes past their end.
 */

// ---- memory layout, known to write-rows.ts through these exports ---------------------------------------------------

/** Row, column and out position where `write` stopped and resumes. */
export const state: usize = 4096
const quads: usize = 4352 // "0000" … "9999"
export const powers: usize = 45056 // 617 × u128: 10^k for k in [-292, 324], see `toShortest`
const minuteText: usize = 55040
const digitText: usize = 55168
const spanText: usize = 55232
export const descriptors: usize = 65536
export const columnsMax: i32 = 2048
export const prefixes: usize = 131072
export const prefixesEnd: usize = 196608
export const heap: usize = 196608
export const heapEnd: usize = 1245184
export const staging: usize = 1245184
export const stagingEnd: usize = 2293760
export const out: usize = 2293760
export const outEnd: usize = 2555904
export const pages: i32 = 40

/** More than any number or time with its quotes takes, and the overrun of 16-byte stores. */
const cellSlack: usize = 128

// ---- column kinds and what `write` returns -------------------------------------------------------------------------

const kindNumber: u32 = 0
const kindBoolean: u32 = 1
const kindString: u32 = 2
const kindIso: u32 = 3
const epochUs: u32 = 4
const epochMs: u32 = 5
// 6: epoch s
const epochNs: u32 = 7

const done: i32 = 0
const full: i32 = 1
const outside: i32 = 2

let quotes: bool = true
let nullLength: usize = 4
let nullText: u32 = 0x6c6c756e
let suffix: u16 = 0
let suffixLength: usize = 0

/** Fills the tables; once per instance. */
export function init(): void {
  for (let i: u32 = 0; i < 10000; i++) {
    const at = quads + (<usize>i << 2)
    store<u8>(at, 48 + i / 1000)
    store<u8>(at, 48 + ((i / 100) % 10), 1)
    store<u8>(at, 48 + ((i / 10) % 10), 2)
    store<u8>(at, 48 + (i % 10), 3)
  }
}

/** `quoted`: times and non-finite numbers are JSON strings, null is `null`; else both bare and null empty. */
export function begin(quoted: bool, suffixBytes: u32, suffixCount: u32): void {
  quotes = quoted
  nullLength = quoted ? 4 : 0
  suffix = <u16>suffixBytes
  suffixLength = suffixCount
}

/**
 * Writes rows [state.row, rows) from `state.column` on. Returns `done`, `full` (take the text, set the out position
 * back, call again) or `outside` (the cell's string is not in kernel memory: the caller writes it and steps over).
 */
export function write(rows: u32, columns: u32): i32 {
  let row = load<u32>(state)
  let column = load<u32>(state, 4)
  let p = <usize>load<u32>(state, 8)
  let result = done
  while (row < rows) {
    let at = descriptors + (<usize>column << 5)
    while (column < columns) {
      const prefixLength = <usize>load<u32>(at, 8)
      if (p + prefixLength + cellSlack > outEnd) {
        result = full
        break
      }
      const kind = load<u32>(at)
      const valid = <usize>load<u32>(at, 16)
      const values = <usize>load<u32>(at, 12)
      if (valid != 0 && load<u8>(valid + row) == 0) {
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        store<u32>(p, nullText)
        p += nullLength
      } else if (kind == kindNumber) {
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        p = number(p, at, load<f64>(values + (<usize>row << 3)))
      } else if (kind == kindString) {
        const entry = <usize>load<u32>(values + (<usize>row << 2))
        if (entry == 0) {
          result = outside
          break
        }
        const length = <usize>load<u32>(entry)
        if (p + prefixLength + length + cellSlack > outEnd) {
          result = full
          break
        }
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        p = copy(p, entry + 4, length)
      } else {
        p = copy(p, <usize>load<u32>(at, 4), prefixLength)
        if (kind == kindBoolean) p = boolean(p, load<u8>(values + row))
        else p = time(p, kind, load<f64>(values + (<usize>row << 3)))
      }
      column++
      at += 32
    }
    if (result != done) break
    store<u16>(p, suffix)
    p += suffixLength
    column = 0
    row++
  }
  store<u32>(state, row)
  store<u32>(state, column, 4)
  store<u32>(state, <u32>p, 8)
  return result
}

/** Copies in 16-byte steps, up to 15 bytes too many; long strings with one bulk copy. */
@inline
function copy(p: usize, from: usize, length: usize): usize {
  v128.store(p, v128.load(from))
  if (length > 16) copyLong(p, from, length)
  return p + length
}

function copyLong(p: usize, from: usize, length: usize): void {
  if (length > 256) memory.copy(p, from, length)
  else for (let i: usize = 16; i < length; i += 16) v128.store(p + i, v128.load(from + i))
}

@inline
function boolean(p: usize, value: u8): usize {
  if (value != 0) {
    store<u32>(p, 0x65757274)
    return p + 4
  }
  store<u32>(p, 0x736c6166)
  store<u8>(p, 101, 4)
  return p + 5
}

// ---- integers ------------------------------------------------------------------------------------------------------

@inline
function quad(value: u32): u32 {
  return load<u32>(quads + (<usize>value << 2))
}

@inline
function eightDigits(p: usize, value: u32): void {
  const high = value / 10000
  store<u32>(p, quad(high))
  store<u32>(p, quad(value - high * 10000), 4)
}

@inline
function upToFourDigits(p: usize, value: u32): usize {
  const length: u32 = value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : 4
  store<u32>(p, quad(value) >> ((4 - length) << 3))
  return p + <usize>length
}

@inline
function upToEightDigits(p: usize, value: u32): usize {
  if (value < 10000) return upToFourDigits(p, value)
  const high = value / 10000
  p = upToFourDigits(p, high)
  store<u32>(p, quad(value - high * 10000))
  return p + 4
}

@inline
function integer(p: usize, value: u64): usize {
  return value < 10000 ? upToFourDigits(p, <u32>value) : longInteger(p, value)
}

function longInteger(p: usize, value: u64): usize {
  if (value < 100000000) return upToEightDigits(p, <u32>value)
  const high = value / 100000000
  const low = <u32>(value - high * 100000000)
  if (high < 100000000) p = upToEightDigits(p, <u32>high)
  else {
    const top = high / 100000000
    p = upToEightDigits(p, <u32>top)
    eightDigits(p, <u32>(high - top * 100000000))
    p += 8
  }
  eightDigits(p, low)
  return p + 8
}

// ---- numbers -------------------------------------------------------------------------------------------------------

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
function number(p: usize, column: usize, v: f64): usize {
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

// ---- times ---------------------------------------------------------------------------------------------------------

const dayUs: i64 = 86400000000
const minuteUs: i64 = 60000000
/** Of ECMA-262: ±100,000,000 days. Beyond it, as for NaN, a time is null. */
const timeUsMax: f64 = 8.64e18

let minuteStart: i64 = i64.MIN_VALUE
let minuteLength: usize = 0
let dayStart: i64 = i64.MIN_VALUE
let dayLength: usize = 0

@inline
function time(p: usize, kind: u32, v: f64): usize {
  if (!(abs(v) <= timeUsMax)) {
    store<u32>(p, nullText)
    return p + nullLength
  }
  const t = <i64>floor(v)
  return kind == kindIso ? iso(p, t) : epoch(p, kind, t)
}

/** `2024-03-01T00:00:00.5Z`: a fraction of as many digits as it needs. The text up to the minute is kept. */
@inline
function iso(p: usize, t: i64): usize {
  let rest = t - minuteStart
  if (<u64>rest >= <u64>minuteUs) {
    openMinute(t)
    rest = t - minuteStart
  }
  v128.store(p, v128.load(minuteText))
  v128.store(p, v128.load(minuteText, 16), 16)
  p += minuteLength
  const second = <u32>rest / 1000000
  const fraction = <u32>rest - second * 1000000
  store<u32>(p, quad(second) >> 16)
  p += 2
  if (fraction != 0) {
    store<u8>(p, 46)
    eightDigits(p + 1, fraction * 100)
    p += 7
    while (load<u8>(p - 1) == 48) p--
  }
  store<u16>(p, 0x225a)
  return p + 1 + <usize>quotes
}

function openMinute(t: i64): void {
  if (<u64>(t - dayStart) >= <u64>dayUs) openDay(t)
  const minute = <u32>((t - dayStart) / minuteUs)
  minuteStart = dayStart + <i64>minute * minuteUs
  const p = minuteText + dayLength
  store<u32>(p, quad(minute / 60) >> 16)
  store<u8>(p, 58, 2)
  store<u32>(p, quad(minute % 60) >> 16, 3)
  store<u8>(p, 58, 5)
  minuteLength = dayLength + 6
}

/** Writes `"YYYY-MM-DDT`, or with ±YYYYYY outside the years 0 to 9999. Calendar: H. Hinnant, `civil_from_days`. */
function openDay(t: i64): void {
  let day = t / dayUs
  if (day * dayUs > t) day--
  dayStart = day * dayUs
  const shifted = day + 719468
  const era = (shifted >= 0 ? shifted : shifted - 146096) / 146097
  const dayOfEra = <u32>(shifted - era * 146097)
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  const shiftedMonth = (5 * dayOfYear + 2) / 153
  const dayOfMonth = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = <i64>yearOfEra + era * 400 + <i64>(month <= 2)

  let p = minuteText
  if (quotes) store<u8>(p++, 34)
  if (year < 0 || year > 9999) {
    store<u8>(p++, year < 0 ? 45 : 43)
    const size = <u32>(year < 0 ? -year : year)
    store<u32>(p, quad(size / 10000) >> 16)
    store<u32>(p, quad(size % 10000), 2)
    p += 6
  } else {
    store<u32>(p, quad(<u32>year))
    p += 4
  }
  store<u8>(p, 45)
  store<u32>(p, quad(month) >> 16, 1)
  store<u8>(p, 45, 3)
  store<u32>(p, quad(dayOfMonth) >> 16, 4)
  store<u8>(p, 84, 6)
  dayLength = p + 7 - minuteText
}

/** Forgets the open day: its text holds the quote of the format before. */
export function forgetTime(): void {
  dayStart = minuteStart = i64.MIN_VALUE
}

/** As `minuteStart`: the text of all but the last eight digits of µs is kept for 100 seconds. */
const spanUs: i64 = 100000000
let spanStart: i64 = i64.MIN_VALUE
let spanLength: usize = 0

/** The time as an exact decimal in the unit: ms and s may have a fraction. */
@inline
function epoch(p: usize, kind: u32, t: i64): usize {
  if (<u64>(t - spanStart) >= <u64>spanUs) {
    if (t < spanUs) return earlyEpoch(p, kind, t)
    const high = <u64>t / <u64>spanUs
    spanStart = high * <u64>spanUs
    spanLength = integer(spanText, high) - spanText
  }
  const rest = <u32>(t - spanStart)
  v128.store(p, v128.load(spanText))
  eightDigits(p + spanLength, rest)
  p += spanLength + 8
  if (kind == epochUs) return p
  if (kind == epochNs) {
    store<u32>(p, 0x303030)
    return p + 3
  }
  const decimals: usize = kind == epochMs ? 3 : 6
  p -= decimals
  if ((kind == epochMs ? rest % 1000 : rest % 1000000) == 0) return p
  store<u64>(p, load<u64>(p), 1)
  store<u8>(p, 46)
  p += decimals + 1
  while (load<u8>(p - 1) == 48) p--
  return p
}

/** The general way, for times before 100 s after the epoch. */
function earlyEpoch(p: usize, kind: u32, t: i64): usize {
  if (t < 0) {
    store<u8>(p, 45)
    p++
    t = -t
  }
  if (kind == epochUs) return integer(p, t)
  if (kind == epochNs) {
    p = integer(p, t)
    if (t == 0) return p
    store<u32>(p, 0x303030)
    return p + 3
  }
  const unit: u64 = kind == epochMs ? 1000 : 1000000
  const whole = <u64>t / unit
  p = integer(p, whole)
  const fraction = <u32>(<u64>t - whole * unit)
  if (fraction == 0) return p
  store<u8>(p, 46)
  eightDigits(p + 1, fraction * (kind == epochMs ? 100000 : 100))
  p += kind == epochMs ? 4 : 7
  while (load<u8>(p - 1) == 48) p--
  return p
}
