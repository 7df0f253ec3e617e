/** Deleted ranges of time: half-open, disjoint, ascending, with a gap between any two. */

export interface TimeSpan {
  readonly fromUs: number
  readonly toUs: number
}

export class DeletedRanges implements Iterable<TimeSpan> {
  readonly #fromUs: Float64Array
  readonly #toUs: Float64Array

  /** Use `mergeRanges`. */
  constructor(fromUs: Float64Array, toUs: Float64Array) {
    this.#fromUs = fromUs
    this.#toUs = toUs
  }

  get isEmpty(): boolean {
    return this.#fromUs.length === 0
  }

  /** The first range that ends after this time; the number of ranges when there is none. */
  firstAfter(timeUs: number): number {
    let low = 0
    let high = this.#toUs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#toUs[middle]! <= timeUs) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Infinity behind the last. */
  fromUs(range: number): number {
    return this.#fromUs[range] ?? Number.POSITIVE_INFINITY
  }
  toUs(range: number): number {
    return this.#toUs[range] ?? Number.POSITIVE_INFINITY
  }

  /** Whether a time in [fromUs, toUs) is deleted. */
  overlaps(fromUs: number, toUs: number): boolean {
    return fromUs < toUs && this.fromUs(this.firstAfter(fromUs)) < toUs
  }

  /** Whether all times in [fromUs, toUs) are. */
  contains(fromUs: number, toUs: number): boolean {
    const range = this.firstAfter(fromUs)
    return this.fromUs(range) <= fromUs && this.toUs(range) >= toUs && range < this.#toUs.length
  }

  *[Symbol.iterator](): Generator<TimeSpan> {
    for (let range = 0; range < this.#fromUs.length; range++)
      yield { fromUs: this.#fromUs[range]!, toUs: this.#toUs[range]! }
  }
}

/** Of ranges in any order, which may overlap; none is empty. */
export function mergeRanges(ranges: readonly TimeSpan[]): DeletedRanges {
  const sorted = ranges.toSorted((a, b) => a.fromUs - b.fromUs || a.toUs - b.toUs)
  const fromUs: number[] = []
  const toUs: number[] = []
  for (const range of sorted) {
    const last = toUs.length - 1
    if (last >= 0 && range.fromUs <= toUs[last]!) toUs[last] = Math.max(toUs[last]!, range.toUs)
    else {
      fromUs.push(range.fromUs)
      toUs.push(range.toUs)
    }
  }
  return new DeletedRanges(Float64Array.from(fromUs), Float64Array.from(toUs))
}
