/**
 * Selection: the value that would stand at a place if values were sorted, in linear time. R. W. Floyd, R. L. Rivest,
 * "Algorithm 489: SELECT", CACM 18(3), 1975; values whose order defeats it are sorted instead.
 */

/** Above so many values a sample chooses the pivot. */
const sampledMin = 600
/** Rounds after which what is left is sorted: one takes away most of the values, unless they were made to resist. */
const roundsMax = 24

/**
 * Rearranges values [left, right] (no NaN) so that `values[place]` is the one that sorting would put there, none before it
 * is greater and none after it is less.
 */
export function selectPlace(values: Float64Array, place: number, left: number, right: number): void {
  let low = left
  let high = right
  for (let round = 0; high > low; round++) {
    if (round === roundsMax) {
      values.subarray(low, high + 1).sort()
      return
    }
    if (high - low > sampledMin) {
      const n = high - low + 1
      const i = place - low + 1
      const z = Math.log(n)
      const sample = 0.5 * Math.exp((2 * z) / 3)
      const spread = 0.5 * Math.sqrt((z * sample * (n - sample)) / n) * Math.sign(i - n / 2)
      const from = Math.max(low, Math.floor(place - (i * sample) / n + spread))
      const to = Math.min(high, Math.floor(place + ((n - i) * sample) / n + spread))
      selectPlace(values, place, from, to)
    }
    const middle = partitionAround(values, place, low, high)
    if (middle <= place) low = middle + 1
    if (place <= middle) high = middle - 1
  }
}

/** Partitions [low, high] by the value at `place` and returns where that ends up. */
function partitionAround(values: Float64Array, place: number, low: number, high: number): number {
  const pivot = values[place]!
  values[place] = values[low]!
  values[low] = pivot
  const last = values[high]!
  if (last > pivot) {
    values[high] = pivot
    values[low] = last
  }
  let i = low
  let j = high
  while (i < j) {
    const swapped = values[i]!
    values[i] = values[j]!
    values[j] = swapped
    i++
    j--
    while (values[i]! < pivot) i++
    while (values[j]! > pivot) j--
  }
  if (values[low] === pivot) {
    values[low] = values[j]!
    values[j] = pivot
    return j
  }
  j++
  values[high] = values[j]!
  values[j] = pivot
  return j
}

/** Moves NaN to the end of [from, to) and returns where they begin. */
export function numbersFirst(values: Float64Array, from: number, to: number): number {
  let end = to
  for (let at = from; at < end; ) {
    if (Number.isNaN(values[at]!)) {
      end--
      values[at] = values[end]!
      values[end] = NaN
    } else at++
  }
  return end
}
