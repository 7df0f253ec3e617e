/**
 * Numbers of a row frame as bytes: decimals and integers as offsets of one, two or four bytes, anything else as it is.
 *
 *   column   0 raw f64 | 1 step: first, step (f64) | 2 offsets u32 from an f64, no longer written | 3 blocks
 *   block    of 1,024 values, the last of fewer:  bytes of an offset u8, 8 for raw f64 | exponent i8, smallest f64, offsets
 *
 * Invariants:
 * 1. Decoding gives the same bits: each value is divided (or multiplied) again before a block takes offsets. A value that
 *    does not come back, −0, NaN and infinity among them, leaves its block raw.
 * 2. Offset and smallest are integers whose sum is exact: below 2^32 the one, a safe integer the other.
 * 3. What is encoded depends on the values alone, not on other columns or frames.
 */
import { type Cursor, damaged, type FrameBytes } from './row-columns.ts'

export type NumberKind = 'times' | 'integers' | 'floats'

const blockValues = 1024
/** Decimals looked for. */
const decimalsMax = 12
/** Whole seconds, milliseconds. */
const timeExponents = [-6, -3] as const
/** Of what is read; 10^22 is the last power that a double has exactly. */
const exponentMax = 22
const powersOfTen = Float64Array.from({ length: exponentMax + 1 }, (_, exponent) => Number(`1e${exponent}`))

/** The block at hand as integers, and what they lie between. */
const integers = new Float64Array(blockValues)
let integersMin = 0
let integersMax = 0

export function encodeNumbers(values: Float64Array, kind: NumberKind, out: FrameBytes): void {
  if (kind !== 'floats' && encodeStep(values, out)) return
  out.u8(3)
  for (let from = 0; from < values.length; from += blockValues)
    encodeBlock(values, from, Math.min(from + blockValues, values.length), kind, out)
}

function encodeStep(values: Float64Array, out: FrameBytes): boolean {
  const length = values.length
  if (length < 2) return false
  const first = values[0]!
  const step = values[1]! - first
  for (let i = 0; i < length; i++) {
    const value = values[i]!
    if (first + i * step !== value || (value === 0 && 1 / value < 0)) return false
  }
  out.u8(1)
  out.f64(first)
  out.f64(step)
  return true
}

// ---- blocks -------------------------------------------------------------------------------------------------------

const rawWidth = 8
const blockHeaderBytes = 10

function encodeBlock(values: Float64Array, from: number, to: number, kind: NumberKind, out: FrameBytes): void {
  const count = to - from
  const exponent = scaled(values, from, to, kind)
  const width = exponent === undefined ? rawWidth : offsetWidth(exponent)
  if (exponent === undefined || blockHeaderBytes + count * width >= 1 + count * rawWidth) {
    out.u8(rawWidth)
    out.raw(values.subarray(from, to))
    return
  }
  out.u8(width)
  out.u8(exponent & 255)
  out.f64(integersMin)
  if (width === 1) subtract8(integersMin, out.uint8(count))
  else if (width === 2) {
    const words = out.words16(count)
    subtract16(integersMin, words)
    out.raw(words)
  } else if (width === 4) {
    const words = out.words32(count)
    subtract32(integersMin, words)
    out.raw(words)
  }
}

/** Bytes of an offset of what was found with an exponent; `rawWidth` where that has more than 32 bits, or is not exact. */
function offsetWidth(exponent: number): number {
  const range = integersMax - integersMin
  const limit = exponent === 0 ? Number.MAX_SAFE_INTEGER : roundedMax
  if (!(range < 2 ** 32 && integersMin >= -limit && integersMax <= limit)) return rawWidth
  if (range === 0) return 0
  return range < 2 ** 8 ? 1 : range < 2 ** 16 ? 2 : 4
}

/** The exponent e with which every value is an integer / 10^e; fills `integers`. Undefined where there is none. */
function scaled(values: Float64Array, from: number, to: number, kind: NumberKind): number | undefined {
  if (kind === 'times') {
    for (const exponent of timeExponents) if (divide(values, from, to, powersOfTen[-exponent]!) === to) return exponent
  }
  for (let exponent = 0; ; ) {
    const at = exponent === 0 ? whole(values, from, to) : multiply(values, from, to, powersOfTen[exponent]!)
    if (at === to) return exponent
    const needed = decimalsOf(values[at]!, exponent + 1)
    if (needed === undefined) return undefined
    exponent = needed
  }
}

