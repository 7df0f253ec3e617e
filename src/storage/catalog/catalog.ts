/**
 * Catalog: finds and registers metrics, fields and series, and keeps a record of every addition until it is durable.
 *
 *   use… ─> tables
 *       └─> journal ─ pendingSince ─> WAL frame ─ confirm
 *                   └ the catalog log at the next flush (store.ts)
 *
 * Invariants:
 * 1. The tables are a function of the records [0, sequence), whoever applies them: numbers agree after any replay.
 * 2. A refused addition changes nothing.
 * 3. A record leaves the journal when it is both in a durable WAL frame and in the durable log or checkpoint.
 * 4. Applying records again is a no-op; records that contradict the tables, or skip some, are `corrupt_catalog`.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { compareUtf8, fromHex, toHex } from '../../lib/text.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import type { FieldInfo, FieldType, MetricInfo, Tags } from '../types.ts'
import { canonicalBytes, canonicalUtf8 } from './canonical.ts'
import * as identity from './identity.ts'
import { TablesReader } from './reader.ts'
import { type CatalogRecord, RecordJournal, readRecord } from './records.ts'
import { CatalogTables, type MetricEntry } from './tables.ts'
import type { CatalogWriter } from './types.ts'
import { type TagPlan, TagPlans, type Utf8Tags } from './utf8-tags.ts'

export interface CatalogOptions {
  /** 16 bytes as hex: which history the ordinals belong to. */
  readonly incarnation: string
  readonly hash: identity.SeriesHasher
  /** New series beyond it are refused with `too_many_series`. */
  readonly seriesMax: number
}

/** Tables loaded from a checkpoint, holding the records [0, sequence). */
export interface CatalogState {
  readonly tables: CatalogTables
  readonly sequence: number
}

export class Catalog extends TablesReader implements CatalogWriter {
  readonly incarnation: string
  readonly #incarnationBytes: Uint8Array
  readonly #hash: identity.SeriesHasher
  readonly #seriesMax: number
  readonly #journal: RecordJournal
  readonly #plans = new TagPlans()
  /** Codes and postings of a series while it is registered, by their number. */
  readonly #codes: Uint32Array[] = []
  readonly #postings: Uint32Array[] = []
  #confirmed: number
  #logged: number

  constructor(options: CatalogOptions, state: CatalogState = { tables: new CatalogTables(), sequence: 0 }) {
    super(state.tables)
    this.incarnation = options.incarnation
    this.#incarnationBytes = fromHex(options.incarnation)
    this.#hash = options.hash
    this.#seriesMax = options.seriesMax
    this.#journal = new RecordJournal(state.sequence)
    this.#confirmed = state.sequence
    this.#logged = state.sequence
  }

  // ---- finding and registering ------------------------------------------------------------------------------------

