/**
 * Values as they stand in a line: JSON numbers, integer timestamps, ISO 8601, strings — each read in place.
 *
 * Invariants:
 * 1. A reader accepts exactly JSON's grammar, or less; it returns the address after the token, or 0.
 * 2. `number` is what `Number(text)` gives, or `inexact` is set and the text has to be asked.
 * 3. Digits-only literals beyond ±2^53, and numbers that may overflow, are not read: the general path refuses them.
 */
import { stringValueBytesMax, templateLineBytesMax } from "./scan-layout";

const powers: usize = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
]);

const integerPowers: usize = memory.data<u64>([1, 10, 100, 1000, 10000, 100000, 1000000, 10000000]);

export let number: f64 = 0;
export let inexact: bool = false;

const zeros: u64 = 0x3030303030303030;

/** The high bit of every byte of `x ^ zeros` that was no digit. */
@inline
function nonDigits(digits: u64): u64 {
  return (((digits & 0x7f7f7f7f7f7f7f7f) + 0x7676767676767676) | digits) & 0x8080808080808080;
}
/** The number of eight digits as bytes 0 to 9, the first the lowest: D. Lemire, "Quickly parsing eight digits" (2018). */
@inline
function eightDigits(digits: u64): u64 {
  digits = digits * 10 + (digits >> 8);
  return (
    ((digits & 0x000000ff000000ff) * 0x000f424000000064 +
      ((digits >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >> 32
  );
}

/**
 * Reads a JSON number of at most seven characters, as most are, into `number`: no loop, and no branch on how many digits
 * stand where. 0 for others, which `readNumber` reads.
 */
@inline
export function readShortNumber(p: usize): usize {
  const negative = load<u8>(p) == 45;
  if (negative) p++;
  const digits = load<u64>(p) ^ zeros;
  const stops = nonDigits(digits);
  const whole: u64 = ctz(stops) >> 3;
  if (stops == 0 || whole == 0 || (whole != 1 && (digits & 0xff) == 0)) return 0;
  const stop = <u32>load<u8>(p + <usize>whole);
  let length = whole;
  // less than ten digits: signed conversions are the short ones
  let value: f64;
  if (stop == 46) {
    const laterStops = stops & (stops - 1);
    length = ctz(laterStops) >> 3;
    const fraction = length - whole - 1;
    if (laterStops == 0 || fraction == 0 || (<u32>load<u8>(p + <usize>length) | 32) == 101) return 0;
    const wholeMask = ((<u64>1) << (whole << 3)) - 1;
    const joined = (digits & wholeMask) | ((digits >> 8) & ~wholeMask);
    value = <f64>(<i32>eightDigits(joined << ((9 - length) << 3))) / load<f64>(powers + ((<usize>fraction) << 3));
  } else {
    if ((stop | 32) == 101) return 0;
    value = <f64>(<i32>eightDigits(digits << ((8 - whole) << 3)));
  }
  number = negative ? -value : value;
  return p + <usize>length;
}

/** Reads a JSON number into `number`; when that would not be exact, sets `inexact`. */
export function readNumber(p: usize): usize {
  inexact = false;
  const negative = load<u8>(p) == 45;
  return readLongNumber(negative ? p + 1 : p, negative);
}

// Clinger's fast path (PLDI 1990): mantissa and power of ten are both exact doubles, so one rounding happens.
function readLongNumber(p: usize, negative: bool): usize {
  const first = p;
  let digit: u32 = <u32>load<u8>(p) - 48;
  if (digit > 9) return 0;
  let mantissa: u64 = digit;
  p++;
  if (digit == 0) {
    if (<u32>load<u8>(p) - 48 <= 9) return 0;
  } else {
    const eight = load<u64>(p) ^ zeros;
    if (nonDigits(eight) == 0) {
      mantissa = mantissa * 100000000 + eightDigits(eight);
      p += 8;
    }
    while ((digit = <u32>load<u8>(p) - 48) <= 9) {
      mantissa = mantissa * 10 + digit;
      p++;
    }
  }
  const wholeDigits = <i32>(p - first);
  let digits = wholeDigits;
  let exponent = 0;
  let c: u32 = load<u8>(p);
  if (c == 46) {
    p++;
    const fraction = p;
    let eight = load<u64>(p) ^ zeros;
    if (nonDigits(eight) == 0) {
      mantissa = mantissa * 100000000 + eightDigits(eight);
      p += 8;
      eight = load<u64>(p) ^ zeros;
      if (nonDigits(eight) == 0) {
        mantissa = mantissa * 100000000 + eightDigits(eight);
        p += 8;
      }
    }
    while ((digit = <u32>load<u8>(p) - 48) <= 9) {
      mantissa = mantissa * 10 + digit;
      p++;
    }
    const count = <i32>(p - fraction);
    if (count == 0) return 0;
    exponent = -count;
    digits += count;
    c = load<u8>(p);
  }
  if ((c | 32) == 101) {
    p++;
    c = load<u8>(p);
    const negativeExponent = c == 45;
    if (c == 43 || negativeExponent) p++;
    const start = p;
    let value = 0;
    while ((digit = <u32>load<u8>(p) - 48) <= 9) {
      value = value * 10 + <i32>digit;
      p++;
      if (p - start > 4) return 0;
    }
    if (p == start) return 0;
    exponent += negativeExponent ? -value : value;
    if (wholeDigits + (negativeExponent ? -value : value) > 300) return 0;
  } else if (exponent == 0) {
    // digits only
    if (digits > 16 || mantissa > 9007199254740992) return 0;
    number = negative ? -<f64>mantissa : <f64>mantissa;
    return p;
  } else if (wholeDigits > 300) return 0;
  if (digits > 19 || mantissa > 9007199254740992 || exponent < -22 || exponent > 22) {
    inexact = true;
    return p;
  }
  const value =
    exponent < 0
      ? <f64>mantissa / load<f64>(powers + ((<usize>-exponent) << 3))
      : <f64>mantissa * load<f64>(powers + ((<usize>exponent) << 3));
  number = negative ? -value : value;
  return p;
}

let unit: i32 = -1;
let magnitudeMin: u64 = 0;
let magnitudeMax: u64 = 0;

/**
 * The time read last, integer and ISO each: its text with the byte after it 32, a bit for each of these bytes u32, its length
 * u32, its number f64. Rows that come together mostly have one time.
 */
const lastInteger: usize = memory.data(48);
const lastIso: usize = memory.data(48);

/** Whether the text at p is that of the last time. */
@inline
function isLast(p: usize, last: usize): bool {
  const low = i8x16.bitmask(i8x16.eq(v128.load(p), v128.load(last)));
  const high = i8x16.bitmask(i8x16.eq(v128.load(p, 16), v128.load(last, 16)));
  const mask = load<u32>(last, 32);
  return mask != 0 && ((low | (high << 16)) & mask) == mask;
}

/** Keeps `number` as the time whose text is [from, to). */
@inline
function keepLast(last: usize, from: usize, to: usize): void {
  const length = <u32>(to - from);
  if (length > 31) return;
  v128.store(last, v128.load(from));
  v128.store(last, v128.load(from, 16), 16);
  store<u32>(last, <u32>(((<u64>2) << length) - 1), 32);
  store<u32>(last, length, 36);
  store<f64>(last, number, 40);
}

/** 0 s, 1 ms, 2 µs, 3 ns, -1 not settled (no integer timestamp is read); bounds of the absolute value, inclusive. */
export function setTimeUnit(code: i32, min: u64, max: u64): void {
  unit = code;
  magnitudeMin = min;
  magnitudeMax = max;
  store<u32>(lastInteger, 0, 32);
}

/** Reads an integer timestamp in the settled unit into `number`, as µs. */
export function readTime(p: usize): usize {
  if (isLast(p, lastInteger)) {
    number = load<f64>(lastInteger, 40);
    return p + <usize>load<u32>(lastInteger, 36);
  }
  if (unit < 0) return 0;
  const from = p;
  const negative = load<u8>(p) == 45;
  if (negative) p++;
  const first = p;
  let value: u64 = 0;
  let eight = load<u64>(p) ^ zeros;
  let stops = nonDigits(eight);
  while (stops == 0) {
    value = value * 100000000 + eightDigits(eight);
    p += 8;
    eight = load<u64>(p) ^ zeros;
    stops = nonDigits(eight);
  }
  const rest: u64 = ctz(stops) >> 3;
  if (rest != 0) {
    value = value * load<u64>(integerPowers + ((<usize>rest) << 3)) + eightDigits(eight << ((8 - rest) << 3));
    p += <usize>rest;
  }
  const digits = <i32>(p - first);
  if (digits == 0 || digits > 19 || (digits > 1 && load<u8>(first) == 48)) return 0;
  const c: u32 = load<u8>(p);
  if (c == 46 || (c | 32) == 101) return 0;
  if (value < magnitudeMin || value > magnitudeMax) return 0;
  if (unit == 0) value *= 1000000;
  else if (unit == 1) value *= 1000;
  else if (unit == 3) value = negative ? (value + 999) / 1000 : value / 1000;
  // 0 - x, not -x: a timestamp is never -0
  number = negative ? 0 - <f64>value : <f64>value;
  keepLast(lastInteger, from, p);
  return p;
}

@inline
function twoDigits(p: usize): u32 {
  const tens: u32 = <u32>load<u8>(p) - 48;
  const ones: u32 = <u32>load<u8>(p, 1) - 48;
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : 255;
}

/** Reads `YYYY-MM-DDTHH:MM:SS[.digits]Z` and the quote after it, years 1700 to 2199; other forms are the general path's. */
export function readIso(p: usize): usize {
  if (isLast(p, lastIso)) {
    number = load<f64>(lastIso, 40);
    return p + <usize>load<u32>(lastIso, 36);
  }
  const from = p;
  const century = twoDigits(p);
  const yearOfCentury = twoDigits(p + 2);
  const month = twoDigits(p + 5);
  const day = twoDigits(p + 8);
  const hour = twoDigits(p + 11);
  const minute = twoDigits(p + 14);
  const second = twoDigits(p + 17);
  if (
    century < 17 || century > 21 || yearOfCentury > 99 || month - 1 > 11 || day - 1 > 30 || hour > 23 || minute > 59 ||
    second > 59 || load<u8>(p, 4) != 45 || load<u8>(p, 7) != 45 || load<u8>(p, 10) != 84 || load<u8>(p, 13) != 58 ||
    load<u8>(p, 16) != 58
  )
    return 0;
  const year = century * 100 + yearOfCentury;
  if (day > 28) {
    if (month == 2) {
      if (day > 29 || year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)) return 0;
    } else if (day > 30 && (month == 4 || month == 6 || month == 9 || month == 11)) return 0;
  }
  p += 19;
  let micros: u32 = 0;
  if (load<u8>(p) == 46) {
    p++;
    let weight: u32 = 100000;
    const start = p;
    let digit: u32;
    while ((digit = <u32>load<u8>(p) - 48) <= 9) {
      micros += digit * weight;
      weight /= 10;
      p++;
    }
    if (p == start) return 0;
  }
  if (load<u8>(p) != 90 || load<u8>(p, 1) != 34) return 0;
  // days from civil: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"
  const shifted = <i32>(month <= 2 ? year - 1 : year);
  const era = shifted / 400;
  const yearOfEra = shifted - era * 400;
  const dayOfYear = (153 * (<i32>month + (month > 2 ? -3 : 9)) + 2) / 5 + <i32>day - 1;
  const days = era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
  const seconds = <i64>days * 86400 + <i64>((hour * 60 + minute) * 60 + second);
  number = <f64>(seconds * 1000000 + <i64>micros);
  keepLast(lastIso, from, p + 1);
  return p + 1;
}

/** The closing quote of a string without escapes and control bytes whose content starts at p; it is UTF-8. Else 0. */
export function readString(p: usize): usize {
  const start = p;
  let high = false;
  while (true) {
    const x = v128.load(p);
    const stops = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(x, i8x16.splat(34)), i8x16.eq(x, i8x16.splat(92))),
        i8x16.lt_u(x, i8x16.splat(32)),
      ),
    );
    const highs = i8x16.bitmask(x);
    if (stops != 0) {
      const at = ctz(stops);
      if ((highs & ((1 << at) - 1)) != 0) high = true;
      p += at;
      break;
    }
    if (highs != 0) high = true;
    p += 16;
  }
  if (load<u8>(p) != 34 || p - start > stringValueBytesMax) return 0;
  return high && !isUtf8(start, p) ? 0 : p;
}

