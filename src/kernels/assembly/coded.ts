// The loops of coded blocks, reading: symbols of an entropy code, joined with packed low bits to residuals, summed up
// to rows. The host has checked every size before it calls: nothing here reads or writes past a region.
//
// The code is tANS (Duda, "Asymmetric numeral systems", arXiv:1311.2540, 2013, section 4) with 256 states, their
// symbols spread as in Collet's FSE. Six states take turns, so that as many steps are under way at a time.
//
//   entry of the decoder's table: u8 symbol, u8 bits to read, u16 their mask, u32 where the entry is that follows for 0
//
// Masks and distances between entries are in bytes, and the bits at hand are kept shifted likewise: an entry is 8 bytes.

import { planeBytes, unpack } from "./bitpack";
import {
  bodyAt, frequenciesAt, highAt, lowAt, nextAt, powerOfTen, residualsAt, spreadAt, symbolsAt, tableAt, valuesAt, wideAt,
} from "./regions";

const states: i32 = 256;
/** Odd, so that it visits every state once. */
const spreadStep: i32 = 163;

/** Lays the symbols over the states, as often as their frequencies say: these add up to 256. */
export function spreadSymbols(symbols: i32): void {
  let state = 0;
  for (let symbol = 0; symbol < symbols; symbol++) {
    for (let left = <i32>load<u16>(frequenciesAt + (<usize>symbol << 1)); left > 0; left--) {
      store<u8>(spreadAt + <usize>state, <u8>symbol);
      state = (state + spreadStep) & (states - 1);
    }
  }
}

/** Entries without a symbol, by x: 1 to 511. */
const entriesAt: usize = memory.data(8 * 2 * states, 16);

for (let x: u32 = 1; x < 2 * states; x++) {
  const bits = x < <u32>states ? clz<u32>(x) - 23 : 0;
  const to = entriesAt + (<usize>x << 3);
  store<u32>(to, (bits << 8) | (((8 << bits) - 8) << 16));
  store<u32>(to, <u32>tableAt + (((x << bits) - states) << 3), 4);
}

@inline function tableOffset(table: i32): usize {
  return <usize>table << 11;
}

/** A decoder's table of the frequencies: a symbol's entries stand for x from its frequency f to 2 f - 1. */
export function buildDecoder(symbols: i32, table: i32): void {
  spreadSymbols(symbols);
  memory.copy(nextAt, frequenciesAt, <usize>symbols << 1);
  const offset = <u64>tableOffset(table) << 32;
  let to = tableAt + tableOffset(table);
  for (let at = spreadAt; at < spreadAt + states; at++) {
    const symbol = <usize>load<u8>(at);
    const next = nextAt + (symbol << 1);
    const x = <usize>load<u16>(next);
    store<u16>(next, <u16>(x + 1));
    store<u64>(to, (load<u64>(entriesAt + (x << 3)) + offset) | <u64>symbol);
    to += 8;
  }
}

@inline function step(entry: usize, bits: u64): usize {
  return <usize>(load<u32>(entry, 4) + (<u32>bits & <u32>load<u16>(entry, 2)));
}
@inline function entryOf(table: usize, state: usize): usize {
  return table + (<usize>load<u8>(state) << 3);
}

