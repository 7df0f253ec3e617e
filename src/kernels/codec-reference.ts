/**
 * The codec's loops in plain TypeScript, over a memory of their own laid out like the WebAssembly module's: the
 * readable form of `assembly/encode.ts` and `assembly/decode.ts`, and what they are tested against.
 *
 * Invariant: every result has the same bits as the WebAssembly module's, including the order of floating-point
 * operations where they round. Values are moved as bits (u32 pairs), never through arithmetic.
 */

import { createReferenceLoops } from './aggregate-reference.ts'
import { packPlane, planeBytes, unpackPlane } from './codec-bitpack.ts'
import { powersOfTen } from './codec-format.ts'
import {
  type CodecFunctions,
  type CodecModule,
  type CodecRegions,
  type CodedFunctions,
  exponentMax,
  type OffsetFunctions,
  restartsMax,
  runsMax,
  sliceRowsMax,
  symbolsMax,
} from './codec-module.ts'
import { createCodedReference } from './coded-reference.ts'
import { blockRowsMax } from './kernels.ts'
import { createOffsetsReference } from './offsets-reference.ts'

type BlockFunctions = Omit<
  CodecFunctions,
  keyof CodedFunctions | keyof OffsetFunctions | 'summarizeRuns' | 'filterRows'
>

const timeMagnitudeMax = 9e15
const decimalMagnitudeMax = 2 ** 51
const samplesMax = 32
/** Adding and taking away 1.5 * 2^52 rounds a double below 2^51 to the nearest integer. */
const roundingMagic = 1.5 * 2 ** 52

