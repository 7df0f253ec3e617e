/** Columns cut from one buffer: one allocation a batch and metric instead of one a column, which the collector notices. */
export class ColumnArena {
  readonly #buffer: ArrayBuffer
  #used = 0

  /** Room that a column of `length` elements of this size takes. */
  static bytes(length: number, elementBytes: number): number {
    return (length * elementBytes + 7) & ~7
  }

  constructor(bytes: number) {
    this.#buffer = new ArrayBuffer(bytes)
  }

  float64(length: number): Float64Array {
    return new Float64Array(this.#buffer, this.#take(length, 8), length)
  }
  uint32(length: number): Uint32Array {
    return new Uint32Array(this.#buffer, this.#take(length, 4), length)
  }
  uint8(length: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#take(length, 1), length)
  }

  #take(length: number, elementBytes: number): number {
    const at = this.#used
    this.#used += ColumnArena.bytes(length, elementBytes)
    return at
  }
}
