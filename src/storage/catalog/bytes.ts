/** Writes and reads the small parts of catalog records: bytes, varints (LEB128), texts with their length, raw spans. */
import { readUtf8, utf8Length, writeUtf8 } from '../../lib/text.ts'

export class ByteWriter {
  bytes: Uint8Array
  length = 0

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
  }

  #room(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const bytes = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
  }

  u8(value: number): void {
    this.#room(1)
    this.bytes[this.length++] = value
  }

  u32(value: number): void {
    this.#room(4)
    for (let shift = 0; shift < 32; shift += 8) this.bytes[this.length++] = value >>> shift
  }

  /** An integer from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#room(8)
    while (value >= 0x80) {
      this.bytes[this.length++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    this.bytes[this.length++] = value
  }

  text(text: string): void {
    this.varint(utf8Length(text))
    this.#room(text.length * 3)
    this.length = writeUtf8(text, this.bytes, this.length)
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}

/** The bytes end too early, or hold what no writer writes. `offset` is within the given bytes. */
export class DamageError extends Error {
  override readonly name = 'DamageError'
  readonly offset: number
  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

export class ByteReader {
  readonly bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  get atEnd(): boolean {
    return this.at === this.bytes.length
  }

  #take(count: number): number {
    const from = this.at
    if (count > this.bytes.length - from) throw new DamageError('the bytes end early', from)
    this.at = from + count
    return from
  }

  u8(): number {
    return this.bytes[this.#take(1)]!
  }

  u32(): number {
    const from = this.#take(4)
    const bytes = this.bytes
    return (bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24)) >>> 0
  }

  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      if (scale > 0x80 ** 7) throw new DamageError('a number is too long', this.at)
    }
    if (!Number.isSafeInteger(value)) throw new DamageError('a number is too large', this.at)
    return value
  }

  text(): string {
    const length = this.varint()
    const from = this.#take(length)
    try {
      return readUtf8(this.bytes, from, from + length)
    } catch (cause) {
      throw new DamageError(`a text is not UTF-8: ${String(cause)}`, from)
    }
  }

  raw(count: number): Uint8Array {
    const from = this.#take(count)
    return this.bytes.subarray(from, from + count)
  }
}
