// Summaries and filters over a slice of rows.
//
// The order of a sum is fixed: eight partial sums take rows in turn, are added pairwise, and the last up to seven rows
// follow one by one. The reference kernels sum in the same order and get the same bits.

import { boundsAt, selectedAt, summariesAt, validAt, valuesAt } from "./regions";

/** Summaries of `runs` ranges of rows, given by runs + 1 bounds; with `masked`, of valid rows only. */
export function summarizeRuns(runs: i32, masked: bool): void {
  let to = summariesAt;
  let from = load<u32>(boundsAt);
  for (let k = 1; k <= runs; k++) {
    const end = load<u32>(boundsAt + (<usize>k << 2));
    if (masked) summarizeValid(from, end, to);
    else summarizeAll(from, end, to);
    from = end;
    to += 40;
  }
}

@inline function lowest(x: v128): f64 {
  const a = f64x2.extract_lane(x, 0), b = f64x2.extract_lane(x, 1);
  return b < a ? b : a;
}
@inline function highest(x: v128): f64 {
  const a = f64x2.extract_lane(x, 0), b = f64x2.extract_lane(x, 1);
  return b > a ? b : a;
}

/** Adding 0 turns a minimum of -0 into 0. */
@inline function put(to: usize, count: i32, nanCount: i32, least: f64, greatest: f64, sum: f64): void {
  store<f64>(to, <f64>count);
  store<f64>(to, <f64>nanCount, 8);
  store<f64>(to, least + 0.0, 16);
  store<f64>(to, greatest + 0.0, 24);
  store<f64>(to, sum, 32);
}

function summarizeAll(from: u32, end: u32, to: usize): void {
  const first = valuesAt + (<usize>from << 3), last = valuesAt + (<usize>end << 3);
  let least = Infinity, greatest = -Infinity, sum: f64 = 0;
  let at = first;
  if (end - from >= 8) {
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let low0 = f64x2.splat(Infinity), low1 = low0, high0 = f64x2.splat(-Infinity), high1 = high0;
    for (; at + 64 <= last; at += 64) {
      const a = v128.load(at), b = v128.load(at, 16), c = v128.load(at, 32), d = v128.load(at, 48);
      s0 = f64x2.add(s0, a);
      s1 = f64x2.add(s1, b);
      s2 = f64x2.add(s2, c);
      s3 = f64x2.add(s3, d);
      low0 = f64x2.pmin(f64x2.pmin(low0, a), c); // pmin(x, NaN) is x
      low1 = f64x2.pmin(f64x2.pmin(low1, b), d);
      high0 = f64x2.pmax(f64x2.pmax(high0, a), c);
      high1 = f64x2.pmax(f64x2.pmax(high1, b), d);
    }
    const s = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
    sum = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
    least = lowest(f64x2.pmin(low0, low1));
    greatest = highest(f64x2.pmax(high0, high1));
  }
  for (; at < last; at += 8) {
    const x = load<f64>(at);
    sum += x;
    if (x < least) least = x;
    if (x > greatest) greatest = x;
  }
  let nanCount = 0;
  if (sum != sum) {
    for (at = first; at < last; at += 8) {
      const x = load<f64>(at);
      nanCount += i32(x != x);
    }
  }
  put(to, <i32>(end - from), nanCount, least, greatest, sum);
}

/** All ones where byte `pair` of the eight, or its neighbour, is set. */
@inline function maskOf(low: v128, zero: v128): v128 {
  return i64x2.ne(low, zero);
}

function summarizeValid(from: u32, end: u32, to: usize): void {
  let least = Infinity, greatest = -Infinity, sum: f64 = 0;
  let count = 0;
  let i = from;
  if (end - from >= 8) {
    const zero = i64x2.splat(0), infinity = f64x2.splat(Infinity), minusInfinity = f64x2.splat(-Infinity);
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0, low = infinity, high = minusInfinity;
    for (; i + 8 <= end; i += 8) {
      const bytes = load<u64>(validAt + <usize>i);
      count += <i32>popcnt(bytes);
      const words = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i64x2(<i64>bytes, 0)));
      const more = i32x4.extend_high_i16x8_u(i16x8.extend_low_i8x16_u(i64x2(<i64>bytes, 0)));
      const m0 = maskOf(i64x2.extend_low_i32x4_u(words), zero), m1 = maskOf(i64x2.extend_high_i32x4_u(words), zero);
      const m2 = maskOf(i64x2.extend_low_i32x4_u(more), zero), m3 = maskOf(i64x2.extend_high_i32x4_u(more), zero);
      const at = valuesAt + (<usize>i << 3);
      const a = v128.load(at), b = v128.load(at, 16), c = v128.load(at, 32), d = v128.load(at, 48);
      s0 = f64x2.add(s0, v128.and(a, m0));
      s1 = f64x2.add(s1, v128.and(b, m1));
      s2 = f64x2.add(s2, v128.and(c, m2));
      s3 = f64x2.add(s3, v128.and(d, m3));
      low = f64x2.pmin(low, v128.bitselect(a, infinity, m0));
      low = f64x2.pmin(low, v128.bitselect(b, infinity, m1));
      low = f64x2.pmin(low, v128.bitselect(c, infinity, m2));
      low = f64x2.pmin(low, v128.bitselect(d, infinity, m3));
      high = f64x2.pmax(high, v128.bitselect(a, minusInfinity, m0));
      high = f64x2.pmax(high, v128.bitselect(b, minusInfinity, m1));
      high = f64x2.pmax(high, v128.bitselect(c, minusInfinity, m2));
      high = f64x2.pmax(high, v128.bitselect(d, minusInfinity, m3));
    }
    const s = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
    sum = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
    least = lowest(low);
    greatest = highest(high);
  }
  for (; i < end; i++) {
    if (load<u8>(validAt + <usize>i) == 0) continue;
    const x = load<f64>(valuesAt + (<usize>i << 3));
    count++;
    sum += x;
    if (x < least) least = x;
    if (x > greatest) greatest = x;
  }
  let nanCount = 0;
  if (sum != sum) {
    for (i = from; i < end; i++) {
      const x = load<f64>(valuesAt + (<usize>i << 3));
      nanCount += i32(x != x) & i32(load<u8>(validAt + <usize>i) != 0);
    }
  }
  put(to, count, nanCount, least, greatest, sum);
}

