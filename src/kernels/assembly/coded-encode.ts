// The loops of coded blocks, writing: rows to residuals, counts of their symbols for the host to decide on, and the
// code itself. See coded.ts for what a block means.

import { pack, planeBytes } from "./bitpack";
import { spreadSymbols } from "./coded";
import {
  bodyAt, countsAt, encoderAt, frequenciesAt, highAt, integersAt, lowAt, nextAt, outlierRowsAt, residualsAt, resultsAt,
  spannedAt, spreadAt, statesAt, stepsAt, symbolsAt, valuesAt, wideAt,
} from "./regions";

const symbolsMax: u64 = 64;
/** An odd number has a middle. */
const samplesMax: i32 = 31;
/** Orders are told apart by every fourth row of a block of so many. */
const thinnedRowsMin: i32 = 256;
/** Adding 1.5 * 2^52 leaves a whole number, up to here, in the mantissa. */
const roundingMagic: f64 = 6755399441055744.0;
const spanMax: f64 = 2251799813685248.0;

@inline function rowAt(at: usize, row: i32): usize {
  return at + (<usize>row << 3);
}

/** x = (integer - first integer) / unit. wide[1]: the second row's. Returns whether all fit 32 bits with their sign. */
export function spanIntegers(count: i32, unit: f64): bool {
  const first = load<f64>(integersAt);
  const firsts = f64x2.splat(first), units = f64x2.splat(unit), magics = f64x2.splat(roundingMagic);
  store<i64>(rowAt(integersAt, count), load<i64>(rowAt(integersAt, count - 1))); // an odd row's neighbour
  let least = f64x2.splat(0), greatest = least;
  for (let i = 0; i < count; i += 2) {
    const distance = f64x2.sub(v128.load(rowAt(integersAt, i)), firsts);
    const x = unit == 1 ? distance : f64x2.div(distance, units);
    v128.store(rowAt(spannedAt, i), i64x2.sub(f64x2.add(x, magics), magics));
    least = f64x2.pmin(least, x);
    greatest = f64x2.pmax(greatest, x);
  }
  const from = min(f64x2.extract_lane(least, 0), f64x2.extract_lane(least, 1));
  const to = max(f64x2.extract_lane(greatest, 0), f64x2.extract_lane(greatest, 1));
  // further out, the sums with the magic are not the numbers' bits any more
  if (from <= -spanMax || to >= spanMax) {
    for (let i = 0; i < count; i++)
      store<i64>(rowAt(spannedAt, i), <i64>((load<f64>(rowAt(integersAt, i)) - first) / unit));
  }
  store<i64>(wideAt, load<i64>(spannedAt, 8), 8);
  return from >= -2147483648.0 && to <= 2147483647.0;
}

/**
 * x = the value's bits without the low ones that are 0 in all, in ascending order of values, minus the first's; wide[0] is
 * the first's, wide[1] x of the second row. Returns how many bits were dropped, at most 52.
 */
export function spanBits(count: i32): i32 {
  let all: u64 = 1 << 52;
  for (let i = 0; i < count; i++) all |= load<u64>(rowAt(valuesAt, i));
  const drop = ctz(all);
  let first: i64 = 0;
  for (let i = 0; i < count; i++) {
    const bits = load<i64>(rowAt(valuesAt, i)) >> <i64>drop;
    const x = bits ^ <i64>(<u64>(bits >> 63) >> (1 + drop));
    if (i == 0) first = x;
    store<i64>(rowAt(spannedAt, i), x - first);
  }
  store<i64>(wideAt, first);
  store<i64>(wideAt, load<i64>(spannedAt, 8), 8);
  return <i32>drop;
}

/** Residual of an order: x itself, its difference, or theirs. */
@inline function residualAt(order: i32, row: i32): i64 {
  const at = rowAt(spannedAt, row);
  if (order == 0) return load<i64>(at);
  if (order == 1) return load<i64>(at) - load<i64>(at - 8);
  return load<i64>(at) - 2 * load<i64>(at - 8) + load<i64>(at - 16);
}

/** Of residuals from row 2 on; by insertion sort of a few. There are 3 rows at least. */
@inline function sampleMedian(order: i32, count: i32): i64 {
  const samples = min(count - 2, samplesMax);
  for (let k = 0; k < samples; k++) {
    const sample = residualAt(order, 2 + k * (count - 2) / samples);
    let at = rowAt(lowAt, k);
    for (; at > lowAt && load<i64>(at - 8) > sample; at -= 8) store<i64>(at, load<i64>(at - 8));
    store<i64>(at, sample);
  }
  return load<i64>(rowAt(lowAt, samples >> 1));
}

@inline function distanceBits(residual: i64, center: i64): i64 {
  const distance = residual - center;
  return 64 - clz(distance < 0 ? -distance : distance);
}

