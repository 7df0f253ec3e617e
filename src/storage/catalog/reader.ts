/** The catalog as queries see it: lookups over `CatalogTables`, texts made on demand. */
import type { Dictionary } from '../../columnar/batch.ts'
import { compareUtf8 } from '../../lib/text.ts'
import type { PackedKeys, SeriesKeys } from '../segment/dictionary.ts'
import { PageBodies } from '../segment/page-bodies.ts'
import type { MetricInfo, Tags } from '../types.ts'
import { printedSeries } from './canonical.ts'
import { TextCache } from './packed.ts'
import { SeriesOrder } from './series-order.ts'
import type { CatalogTables, KeyEntry, MetricEntry } from './tables.ts'
import type { CatalogReader, TagColumn } from './types.ts'

/** Printed series and ids kept as strings: the ones in use by a query with that many groups. */
const cachedPrintedMax = 8192

const noSeries = new Uint32Array(0)

export class TablesReader implements CatalogReader, SeriesKeys {
  protected readonly tables: CatalogTables
  protected readonly order: SeriesOrder
  readonly printed: Dictionary
  readonly ids: Dictionary
  #byName: readonly MetricInfo[] = []
  readonly packed: PackedKeys
  readonly #columns = new Map<KeyEntry, TagColumn>()

  constructor(tables: CatalogTables) {
    this.tables = tables
    this.order = new SeriesOrder(tables)
    const seriesCount = (): number => tables.series.size
    this.printed = textDictionary(seriesCount, ordinal => printedSeries(tables, ordinal))
    this.packed = packedKeys(tables)
    this.ids = textDictionary(seriesCount, ordinal => {
      const { idLow, idHigh } = tables.series
      return ((BigInt(idHigh.data[ordinal]!) << 32n) | BigInt(idLow.data[ordinal]!)).toString()
    })
  }

  get version(): number {
    return this.tables.version
  }
  get seriesCount(): number {
    return this.tables.series.size
  }
  /** Bytes of the packed tables, orders and bodies of dictionary pages included. */
  get byteLength(): number {
    return this.tables.byteLength + this.order.byteLength + this.packed.bodies.byteLength
  }

  metric(name: string): MetricInfo | undefined {
    return this.tables.metricsByName.get(name)?.info
  }