/** Decodes the stream of `length` bytes at `offset` of the body; false when it does not end where, and as, it should. */
export function decodeSymbols(count: i32, offset: i32, length: i32, table: i32): bool {
  const from = bodyAt + <usize>offset, first = tableAt + tableOffset(table);
  let a = entryOf(first, from), b = entryOf(first, from + 1), c = entryOf(first, from + 2);
  let d = entryOf(first, from + 3), e = entryOf(first, from + 4), f = entryOf(first, from + 5);
  // three bits early, where the masks expect theirs
  let at: u64 = 45;
  let to = symbolsAt;
  let left = count;
  for (; left >= 6; left -= 6) {
    // of 64 bits, 7 may be done with; six steps take 51 at most
    const bits = load<u64>(from + <usize>(at >> 3)) >> (at & 7);
    store<u8>(to, load<u8>(a));
    store<u8>(to, load<u8>(b), 1);
    store<u8>(to, load<u8>(c), 2);
    store<u8>(to, load<u8>(d), 3);
    store<u8>(to, load<u8>(e), 4);
    store<u8>(to, load<u8>(f), 5);
    to += 6;
    const afterA = <u64>load<u8>(a, 1), afterB = afterA + <u64>load<u8>(b, 1), afterC = afterB + <u64>load<u8>(c, 1);
    const afterD = afterC + <u64>load<u8>(d, 1), afterE = afterD + <u64>load<u8>(e, 1);
    at += afterE + <u64>load<u8>(f, 1);
    a = step(a, bits);
    b = step(b, bits >> afterA);
    c = step(c, bits >> afterB);
    d = step(d, bits >> afterC);
    e = step(e, bits >> afterD);
    f = step(f, bits >> afterE);
  }
  for (; left > 0; left--) {
    store<u8>(to++, load<u8>(a));
    const next = step(a, load<u64>(from + <usize>(at >> 3)) >> (at & 7));
    at += <u64>load<u8>(a, 1);
    a = b;
    b = c;
    c = d;
    d = e;
    e = f;
    f = next;
  }
  const ended = (a | b | c | d | e | f) == first && (a & b & c & d & e & f) == first;
  return ended && <i32>((at + 10) >> 3) == length;
}

/** Unpacks the low bits of `packed` residuals, `shift` each, from the body's begin. */
@inline function unpackLow(packed: i32, shift: i32): void {
  if (shift <= 32) unpack(bodyAt, lowAt, packed, shift);
  else {
    unpack(bodyAt, lowAt, packed, 32);
    unpack(bodyAt + <usize>planeBytes(packed, 32), highAt, packed, shift - 32);
  }
}

@inline function symbolsOf(from: usize): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(from)));
}

/** residual = base + (symbol << shift | low), modulo 2^32. */
export function joinNarrow(count: i32, shift: i32, base: i32): void {
  unpackLow(count, shift);
  const bases = i32x4.splat(base);
  const end = symbolsAt + <usize>count;
  let low = lowAt, to = residualsAt;
  for (let from = symbolsAt; from < end; from += 4) {
    v128.store(to, i32x4.add(bases, v128.or(i32x4.shl(symbolsOf(from), shift), v128.load(low))));
    low += 16;
    to += 16;
  }
}

/** The same with symbol 0 for a residual of 0, which has no low bits; false when there are not `repeats` of them. */
export function joinNarrowRepeats(count: i32, shift: i32, base: i32, repeats: i32): bool {
  unpackLow(count - repeats, shift);
  let low = lowAt;
  for (let i = 0; i < count; i++) {
    const symbol = <i32>load<u8>(symbolsAt + <usize>i);
    const residual = base + (((symbol - 1) << shift) | load<i32>(low));
    store<i32>(residualsAt + (<usize>i << 2), select<i32>(residual, 0, symbol != 0));
    low += <usize>i32(symbol != 0) << 2;
  }
  return low == lowAt + (<usize>(count - repeats) << 2);
}

/** As `joinNarrow` and `joinNarrowRepeats`, modulo 2^64; wide[2] is the base. `repeats` 0: none. */
export function joinWide(count: i32, shift: i32, repeats: i32): bool {
  unpackLow(count - repeats, shift);
  if (shift <= 32) memory.fill(highAt, 0, <usize>count << 2);
  if (repeats > 0) return joinWideRepeats(count, shift, repeats);
  const bases = i64x2.splat(load<i64>(wideAt, 16));
  const end = symbolsAt + <usize>count;
  let at: usize = 0;
  for (let from = symbolsAt; from < end; from += 4) {
    const symbols = symbolsOf(from), low = v128.load(lowAt + at), high = v128.load(highAt + at);
    const to = residualsAt + (at << 1);
    const lowA = i64x2.extend_low_i32x4_u(low), highA = i64x2.shl(i64x2.extend_low_i32x4_u(high), 32);
    const lowB = i64x2.extend_high_i32x4_u(low), highB = i64x2.shl(i64x2.extend_high_i32x4_u(high), 32);
    const symbolsA = i64x2.shl(i64x2.extend_low_i32x4_u(symbols), shift);
    const symbolsB = i64x2.shl(i64x2.extend_high_i32x4_u(symbols), shift);
    v128.store(to, i64x2.add(bases, v128.or(symbolsA, v128.or(lowA, highA))));
    v128.store(to, i64x2.add(bases, v128.or(symbolsB, v128.or(lowB, highB))), 16);
    at += 16;
  }
  return true;
}