// Predicates, as the host numbers them. A NaN fails 0, 2 and 3 and passes the others but 7.
// 0 equal, 1 not equal, 2 below, 3 at most, 4 not at most, 5 not below, 6 is NaN, 7 is not NaN, 8 any

@inline function bitsOf(predicate: i32, x: v128, constants: v128): i32 {
  if (predicate == 0) return i64x2.bitmask(f64x2.eq(x, constants));
  if (predicate == 1) return i64x2.bitmask(f64x2.ne(x, constants));
  if (predicate == 2) return i64x2.bitmask(f64x2.lt(x, constants));
  if (predicate == 3) return i64x2.bitmask(f64x2.le(x, constants));
  if (predicate == 4) return i64x2.bitmask(f64x2.le(x, constants)) ^ 3;
  if (predicate == 5) return i64x2.bitmask(f64x2.lt(x, constants)) ^ 3;
  if (predicate == 6) return i64x2.bitmask(f64x2.ne(x, x));
  if (predicate == 7) return i64x2.bitmask(f64x2.eq(x, x));
  return 3;
}

/** Byte shuffles that move the lanes of a 4-bit mask to the front: 16 of 16 bytes, made once. */
const compressions: usize = memory.data(256, 16);
for (let mask = 0; mask < 16; mask++) {
  let lanes = 0;
  for (let lane = 0; lane < 4; lane++) {
    if ((mask >> lane) & 1) {
      store<u32>(compressions + <usize>(mask * 16 + lanes * 4), 0x03020100 + lane * 0x04040404);
      lanes++;
    }
  }
}

/** Appends the lanes of `rows` named by the low 4 bits of `bits`; returns where the next goes. */
@inline function append(to: usize, rows: v128, bits: i32): usize {
  v128.store(to, i8x16.swizzle(rows, v128.load(compressions + (<usize>bits << 4))));
  return to + (<usize>popcnt(bits) << 2);
}

@inline function select(predicate: i32, constant: f64, count: i32, base: i32, masked: bool): usize {
  const constants = f64x2.splat(constant), four = i32x4.splat(4);
  let rows = i32x4.add(i32x4.splat(base), i32x4(0, 1, 2, 3));
  let to = selectedAt;
  for (let i = 0; i < count; i += 4) {
    const at = valuesAt + (<usize>i << 3);
    let bits = bitsOf(predicate, v128.load(at), constants) | (bitsOf(predicate, v128.load(at, 16), constants) << 2);
    // four bytes of 0 or 1 to four bits: no two terms of the product share a bit below the 28th
    if (masked) bits &= <i32>((load<u32>(validAt + <usize>i) * 0x01020408) >> 24) & 15;
    if (count - i < 4) bits &= (1 << (count - i)) - 1;
    to = append(to, rows, bits);
    rows = i32x4.add(rows, four);
  }
  return to;
}

@inline function selectBy(predicate: i32, constant: f64, count: i32, base: i32, masked: bool): usize {
  return masked ? select(predicate, constant, count, base, true) : select(predicate, constant, count, base, false);
}

/** Writes base + row of the rows that satisfy the predicate, and are valid if `masked`; returns how many. */
export function filterRows(predicate: i32, constant: f64, count: i32, base: i32, masked: bool): i32 {
  let end: usize = selectedAt;
  switch (predicate) {
    case 0: end = selectBy(0, constant, count, base, masked); break;
    case 1: end = selectBy(1, constant, count, base, masked); break;
    case 2: end = selectBy(2, constant, count, base, masked); break;
    case 3: end = selectBy(3, constant, count, base, masked); break;
    case 4: end = selectBy(4, constant, count, base, masked); break;
    case 5: end = selectBy(5, constant, count, base, masked); break;
    case 6: end = selectBy(6, constant, count, base, masked); break;
    case 7: end = selectBy(7, constant, count, base, masked); break;
    case 8: end = selectBy(8, constant, count, base, masked); break;
  }
  return <i32>((end - selectedAt) >> 2);
}
