/**
 * The arrays of chunks: counted for one memtable, and used by one memtable after the other.
 *
 *   memtable -> frozen -> flushed, no longer read -> ChunkPool -> the next memtable
 *
 * Chunks are most of the array memory of an engine that ingests. V8 collects whenever that has grown by some tens of MB:
 * with fresh arrays for each memtable it would collect all the time, and find little.
 *
 * Invariants:
 * 1. What waits in the pool is at most as large as the memtable that came back last: a burst's memory goes with it.
 * 2. Arrays come back once nobody reads them any more, together, and only those of full-size chunks are kept.
 */

/** Rows of a full-size chunk. */
export const chunkRowsMax = 16_384

export type ChunkArray = Float64Array | Uint8Array | Uint32Array

export class ChunkPool {
  readonly #float64: Float64Array[] = []
  readonly #uint32: Uint32Array[] = []
  readonly #uint8: Uint8Array[] = []
  #bytes = 0

  // Arrays of `chunkRowsMax` elements that hold anything; undefined when none waits.

  float64(): Float64Array | undefined {
    return this.#taken(this.#float64.pop())
  }
  uint32(): Uint32Array | undefined {
    return this.#taken(this.#uint32.pop())
  }
  uint8(): Uint8Array | undefined {
    return this.#taken(this.#uint8.pop())
  }

  #taken<A extends ChunkArray>(array: A | undefined): A | undefined {
    this.#bytes -= array?.byteLength ?? 0
    return array
  }

  /** Keeps the arrays of a memtable that is gone. */
  takeBack(arrays: Iterable<ChunkArray>): void {
    let most = 0
    for (const array of arrays) {
      if (array.length !== chunkRowsMax) continue
      most += array.byteLength
      if (array instanceof Float64Array) this.#float64.push(array)
      else if (array instanceof Uint32Array) this.#uint32.push(array)
      else this.#uint8.push(array)
    }
    this.#bytes += most
    while (this.#bytes > most) this.#taken(this.#float64.pop() ?? this.#uint32.pop() ?? this.#uint8.pop())
  }
}

/** The memory of one memtable. */
export class ChunkMemory {
  /** What its arrays take, and whatever else is counted here. */
  bytes = 0
  readonly #pool: ChunkPool | undefined
  readonly #arrays = new Set<ChunkArray>()

  constructor(pool: ChunkPool | undefined) {
    this.#pool = pool
  }

  // New arrays. Those of full size hold anything, but for `uint8`, which are zeros.

  float64(length: number): Float64Array {
    return this.#counted((length === chunkRowsMax ? this.#pool?.float64() : undefined) ?? new Float64Array(length))
  }
  uint32(length: number): Uint32Array {
    return this.#counted((length === chunkRowsMax ? this.#pool?.uint32() : undefined) ?? new Uint32Array(length))
  }
  uint8(length: number): Uint8Array {
    const waiting = length === chunkRowsMax ? this.#pool?.uint8()?.fill(0) : undefined
    return this.#counted(waiting ?? new Uint8Array(length))
  }

  #counted<A extends ChunkArray>(array: A): A {
    this.bytes += array.byteLength
    this.#arrays.add(array)
    return array
  }

  /** An array that was replaced by a larger one: readers may still have it. */
  outgrown(array: ChunkArray): void {
    this.bytes -= array.byteLength
    this.#arrays.delete(array)
  }

  /** Gives the arrays to the pool. */
  release(): void {
    this.#pool?.takeBack(this.#arrays)
    this.#arrays.clear()
  }
}
