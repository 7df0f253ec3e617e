// The decoder's loops. The host has checked every size before it calls: nothing here reads or writes past a region.

import { planeBytes, unpack } from "./bitpack";
import {
  bodyAt, highAt, lowAt, powerOfTen, restartPositionsAt, restartValuesAt, resultsAt, valuesAt,
} from "./regions";

/** Fills `count` rows with the value whose bits the body begins with. */
export function fillConstant(count: i32): void {
  const bits = i64x2.splat(load<i64>(bodyAt));
  for (let i = 0; i < count; i += 2) v128.store(valuesAt + (<usize>i << 3), bits);
}

/** Expands the runs in the body; false when their lengths do not add up to `count`. */
export function expandRuns(count: i32, runs: i32): bool {
  let values = bodyAt + (<usize>runs << 1);
  let row = 0;
  for (let k = 0; k < runs; k++) {
    const end = row + <i32>load<u16>(bodyAt + (<usize>k << 1));
    if (end > count) return false;
    const bits = i64x2.splat(load<i64>(values));
    for (; row < end; row += 2) v128.store(valuesAt + (<usize>row << 3), bits);
    row = end;
    values += 8;
  }
  return row == count;
}

/** Puts exceptions, from `offset` of the body on, over decoded rows; false when one lies outside. */
export function patchExceptions(offset: i32, exceptions: i32, count: i32): bool {
  const rows = bodyAt + <usize>offset, values = rows + (<usize>exceptions << 1);
  for (let k = 0; k < exceptions; k++) {
    const row = <usize>load<u16>(rows + (<usize>k << 1));
    if (row >= <usize>count) return false;
    store<i64>(valuesAt + (row << 3), load<i64>(values + (<usize>k << 3)));
  }
  return true;
}

@inline function lowHalf(x: v128): v128 {
  return f64x2.convert_low_i32x4_s(x);
}
@inline function highHalf(x: v128): v128 {
  return f64x2.convert_low_i32x4_s(v128.shuffle<i64>(x, x, 1, 1));
}

/** value = (origin + unit * packed) / 10^exponent */
export function unpackFrame(count: i32, width: i32, exponent: i32, origin: f64, unit: f64): void {
  if (width >= 32) return unpackWideFrame(count, width, exponent, origin, unit);
  unpack(bodyAt, lowAt, count, width);
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), scales = f64x2.splat(powerOfTen(exponent));
  const end = lowAt + (<usize>count << 2);
  let to = valuesAt;
  if (exponent == 0) {
    for (let from = lowAt; from < end; from += 16) {
      const x = v128.load(from);
      v128.store(to, f64x2.add(origins, f64x2.mul(units, lowHalf(x))));
      v128.store(to, f64x2.add(origins, f64x2.mul(units, highHalf(x))), 16);
      to += 32;
    }
  } else if (unit == 1) {
    for (let from = lowAt; from < end; from += 16) {
      const x = v128.load(from);
      v128.store(to, f64x2.div(f64x2.add(origins, lowHalf(x)), scales));
      v128.store(to, f64x2.div(f64x2.add(origins, highHalf(x)), scales), 16);
      to += 32;
    }
  } else {
    for (let from = lowAt; from < end; from += 16) {
      const x = v128.load(from);
      v128.store(to, f64x2.div(f64x2.add(origins, f64x2.mul(units, lowHalf(x))), scales));
      v128.store(to, f64x2.div(f64x2.add(origins, f64x2.mul(units, highHalf(x))), scales), 16);
      to += 32;
    }
  }
}

/** Words of 32 bits do not fit a signed conversion; wider values come as two planes. */
function unpackWideFrame(count: i32, width: i32, exponent: i32, origin: f64, unit: f64): void {
  unpack(bodyAt, lowAt, count, 32);
  unpack(bodyAt + <usize>planeBytes(count, 32), highAt, count, width - 32);
  const scale = powerOfTen(exponent);
  for (let i = 0; i < count; i++) {
    const low = <f64>load<u32>(lowAt + (<usize>i << 2)), high = <f64>load<u32>(highAt + (<usize>i << 2));
    store<f64>(valuesAt + (<usize>i << 3), (origin + unit * (low + high * 4294967296.0)) / scale);
  }
}

/** value = origin + unit * (floor(row * slope) + packed) */
export function unpackLine(count: i32, width: i32, origin: f64, unit: f64, slope: f64): void {
  unpack(bodyAt, lowAt, count, width);
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), slopes = f64x2.splat(slope), two = f64x2.splat(2);
  const end = lowAt + (<usize>count << 2);
  let row = f64x2(0, 1);
  let to = valuesAt;
  for (let from = lowAt; from < end; from += 16) {
    const packed = v128.load(from);
    const a = f64x2.add(f64x2.floor(f64x2.mul(row, slopes)), f64x2.convert_low_i32x4_u(packed));
    row = f64x2.add(row, two);
    const b = f64x2.add(
      f64x2.floor(f64x2.mul(row, slopes)),
      f64x2.convert_low_i32x4_u(v128.shuffle<i64>(packed, packed, 1, 1)),
    );
    row = f64x2.add(row, two);
    v128.store(to, f64x2.add(origins, f64x2.mul(units, a)));
    v128.store(to, f64x2.add(origins, f64x2.mul(units, b)), 16);
    to += 32;
  }
}

/**
 * value = (origin + unit * x) / 10^exponent, where x starts at 0, grows by step + packed, and is set anew at every
 * restart. Each segment between restarts is decoded on its own and may run over into the next, which comes later.
 */
