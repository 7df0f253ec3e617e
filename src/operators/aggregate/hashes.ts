/**
 * 64-bit hashes of values, the same in every process: equal values have equal hashes, whatever dictionary a text is in.
 *
 * Invariant: NaN is one value, -0 is 0, and an integer hashes as the float it equals.
 */
import type { Column, Dictionary } from '../../columnar/batch.ts'

/** Takes a column, then gives the hash of a row: `of(row)` leaves it in `hash`, high word first. */
export interface ColumnHasher {
  heldBytes(): number
  readonly hash: Uint32Array
  from(column: Column): void
  of(row: number): void
}

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)

/** The finaliser of MurmurHash3 (Austin Appleby), which spreads each bit over all. */
function mix(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Hashes of a dictionary's texts, found when they are first asked for. */
interface TextHashes {
  highs: Uint32Array
  lows: Uint32Array
  known: Uint8Array
}

export function columnHasher(): ColumnHasher {
  const memos = new WeakMap<Dictionary, TextHashes>()
  let column: Column | undefined
  let texts: TextHashes | undefined
  let byteLength = 0
  const hash = new Uint32Array(2)

  function hashNumber(value: number): void {
    // `+ 0` makes 0 of -0; NaN has many bit patterns.
    double[0] = Number.isNaN(value) ? NaN : value + 0
    const high = mix(words[0]! ^ Math.imul(words[1]!, 0x9e3779b1))
    hash[0] = high
    hash[1] = mix(Math.imul(words[0]!, 0x85ebca77) ^ words[1]! ^ Math.imul(high, 0xc2b2ae3d))
  }

  /** Two FNV-1a hashes of the UTF-16 units, with primes of their own, and finalised. */
  function hashText(text: string): void {
    let a = 0x811c9dc5
    let b = 0x9747b28c
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      a = Math.imul(a ^ unit, 0x01000193)
      b = Math.imul(b ^ unit, 0x5bd1e995)
      b ^= b >>> 15
    }
    const high = mix(a ^ text.length)
    hash[0] = high
    hash[1] = mix(b ^ Math.imul(high, 0xc2b2ae3d))
  }

  return {
    heldBytes: () => byteLength,
    hash,
    from(next) {
      column = next
      if (next.type !== 'string') return
      texts = memos.get(next.dictionary)
      if (texts !== undefined && texts.known.length >= next.dictionary.size) return
      const length = Math.max(next.dictionary.size, 2 * (texts?.known.length ?? 0))
      byteLength += 9 * (length - (texts?.known.length ?? 0))
      const larger = { highs: new Uint32Array(length), lows: new Uint32Array(length), known: new Uint8Array(length) }
      if (texts !== undefined) {
        larger.highs.set(texts.highs)
        larger.lows.set(texts.lows)
        larger.known.set(texts.known)
      }
      texts = larger
      memos.set(next.dictionary, larger)
    },
    of(row) {
      if (column!.type !== 'string') {
        hashNumber(column!.values[row]!)
        return
      }
      const code = column!.values[row]!
      const { highs, lows, known } = texts!
      if (known[code] === 1) {
        hash[0] = highs[code]!
        hash[1] = lows[code]!
        return
      }
      hashText(column!.dictionary.at(code))
      highs[code] = hash[0]!
      lows[code] = hash[1]!
      known[code] = 1
    },
  }
}