/**
 * The end of the object at p that holds no other, as tags do; 0 when the line ends before, or it is too long. Whether it is one
 * nobody says: tags are known, or interpreted once.
 */
export function readTags(p: usize): usize {
  const start = p;
  if (load<u8>(p) != 123) return 0;
  let inString: u32 = 0;
  while (true) {
    const x = v128.load(p);
    if (v128.any_true(i8x16.eq(x, i8x16.splat(92)))) return readEscapedTags(start);
    let within = <u32>i8x16.bitmask(i8x16.eq(x, i8x16.splat(34)));
    within ^= within << 1;
    within ^= within << 2;
    within ^= within << 4;
    within ^= within << 8;
    within ^= inString;
    inString = (within & 0x8000) != 0 ? 0xffff : 0;
    const closing = <u32>i8x16.bitmask(i8x16.eq(x, i8x16.splat(125))) & ~within;
    const newlines = <u32>i8x16.bitmask(i8x16.eq(x, i8x16.splat(10)));
    if ((closing | newlines) != 0) {
      const at = <usize>ctz(closing | newlines);
      return (newlines >> <u32>at) & 1 || p + at - start >= templateLineBytesMax ? 0 : p + at + 1;
    }
    p += 16;
  }
}

/** As `readTags`, byte by byte. */
function readEscapedTags(p: usize): usize {
  const start = p;
  let inString = false;
  while (true) {
    const byte: u32 = load<u8>(p);
    if (byte == 10) return 0;
    if (byte == 34) inString = !inString;
    else if (byte == 92 && inString) {
      if (load<u8>(++p) == 10) return 0;
    } else if (byte == 125 && !inString) return p - start >= templateLineBytesMax ? 0 : p + 1;
    p++;
  }
}

