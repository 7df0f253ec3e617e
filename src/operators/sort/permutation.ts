/**
 * The order of rows by their keys' words.
 *
 *   rows in order already?  ->  as they are
 *   radix passes by the first word, 11 bits each, least significant first; then each run of equal words by the next word
 *
 * Invariants:
 * 1. Stable: rows with equal words keep their order.
 * 2. A pass over a digit that all rows share is left out.
 */
import type { KeyWords } from './key-words.ts'

/** Up to here comparing beats counting. */
const insertionRowsMax = 32
/** From here a pass takes 11 bits, below 8. */
const wideRowsMin = 4096

interface Scratch {
  readonly rows: Uint32Array
  readonly keysA: Uint32Array
  readonly keysB: Uint32Array
  readonly counts: Uint32Array
}

/** Bytes a sort takes on top of rows and words, per row. */
export const sortScratchRowBytes = 16

/** Position -> row. */
export function sortWords(words: KeyWords, rows: number): Uint32Array {
  const order = new Uint32Array(rows)
  for (let row = 0; row < rows; row++) order[row] = row
  if (words.length === 0 || inOrder(words, rows)) return order
  const scratch: Scratch = {
    rows: new Uint32Array(rows),
    keysA: new Uint32Array(rows),
    keysB: new Uint32Array(rows),
    counts: new Uint32Array(1 << 11),
  }
  refine(words, 0, order, 0, rows, scratch)
  return order
}

function inOrder(words: KeyWords, rows: number): boolean {
  for (let row = 1; row < rows; row++) if (compareRows(words, 0, row - 1, row) > 0) return false
  return true
}

function compareRows(words: KeyWords, level: number, a: number, b: number): number {
  for (let w = level; w < words.length; w++) {
    const difference = words[w]![a]! - words[w]![b]!
    if (difference !== 0) return difference
  }
  return 0
}

/** Sorts `order[from, to)`, whose rows are equal in the words before `level`. */
function refine(words: KeyWords, level: number, order: Uint32Array, from: number, to: number, scratch: Scratch): void {
  if (to - from <= insertionRowsMax) {
    insertionSort(words, level, order, from, to)
    return
  }
  const key = words[level]!
  radixSort(key, order, from, to, scratch)
  if (level + 1 === words.length) return
  for (let start = from; start < to; ) {
    const value = key[order[start]!]!
    let end = start + 1
    while (end < to && key[order[end]!] === value) end++
    if (end - start > 1) refine(words, level + 1, order, start, end, scratch)
    start = end
  }
}

function insertionSort(words: KeyWords, level: number, order: Uint32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const row = order[i]!
    let at = i
    for (; at > from && compareRows(words, level, order[at - 1]!, row) > 0; at--) order[at] = order[at - 1]!
    order[at] = row
  }
}

function radixSort(key: Uint32Array, order: Uint32Array, from: number, to: number, scratch: Scratch): void {
  const digitBits = to - from < wideRowsMin ? 8 : 11
  const mask = (1 << digitBits) - 1
  let rows: Uint32Array = order
  let otherRows: Uint32Array = scratch.rows
  let keys: Uint32Array = scratch.keysA
  let otherKeys: Uint32Array = scratch.keysB
  let some = 0
  let every = 0xffffffff
  for (let i = from; i < to; i++) {
    const value = key[order[i]!]!
    keys[i] = value
    some |= value
    every &= value
  }
  const differing = some ^ every
  const { counts } = scratch
  for (let shift = 0; shift < 32; shift += digitBits) {
    if (((differing >>> shift) & mask) === 0) continue
    counts.fill(0, 0, mask + 1)
    for (let i = from; i < to; i++) counts[(keys[i]! >>> shift) & mask]!++
    for (let digit = 0, at = from; digit <= mask; digit++) {
      const count = counts[digit]!
      counts[digit] = at
      at += count
    }
    for (let i = from; i < to; i++) {
      const value = keys[i]!
      const at = counts[(value >>> shift) & mask]!++
      otherKeys[at] = value
      otherRows[at] = rows[i]!
    }
    ;[rows, otherRows] = [otherRows, rows]
    ;[keys, otherKeys] = [otherKeys, keys]
  }
  if (rows !== order) order.set(rows.subarray(from, to), from)
}
