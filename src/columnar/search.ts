/** Search in ascending columns. */

/** The first index in [from, to) whose time is not below, or `to`. Gallops, then bisects: near ones are found soonest. */
export function firstAtOrAfter(times: Float64Array, timeUs: number, from: number, to: number): number {
  let step = 1
  let low = from
  while (low + step < to && times[low + step]! < timeUs) {
    low += step
    step *= 2
  }
  let high = Math.min(low + step, to)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (times[middle]! < timeUs) low = middle + 1
    else high = middle
  }
  return low
}

/** The same where it probably is `near`. */
export function firstAtOrAfterNear(
  times: Float64Array,
  timeUs: number,
  from: number,
  to: number,
  near: number,
): number {
  const isThere = near > from && near <= to && times[near - 1]! < timeUs && (near === to || times[near]! >= timeUs)
  return isThere ? near : firstAtOrAfter(times, timeUs, from, to)
}
