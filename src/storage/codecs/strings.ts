/**
 * A run of strings as bytes: the dictionary of a string column, a block of a high-cardinality one, a page of keys.
 *
 *   codec u8 (0 stored, 1 zstd) | raw length varint | body
 *   body, after decompression: `count` byte lengths as varints | UTF-8 bytes of all, one after the other
 *
 * Invariants:
 * 1. zstd is taken only where it saves at least an eighth: reading stored bytes costs nothing.
 * 2. Decompression is bounded by the raw length, which is bounded by `stringsBytesMax`.
 */
import type { Compression } from '../../lib/ports.ts'
import { ByteReader, ByteWriter, DamageError, decodeUtf8 } from './bytes.ts'

/** More than a group can hold (`groupStringBytesMax` of layout.ts, one row more, three bytes a unit). */
const stringsBytesMax = 512 * 1024 * 1024

const storedCodec = 0
const zstdCodec = 1
/** Below this, zstd's own header eats what it saves. */
const compressBytesMin = 128

/** Appends a body that is already encoded, compressed where that pays. */
export function encodeBody(body: Uint8Array, zstd: Compression, out: ByteWriter): void {
  if (body.length >= compressBytesMin) {
    const compressed = zstd.compress(body)
    if (compressed.length <= body.length - (body.length >> 3)) {
      out.u8(zstdCodec)
      out.varint(body.length)
      out.raw(compressed)
      return
    }
  }
  out.u8(storedCodec)
  out.varint(body.length)
  out.raw(body)
}

/** The body at the reader's position, which reaches to the reader's end. */
export function decodeBody(reader: ByteReader, zstd: Compression): Uint8Array {
  const start = reader.at
  const codec = reader.u8()
  const rawLength = reader.varint(stringsBytesMax)
  const body = reader.raw(reader.end - reader.at)
  if (codec === storedCodec) {
    if (body.length !== rawLength) throw new DamageError('strings of the wrong length', start)
    return body
  }
  if (codec !== zstdCodec) throw new DamageError('unknown string codec', start)
  const raw = decompress(body, rawLength, zstd, start)
  if (raw.length !== rawLength) throw new DamageError('strings of the wrong length', start)
  return raw
}

function decompress(body: Uint8Array, rawLength: number, zstd: Compression, start: number): Uint8Array {
  try {
    return zstd.decompress(body, rawLength)
  } catch {
    throw new DamageError('zstd cannot decompress', start)
  }
}

/** Appends `strings` in order. */
export function encodeStrings(strings: readonly string[], zstd: Compression, out: ByteWriter): void {
  const lengths = new ByteWriter(strings.length * 2)
  const texts = new ByteWriter(strings.length * 16)
  for (const text of strings) lengths.varint(texts.utf8(text))
  lengths.raw(texts.written())
  encodeBody(lengths.written(), zstd, out)
}

/** Strings that are decoded one by one, when asked for. */
export class EncodedStrings {
  readonly count: number
  readonly #bytes: Uint8Array
  readonly #offsets: Uint32Array
  /** The text of all bytes when they are ASCII: slicing it is much faster than decoding again. */
  readonly #ascii: string | undefined

  constructor(reader: ByteReader, count: number, zstd: Compression) {
    const body = decodeBody(reader, zstd)
    const inner = new ByteReader(body)
    this.count = count
    this.#bytes = body
    this.#offsets = new Uint32Array(count + 1)
    let end = 0
    for (let i = 0; i < count; i++) {
      end += inner.varint(body.length)
      this.#offsets[i + 1] = end
    }
    const first = inner.at
    if (first + end !== body.length) throw new DamageError('strings of the wrong length', reader.at)
    for (let i = 0; i <= count; i++) this.#offsets[i]! += first
    this.#ascii = count > 4 && end < asciiBytesMax ? asciiText(body, first) : undefined
  }

  at(index: number): string {
    const from = this.#offsets[index]!
    const to = this.#offsets[index + 1]!
    if (this.#ascii === undefined) return decodeUtf8(this.#bytes, from, to)
    const first = this.#offsets[0]!
    return this.#ascii.slice(from - first, to - first)
  }
}

/** A slice keeps all of its text alive, so the text must be small. */
const asciiBytesMax = 64 * 1024

function asciiText(bytes: Uint8Array, from: number): string | undefined {
  for (let i = from; i < bytes.length; i++) if (bytes[i]! >= 128) return undefined
  return decodeUtf8(bytes, from, bytes.length)
}