  metrics(): readonly MetricInfo[] {
    const { metrics } = this.tables
    if (this.#byName.length !== metrics.length)
      this.#byName = metrics.map(metric => metric.info).sort((a, b) => compareUtf8(a.name, b.name))
    return this.#byName
  }

  tagKeys(metric: number): readonly string[] {
    return this.#entry(metric).keyNames
  }

  tag(name: string): TagColumn | undefined {
    const key = this.tables.keysByName.get(name)
    if (key === undefined) return undefined
    let column = this.#columns.get(key)
    if (column === undefined) this.#columns.set(key, (column = tagColumn(this.tables, key)))
    return column
  }

  seriesOf(metric: number): Uint32Array {
    return this.#entry(metric).series.view()
  }

  seriesWithTag(metric: number, name: string, value: string): Uint32Array {
    const key = this.tables.keysByName.get(name)
    const code = key?.values.find(value) ?? -1
    if (key === undefined || code < 0) return noSeries
    const posting = this.tables.postings.find(metric, key.code, code)
    return posting < 0 ? noSeries : this.tables.series.withPosting(posting)
  }

  seriesById(id: string): number | undefined {
    if (!/^(?:0|[1-9]\d{0,19})$/.test(id)) return undefined
    const value = BigInt(id)
    if (value >= 1n << 64n) return undefined
    const ordinal = this.tables.series.find(Number(value & 0xffff_ffffn), Number(value >> 32n))
    return ordinal < 0 ? undefined : ordinal
  }

  /** Ids of these series, eight bytes each, little-endian. */
  idBytes(ordinals: Uint32Array): Uint8Array {
    const { idLow, idHigh } = this.tables.series
    const view = new DataView(new ArrayBuffer(ordinals.length * 8))
    for (const [i, ordinal] of ordinals.entries()) {
      view.setUint32(i * 8, idLow.data[ordinal]!, true)
      view.setUint32(i * 8 + 4, idHigh.data[ordinal]!, true)
    }
    return new Uint8Array(view.buffer)
  }

  /** Ordinals of the series with these ids; unknown ones are left out. */
  ordinalsOf(ids: Uint8Array): Uint32Array {
    const view = new DataView(ids.buffer, ids.byteOffset, ids.byteLength)
    const ordinals = new Uint32Array(Math.floor(ids.length / 8))
    let count = 0
    for (let at = 0; at + 8 <= ids.length; at += 8) {
      const ordinal = this.tables.series.find(view.getUint32(at, true), view.getUint32(at + 4, true))
      if (ordinal >= 0) ordinals[count++] = ordinal
    }
    return ordinals.subarray(0, count)
  }

  /** The metric with this id. */
  metricAt(metric: number): MetricInfo {
    return this.#entry(metric).info
  }

  metricOf(series: number): MetricInfo {
    return this.#entry(this.tables.series.metric.data[series]!).info
  }

  /** Whether all of these series exist and are of the metric. */
  areOf(metric: number, series: Uint32Array): boolean {
    const { data } = this.tables.series.metric
    const { seriesCount } = this
    for (let i = 0; i < series.length; i++) {
      const ordinal = series[i]!
      if (ordinal >= seriesCount || data[ordinal] !== metric) return false
    }
    return true
  }

  tagsOf(ordinal: number): Tags {
    const { series, postings } = this.tables
    const tags: [string, string][] = []
    for (let at = series.tagsStart(ordinal); at < series.tagsEnd.data[ordinal]!; at++) {
      const posting = series.tagPosting.data[at]!
      const key = this.tables.keyOf(posting)
      tags.push([key.name, key.values.at(postings.value.data[posting]!)])
    }
    return tags
  }

  ranks(metric: number): Uint32Array {
    return this.order.ranks(this.#entry(metric))
  }

  #entry(metric: number): MetricEntry {
    return this.tables.metrics[metric]!
  }
}

function tagColumn(tables: CatalogTables, key: KeyEntry): TagColumn {
  const { series, postings } = tables
  return {
    key: key.name,
    dictionary: key.values,
    code(ordinal) {
      const tags = series.tagPosting.data
      const keys = postings.key.data
      const to = series.tagsEnd.data[ordinal]!
      for (let at = series.tagsStart(ordinal); at < to; at++) {
        const posting = tags[at]!
        if (keys[posting] === key.code) return postings.value.data[posting]!
      }
      return -1
    },
  }
}

function textDictionary(size: () => number, make: (ordinal: number) => string): Dictionary {
  const cache = new TextCache(make, cachedPrintedMax)
  return {
    get size() {
      return size()
    },
    at: ordinal => cache.at(ordinal),
  }
}

function packedKeys(tables: CatalogTables): PackedKeys {
  const { series, postings } = tables
  return {
    bodies: new PageBodies(),
    writeIds(ordinals, out) {
      const low = series.idLow.data
      const high = series.idHigh.data
      const words = new Uint32Array(2 * ordinals.length)
      for (let i = 0; i < ordinals.length; i++) {
        words[2 * i] = low[ordinals[i]!]!
        words[2 * i + 1] = high[ordinals[i]!]!
      }
      out.raw(new Uint8Array(words.buffer))
    },
    writeTags(ordinals, page, out) {
      const tagsEnd = series.tagsEnd.data
      const ofTags = series.tagPosting.data
      const keyCodes = postings.key.data
      const valueCodes = postings.value.data
      /** Numbers on the page, by code of the key. */
      const numbers: (number | undefined)[] = []
      for (let i = 0; i < ordinals.length; i++) {
        const from = series.tagsStart(ordinals[i]!)
        const to = tagsEnd[ordinals[i]!]!
        out.varint(to - from)
        for (let tag = from; tag < to; tag++) {
          const posting = ofTags[tag]!
          const keyCode = keyCodes[posting]!
          const { name, values } = tables.keys[keyCode]!
          const code = valueCodes[posting]!
          const number = (numbers[keyCode] ??= page.number(name))
          out.numberedText(number, values.bytes, values.start(code), values.end(code))
        }
      }
    },
  }
}
