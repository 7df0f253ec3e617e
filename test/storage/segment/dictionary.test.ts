/** Dictionary pages: what they say, and that those of the same series are made once. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Compression } from '../../../src/lib/ports.ts'
import { Catalog } from '../../../src/storage/catalog/catalog.ts'
import { loadSeriesHasher, type SeriesHasher } from '../../../src/storage/catalog/identity.ts'
import { ByteWriter } from '../../../src/storage/codecs/bytes.ts'
import { decodePage, encodePages, pageSeriesMax, type SeriesKeys } from '../../../src/storage/segment/dictionary.ts'
import { PageBodies } from '../../../src/storage/segment/page-bodies.ts'
import { portsOf } from './model.ts'

const { zstd } = portsOf()
let hash: SeriesHasher
beforeAll(async () => {
  hash = await loadSeriesHasher()
})

function catalogOf(seriesCount: number): Catalog {
  const catalog = new Catalog({ incarnation: '00'.repeat(16), hash, seriesMax: 1_000_000 })
  const metric = catalog.useMetric('cpu')
  for (let i = 0; i < seriesCount; i++)
    catalog.useSeries(metric, [
      ...(i % 3 === 0 ? ([['dc', `d${i % 5}`]] as const) : []),
      ['host', `é ${i}`],
      // so that the bytes of some pages do not compress
      ...(i % 7 === 0 ? ([['uid', String(Math.sin(i))]] as const) : []),
    ])
  return catalog
}

/** The pages as the segment would have them, and how often a body was compressed. */
function pagesOf(ordinals: Uint32Array, keys: SeriesKeys) {
  let compressed = 0
  const counting: Compression = {
    ...zstd,
    compress(bytes) {
      compressed++
      return zstd.compress(bytes)
    },
  }
  const out = new ByteWriter(16)
  const ends: { readonly seriesCount: number; readonly at: number }[] = []
  encodePages(ordinals, keys, counting, out, (seriesCount, at) => ends.push({ seriesCount, at }))
  const pages = ends.map(({ seriesCount, at }, i) => ({
    seriesCount,
    bytes: out.written().slice(at, ends[i + 1]?.at ?? out.length),
  }))
  return { pages, compressed }
}

const upTo = (count: number) => Uint32Array.from({ length: count }, (_, i) => i)

describe('dictionary pages', () => {
  test('say ids and tags of all series in order, and none has too many', () => {
    const catalog = catalogOf(20_000)
    const ordinals = upTo(20_000).reverse()
    const { pages } = pagesOf(ordinals, catalog)
    const keys = pages.flatMap(({ seriesCount, bytes }) => decodePage(bytes, seriesCount, zstd))
    expect(keys).toEqual(Array.from(ordinals, series => ({ id: catalog.ids.at(series), tags: catalog.tagsOf(series) })))
    expect(Math.max(...pages.map(({ seriesCount }) => seriesCount))).toBeLessThanOrEqual(pageSeriesMax)
    expect(pages.length).toBeLessThan(20)
  })

  test('are the same, whoever asks: a catalog that has bodies, one that has none, and keys as objects', () => {
    const catalog = catalogOf(9000)
    const ordinals = upTo(9000)
    const first = pagesOf(ordinals, catalog)
    const again = pagesOf(ordinals, catalog)
    expect(again.pages).toEqual(first.pages)
    expect(first.compressed).toBe(first.pages.length)
    expect(again.compressed).toBe(0)
    expect(pagesOf(ordinals, catalogOf(9000)).pages).toEqual(first.pages)
    const { ids } = catalog
    expect(pagesOf(ordinals, { ids, tagsOf: series => catalog.tagsOf(series) }).pages).toEqual(first.pages)
  })

  test('where a series is missing or new, only its page is made again', () => {
    const catalog = catalogOf(30_000)
    const { pages } = pagesOf(upTo(30_000), catalog)
    expect(pages.length).toBeGreaterThan(10)
    const missing = 12_345
    const without = pagesOf(
      upTo(30_000).filter(series => series !== missing),
      catalog,
    )
    expect(without.compressed).toBeLessThanOrEqual(2)
    expect(pagesOf(upTo(30_000), catalog).compressed).toBeLessThanOrEqual(2)
  })

  test('one series and none', () => {
    const catalog = catalogOf(1)
    expect(pagesOf(upTo(0), catalog)).toEqual({ pages: [], compressed: 0 })
    expect(pagesOf(upTo(1), catalog).pages).toHaveLength(1)
  })
})

describe('bodies that are kept', () => {
  const page = (first: number, last = first + 1) => Uint32Array.of(first, last)
  const body = (byte: number) => new Uint8Array(100).fill(byte)
  /** What a page like these takes. */
  const pageBytes = (() => {
    const bodies = new PageBodies()
    bodies.keep(page(0), body(0))
    return bodies.byteLength
  })()

  test('are found by all ordinals, and are copies', () => {
    const bodies = new PageBodies()
    const [series, bytes] = [page(7), body(1)]
    bodies.keep(series, bytes)
    series[1] = 9
    bytes.fill(2)
    expect(bodies.find(page(7))).toEqual(body(1))
    expect(bodies.find(page(7, 9))).toBeUndefined()
    expect(bodies.find(Uint32Array.of(7))).toBeUndefined()
    expect(bodies.find(page(8))).toBeUndefined()
    bodies.keep(page(7, 9), body(3))
    expect(bodies.find(page(7))).toBeUndefined()
    expect(bodies.find(page(7, 9))).toEqual(body(3))
    expect(bodies.byteLength).toBe(pageBytes)
  })

  test('take no more memory than they may: while all are used, new ones are not taken; idle ones go', () => {
    const bodies = new PageBodies(3 * pageBytes)
    const has = () => [0, 10, 20, 30].map(first => bodies.find(page(first)) !== undefined)
    bodies.nextSegment()
    for (const first of [0, 10, 20, 30]) bodies.keep(page(first), body(first))
    expect(has()).toEqual([true, true, true, false])
    for (let segment = 0; segment < 20; segment++) {
      bodies.nextSegment()
      bodies.find(page(0))
      bodies.find(page(20))
    }
    bodies.keep(page(30), body(30))
    expect(has()).toEqual([true, false, true, true])
    expect(bodies.byteLength).toBe(3 * pageBytes)
    expect(bodies.find(page(30))).toEqual(body(30))
  })

  test('one that is too large by itself is not kept', () => {
    const bodies = new PageBodies(pageBytes)
    bodies.keep(page(0), new Uint8Array(101))
    expect(bodies.byteLength).toBe(0)
  })
})
