/**
 * Times as ISO 8601 text or as exact decimals in an epoch unit. What neighbouring rows share — the text up to the
 * minute, all but the last eight digits — is kept, which changes speed, never text.
 */
import { eightDigits, integer, minuteText, quad, quotes, spanText, writeNull } from './write-digits'

/** Column kinds of times; see write.ts for the others. */
export const kindIso: u32 = 3
const epochUs: u32 = 4
const epochMs: u32 = 5
// 6: epoch s
const epochNs: u32 = 7

const dayUs: i64 = 86400000000
const minuteUs: i64 = 60000000
/** Of ECMA-262: ±100,000,000 days. Beyond it, as for NaN, a time is null. */
const timeUsMax: f64 = 8.64e18

let minuteStart: i64 = i64.MIN_VALUE
let minuteLength: usize = 0
let dayStart: i64 = i64.MIN_VALUE
let dayLength: usize = 0

@inline
export function time(p: usize, kind: u32, v: f64): usize {
  if (!(abs(v) <= timeUsMax)) {
    return writeNull(p)
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