export function createReferenceModule(): CodecModule {
  const regions = layOut()
  const memory = new ArrayBuffer(regions.end)
  const at = (offset: number, count: number) => new Float64Array(memory, offset, count)
  const values = at(regions.valuesAt, sliceRowsMax)
  const valueWords = new Uint32Array(memory, regions.valuesAt, 2 * blockRowsMax)
  const integers = at(regions.integersAt, blockRowsMax)
  const results = at(regions.resultsAt, 8)
  const restartPositions = new Uint32Array(memory, regions.restartPositionsAt, restartsMax)
  const restartValues = at(regions.restartValuesAt, restartsMax)
  const body = new Uint8Array(memory, regions.bodyAt, bodyRegionBytes)
  const bytes = new Uint8Array(memory)
  const low = new Uint32Array(blockRowsMax)
  const high = new Uint32Array(blockRowsMax)
  const exceptionRows = new Uint16Array(blockRowsMax)

  const sameBits = (row: number, other: number): boolean =>
    valueWords[2 * row] === valueWords[2 * other] && valueWords[2 * row + 1] === valueWords[2 * other + 1]

  const moveValue = (from: number, to: number): void => {
    bytes.copyWithin(to, from, from + 8)
  }
  const readU16 = (offset: number): number => body[offset]! | (body[offset + 1]! << 8)
  const writeU16 = (offset: number, value: number): void => {
    body[offset] = value & 0xff
    body[offset + 1] = value >> 8
  }

  /** The smallest exponent that makes most of a sample exact; -1 when that is less than half. */
  function chooseExponent(count: number): number {
    const samples = Math.min(count, samplesMax)
    let chosen = -1
    let most = 0
    for (let exponent = 0; exponent <= exponentMax && most < samples; exponent++) {
      let exact = 0
      for (let k = 0; k < samples; k++) {
        const value = values[Math.floor((k * count) / samples)]!
        if (isExact(value, toInteger(value, exponent), exponent)) exact++
      }
      if (exact > most) {
        chosen = exponent
        most = exact
      }
    }
    return most * 2 >= samples ? chosen : -1
  }

  /** An exception's integer repeats the one before it (the first good one, at the front), to cost no width. */
  function fillExceptions(exceptions: number): void {
    let firstGood = 0
    while (firstGood < exceptions && exceptionRows[firstGood] === firstGood) firstGood++
    const front = integers[firstGood]!
    for (let k = 0; k < exceptions; k++) {
      const row = exceptionRows[k]!
      integers[row] = row < firstGood ? front : integers[row - 1]!
    }
  }

  const functions: BlockFunctions = {
    countRuns(count) {
      let runs = 1
      for (let i = 1; i < count; i++) if (!sameBits(i, i - 1)) runs++
      return runs
    },

    putRuns(count, runs) {
      let run = 0
      let first = 0
      for (let i = 1; i <= count; i++) {
        if (i < count && sameBits(i, i - 1)) continue
        writeU16(2 * run, i - first)
        moveValue(regions.valuesAt + 8 * first, regions.bodyAt + 2 * runs + 8 * run)
        run++
        first = i
      }
    },

    checkTimes(count) {
      for (let i = 0; i < count; i++) {
        const time = integers[i]!
        if (!(Math.trunc(time) === time && Math.abs(time) <= timeMagnitudeMax) || Object.is(time, -0)) return 0
      }
      return 1
    },

    scaleDecimals(count) {
      const exponent = chooseExponent(count)
      if (exponent < 0) return -1
      let exceptions = 0
      for (let i = 0; i < count; i++) {
        const value = values[i]!
        const integer = toInteger(value, exponent)
        integers[i] = integer
        if (!isExact(value, integer, exponent)) exceptionRows[exceptions++] = i
      }
      if (exceptions > count >> 1) return -1
      fillExceptions(exceptions)
      results[0] = exceptions
      return exponent
    },

    putExceptions(offset, exceptions) {
      for (let k = 0; k < exceptions; k++) {
        const row = exceptionRows[k]!
        writeU16(offset + 2 * k, row)
        moveValue(regions.valuesAt + 8 * row, regions.bodyAt + offset + 2 * exceptions + 8 * k)
      }
    },

    scanIntegers(count) {
      let min = integers[0]!
      let max = min
      let deltaMin = Number.POSITIVE_INFINITY
      let deltaMax = Number.NEGATIVE_INFINITY
      let riseMin = Number.POSITIVE_INFINITY
      let falls = 0
      for (let i = 1; i < count; i++) {
        const integer = integers[i]!
        const delta = integer - integers[i - 1]!
        if (integer < min) min = integer
        if (integer > max) max = integer
        if (delta < deltaMin) deltaMin = delta
        if (delta > deltaMax) deltaMax = delta
        if (delta < 0) falls++
        else if (delta < riseMin) riseMin = delta
      }
      results.set([min, max, deltaMin, deltaMax, riseMin, falls])
    },

    commonUnit(count) {
      const first = integers[0]!
      let unit = 0
      for (let i = 1; i < count && unit !== 1; i++) {
        let distance = Math.abs(integers[i]! - first)
        if (unit !== 0 && Math.trunc(distance / unit) * unit === distance) continue
        while (distance !== 0) [unit, distance] = [distance, unit % distance]
      }
      return unit === 0 ? 1 : unit
    },

    halfSums(count) {
      const half = count >> 1
      const first = integers[0]!
      let early = 0
      let late = 0
      for (let i = 0; i < half; i++) {
        early += integers[i]! - first
        late += integers[count - half + i]! - first
      }
      results[0] = early
      results[1] = late
    },

    lineResiduals(count, unit, slope) {
      const first = integers[0]!
      let min = 0
      let max = 0
      for (let i = 1; i < count; i++) {
        const residual = (integers[i]! - first) / unit - Math.floor(i * slope)
        if (residual < min) min = residual
        if (residual > max) max = residual
      }
      results[0] = min
      results[1] = max
    },

    findRestarts(count, unit) {
      let found = 0
      for (let i = 1; i < count; i++) {
        if (integers[i]! >= integers[i - 1]!) continue
        restartPositions[found] = i
        restartValues[found] = (integers[i]! - integers[0]!) / unit
        found++
      }
    },

    packFrame(count, width, origin, unit) {
      for (let i = 0; i < count; i++) {
        const packed = (integers[i]! - origin) / unit
        low[i] = packed % 4294967296
        high[i] = packed / 4294967296
      }
      packPlane(low, body, 0, count, Math.min(width, 32))
      if (width > 32) packPlane(high, body, planeBytes(count, 32), count, width - 32)
    },

    packLine(count, width, origin, unit, slope) {
      for (let i = 0; i < count; i++) low[i] = (integers[i]! - origin) / unit - Math.floor(i * slope)
      packPlane(low, body, 0, count, width)
    },

    packDelta(count, width, unit, step, restarts) {
      low[0] = 0
      for (let i = 1; i < count; i++) {
        const delta = integers[i]! - integers[i - 1]!
        low[i] = restarts === 1 && delta < 0 ? 0 : delta / unit - step
      }
      packPlane(low, body, 0, count, width)
    },

    fillConstant(count) {
      for (let i = 0; i < count; i++) moveValue(regions.bodyAt, regions.valuesAt + 8 * i)
    },

    expandRuns(count, runs) {
      let row = 0
      for (let k = 0; k < runs; k++) {
        const end = row + readU16(2 * k)
        if (end > count) return 0
        for (; row < end; row++) moveValue(regions.bodyAt + 2 * runs + 8 * k, regions.valuesAt + 8 * row)
      }
      return row === count ? 1 : 0
    },

    patchExceptions(offset, exceptions, count) {
      for (let k = 0; k < exceptions; k++) {
        const row = readU16(offset + 2 * k)
        if (row >= count) return 0
        moveValue(regions.bodyAt + offset + 2 * exceptions + 8 * k, regions.valuesAt + 8 * row)
      }
      return 1
    },

    unpackFrame(count, width, exponent, origin, unit) {
      const scale = powersOfTen[exponent]!
      unpackPlane(body, 0, low, count, Math.min(width, 32))
      if (width <= 32) {
        for (let i = 0; i < count; i++) values[i] = (origin + unit * low[i]!) / scale
        return
      }
      unpackPlane(body, planeBytes(count, 32), high, count, width - 32)
      for (let i = 0; i < count; i++) values[i] = (origin + unit * (low[i]! + high[i]! * 4294967296)) / scale
    },

    unpackLine(count, width, origin, unit, slope) {
      unpackPlane(body, 0, low, count, width)
      for (let i = 0; i < count; i++) values[i] = origin + unit * (Math.floor(i * slope) + low[i]!)
    },

    unpackDelta(count, width, exponent, origin, unit, step, restarts) {
      const scale = powersOfTen[exponent]!
      unpackPlane(body, 0, low, count, width)
      let x = 0
      let restart = 0
      for (let i = 0; i < count; i++) {
        if (restart < restarts && restartPositions[restart] === i) x = restartValues[restart++]!
        else if (i > 0) x += step + low[i]!
        values[i] = (origin + unit * x) / scale
      }
    },

    summarizePacked(count, width) {
      unpackPlane(body, 0, low, count, width)
      let sum = 0
      let min = Number.POSITIVE_INFINITY
      let max = 0
      for (let i = 0; i < count; i++) {
        const packed = low[i]!
        sum += packed
        if (packed < min) min = packed
        if (packed > max) max = packed
      }
      results[0] = sum
      results[1] = min
      results[2] = max
    },
  }

  return {
    memory,
    ...regions,
    ...functions,
    ...createOffsetsReference(memory, regions),
    ...createCodedReference(memory, regions, bodyRegionBytes),
    ...createReferenceLoops(memory, regions),
  }
}

