/**
 * Columns of a row frame as bytes: close to a memcpy, compact where that is as cheap.
 *
 *   series   0 raw u32 | 1 step: first, step (u32) | 2 offsets u8 from a u32 | 3 offsets u16 from a u32
 *   numbers  0 raw f64 | 1 step: first, step (f64) | 2 offsets u32 from an f64
 *   bits     one a row, the lowest bit first
 *   codes    u8, u16 or u32, by the number of strings they index
 *
 * Invariants:
 * 1. Decoding gives the same bits: a form is chosen only after it was checked row by row (−0 and NaN stay raw).
 * 2. Raw columns are views of the caller's arrays: borrowed until the frame is written.
 * 3. Memory is little-endian, as every platform of Node.js and WebAssembly has it (but one); `assert` keeps the others out.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'

assert(new Uint8Array(Uint16Array.of(1).buffer)[0] === 1, 'SydraDB needs a little-endian machine')

/** The bytes of a typed array, without copying. */
export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** Bytes to read from, every access checked: damage is a `corrupt_wal`, never a read outside. */
export class Cursor {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.take(1)[0]!
  }

  u32(): number {
    this.#need(4)
    this.#at += 4
    return this.#view.getUint32(this.#at - 4, true)
  }

  f64(): number {
    this.#need(8)
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }

  /** The next bytes, without copying. */
  take(count: number): Uint8Array {
    this.#need(count)
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  /** Copies the next bytes into the array, which need not be aligned with them. */
  fill<A extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(array: A): A {
    bytesOf(array).set(this.take(array.byteLength))
    return array
  }

  #need(count: number): void {
    if (count > this.left) throw damaged(`${count} bytes needed, ${this.left} left`)
  }
}

export const damaged = (what: string): SydraError =>
  new SydraError('corrupt_wal', `a row frame cannot be decoded: ${what}`, {
    hint: 'its checksum is right: it was written by an incompatible version',
  })

export function u32s(...values: number[]): Uint8Array {
  return bytesOf(Uint32Array.from(values))
}

// ---- series -------------------------------------------------------------------------------------------------------

export function encodeSeries(series: Uint32Array, parts: Uint8Array[]): void {
  const length = series.length
  const first = length > 0 ? series[0]! : 0
  const step = length > 1 ? series[1]! - first : 0
  let regular = 0
  if (step >= 0) while (regular < length && series[regular] === first + regular * step) regular++
  if (regular === length) {
    parts.push(Uint8Array.of(1), u32s(first, step))
    return
  }
  let min = first
  let max = first
  for (let i = 0; i < length; i++) {
    const ordinal = series[i]!
    if (ordinal < min) min = ordinal
    if (ordinal > max) max = ordinal
  }
  if (max - min < 256) parts.push(Uint8Array.of(2), u32s(min), offsets(series, min, new Uint8Array(length)))
  else if (max - min < 65536) parts.push(Uint8Array.of(3), u32s(min), offsets(series, min, new Uint16Array(length)))
  else parts.push(Uint8Array.of(0), bytesOf(series))
}

function offsets(series: Uint32Array, min: number, into: Uint8Array | Uint16Array): Uint8Array {
  for (let i = 0; i < series.length; i++) into[i] = series[i]! - min
  return bytesOf(into)
}

export function decodeSeries(from: Cursor, length: number): Uint32Array {
  const series = new Uint32Array(length)
  const mode = from.u8()
  if (mode === 0) return from.fill(series)
  const base = from.u32()
  if (mode === 1) {
    const step = from.u32()
    for (let i = 0; i < length; i++) series[i] = base + i * step
    return series
  }
  if (mode > 3) throw damaged(`series form ${mode}`)
  const stored = from.fill(mode === 2 ? new Uint8Array(length) : new Uint16Array(length))
  for (let i = 0; i < length; i++) series[i] = base + stored[i]!
  return series
}

// ---- numbers ------------------------------------------------------------------------------------------------------

/** `compact`: look for a regular or narrow column of integers, which times and counters often are. */
export function encodeNumbers(values: Float64Array, compact: boolean, parts: Uint8Array[]): void {
  const packed = compact ? (encodeStep(values) ?? encodeOffsets(values)) : undefined
  if (packed === undefined) parts.push(Uint8Array.of(0), bytesOf(values))
  else parts.push(...packed)
}

