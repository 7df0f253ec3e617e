/**
 * The header of an encoded block: `docs/format/blocks.md` in code. Nothing else knows where its bytes lie.
 *
 *   u16 count - 1 and mode | fields of the mode | body
 *
 * Invariants:
 * 1. A header that `readHeader` accepts describes a body of exactly the bytes that follow it, within `length`, and every
 *    field is in its range: the loops that follow need no checks of size. (A code's stream has at most a byte a row.)
 * 2. `headerBytes` is what `writeHeader` writes.
 */
import { cursor, numberBytes, readCount, readNumber, writeNumber } from './block-numbers.ts'
import { packedBytes } from './codec-bitpack.ts'
import { exponentMax, restartsMax, widthMax } from './codec-module.ts'
import {
  type CodedBlock,
  codedExceptionsAt,
  codedHeaderBytes,
  newCodedFields,
  readCodedFields,
  streamBytesMin,
  writeCodedFields,
} from './coded-format.ts'
import { BlockError, blockRowsMax } from './kernels.ts'

export const blockMode = {
  /** The values as they are. */
  raw: 0,
  /** One value, `count` times. */
  constant: 1,
  /** Runs of equal values. */
  runs: 2,
  /** Integers as distances from the least. */
  frame: 3,
  /** Integers as distances from the one before. */
  delta: 4,
  /** Integers as distances from a straight line. */
  line: 5,
  /** Residuals of integers, or of the bits of doubles: an entropy code of their high bits, the low ones packed. */
  coded: 6,
} as const
export type BlockMode = (typeof blockMode)[keyof typeof blockMode]

/** Reused from call to call; which fields hold something depends on the mode. */
export interface BlockHeader extends CodedBlock {
  mode: BlockMode
  /** runs: how many. */
  runs: number
  /** frame, delta, line: bits of a packed value. */
  width: number
  /** delta: rows that do not follow from the one before, with their distance from the origin in units. */
  restarts: number
  readonly restartPositions: Uint32Array
  readonly restartValues: Float64Array
  /** line: units a row. */
  slope: number
}

export const newHeader = (): BlockHeader => ({
  mode: blockMode.raw,
  count: 0,
  runs: 0,
  width: 0,
  exponent: 0,
  exceptions: 0,
  origin: 0,
  unit: 1,
  step: 0,
  restarts: 0,
  restartPositions: new Uint32Array(restartsMax),
  restartValues: new Float64Array(restartsMax),
  slope: 0,
  coded: newCodedFields(),
})

/** Exact doubles: a decimal is its integer divided by one of them. */
export const powersOfTen = new Float64Array([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
])

export const rawBytes = (count: number): number => 2 + 8 * count
export const constantBytes = 2 + 8
export const runsBytes = (runs: number): number => 2 + numberBytes(runs) + 10 * runs
/** u16 row and f64 value. */
export const exceptionBytes = 10

/** Of a coded block, without its stream: that is the rest of the block. */
export function bodyBytes(header: BlockHeader): number {
  const { mode, count } = header
  if (mode === blockMode.coded) return codedExceptionsAt(header) + header.exceptions * exceptionBytes
  if (mode === blockMode.raw) return 8 * count
  if (mode === blockMode.constant) return 8
  if (mode === blockMode.runs) return 10 * header.runs
  return packedBytes(count, header.width) + header.exceptions * exceptionBytes
}

export function headerBytes(header: BlockHeader): number {
  const { mode } = header
  if (mode === blockMode.raw || mode === blockMode.constant) return 2
  if (mode === blockMode.runs) return 2 + numberBytes(header.runs)
  if (mode === blockMode.coded) return codedHeaderBytes(header)
  let bytes = 4 + numberBytes(header.origin) + numberBytes(header.unit)
  if (mode === blockMode.line) return bytes + 8
  if (mode === blockMode.delta) bytes += numberBytes(header.step)
  if (header.exceptions > 0) bytes += numberBytes(header.exceptions)
  if (header.restarts > 0) bytes += restartBytes(header)
  return bytes
}

function restartBytes({ restarts, restartPositions, restartValues }: BlockHeader): number {
  let bytes = numberBytes(restarts)
  let row = 0
  for (let k = 0; k < restarts; k++) {
    bytes += numberBytes(restartPositions[k]! - row) + numberBytes(restartValues[k]!)
    row = restartPositions[k]!
  }
  return bytes
}

const hasExceptions = 0x10
const hasRestarts = 0x20

