/**
 * Coded blocks, writing: which differences to take, how many bits of a residual to pack, which to leave out.
 *
 *   x -> residuals of order 0, 1, 2 -> the order with the shortest -> a curve, or the cheapest range and split -> header, body
 *
 * Invariants:
 * 1. A plan's bytes are an estimate within some per cent; `put` tells the true length.
 * 2. Decimals are narrow if all x are within 32 bits: sums modulo 2^32 are then exact whatever the residuals.
 */
import { curveFrequencies, curveReachMax, curveShapes, frequenciesOf, levelsOf } from './code-frequencies.ts'
import { type BlockHeader, blockMode, exceptionBytes, headerBytes, newHeader } from './codec-format.ts'
import { type CodecModule, counted, narrowShiftMax, outliersMax, shiftMax, symbolsMax, wide } from './codec-module.ts'
import { fitCurve } from './coded-curves.ts'
import { codedExceptionsAt, streamBytesMin } from './coded-format.ts'
import { blockRowsMax } from './kernels.ts'

/** Splits that are tried: the finest that 64 symbols allow, and coarser ones, a bit each. */
const splitsMax = 5
const levelBits = 4
const repeatsBits = 16
/** What levels of 4 bits, and 256 states, take more than the counts themselves would. */
const levelsLoss = 1.02
/** Symbols that the deviation of residuals about a curve's middle is at most. */
const deviationMax = 3
/** Half of a normal distribution lies within a deviation divided by this. */
const deviationsPerMedian = 1.4826

export interface CodedPlanner {
  /** Plans the block in `integers` as multiples of the unit; returns its bytes, about. */
  planDecimals(count: number, exponent: number, exceptions: number, unit: number): number
  /** Plans the block in `values` as bits. */
  planBits(count: number): number
  /** Writes the planned body; returns its header and the body's length. */
  put(): { readonly header: BlockHeader; readonly bodyLength: number }
}

/** How residuals become symbols. */
interface Split {
  readonly base: bigint
  readonly shift: number
  /** Symbols, without that of repeats. */
  readonly bins: number
  /** Whether residuals of 0 have a symbol of their own. */
  readonly repeats: boolean
  /** What says how frequent symbols are; -1: levels. */
  readonly curve: number
  readonly outliers: number
  /** What the block takes, without its header. */
  readonly bits: number
}

