/**
 * ByteWriter and ByteReader: the primitives of segments and the catalog, little-endian.
 *
 *   varint   base 128, least significant group first, values 0 … 2^53 - 1
 *   double   tag 0 … 15: decimal exponent e, then the zigzag varint m, value m / 10^e;  tag 16: eight bytes
 *   text     varint byte length, UTF-8
 *
 * Invariants:
 * 1. The reader never leaves [at, end): what does not fit throws `DamageError` with the offset.
 * 2. `double` is lossless to the bit: what no short decimal gives back exactly (-0, NaN, 1/3) takes the eight bytes.
 */
import { assert } from '../../lib/assert.ts'
import { readUtf8, utf8Length, writeUtf8 } from '../../lib/text.ts'

/** Bytes that cannot be what a writer wrote. `offset` counts from the start of the array read. */
export class DamageError extends Error {
  override readonly name = 'DamageError'
  readonly offset: number
  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

/** The text of `bytes[from, to)`. */
export function decodeUtf8(bytes: Uint8Array, from: number, to: number): string {
  try {
    return readUtf8(bytes, from, to)
  } catch {
    throw new DamageError('invalid UTF-8', from)
  }
}

const powersOfTen = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]
/** Longer decimals are rarely shorter than eight bytes. */
const exponentTriedMax = 6
const mantissaMax = 2 ** 41
const rawDouble = 16
const varintMax = Number.MAX_SAFE_INTEGER

export class ByteWriter {
  bytes: Uint8Array
  length = 0
  #view: DataView

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `count` more bytes; `bytes` may be replaced. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.#view = new DataView(grown.buffer)
  }

  /** What was written; borrowed until the next write. */
  written(from = 0): Uint8Array {
    return this.bytes.subarray(from, this.length)
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  clear(): void {
    this.length = 0
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  u16(value: number): void {
    this.reserve(2)
    this.#view.setUint16(this.length, value, true)
    this.length += 2
  }

  u32(value: number): void {
    this.reserve(4)
    this.#view.setUint32(this.length, value, true)
    this.length += 4
  }

  /** An unsigned integer below 2^53 in eight bytes. */
  u64(value: number): void {
    this.u32(value % 2 ** 32)
    this.u32(Math.floor(value / 2 ** 32))
  }

  u64Big(value: bigint): void {
    this.reserve(8)
    this.#view.setBigUint64(this.length, value, true)
    this.length += 8
  }

  f64(value: number): void {
    this.reserve(8)
    this.#view.setFloat64(this.length, value, true)
    this.length += 8
  }

  varint(value: number): void {
    assert(value >= 0 && value <= varintMax, 'varint out of range')
    this.reserve(8)
    if (value < 128) {
      this.bytes[this.length++] = value
      return
    }
    let rest = value
    while (rest >= 2 ** 28) {
      this.bytes[this.length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      this.bytes[this.length++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.bytes[this.length++] = rest
  }

  double(value: number): void {
    // A mantissa has no -0.
    for (let exponent = Object.is(value, -0) ? Infinity : 0; exponent <= exponentTriedMax; exponent++) {
      const power = powersOfTen[exponent]!
      const mantissa = Math.round(value * power)
      if (!(Math.abs(mantissa) <= mantissaMax)) break
      if (!Object.is(mantissa / power, value)) continue
      this.u8(exponent)
      this.varint(mantissa < 0 ? -2 * mantissa - 1 : 2 * mantissa)
      return
    }
    this.u8(rawDouble)
    this.f64(value)
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** What `text` appends of a text that is UTF-8 already: a loop, which beats making a view of a few bytes. */
  utf8Text(bytes: Uint8Array, from: number, to: number): void {
    this.varint(to - from)
    this.reserve(to - from)
    const into = this.bytes
    let at = this.length
    for (let i = from; i < to; i++) into[at++] = bytes[i]!
    this.length = at
  }

  /** `varint(number)` and `utf8Text` in one; where both are one byte, as most are, the room is looked for once. */
  numberedText(number: number, bytes: Uint8Array, from: number, to: number): void {
    const length = to - from
    if (number >= 128 || length >= 128) {
      this.varint(number)
      this.utf8Text(bytes, from, to)
      return
    }
    this.reserve(length + 2)
    const into = this.bytes
    let at = this.length
    into[at++] = number
    into[at++] = length
    for (let i = from; i < to; i++) into[at++] = bytes[i]!
    this.length = at
  }

  /** UTF-8 without its length; returns the bytes written. Unpaired surrogates become U+FFFD. */
  utf8(text: string): number {
    this.reserve(text.length * 3)
    const from = this.length
    this.length = writeUtf8(text, this.bytes, from)
    return this.length - from
  }

  text(text: string): void {
    this.varint(utf8Length(text))
    this.utf8(text)
  }
}

export class ByteReader {
  readonly bytes: Uint8Array
  readonly end: number
  at: number
  readonly #view: DataView

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.at === this.end
  }

  /** Steps over `count` bytes and returns where they begin. */
  take(count: number): number {
    const at = this.at
    if (!(count <= this.end - at))
      throw new DamageError(`the bytes end early: ${count} expected, ${this.end - at} left`, at)
    this.at = at + count
    return at
  }

  u8(): number {
    return this.bytes[this.take(1)]!
  }

  u16(): number {
    return this.#view.getUint16(this.take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.take(4), true)
  }

  u64(): number {
    const value = this.u32() + this.u32() * 2 ** 32
    if (value > varintMax) throw new DamageError('integer beyond 2^53', this.at)
    return value
  }

  u64Big(): bigint {
    return this.#view.getBigUint64(this.take(8), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.take(8), true)
  }

  /** `max` bounds what the value may be; it is also how a count is kept from running away. */
  varint(max = varintMax): number {
    const from = this.at
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.u8()
      value += (byte & 127) * scale
      if (byte >= 128) continue
      if (value > max) break
      return value
    }
    throw new DamageError('number out of range', from)
  }

  double(): number {
    const tag = this.u8()
    if (tag === rawDouble) return this.f64()
    const power = powersOfTen[tag]
    if (power === undefined) throw new DamageError('unknown number format', this.at - 1)
    const zigzag = this.varint()
    return (zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2) / power
  }

  raw(count: number): Uint8Array {
    const at = this.take(count)
    return this.bytes.subarray(at, at + count)
  }

  text(bytesMax = varintMax): string {
    const length = this.varint(bytesMax)
    const at = this.take(length)
    return decodeUtf8(this.bytes, at, at + length)
  }

  expectEnd(): void {
    if (this.at !== this.end) throw new DamageError(`${this.end - this.at} bytes too many`, this.at)
  }
}