  useMetric(name: string): MetricInfo {
    const known = this.tables.metricsByName.get(name)
    if (known !== undefined) return known.info
    identity.checkText('metric name', name, identity.metricNameBytesMax)
    // A metric is registered for its first series: where that would be refused, so is the metric.
    if (this.seriesCount >= this.#seriesMax || this.tables.metrics.length >= this.#seriesMax) this.#refuseSeries(name)
    const metric = this.tables.addMetric(name)
    this.#journal.append({ kind: 'metric', metric: metric.info.id, name })
    return metric.info
  }

  useField(info: MetricInfo, name: string, type: FieldType): FieldInfo {
    const metric = this.#metric(info)
    const known = metric.fieldsByName.get(name)
    if (known !== undefined) {
      if (known.type === type || (known.type === 'float' && type === 'integer')) return known
      throw new SydraError(
        'type_mismatch',
        `field ${JSON.stringify(name)} of metric ${JSON.stringify(info.name)} is of type ${known.type}, ` +
          `the value is of type ${type}`,
      )
    }
    identity.checkText('field name', name, identity.fieldNameBytesMax)
    if (metric.info.fields.length >= identity.fieldsMax)
      throw new SydraError(
        'too_many_fields',
        `metric ${JSON.stringify(info.name)} has its limit of ${identity.fieldsMax} fields; ` +
          `${JSON.stringify(name)} would be one more`,
      )
    const field = this.tables.addField(metric, name, type)
    this.#journal.append({ kind: 'field', metric: info.id, field: field.id, type, name })
    return field
  }

  useSeries(info: MetricInfo, tags: Tags): number {
    const metric = this.#metric(info)
    if (tags.length > identity.tagsMax)
      throw new SydraError('too_many_tags', `a series has at most ${identity.tagsMax} tags, this one ${tags.length}`)
    const id = this.#hash(canonicalBytes(metric, tags, this.tables.keysByName))
    const idLow = Number(id & 0xffff_ffffn)
    const idHigh = Number(id >> 32n)
    const known = this.tables.series.find(idLow, idHigh)
    if (known >= 0) {
      if (this.#isSeries(known, metric, tags)) return known
      throw new SydraError(
        'series_id_collision',
        `series ${identity.printSeries(info.name, tags)} has the id ${id} of series ${this.printed.at(known)}`,
        { hint: 'change a tag value; two series cannot share an id' },
      )
    }
    checkTags(tags)
    if (this.seriesCount >= this.#seriesMax) this.#refuseSeries(identity.printSeries(info.name, tags))
    return this.#addSeries(metric, idLow, idHigh, tags)
  }

  useSeriesUtf8(info: MetricInfo, tags: Utf8Tags): number {
    const metric = this.#metric(info)
    const plan = this.#plans.of(metric, tags, this.tables)
    if (plan === undefined) return -1
    wideId[0] = this.#hash(canonicalUtf8(metric, tags, plan))
    const idLow = idWords[0]!
    const idHigh = idWords[1]!
    const known = this.tables.series.find(idLow, idHigh)
    if (known >= 0) return this.#isSeriesUtf8(known, metric, tags, plan) ? known : -1
    if (this.seriesCount >= this.#seriesMax) return -1
    const { keys, at } = plan
    const codes = wordsOf(this.#codes, 2 * keys.length)
    const postings = wordsOf(this.#postings, keys.length)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      const { code, values } = key
      const from = tags.spans[4 * at[i]! + 2]!
      const to = tags.spans[4 * at[i]! + 3]!
      // many tags are the same for one series after the other
      const before = plan.values[i]!
      if (before < 0 || !values.equalsUtf8(before, tags.bytes, from, to)) {
        const valueCount = values.size
        const value = values.addUtf8(tags.bytes, from, to)
        const isNew = value === valueCount
        if (isNew) this.#journal.appendValue(code, value, tags.bytes, from, to)
        plan.values[i] = value
        plan.postings[i] = isNew
          ? this.tables.addPosting(metric, key, value)
          : this.tables.usePosting(metric, key, value)
      } else if (this.tables.postings.metric.data[plan.postings[i]!] !== info.id)
        // plans go by names: this one was another metric's
        plan.postings[i] = this.tables.usePosting(metric, key, before)
      codes[2 * i] = code
      codes[2 * i + 1] = plan.values[i]!
      postings[i] = plan.postings[i]!
    }
    const series = this.tables.addSeries(metric, idLow, idHigh, postings)
    this.#journal.appendSeries(series, info.id, idLow, idHigh, codes)
    return series
  }

  #isSeriesUtf8(ordinal: number, metric: MetricEntry, { bytes, spans }: Utf8Tags, { keys, at }: TagPlan): boolean {
    const { series, postings } = this.tables
    const from = series.tagsStart(ordinal)
    if (series.metric.data[ordinal] !== metric.info.id) return false
    if (series.tagsEnd.data[ordinal]! - from !== keys.length) return false
    for (let i = 0; i < keys.length; i++) {
      const posting = series.tagPosting.data[from + i]!
      const span = 4 * at[i]! + 2
      if (postings.key.data[posting] !== keys[i]!.code) return false
      if (!keys[i]!.values.equalsUtf8(postings.value.data[posting]!, bytes, spans[span]!, spans[span + 1]!))
        return false
    }
    return true
  }

  #refuseSeries(printed: string): never {
    throw new SydraError(
      'too_many_series',
      `the database holds its limit of ${this.#seriesMax} series; ${printed} would be one more`,
      { hint: 'raise max_series, or drop tags with very many values' },
    )
  }

  #addSeries(metric: MetricEntry, idLow: number, idHigh: number, tags: Tags): number {
    const codes = new Uint32Array(tags.length * 2)
    for (let i = 0; i < tags.length; i++) {
      const [name, text] = tags[i]!
      let key = this.tables.keysByName.get(name)
      if (key === undefined) {
        key = this.tables.addKey(name)
        this.#journal.append({ kind: 'key', key: key.code, name })
      }
      const valueCount = key.values.size
      const value = key.values.add(text)
      if (value === valueCount) this.#journal.append({ kind: 'value', key: key.code, value, text })
      codes[2 * i] = key.code
      codes[2 * i + 1] = value
    }
    const series = this.#linkSeries(metric, idLow, idHigh, codes)
    this.#journal.appendSeries(series, metric.info.id, idLow, idHigh, codes)
    return series
  }

  #linkSeries(metric: MetricEntry, idLow: number, idHigh: number, codes: Uint32Array): number {
    const postings = wordsOf(this.#postings, codes.length / 2)
    for (let i = 0; i < postings.length; i++)
      postings[i] = this.tables.usePosting(metric, this.tables.keys[codes[2 * i]!]!, codes[2 * i + 1]!)
    return this.tables.addSeries(metric, idLow, idHigh, postings)
  }

  #isSeries(ordinal: number, metric: MetricEntry, tags: Tags): boolean {
    const { series, postings } = this.tables
    const from = series.tagsStart(ordinal)
    if (series.metric.data[ordinal] !== metric.info.id) return false
    if (series.tagsEnd.data[ordinal]! - from !== tags.length) return false
    for (let i = 0; i < tags.length; i++) {
      const posting = series.tagPosting.data[from + i]!
      const key = this.tables.keyOf(posting)
      const [name, text] = tags[i]!
      if (key.name !== name || !key.values.equals(postings.value.data[posting]!, text)) return false
    }
    return true
  }

  #metric(info: MetricInfo): MetricEntry {
    const metric = this.tables.metrics[info.id]
    assert(metric?.info === info, 'the metric is of another catalog')
    return metric
  }

