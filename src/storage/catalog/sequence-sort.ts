/**
 * Sorts items by sequences of digits, most significant first: the order of texts, or of lists of ranks.
 *
 * A range of items is sorted by the digit at its depth, packed with the position into one double so that the native
 * sort of Float64Array does the work; runs of equal digits are sorted by the next digit. Prefixes that all items share
 * cost one pass each (MSD radix sort with the digits too large for buckets; cf. Bentley & Sedgewick, "Fast Algorithms
 * for Sorting and Searching Strings", SODA 1997).
 *
 * Invariants:
 * 1. Digits are integers in [0, 2^26]; no item's sequence is a prefix of another's, so the sort always ends.
 * 2. At most 2^26 items.
 */
import { assert } from '../../lib/assert.ts'

export const digitMax = 2 ** 26
const itemsMax = 2 ** 26
const smallMax = 12

/** Sorts `items` in place. `digit(item, depth)` is called with depths from 0. */
export function sortBySequence(items: Uint32Array, digit: (item: number, depth: number) => number): void {
  assert(items.length <= itemsMax, 'too many items to sort')
  const packed = new Float64Array(items.length)
  const moved = new Uint32Array(items.length)
  // Ranges still to sort, as (from, to, depth).
  const pending: number[] = [0, items.length, 0]
  while (pending.length > 0) {
    const depth = pending.pop()!
    const to = pending.pop()!
    const from = pending.pop()!
    if (to - from <= smallMax) {
      insertionSort(items, from, to, depth, digit)
      continue
    }
    const count = to - from
    let ascending = true
    let previous = -1
    for (let i = 0; i < count; i++) {
      const value = digit(items[from + i]!, depth)
      if (value < previous) ascending = false
      previous = value
      packed[i] = value * itemsMax + i
    }
    if (!ascending) {
      packed.subarray(0, count).sort()
      for (let i = 0; i < count; i++) moved[i] = items[from + (packed[i]! % itemsMax)]!
      items.set(moved.subarray(0, count), from)
    }
    for (let i = 0; i < count; ) {
      const value = Math.floor(packed[i]! / itemsMax)
      const limit = (value + 1) * itemsMax
      let end = i + 1
      while (end < count && packed[end]! < limit) end++
      if (end - i > 1) pending.push(from + i, from + end, depth + 1)
      i = end
    }
  }
}

function insertionSort(
  items: Uint32Array,
  from: number,
  to: number,
  depth: number,
  digit: (item: number, depth: number) => number,
): void {
  for (let i = from + 1; i < to; i++) {
    const item = items[i]!
    let at = i
    for (; at > from && before(item, items[at - 1]!, depth, digit); at--) items[at] = items[at - 1]!
    items[at] = item
  }
}

function before(a: number, b: number, depth: number, digit: (item: number, depth: number) => number): boolean {
  for (let i = depth; ; i++) {
    const x = digit(a, i)
    const y = digit(b, i)
    if (x !== y) return x < y
  }
}