function joinWideRepeats(count: i32, shift: i32, repeats: i32): bool {
  const base = load<u64>(wideAt, 16);
  let at: usize = 0;
  for (let i = 0; i < count; i++) {
    const symbol = <u64>load<u8>(symbolsAt + <usize>i);
    const low = <u64>load<u32>(lowAt + at) | (<u64>load<u32>(highAt + at) << 32);
    const residual = base + (((symbol - 1) << shift) | low);
    store<u64>(residualsAt + (<usize>i << 3), select<u64>(residual, 0, symbol != 0));
    at += <usize>i32(symbol != 0) << 2;
  }
  return at == <usize>(count - repeats) << 2;
}

/** Puts outliers, u16 rows and residuals at `offset` of the body, over the residuals; false when one lies outside. */
export function patchResiduals(offset: i32, outliers: i32, count: i32, wide: bool): bool {
  const rows = bodyAt + <usize>offset, residuals = rows + (<usize>outliers << 1);
  for (let k: usize = 0; k < <usize>outliers; k++) {
    const row = <usize>load<u16>(rows + (k << 1));
    if (row >= <usize>count) return false;
    if (wide) store<u64>(residualsAt + (row << 3), load<u64>(residuals + (k << 3)));
    else store<u32>(residualsAt + (row << 2), load<u32>(residuals + (k << 2)));
  }
  return true;
}

@inline function lowHalf(x: v128): v128 {
  return f64x2.convert_low_i32x4_s(x);
}
@inline function highHalf(x: v128): v128 {
  return f64x2.convert_low_i32x4_s(v128.shuffle<i64>(x, x, 1, 1));
}
/** Running sums of four lanes. Lanes are chosen so that a shuffle is one instruction. */
@inline function sumsOf(x: v128, zero: v128): v128 {
  x = i32x4.add(x, v128.shuffle<i32>(zero, x, 3, 4, 5, 6));
  return i32x4.add(x, v128.shuffle<i32>(zero, x, 2, 3, 4, 5));
}

/**
 * value = (origin + unit * x) / 10^exponent, x signed: the residuals (order 0), their running sums from row 0's 0
 * (order 1), or the running sums of those that begin 0, step (order 2).
 */
export function sumNarrow(count: i32, order: i32, step: i32, exponent: i32, origin: f64, unit: f64): void {
  if (order > 0) store<u32>(residualsAt, 0);
  if (order == 2) {
    store<i32>(residualsAt, step, 4);
    sumResiduals(count);
  }
  if (order == 0) putNarrow(count, exponent, origin, unit, false);
  else putNarrow(count, exponent, origin, unit, true);
}

function sumResiduals(count: i32): void {
  const zero = i32x4.splat(0);
  const end = residualsAt + (<usize>count << 2);
  let carry = zero;
  for (let at = residualsAt; at < end; at += 16) {
    const x = i32x4.add(sumsOf(v128.load(at), zero), carry);
    v128.store(at, x);
    carry = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
  }
}

@inline function putNarrow(count: i32, exponent: i32, origin: f64, unit: f64, sums: bool): void {
  if (exponent == 0) putScaled(count, 1, origin, unit, sums, false);
  else putScaled(count, powerOfTen(exponent), origin, unit, sums, true);
}