export function createCodedPlanner(module: CodecModule): CodedPlanner {
  const { memory } = module
  const wides = new BigInt64Array(memory, module.wideAt, 8)
  const counts = new Uint32Array(memory, module.countsAt, symbolsMax + 2)
  const frequencies = new Uint16Array(memory, module.frequenciesAt, symbolsMax)
  const integers = new Float64Array(memory, module.integersAt, blockRowsMax)
  const results = new Float64Array(memory, module.resultsAt, 8)
  const bins = new Uint32Array(symbolsMax + 1)
  /** How many residuals are so many bits away from the median of a few. */
  const lengths = new Uint32Array(65)
  const header = newHeader()
  const { coded } = header
  const kept = new BigInt64Array(coded.wides.buffer)
  header.mode = blockMode.coded
  const none: Split = {
    base: 0n,
    shift: 0,
    bins: 0,
    repeats: false,
    curve: -1,
    outliers: 0,
    bits: Number.POSITIVE_INFINITY,
  }
  let best = none

  function planDecimals(count: number, exponent: number, exceptions: number, unit: number): number {
    coded.wide = module.spanIntegers(count, unit) === 0
    header.exponent = exponent
    header.exceptions = exceptions
    header.origin = integers[0]!
    header.unit = unit
    coded.bits = false
    return plan(count) + exceptions * exceptionBytes
  }

  function planBits(count: number): number {
    coded.drop = module.spanBits(count)
    kept[wide.origin] = wides[wide.origin]!
    header.exponent = 0
    header.exceptions = 0
    coded.bits = true
    coded.wide = true
    return plan(count)
  }

  function plan(count: number): number {
    header.count = count
    kept[wide.step] = wides[wide.step]!
    header.step = coded.wide ? 0 : Number(kept[wide.step]!)
    module.measureOrders(count)
    const [bits0, bits1, bits2] = [results[0]!, results[1]!, results[2]!]
    const order = bits1 < bits0 ? (bits2 < bits1 ? 2 : 1) : bits2 < bits0 ? 2 : 0
    const center = wides[order]!
    module.difference(count, order)
    wides[wide.base] = center
    module.countLengths(count)
    lengths.set(counts.subarray(0, lengths.length))
    coded.order = order
    best = none
    if (!considerCurve(count)) {
      const curved = best
      best = none
      wides[wide.base] = center
      considerRanges(count)
      if (curved.bits < best.bits) best = curved
    }
    kept[wide.base] = best.base
    coded.curve = best.curve
    coded.shift = best.shift
    coded.symbols = best.bins + (best.repeats ? 1 : 0)
    coded.outliers = 0
    coded.repeats = 0
    return headerBytes(header) + streamBytesMin + (best.bits >> 3)
  }

  /**
   * Residuals about their middle, as a curve has it. Returns whether nothing else is worth a look. Most blocks of measured
   * values are told by it in one count.
   */
  function considerCurve(count: number): boolean {
    const deviation = deviationsPerMedian * medianDistance(count)
    const shift = Math.max(0, Math.ceil(Math.log2(deviation / deviationMax)))
    if (shift > (coded.wide ? shiftMax : narrowShiftMax)) return false
    const mean = Number(wides[wide.sum]!) / count
    const median = wides[wide.base]!
    // outliers pull at the mean, and few samples make the median
    const center = Math.abs(mean - Number(median)) <= deviation ? BigInt(Math.round(mean)) : median
    const bits = BigInt(shift)
    const half = shift === 0 ? 0n : 1n << (bits - 1n)
    const base = center - half - (BigInt(curveReachMax) << bits)
    wides[wide.base] = base
    module.countSymbols(count, shift)
    const zeros = counts[counted.zeros]!
    const zeroBin = BigInt.asUintN(64, -base) >> bits
    bins.set(counts.subarray(0, curveSymbolsMax))
    let outside = counts[counted.beyond]! + counts[curveSymbolsMax]!
    if (zeroBin < curveSymbolsMax) bins[Number(zeroBin)]! += zeros
    else outside += zeros
    if (outside > outliersMax) return false

    let information = countBits[count - outside]!
    let first = -1
    let last = 0
    for (let s = 0; s < curveSymbolsMax; s++) {
      if (bins[s] === 0) continue
      information -= countBits[bins[s]!]!
      if (first < 0) first = s
      last = s
    }
    const outlierBits = coded.wide ? 80 : 48
    const symbols = deviation / 2 ** shift
    const fit = fitCurve(bins, symbols, outside, outlierBits, information + outside * outlierBits)
    if (fit === undefined) return false
    best = {
      base: center - half - (BigInt(fit.reach) << bits),
      shift,
      bins: 2 * fit.reach + 1,
      repeats: false,
      curve: fit.curve,
      outliers: fit.outliers,
      bits: fit.bits + count * shift,
    }
    // one that is not normal may have a peak within its middle
    const isNormal = fit.curve >> 6 === curveShapes.normal
    const byLevels = information * levelsLoss + (last - first + 1) * levelBits + outside * outlierBits
    return fit.bits <= byLevels && (shift === 0 || (isNormal && zeros * 8 < count))
  }

  /** Half of the residuals are at most so far from the base, about. */
  function medianDistance(count: number): number {
    let before = 0
    for (let length = 0; length < 64; length++) {
      const here = lengths[length]!
      const part = (count / 2 - before) / here
      if (part <= 1) return length === 0 ? 0 : 2 ** (length - 1) * (1 + part)
      before += here
    }
    return 2 ** 63
  }

  /** All residuals, then without the longest, while it may pay to leave them out. */
  function considerRanges(count: number): void {
    const center = wides[wide.base]!
    const least = wides[wide.least]!
    const greatest = wides[wide.greatest]!
    let beyond = 0
    for (let length = 64; length >= 0; length--) {
      if (lengths[length] === 0 && length > 0) continue
      const reach = 2n ** BigInt(length) - 1n
      const from = center - reach > least ? center - reach : least
      const to = center + reach < greatest ? center + reach : greatest
      const before = best.bits
      considerRange(count, from, to)
      beyond += lengths[length]!
      if (beyond > outliersMax || best.bits === before) return
    }
  }

  /** Residuals of a range by their symbols: as fine as there are symbols, then coarser. */
  function considerRange(count: number, from: bigint, to: bigint): void {
    let shift = Math.max(0, bitLength(BigInt.asUintN(64, to - from)) - 6)
    wides[wide.base] = from
    module.countSymbols(count, shift)
    const outliers = counts[counted.beyond]!
    const zeros = counts[counted.zeros]!
    const zeroBin = zeros > 0 ? BigInt.asUintN(64, -from) >> BigInt(shift) : 0n
    if (outliers > outliersMax || zeroBin >= symbolsMax) return
    bins.set(counts.subarray(0, symbolsMax))
    bins[Number(zeroBin)]! += zeros
    let used = symbolsMax
    while (used > 1 && bins[used - 1] === 0) used--
    let zeroAt = Number(zeroBin)
    const limit = coded.wide ? shiftMax : narrowShiftMax
    for (let k = 0; k < splitsMax && shift <= limit; k++) {
      considerSplit(count, from, shift, used, outliers, zeros, zeroAt)
      if (used === 1) return
      for (let s = 0; s < used; s += 2) bins[s >> 1] = bins[s]! + (s + 1 < used ? bins[s + 1]! : 0)
      used = (used + 1) >> 1
      zeroAt >>= 1
      shift++
    }
  }

  /** Keeps the split if it is the cheapest so far, with zeros among the others or, where they are many, by themselves. */
  function considerSplit(
    count: number,
    base: bigint,
    shift: number,
    used: number,
    outliers: number,
    zeros: number,
    zeroBin: number,
  ): void {
    let information = countBits[count]!
    for (let s = 0; s < used; s++) information -= countBits[bins[s]!]!
    const fixed = outliers * (coded.wide ? 80 : 48) + used * levelBits
    const bits = fixed + count * shift + information * levelsLoss
    if (bits < best.bits) best = { base, shift, bins: used, repeats: false, curve: -1, outliers, bits }
    if (zeros * 8 < count || used === symbolsMax) return
    const binned = bins[zeroBin]!
    const parted = information + countBits[binned]! - countBits[binned - zeros]! - countBits[zeros]!
    const repeatingBits = fixed + levelBits + repeatsBits + (count - zeros) * shift + parted * levelsLoss
    if (repeatingBits < best.bits)
      best = { base, shift, bins: used, repeats: true, curve: -1, outliers, bits: repeatingBits }
  }

  function put(): { readonly header: BlockHeader; readonly bodyLength: number } {
    const { count } = header
    const { shift, symbols } = coded
    wides[wide.base] = best.base
    coded.base = coded.wide ? 0 : Number(BigInt.asIntN(32, best.base))
    const first = best.repeats ? 1 : 0
    module.splitResiduals(count, shift, symbols, first, filler(), coded.wide ? 1 : 0)
    coded.repeats = first === 1 ? counts[0]! : 0
    coded.outliers = results[1]!
    if (coded.curve >= 0) curveFrequencies(coded.curve, symbols, frequencies)
    else {
      levelsOf(counts, symbols, coded.levels)
      frequenciesOf(coded.levels, symbols, frequencies)
    }
    const exceptionsAt = codedExceptionsAt(header)
    if (header.exceptions > 0) module.putExceptions(exceptionsAt, header.exceptions)
    const streamAt = exceptionsAt + header.exceptions * exceptionBytes
    return { header, bodyLength: streamAt + module.encodeSymbols(count, streamAt, symbols) }
  }

  /** What stands for an outlier: the most frequent symbol. */
  function filler(): number {
    if (best.outliers === 0) return 0
    if (best.curve >= 0) return best.bins >> 1
    module.countSymbols(header.count, coded.shift)
    let symbol = 0
    for (let s = 1; s < best.bins; s++) if (counts[s]! > counts[symbol]!) symbol = s
    if (!best.repeats) return symbol
    return counts[counted.zeros]! >= counts[symbol]! ? 0 : symbol + 1
  }

  return { planDecimals, planBits, put }
}

const curveSymbolsMax = 2 * curveReachMax + 1

/** c log2 c: what c symbols of c take in all. */
const countBits = Float64Array.from({ length: blockRowsMax + 1 }, (_, c) => (c === 0 ? 0 : c * Math.log2(c)))

const bitLength = (value: bigint): number => {
  const high = Number(value >> 32n)
  return high === 0 ? 32 - Math.clz32(Number(value)) : 64 - Math.clz32(high)
}
