/** A small seeded generator (xorshift32 over a hashed seed): every run with one seed makes the same choices. */
import type { Random } from '../../src/lib/ports.ts'

export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    // murmur3's finaliser spreads neighbouring seeds; xorshift must not start at zero.
    let hash = seed | 0
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    this.#state = hash ^ (hash >>> 16) || 0x9e3779b9
  }

  next32(): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return this.#state >>> 0
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.next32() / 2 ** 32) * bound)
  }

  chance(probability: number): boolean {
    return this.next32() < probability * 2 ** 32
  }

  bytes(target: Uint8Array): Uint8Array {
    for (let i = 0; i < target.length; i++) target[i] = this.next32() >>> 24
    return target
  }
}
