// Values as offsets from the smallest: the loops behind blocks of numbers in the write-ahead log.

import { bodyAt, integersAt, powerOfTen, resultsAt, valuesAt } from "./regions";

/** Adding and taking away 1.5 * 2^52 rounds a double below 2^51 to the nearest integer. */
const roundingMagic: f64 = 6755399441055744.0;
const magnitudeMax: f64 = 2251799813685248.0;

/** Rows that are looked at before the loop asks whether all came back. */
const stretchRows: i32 = 32;

/**
 * integers[i] = values[i] * 10^exponent, rounded. Returns the first row that integer / 10^exponent is not, to the bit, or
 * count. A negative exponent divides, and multiplies to see. results: least and greatest integer.
 */
export function scaleExactly(count: i32, exponent: i32): i32 {
  const last = load<f64>(valuesAt + (<usize>(count - 1) << 3));
  const end = (count + stretchRows - 1) & -stretchRows;
  for (let i = count; i < end; i++) store<f64>(valuesAt + (<usize>i << 3), last);
  if (exponent == 0) return scale(count, 1, 0);
  return exponent < 0 ? scale(count, powerOfTen(-exponent), -1) : scale(count, powerOfTen(exponent), 1);
}

// A loop for each sign of the exponent.
@inline function scale(count: i32, power: f64, sign: i32): i32 {
  const powers = f64x2.splat(power), magics = f64x2.splat(roundingMagic), limits = f64x2.splat(magnitudeMax);
  let least = f64x2.splat(Infinity), greatest = f64x2.splat(-Infinity);
  for (let from = 0; from < count; from += stretchRows) {
    let exact = i64x2.splat(-1);
    for (let i = from; i < from + stretchRows; i += 2) {
      const offset = <usize>i << 3;
      const value = v128.load(valuesAt + offset);
      const scaled = sign == 0 ? value : sign < 0 ? f64x2.div(value, powers) : f64x2.mul(value, powers);
      const integer = f64x2.sub(f64x2.add(scaled, magics), magics);
      const again = sign == 0 ? integer : sign < 0 ? f64x2.mul(integer, powers) : f64x2.div(integer, powers);
      exact = v128.and(exact, v128.and(i64x2.eq(again, value), f64x2.lt(f64x2.abs(integer), limits)));
      v128.store(integersAt + offset, integer);
      least = f64x2.pmin(least, integer);
      greatest = f64x2.pmax(greatest, integer);
    }
    if (!i64x2.all_true(exact)) return firstInexact(from, power, sign);
  }
  const least0 = f64x2.extract_lane(least, 0), least1 = f64x2.extract_lane(least, 1);
  const greatest0 = f64x2.extract_lane(greatest, 0), greatest1 = f64x2.extract_lane(greatest, 1);
  store<f64>(resultsAt, least1 < least0 ? least1 : least0);
  store<f64>(resultsAt, greatest1 > greatest0 ? greatest1 : greatest0, 8);
  return count;
}

/** Of a stretch that has one: among the rows, for what follows the last is its copy. */
function firstInexact(from: i32, power: f64, sign: i32): i32 {
  let i = from;
  for (; i < from + stretchRows; i++) {
    const offset = <usize>i << 3;
    const integer = load<f64>(integersAt + offset);
    const again = sign < 0 ? integer * power : integer / power;
    if (reinterpret<i64>(again) != load<i64>(valuesAt + offset) || !(abs(integer) < magnitudeMax)) break;
  }
  return i;
}

/** Integers at + 0, + 2 … less the least, as u32. */
@inline function four(at: usize, leasts: v128): v128 {
  const a = i32x4.trunc_sat_f64x2_u_zero(f64x2.sub(v128.load(at), leasts));
  const b = i32x4.trunc_sat_f64x2_u_zero(f64x2.sub(v128.load(at, 16), leasts));
  return v128.shuffle<i32>(a, b, 0, 1, 4, 5);
}

/** Writes integer - least to the body, as unsigned numbers of 1, 2 or 4 bytes; a few more behind the last. */
export function putOffsets(count: i32, width: i32, least: f64): void {
  const leasts = f64x2.splat(least);
  const end = integersAt + (<usize>count << 3);
  let to = bodyAt;
  for (let at = integersAt; at < end; at += 64) {
    const a = four(at, leasts), b = four(at + 32, leasts);
    if (width == 4) {
      v128.store(to, a);
      v128.store(to, b, 16);
      to += 32;
      continue;
    }
    const words = i16x8.narrow_i32x4_u(a, b);
    if (width == 2) {
      v128.store(to, words);
      to += 16;
    } else {
      v128.store64_lane(to, i8x16.narrow_i16x8_u(words, words), 0);
      to += 8;
    }
  }
}