export function unpackDelta(
  count: i32, width: i32, exponent: i32, origin: f64, unit: f64, step: f64, restarts: i32,
): void {
  if (width > 0) unpack(bodyAt, lowAt, count, width);
  let row = 0;
  let start: f64 = 0;
  for (let k = 0; k <= restarts; k++) {
    const end = k < restarts ? <i32>load<u32>(restartPositionsAt + (<usize>k << 2)) : count;
    if (exponent == 0) unpackSegment(row, end, width, start, step, origin, unit, 1, false);
    else unpackSegment(row, end, width, start, step, origin, unit, powerOfTen(exponent), true);
    row = end;
    if (k < restarts) start = load<f64>(restartValuesAt + (<usize>k << 3));
  }
}

@inline function unpackSegment(
  row: i32, end: i32, width: i32, start: f64, step: f64, origin: f64, unit: f64, scale: f64, divides: bool,
): void {
  if (width == 0) ramp(row, end, start, step, origin, unit, scale, divides);
  else if (width <= 21) accumulate(row, end, start, step, origin, unit, scale, divides);
  else accumulateWide(row, end, start, step, origin, unit, scale);
}

@inline function putPair(to: usize, x: v128, origins: v128, units: v128, scales: v128, divides: bool): void {
  const integers = f64x2.add(origins, f64x2.mul(units, x));
  v128.store(to, divides ? f64x2.div(integers, scales) : integers);
}

@inline function ramp(
  row: i32, end: i32, start: f64, step: f64, origin: f64, unit: f64, scale: f64, divides: bool,
): void {
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), scales = f64x2.splat(scale);
  const four = f64x2.splat(4 * step);
  let a = f64x2(start, start + step), b = f64x2(start + 2 * step, start + 3 * step);
  for (; row < end; row += 4) {
    const to = valuesAt + (<usize>row << 3);
    putPair(to, a, origins, units, scales, divides);
    putPair(to + 16, b, origins, units, scales, divides);
    a = f64x2.add(a, four);
    b = f64x2.add(b, four);
  }
}

/** 1,024 sums of at most 21 bits stay below 2^31: a prefix sum of four lanes in two shuffled additions, each of one instruction. */
@inline function accumulate(
  row: i32, end: i32, start: f64, step: f64, origin: f64, unit: f64, scale: f64, divides: bool,
): void {
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), scales = f64x2.splat(scale);
  const zero = i32x4.splat(0), four = f64x2.splat(4 * step);
  let a = f64x2(start, start + step), b = f64x2(start + 2 * step, start + 3 * step);
  // a segment's first packed value is no delta within it
  let carry = i32x4.splat(-<i32>load<u32>(lowAt + (<usize>row << 2)));
  for (; row < end; row += 4) {
    let x = v128.load(lowAt + (<usize>row << 2));
    x = i32x4.add(x, v128.shuffle<i32>(zero, x, 3, 4, 5, 6));
    x = i32x4.add(x, v128.shuffle<i32>(zero, x, 2, 3, 4, 5));
    x = i32x4.add(x, carry);
    carry = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
    const to = valuesAt + (<usize>row << 3);
    putPair(to, f64x2.add(a, lowHalf(x)), origins, units, scales, divides);
    putPair(to + 16, f64x2.add(b, highHalf(x)), origins, units, scales, divides);
    a = f64x2.add(a, four);
    b = f64x2.add(b, four);
  }
}

@inline function accumulateWide(
  row: i32, end: i32, start: f64, step: f64, origin: f64, unit: f64, scale: f64,
): void {
  let x = start;
  for (; row < end; row++) {
    store<f64>(valuesAt + (<usize>row << 3), (origin + unit * x) / scale);
    x += step + <f64>load<u32>(lowAt + (<usize>row << 2), 4);
  }
}

/** Packed values of at most 24 bits, not decoded. results: sum, min, max. */
export function summarizePacked(count: i32, width: i32): void {
  unpack(bodyAt, lowAt, count, width);
  let sums = i32x4.splat(0), least = i32x4.splat(-1), greatest = sums;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const x = v128.load(lowAt + (<usize>i << 2));
    sums = i32x4.add(sums, x); // 256 values of 24 bits stay below 2^32
    least = i32x4.min_u(least, x);
    greatest = i32x4.max_u(greatest, x);
  }
  let sum = <u64><u32>i32x4.extract_lane(sums, 0) + <u64><u32>i32x4.extract_lane(sums, 1) +
    <u64><u32>i32x4.extract_lane(sums, 2) + <u64><u32>i32x4.extract_lane(sums, 3);
  let low = min(
    min(<u32>i32x4.extract_lane(least, 0), <u32>i32x4.extract_lane(least, 1)),
    min(<u32>i32x4.extract_lane(least, 2), <u32>i32x4.extract_lane(least, 3)),
  );
  let high = max(
    max(<u32>i32x4.extract_lane(greatest, 0), <u32>i32x4.extract_lane(greatest, 1)),
    max(<u32>i32x4.extract_lane(greatest, 2), <u32>i32x4.extract_lane(greatest, 3)),
  );
  for (; i < count; i++) {
    const x = load<u32>(lowAt + (<usize>i << 2));
    sum += x;
    low = min(low, x);
    high = max(high, x);
  }
  store<f64>(resultsAt, <f64>sum);
  store<f64>(resultsAt, <f64>low, 8);
  store<f64>(resultsAt, <f64>high, 16);
}
