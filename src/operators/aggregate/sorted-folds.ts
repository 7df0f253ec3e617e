/**
 * Aggregates of one group from its values in ascending order (NaN last), in no memory to speak of: for values that are
 * too many to hold and come sorted from temporary files.
 *
 * Invariant: the result is bit for bit that of the state in memory.
 */
import { compareScalars, type Scalar } from '../../columnar/value.ts'

export type Value = Exclude<Scalar, null>

/** Begun once per group, then given its values; equal ones may come apart, each with how often it is there. */
export interface SortedFold {
  /** `rows` is how many values come in all, each as often as it is there. */
  begin(rows: number): void
  add(value: Value, rows: number): void
  finish(): Scalar
}

/** Linear between the two ranks around p · (n - 1), as `ValuesState.percentile`. */
export function sortedPercentile(p: number | null): SortedFold {
  let count = 0
  let seen = 0
  let position = 0
  let low = 0
  let high = 0
  return {
    begin(rows) {
      count = rows
      seen = 0
      position = (p ?? 0) * (rows - 1)
    },
    add(value, rows) {
      const rank = Math.floor(position)
      const next = Math.min(rank + 1, count - 1)
      if (rank >= seen && rank < seen + rows) low = value as number
      if (next >= seen && next < seen + rows) high = value as number
      seen += rows
    },
    finish() {
      if (p === null || count === 0) return null
      const rank = Math.floor(position)
      return (low === high || position === rank ? low : low + (high - low) * (position - rank)) + 0
    },
  }
}

export function sortedDistinct(): SortedFold {
  let distinct = 0
  let last: Scalar = null
  return {
    begin() {
      distinct = 0
      last = null
    },
    add(value) {
      if (last === null || compareScalars(value, last) !== 0) distinct++
      last = value
    },
    finish: () => distinct,
  }
}

/** Of equally frequent values the smallest: the first to come. */
export function sortedMode(): SortedFold {
  let best: Scalar = null
  let bestRows = 0
  let last: Scalar = null
  let lastRows = 0
  return {
    begin() {
      best = last = null
      bestRows = lastRows = 0
    },
    add(value, rows) {
      lastRows = last !== null && compareScalars(value, last) === 0 ? lastRows + rows : rows
      last = value
      if (lastRows <= bestRows) return
      bestRows = lastRows
      best = value
    },
    finish: () => (typeof best === 'number' ? best + 0 : best),
  }
}
