/**
 * SeriesOrder ranks the series of a metric by the UTF-8 bytes of their printed form, without printing them.
 *
 * Printed series of one metric compare like the lists of their tags: a printed tag `key="value"` says itself where it
 * ends, so none is a prefix of another, and at the first tag that differs its bytes decide. Where one list is a prefix
 * of the other, `,` follows the shorter part in one and `}` ends the other: the longer list comes first. The bare
 * metric, without braces, comes before all.
 *
 * Invariants:
 * 1. `sorted` of a metric lists its first `sorted.length` series by rank; later ones are merged in when asked for.
 * 2. The array of ranks is shared by all metrics and rewritten in place when a metric is ranked anew. The order among
 *    series once ranked never changes.
 */
import { compareUtf8 } from '../../lib/text.ts'
import { grown, type StringPool } from './packed.ts'
import { digitMax, sortBySequence } from './sequence-sort.ts'
import type { CatalogTables, MetricEntry } from './tables.ts'

export class SeriesOrder {
  readonly #tables: CatalogTables
  /** Metric id -> its series in order. */
  readonly #sorted = new Map<number, Uint32Array>()
  #ranks = new Uint32Array(0)
  /** Scratch for `sortAll`: posting -> rank among the metric's. */
  #postingRank = new Uint32Array(0)

  constructor(tables: CatalogTables) {
    this.#tables = tables
  }

  ranks(metric: MetricEntry): Uint32Array {
    const all = metric.series.view()
    const known = this.#sorted.get(metric.info.id)
    if (known !== undefined && known.length === all.length) return this.#ranks
    const added = all.slice(known?.length ?? 0)
    const sorted =
      known === undefined || added.length > known.length / 8 ? this.#sortAll(metric) : this.#mergeInto(known, added)
    this.#sorted.set(metric.info.id, sorted)
    const seriesCount = this.#tables.series.size
    if (this.#ranks.length < seriesCount) {
      const ranks = new Uint32Array(Math.max(seriesCount, grown(this.#ranks.length)))
      ranks.set(this.#ranks)
      this.#ranks = ranks
    }
    const ranks = this.#ranks
    for (let rank = 0; rank < sorted.length; rank++) ranks[sorted[rank]!] = rank
    return ranks
  }

  get byteLength(): number {
    let bytes = this.#ranks.byteLength + this.#postingRank.byteLength
    for (const sorted of this.#sorted.values()) bytes += sorted.byteLength
    return bytes
  }

  #sortAll(metric: MetricEntry): Uint32Array {
    const { postings, series } = this.#tables
    const ofMetric = metric.postings.view().slice()
    const keyRanks = this.#keyRanks(metric)
    const valueCodes = postings.value.data
    const keyCodes = postings.key.data
    const keys = this.#tables.keys
    sortBySequence(ofMetric, (posting, depth) =>
      depth === 0
        ? keyRanks.get(keyCodes[posting]!)!
        : escapedDigit(keys[keyCodes[posting]!]!.values, valueCodes[posting]!, (depth - 1) * 3),
    )
    if (this.#postingRank.length < postings.size) this.#postingRank = new Uint32Array(postings.size)
    const postingRank = this.#postingRank
    for (let rank = 0; rank < ofMetric.length; rank++) postingRank[ofMetric[rank]!] = rank

    const sorted = metric.series.view().slice()
    const tagsEnd = series.tagsEnd.data
    const tags = series.tagPosting.data
    sortBySequence(sorted, (ordinal, depth) => {
      const from = ordinal === 0 ? 0 : tagsEnd[ordinal - 1]!
      const at = from + depth
      if (at < tagsEnd[ordinal]!) return postingRank[tags[at]!]! + 1
      return depth === 0 ? 0 : digitMax
    })
    return sorted
  }

  /** Tag keys of the metric: code -> rank of the printed key with its `="`. */
  #keyRanks(metric: MetricEntry): Map<number, number> {
    const keys = [...metric.keys].map(code => this.#tables.keys[code]!)
    keys.sort((a, b) => compareUtf8(a.printed, b.printed))
    return new Map(keys.map((key, rank) => [key.code, rank]))
  }

  /** Few new series: each finds its place by binary search. */
  #mergeInto(known: Uint32Array, added: Uint32Array): Uint32Array {
    const compare = (a: number, b: number): number => this.#compareSeries(a, b)
    added.sort(compare)
    const merged = new Uint32Array(known.length + added.length)
    let from = 0
    for (let i = 0; i < added.length; i++) {
      let low = from
      let high = known.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (compare(known[middle]!, added[i]!) < 0) low = middle + 1
        else high = middle
      }
      merged.set(known.subarray(from, low), from + i)
      merged[low + i] = added[i]!
      from = low
    }
    merged.set(known.subarray(from), from + added.length)
    return merged
  }

  #compareSeries(a: number, b: number): number {
    const { series, postings, keys } = this.#tables
    const tags = series.tagPosting.data
    const aFrom = series.tagsStart(a)
    const bFrom = series.tagsStart(b)
    const aCount = series.tagsEnd.data[a]! - aFrom
    const bCount = series.tagsEnd.data[b]! - bFrom
    for (let i = 0; i < aCount && i < bCount; i++) {
      const x = tags[aFrom + i]!
      const y = tags[bFrom + i]!
      if (x === y) continue
      const xKey = keys[postings.key.data[x]!]!
      const yKey = keys[postings.key.data[y]!]!
      if (xKey !== yKey) return compareUtf8(xKey.printed, yKey.printed)
      return compareEscaped(xKey.values, postings.value.data[x]!, postings.value.data[y]!)
    }
    if (aCount === 0 || bCount === 0) return aCount - bCount
    return bCount - aCount
  }
}

/**
 * byte -> its place when it is printed with JSON escapes, from 1; 256 is the end of the text, printed as `"`.
 * Bytes from 0x80 on are parts of characters that JSON leaves as they are.
 */
const escapedPlace: Uint16Array = (() => {
  const symbols = Array.from({ length: 257 }, (_, byte) => ({
    byte,
    printed:
      byte === 256
        ? '"'
        : byte < 0x80
          ? JSON.stringify(String.fromCharCode(byte)).slice(1, -1)
          : String.fromCharCode(byte),
  }))
  symbols.sort((a, b) => (a.printed < b.printed ? -1 : 1))
  const places = new Uint16Array(257)
  for (let i = 0; i < symbols.length; i++) places[symbols[i]!.byte] = i + 1
  return places
})()
const endPlace = escapedPlace[256]!

/** Three symbols of a text from byte `at` on as one digit; 0 past the end. */
function escapedDigit(pool: StringPool, code: number, at: number): number {
  const { bytes } = pool
  const end = pool.end(code)
  let digit = 0
  for (let i = pool.start(code) + at, last = i + 3; i < last; i++)
    digit = digit * 258 + (i < end ? escapedPlace[bytes[i]!]! : i === end ? endPlace : 0)
  return digit
}

function compareEscaped(pool: StringPool, a: number, b: number): number {
  const { bytes } = pool
  const aEnd = pool.end(a)
  const bEnd = pool.end(b)
  for (let x = pool.start(a), y = pool.start(b); ; x++, y++) {
    const left = x < aEnd ? escapedPlace[bytes[x]!]! : endPlace
    const right = y < bEnd ? escapedPlace[bytes[y]!]! : endPlace
    if (left !== right) return left - right
    if (x >= aEnd) return 0
  }
}
