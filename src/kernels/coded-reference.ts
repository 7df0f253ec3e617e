/**
 * The loops of coded blocks in plain TypeScript: the readable form of `assembly/coded.ts` and `assembly/coded-encode.ts`,
 * and what they are tested against. 64-bit residuals are bigints, which is slow and plain.
 *
 * The code is tANS (Duda, "Asymmetric numeral systems", arXiv:1311.2540, 2013, section 4). State s of 256 stands for a
 * symbol of frequency f and an x from f to 2 f - 1; the states that follow it are the x << bits in 256 to 511.
 */
import { packPlane, planeBytes, unpackPlane } from './codec-bitpack.ts'
import { powersOfTen } from './codec-format.ts'
import {
  type CodecRegions,
  type CodedFunctions,
  codeStates,
  codeTables,
  counted,
  dropMax,
  symbolsMax,
  wide,
} from './codec-module.ts'
import { blockRowsMax } from './kernels.ts'

/** Odd, so that it visits every state once. */
const spreadStep = 163
/** States take turns: that of row i is i mod 6. */
const lanes = 6
const samplesMax = 31
/** Orders are told apart by every fourth row of a block of so many. */
const thinnedRowsMin = 256

export function createCodedReference(
  memory: ArrayBuffer,
  regions: CodecRegions,
  bodyRegionBytes: number,
): CodedFunctions {
  const values = new Float64Array(memory, regions.valuesAt, blockRowsMax)
  const valueBits = new BigInt64Array(memory, regions.valuesAt, blockRowsMax)
  const integers = new Float64Array(memory, regions.integersAt, blockRowsMax)
  const body = new Uint8Array(memory, regions.bodyAt, bodyRegionBytes)
  const view = new DataView(memory, regions.bodyAt, bodyRegionBytes)
  const results = new Float64Array(memory, regions.resultsAt, 8)
  const wides = new BigInt64Array(memory, regions.wideAt, 8)
  const counts = new Uint32Array(memory, regions.countsAt, symbolsMax + 2)
  const frequencies = new Uint16Array(memory, regions.frequenciesAt, symbolsMax)
  const low = new Uint32Array(blockRowsMax)
  const high = new Uint32Array(blockRowsMax)
  const spanned = new BigInt64Array(blockRowsMax)
  const residuals = new BigInt64Array(blockRowsMax)
  const narrow = new Int32Array(blockRowsMax + 1)
  const symbolOf = new Uint8Array(blockRowsMax)
  // of each state: its symbol and x
  const tables = Array.from({ length: codeTables }, () => ({
    stateSymbols: new Uint8Array(codeStates),
    stateXs: new Uint16Array(codeStates),
  }))
  const encoder = { stateSymbols: new Uint8Array(codeStates), stateXs: new Uint16Array(codeStates) }

  function spreadSymbols(symbols: number, { stateSymbols, stateXs }: typeof encoder): void {
    let state = 0
    for (let symbol = 0; symbol < symbols; symbol++) {
      for (let left = frequencies[symbol]!; left > 0; left--) {
        stateSymbols[state] = symbol
        state = (state + spreadStep) & (codeStates - 1)
      }
    }
    const next = frequencies.slice()
    for (let s = 0; s < codeStates; s++) stateXs[s] = next[stateSymbols[s]!]!++
  }

  function unpackLow(packed: number, shift: number): void {
    unpackPlane(body, 0, low, packed, Math.min(shift, 32))
    if (shift > 32) unpackPlane(body, planeBytes(packed, 32), high, packed, shift - 32)
    else high.fill(0)
  }

  function residualOf(order: number, row: number): bigint {
    if (order === 0) return spanned[row]!
    if (order === 1) return BigInt.asIntN(64, spanned[row]! - spanned[row - 1]!)
    return BigInt.asIntN(64, spanned[row]! - 2n * spanned[row - 1]! + spanned[row - 2]!)
  }

  /** Running sums of residuals, as often as the order says. */
  function sumResiduals(count: number, order: number): void {
    if (order > 0) residuals[0] = 0n
    if (order === 2) residuals[1] = wides[wide.step]!
    for (let k = 0; k < order; k++) for (let i = 1; i < count; i++) residuals[i]! += residuals[i - 1]!
  }

  const functions: CodedFunctions = {
    spanIntegers(count, unit) {
      for (let i = 0; i < count; i++) spanned[i] = BigInt((integers[i]! - integers[0]!) / unit)
      wides[wide.step] = spanned[1]!
      return spanned.subarray(0, count).every(x => x === BigInt.asIntN(32, x)) ? 1 : 0
    },

    spanBits(count) {
      let all = 1n << BigInt(dropMax)
      for (let i = 0; i < count; i++) all |= valueBits[i]!
      let drop = 0n
      while (((all >> drop) & 1n) === 0n) drop++
      const ordered = (i: number): bigint => orderBits(valueBits[i]! >> drop, drop)
      for (let i = 0; i < count; i++) spanned[i] = ordered(i) - ordered(0)
      wides[wide.origin] = ordered(0)
      wides[wide.step] = spanned[1]!
      return Number(drop)
    },

    measureOrders(count) {
      const samples = Math.min(count - 2, samplesMax)
      for (let order = 0; order <= 2; order++) {
        const sample = BigInt64Array.from({ length: samples }, (_, k) =>
          residualOf(order, 2 + Math.floor((k * (count - 2)) / samples)),
        )
        const center = sample.sort()[samples >> 1]!
        wides[order] = center
        results[order] = 0
        for (let i = 2; i < count; i += count < thinnedRowsMin ? 1 : 4)
          results[order]! += distanceBits(residualOf(order, i), center)
      }
    },

    difference(count, order) {
      for (let i = 0; i < count; i++) residuals[i] = residualOf(order, Math.max(i, order))
      const kept = residuals.subarray(0, count)
      wides[wide.sum] = kept.reduce((sum, each) => BigInt.asIntN(64, sum + each), 0n)
      wides[wide.least] = kept.reduce((least, each) => (each < least ? each : least))
      wides[wide.greatest] = kept.reduce((greatest, each) => (each > greatest ? each : greatest))
    },

    countLengths(count) {
      counts.fill(0)
      for (let i = 0; i < count; i++) counts[distanceBits(residuals[i]!, wides[wide.base]!)]!++
    },

    countSymbols(count, shift) {
      counts.fill(0)
      for (let i = 0; i < count; i++) {
        if (residuals[i] === 0n) counts[counted.zeros]!++
        else {
          const symbol = BigInt.asUintN(64, residuals[i]! - wides[wide.base]!) >> BigInt(shift)
          counts[symbol < symbolsMax ? Number(symbol) : counted.beyond]!++
        }
      }
    },

    splitResiduals(count, shift, symbols, first, filler, isWide) {
      counts.fill(0)
      const outlierRows: number[] = []
      let packed = 0
      for (let i = 0; i < count; i++) {
        const distance = BigInt.asUintN(64, residuals[i]! - wides[wide.base]!)
        const range = BigInt(first) + (distance >> BigInt(shift))
        const repeats = first === 1 && residuals[i] === 0n
        const isOutlier = !repeats && range >= symbols
        if (isOutlier) outlierRows.push(i)
        const symbol = repeats ? 0 : isOutlier ? filler : Number(range)
        symbolOf[i] = symbol
        counts[symbol]!++
        if (symbol < first) continue
        const bits = isOutlier ? 0n : BigInt.asUintN(shift, distance)
        low[packed] = Number(BigInt.asUintN(32, bits))
        high[packed] = Number(bits >> 32n)
        packed++
      }
      packPlane(low, body, 0, packed, Math.min(shift, 32))
      let at = planeBytes(packed, Math.min(shift, 32))
      if (shift > 32) {
        packPlane(high, body, at, packed, shift - 32)
        at += planeBytes(packed, shift - 32)
      }
      for (const [k, row] of outlierRows.entries()) {
        view.setUint16(at + 2 * k, row, true)
        const to = at + 2 * outlierRows.length
        if (isWide === 1) view.setBigInt64(to + 8 * k, residuals[row]!, true)
        else view.setInt32(to + 4 * k, Number(BigInt.asIntN(32, residuals[row]!)), true)
      }
      results[0] = packed
      results[1] = outlierRows.length
    },

    encodeSymbols(count, offset, symbols) {
      spreadSymbols(symbols, encoder)
      const { stateSymbols, stateXs } = encoder
      const stateOf = Array.from(frequencies, () => new Uint8Array(codeStates))
      for (let s = 0; s < codeStates; s++) {
        const symbol = stateSymbols[s]!
        stateOf[symbol]![stateXs[s]! - frequencies[symbol]!] = s
      }
      const lane = new Uint8Array(lanes)
      const steps: { value: number; bits: number }[] = new Array(count)
      for (let i = count - 1; i >= 0; i--) {
        const symbol = symbolOf[i]!
        const x = codeStates + lane[i % lanes]!
        let bits = 0
        while (x >> bits >= 2 * frequencies[symbol]!) bits++
        steps[i] = { value: x & ((1 << bits) - 1), bits }
        lane[i % lanes] = stateOf[symbol]![(x >> bits) - frequencies[symbol]!]!
      }
      body.set(lane, offset)
      let at = 8 * (offset + lanes)
      body.fill(0, offset + lanes, offset + lanes + count + 1)
      for (const { value, bits } of steps) {
        for (let k = 0; k < bits; k++, at++) body[at >> 3]! |= ((value >> k) & 1) << (at & 7)
      }
      return ((at + 7) >> 3) - offset
    },

    buildDecoder(symbols, table) {
      spreadSymbols(symbols, tables[table]!)
    },

    decodeSymbols(count, offset, length, table) {
      const { stateSymbols, stateXs } = tables[table]!
      const lane = body.slice(offset, offset + lanes)
      let at = 8 * (offset + lanes)
      for (let i = 0; i < count; i++) {
        const state = lane[i % lanes]!
        symbolOf[i] = stateSymbols[state]!
        const bits = Math.clz32(stateXs[state]!) - Math.clz32(codeStates)
        let next = stateXs[state]! << bits
        for (let k = 0; k < bits; k++, at++) next |= ((body[at >> 3]! >> (at & 7)) & 1) << k
        lane[i % lanes] = next - codeStates
      }
      return lane.every(state => state === 0) && (at + 7) >> 3 === offset + length ? 1 : 0
    },

    joinNarrow(count, shift, base) {
      unpackLow(count, shift)
      for (let i = 0; i < count; i++) narrow[i] = base + ((symbolOf[i]! << shift) | low[i]!)
    },

    joinNarrowRepeats(count, shift, base, repeats) {
      unpackLow(count - repeats, shift)
      let next = 0
      for (let i = 0; i < count; i++) {
        const symbol = symbolOf[i]!
        narrow[i] = symbol === 0 ? 0 : base + (((symbol - 1) << shift) | low[next++]!)
      }
      return next === count - repeats ? 1 : 0
    },

    joinWide(count, shift, repeats) {
      unpackLow(count - repeats, shift)
      const first = repeats > 0 ? 1 : 0
      let next = 0
      for (let i = 0; i < count; i++) {
        const symbol = symbolOf[i]!
        if (symbol < first) residuals[i] = 0n
        else {
          const bits = BigInt(low[next] ?? 0) | (BigInt(high[next] ?? 0) << 32n)
          residuals[i] = wides[wide.base]! + ((BigInt(symbol - first) << BigInt(shift)) | bits)
          next++
        }
      }
      return next === count - repeats ? 1 : 0
    },

    patchResiduals(offset, outliers, count, isWide) {
      const from = offset + 2 * outliers
      for (let k = 0; k < outliers; k++) {
        const row = view.getUint16(offset + 2 * k, true)
        if (row >= count) return 0
        if (isWide === 1) residuals[row] = view.getBigInt64(from + 8 * k, true)
        else narrow[row] = view.getInt32(from + 4 * k, true)
      }
      return 1
    },

    sumNarrow(count, order, step, exponent, origin, unit) {
      if (order > 0) narrow[0] = 0
      if (order === 2) narrow[1] = step
      for (let k = 0; k < order; k++) for (let i = 1; i < count; i++) narrow[i]! += narrow[i - 1]!
      const scale = powersOfTen[exponent]!
      for (let i = 0; i < count; i++) values[i] = (origin + unit * narrow[i]!) / scale
    },

    joinSums(count, shift, base, exponent, origin, unit) {
      functions.joinNarrow(count, shift, base)
      functions.sumNarrow(count, 1, 0, exponent, origin, unit)
    },

    sumWide(count, order, exponent, origin, unit) {
      sumResiduals(count, order)
      const scale = powersOfTen[exponent]!
      for (let i = 0; i < count; i++) values[i] = (origin + unit * Number(residuals[i]!)) / scale
    },

    sumBits(count, order, drop) {
      sumResiduals(count, order)
      for (let i = 0; i < count; i++) {
        const x = BigInt.asIntN(64, wides[wide.origin]! + residuals[i]!)
        valueBits[i] = orderBits(x, BigInt(drop)) << BigInt(drop)
      }
    },
  }
  return functions
}

function distanceBits(residual: bigint, center: bigint): number {
  const distance = BigInt.asIntN(64, residual - center)
  return distance === 0n ? 0 : (distance < 0n ? -distance : distance).toString(2).length
}

/** Bits of doubles without `drop` low ones, made to ascend as the doubles do; and back again. */
const orderBits = (bits: bigint, drop: bigint): bigint => (bits < 0n ? bits ^ ((1n << (63n - drop)) - 1n) : bits)
