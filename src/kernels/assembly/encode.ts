// The encoder's loops: each looks at, or packs, the rows of one block. What to write is the host's decision.
//
// "Integers" are whole numbers in doubles that differ by less than 2^52, so every sum and difference here is exact.

import { pack, planeBytes } from "./bitpack";
import {
  bodyAt, exceptionsAt, highAt, integersAt, lowAt, powerOfTen, restartPositionsAt, restartValuesAt,
  resultsAt, valuesAt,
} from "./regions";

/** Times up to here are integers; leaves room below 2^53 for a line's residuals. */
const timeMagnitudeMax: f64 = 9e15;
const exponentMax: i32 = 15;
/** A power of two: row k of the sample is k * count / 32. */
const samplesMax: i32 = 32;
/** Adding and taking away 1.5 * 2^52 rounds a double below 2^51 to the nearest integer. */
const roundingMagic: f64 = 6755399441055744.0;
const decimalMagnitudeMax: f64 = 2251799813685248.0;

@inline function result(index: i32, value: f64): void {
  store<f64>(resultsAt + (<usize>index << 3), value);
}
@inline function lowest(x: v128): f64 {
  const a = f64x2.extract_lane(x, 0), b = f64x2.extract_lane(x, 1);
  return b < a ? b : a;
}
@inline function highest(x: v128): f64 {
  const a = f64x2.extract_lane(x, 0), b = f64x2.extract_lane(x, 1);
  return b > a ? b : a;
}

/** Runs of equal bit patterns among the values. */
export function countRuns(count: i32): i32 {
  const end = valuesAt + (<usize>count << 3);
  let at = valuesAt + 8;
  let equal = i64x2.splat(0);
  for (; at + 16 <= end; at += 16) equal = i64x2.sub(equal, i64x2.eq(v128.load(at), v128.load(at - 8)));
  let same = <i32>(i64x2.extract_lane(equal, 0) + i64x2.extract_lane(equal, 1));
  if (at < end) same += i32(load<i64>(at) == load<i64>(at - 8));
  return count - same;
}

/** Writes the runs to the body: u16 lengths, then the values' bits. */
export function putRuns(count: i32, runs: i32): void {
  let lengths = bodyAt;
  let values = bodyAt + (<usize>runs << 1);
  let first = 0;
  for (let i = 1; i <= count; i++) {
    const at = valuesAt + (<usize>i << 3);
    if (i < count && load<i64>(at) == load<i64>(at - 8)) continue;
    store<u16>(lengths, <u16>(i - first));
    store<i64>(values, load<i64>(at - 8));
    lengths += 2;
    values += 8;
    first = i;
  }
}

/** Whether all rows of `integers` are whole, none is -0, and none exceeds the limit. */
export function checkTimes(count: i32): bool {
  const end = integersAt + (<usize>count << 3);
  store<i64>(end, load<i64>(end - 8)); // an odd row's neighbour
  const zero = f64x2.splat(0), limit = f64x2.splat(timeMagnitudeMax);
  let good = i64x2.splat(-1);
  for (let at = integersAt; at < end; at += 16) {
    const x = v128.load(at);
    const whole = v128.and(f64x2.eq(f64x2.trunc(x), x), f64x2.le(f64x2.abs(x), limit));
    good = v128.and(good, v128.and(whole, i64x2.eq(x, f64x2.add(x, zero))));
  }
  return i64x2.all_true(good);
}

/**
 * ALP (Afroozeh, Kuffó, Boncz, "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023) with one exponent:
 * value = integer / 10^exponent, where the division is correctly rounded. Picks the exponent from a sample, writes
 * `integers` and the exceptions' rows. Returns the exponent, or -1 when most values are no short decimals.
 * results[0]: exceptions.
 */
