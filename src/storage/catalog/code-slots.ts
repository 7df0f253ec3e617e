/**
 * CodeSlots: hashes to dense codes, by open addressing. What a code stands for is with the owner, who compares.
 *
 *   slot   1 + code | upper bits of the hash: as many as the codes leave free; 0 is free       place: its lower bits
 *
 * With a million entries eleven bits of the hash are in the slot: what lies behind another's code, anywhere in memory, is looked at
 * once in two thousand times.
 *
 * Invariants:
 * 1. At most three quarters of the slots are taken, so every probe ends; and a code always fits into as many bits as a place.
 * 2. Nothing is removed.
 */

export class CodeSlots {
  readonly #slots: Int32Array
  readonly #mask: number
  /** Where the last probe ended. */
  #at = 0

  /** For so many codes, and some more. */
  constructor(codes: number) {
    this.#slots = new Int32Array(tableSize(codes + 1))
    this.#mask = this.#slots.length - 1
  }

  get byteLength(): number {
    return this.#slots.byteLength
  }

  hasRoomFor(codes: number): boolean {
    return codes * 4 <= this.#slots.length * 3
  }

  /**
   * A code that may be of this hash, or -1.
   *
   * @example for (let code = slots.first(hash); code >= 0; code = slots.next(hash)) if (isIt(code)) return code
   */
  first(hash: number): number {
    return this.#probe(hash, hash & this.#mask)
  }

  /** The candidate after the last one. */
  next(hash: number): number {
    return this.#probe(hash, (this.#at + 1) & this.#mask)
  }

  #probe(hash: number, from: number): number {
    const slots = this.#slots
    const mask = this.#mask
    for (let at = from; ; at = (at + 1) & mask) {
      const slot = slots[at]!
      if (slot === 0) return -1
      if (((slot ^ hash) & ~mask) === 0) {
        this.#at = at
        return (slot & mask) - 1
      }
    }
  }

  /** There is room, and the code is new. */
  add(hash: number, code: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let at = hash & mask
    while (slots[at] !== 0) at = (at + 1) & mask
    slots[at] = (hash & ~mask) | (code + 1)
  }
}

/** A table of the given number of entries at no more than three quarters. */
const tableSize = (entries: number): number => {
  let size = 8
  while (size * 3 < entries * 4) size *= 2
  return size
}
