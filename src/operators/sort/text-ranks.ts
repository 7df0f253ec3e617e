/**
 * Ranks of texts: per row the place of its text among those that occur; equal texts have equal ranks.
 *
 *   distinct codes -> texts -> words of 8 (or 4) characters after what all begin with -> sorted, ties compared -> ranks
 */
import type { StringColumn } from '../../columnar/batch.ts'
import { compareUtf8 } from '../../lib/text.ts'
import { sortWords } from './permutation.ts'

/** Codes up to so many times the rows are looked up in an array, more in a map. */
const tableSparsityMax = 4

export function textRanks(column: StringColumn, rows: number): Uint32Array {
  const { values, valid, dictionary } = column
  const out = new Uint32Array(rows)
  const texts: string[] = []
  // First the number of each row's code, then its rank.
  const numbered = numbering(dictionary.size, rows)
  for (let row = 0; row < rows; row++) {
    if (valid !== undefined && valid[row] === 0) continue
    const number = numbered(values[row]!, texts.length)
    if (number === texts.length) texts.push(dictionary.at(values[row]!))
    out[row] = number
  }
  const ranks = ranksOf(texts)
  for (let row = 0; row < rows; row++) if (valid === undefined || valid[row] === 1) out[row] = ranks[out[row]!]!
  return out
}

/** The number a code was given, or `next`, which it then has. */
function numbering(codes: number, rows: number): (code: number, next: number) => number {
  if (codes <= tableSparsityMax * rows) {
    const table = new Uint32Array(codes)
    return (code, next) => {
      const known = table[code]!
      if (known !== 0) return known - 1
      table[code] = next + 1
      return next
    }
  }
  const map = new Map<number, number>()
  return (code, next) => {
    const known = map.get(code)
    if (known !== undefined) return known
    map.set(code, next)
    return next
  }
}

function ranksOf(texts: readonly string[]): Uint32Array {
  const skip = commonPrefix(texts)
  const words = prefixWords(texts, skip)
  const order = sortWords(words, texts.length)
  const [high, low] = words
  const ranks = new Uint32Array(texts.length)
  let rank = -1
  for (let from = 0; from < order.length; ) {
    const first = order[from]!
    let to = from + 1
    while (to < order.length && high[order[to]!] === high[first] && low[order[to]!] === low[first]) to++
    const same = order.subarray(from, to)
    if (same.length > 1) same.sort((a, b) => compareUtf8(texts[a]!, texts[b]!))
    for (let i = 0; i < same.length; i++) {
      // Two codes may name equal texts.
      if (i === 0 || texts[same[i]!] !== texts[same[i - 1]!]) rank++
      ranks[same[i]!] = rank
    }
    from = to
  }
  return ranks
}

/** How many units all texts have in common at the beginning. */
function commonPrefix(texts: readonly string[]): number {
  const first = texts[0] ?? ''
  let common = first.length
  for (const text of texts) {
    let at = 0
    while (at < common && at < text.length && text.charCodeAt(at) === first.charCodeAt(at)) at++
    common = at
    if (common === 0) break
  }
  return common
}

/** The units after `skip` as two words: 8 of one byte where all are below 256, else 4 of two bytes, in UTF-8's order. */
function prefixWords(texts: readonly string[], skip: number): [Uint32Array, Uint32Array] {
  const high = new Uint32Array(texts.length)
  const low = new Uint32Array(texts.length)
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!
    let top = 0
    let rest = 0
    const end = Math.min(text.length, skip + 8)
    for (let at = skip; at < skip + 8; at++) {
      const unit = at < end ? text.charCodeAt(at) : 0
      if (unit > 0xff) return widePrefixWords(texts, skip)
      if (at < skip + 4) top = (top << 8) | unit
      else rest = (rest << 8) | unit
    }
    high[i] = top
    low[i] = rest
  }
  return [high, low]
}

function widePrefixWords(texts: readonly string[], skip: number): [Uint32Array, Uint32Array] {
  const high = new Uint32Array(texts.length)
  const low = new Uint32Array(texts.length)
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!
    high[i] = (orderedUnit(text, skip) << 16) | orderedUnit(text, skip + 1)
    low[i] = (orderedUnit(text, skip + 2) << 16) | orderedUnit(text, skip + 3)
  }
  return [high, low]
}

/** A UTF-16 unit as a number in the order of UTF-8, 0 after the end: surrogates go above U+FFFF, as in `compareUtf8`. */
export function orderedUnit(text: string, at: number): number {
  if (at >= text.length) return 0
  const unit = text.charCodeAt(at)
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