export function scaleDecimals(count: i32): i32 {
  const exponent = chooseExponent(count);
  if (exponent < 0) return -1;
  const scale = powerOfTen(exponent);
  const scales = f64x2.splat(scale), magics = f64x2.splat(roundingMagic), limits = f64x2.splat(decimalMagnitudeMax);
  store<i64>(valuesAt + (<usize>count << 3), load<i64>(valuesAt + (<usize>(count - 1) << 3)));
  const most = count >> 1;
  let exceptions = 0;
  for (let i = 0; i < count; i += 2) {
    const offset = <usize>i << 3;
    const value = v128.load(valuesAt + offset);
    const integer = f64x2.sub(f64x2.add(f64x2.mul(value, scales), magics), magics);
    const exact = v128.and(
      i64x2.eq(f64x2.div(integer, scales), value),
      f64x2.lt(f64x2.abs(integer), limits),
    );
    v128.store(integersAt + offset, integer);
    if (i64x2.all_true(exact)) continue;
    if (i64x2.extract_lane(exact, 0) == 0) {
      store<u16>(exceptionsAt + (<usize>exceptions << 1), <u16>i);
      exceptions++;
    }
    if (i64x2.extract_lane(exact, 1) == 0 && i + 1 < count) {
      store<u16>(exceptionsAt + (<usize>exceptions << 1), <u16>(i + 1));
      exceptions++;
    }
    if (exceptions > most) return -1;
  }
  if (exceptions > 0) fillExceptions(count, exceptions);
  result(0, <f64>exceptions);
  return exponent;
}

/** The smallest exponent that makes most of the sample exact; -1 when that is less than half. */
function chooseExponent(count: i32): i32 {
  const samples = min(count, samplesMax);
  let best = -1;
  let bestExact = 0;
  for (let exponent = 0; exponent <= exponentMax; exponent++) {
    const scale = powerOfTen(exponent);
    let exact = 0;
    for (let k = 0; k < samples; k++) {
      const row = samples < samplesMax ? k : (k * count) >> 5;
      const value = load<f64>(valuesAt + (<usize>row << 3));
      const integer = (value * scale + roundingMagic) - roundingMagic;
      exact += i32(reinterpret<i64>(integer / scale) == reinterpret<i64>(value)) & i32(abs(integer) < decimalMagnitudeMax);
    }
    if (exact > bestExact) {
      best = exponent;
      bestExact = exact;
      if (exact == samples) break;
    }
  }
  return bestExact * 2 >= samples ? best : -1;
}

/** An exception's integer repeats the one before it (the first good one, at the front), to cost no width. */
function fillExceptions(count: i32, exceptions: i32): void {
  let firstGood = 0;
  while (firstGood < exceptions && <i32>load<u16>(exceptionsAt + (<usize>firstGood << 1)) == firstGood) firstGood++;
  const front = load<i64>(integersAt + (<usize>firstGood << 3));
  for (let k = 0; k < exceptions; k++) {
    const row = <usize>load<u16>(exceptionsAt + (<usize>k << 1));
    store<i64>(integersAt + (row << 3), row < <usize>firstGood ? front : load<i64>(integersAt + (row << 3) - 8));
  }
}

/** Writes the exceptions' u16 rows and bits to the body from `offset` on. */
export function putExceptions(offset: i32, exceptions: i32): void {
  const rows = bodyAt + <usize>offset, values = rows + (<usize>exceptions << 1);
  memory.copy(rows, exceptionsAt, <usize>exceptions << 1);
  for (let k = 0; k < exceptions; k++) {
    const row = <usize>load<u16>(exceptionsAt + (<usize>k << 1));
    store<i64>(values + (<usize>k << 3), load<i64>(valuesAt + (row << 3)));
  }
}

