/**
 * The two packed building blocks of the catalog: a growing list of u32, and texts as UTF-8 in one byte array.
 * A million entries are a handful of typed arrays, which the garbage collector never walks.
 *
 * Invariants:
 * 1. Both only grow. `view()` of either stays as it was when taken, whatever is added later.
 * 2. A code of a `StringPool` is the index of its text by arrival; equal texts have one code.
 */
import type { Dictionary } from '../../columnar/batch.ts'
import { readUtf8, writeUtf8 } from '../../lib/text.ts'
import { CodeSlots } from './code-slots.ts'

export class U32List {
  data: Uint32Array
  length = 0

  constructor(capacity = 4) {
    this.data = new Uint32Array(capacity)
  }

  push(value: number): void {
    if (this.length === this.data.length) this.reserve(1)
    this.data[this.length++] = value
  }

  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.data.length) return
    const data = new Uint32Array(Math.max(needed, grown(this.data.length)))
    data.set(this.data.subarray(0, this.length))
    this.data = data
  }

  /** The entries so far. Later ones do not show in it. */
  view(): Uint32Array {
    return this.data.subarray(0, this.length)
  }

  get byteLength(): number {
    return this.data.byteLength
  }
}

/** Doubling while small; by half when large, where slack costs more than copying. */
export const grown = (capacity: number): number => (capacity < 65_536 ? capacity * 2 : capacity + (capacity >>> 1))

/** Mixes a word into a hash (the finalizer steps of MurmurHash3, Appleby). */
export function mix(hash: number, word: number): number {
  let h = Math.imul(hash ^ word, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Strings kept by each dictionary that makes them on demand. */
const cachedTextsMax = 1024

export class StringPool implements Dictionary {
  bytes: Uint8Array
  /** End of each text in `bytes`; the next begins there. */
  readonly ends: U32List
  /** Made when it is first asked for: a catalog that was just opened has not been. */
  #slots: CodeSlots | undefined
  #texts: TextCache | undefined

  constructor(bytes: Uint8Array = new Uint8Array(32), ends = new U32List()) {
    this.bytes = bytes
    this.ends = ends
  }

  get size(): number {
    return this.ends.length
  }
  start(code: number): number {
    return code === 0 ? 0 : this.ends.data[code - 1]!
  }
  end(code: number): number {
    return this.ends.data[code]!
  }
  get usedBytes(): number {
    return this.size === 0 ? 0 : this.end(this.size - 1)
  }
  get byteLength(): number {
    return this.bytes.byteLength + this.ends.byteLength + (this.#slots?.byteLength ?? 0)
  }

  at(code: number): string {
    this.#texts ??= new TextCache(code => readUtf8(this.bytes, this.start(code), this.end(code)))
    return this.#texts.at(code)
  }

  /** The text's code, or -1. */
  find(text: string): number {
    const length = encode(text)
    return this.#find(hashBytes(scratch, 0, length), scratch, 0, length)
  }

  /** The text's code, added when new. */
  add(text: string): number {
    const length = encode(text)
    return this.addUtf8(scratch, 0, length)
  }

  /** The same for a text given as UTF-8. */
  addUtf8(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to)
    const found = this.#find(hash, bytes, from, to)
    if (found >= 0) return found
    const code = this.size
    const start = this.usedBytes
    this.#reserveBytes(start + to - from)
    const into = this.bytes
    for (let i = from, at = start; i < to; i++, at++) into[at] = bytes[i]!
    this.ends.push(start + to - from)
    if (this.#slots?.hasRoomFor(this.size)) this.#slots.add(hash, code)
    else this.#slots = this.#hashed()
    return code
  }

  /** Whether the code's text is this one, given as UTF-8. */
  equalsUtf8(code: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.start(code)
    if (this.end(code) - start !== to - from) return false
    for (let i = from; i < to; i++) if (this.bytes[start + i - from] !== bytes[i]) return false
    return true
  }

  /** Whether the code's text is this one: cheaper than finding the text. */
  equals(code: number, text: string): boolean {
    return this.equalsUtf8(code, scratch, 0, encode(text))
  }

  #find(hash: number, bytes: Uint8Array, from: number, to: number): number {
    const slots = (this.#slots ??= this.#hashed())
    for (let code = slots.first(hash); code >= 0; code = slots.next(hash))
      if (this.equalsUtf8(code, bytes, from, to)) return code
    return -1
  }

  /** A table of all texts. */
  #hashed(): CodeSlots {
    const slots = new CodeSlots(this.size)
    for (let code = 0; code < this.size; code++)
      slots.add(hashBytes(this.bytes, this.start(code), this.end(code)), code)
    return slots
  }

  #reserveBytes(needed: number): void {
    if (needed <= this.bytes.length) return
    const bytes = new Uint8Array(Math.max(needed, grown(this.bytes.length)))
    bytes.set(this.bytes.subarray(0, this.usedBytes))
    this.bytes = bytes
  }
}

/** A direct-mapped cache in front of a function from code to text: bounded, and never anything to evict. */
export class TextCache {
  readonly #make: (code: number) => string
  readonly #codes: Int32Array
  readonly #texts: string[]

  constructor(make: (code: number) => string, entries = cachedTextsMax) {
    this.#make = make
    this.#codes = new Int32Array(entries).fill(-1)
    this.#texts = new Array<string>(entries).fill('')
  }

  at(code: number): string {
    const slot = code & (this.#codes.length - 1)
    if (this.#codes[slot] === code) return this.#texts[slot]!
    const text = this.#make(code)
    this.#codes[slot] = code
    this.#texts[slot] = text
    return text
  }
}

/** One text at a time is encoded here, then hashed and compared as bytes. */
let scratch = new Uint8Array(4096)

function encode(text: string): number {
  if (text.length * 3 > scratch.length) scratch = new Uint8Array(text.length * 3)
  return writeUtf8(text, scratch, 0)
}

function hashBytes(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5 // FNV-1a
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return mix(hash, to - from)
}
