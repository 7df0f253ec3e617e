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

export function encodePage(series: readonly SeriesKey[], zstd: Compression, out: ByteWriter): void {
  const keys = new Map<string, number>()
  for (const { tags } of series) for (const [key] of tags) if (!keys.has(key)) keys.set(key, keys.size)
  const body = new ByteWriter(series.length * 32)
  body.varint(keys.size)
  for (const key of keys.keys()) body.text(key)
  for (const { tags } of series) {
    body.varint(tags.length)
    for (const [key, value] of tags) {
      body.varint(keys.get(key)!)
      body.text(value)
    }
  }
  for (const { id } of series) out.u64Big(BigInt(id))
  encodeBody(body.written(), zstd, out)
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
