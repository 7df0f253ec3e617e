/**
 * Block codec: decides how a block is written, and reads it back. The loops are the module's (`codec-module.ts`).
 *
 *   encode  rows -> integers (times as they are, decimals scaled) -> smallest of the candidates -> header, packed body
 *   dense   the same with one candidate more, a coded block (`coded-plan.ts`)
 *   decode  header, checked -> body -> rows, exceptions put over them
 *
 * Invariants:
 * 1. Every sum, difference and quotient between integers is exact: they differ by less than 2^52, are at most 9e15, and
 *    units divide them. What is not so is written raw. So decoding repeats the encoder's numbers to the bit.
 * 2. Of the candidates the smallest is written, but delta must save half a bit a row and a coded block a 32nd: others decode faster.
 * 3. Nothing is read beyond `[at, at + length)` and nothing written beyond the rows of the block.
 */
import { assert } from '../lib/assert.ts'
import { packedBytes } from './codec-bitpack.ts'
import {
  blockMode,
  bodyBytes,
  constantBytes,
  headerBytes,
  newHeader,
  powersOfTen,
  rawBytes,
  readHeader,
  runsBytes,
  writeHeader,
} from './codec-format.ts'
import { type CodecModule, restartsMax, widthMax } from './codec-module.ts'
import { createCodedDecoder } from './coded-decode.ts'
import { codedExceptionsAt } from './coded-format.ts'
import { createCodedPlanner } from './coded-plan.ts'
import { BlockError, blockRowsMax, type Kernels, type Summary } from './kernels.ts'

type Codec = Pick<
  Kernels,
  | 'encodeTimes'
  | 'encodeDenseTimes'
  | 'decodeTimes'
  | 'encodeValues'
  | 'encodeDenseValues'
  | 'decodeValues'
  | 'summarizeBlock'
>

/** Integers of one block differ by less. */
const rangeMax = 2 ** 52
/** Distances below sum up exactly over a block. */
const summableMax = 2 ** 42
/** A double's integers are exact up to here. */
const exactMax = 2 ** 53
/** Up to this many elements, a loop copies faster than a view and `set`. */
const loopCopyMax = 24
/** A coded block must save one part in 32, for it is decoded slower. */
const codedGainShift = 5
/** A shorter block is never coded: the header would eat up what that saves. */
const codedRowsMin = 32
/** What `summarizePacked` adds up without overflow. */
const packedSummaryWidthMax = 24

