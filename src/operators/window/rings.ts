/**
 * Rings: the latest entries of each partition, oldest first, in arrays that all partitions share.
 *
 *   partition p    base[p] … base[p] + capacity[p]     entry i at  base + ((start + i) & (capacity - 1))
 *
 * Invariants:
 * 1. A capacity is a power of two, 0 before the first entry. A ring that grows moves to the arrays' end, so at most half of
 *    what is in use is given up places.
 */
import { grownCodes, grownNumbers } from '../aggregate/state.ts'

const firstCapacity = 4

export class Rings {
  /** Two numbers an entry. */
  a: Float64Array = new Float64Array(0)
  b: Float64Array = new Float64Array(0)
  base: Float64Array = new Float64Array(0)
  capacity: Uint32Array = new Uint32Array(0)
  start: Uint32Array = new Uint32Array(0)
  length: Uint32Array = new Uint32Array(0)
  #used = 0

  get byteLength(): number {
    return this.a.byteLength + this.b.byteLength + this.base.byteLength + 3 * this.capacity.byteLength
  }

  reserve(partitions: number): void {
    this.base = grownNumbers(this.base, partitions)
    this.capacity = grownCodes(this.capacity, partitions)
    this.start = grownCodes(this.start, partitions)
    this.length = grownCodes(this.length, partitions)
  }

  clear(partition: number): void {
    this.start[partition] = 0
    this.length[partition] = 0
  }

  /** Makes room for so many entries in the ring, which then starts at its first place. */
  grow(partition: number, entries: number): void {
    const old = this.capacity[partition]!
    let capacity = Math.max(old, firstCapacity)
    while (capacity < entries) capacity *= 2
    if (capacity === old) return
    const to = this.#used
    this.#used += capacity
    this.a = grownNumbers(this.a, this.#used)
    this.b = grownNumbers(this.b, this.#used)
    const from = this.base[partition]!
    const first = this.start[partition]!
    for (let i = 0; i < this.length[partition]!; i++) {
      const place = from + ((first + i) & (old - 1))
      this.a[to + i] = this.a[place]!
      this.b[to + i] = this.b[place]!
    }
    this.base[partition] = to
    this.start[partition] = 0
    this.capacity[partition] = capacity
  }
}
