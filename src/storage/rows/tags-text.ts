/**
 * TagsText: the text of a line's tags to their series, for lines of which nothing else is new.
 *
 *   {"host":"a","dc":"x"}   ->   spans of names and values   ->   catalog
 *
 * Invariants:
 * 1. What is found is what the row rules would find; whatever they would refuse, or see twice, is undefined: theirs to say.
 * 2. Texts with escapes, nulls or other than ASCII go by `JSON.parse`.
 */
import { canonicalTags, tagsMax, tagValueBytesMax } from '../catalog/identity.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { MetricInfo } from '../types.ts'
import { decodeUtf8, parseJson } from './json-text.ts'

const quote = 34
const comma = 44
const colon = 58
const backslash = 92
const brace = 123

export class TagsText {
  readonly #catalog: CatalogWriter
  readonly #spans = new Uint32Array(4 * tagsMax)

  constructor(catalog: CatalogWriter) {
    this.#catalog = catalog
  }

  /** The series of the metric with the tags in `bytes[from, to)`, found or registered. An empty span: it has none. */
  seriesOf(metric: MetricInfo, bytes: Uint8Array, from: number, to: number): number | undefined {
    const count = from === to ? 0 : this.#cut(bytes, from, to)
    if (count >= 0) {
      const series = this.#catalog.useSeriesUtf8(metric, { bytes, spans: this.#spans, count })
      if (series >= 0) return series
    }
    const tags = from === to ? {} : parseJson(decodeUtf8(bytes.subarray(from, to)))
    if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) return undefined
    const pairs = Object.entries(tags as Record<string, unknown>)
    if (!pairs.every((pair): pair is [string, string | null] => pair[1] === null || typeof pair[1] === 'string'))
      return undefined
    return this.#catalog.useSeries(metric, canonicalTags(pairs))
  }

  /** Writes the spans of an object of plain texts; how many tags it has, or -1 when it is anything else. */
  #cut(bytes: Uint8Array, from: number, to: number): number {
    const spans = this.#spans
    const last = to - 1
    if (bytes[from] !== brace) return -1
    let at = skipBlanks(bytes, from + 1)
    if (at === last) return 0
    for (let count = 0; count < tagsMax; ) {
      const nameEnd = textEnd(bytes, at, last)
      if (nameEnd < 0) return -1
      spans[4 * count] = at + 1
      spans[4 * count + 1] = nameEnd
      at = skipBlanks(bytes, nameEnd + 1)
      if (bytes[at] !== colon) return -1
      at = skipBlanks(bytes, at + 1)
      const valueEnd = textEnd(bytes, at, last)
      if (valueEnd < 0 || valueEnd - at > tagValueBytesMax) return -1
      spans[4 * count + 2] = at + 1
      spans[4 * count + 3] = valueEnd
      count++
      at = skipBlanks(bytes, valueEnd + 1)
      if (at === last) return count
      if (bytes[at] !== comma) return -1
      at = skipBlanks(bytes, at + 1)
    }
    return -1
  }
}

function skipBlanks(bytes: Uint8Array, at: number): number {
  while (bytes[at] === 32 || bytes[at] === 9 || bytes[at] === 13) at++
  return at
}

/** Where the string of ASCII that begins with the quote at `from` has its other one; -1 if it is none, or empty. */
function textEnd(bytes: Uint8Array, from: number, last: number): number {
  if (bytes[from] !== quote) return -1
  let at = from + 1
  for (;;) {
    const byte = bytes[at]!
    if (byte === quote) return at > from + 1 ? at : -1
    if (at >= last || byte < 0x20 || byte > 0x7e || byte === backslash) return -1
    at++
  }
}
