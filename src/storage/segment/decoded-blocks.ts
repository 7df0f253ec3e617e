/**
 * Blocks that were decoded for some of their rows: the rest of them is likely to be wanted next, by another window or by the
 * same question asked again.
 *
 *   place = (chunk, block) spread over `blocksMax` places; whoever comes to a place takes it
 *
 * Invariants:
 * 1. It holds `blocksMax` blocks at most: 4 MiB, taken in slabs as their places are first used.
 * 2. Chunks are immutable, so that what was decoded of one stays right. They are known by number alone: their bytes are
 *    the cache's to let go.
 */
import { blockRowsMax } from '../../kernels/kernels.ts'

const blocksMax = 512
const slabBlocks = 16
/** Odd, and more than a group has blocks: neighbouring chunks have places of their own. */
const chunkStride = 9

/** A chunk whose blocks are kept. */
export interface Numbered {
  /** No other chunk of the process has it. */
  readonly number: number
}

export class DecodedBlocks {
  readonly #slabs: (Float64Array | undefined)[] = new Array<undefined>(blocksMax / slabBlocks).fill(undefined)
  readonly #values: (Float64Array | undefined)[] = new Array<undefined>(blocksMax).fill(undefined)
  /** Numbers; -1: none. */
  readonly #chunks = new Float64Array(blocksMax).fill(-1)
  readonly #blocks = new Uint32Array(blocksMax)

  /** The block's values, which `decode` writes where they are not there; valid until the next call. */
  values(chunk: Numbered, block: number, decode: (into: Float64Array) => void): Float64Array {
    const place = placeOf(chunk, block)
    if (this.#chunks[place] === chunk.number && this.#blocks[place] === block) return this.#values[place]!
    const into = (this.#values[place] ??= this.#room(place))
    // What fails half-way is no block.
    this.#chunks[place] = -1
    decode(into)
    this.#chunks[place] = chunk.number
    this.#blocks[place] = block
    return into
  }

  #room(place: number): Float64Array {
    const slab = Math.floor(place / slabBlocks)
    const first = (place % slabBlocks) * blockRowsMax
    const memory = (this.#slabs[slab] ??= new Float64Array(slabBlocks * blockRowsMax))
    return memory.subarray(first, first + blockRowsMax)
  }
}

const placeOf = ({ number }: Numbered, block: number): number => (number * chunkStride + block) & (blocksMax - 1)