/** wide[order]: median of a sample of the residuals. results[order]: bits of the residuals' distances from it, in all. */
export function measureOrders(count: i32): void {
  const center0 = sampleMedian(0, count), center1 = sampleMedian(1, count), center2 = sampleMedian(2, count);
  let bits0: i64 = 0, bits1: i64 = 0, bits2: i64 = 0;
  const step = count < thinnedRowsMin ? 1 : 4;
  for (let i = 2; i < count; i += step) {
    const at = rowAt(spannedAt, i);
    const x = load<i64>(at), before = load<i64>(at - 8);
    const difference = x - before;
    bits0 += distanceBits(x, center0);
    bits1 += distanceBits(difference, center1);
    bits2 += distanceBits(difference - (before - load<i64>(at - 16)), center2);
  }
  store<i64>(wideAt, center0);
  store<i64>(wideAt, center1, 8);
  store<i64>(wideAt, center2, 16);
  store<f64>(resultsAt, <f64>bits0);
  store<f64>(resultsAt, <f64>bits1, 8);
  store<f64>(resultsAt, <f64>bits2, 16);
}

/** Residuals of an order. Rows that it determines take the residual of the next. wide[3 .. 5]: least, greatest, sum. */
export function difference(count: i32, order: i32): void {
  if (order == 0) differ(count, 0);
  else if (order == 1) differ(count, 1);
  else differ(count, 2);
}

@inline function differ(count: i32, order: i32): void {
  let least = residualAt(order, order), greatest = least, sum = <i64>order * least;
  for (let i = 0; i < order; i++) store<i64>(rowAt(residualsAt, i), least);
  for (let i = order; i < count; i++) {
    const residual = residualAt(order, i);
    store<i64>(rowAt(residualsAt, i), residual);
    least = min(least, residual);
    greatest = max(greatest, residual);
    sum += residual;
  }
  store<i64>(wideAt, least, 24);
  store<i64>(wideAt, greatest, 32);
  store<i64>(wideAt, sum, 40);
}