@inline function putScaled(count: i32, scale: f64, origin: f64, unit: f64, sums: bool, divides: bool): void {
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), scales = f64x2.splat(scale);
  const zero = i32x4.splat(0);
  const end = residualsAt + (<usize>count << 2);
  let carry = zero;
  let to = valuesAt;
  for (let at = residualsAt; at < end; at += 16) {
    let x = v128.load(at);
    if (sums) {
      x = i32x4.add(sumsOf(x, zero), carry);
      carry = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
    }
    putRows(to, x, origins, units, scales, divides);
    to += 32;
  }
}

@inline function putRows(to: usize, x: v128, origins: v128, units: v128, scales: v128, divides: bool): void {
  const a = f64x2.add(origins, f64x2.mul(units, lowHalf(x)));
  const b = f64x2.add(origins, f64x2.mul(units, highHalf(x)));
  v128.store(to, divides ? f64x2.div(a, scales) : a);
  v128.store(to, divides ? f64x2.div(b, scales) : b, 16);
}

/** `joinNarrow` and `sumNarrow` of order 1 at once: the division leaves time for the rest. */
export function joinSums(count: i32, shift: i32, base: i32, exponent: i32, origin: f64, unit: f64): void {
  unpackLow(count, shift);
  if (exponent == 0) joinScaled(count, shift, base, 1, origin, unit, false);
  else joinScaled(count, shift, base, powerOfTen(exponent), origin, unit, true);
}

@inline function joinScaled(
  count: i32, shift: i32, base: i32, scale: f64, origin: f64, unit: f64, divides: bool,
): void {
  const origins = f64x2.splat(origin), units = f64x2.splat(unit), scales = f64x2.splat(scale);
  const zero = i32x4.splat(0), bases = i32x4.splat(base);
  const end = symbolsAt + <usize>count;
  // the first row is 0
  let carry = i32x4.splat(-(base + ((<i32>load<u8>(symbolsAt) << shift) | load<i32>(lowAt))));
  let low = lowAt, to = valuesAt;
  for (let from = symbolsAt; from < end; from += 4) {
    let x = i32x4.add(bases, v128.or(i32x4.shl(symbolsOf(from), shift), v128.load(low)));
    x = i32x4.add(sumsOf(x, zero), carry);
    carry = v128.shuffle<i32>(x, x, 3, 3, 3, 3);
    putRows(to, x, origins, units, scales, divides);
    low += 16;
    to += 32;
  }
}

/** `sumNarrow` of 64-bit residuals; wide[1] is the step. */
export function sumWide(count: i32, order: i32, exponent: i32, origin: f64, unit: f64): void {
  const kept = prepareWide(count, order);
  const scale = powerOfTen(exponent);
  let x: i64 = 0;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    x = (x & kept) + load<i64>(residualsAt + i);
    store<f64>(valuesAt + i, (origin + unit * <f64>x) / scale);
  }
}

/** The value's bits, in ascending order of values, without `drop` low ones: origin + x, modulo 2^64; wide[0] is the origin. */
export function sumBits(count: i32, order: i32, drop: i32): void {
  const kept = prepareWide(count, order);
  const origin = load<i64>(wideAt);
  const ones: u64 = <u64>-1 >> (1 + <u64>drop);
  let x: i64 = 0;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    x = (x & kept) + load<i64>(residualsAt + i);
    const ordered = origin + x;
    store<i64>(valuesAt + i, (ordered ^ ((ordered >> 63) & <i64>ones)) << <i64>drop);
  }
}

/** Sums residuals up as often as the order says, but once; returns what is kept of the sum before: all bits or none. */
function prepareWide(count: i32, order: i32): i64 {
  if (order == 0) return 0;
  store<u64>(residualsAt, 0);
  if (order == 1) return -1;
  store<u64>(residualsAt, load<u64>(wideAt, 8), 8);
  let sum: u64 = 0;
  for (let i: usize = 0; i < <usize>count << 3; i += 8) {
    sum += load<u64>(residualsAt + i);
    store<u64>(residualsAt + i, sum);
  }
  return -1;
}
