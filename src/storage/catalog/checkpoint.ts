/**
 * The checkpoint: the whole catalog as a few large columns, so that opening it is reading, not replaying.
 *
 *   header    magic (8) | version (u32) | incarnation (16) | sequence (f64) | crc (u32)
 *   sections  schema | per key: ends, bytes | postings: metric, key, value | series: metric, id low, id high, tags end,
 *             tag postings | end
 *   section   kind (u32) | length (u32) | crc (u32; covers kind, length and contents) | contents
 *
 * Invariants:
 * 1. Sections come in this order; columns are little-endian u32, as in memory. Chains, counts and hash tables are
 *    derived and not stored.
 * 2. Writing takes what the tables hold when it begins; they may grow meanwhile, which changes nothing already there.
 * 3. A checkpoint appears under its name complete and durable. Anything wrong in it is `corrupt_catalog`.
 */
import { assert } from '../../lib/assert.ts'
import type { FileHandle, Ports } from '../../lib/ports.ts'
import { fromHex, toHex } from '../../lib/text.ts'
import { ByteReader, ByteWriter, DamageError } from '../codecs/bytes.ts'
import { unsupportedVersion } from '../unsupported-version.ts'
import type { CatalogState } from './catalog.ts'
import { corrupt } from './log.ts'
import { StringPool, U32List } from './packed.ts'
import { Postings } from './postings.ts'
import { fieldTypes } from './records.ts'
import type { SeriesColumns } from './series-table.ts'
import { CatalogTables } from './tables.ts'

export const checkpointName = 'catalog.ckpt'
const checkpointMagic = 'SYDRACKP'
const checkpointVersion = 1
const headerBytes = 40
const sectionHeaderBytes = 12

/** Written and checksummed at a time; other work gets its turn in between. */
const sliceBytes = 4 << 20
/** Read at once at first: most checkpoints are no larger. */
const firstReadBytes = 64 * 1024

const section = {
  schema: 1,
  valueEnds: 2,
  valueBytes: 3,
  postingMetric: 4,
  postingKey: 5,
  postingValue: 6,
  seriesMetric: 7,
  seriesIdLow: 8,
  seriesIdHigh: 9,
  seriesTagsEnd: 10,
  seriesTags: 11,
  end: 12,
} as const
type SectionKind = (typeof section)[keyof typeof section]

export type CheckpointPorts = Pick<Ports, 'files' | 'checksums' | 'timers'>

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Writes the state as it is at the call; resolves with the file's size when it is durable under its name. */
export async function writeCheckpoint(
  ports: CheckpointPorts,
  directory: string,
  incarnation: string,
  state: CatalogState,
): Promise<number> {
  assert(littleEndian, 'columns are written as they lie in memory')
  const { files, checksums, timers } = ports
  const path = `${directory}/${checkpointName}`
  const temporary = `${path}.tmp`
  const sections = [...sectionsOf(state.tables)]
  if (files.exists(temporary)) files.remove(temporary)
  const file = files.open(temporary, 'create')
  let at = 0
  const write = (bytes: Uint8Array): void => {
    file.write(bytes, at)
    at += bytes.length
  }
  try {
    write(headerOf(ports, incarnation, state.sequence))
    for (const [kind, bytes] of sections) {
      const head = new ByteWriter(sectionHeaderBytes)
      head.u32(kind)
      head.u32(bytes.length)
      let crc = checksums.crc32(head.take())
      const headAt = at
      at += sectionHeaderBytes
      for (let from = 0; from < bytes.length; from += sliceBytes) {
        const slice = bytes.subarray(from, from + sliceBytes)
        crc = checksums.crc32(slice, crc)
        write(slice)
        if (bytes.length > sliceBytes) await new Promise<void>(resolve => timers.soon(resolve))
      }
      head.u32(crc)
      file.write(head.take(), headAt)
    }
    await file.dataSync()
    files.rename(temporary, path)
    await files.syncDirectory(directory)
    return at
  } finally {
    file.close()
  }
}

function headerOf({ checksums }: CheckpointPorts, incarnation: string, sequence: number): Uint8Array {
  const header = new ByteWriter(headerBytes)
  header.raw(encoder.encode(checkpointMagic))
  header.u32(checkpointVersion)
  header.raw(fromHex(incarnation))
  header.raw(new Uint8Array(new Float64Array([sequence]).buffer))
  header.u32(checksums.crc32(header.take()))
  return header.take()
}