/** counts[b], b 0 to 64: residuals whose distance from wide[2] takes b bits. */
export function countLengths(count: i32): void {
  memory.fill(countsAt, 0, 66 * 4);
  const center = load<i64>(wideAt, 16);
  for (let i = 0; i < count; i++) {
    const at = countsAt + (<usize>distanceBits(load<i64>(rowAt(residualsAt, i)), center) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
}

/** counts[s], s 0 to 63: residuals of symbol s = (residual - wide[2]) >> shift. counts[64]: those beyond; counts[65]: zeros, not counted else. */
export function countSymbols(count: i32, shift: i32): void {
  memory.fill(countsAt, 0, 66 * 4);
  memory.fill(lowAt, 0, 66 * 4);
  const base = load<i64>(wideAt, 16);
  // equal symbols often follow one another: two counts of each do not wait for one another
  for (let i = 0; i + 1 < count; i += 2) {
    countUp(countsAt, symbolOf(i, base, shift));
    countUp(lowAt, symbolOf(i + 1, base, shift));
  }
  if (count & 1) countUp(countsAt, symbolOf(count - 1, base, shift));
  for (let at: usize = 0; at < 66 * 4; at += 4) store<u32>(countsAt + at, load<u32>(countsAt + at) + load<u32>(lowAt + at));
}

@inline function symbolOf(row: i32, base: i64, shift: i32): u64 {
  const residual = load<i64>(rowAt(residualsAt, row));
  return select<u64>(65, min<u64>(<u64>(residual - base) >> shift, symbolsMax), residual == 0);
}
@inline function countUp(counts: usize, symbol: u64): void {
  const at = counts + (<usize>symbol << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/**
 * Splits residuals into symbols and low bits; wide[2] is the base. `first` 1: a residual of 0 is symbol 0, without low bits.
 * A residual whose symbol is not below `symbols` is an outlier and gets the symbol `filler`. Packs the low bits to the
 * body, outliers after them. counts: how often each symbol occurs. results: residuals with low bits, outliers.
 */
export function splitResiduals(count: i32, shift: i32, symbols: i32, first: i32, filler: i32, wide: bool): void {
  const base = load<i64>(wideAt, 16);
  const mask: u64 = (<u64>1 << shift) - 1;
  memory.fill(countsAt, 0, 66 * 4);
  let packed = 0, outliers = 0;
  for (let i = 0; i < count; i++) {
    const residual = load<i64>(rowAt(residualsAt, i));
    const distance = <u64>(residual - base);
    let symbol = <u64>first + (distance >> shift);
    let low = distance & mask;
    if (first == 1 && residual == 0) symbol = 0;
    else if (symbol >= <u64>symbols) {
      store<u16>(outlierRowsAt + (<usize>outliers << 1), <u16>i);
      outliers++;
      symbol = <u64>filler;
      low = 0;
    }
    store<u8>(symbolsAt + <usize>i, <u8>symbol);
    const counted = countsAt + (<usize>symbol << 2);
    store<u32>(counted, load<u32>(counted) + 1);
    if (symbol < <u64>first) continue;
    store<u32>(lowAt + (<usize>packed << 2), <u32>low);
    store<u32>(highAt + (<usize>packed << 2), <u32>(low >> 32));
    packed++;
  }
  pack(lowAt, bodyAt, packed, min(shift, 32));
  let to = bodyAt + <usize>planeBytes(packed, min(shift, 32));
  if (shift > 32) {
    pack(highAt, to, packed, shift - 32);
    to += <usize>planeBytes(packed, shift - 32);
  }
  memory.copy(to, outlierRowsAt, <usize>outliers << 1);
  to += <usize>outliers << 1;
  for (let k = 0; k < outliers; k++) {
    const residual = load<i64>(rowAt(residualsAt, <i32>load<u16>(outlierRowsAt + (<usize>k << 1))));
    if (wide) store<i64>(to + (<usize>k << 3), residual);
    else store<i32>(to + (<usize>k << 2), <i32>residual);
  }
  store<f64>(resultsAt, <f64>packed);
  store<f64>(resultsAt, <f64>outliers, 8);
}

/**
 * The encoder's tables, as FSE has them. Of a symbol of frequency f, whose x are f to 2 f - 1: what is added to a state, 256 to
 * 511, so that from bit 16 up stands how many bits it puts out; and where the state of x = 0 would be among the states, which
 * follow one another by symbol and x.
 */
function buildEncoder(symbols: i32): void {
  spreadSymbols(symbols);
  let begin: u32 = 0;
  for (let symbol: usize = 0; symbol < <usize>symbols; symbol++) {
    const frequency = <u32>load<u16>(frequenciesAt + (symbol << 1));
    // one bit less for a state below frequency << most, which would leave less than f
    const most = clz<u32>(frequency) - 23;
    store<u32>(encoderAt + (symbol << 3), (most << 16) - (frequency << most));
    store<u32>(encoderAt + (symbol << 3), begin - frequency, 4);
    store<u16>(nextAt + (symbol << 1), <u16>begin);
    begin += frequency;
  }
  for (let state: usize = 0; state < 256; state++) {
    const next = nextAt + (<usize>load<u8>(spreadAt + state) << 1);
    const at = <usize>load<u16>(next);
    store<u16>(next, <u16>(at + 1));
    store<u8>(statesAt + at, <u8>state);
  }
}

/** Writes the symbols' stream at `offset` of the body; returns its bytes. Coded backwards, so that it is read forwards. */
export function encodeSymbols(count: i32, offset: i32, symbols: i32): i32 {
  buildEncoder(symbols);
  // the six states, that of row i in byte i mod 6; they begin, and so the decoder's end, at 0
  store<u64>(lowAt, 0);
  let i = count;
  for (let lane = count % 6; i > 0 && lane > 0; lane--) encodeStep(--i, lowAt + <usize>(lane - 1));
  for (; i > 0; i -= 6) {
    encodeStep(i - 1, lowAt + 5);
    encodeStep(i - 2, lowAt + 4);
    encodeStep(i - 3, lowAt + 3);
    encodeStep(i - 4, lowAt + 2);
    encodeStep(i - 5, lowAt + 1);
    encodeStep(i - 6, lowAt);
  }
  const from = bodyAt + <usize>offset;
  store<u64>(from, load<u64>(lowAt));
  let to = from + 6;
  let waiting: u64 = 0, length: u64 = 0;
  for (let row = 0; row < count; row++) {
    const step = <u64>load<u16>(stepsAt + (<usize>row << 1));
    waiting |= (step & 255) << length;
    length += step >> 8;
    store<u64>(to, waiting);
    to += <usize>(length >> 3);
    waiting >>= length & ~7;
    length &= 7;
  }
  return <i32>(to - from) + i32(length > 0);
}

/** Encodes a row's symbol: its state goes on, and what it puts out is kept for when all is turned around. */
@inline function encodeStep(row: i32, stateAt: usize): void {
  const symbol = encoderAt + (<usize>load<u8>(symbolsAt + <usize>row) << 3);
  const state: u32 = 256 + <u32>load<u8>(stateAt);
  const bits = (state + load<u32>(symbol)) >> 16;
  store<u16>(stepsAt + (<usize>row << 1), <u16>((state & ((1 << bits) - 1)) | (bits << 8)));
  store<u8>(stateAt, load<u8>(statesAt + <usize>((state >> bits) + load<u32>(symbol, 4))));
}
