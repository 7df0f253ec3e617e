/**
 * Columns of a row frame as bytes: close to a memcpy, compact where that is as cheap.
 *
 *   series   0 raw u32 | 1 step: first, step (u32) | 2 offsets u8 from a u32 | 3 offsets u16 from a u32
 *   numbers  see `row-numbers.ts`
 *   bits     one a row, the lowest bit first
 *   codes    u8, u16 or u32, by the number of strings they index
 *
 * Invariants:
 * 1. Decoding gives the same bits: a form is chosen only after it was checked row by row.
 * 2. What is encoded is in memory that the next frame uses again: borrowed until then.
 * 3. Memory is little-endian, as every platform of Node.js and WebAssembly has it (but one); `assert` keeps the others out.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'

assert(new Uint8Array(Uint16Array.of(1).buffer)[0] === 1, 'SydraDB needs a little-endian machine')

/** The bytes of a typed array, without copying. */
export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** Where decoded columns go. */
export interface ColumnMemory {
  uint32(length: number): Uint32Array
  float64(length: number): Float64Array
}

/** Arrays of their own. */
const ownArrays: ColumnMemory = {
  uint32: length => new Uint32Array(length),
  float64: length => new Float64Array(length),
}

/** What stays between frames; a frame that needs more has the rest in arrays of its own. */
const frameMemoryBytesMax = 16 * 2 ** 20

/** Memory for the columns of one frame at a time, which are used up before the next: replay makes no garbage. */
export class FrameMemory implements ColumnMemory {
  #buffer = new ArrayBuffer(64 * 1024)
  #used = 0