const toInteger = (value: number, exponent: number): number =>
  value * powersOfTen[exponent]! + roundingMagic - roundingMagic

const isExact = (value: number, integer: number, exponent: number): boolean =>
  Math.abs(integer) < decimalMagnitudeMax && Object.is(integer / powersOfTen[exponent]!, value)

const bodyRegionBytes = 18 * blockRowsMax + 1024

function layOut(): CodecRegions & { readonly end: number } {
  let end = 0
  const take = (bytes: number): number => {
    const at = end
    end += (bytes + 15) & ~15
    return at
  }
  const regions = {
    valuesAt: take(8 * sliceRowsMax),
    validAt: take(sliceRowsMax),
    integersAt: take(8 * blockRowsMax),
    bodyAt: take(bodyRegionBytes),
    restartPositionsAt: take(4 * restartsMax),
    restartValuesAt: take(8 * restartsMax),
    resultsAt: take(8 * 8),
    boundsAt: take(4 * (runsMax + 1)),
    summariesAt: take(5 * 8 * runsMax),
    selectedAt: take(4 * sliceRowsMax),
    wideAt: take(8 * 8),
    countsAt: take(4 * (symbolsMax + 2)),
    frequenciesAt: take(2 * symbolsMax),
  }
  return { ...regions, end }
}