/** results: min, max, least delta, greatest delta, least delta that is no fall, falls (deltas below 0). */
export function scanIntegers(count: i32): void {
  const end = integersAt + (<usize>count << 3);
  const zero = f64x2.splat(0), infinity = f64x2.splat(Infinity);
  let least = infinity, greatest = f64x2.neg(infinity), leastDelta = infinity, greatestDelta = greatest, leastRise = infinity;
  let falls = i64x2.splat(0);
  let at = integersAt + 8;
  for (; at + 16 <= end; at += 16) {
    const x = v128.load(at);
    const delta = f64x2.sub(x, v128.load(at - 8));
    const fall = f64x2.lt(delta, zero);
    least = f64x2.pmin(least, x);
    greatest = f64x2.pmax(greatest, x);
    leastDelta = f64x2.pmin(leastDelta, delta);
    greatestDelta = f64x2.pmax(greatestDelta, delta);
    leastRise = f64x2.pmin(leastRise, v128.bitselect(infinity, delta, fall));
    falls = i64x2.sub(falls, fall);
  }
  const first = load<f64>(integersAt), last = load<f64>(end - 8);
  let deltaMin = lowest(leastDelta), deltaMax = highest(greatestDelta), riseMin = lowest(leastRise);
  let fallCount = i64x2.extract_lane(falls, 0) + i64x2.extract_lane(falls, 1);
  if (at < end) {
    const delta = last - load<f64>(at - 8);
    deltaMin = min(deltaMin, delta);
    deltaMax = max(deltaMax, delta);
    if (delta < 0) fallCount++;
    else riseMin = min(riseMin, delta);
  }
  result(0, min(min(lowest(least), first), last));
  result(1, max(max(highest(greatest), first), last));
  result(2, deltaMin);
  result(3, deltaMax);
  result(4, riseMin);
  result(5, <f64>fallCount);
}

/** The greatest common divisor of all distances from the first integer; 1 when they are all equal. */
export function commonUnit(count: i32): f64 {
  const first = load<f64>(integersAt);
  let unit: f64 = 0;
  for (let i = 1; i < count && unit != 1; i++) {
    const distance = abs(load<f64>(integersAt + (<usize>i << 3)) - first);
    if (unit == 0) unit = distance;
    else if (trunc(distance / unit) * unit != distance) unit = divisor(<u64>distance, <u64>unit);
  }
  return unit == 0 ? 1 : unit;
}

function divisor(a: u64, b: u64): f64 {
  while (b != 0) {
    const rest = a % b;
    a = b;
    b = rest;
  }
  return <f64>a;
}

/** results: sums of the distances from the first integer over the first and over the last floor(count / 2) rows. */
export function halfSums(count: i32): void {
  const half = count >> 1;
  result(0, sumOfDistances(integersAt, half));
  result(1, sumOfDistances(integersAt + (<usize>(count - half) << 3), half));
}

function sumOfDistances(at: usize, count: i32): f64 {
  const first = load<f64>(integersAt), firsts = f64x2.splat(first);
  let sums = f64x2.splat(0);
  const pairs = at + (<usize>(count & ~1) << 3);
  for (; at < pairs; at += 16) sums = f64x2.add(sums, f64x2.sub(v128.load(at), firsts));
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  if (count & 1) sum += load<f64>(at) - first;
  return sum;
}

/** results: least and greatest (integer - first) / unit - floor(row * slope). */
export function lineResiduals(count: i32, unit: f64, slope: f64): void {
  const first = load<f64>(integersAt);
  const firsts = f64x2.splat(first), units = f64x2.splat(unit), slopes = f64x2.splat(slope), two = f64x2.splat(2);
  let least = f64x2.splat(0), greatest = least; // the first row's residual
  let row = f64x2(0, 1);
  let i = 0;
  for (; i + 2 <= count; i += 2) {
    const x = f64x2.div(f64x2.sub(v128.load(integersAt + (<usize>i << 3)), firsts), units);
    const residual = f64x2.sub(x, f64x2.floor(f64x2.mul(row, slopes)));
    least = f64x2.pmin(least, residual);
    greatest = f64x2.pmax(greatest, residual);
    row = f64x2.add(row, two);
  }
  let residualMin = lowest(least), residualMax = highest(greatest);
  if (i < count) {
    const residual = (load<f64>(integersAt + (<usize>i << 3)) - first) / unit - floor(<f64>i * slope);
    residualMin = min(residualMin, residual);
    residualMax = max(residualMax, residual);
  }
  result(0, residualMin);
  result(1, residualMax);
}

/** Writes positions and values (in units from the first) of the rows that are less than the one before. */
export function findRestarts(count: i32, unit: f64): void {
  const first = load<f64>(integersAt);
  let found: usize = 0;
  for (let i = 1; i < count; i++) {
    const x = load<f64>(integersAt + (<usize>i << 3));
    if (x >= load<f64>(integersAt + (<usize>i << 3) - 8)) continue;
    store<u32>(restartPositionsAt + (found << 2), <u32>i);
    store<f64>(restartValuesAt + (found << 3), (x - first) / unit);
    found++;
  }
}