/** Writes the header at `out[at…]`; returns where the body begins. */
export function writeHeader(out: Uint8Array, at: number, header: BlockHeader): number {
  const { mode } = header
  const prefix = (header.count - 1) | (mode << 10)
  out[at] = prefix & 0xff
  out[at + 1] = prefix >> 8
  if (mode === blockMode.raw || mode === blockMode.constant) return at + 2
  if (mode === blockMode.runs) return writeNumber(out, at + 2, header.runs)
  if (mode === blockMode.coded) return writeCodedFields(out, at + 2, header)
  out[at + 2] = header.width
  out[at + 3] = header.exponent | (header.exceptions > 0 ? hasExceptions : 0) | (header.restarts > 0 ? hasRestarts : 0)
  let next = writeNumber(out, at + 4, header.origin)
  next = writeNumber(out, next, header.unit)
  if (mode === blockMode.line) {
    doubles[0] = header.slope
    out.set(doubleBytes, next)
    return next + 8
  }
  if (mode === blockMode.delta) next = writeNumber(out, next, header.step)
  if (header.exceptions > 0) next = writeNumber(out, next, header.exceptions)
  if (header.restarts > 0) {
    next = writeNumber(out, next, header.restarts)
    let row = 0
    for (let k = 0; k < header.restarts; k++) {
      next = writeNumber(out, next, header.restartPositions[k]! - row)
      next = writeNumber(out, next, header.restartValues[k]!)
      row = header.restartPositions[k]!
    }
  }
  return next
}

/** Reads and checks the header of the block at `bytes[at, at + length)`; returns where its body begins. */
export function readHeader(bytes: Uint8Array, at: number, length: number, header: BlockHeader): number {
  const end = at + length
  if (!(at >= 0 && length >= 2 && end <= bytes.length)) throw new BlockError('block is cut short')
  const prefix = bytes[at]! | (bytes[at + 1]! << 8)
  const mode = prefix >> 10
  if (mode > blockMode.coded) throw new BlockError(`block has unknown mode ${mode}`)
  header.mode = mode as BlockMode
  header.count = (prefix & (blockRowsMax - 1)) + 1
  header.exponent = 0
  header.exceptions = 0
  header.restarts = 0
  cursor.at = at + 2
  if (mode === blockMode.runs) header.runs = readCount(bytes, end, header.count)
  else if (mode === blockMode.coded) {
    readCodedFields(bytes, end, header)
    const stream = end - cursor.at - bodyBytes(header)
    if (stream < streamBytesMin || stream > streamBytesMin + header.count)
      throw new BlockError('block has the wrong length')
    return cursor.at
  } else if (mode >= blockMode.frame) readIntegerFields(bytes, end, header)
  if (end - cursor.at !== bodyBytes(header)) throw new BlockError('block has the wrong length')
  return cursor.at
}

function readIntegerFields(bytes: Uint8Array, end: number, header: BlockHeader): void {
  const { mode, count } = header
  if (end - cursor.at < 2) throw new BlockError('block is cut short')
  const width = bytes[cursor.at]!
  const flags = bytes[cursor.at + 1]!
  cursor.at += 2
  const flagsMax = mode === blockMode.frame ? 0x1f : mode === blockMode.delta ? 0x3f : 0
  if (flags > flagsMax || (flags & 0x0f) > exponentMax) throw new BlockError('block has unknown flags')
  if (width > (mode === blockMode.frame ? widthMax : 32)) throw new BlockError(`block has width ${width}`)
  header.width = width
  header.exponent = flags & 0x0f
  header.origin = readNumber(bytes, end)
  header.unit = readNumber(bytes, end)
  if (header.unit <= 0) throw new BlockError('block has no unit')
  if (mode === blockMode.line) {
    if (end - cursor.at < 8) throw new BlockError('block is cut short')
    for (let i = 0; i < 8; i++) doubleBytes[i] = bytes[cursor.at + i]!
    header.slope = doubles[0]!
    cursor.at += 8
    return
  }
  if (mode === blockMode.delta) header.step = readNumber(bytes, end)
  if ((flags & hasExceptions) !== 0) header.exceptions = readCount(bytes, end, count)
  if ((flags & hasRestarts) !== 0) {
    header.restarts = readCount(bytes, end, restartsMax)
    let row = 0
    for (let k = 0; k < header.restarts; k++) {
      row += readCount(bytes, end, count)
      if (row >= count) throw new BlockError('block restarts beyond its rows')
      header.restartPositions[k] = row
      header.restartValues[k] = readNumber(bytes, end)
    }
  }
}

const doubles = new Float64Array(1)
const doubleBytes = new Uint8Array(doubles.buffer)
