/**
 * The dictionary: id and full key of every series in the segment, so that a lost catalog is rebuilt from segments,
 * and a segment that comes from elsewhere finds its series again.
 *
 *   page   ids (u64 each) | body (zstd where that pays): tag keys, then per series its tags
 *
 * Invariants:
 * 1. Pages hold up to `pageSeriesMax` series in order of their local numbers; the metric follows from the footer.
 * 2. Nothing here is read to answer a query, unless the catalog's incarnation is another one.
 * 3. Where a page begins is up to the series it begins with: where two segments have mostly the same series, most of their pages
 *    are the same, and are made once (`page-bodies.ts`).
 */
import type { Dictionary } from '../../columnar/batch.ts'
import type { Compression } from '../../lib/ports.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import { decodeBody, encodeBody } from '../codecs/strings.ts'
import type { Tags } from '../types.ts'
import { PageBodies } from './page-bodies.ts'

export const pageSeriesMax = 4096
const tagsMax = 1024
const textBytesMax = 1024 * 1024

export interface SeriesKey {
  /** Decimal text of the unsigned 64-bit id. */
  readonly id: string
  readonly tags: Tags
}

/** What is asked of the catalog about a series. */
export interface SeriesKeys {
  readonly ids: Dictionary
  tagsOf(series: number): Tags
  /** The same as bytes, where they lie as such. */
  readonly packed?: PackedKeys
}

export interface PackedKeys {
  /** Appends the ids of these series, a u64 each. */
  writeIds(ordinals: Uint32Array, out: ByteWriter): void
  /** The same with their tags: how many, then of each tag its key's number on the page (varint) and its value (length as varint, UTF-8). */
  writeTags(ordinals: Uint32Array, page: PageKeys, out: ByteWriter): void
  readonly bodies: PageBodies
}

/** Numbers of the tag keys on a page, by their first use. */
export class PageKeys {
  readonly names = new Map<string, number>()

  number(name: string): number {
    let number = this.names.get(name)
    if (number === undefined) this.names.set(name, (number = this.names.size))
    return number
  }
}

/** Keys that lie as objects are asked for one by one, and no page is looked for. */
const packed = (keys: SeriesKeys): PackedKeys => ({
  bodies: new PageBodies(0),
  writeIds(ordinals, out) {
    for (const ordinal of ordinals) out.u64Big(BigInt(keys.ids.at(ordinal)))
  },
  writeTags(ordinals, page, out) {
    for (const ordinal of ordinals) {
      const tags = keys.tagsOf(ordinal)
      out.varint(tags.length)
      for (const [key, value] of tags) {
        out.varint(page.number(key))
        out.text(value)
      }
    }
  },
})

/** Appends the pages of these series in turn. `onPage` hears of each how many series it has and where it begins, and may clear `out`. */
export function encodePages(
  ordinals: Uint32Array,
  from: SeriesKeys,
  zstd: Compression,
  out: ByteWriter,
  onPage: (seriesCount: number, at: number) => void,
): void {
  const keys = from.packed ?? packed(from)
  const { bodies } = keys
  const tags = new ByteWriter(Math.min(ordinals.length, pageSeriesMax) * 64)
  const raw = new ByteWriter(tags.bytes.length)
  bodies.nextSegment()
  for (let first = 0, end = 0; first < ordinals.length; first = end) {
    end = endOfPage(ordinals, first)
    const series = ordinals.subarray(first, end)
    const at = out.length
    keys.writeIds(series, out)
    const known = bodies.find(series)
    if (known !== undefined) out.raw(known)
    else {
      const page = new PageKeys()
      tags.clear()
      keys.writeTags(series, page, tags)
      raw.clear()
      raw.varint(page.names.size)
      for (const name of page.names.keys()) raw.text(name)
      raw.raw(tags.written())
      const bodyAt = out.length
      encodeBody(raw.written(), zstd, out)
      bodies.keep(series, out.written(bodyAt))
    }
    onPage(end - first, at)
  }
}

/** Before one of so many series a page begins. */
const pageSeriesWanted = 2048

function endOfPage(ordinals: Uint32Array, first: number): number {
  const last = Math.min(first + pageSeriesMax, ordinals.length)
  let end = first + 1
  while (end < last && !beginsPage(ordinals[end]!)) end++
  return end
}

/** Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): of ordinals in a row, the hits lie about evenly. */
const beginsPage = (ordinal: number): boolean => Math.imul(ordinal, 0x9e3779b1) >>> 0 < 2 ** 32 / pageSeriesWanted

export function decodePage(bytes: Uint8Array, seriesCount: number, zstd: Compression): SeriesKey[] {
  const reader = new ByteReader(bytes)
  if (seriesCount > pageSeriesMax) throw new DamageError('number of series in a page', 0)
  const ids = Array.from({ length: seriesCount }, () => reader.u64Big().toString())
  const body = new ByteReader(decodeBody(reader, zstd))
  const keys = Array.from({ length: body.varint(body.end) }, () => body.text(textBytesMax))
  const series = ids.map(id => {
    const tags = Array.from({ length: body.varint(tagsMax) }, () => {
      const key = keys[body.varint()]
      if (key === undefined) throw new DamageError('unknown tag key', reader.at)
      return [key, body.text(textBytesMax)] as const
    })
    return { id, tags }
  })
  if (body.at !== body.end) throw new DamageError('dictionary page', reader.at)
  return series
}