/** Stores the integers a and b (4 doubles below 2^52) as u32: adding 2^52 leaves them in the mantissa's low word. */
@inline function storeLow(row: i32, a: v128, b: v128, magic: v128): void {
  v128.store(
    lowAt + (<usize>row << 2),
    v128.shuffle<i32>(f64x2.add(a, magic), f64x2.add(b, magic), 0, 2, 4, 6),
  );
}

/** Packs (integer - origin) / unit; above 32 bits as a plane of the low words and one of the rest. */
export function packFrame(count: i32, width: i32, origin: f64, unit: f64): void {
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), magic = f64x2.splat(4503599627370496.0);
  if (unit == 1) {
    for (let i = 0; i < count; i += 4) {
      const at = integersAt + (<usize>i << 3);
      storeLow(i, f64x2.sub(v128.load(at), origins), f64x2.sub(v128.load(at, 16), origins), magic);
    }
  } else {
    for (let i = 0; i < count; i += 4) {
      const at = integersAt + (<usize>i << 3);
      storeLow(
        i,
        f64x2.div(f64x2.sub(v128.load(at), origins), units),
        f64x2.div(f64x2.sub(v128.load(at, 16), origins), units),
        magic,
      );
    }
  }
  if (width <= 32) {
    pack(lowAt, bodyAt, count, width);
    return;
  }
  for (let i = 0; i < count; i++) {
    const x = <u64>((load<f64>(integersAt + (<usize>i << 3)) - origin) / unit);
    store<u32>(highAt + (<usize>i << 2), <u32>(x >> 32));
  }
  pack(lowAt, bodyAt, count, 32);
  pack(highAt, bodyAt + <usize>planeBytes(count, 32), count, width - 32);
}

/** Packs the distance from the line: (integer - origin) / unit - floor(row * slope). */
export function packLine(count: i32, width: i32, origin: f64, unit: f64, slope: f64): void {
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), slopes = f64x2.splat(slope);
  const magic = f64x2.splat(4503599627370496.0), two = f64x2.splat(2);
  let row = f64x2(0, 1);
  for (let i = 0; i < count; i += 4) {
    const at = integersAt + (<usize>i << 3);
    const a = f64x2.div(f64x2.sub(v128.load(at), origins), units);
    const b = f64x2.div(f64x2.sub(v128.load(at, 16), origins), units);
    const lineA = f64x2.floor(f64x2.mul(row, slopes));
    row = f64x2.add(row, two);
    const lineB = f64x2.floor(f64x2.mul(row, slopes));
    row = f64x2.add(row, two);
    storeLow(i, f64x2.sub(a, lineA), f64x2.sub(b, lineB), magic);
  }
  pack(lowAt, bodyAt, count, width);
}

/** Packs (integer - the one before) / unit - step; 0 for the first row and, with `restarts`, for every fall. */
export function packDelta(count: i32, width: i32, unit: f64, step: f64, restarts: bool): void {
  if (unit == 1) storeDeltas(count, unit, step, restarts, false);
  else storeDeltas(count, unit, step, restarts, true);
  store<u32>(lowAt, 0);
  pack(lowAt, bodyAt, count, width);
}

@inline function storeDeltas(count: i32, unit: f64, step: f64, restarts: bool, divides: bool): void {
  const units = f64x2.splat(unit), steps = f64x2.splat(step), magic = f64x2.splat(4503599627370496.0);
  const leastRise = f64x2.splat(restarts ? 0 : -Infinity);
  for (let i = 0; i < count; i += 4) {
    const at = integersAt + (<usize>i << 3);
    const a = f64x2.sub(v128.load(at), v128.load(at - 8));
    const b = f64x2.sub(v128.load(at, 16), v128.load(at, 8));
    storeLow(
      i,
      v128.and(f64x2.sub(divides ? f64x2.div(a, units) : a, steps), f64x2.ge(a, leastRise)),
      v128.and(f64x2.sub(divides ? f64x2.div(b, units) : b, steps), f64x2.ge(b, leastRise)),
      magic,
    );
  }
}
