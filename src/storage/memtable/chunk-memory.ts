/**
 * The arrays of chunks: pieces of slabs, which one memtable uses after the other.
 *
 *   slab    128 KiB, cut into pieces of one size class: 256 B, 512 B, … 128 KiB
 *   arena   the slabs of one memtable (ChunkMemory)
 *   pool    slabs that wait for the next arena (ChunkPool)
 *
 *   arena -> frozen -> flushed -> last pin released -> its slabs, all at once -> pool -> the next arena
 *
 * Slabs are shared memory: the thread that encodes a flush reads them where they are.
 *
 * Chunks are most of the array memory of an engine that ingests. V8 collects whenever that has grown by some tens of MB:
 * with fresh arrays for each memtable it would collect all the time, and find little. Slabs of one size serve any mix of
 * metrics, large and small. After J. Bonwick, "The Slab Allocator" (USENIX Summer 1994), section 3.2, and, for the arena that
 * goes whole, D. R. Hanson, "Fast Allocation and Deallocation of Memory Based on Object Lifetimes" (SP&E 20(1), 1990).
 *
 * Invariants:
 * 1. What waits in the pool is at most `waitingBytesMax`, and at most as much as the arena that came back last: a burst's
 *    memory goes with it.
 * 2. Slabs come back together, once nobody reads their memtable any more.
 * 3. An outgrown piece serves its own arena again at once: only the memtable that still grows outgrows pieces, and its
 *    readers ask the chunk for its arrays anew whenever they read, never across a turn.
 */
import { assert } from '../../lib/assert.ts'
import { newHistogram, observe } from '../../lib/histogram.ts'

/** Rows of a full-size chunk. */
export const chunkRowsMax = 16_384
/** A full-size chunk's largest array. */
export const slabBytes = chunkRowsMax * Float64Array.BYTES_PER_ELEMENT
const pieceBytesMin = 256
const classCount = Math.log2(slabBytes / pieceBytesMin) + 1
/** Of how long arenas were held, in milliseconds. */
const holdBoundsMs = [10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000]

/** Slabs for a memtable of this size: it grows a little beyond, and has a slab of each class that is not used up. */
export const poolBytesMax = (memtableBytes: number): number => memtableBytes * 1.25 + classCount * slabBytes

export type ChunkArray = Float64Array | Uint8Array | Uint32Array

/** Pieces of one size, of all arenas. */
export interface SizeClassStatistics {
  readonly pieceBytes: number
  readonly inUse: number
  /** Cut, or ready to be cut, from slabs of this class. */
  readonly waiting: number
  /** Bytes of these slabs. */
  readonly bytes: number
  /** Pieces given out since the beginning. */
  readonly allocations: number
}

/** The memory of memtables: slabs of one size, cut into pieces. */
export interface ChunkPoolStatistics {
  readonly slabBytes: number
  /** Slabs of arenas, and those that wait for the next. */
  readonly slabsInUse: number
  readonly slabsWaiting: number
  /** Slabs that were made, and that served another arena before. */
  readonly slabsMade: number
  readonly slabsReused: number
  readonly classes: readonly SizeClassStatistics[]
  /** How long arenas were held, from their first piece until their slabs came back; the last count has no upper bound. */
  readonly holdTimes: { readonly boundsMs: readonly number[]; readonly counts: readonly number[] }
}

export interface ChunkPoolOptions {
  /** Default: no limit but that of invariant 1. */
  readonly waitingBytesMax?: number
  /** A clock that never goes back; without one, hold times are 0. */
  readonly nowMs?: () => number
}

export class ChunkPool {
  readonly #waitingMax: number
  readonly #nowMs: () => number
  readonly #waiting: SharedArrayBuffer[] = []
  readonly #slabs = new Float64Array(classCount)
  readonly #inUse = new Float64Array(classCount)
  readonly #allocations = new Float64Array(classCount)
  readonly #holdTimes = newHistogram(holdBoundsMs)
  #made = 0
  #reused = 0

  constructor({ waitingBytesMax = Number.POSITIVE_INFINITY, nowMs = () => 0 }: ChunkPoolOptions = {}) {
    this.#waitingMax = Math.ceil(waitingBytesMax / slabBytes)
    this.#nowMs = nowMs
  }

  /** What waits. */
  get bytes(): number {
    return this.#waiting.length * slabBytes
  }
  get bytesMax(): number {
    return this.#waitingMax * slabBytes
  }

  nowMs(): number {
    return this.#nowMs()
  }

  /** A slab to be cut into pieces of the class. It holds anything. */
  slab(sizeClass: number): SharedArrayBuffer {
    this.#slabs[sizeClass]!++
    const waiting = this.#waiting.pop()
    if (waiting === undefined) this.#made++
    else this.#reused++
    return waiting ?? new SharedArrayBuffer(slabBytes)
  }

  /** Pieces that an arena has begun to use, or no longer does when negative. */
  count(sizeClass: number, pieces: number): void {
    this.#inUse[sizeClass]! += pieces
    if (pieces > 0) this.#allocations[sizeClass]! += pieces
  }