function encodeStep(values: Float64Array): Uint8Array[] | undefined {
  const length = values.length
  if (length < 2) return undefined
  const first = values[0]!
  const step = values[1]! - first
  for (let i = 0; i < length; i++) {
    const value = values[i]!
    if (first + i * step !== value || (value === 0 && 1 / value < 0)) return undefined
  }
  return [Uint8Array.of(1), bytesOf(Float64Array.of(first, step))]
}

/** Integers whose sums and differences are exact, and of which none is −0. */
function encodeOffsets(values: Float64Array): Uint8Array[] | undefined {
  const length = values.length
  if (length < 2) return undefined
  let min = values[0]!
  let max = min
  for (let i = 1; i < length; i++) {
    const value = values[i]!
    if (value < min) min = value
    if (value > max) max = value
  }
  if (!(max - min < 2 ** 32) || !Number.isSafeInteger(min) || !Number.isSafeInteger(max)) return undefined
  if (min <= 0 && max >= 0 && values.some(value => Object.is(value, -0))) return undefined
  const stored = new Uint32Array(length)
  for (let i = 0; i < length; i++) {
    const value = values[i]!
    const word = (value - min) >>> 0
    // A tiny fraction can vanish in the difference: what counts is that the sum gives the value back.
    if (min + word !== value) return undefined
    stored[i] = word
  }
  return [Uint8Array.of(2), bytesOf(Float64Array.of(min)), bytesOf(stored)]
}

export function decodeNumbers(from: Cursor, length: number): Float64Array {
  const mode = from.u8()
  const values = new Float64Array(length)
  if (mode === 0) return from.fill(values)
  const first = from.f64()
  if (mode === 1) {
    const step = from.f64()
    for (let i = 0; i < length; i++) values[i] = first + i * step
    return values
  }
  if (mode !== 2) throw damaged(`number form ${mode}`)
  const stored = from.fill(new Uint32Array(length))
  for (let i = 0; i < length; i++) values[i] = first + stored[i]!
  return values
}

// ---- bits and codes -----------------------------------------------------------------------------------------------

/** Bytes that are zero or not, eight to a byte. */
export function encodeBits(flags: Uint8Array): Uint8Array {
  const bits = new Uint8Array((flags.length + 7) >>> 3)
  for (let i = 0; i < flags.length; i++) if (flags[i] !== 0) bits[i >>> 3]! |= 1 << (i & 7)
  return bits
}

export function decodeBits(from: Cursor, length: number): Uint8Array {
  const bits = from.take((length + 7) >>> 3)
  const flags = new Uint8Array(length)
  for (let i = 0; i < length; i++) flags[i] = (bits[i >>> 3]! >>> (i & 7)) & 1
  return flags
}

const newCodes = (strings: number, length: number) =>
  strings <= 256 ? new Uint8Array(length) : strings <= 65536 ? new Uint16Array(length) : new Uint32Array(length)

export function encodeCodes(codes: Uint32Array, strings: number): Uint8Array {
  const stored = newCodes(strings, codes.length)
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!
    assert(code < strings, 'a string code is within its dictionary')
    stored[i] = code
  }
  return bytesOf(stored)
}

export function decodeCodes(from: Cursor, strings: number, length: number): Uint32Array {
  const codes = Uint32Array.from(from.fill(newCodes(strings, length)))
  for (let i = 0; i < length; i++) if (codes[i]! >= strings) throw damaged('a string code outside its dictionary')
  return codes
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Count, the length of each in bytes, and their UTF-8 in a row. */
export function encodeStrings(strings: readonly string[], parts: Uint8Array[]): void {
  const head = new Uint32Array(strings.length + 1)
  head[0] = strings.length
  const texts = strings.map(text => encoder.encode(text))
  for (let i = 0; i < texts.length; i++) head[i + 1] = texts[i]!.length
  parts.push(bytesOf(head), ...texts)
}

export function decodeStrings(from: Cursor): string[] {
  const count = from.u32()
  if (count * 4 > from.left) throw damaged(`${count} strings`)
  const lengths = from.fill(new Uint32Array(count))
  return Array.from(lengths, length => decoder.decode(from.take(length)))
}
