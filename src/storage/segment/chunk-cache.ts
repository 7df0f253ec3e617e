/**
 * What was read from segments and may be wanted again: footers, group heads, chunks — checked and parsed.
 *
 * Invariants:
 * 1. Entries together hold at most `bytesMax`, by what their owners say they take; they go in turn, but one that was used since
 *    its last turn waits for another (F. J. Corbató, "A Paging Experiment with the Multics System", 1968: the clock). Less where
 *    the account has less: it is told of every entry, and may `shrinkTo` what it has.
 * 2. Keys are never used again for something else: nothing has to be removed when a segment goes.
 */

interface Entry {
  readonly value: object
  readonly bytes: number
  isUsed: boolean
}

export class ChunkCache {
  readonly #bytesMax: number
  /** In the order of their turns. */
  readonly #entries = new Map<number, Entry>()
  #bytes = 0
  /** Told after it has grown. */
  onGrowth: () => void = () => {}

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The caller knows what it put under the key. */
  get<T extends object>(key: number): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    entry.isUsed = true
    return entry.value as T
  }

  set(key: number, value: object, bytes: number): void {
    if (bytes > this.#bytesMax / 4) return
    const before = this.#entries.get(key)
    if (before !== undefined) this.#remove(key, before)
    this.#entries.set(key, { value, bytes, isUsed: false })
    this.#bytes += bytes
    this.shrinkTo(this.#bytesMax)
    this.onGrowth()
  }

  /** Lets entries go until it holds so much at most. */
  shrinkTo(bytesMax: number): void {
    if (this.#bytes <= bytesMax) return
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= bytesMax) break
      if (!entry.isUsed) this.#remove(key, entry)
      else {
        entry.isUsed = false
        this.#entries.delete(key)
        this.#entries.set(key, entry)
      }
    }
  }

  #remove(key: number, entry: Entry): void {
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}