  /** Keeps the slabs of an arena that is gone. */
  takeBack(slabs: readonly SharedArrayBuffer[], slabsOf: Float64Array, heldMs: number): void {
    for (let each = 0; each < classCount; each++) this.#slabs[each]! -= slabsOf[each]!
    observe(this.#holdTimes, heldMs)
    this.#waiting.push(...slabs)
    this.#keep(Math.min(slabs.length, this.#waitingMax))
  }

  /** Lets go of what waits beyond so many bytes. */
  shrinkTo(bytes: number): void {
    this.#keep(Math.floor(bytes / slabBytes))
  }

  #keep(slabs: number): void {
    if (this.#waiting.length > slabs) this.#waiting.length = slabs
  }

  stats(): ChunkPoolStatistics {
    const classes = Array.from({ length: classCount }, (_, each): SizeClassStatistics => {
      const pieceBytes = pieceBytesMin * 2 ** each
      const bytes = this.#slabs[each]! * slabBytes
      const inUse = this.#inUse[each]!
      return { pieceBytes, inUse, waiting: bytes / pieceBytes - inUse, bytes, allocations: this.#allocations[each]! }
    })
    return {
      slabBytes,
      slabsInUse: this.#slabs.reduce((sum, slabs) => sum + slabs, 0),
      slabsWaiting: this.#waiting.length,
      slabsMade: this.#made,
      slabsReused: this.#reused,
      classes,
      holdTimes: { boundsMs: holdBoundsMs, counts: [...this.#holdTimes.counts] },
    }
  }
}

interface Piece {
  readonly slab: SharedArrayBuffer
  readonly at: number
}

/** The memory of one memtable. Without a pool its arrays come from V8 and go back there, one by one. */
export class ChunkMemory {
  /** What its arrays take, and whatever else is counted here. */
  bytes = 0
  readonly #pool: ChunkPool | undefined
  readonly #slabs: SharedArrayBuffer[] = []
  /** By size class: how many slabs; pieces in use; the slab that is being cut and from where; pieces that were outgrown. */
  readonly #slabsOf = new Float64Array(classCount)
  readonly #inUse = new Float64Array(classCount)
  readonly #cuts: (Piece | undefined)[] = []
  readonly #outgrown: Piece[][] = Array.from({ length: classCount }, () => [])
  #piecesBytes = 0
  #startedMs = 0

  constructor(pool: ChunkPool | undefined) {
    this.#pool = pool
  }

  /** What it keeps from others: like `bytes`, but slabs count whole. */
  get heldBytes(): number {
    return this.#pool === undefined ? this.bytes : this.bytes - this.#piecesBytes + this.#slabs.length * slabBytes
  }

  // New arrays of 256 × 2^n elements, `chunkRowsMax` at most. They hold anything, but for `uint8`, which are zeros.

  float64(length: number): Float64Array {
    const piece = this.#piece(length * 8)
    return piece === undefined ? new Float64Array(length) : new Float64Array(piece.slab, piece.at, length)
  }
  uint32(length: number): Uint32Array {
    const piece = this.#piece(length * 4)
    return piece === undefined ? new Uint32Array(length) : new Uint32Array(piece.slab, piece.at, length)
  }
  uint8(length: number): Uint8Array {
    const piece = this.#piece(length)
    return piece === undefined ? new Uint8Array(length) : new Uint8Array(piece.slab, piece.at, length).fill(0)
  }

  /** An array that was replaced by a larger one. */
  outgrown(array: ChunkArray): void {
    this.#use(array.byteLength, -1)
    if (this.#pool === undefined) return
    this.#outgrown[classOf(array.byteLength)]!.push({ slab: array.buffer as SharedArrayBuffer, at: array.byteOffset })
  }

  /** Nobody reads the memtable any more: gives its slabs to the pool. */
  release(): void {
    const pool = this.#pool
    if (pool === undefined || this.#slabs.length === 0) return
    for (let each = 0; each < classCount; each++) pool.count(each, -this.#inUse[each]!)
    pool.takeBack(this.#slabs.splice(0), this.#slabsOf, pool.nowMs() - this.#startedMs)
  }

  #piece(bytes: number): Piece | undefined {
    this.#use(bytes, 1)
    const pool = this.#pool
    if (pool === undefined) return undefined
    const sizeClass = classOf(bytes)
    const again = this.#outgrown[sizeClass]!.pop()
    if (again !== undefined) return again
    let cut = this.#cuts[sizeClass]
    if (cut === undefined || cut.at === slabBytes) {
      if (this.#slabs.length === 0) this.#startedMs = pool.nowMs()
      cut = { slab: pool.slab(sizeClass), at: 0 }
      this.#slabs.push(cut.slab)
      this.#slabsOf[sizeClass]!++
    }
    this.#cuts[sizeClass] = { slab: cut.slab, at: cut.at + bytes }
    return cut
  }

  #use(bytes: number, pieces: 1 | -1): void {
    this.bytes += pieces * bytes
    this.#piecesBytes += pieces * bytes
    if (this.#pool === undefined) return
    const sizeClass = classOf(bytes)
    this.#inUse[sizeClass]! += pieces
    this.#pool.count(sizeClass, pieces)
  }
}

function classOf(bytes: number): number {
  const sizeClass = 31 - Math.clz32(bytes / pieceBytesMin)
  assert(pieceBytesMin << sizeClass === bytes && bytes <= slabBytes, 'pieces are powers of two')
  return sizeClass
}