function decimalsOf(value: number, least: number): number | undefined {
  if (value === 0) return undefined // −0
  for (let exponent = least; exponent <= decimalsMax; exponent++) {
    const scale = powersOfTen[exponent]!
    if (Math.round(value * scale) / scale === value) return exponent
  }
  return undefined
}

/** Fills `integers` with the values; gives where the first is that is none, or `to`. */
function whole(values: Float64Array, from: number, to: number): number {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (Math.floor(value) !== value || (value === 0 && 1 / value < 0)) return i
    if (value < min) min = value
    if (value > max) max = value
    integers[i - from] = value
  }
  integersMin = min
  integersMax = max
  return to
}

/** Adding and taking it away rounds what is up to 2^51 to an integer. */
const roundingMagic = 1.5 * 2 ** 52
const roundedMax = 2 ** 51

/** Fills `integers` with value · scale; gives where the first is that integer / scale is not, or `to`. */
function multiply(values: Float64Array, from: number, to: number, scale: number): number {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let i = from; i < to; i++) {
    const value = values[i]!
    const integer = value * scale + roundingMagic - roundingMagic
    if (integer / scale !== value || (integer === 0 && 1 / value < 0)) return i
    if (integer < min) min = integer
    if (integer > max) max = integer
    integers[i - from] = integer
  }
  integersMin = min
  integersMax = max
  return to
}

/** Fills `integers` with value / unit; gives where the first is that integer · unit is not, or `to`. */
function divide(values: Float64Array, from: number, to: number, unit: number): number {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let i = from; i < to; i++) {
    const value = values[i]!
    const integer = value / unit + roundingMagic - roundingMagic
    if (integer * unit !== value || (integer === 0 && 1 / value < 0)) return i
    if (integer < min) min = integer
    if (integer > max) max = integer
    integers[i - from] = integer
  }
  integersMin = min
  integersMax = max
  return to
}

// One function a type: the loops stay monomorphic.

function subtract8(min: number, into: Uint8Array): void {
  for (let i = 0; i < into.length; i++) into[i] = (integers[i]! - min) | 0
}

function subtract16(min: number, into: Uint16Array): void {
  for (let i = 0; i < into.length; i++) into[i] = (integers[i]! - min) | 0
}

function subtract32(min: number, into: Uint32Array): void {
  for (let i = 0; i < into.length; i++) into[i] = (integers[i]! - min) >>> 0
}

// ---- decoding -----------------------------------------------------------------------------------------------------

export function decodeNumbers(from: Cursor, length: number): Float64Array {
  const form = from.u8()
  if (form > 3) throw damaged(`number form ${form}`)
  const values = from.memory.float64(length)
  if (form === 0) return from.fill(values)
  if (form === 3) {
    for (let at = 0; at < length; at += blockValues)
      decodeBlock(from, values.subarray(at, Math.min(at + blockValues, length)))
    return values
  }
  const first = from.f64()
  if (form === 1) {
    const step = from.f64()
    for (let i = 0; i < length; i++) values[i] = first + i * step
    return values
  }
  const stored = from.fill(from.memory.uint32(length))
  for (let i = 0; i < length; i++) values[i] = first + stored[i]!
  return values
}

const words8 = new Uint8Array(blockValues)
const words16 = new Uint16Array(blockValues)
const words32 = new Uint32Array(blockValues)

function decodeBlock(from: Cursor, into: Float64Array): void {
  const width = from.u8()
  if (width === rawWidth) {
    from.fill(into)
    return
  }
  const exponent = (from.u8() << 24) >> 24
  if (Math.abs(exponent) > exponentMax) throw damaged(`exponent ${exponent}`)
  const min = from.f64()
  const { length } = into
  if (width === 0) into.fill(0)
  else if (width === 1) spread8(from.fill(words8.subarray(0, length)), into)
  else if (width === 2) spread16(from.fill(words16.subarray(0, length)), into)
  else if (width === 4) spread32(from.fill(words32.subarray(0, length)), into)
  else throw damaged(`offsets of ${width} bytes`)
  if (exponent < 0) multiplied(into, min, powersOfTen[-exponent]!)
  else divided(into, min, powersOfTen[exponent]!)
}

function spread8(words: Uint8Array, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = words[i]!
}

function spread16(words: Uint16Array, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = words[i]!
}

function spread32(words: Uint32Array, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = words[i]!
}

function divided(values: Float64Array, min: number, scale: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (min + values[i]!) / scale
}

function multiplied(values: Float64Array, min: number, unit: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (min + values[i]!) * unit
}
