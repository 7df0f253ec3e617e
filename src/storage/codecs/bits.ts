/**
 * A bitmap codec for null masks and boolean columns. In memory a bit is a byte of 0 or 1, as columns have it.
 *
 *   mode 0 raw    ceil(count / 8) bytes, bit i of byte i >> 3 from the least significant
 *   mode 1 runs   varints: zeros, ones, zeros, … until `count` bits are told; the first may be 0
 *
 * Invariants:
 * 1. The writer takes the shorter mode, so a mask that never changes takes two or three bytes.
 * 2. The number of bits is known from elsewhere; a bitmap that tells more or fewer is damaged.
 */
import { type ByteReader, type ByteWriter, DamageError } from './bytes.ts'

const rawMode = 0
const runsMode = 1

/** Appends the bits `flags[from, from + count)`. */
export function encodeBits(flags: Uint8Array, from: number, count: number, out: ByteWriter): void {
  const rawLength = (count + 7) >> 3
  const start = out.length
  out.u8(runsMode)
  let expected = 0
  let runStart = from
  const end = from + count
  for (let i = from; i <= end; i++) {
    if (i < end && flags[i] === expected) continue
    out.varint(i - runStart)
    if (out.length - start > rawLength) break
    runStart = i
    expected ^= 1
  }
  if (out.length - start <= rawLength) return

  out.length = start
  out.u8(rawMode)
  out.reserve(rawLength)
  const { bytes } = out
  const at = out.length
  bytes.fill(0, at, at + rawLength)
  for (let i = 0; i < count; i++) bytes[at + (i >> 3)]! |= flags[from + i]! << (i & 7)
  out.length += rawLength
}

/** An encoded bitmap of `count` bits; runs are told as bit positions where the value changes. */
export interface Bitmap {
  readonly count: number
  readonly bytes: Uint8Array
  /** Where raw bits begin in `bytes`. */
  readonly at: number
  /** Ends of the runs, or undefined for raw bits. Even entries end zeros, odd ones end ones. */
  readonly runEnds: Uint32Array | undefined
}

/** Reads the bitmap at the reader's position up to exactly `end`. */
export function readBitmap(reader: ByteReader, count: number, end: number): Bitmap {
  const mode = reader.u8()
  const at = reader.at
  if (mode === rawMode) {
    reader.take((count + 7) >> 3)
    if (reader.at !== end) throw new DamageError('bitmap of the wrong length', at)
    return { count, bytes: reader.bytes, at, runEnds: undefined }
  }
  if (mode !== runsMode) throw new DamageError('unknown bitmap mode', at - 1)
  const runEnds: number[] = []
  let told = 0
  while (reader.at < end) {
    told += reader.varint(count - told)
    runEnds.push(told)
  }
  if (told !== count || reader.at !== end) throw new DamageError('bitmap of the wrong length', at)
  return { count, bytes: reader.bytes, at, runEnds: Uint32Array.from(runEnds) }
}

/** Writes the bits [from, to) as bytes at `out[outAt…]`; returns how many are 1. */
export function unpackBits(bitmap: Bitmap, from: number, to: number, out: Uint8Array, outAt: number): number {
  const { bytes, at, runEnds } = bitmap
  const shift = outAt - from
  let ones = 0
  if (runEnds === undefined) {
    for (let i = from; i < to; i++) {
      const bit = (bytes[at + (i >> 3)]! >> (i & 7)) & 1
      out[i + shift] = bit
      ones += bit
    }
    return ones
  }
  let run = firstRunPast(runEnds, from)
  for (let i = from; i < to; run++) {
    const end = Math.min(runEnds[run]!, to)
    const bit = run & 1
    out.fill(bit, i + shift, end + shift)
    ones += bit * (end - i)
    i = end
  }
  return ones
}

/** Index of the first run that ends after `position`. */
function firstRunPast(runEnds: Uint32Array, position: number): number {
  let low = 0
  let high = runEnds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (runEnds[middle]! <= position) low = middle + 1
    else high = middle
  }
  return low
}
