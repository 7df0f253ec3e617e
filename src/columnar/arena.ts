/**
 * Arena: memory of the arrays that a query works in, taken together and used again by the next query.
 *
 *   [ times | series | values | … |        free        ]      beyond its end each is alone
 *
 * A typed array of its own costs microseconds, of which a small query would need dozens; a view costs a few nanoseconds.
 *
 * Invariants:
 * 1. Arrays hold anything at first, and are the query's until it gives the arena back.
 * 2. A pool keeps `arenasMax` arenas of `arenaBytes` each, and of what was beyond their ends what `spare-memory.ts` says.
 */
import { SpareMemory, sparesMaxBytes } from './spare-memory.ts'

/** Where arrays come from. Their contents may be anything. */
export interface ArrayMemory {
  float64(length: number): Float64Array
  uint32(length: number): Uint32Array
  uint8(length: number): Uint8Array
  /** An array of this memory is done with, before the rest is. */
  giveBack?(array: Float64Array | Uint32Array | Uint8Array): void
}

export const ownArrays: ArrayMemory = {
  float64: length => new Float64Array(length),
  uint32: length => new Uint32Array(length),
  uint8: length => new Uint8Array(length),
}

export const arenaBytes = 512 * 1024
const arenasMax = 8
/** Arrays of less are not worth keeping alone. */
const largeBytes = 48 * 1024

export class Arena implements ArrayMemory {
  readonly #memory = new ArrayBuffer(arenaBytes)
  readonly #spares: SpareMemory
  /** What was taken beyond the end. */
  readonly #alone = new Set<ArrayBuffer>()
  #used = 0

  constructor(spares = new SpareMemory()) {
    this.#spares = spares
  }

  float64(length: number): Float64Array {
    const at = this.#take(8 * length)
    return at < 0 ? new Float64Array(this.#large(8 * length), 0, length) : new Float64Array(this.#memory, at, length)
  }
  uint32(length: number): Uint32Array {
    const at = this.#take(4 * length)
    return at < 0 ? new Uint32Array(this.#large(4 * length), 0, length) : new Uint32Array(this.#memory, at, length)
  }
  uint8(length: number): Uint8Array {
    const at = this.#take(length)
    return at < 0 ? new Uint8Array(this.#large(length), 0, length) : new Uint8Array(this.#memory, at, length)
  }

  giveBack({ buffer }: Float64Array | Uint32Array | Uint8Array): void {
    if (this.#alone.delete(buffer as ArrayBuffer)) this.#spares.give(buffer as ArrayBuffer)
  }

  /** All of it is free again: nobody may use its arrays any more. */
  clear(): void {
    this.#used = 0
    for (const buffer of this.#alone) this.#spares.give(buffer)
    this.#alone.clear()
  }

  /** Beyond the end. */
  #large(bytes: number): ArrayBuffer {
    if (bytes < largeBytes) return new ArrayBuffer(bytes)
    const buffer = this.#spares.take(bytes)
    this.#alone.add(buffer)
    return buffer
  }

  /** Where so many bytes are, -1: they do not fit. */
  #take(bytes: number): number {
    const at = this.#used
    const end = at + ((bytes + 7) & ~7)
    if (!(end <= arenaBytes)) return -1
    this.#used = end
    return at
  }
}

export class ArenaPool {
  readonly bytesMax = arenasMax * arenaBytes + sparesMaxBytes
  readonly #free: Arena[] = []
  readonly #spares = new SpareMemory()

  /** What waits for the next query. */
  get bytes(): number {
    return this.#free.length * arenaBytes + this.#spares.bytes
  }

  /** Keeps so much of it at most. */
  shrinkTo(bytes: number): void {
    this.#free.length = Math.min(this.#free.length, Math.floor(bytes / arenaBytes))
    this.#spares.shrinkTo(bytes - this.#free.length * arenaBytes)
  }

  take(): Arena {
    return this.#free.pop() ?? new Arena(this.#spares)
  }

  /** Not to be called while somebody may still read its arrays. */
  give(arena: Arena): void {
    arena.clear()
    if (this.#free.length >= arenasMax) return
    this.#free.push(arena)
  }
}
