/** What a query's groups keep, and the limit of it. */
import type { GroupMemory } from '../../aggregate/aggregator.ts'
import { tooMuchKept } from '../row-bytes.ts'

export class KeptMemory implements GroupMemory {
  readonly #bytesMax: number
  readonly #makeRoom: () => void
  readonly #held = new Map<object, number>()
  #bytes = 0

  /** `makeRoom` lets go of what can be made again. */
  constructor(bytesMax: number, makeRoom: () => void) {
    this.#bytesMax = bytesMax
    this.#makeRoom = makeRoom
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Throws `memory_limit` where no room can be made. */
  hold(owner: object, bytes: number): boolean {
    const more = bytes - (this.#held.get(owner) ?? 0)
    if (more === 0) return true
    this.#held.set(owner, bytes)
    this.#bytes += more
    if (more > 0 && this.#bytes > this.#bytesMax) {
      this.#makeRoom()
      if (this.#bytes > this.#bytesMax) throw tooMuchKept(this.#bytesMax)
    }
    return true
  }

  release(owner: object): void {
    this.#bytes -= this.#held.get(owner) ?? 0
    this.#held.delete(owner)
  }
}