  /** The columns decoded so far are not read any more. */
  clear(): void {
    if (this.#used > this.#buffer.byteLength && this.#buffer.byteLength < frameMemoryBytesMax)
      this.#buffer = new ArrayBuffer(Math.min(frameMemoryBytesMax, 2 * this.#used))
    this.#used = 0
  }

  uint32(length: number): Uint32Array {
    const at = this.#take(length * 4)
    return at === undefined ? new Uint32Array(length) : new Uint32Array(this.#buffer, at, length)
  }

  float64(length: number): Float64Array {
    const at = this.#take(length * 8)
    return at === undefined ? new Float64Array(length) : new Float64Array(this.#buffer, at, length)
  }

  /** Where so many bytes are free; undefined when they are not. */
  #take(bytes: number): number | undefined {
    const at = this.#used
    this.#used += Math.ceil(bytes / 8) * 8
    return this.#used > this.#buffer.byteLength ? undefined : at
  }
}

/** Bytes to read from, every access checked: damage is a `corrupt_wal`, never a read outside. */
export class Cursor {
  /** For columns that are written in full. */
  readonly memory: ColumnMemory
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array, memory: ColumnMemory = ownArrays) {
    this.memory = memory
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

// ---- bytes to write -----------------------------------------------------------------------------------------------

/** Memory that stays between frames; a frame that needs more has it for itself. */
const keptBytesMax = 4 * 2 ** 20

/**
 * A frame's payload as it grows, in memory that every frame uses again: arrays of their own would be most of the garbage of
 * ingest, and of the kind that makes V8 collect.
 */
export class FrameBytes {
  #bytes = new Uint8Array(64 * 1024)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  /** For columns of integers, before they are copied to where no alignment is right. */
  #words = new Uint32Array(16 * 1024)

  /** Begins a new frame; the last one's bytes mean nothing any more. */
  clear(): void {
    this.#length = 0
    if (this.#bytes.length > keptBytesMax) this.#use(new Uint8Array(keptBytesMax))
  }

  /** The frame so far: borrowed until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  u8(value: number): void {
    // first, for it may replace the view
    const at = this.#grow(1)
    this.#view.setUint8(at, value)
  }
  u32(value: number): void {
    const at = this.#grow(4)
    this.#view.setUint32(at, value, true)
  }
  f64(value: number): void {
    const at = this.#grow(8)
    this.#view.setFloat64(at, value, true)
  }
  /** The bytes of an array. */
  raw(array: ArrayBufferView): void {
    const at = this.#grow(array.byteLength)
    this.#bytes.set(bytesOf(array), at)
  }

  /** Bytes of which only `write` knows how many, at most `bytesMax`: it gets all bytes and where to begin, and says how many there are. */
  fill(bytesMax: number, write: (bytes: Uint8Array, at: number) => number): void {
    const at = this.#grow(bytesMax)
    this.#length = at + write(this.#bytes, at)
  }
  /** The next bytes, to be filled before the next write: what they hold is not known. */
  uint8(length: number): Uint8Array {
    const at = this.#grow(length)
    return this.#bytes.subarray(at, at + length)
  }
  /** Memory to fill and hand to `raw`: borrowed until the next call of either. */
  words32(length: number): Uint32Array {
    if (length > this.#words.length) this.#words = new Uint32Array(Math.max(length, 2 * this.#words.length))
    return this.#words.subarray(0, length)
  }
  words16(length: number): Uint16Array {
    return new Uint16Array(this.words32((length + 1) >>> 1).buffer, 0, length)
  }

  /** Room for so many bytes more; where they begin. */
  #grow(bytes: number): number {
    const at = this.#length
    this.#length = at + bytes
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, at))
      this.#use(larger)
    }
    return at
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}

// ---- series -------------------------------------------------------------------------------------------------------

export function encodeSeries(series: Uint32Array, out: FrameBytes): void {
  const { length } = series
  const first = length > 0 ? series[0]! : 0
  const step = length > 1 ? series[1]! - first : 0
  if (step >= 0 && isRegular(series, first, step)) {
    out.u8(1)
    out.u32(first)
    out.u32(step)
    return
  }
  let min = first
  let max = first
  for (let i = 0; i < length; i++) {
    const ordinal = series[i]!
    if (ordinal < min) min = ordinal
    if (ordinal > max) max = ordinal
  }
  if (max - min < 256) {
    out.u8(2)
    out.u32(min)
    subtract(series, min, out.uint8(length))
  } else if (max - min < 65536) {
    out.u8(3)
    out.u32(min)
    const words = out.words16(length)
    subtract16(series, min, words)
    out.raw(words)
  } else {
    out.u8(0)
    out.raw(series)
  }
}

function isRegular(series: Uint32Array, first: number, step: number): boolean {
  for (let i = 0; i < series.length; i++) if (series[i] !== first + i * step) return false
  return true
}

// One function a type: the loops stay monomorphic.

function subtract(series: Uint32Array, min: number, into: Uint8Array): void {
  for (let i = 0; i < into.length; i++) into[i] = series[i]! - min
}

function subtract16(series: Uint32Array, min: number, into: Uint16Array): void {
  for (let i = 0; i < into.length; i++) into[i] = series[i]! - min
}

export function decodeSeries(from: Cursor, length: number): Uint32Array {
  const series = from.memory.uint32(length)
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

// ---- bits and codes -----------------------------------------------------------------------------------------------

/** Bytes that are zero or not, eight to a byte. */
export function encodeBits(flags: Uint8Array, out: FrameBytes): void {
  const bits = out.uint8((flags.length + 7) >>> 3)
  bits.fill(0)
  for (let i = 0; i < flags.length; i++) if (flags[i] !== 0) bits[i >>> 3]! |= 1 << (i & 7)
}

export function decodeBits(from: Cursor, length: number): Uint8Array {
  const bits = from.take((length + 7) >>> 3)
  const flags = new Uint8Array(length)
  for (let i = 0; i < length; i++) flags[i] = (bits[i >>> 3]! >>> (i & 7)) & 1
  return flags
}

export function encodeCodes(codes: Uint32Array, strings: number, out: FrameBytes): void {
  const { length } = codes
  const stored = strings <= 256 ? out.uint8(length) : strings <= 65536 ? out.words16(length) : out.words32(length)
  for (let i = 0; i < length; i++) {
    const code = codes[i]!
    assert(code < strings, 'a string code is within its dictionary')
    stored[i] = code
  }
  if (strings > 256) out.raw(stored)
}

const newCodes = (strings: number, length: number) =>
  strings <= 256 ? new Uint8Array(length) : strings <= 65536 ? new Uint16Array(length) : new Uint32Array(length)

export function decodeCodes(from: Cursor, strings: number, length: number): Uint32Array {
  const codes = Uint32Array.from(from.fill(newCodes(strings, length)))
  for (let i = 0; i < length; i++) if (codes[i]! >= strings) throw damaged('a string code outside its dictionary')
  return codes
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Count, the length of each in bytes, and their UTF-8 in a row. */
export function encodeStrings(strings: readonly string[], out: FrameBytes): void {
  const encoded = strings.map(text => encoder.encode(text))
  out.u32(strings.length)
  for (const { length } of encoded) out.u32(length)
  for (const bytes of encoded) out.raw(bytes)
}

export function decodeStrings(from: Cursor): string[] {
  const count = from.u32()
  if (count * 4 > from.left) throw damaged(`${count} strings`)
  const lengths = from.fill(new Uint32Array(count))
  return Array.from(lengths, length => decoder.decode(from.take(length)))
}
