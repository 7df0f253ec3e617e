/**
 * Records: the catalog's history, one per addition, numbered from 0. WAL frames and the catalog log carry them in batches.
 *
 *   batch   incarnation (16 bytes) | first (varint) | count (varint) | records
 *   record  kind (u8) | number within its kind (varint) | …      docs/format/catalog.md has every byte
 *
 * Invariants:
 * 1. Numbers are dense per kind, so a record that is applied again can be told from a new one, and compared.
 * 2. A record names only what earlier records added.
 */

import { type ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import type { FieldType } from '../types.ts'
import { U32List } from './packed.ts'

const recordKind = { metric: 1, field: 2, key: 3, value: 4, series: 5 } as const

export const fieldTypes: readonly FieldType[] = ['float', 'integer', 'boolean', 'string']

export type CatalogRecord =
  | { readonly kind: 'metric'; readonly metric: number; readonly name: string }
  | {
      readonly kind: 'field'
      readonly metric: number
      readonly field: number
      readonly type: FieldType
      readonly name: string
    }
  | { readonly kind: 'key'; readonly key: number; readonly name: string }
  | { readonly kind: 'value'; readonly key: number; readonly value: number; readonly text: string }
  | {
      readonly kind: 'series'
      readonly series: number
      readonly metric: number
      readonly idLow: number
      readonly idHigh: number
      /** Key code, value code, key code, … */
      readonly tags: Uint32Array
    }

function writeRecord(out: ByteWriter, record: Exclude<CatalogRecord, { kind: 'series' }>): void {
  out.u8(recordKind[record.kind])
  switch (record.kind) {
    case 'metric':
      out.varint(record.metric)
      out.text(record.name)
      break
    case 'field':
      out.varint(record.field)
      out.varint(record.metric)
      out.u8(fieldTypes.indexOf(record.type))
      out.text(record.name)
      break
    case 'key':
      out.varint(record.key)
      out.text(record.name)
      break
    case 'value':
      out.varint(record.value)
      out.varint(record.key)
      out.text(record.text)
  }
}

/** Room is there: five bytes a number. Returns where it ends. */
function writeVarint(value: number, into: Uint8Array, at: number): number {
  let rest = value
  while (rest >= 128) {
    into[at++] = (rest & 127) | 128
    rest >>>= 7
  }
  into[at++] = rest
  return at
}

function writeU32(value: number, into: Uint8Array, at: number): number {
  into[at] = value
  into[at + 1] = value >>> 8
  into[at + 2] = value >>> 16
  into[at + 3] = value >>> 24
  return at + 4
}

export function readRecord(from: ByteReader): CatalogRecord {
  const at = from.at
  switch (from.u8()) {
    case recordKind.metric:
      return { kind: 'metric', metric: from.varint(), name: from.text() }
    case recordKind.field: {
      const field = from.varint()
      const metric = from.varint()
      const type = fieldTypes[from.u8()]
      if (type === undefined) throw new DamageError('unknown field type', at)
      return { kind: 'field', metric, field, type, name: from.text() }
    }
    case recordKind.key:
      return { kind: 'key', key: from.varint(), name: from.text() }
    case recordKind.value:
      return { kind: 'value', value: from.varint(), key: from.varint(), text: from.text() }
    case recordKind.series: {
      const series = from.varint()
      const metric = from.varint()
      const idLow = from.u32()
      const idHigh = from.u32()
      const count = from.varint()
      if (count > from.bytes.length - from.at) throw new DamageError('more tags than bytes', at)
      const tags = new Uint32Array(count * 2)
      for (let i = 0; i < tags.length; i++) tags[i] = from.varint()
      return { kind: 'series', series, metric, idLow, idHigh, tags }
    }
    default:
      throw new DamageError('unknown record kind', at)
  }
}

/**
 * Encoded records [first, next) that are not yet both in a durable WAL frame and in the catalog log, back to back.
 *
 * What bounds it is the flush, which logs them: some 40 bytes for each series that is new since the last one.
 */
export class RecordJournal {
  #out = new ByteWriter(1024)
  /** End of each kept record in `#out`. */
  #ends = new U32List(64)
  #first: number

  constructor(first = 0) {
    this.#first = first
  }

  /** The number of the next record. */
  get next(): number {
    return this.#first + this.#ends.length
  }
  get byteLength(): number {
    return this.#out.length
  }

  append(record: Parameters<typeof writeRecord>[1]): void {
    writeRecord(this.#out, record)
    this.#ends.push(this.#out.length)
  }

  /** A record as it is encoded. */
  appendEncoded(record: Uint8Array): void {
    this.#out.raw(record)
    this.#ends.push(this.#out.length)
  }

  /** A record of kind `value`, its text given as UTF-8. */
  appendValue(key: number, value: number, bytes: Uint8Array, from: number, to: number): void {
    const out = this.#out
    out.u8(recordKind.value)
    out.varint(value)
    out.varint(key)
    out.utf8Text(bytes, from, to)
    this.#ends.push(out.length)
  }

  /** A record of kind `series`: there is one for each, so room is looked for once. */
  appendSeries(series: number, metric: number, idLow: number, idHigh: number, tags: Uint32Array): void {
    const out = this.#out
    out.reserve(24 + 5 * tags.length)
    const into = out.bytes
    let at = out.length
    into[at++] = recordKind.series
    at = writeVarint(series, into, at)
    at = writeVarint(metric, into, at)
    at = writeU32(idLow, into, at)
    at = writeU32(idHigh, into, at)
    at = writeVarint(tags.length / 2, into, at)
    for (let i = 0; i < tags.length; i++) at = writeVarint(tags[i]!, into, at)
    out.length = at
    this.#ends.push(at)
  }

  /** The records [from, upTo), back to back; borrowed. */
  since(from: number, upTo = this.next): Uint8Array {
    return this.#out.bytes.subarray(this.#startOf(from), this.#startOf(upTo))
  }

  #startOf(number: number): number {
    return number === this.#first ? 0 : this.#ends.data[number - this.#first - 1]!
  }

  get first(): number {
    return this.#first
  }

  /** The number after the last record that fits, from number `from` on, into so many bytes; at least one record does. */
  endWithin(from: number, bytesMax: number): number {
    const index = from - this.#first
    const limit = this.#startOf(from) + bytesMax
    if (this.#out.length <= limit) return this.next
    let end = index
    while (end < this.#ends.length && this.#ends.data[end]! <= limit) end++
    return this.#first + Math.max(end, index + 1)
  }

  /** Forgets the records below number `upTo`. */
  trim(upTo: number): void {
    const count = upTo - this.#first
    if (count <= 0) return
    const cut = this.#ends.data[count - 1]!
    const kept = this.#out.bytes.subarray(cut, this.#out.length)
    const out = new ByteWriter(Math.max(1024, kept.length))
    out.raw(kept)
    this.#out = out
    const ends = new U32List(Math.max(64, this.#ends.length - count))
    for (let i = count; i < this.#ends.length; i++) ends.push(this.#ends.data[i]! - cut)
    this.#ends = ends
    this.#first = upTo
  }
}
