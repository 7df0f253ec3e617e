/**
 * SeriesRows: series ordinal -> its newest row, as an open-addressing hash table in two typed arrays.
 *
 * Invariants:
 * 1. Keys are ordinal + 1 (0 is free); the table is at most half full, so every probe ends.
 * 2. An ordinal once in stays in.
 */
export class SeriesRows {
  #keys = new Uint32Array(64)
  #rows = new Uint32Array(64)
  #size = 0

  get byteLength(): number {
    return this.#keys.byteLength + this.#rows.byteLength
  }

  /** The newest row + 1 of the series; 0 when it has none. */
  newest(series: number): number {
    const keys = this.#keys
    const mask = keys.length - 1
    let slot = Math.imul(series, multiplier) & mask
    while (keys[slot] !== 0) {
      if (keys[slot] === series + 1) return this.#rows[slot]!
      slot = (slot + 1) & mask
    }
    return 0
  }

  /**
   * Rows [from, to) of `series` become the newest of their series, numbered from `firstRow`: `previous[i]` gets the row + 1
   * that was the newest of `series[i]` before row i.
   */
  link(series: Uint32Array, from: number, to: number, firstRow: number, previous: Uint32Array): void {
    let slot = -1
    let last = -1
    for (let i = from; i < to; i++) {
      const one = series[i]!
      if (one !== last) {
        slot = this.#slotOf(one)
        last = one
      }
      previous[i] = this.#rows[slot]!
      this.#rows[slot] = firstRow + (i - from) + 1
    }
  }

  #slotOf(series: number): number {
    if (this.#size * 2 >= this.#keys.length) this.#grow()
    const keys = this.#keys
    const mask = keys.length - 1
    let slot = Math.imul(series, multiplier) & mask
    while (keys[slot] !== 0) {
      if (keys[slot] === series + 1) return slot
      slot = (slot + 1) & mask
    }
    keys[slot] = series + 1
    this.#size++
    return slot
  }

  #grow(): void {
    const keys = this.#keys
    const rows = this.#rows
    this.#keys = new Uint32Array(keys.length * 2)
    this.#rows = new Uint32Array(keys.length * 2)
    const mask = this.#keys.length - 1
    for (let old = 0; old < keys.length; old++) {
      if (keys[old] === 0) continue
      let slot = Math.imul(keys[old]! - 1, multiplier) & mask
      while (this.#keys[slot] !== 0) slot = (slot + 1) & mask
      this.#keys[slot] = keys[old]!
      this.#rows[slot] = rows[old]!
    }
  }
}

/** Odd, so that neighbouring ordinals spread over the low bits without meeting. */
const multiplier = 0x9e3779b1
