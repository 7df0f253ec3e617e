/**
 * Compensated sums: what each addition rounds away is summed apart (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren
 * zur Summation endlicher Summen", ZAMM 54, 1974), so that the error is a rounding or two, however many are added.
 *
 *   next = sum + value; lost += roundedAway(sum, value, next); sum = next     …     total(sum, lost)
 */

/** What is missing from `next`, the rounded sum of the two. */
export const roundedAway = (sum: number, value: number, next: number): number =>
  Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum

/** Of infinite sums nothing is lost that could be told: `lost` is then NaN. */
export const total = (sum: number, lost: number): number => (Number.isNaN(lost) ? sum : sum + lost)