  // ---- records ----------------------------------------------------------------------------------------------------

  /** Records so far: the number of the next one. */
  get sequence(): number {
    return this.#journal.next
  }
  /** Records below it are in durable WAL frames. */
  get confirmed(): number {
    return this.#confirmed
  }
  /** Records below it are in the durable log or checkpoint. */
  get logged(): number {
    return this.#logged
  }
  /** Bytes of records kept for the WAL and the log. */
  get journalBytes(): number {
    return this.#journal.byteLength
  }

  /**
   * The records from number `from` (at least `confirmed`) to `upTo`, or to the last, as one batch for a WAL frame; empty
   * when there are none. Several frames may be in flight: each carries what the last *durable* one did not, and what is carried
   * twice is applied once. A frame that fails leaves its records pending.
   *
   * @example
   * const upTo = catalog.sequence
   * const bytes = catalog.pendingSince(catalog.confirmed)
   * await wal.append(bytes, rows)
   * catalog.confirm(upTo)
   */
  pendingSince(from: number, upTo = this.sequence): Uint8Array {
    assert(from >= this.#journal.first && from <= upTo && upTo <= this.sequence, 'these records are gone')
    if (from === upTo) return new Uint8Array(0)
    const records = this.#journal.since(from, upTo)
    const out = new ByteWriter(records.length + 40)
    out.raw(this.#incarnationBytes)
    out.varint(from)
    out.varint(upTo - from)
    out.raw(records)
    return out.written()
  }

  /** Where to end so that the records from number `from` on take about so many bytes at most. */
  pendingWithin(from: number, bytesMax: number): number {
    return from === this.sequence ? from : this.#journal.endWithin(from, bytesMax)
  }

  /** A WAL frame that carried the records below `upTo` is durable. */
  confirm(upTo: number): void {
    assert(upTo <= this.sequence, 'confirmed records do not exist')
    this.#confirmed = Math.max(this.#confirmed, upTo)
    this.#journal.trim(Math.min(this.#confirmed, this.#logged))
  }

  /** The log or a checkpoint durably holds the records below `upTo`. */
  markLogged(upTo: number): void {
    assert(upTo <= this.sequence, 'logged records do not exist')
    this.#logged = Math.max(this.#logged, upTo)
    this.#journal.trim(Math.min(this.#confirmed, this.#logged))
  }

  /**
   * Applies a batch from a WAL frame in recovery; the records count as confirmed. Records known already are compared
   * and skipped. Throws `corrupt_catalog` when the batch is damaged, of another incarnation, or leaves a gap.
   */
  applyRecords(bytes: Uint8Array): void {
    try {
      this.applyBatch(bytes)
    } catch (error) {
      if (!(error instanceof DamageError)) throw error
      throw new SydraError(
        'corrupt_catalog',
        `catalog records of a WAL frame, offset ${error.offset}: ${error.message}`,
        { cause: error },
      )
    }
  }

  /** As `applyRecords`, but damage is thrown as it is, for the caller to name the file. */
  applyBatch(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const reader = new ByteReader(bytes)
    const incarnation = toHex(reader.raw(16))
    if (incarnation !== this.incarnation)
      throw new DamageError(`the records belong to catalog ${incarnation}, this is ${this.incarnation}`, 0)
    const first = reader.varint()
    const count = reader.varint()
    if (first > this.sequence)
      throw new DamageError(`records ${this.sequence} to ${first - 1} are missing before this batch`, 16)
    for (let number = first; number < first + count; number++) {
      const at = reader.at
      const record = readRecord(reader)
      const isNew = number >= this.sequence
      const fits = isNew ? this.#add(record) : this.#holds(record)
      if (!fits) throw new DamageError(`record ${number} (${record.kind}) contradicts the catalog`, at)
      if (isNew) this.#journal.appendEncoded(bytes.subarray(at, reader.at))
    }
    if (!reader.atEnd) throw new DamageError('bytes follow the last record', reader.at)
    this.confirm(this.sequence)
  }

  #add(record: CatalogRecord): boolean {
    const { tables } = this
    switch (record.kind) {
      case 'metric':
        if (record.metric !== tables.metrics.length || tables.metricsByName.has(record.name)) return false
        tables.addMetric(record.name)
        return true
      case 'field': {
        const metric = tables.metrics[record.metric]
        if (metric === undefined || record.field !== metric.info.fields.length) return false
        if (metric.fieldsByName.has(record.name)) return false
        tables.addField(metric, record.name, record.type)
        return true
      }
      case 'key':
        if (record.key !== tables.keys.length || tables.keysByName.has(record.name)) return false
        tables.addKey(record.name)
        return true
      case 'value': {
        const key = tables.keys[record.key]
        if (key === undefined || record.value !== key.values.size) return false
        return key.values.add(record.text) === record.value
      }
      case 'series': {
        const metric = tables.metrics[record.metric]
        if (metric === undefined || record.series !== tables.series.size) return false
        if (tables.series.find(record.idLow, record.idHigh) >= 0 || !this.#codesExist(record.tags)) return false
        this.#linkSeries(metric, record.idLow, record.idHigh, record.tags)
        return true
      }
    }
  }

  #codesExist(tags: Uint32Array): boolean {
    for (let i = 0; i < tags.length; i += 2) {
      const key = this.tables.keys[tags[i]!]
      if (key === undefined || tags[i + 1]! >= key.values.size) return false
    }
    return true
  }

  /** Whether the record is what the tables hold under its number. */
  #holds(record: CatalogRecord): boolean {
    const { tables } = this
    switch (record.kind) {
      case 'metric':
        return tables.metrics[record.metric]?.info.name === record.name
      case 'field': {
        const field = tables.metrics[record.metric]?.info.fields[record.field]
        return field !== undefined && field.name === record.name && field.type === record.type
      }
      case 'key':
        return tables.keys[record.key]?.name === record.name
      case 'value': {
        const values = tables.keys[record.key]?.values
        return values !== undefined && record.value < values.size && values.equals(record.value, record.text)
      }
      case 'series':
        return tables.series.find(record.idLow, record.idHigh) === record.series
    }
  }

  /** For the store: what a checkpoint writes. */
  get state(): CatalogState {
    return { tables: this.tables, sequence: this.sequence }
  }
}

/** The words of an id, lower first: SydraDB runs on little-endian machines. */
const wideId = new BigUint64Array(1)
const idWords = new Uint32Array(wideId.buffer)

const wordsOf = (kept: Uint32Array[], length: number): Uint32Array => (kept[length] ??= new Uint32Array(length))

function checkTags(tags: Tags): void {
  for (let i = 0; i < tags.length; i++) {
    const [key, value] = tags[i]!
    identity.checkText('tag key', key, identity.tagKeyBytesMax)
    identity.checkText('tag value', value, identity.tagValueBytesMax)
    assert(i === 0 || compareUtf8(tags[i - 1]![0], key) < 0, 'tags are sorted by key and unique')
  }
}