function* sectionsOf({ metrics, keys, postings, series }: CatalogTables): Generator<[SectionKind, Uint8Array]> {
  const schema = new ByteWriter()
  schema.varint(metrics.length)
  for (const { info } of metrics) {
    schema.text(info.name)
    schema.varint(info.fields.length)
    for (const field of info.fields) {
      schema.u8(fieldTypes.indexOf(field.type))
      schema.text(field.name)
    }
  }
  schema.varint(keys.length)
  for (const key of keys) schema.text(key.name)
  yield [section.schema, schema.take()]
  for (const { values } of keys) {
    yield [section.valueEnds, bytesOf(values.ends)]
    yield [section.valueBytes, values.bytes.subarray(0, values.usedBytes)]
  }
  yield [section.postingMetric, bytesOf(postings.metric)]
  yield [section.postingKey, bytesOf(postings.key)]
  yield [section.postingValue, bytesOf(postings.value)]
  yield [section.seriesMetric, bytesOf(series.metric)]
  yield [section.seriesIdLow, bytesOf(series.idLow)]
  yield [section.seriesIdHigh, bytesOf(series.idHigh)]
  yield [section.seriesTagsEnd, bytesOf(series.tagsEnd)]
  yield [section.seriesTags, bytesOf(series.tagPosting)]
  yield [section.end, new Uint8Array(0)]
}

const bytesOf = (list: U32List): Uint8Array => {
  const { buffer, byteOffset, byteLength } = list.view()
  return new Uint8Array(buffer, byteOffset, byteLength)
}

export interface LoadedCheckpoint {
  readonly incarnation: string
  readonly state: CatalogState
  /** Size of the file. */
  readonly bytes: number
}

/** Reads the checkpoint, or throws `corrupt_catalog` with file and offset. */
export function readCheckpoint(ports: Pick<Ports, 'files' | 'checksums'>, directory: string): LoadedCheckpoint {
  const path = `${directory}/${checkpointName}`
  const file = ports.files.open(path, 'read')
  try {
    const source = new SectionReader(ports, file, path)
    const { incarnation, sequence } = source.header()
    return { incarnation, state: { tables: readTables(source), sequence }, bytes: file.size() }
  } finally {
    file.close()
  }
}

/** Checks every checksum, and yields after each section. Throws `corrupt_catalog`. */
export function* checkCheckpoint(ports: Pick<Ports, 'files' | 'checksums'>, directory: string): Generator<void, void> {
  const path = `${directory}/${checkpointName}`
  const file = ports.files.open(path, 'read')
  try {
    const source = new SectionReader(ports, file, path)
    source.header()
    for (let kind = source.kind(); ; kind = source.kind()) {
      source.bytes(kind)
      if (kind === section.end) return
      yield
    }
  } finally {
    file.close()
  }
}

function readTables(source: SectionReader): CatalogTables {
  const schemaAt = source.at
  const schemaBytes = source.bytes(section.schema)
  const schema = new ByteReader(schemaBytes)
  try {
    const metrics = readMetrics(schema)
    const keyNames = Array.from({ length: schema.varint() }, () => schema.text())
    const pools = keyNames.map(() => readPool(source))
    const postings = readPostings(source, metrics.length, pools)
    const columns = readSeries(source, metrics.length, postings.size)
    source.bytes(section.end)
    const tables = new CatalogTables(postings, columns)
    for (const { name, fields } of metrics) {
      const metric = tables.addMetric(name)
      for (const field of fields) tables.addField(metric, field.name, field.type)
    }
    for (let i = 0; i < pools.length; i++) tables.addKey(keyNames[i]!, pools[i]!)
    tables.link()
    return tables
  } catch (error) {
    if (error instanceof DamageError) throw source.damage(error.message, schemaAt + sectionHeaderBytes + error.offset)
    throw error
  }
}

function readMetrics(schema: ByteReader) {
  return Array.from({ length: schema.varint() }, () => ({
    name: schema.text(),
    fields: Array.from({ length: schema.varint() }, () => {
      const type = fieldTypes[schema.u8()]
      if (type === undefined) throw new DamageError('unknown field type', schema.at)
      return { type, name: schema.text() }
    }),
  }))
}

function readPool(source: SectionReader): StringPool {
  const at = source.at
  const ends = source.list(section.valueEnds)
  const bytes = source.bytes(section.valueBytes)
  if ((ends.length === 0 ? 0 : ends.data[ends.length - 1]) !== bytes.length || !ascends(ends))
    throw source.damage('the ends of tag values do not fit their bytes', at)
  return new StringPool(bytes, ends)
}

