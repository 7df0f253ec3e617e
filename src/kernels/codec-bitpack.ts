/**
 * Bit packing of u32 values in plain TypeScript: one loop for every width, where `assembly/bitpack.ts` has straight-line
 * code for each. The layout is in `docs/format/blocks.md`: groups of 128 values in four lanes, then a bit stream.
 */

/** A plane: groups of 128 values, `width` words of 16 bytes each, then a bit stream. */
export const planeBytes = (count: number, width: number): number =>
  (count >> 7) * width * 16 + (((count & 127) * width + 7) >> 3)

/** Values wider than 32 bits take two planes. */
export const packedBytes = (count: number, width: number): number =>
  width <= 32 ? planeBytes(count, width) : planeBytes(count, 32) + planeBytes(count, width - 32)

/** Packs `values[0, count)`, each below 2^width, to `out[at…]`. */
export function packPlane(values: Uint32Array, out: Uint8Array, at: number, count: number, width: number): void {
  if (width === 0) return
  let row = 0
  let to = at
  for (; row + 128 <= count; row += 128, to += 16 * width) {
    for (let lane = 0; lane < 4; lane++) {
      let word = 0
      let bits = 0
      let offset = to + 4 * lane
      for (let i = row + lane; i < row + 128; i += 4) {
        const value = values[i]!
        word |= value << bits
        bits += width
        if (bits < 32) continue
        putWord(out, offset, word)
        offset += 16
        bits -= 32
        word = bits === 0 ? 0 : value >>> (width - bits)
      }
    }
  }
  // the stream, byte by byte: at most 7 + 32 bits wait, so the sum stays exact
  let waiting = 0
  let bits = 0
  for (; row < count; row++) {
    waiting += values[row]! * 2 ** bits
    bits += width
    for (; bits >= 8; bits -= 8) {
      out[to++] = waiting % 256
      waiting = Math.floor(waiting / 256)
    }
  }
  if (bits > 0) out[to] = waiting
}

/** Unpacks `count` values of `width` bits at `bytes[at…]`. */
export function unpackPlane(bytes: Uint8Array, at: number, values: Uint32Array, count: number, width: number): void {
  if (width === 0) {
    values.fill(0, 0, count)
    return
  }
  const mask = width === 32 ? -1 : (1 << width) - 1
  let row = 0
  let from = at
  for (; row + 128 <= count; row += 128, from += 16 * width) {
    for (let lane = 0; lane < 4; lane++) {
      let offset = from + 4 * lane
      let word = getWord(bytes, offset)
      let bits = 0
      for (let i = row + lane; i < row + 128; i += 4) {
        let value = word >>> bits
        bits += width
        if (bits > 32) {
          offset += 16
          word = getWord(bytes, offset)
          bits -= 32
          value |= word << (width - bits)
        } else if (bits === 32 && i + 4 < row + 128) {
          offset += 16
          word = getWord(bytes, offset)
          bits = 0
        }
        values[i] = value & mask
      }
    }
  }
  let waiting = 0
  let bits = 0
  const base = 2 ** width
  for (; row < count; row++) {
    for (; bits < width; bits += 8) waiting += bytes[from++]! * 2 ** bits
    values[row] = waiting % base
    waiting = Math.floor(waiting / base)
    bits -= width
  }
}

function putWord(out: Uint8Array, at: number, word: number): void {
  out[at] = word
  out[at + 1] = word >>> 8
  out[at + 2] = word >>> 16
  out[at + 3] = word >>> 24
}

const getWord = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
