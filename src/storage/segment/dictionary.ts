/**
 * The dictionary: id and full key of every series in the segment, so that a lost catalog is rebuilt from segments,
 * and a segment that comes from elsewhere finds its series again.
 *
 *   page   ids (u64 each) | body (zstd where that pays): tag keys, then per series its tags
 *
 * Invariants:
 * 1. Pages hold up to `pageSeriesMax` series in order of their local numbers; the metric follows from the footer.
 * 2. Nothing here is read to answer a query, unless the catalog's incarnation is another one.
 */
import type { Dictionary } from '../../columnar/batch.ts'
import type { Compression } from '../../lib/ports.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import { decodeBody, encodeBody } from '../codecs/strings.ts'
import type { Tags } from '../types.ts'

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
  /** Appends the series' id, a u64. */
  writeId(series: number, out: ByteWriter): void
  /** Appends its tags: how many, then of each its key's number on the page (varint) and its value (length as varint, UTF-8). */
  writeTags(series: number, page: PageKeys, out: ByteWriter): void
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

const packed = (keys: SeriesKeys): PackedKeys => ({
  writeId: (series, out) => out.u64Big(BigInt(keys.ids.at(series))),
  writeTags(series, page, out) {
    const tags = keys.tagsOf(series)
    out.varint(tags.length)
    for (const [key, value] of tags) {
      out.varint(page.number(key))
      out.text(value)
    }
  },
})

/** Appends the pages of these series in turn; how many series and bytes each has. */
export function encodePages(
  ordinals: Uint32Array,
  from: SeriesKeys,
  zstd: Compression,
  out: ByteWriter,
  onPage: (seriesCount: number, at: number) => void,
): void {
  const keys = from.packed ?? packed(from)
  const tags = new ByteWriter(Math.min(ordinals.length, pageSeriesMax) * 64)
  const body = new ByteWriter(tags.bytes.length)
  for (let first = 0; first < ordinals.length; first += pageSeriesMax) {
    const at = out.length
    const end = Math.min(first + pageSeriesMax, ordinals.length)
    const page = new PageKeys()
    tags.clear()
    for (let i = first; i < end; i++) {
      keys.writeId(ordinals[i]!, out)
      keys.writeTags(ordinals[i]!, page, tags)
    }
    body.clear()
    body.varint(page.names.size)
    for (const name of page.names.keys()) body.text(name)
    body.raw(tags.written())
    encodeBody(body.written(), zstd, out)
    onPage(end - first, at)
  }
}

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
