/** Seeded random numbers: the same points in every run. */

/** From 0 to 1, by xorshift32 (G. Marsaglia, 2003): fast, and good enough for walks. */
export function uniform(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** Of mean 0 and deviation 1 (G. E. P. Box, M. E. Muller, 1958: two at a time). */
export function normal(random: () => number): () => number {
  let second: number | undefined
  return () => {
    if (second !== undefined) {
      const value = second
      second = undefined
      return value
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()))
    const angle = 2 * Math.PI * random()
    second = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }
}
