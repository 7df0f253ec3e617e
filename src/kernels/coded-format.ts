/**
 * The header of a coded block, after its count and mode: `docs/format/blocks.md` in code.
 *
 *   u8 exponent and flags | u8 order, shift | u8 symbols | origin, unit or drop, step, base | counts | levels or curve
 */
import { cursor, numberBytes, readCount, readNumber, writeNumber } from './block-numbers.ts'
import { isCurve } from './code-frequencies.ts'
import { packedBytes } from './codec-bitpack.ts'
import { dropMax, narrowShiftMax, outliersMax, shiftMax, symbolsMax, wide } from './codec-module.ts'
import { BlockError } from './kernels.ts'

/** What a coded block has in common with others, and what is its own. */
export interface CodedBlock {
  count: number
  /** frame, delta, coded: the integers are values times 10^exponent. */
  exponent: number
  exceptions: number
  /** The integer that packed values and x count from, and of which unit. */
  origin: number
  unit: number
  /** delta: what every row adds, in units; coded: what the second adds, unless it is wide. */
  step: number
  readonly coded: CodedFields
}

export interface CodedFields {
  /** How often differences are taken: 0, 1, 2. */
  order: number
  /** Bits of a residual that are packed; those above are its symbol. */
  shift: number
  symbols: number
  /** Arithmetic is modulo 2^64, not 2^32; origin of bits, step and base are then below. */
  wide: boolean
  /** Rows are the bits of doubles, in the order of their values, without `drop` low ones. */
  bits: boolean
  drop: number
  base: number
  /** Wide: i64 origin, step and base, as they lie in the module's memory. */
  readonly wides: Uint8Array<ArrayBuffer>
  outliers: number
  /** Residuals of 0 that are symbol 0 and have no low bits; 0: symbol 0 is like the others. */
  repeats: number
  /** Of each symbol how frequent it is, 0 to 15: see `code-frequencies.ts`. Not with a curve. */
  readonly levels: Uint8Array
  /** What says how frequent symbols are; -1: levels do. */
  curve: number
}

export const newCodedFields = (): CodedFields => ({
  order: 0,
  shift: 0,
  symbols: 0,
  wide: false,
  bits: false,
  drop: 0,
  base: 0,
  wides: new Uint8Array(24),
  outliers: 0,
  repeats: 0,
  levels: new Uint8Array(symbolsMax),
  curve: -1,
})

export const codedOutliersAt = ({ count, coded }: CodedBlock): number => packedBytes(count - coded.repeats, coded.shift)

export const codedExceptionsAt = (header: CodedBlock): number =>
  codedOutliersAt(header) + header.coded.outliers * (header.coded.wide ? 10 : 6)

/** States of the code, one byte each. */
export const streamBytesMin = 6

export function codedHeaderBytes({ origin, unit, exceptions, step, coded }: CodedBlock): number {
  let bytes = 5 + (coded.curve < 0 ? (coded.symbols + 1) >> 1 : 1)
  bytes += coded.bits ? 9 : numberBytes(origin) + numberBytes(unit)
  if (coded.order === 2) bytes += coded.wide ? 8 : numberBytes(step)
  bytes += coded.wide ? 8 : numberBytes(coded.base)
  if (exceptions > 0) bytes += numberBytes(exceptions)
  if (coded.outliers > 0) bytes += numberBytes(coded.outliers)
  if (coded.repeats > 0) bytes += numberBytes(coded.repeats)
  return bytes
}

const hasExceptions = 0x10
const hasOutliers = 0x20
const hasRepeats = 0x40
const isWide = 0x80
const isBits = 0x80
const hasCurve = 0x40

export function writeCodedFields(out: Uint8Array, at: number, header: CodedBlock): number {
  const { coded, exceptions } = header
  const { symbols, outliers, repeats, levels } = coded
  out[at] =
    header.exponent |
    (exceptions > 0 ? hasExceptions : 0) |
    (outliers > 0 ? hasOutliers : 0) |
    (repeats > 0 ? hasRepeats : 0) |
    (coded.wide ? isWide : 0)
  out[at + 1] = coded.order | (coded.shift << 2)
  out[at + 2] = (symbols - 1) | (coded.bits ? isBits : 0) | (coded.curve < 0 ? 0 : hasCurve)
  let next = at + 3
  if (coded.bits) {
    next = writeWide(out, next, coded, wide.origin)
    out[next++] = coded.drop
  } else {
    next = writeNumber(out, next, header.origin)
    next = writeNumber(out, next, header.unit)
  }
  if (coded.order === 2)
    next = coded.wide ? writeWide(out, next, coded, wide.step) : writeNumber(out, next, header.step)
  next = coded.wide ? writeWide(out, next, coded, wide.base) : writeNumber(out, next, coded.base)
  if (exceptions > 0) next = writeNumber(out, next, exceptions)
  if (outliers > 0) next = writeNumber(out, next, outliers)
  if (repeats > 0) next = writeNumber(out, next, repeats)
  if (coded.curve >= 0) out[next++] = coded.curve
  else for (let s = 0; s < symbols; s += 2) out[next++] = levels[s]! | (s + 1 < symbols ? levels[s + 1]! << 4 : 0)
  return next
}