export function createCodec(module: CodecModule): Codec {
  const { memory, bodyAt, valuesAt } = module
  const bytesOf = new Uint8Array(memory)
  const values = new Float64Array(memory, valuesAt, blockRowsMax)
  const integers = new Float64Array(memory, module.integersAt, blockRowsMax)
  const results = new Float64Array(memory, module.resultsAt, 8)
  const bounds = new Uint32Array(memory, module.boundsAt, 2)
  const summary = new Float64Array(memory, module.summariesAt, 5)
  const restartPositions = new Uint32Array(memory, module.restartPositionsAt, restartsMax)
  const restartValues = new Float64Array(memory, module.restartValuesAt, restartsMax)
  /** Views of the first n values, made when first needed: at most `blockRowsMax`. */
  const firstValues: (Float64Array | undefined)[] = new Array(blockRowsMax + 1).fill(undefined)
  const decoded = newHeader()
  let candidate = newHeader()
  let best = newHeader()
  let bestBytes = 0
  const coded = createCodedPlanner(module)
  const decodeCoded = createCodedDecoder(module)

  // ---- encode: rows to integers -------------------------------------------------------------------------------------

  function encodeTimes(times: Float64Array, from: number, count: number, out: Uint8Array, at: number): number {
    return encodeClock(times, from, count, out, at, false)
  }

  function encodeDenseTimes(times: Float64Array, from: number, count: number, out: Uint8Array, at: number): number {
    return encodeClock(times, from, count, out, at, count >= codedRowsMin)
  }

  function encodeClock(
    times: Float64Array,
    from: number,
    count: number,
    out: Uint8Array,
    at: number,
    mayBeCoded: boolean,
  ): number {
    checkRows(times, from, count)
    copyRows(times, from, count, integers)
    const bytes = module.checkTimes(count) === 1 ? planIntegers(count, 0, 0, true) : Number.POSITIVE_INFINITY
    if (bytes >= rawBytes(count)) return putRaw(times, from, count, out, at)
    // evenly spaced times are as small as can be
    if (mayBeCoded && best.width > 0) {
      const length = putCoded(coded.planDecimals(count, 0, 0, best.unit), bytes, out, at)
      if (length > 0) return length
    }
    return putPlan(out, at)
  }

  function encodeValues(rows: Float64Array, from: number, count: number, out: Uint8Array, at: number): number {
    return encodeNumbers(rows, from, count, out, at, false)
  }

  function encodeDenseValues(rows: Float64Array, from: number, count: number, out: Uint8Array, at: number): number {
    return encodeNumbers(rows, from, count, out, at, count >= codedRowsMin)
  }

  function encodeNumbers(
    rows: Float64Array,
    from: number,
    count: number,
    out: Uint8Array,
    at: number,
    mayBeCoded: boolean,
  ): number {
    checkRows(rows, from, count)
    copyRows(rows, from, count, values)
    const runs = module.countRuns(count)
    if (runs === 1) return putConstant(count, out, at)
    const plainBytes = Math.min(rawBytes(count), runsBytes(runs))
    const exponent = module.scaleDecimals(count)
    const exceptions = exponent < 0 ? count : results[0]!
    const planBytes = exponent < 0 ? Number.POSITIVE_INFINITY : planIntegers(count, exponent, exceptions, false)
    const bytes = Math.min(planBytes, plainBytes)
    if (mayBeCoded) {
      const areDecimals = planBytes < Number.POSITIVE_INFINITY && exceptions <= count >> 3
      const about = areDecimals ? coded.planDecimals(count, exponent, exceptions, best.unit) : coded.planBits(count)
      const length = putCoded(about, bytes, out, at)
      if (length > 0) return length
    }
    if (planBytes < plainBytes) return putPlan(out, at)
    return plainBytes < rawBytes(count) ? putRuns(count, runs, out, at) : putRaw(rows, from, count, out, at)
  }

  // ---- encode: integers to a plan -----------------------------------------------------------------------------------

  /** Leaves the smallest way to write `integers` in `best`; returns its bytes, Infinity when there is none. */
  function planIntegers(count: number, exponent: number, exceptions: number, mayBeLine: boolean): number {
    module.scanIntegers(count)
    const min = results[0]!
    const range = results[1]! - min
    const deltaMin = count === 1 ? 0 : results[2]!
    const deltaMax = count === 1 ? 0 : results[3]!
    const riseMin = results[4]!
    const falls = results[5]!
    bestBytes = Number.POSITIVE_INFINITY
    if (range >= rangeMax) return bestBytes
    const first = integers[0]!
    const even = deltaMin === deltaMax
    const unit = even ? Math.abs(deltaMin) || 1 : module.commonUnit(count)
    for (const header of [candidate, best]) {
      header.count = count
      header.exponent = exponent
      header.exceptions = exceptions
      header.unit = unit
      header.restarts = 0
    }
    if (even) {
      considerDelta(0, first, deltaMin / unit, 0)
      return bestBytes
    }

    considerFrame(bitWidth(range / unit), min)
    if (mayBeLine && falls === 0) considerLine(count, first, range, unit)
    // half a bit a row, see invariant 2
    const allowance = count >> 4
    const width = bitWidth((deltaMax - deltaMin) / unit)
    considerDelta(width, first, deltaMin / unit, allowance)
    if (falls > 0 && falls < count - 1 && falls <= restartsMax) {
      const risingWidth = bitWidth((deltaMax - riseMin) / unit)
      if (risingWidth < width && packedBytes(count, risingWidth) + 2 * falls + allowance < bestBytes) {
        module.findRestarts(count, unit)
        candidate.restartPositions.set(restartPositions)
        candidate.restartValues.set(restartValues)
        candidate.restarts = falls
        considerDelta(risingWidth, first, riseMin / unit, allowance)
        candidate.restarts = 0
      }
    }
    return bestBytes
  }

  function considerFrame(width: number, origin: number): void {
    if (width > widthMax) return
    candidate.mode = blockMode.frame
    candidate.width = width
    candidate.origin = origin
    consider(0)
  }

  function considerDelta(width: number, origin: number, step: number, allowance: number): void {
    if (width > 32) return
    candidate.mode = blockMode.delta
    candidate.width = width
    candidate.origin = origin
    candidate.step = step
    consider(width === 0 ? 0 : allowance)
  }

  /** A clock that ticks evenly on the whole: rows lie along a line, whose slope need not be whole. */
  function considerLine(count: number, first: number, range: number, unit: number): void {
    const slope = lineSlope(count, first, range, unit)
    module.lineResiduals(count, unit, slope)
    const residualMin = results[0]!
    const spread = results[1]! - residualMin
    const width = bitWidth(spread)
    const origin = first + unit * residualMin
    if (width > 32 || unit * spread >= rangeMax / 2 || Math.abs(origin) >= exactMax) return
    candidate.mode = blockMode.line
    candidate.width = width
    candidate.origin = origin
    candidate.slope = slope
    consider(0)
  }

  /** From the means of both halves, which jitter moves less than it moves the ends; units a row. */
  function lineSlope(count: number, first: number, range: number, unit: number): number {
    if (range >= summableMax) return (integers[count - 1]! - first) / (count - 1) / unit
    module.halfSums(count)
    const half = count >> 1
    return (results[1]! - results[0]!) / half / (count - half) / unit
  }

  /** Keeps the candidate if it is smaller than the best by more than the allowance. */
  function consider(allowance: number): void {
    const bytes = headerBytes(candidate) + bodyBytes(candidate)
    if (bytes + allowance >= bestBytes) return
    const spare = best
    best = candidate
    candidate = spare
    bestBytes = bytes
  }

  // ---- encode: bytes ------------------------------------------------------------------------------------------------

  function putPlan(out: Uint8Array, at: number): number {
    const { mode, count, width, origin, unit, exceptions } = best
    if (mode === blockMode.frame) module.packFrame(count, width, origin, unit)
    else if (mode === blockMode.line) module.packLine(count, width, origin, unit, best.slope)
    else if (width > 0) module.packDelta(count, width, unit, best.step, best.restarts > 0 ? 1 : 0)
    if (exceptions > 0) module.putExceptions(packedBytes(count, width), exceptions)
    assert(at + bestBytes <= out.length, 'no room for the block')
    const body = writeHeader(out, at, best)
    const length = at + bestBytes - body
    copyBytes(bytesOf, bodyAt, length, out, body)
    return bestBytes
  }

  /** Writes the coded block that was planned, if it takes fewer bytes; returns them, or 0 and nothing is written. */
  function putCoded(about: number, bytes: number, out: Uint8Array, at: number): number {
    if (about + (bytes >> codedGainShift) >= bytes) return 0
    const { header, bodyLength } = coded.put()
    const length = headerBytes(header) + bodyLength
    if (length >= bytes) return 0
    assert(at + length <= out.length, 'no room for the block')
    copyBytes(bytesOf, bodyAt, bodyLength, out, writeHeader(out, at, header))
    return length
  }

  function putConstant(count: number, out: Uint8Array, at: number): number {
    assert(at + constantBytes <= out.length, 'no room for the block')
    candidate.mode = blockMode.constant
    candidate.count = count
    copyBytes(bytesOf, valuesAt, 8, out, writeHeader(out, at, candidate))
    return constantBytes
  }

  function putRuns(count: number, runs: number, out: Uint8Array, at: number): number {
    const length = runsBytes(runs)
    assert(at + length <= out.length, 'no room for the block')
    candidate.mode = blockMode.runs
    candidate.count = count
    candidate.runs = runs
    module.putRuns(count, runs)
    copyBytes(bytesOf, bodyAt, 10 * runs, out, writeHeader(out, at, candidate))
    return length
  }

  function putRaw(rows: Float64Array, from: number, count: number, out: Uint8Array, at: number): number {
    const length = rawBytes(count)
    assert(at + length <= out.length, 'no room for the block')
    candidate.mode = blockMode.raw
    candidate.count = count
    const body = writeHeader(out, at, candidate)
    out.set(new Uint8Array(rows.buffer, rows.byteOffset + 8 * from, 8 * count), body)
    return length
  }

  // ---- decode -------------------------------------------------------------------------------------------------------

  function decode(bytes: Uint8Array, at: number, length: number, out: Float64Array, outAt: number): number {
    assert(outAt >= 0, 'rows begin at 0')
    const body = readHeader(bytes, at, length, decoded)
    const { count } = decoded
    if (outAt + count > out.length) throw new BlockError(`block has ${count} rows, more than there is room for`)
    decodeBody(bytes, body, at + length - body)
    if (count <= loopCopyMax) for (let i = 0; i < count; i++) out[outAt + i] = values[i]!
    else out.set((firstValues[count] ??= values.subarray(0, count)), outAt)
    return count
  }

  /** Decodes the body at `bytes[body, body + length)`, whose header is in `decoded`, to `values`. */
  function decodeBody(bytes: Uint8Array, body: number, length: number): void {
    const { mode, count, width, exponent, origin, unit, exceptions } = decoded
    copyBytes(bytes, body, length, bytesOf, mode === blockMode.raw ? valuesAt : bodyAt)
    switch (mode) {
      case blockMode.raw:
        return
      case blockMode.constant:
        module.fillConstant(count)
        return
      case blockMode.runs:
        if (module.expandRuns(count, decoded.runs) === 0) throw new BlockError('block has runs of the wrong lengths')
        return
      case blockMode.line:
        module.unpackLine(count, width, origin, unit, decoded.slope)
        return
      case blockMode.frame:
        module.unpackFrame(count, width, exponent, origin, unit)
        break
      case blockMode.delta:
        for (let k = 0; k < decoded.restarts; k++) {
          restartPositions[k] = decoded.restartPositions[k]!
          restartValues[k] = decoded.restartValues[k]!
        }
        module.unpackDelta(count, width, exponent, origin, unit, decoded.step, decoded.restarts)
        break
      case blockMode.coded:
        decodeCoded(decoded, length)
        break
    }
    const exceptionsAt = mode === blockMode.coded ? codedExceptionsAt(decoded) : packedBytes(count, width)
    if (exceptions > 0 && module.patchExceptions(exceptionsAt, exceptions, count) === 0) {
      throw new BlockError('block has an exception beyond its rows')
    }
  }

  /** From the header alone where rows are one value or evenly spaced, from the packed form of a frame, else decoded. */
  function summarizeBlock(bytes: Uint8Array, at: number, length: number, into: Summary): void {
    const body = readHeader(bytes, at, length, decoded)
    const { mode, count, width, origin, unit } = decoded
    const plain = decoded.exceptions === 0 && decoded.restarts === 0
    into.count = count
    into.nanCount = 0
    if (mode === blockMode.constant) {
      copyBytes(bytes, body, 8, bytesOf, valuesAt)
      const value = values[0]!
      const missing = Number.isNaN(value)
      into.nanCount = missing ? count : 0
      into.min = missing ? Number.POSITIVE_INFINITY : value + 0
      into.max = missing ? Number.NEGATIVE_INFINITY : value + 0
      into.sum = value * count + 0
    } else if (mode === blockMode.delta && width === 0 && plain) {
      const scale = powersOfTen[decoded.exponent]!
      const last = origin + unit * decoded.step * (count - 1)
      into.min = Math.min(origin, last) / scale
      into.max = Math.max(origin, last) / scale
      into.sum = ((origin + last) * (count / 2)) / scale
    } else if (mode === blockMode.frame && width <= packedSummaryWidthMax && plain) {
      copyBytes(bytes, body, at + length - body, bytesOf, bodyAt)
      module.summarizePacked(count, width)
      const scale = powersOfTen[decoded.exponent]!
      into.min = (origin + unit * results[1]!) / scale
      into.max = (origin + unit * results[2]!) / scale
      into.sum = (origin * count + unit * results[0]!) / scale
    } else {
      decodeBody(bytes, body, at + length - body)
      bounds[0] = 0
      bounds[1] = count
      module.summarizeRuns(1, 0)
      into.nanCount = summary[1]!
      into.min = summary[2]!
      into.max = summary[3]!
      into.sum = summary[4]!
    }
  }

  return {
    encodeTimes,
    encodeDenseTimes,
    decodeTimes: decode,
    encodeValues,
    encodeDenseValues,
    decodeValues: decode,
    summarizeBlock,
  }
}

function checkRows(rows: Float64Array, from: number, count: number): void {
  assert(count >= 1 && count <= blockRowsMax, 'a block holds 1 to 1,024 rows')
  assert(from >= 0 && from + count <= rows.length, 'rows lie within their array')
}

/** Bits of the whole number `value`; 64 when it is beyond a double's exact integers. */
function bitWidth(value: number): number {
  if (value < 4294967296) return 32 - Math.clz32(value)
  return value < exactMax ? 64 - Math.clz32(Math.floor(value / 4294967296)) : 64
}

function copyRows(rows: Float64Array, from: number, count: number, to: Float64Array): void {
  if (count <= loopCopyMax) for (let i = 0; i < count; i++) to[i] = rows[from + i]!
  else to.set(rows.subarray(from, from + count))
}

function copyBytes(from: Uint8Array, at: number, count: number, to: Uint8Array, toAt: number): void {
  if (count <= loopCopyMax) for (let i = 0; i < count; i++) to[toAt + i] = from[at + i]!
  else to.set(from.subarray(at, at + count), toAt)
}
