/**
 * SeriesRows: series ordinal -> its newest row + 1, as one array indexed by ordinal; 0 where a series has none.
 *
 * Ordinals are dense, so the array is smaller than a hash table as soon as a quarter of the series are written to, and a
 * row costs one load and one store.
 */
export class SeriesRows {
  #newest = new Uint32Array(64)

  get byteLength(): number {
    return this.#newest.byteLength
  }

  /** The newest row + 1 of the series; 0 when it has none. */
  newest(series: number): number {
    return this.#newest[series] ?? 0
  }

  /**
   * Rows [from, to) of `series` become the newest of their series, numbered from `firstRow`: `previous[i]` gets the row + 1
   * that was the newest of `series[i]` before row i.
   */
  link(series: Uint32Array, from: number, to: number, firstRow: number, previous: Uint32Array): void {
    let highest = 0
    for (let i = from; i < to; i++) if (series[i]! > highest) highest = series[i]!
    if (highest >= this.#newest.length) this.#grow(highest + 1)
    const newest = this.#newest
    for (let i = from; i < to; i++) {
      const one = series[i]!
      previous[i] = newest[one]!
      newest[one] = firstRow + (i - from) + 1
    }
  }

  #grow(length: number): void {
    const grown = new Uint32Array(Math.max(length, this.#newest.length * 2))
    grown.set(this.#newest)
    this.#newest = grown
  }
}
