/**
 * The catalog's data: metrics and tag keys as objects (there are few), everything else packed.
 *
 *   metrics[id]  name, fields, its series and postings        keys[code]  name, pool of its values
 *   postings     (metric, key, value) -> series               series      metric, id, postings
 *
 * Invariants:
 * 1. Everything is numbered densely by arrival: the same additions in the same order give the same numbers.
 * 2. Nothing is ever removed or renumbered.
 * 3. `version` grows when a metric, a field, or the first series of a metric with some tag key is added.
 */
import { compareUtf8 } from '../../lib/text.ts'
import type { FieldInfo, FieldType, MetricInfo } from '../types.ts'
import { printName } from './identity.ts'
import { StringPool, U32List } from './packed.ts'
import { Postings } from './postings.ts'
import { type SeriesColumns, SeriesTable } from './series-table.ts'

export interface MetricEntry {
  readonly info: MetricInfo & { readonly fields: FieldInfo[] }
  readonly fieldsByName: Map<string, FieldInfo>
  /** The name as printed, and its UTF-8. */
  readonly printed: string
  readonly printedBytes: Uint8Array
  readonly series: U32List
  readonly postings: U32List
  /** Codes of the tag keys its series have, and their names sorted. */
  readonly keys: Set<number>
  keyNames: readonly string[]
}

export interface KeyEntry {
  readonly code: number
  readonly name: string
  readonly nameBytes: Uint8Array
  /** The key as printed, with what always follows it: `host="`. */
  readonly printed: string
  readonly printedBytes: Uint8Array
  readonly values: StringPool
}

export class CatalogTables {
  readonly metrics: MetricEntry[] = []
  readonly metricsByName = new Map<string, MetricEntry>()
  readonly keys: KeyEntry[] = []
  readonly keysByName = new Map<string, KeyEntry>()
  readonly postings: Postings
  readonly series: SeriesTable
  version = 0

  /** With stored columns, `link` completes what is derived from them once metrics and keys are added. */
  constructor(postings = new Postings(), columns?: SeriesColumns) {
    this.postings = postings
    this.series = new SeriesTable(postings, columns)
  }

  addMetric(name: string): MetricEntry {
    const printed = printName(name)
    const entry: MetricEntry = {
      info: { id: this.metrics.length, name, fields: [] },
      fieldsByName: new Map(),
      printed,
      printedBytes: encoder.encode(printed),
      series: new U32List(),
      postings: new U32List(),
      keys: new Set(),
      keyNames: [],
    }
    this.metrics.push(entry)
    this.metricsByName.set(name, entry)
    this.version++
    return entry
  }

  addField(metric: MetricEntry, name: string, type: FieldType): FieldInfo {
    const field: FieldInfo = { id: metric.info.fields.length, name, type }
    metric.info.fields.push(field)
    metric.fieldsByName.set(name, field)
    this.version++
    return field
  }

  addKey(name: string, values = new StringPool()): KeyEntry {
    const printed = `${printName(name)}="`
    const entry: KeyEntry = {
      code: this.keys.length,
      name,
      nameBytes: encoder.encode(name),
      printed,
      printedBytes: encoder.encode(printed),
      values,
    }
    this.keys.push(entry)
    this.keysByName.set(name, entry)
    return entry
  }

  /** The posting of (metric, key, value code), added when new. */
  usePosting(metric: MetricEntry, key: KeyEntry, value: number): number {
    const found = this.postings.find(metric.info.id, key.code, value)
    return found >= 0 ? found : this.addPosting(metric, key, value)
  }

  /** The caller has checked that it is new. */
  addPosting(metric: MetricEntry, key: KeyEntry, value: number): number {
    const posting = this.postings.add(metric.info.id, key.code, value)
    this.#listPosting(posting, metric, key)
    return posting
  }

  addSeries(metric: MetricEntry, idLow: number, idHigh: number, postings: Uint32Array): number {
    const ordinal = this.series.add(metric.info.id, idLow, idHigh, postings)
    metric.series.push(ordinal)
    return ordinal
  }

  /** After loading stored columns: lists each metric's series and postings. */
  link(): void {
    const { metric: ofPosting, key: keyOfPosting } = this.postings
    for (let posting = 0; posting < this.postings.size; posting++) {
      const key = this.keys[keyOfPosting.data[posting]!]!
      this.#listPosting(posting, this.metrics[ofPosting.data[posting]!]!, key)
    }
    const ofSeries = this.series.metric.data
    for (let ordinal = 0; ordinal < this.series.size; ordinal++) this.metrics[ofSeries[ordinal]!]!.series.push(ordinal)
  }

  #listPosting(posting: number, metric: MetricEntry, key: KeyEntry): void {
    metric.postings.push(posting)
    if (metric.keys.has(key.code)) return
    metric.keys.add(key.code)
    metric.keyNames = [...metric.keyNames, key.name].sort(compareUtf8)
    this.version++
  }

  keyOf(posting: number): KeyEntry {
    return this.keys[this.postings.key.data[posting]!]!
  }

  /** Bytes held in packed form: what grows with the number of series. */
  get byteLength(): number {
    let bytes = this.postings.byteLength + this.series.byteLength
    for (const key of this.keys) bytes += key.values.byteLength
    for (const metric of this.metrics) bytes += metric.series.byteLength + metric.postings.byteLength
    return bytes
  }
}

const encoder = new TextEncoder()
