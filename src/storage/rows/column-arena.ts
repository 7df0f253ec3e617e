/**
 * Columns cut from one buffer: one allocation a batch and metric instead of one a column, and mostly none at all, for
 * buffers of batches that nobody reads any more are used again. V8 collects when array memory has grown by so much.
 *
 * Invariants:
 * 1. What a column holds at first is not known.
 * 2. A buffer is recycled once for each time it was lent; others are left alone.
 */

/** Spare buffers together; what comes back beyond it is garbage. */
const spareBytesMax = 4 << 20
/**
 * Buffers that are used again are powers of two long; longer ones are as long as needed, and garbage afterwards. The
 * shortest are short: a batch may have a row each of a thousand metrics.
 */
const pooledBytesMin = 1 << 8
const pooledBytesMax = 1 << 20

/** Other limits than those above. */
export interface ArenaLimits {
  readonly spareBytesMax: number
  readonly pooledBytesMax: number
}

export class ColumnArenas {
  /** By the logarithm of their length. */
  readonly #spare: ArrayBuffer[][] = []
  #spareBytes = 0
  readonly #lent = new WeakSet<ArrayBufferLike>()
  readonly #limits: ArenaLimits

  constructor(limits: ArenaLimits = { spareBytesMax, pooledBytesMax }) {
    this.#limits = limits
  }

  /** An arena for so many bytes, each column's rounded as `ColumnArena.bytes` does. */
  arena(bytes: number): ColumnArena {
    if (bytes > this.#limits.pooledBytesMax) return new ColumnArena(new ArrayBuffer(bytes))
    const logarithm = 32 - Math.clz32(Math.max(bytes, pooledBytesMin) - 1)
    let buffer = this.#spare[logarithm]?.pop()
    if (buffer === undefined) buffer = new ArrayBuffer(2 ** logarithm)
    else this.#spareBytes -= buffer.byteLength
    this.#lent.add(buffer)
    return new ColumnArena(buffer)
  }

  /** The columns in the buffer are not read any more. */
  recycle(buffer: ArrayBufferLike): void {
    if (!this.#lent.delete(buffer) || this.#spareBytes + buffer.byteLength > this.#limits.spareBytesMax) return
    const logarithm = 31 - Math.clz32(buffer.byteLength)
    this.#spareBytes += buffer.byteLength
    ;(this.#spare[logarithm] ??= []).push(buffer as ArrayBuffer)
  }
}

export class ColumnArena {
  readonly #buffer: ArrayBuffer
  #used = 0

  /** Room that a column of `length` elements of this size takes. */
  static bytes(length: number, elementBytes: number): number {
    return (length * elementBytes + 7) & ~7
  }

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer
  }

  float64(length: number): Float64Array {
    return new Float64Array(this.#buffer, this.#take(length, 8), length)
  }
  uint32(length: number): Uint32Array {
    return new Uint32Array(this.#buffer, this.#take(length, 4), length)
  }
  uint8(length: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#take(length, 1), length)
  }

  #take(length: number, elementBytes: number): number {
    const at = this.#used
    this.#used += ColumnArena.bytes(length, elementBytes)
    return at
  }
}