function readPostings(source: SectionReader, metricCount: number, pools: readonly StringPool[]): Postings {
  const at = source.at
  const metric = source.list(section.postingMetric)
  const key = source.list(section.postingKey)
  const value = source.list(section.postingValue)
  let fits = key.length === metric.length && value.length === metric.length
  for (let i = 0; fits && i < metric.length; i++) {
    const pool = pools[key.data[i]!]
    fits = metric.data[i]! < metricCount && pool !== undefined && value.data[i]! < pool.size
  }
  if (!fits) throw source.damage('a posting names what does not exist', at)
  return new Postings(metric, key, value)
}

function readSeries(source: SectionReader, metricCount: number, postingCount: number): SeriesColumns {
  const at = source.at
  const metric = source.list(section.seriesMetric)
  const idLow = source.list(section.seriesIdLow)
  const idHigh = source.list(section.seriesIdHigh)
  const tagsEnd = source.list(section.seriesTagsEnd)
  const tagPosting = source.list(section.seriesTags)
  const count = metric.length
  let fits = idLow.length === count && idHigh.length === count && tagsEnd.length === count && ascends(tagsEnd)
  fits &&= (count === 0 ? 0 : tagsEnd.data[count - 1]) === tagPosting.length
  for (let i = 0; fits && i < count; i++) fits = metric.data[i]! < metricCount
  for (let i = 0; fits && i < tagPosting.length; i++) fits = tagPosting.data[i]! < postingCount
  if (!fits) throw source.damage('a series names what does not exist', at)
  return { metric, idLow, idHigh, tagsEnd, tagPosting }
}

function ascends({ data, length }: U32List): boolean {
  for (let i = 1; i < length; i++) if (data[i]! < data[i - 1]!) return false
  return true
}

class SectionReader {
  at = 0
  readonly #checksums: Ports['checksums']
  readonly #file: FileHandle
  readonly #path: string
  readonly #size: number
  /** The file's first bytes. */
  readonly #first: Uint8Array

  constructor({ checksums }: Pick<Ports, 'checksums'>, file: FileHandle, path: string) {
    this.#checksums = checksums
    this.#file = file
    this.#path = path
    this.#size = file.size()
    const first = new Uint8Array(Math.min(firstReadBytes, this.#size))
    this.#first = first.subarray(0, file.read(first, 0))
  }

  damage(what: string, at = this.at): Error {
    return corrupt(this.#path, at, what)
  }

  header(): { readonly incarnation: string; readonly sequence: number } {
    const bytes = this.#read(headerBytes)
    const reader = new ByteReader(bytes)
    if (String.fromCharCode(...reader.raw(8)) !== checkpointMagic) throw this.damage('this is no catalog checkpoint', 0)
    const version = reader.u32()
    const incarnation = toHex(reader.raw(16))
    const sequence = new Float64Array(reader.raw(8).slice().buffer)[0]!
    if (reader.u32() !== this.#checksums.crc32(bytes.subarray(0, headerBytes - 4)))
      throw this.damage('the header is damaged', 0)
    if (version !== checkpointVersion) throw unsupportedVersion(this.#path, version, checkpointVersion)
    return { incarnation, sequence }
  }

  /** Of the next section, as it says. */
  kind(): SectionKind {
    const kind = new ByteReader(this.#read(4)).u32() as SectionKind
    this.at -= 4
    return kind
  }

  list(kind: SectionKind): U32List {
    const at = this.at
    const bytes = this.bytes(kind)
    if (bytes.length % 4 !== 0) throw this.damage('a column is not made of whole words', at)
    const list = new U32List(0)
    list.data = new Uint32Array(bytes.buffer, 0, bytes.length / 4)
    list.length = list.data.length
    return list
  }

  /** The contents of the next section, which must be of this kind, in a buffer of their own. */
  bytes(kind: SectionKind): Uint8Array {
    const at = this.at
    const head = this.#read(sectionHeaderBytes)
    const reader = new ByteReader(head)
    const found = reader.u32()
    const length = reader.u32()
    const crc = reader.u32()
    if (found !== kind || length > this.#size - this.at) throw this.damage('a section is damaged or missing', at)
    const contents = this.#read(length)
    if (this.#checksums.crc32(contents, this.#checksums.crc32(head.subarray(0, 8))) !== crc)
      throw this.damage('a section is damaged', at)
    return contents
  }

  #read(length: number): Uint8Array {
    const from = this.at
    if (from + length <= this.#first.length) {
      this.at += length
      return this.#first.slice(from, from + length)
    }
    const bytes = new Uint8Array(length)
    if (this.#file.read(bytes, this.at) < length) throw this.damage('the file ends early')
    this.at += length
    return bytes
  }
}

const encoder = new TextEncoder()
