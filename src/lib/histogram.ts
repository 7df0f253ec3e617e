/** Histogram: how many observations fell below each of some bounds. */
export interface Histogram {
  /** Ascending. */
  readonly bounds: readonly number[]
  /** `counts[i]`: observations in (bounds[i - 1], bounds[i]]; the last one has no upper bound. */
  readonly counts: number[]
}

export const newHistogram = (bounds: readonly number[]): Histogram => ({
  bounds,
  counts: new Array<number>(bounds.length + 1).fill(0),
})

export function observe({ bounds, counts }: Histogram, value: number): void {
  const at = bounds.findIndex(bound => value <= bound)
  counts[at < 0 ? bounds.length : at]!++
}