/** "NaN", "Infinity" or "-Infinity" and the quote after it, into `number`. */
export function readSpecial(p: usize): usize {
  if (load<u32>(p) == 0x224e614e) {
    number = NaN;
    return p + 3;
  }
  const negative = load<u8>(p) == 45;
  if (negative) p++;
  if (load<u64>(p) != 0x7974696e69666e49 || load<u8>(p, 8) != 34) return 0;
  number = negative ? -Infinity : Infinity;
  return p + 8;
}

/** Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
function isUtf8(p: usize, end: usize): bool {
  while (p < end) {
    const lead: u32 = load<u8>(p);
    if (lead < 0x80) {
      p++;
      continue;
    }
    let low: u32 = 0x80;
    let high: u32 = 0xbf;
    let more: usize;
    if (lead >= 0xc2 && lead <= 0xdf) more = 1;
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) low = 0xa0;
      else if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) low = 0x90;
      else if (lead == 0xf4) high = 0x8f;
    } else return false;
    if (p + more >= end) return false;
    let c: u32 = load<u8>(p, 1);
    if (c < low || c > high) return false;
    for (let i: usize = 2; i <= more; i++) {
      c = load<u8>(p + i);
      if ((c & 0xc0) != 0x80) return false;
    }
    p += more + 1;
  }
  return true;
}