export function readCodedFields(bytes: Uint8Array, end: number, header: CodedBlock): void {
  const { coded, count } = header
  if (end - cursor.at < 3) throw new BlockError('block is cut short')
  const flags = bytes[cursor.at]!
  const split = bytes[cursor.at + 1]!
  const alphabet = bytes[cursor.at + 2]!
  cursor.at += 3
  coded.wide = (flags & isWide) !== 0
  const bits = (alphabet & isBits) !== 0
  coded.bits = bits
  coded.order = split & 3
  coded.shift = split >> 2
  coded.symbols = (alphabet & (symbolsMax - 1)) + 1
  header.exponent = flags & 0x0f
  const curved = (alphabet & hasCurve) !== 0
  const unknown =
    coded.order === 3 ||
    (bits && (!coded.wide || (flags & 0x1f) !== 0)) ||
    (curved && ((flags & hasRepeats) !== 0 || coded.symbols < 3 || coded.symbols % 2 === 0))
  if (unknown) throw new BlockError('block has unknown flags')
  if (coded.shift > (coded.wide ? shiftMax : narrowShiftMax)) throw new BlockError(`block has shift ${coded.shift}`)
  if (bits) {
    readWide(bytes, end, coded, wide.origin)
    coded.drop = cursor.at < end ? bytes[cursor.at++]! : dropMax + 1
    if (coded.drop > dropMax) throw new BlockError('block drops too many bits')
  } else {
    header.origin = readNumber(bytes, end)
    header.unit = readNumber(bytes, end)
    if (header.unit <= 0) throw new BlockError('block has no unit')
  }
  if (coded.order === 2) {
    if (coded.wide) readWide(bytes, end, coded, wide.step)
    else header.step = readNarrow(bytes, end)
  }
  if (coded.wide) readWide(bytes, end, coded, wide.base)
  else coded.base = readNarrow(bytes, end)
  if ((flags & hasExceptions) !== 0) header.exceptions = readCount(bytes, end, count)
  coded.outliers = (flags & hasOutliers) !== 0 ? readCount(bytes, end, Math.min(count, outliersMax)) : 0
  coded.repeats = (flags & hasRepeats) !== 0 ? readCount(bytes, end, count) : 0
  if (curved) readCurve(bytes, end, coded)
  else readLevels(bytes, end, coded)
}

function readCurve(bytes: Uint8Array, end: number, coded: CodedFields): void {
  if (cursor.at >= end) throw new BlockError('block is cut short')
  coded.curve = bytes[cursor.at++]!
  if (!isCurve(coded.curve)) throw new BlockError(`block has unknown curve ${coded.curve}`)
}

function readLevels(bytes: Uint8Array, end: number, coded: CodedFields): void {
  const { levels, symbols } = coded
  coded.curve = -1
  if (end - cursor.at < (symbols + 1) >> 1) throw new BlockError('block is cut short')
  let highest = 0
  for (let s = 0; s < symbols; s += 2) {
    const pair = bytes[cursor.at++]!
    levels[s] = pair & 15
    if (s + 1 < symbols) levels[s + 1] = pair >> 4
    else if (pair >> 4 !== 0) throw new BlockError('block has a level too many')
    highest = Math.max(highest, pair & 15, pair >> 4)
  }
  if (highest < 2) throw new BlockError('block has no frequent symbol')
}

/** Of 32 bits with its sign. */
function readNarrow(bytes: Uint8Array, end: number): number {
  const value = readNumber(bytes, end)
  if (value !== (value | 0)) throw new BlockError('block has a number beyond 32 bits')
  return value
}

function writeWide(out: Uint8Array, at: number, { wides }: CodedFields, index: number): number {
  for (let i = 0; i < 8; i++) out[at + i] = wides[8 * index + i]!
  return at + 8
}

function readWide(bytes: Uint8Array, end: number, { wides }: CodedFields, index: number): void {
  if (end - cursor.at < 8) throw new BlockError('block is cut short')
  for (let i = 0; i < 8; i++) wides[8 * index + i] = bytes[cursor.at++]!
}
