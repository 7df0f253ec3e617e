/**
 * The footer: everything a reader must know to skip or find chunks — metrics, fields, row groups, statistics.
 *
 *   ordinals of all series | metrics { name, fields, series count, groups { shape, chunks, columns } } | dictionary pages
 *
 * Chunks are told by length alone: they follow each other from the header's end, per group head, time, fields.
 *
 * Invariants:
 * 1. `decodeFooter` accepts only what fits the file: chunks and pages fill exactly header end to footer, series and
 *    group shapes are within their metric. Reading a group then needs no further check of places.
 * 2. A group's columns are decoded when it is first looked at: opening costs per group, not per column.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { ByteReader, type ByteWriter, DamageError } from '../codecs/bytes.ts'
import type { FieldStatistics, FieldType } from '../types.ts'
import { groupRowsMax, groupSpanUsMax, type SegmentHeader } from './format.ts'
import { readValueList, type Scratch, writeValueList } from './scratch.ts'

/** The first 16 bytes of a text, and whether it goes on. A maximum that goes on is above its bytes. */
export interface TextBound {
  readonly bytes: Uint8Array
  readonly truncated: boolean
}
export interface NumberStatistics extends FieldStatistics {
  readonly kind: 'number'
}
export type ColumnStatistics =
  | NumberStatistics
  | { readonly kind: 'boolean'; readonly count: number; readonly trueCount: number }
  | { readonly kind: 'string'; readonly count: number; readonly min: TextBound; readonly max: TextBound }

export interface ChunkEntry {
  /** In the file. */
  readonly at: number
  readonly length: number
  readonly crc: number
}
export interface ColumnEntry extends ChunkEntry {
  /** Index into the metric's fields in this segment. */
  readonly field: number
  /** Position among the group's columns. */
  readonly index: number
  readonly statistics: ColumnStatistics
}

export interface GroupEntry {
  /** Number of its first chunk within the segment: head, time, then its columns. The footer is chunk 0. */
  readonly firstChunk: number
  readonly rows: number
  /** Local numbers of its series are [firstSeries, firstSeries + runCount). */
  readonly firstSeries: number
  readonly runCount: number
  readonly blockCount: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly head: ChunkEntry | undefined
  readonly time: ChunkEntry
  /** Where the columns are told in the footer, and where their chunks begin in the file. */
  readonly directoryAt: number
  readonly directoryLength: number
  readonly columnCount: number
  readonly columnsAt: number
  readonly columnsLength: number
  /** Filled when first looked at, see `columnsOf`. */
  columns: readonly ColumnEntry[] | undefined
}

export interface SegmentField {
  readonly name: string
  readonly type: FieldType
}
export interface FooterMetric {
  readonly name: string
  readonly fields: readonly SegmentField[]
  /** Local numbers of its series are [firstSeries, firstSeries + seriesCount). */
  readonly firstSeries: number
  readonly seriesCount: number
  readonly groups: readonly GroupEntry[]
  /** First local series number of each group: ascending, equal where a long series goes on. */
  readonly groupSeries: Uint32Array
  /** Blocks in the groups before each, and in all at the end. */
  readonly blocksBefore: Uint32Array
}
export interface PageEntry extends ChunkEntry {
  readonly seriesCount: number
}
export interface Footer {
  readonly bytes: Uint8Array
  /** Local number -> ordinal in the catalog that wrote the segment. */
  readonly ordinals: Uint32Array
  readonly metrics: readonly FooterMetric[]
  readonly pages: readonly PageEntry[]
}

// ---- writing ------------------------------------------------------------------------------------------------------

export interface WrittenColumn {
  readonly field: number
  readonly length: number
  readonly crc: number
  readonly statistics: ColumnStatistics
}
export interface WrittenGroup {
  readonly rows: number
  readonly firstSeries: number
  readonly runCount: number
  readonly blockCount: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  readonly head: { readonly length: number; readonly crc: number } | undefined
  readonly time: { readonly length: number; readonly crc: number }
  readonly columns: readonly WrittenColumn[]
}
export interface WrittenMetric {
  readonly name: string
  readonly fields: readonly SegmentField[]
  readonly seriesCount: number
  readonly groups: readonly WrittenGroup[]
}
export interface WrittenPage {
  readonly seriesCount: number
  readonly length: number
  readonly crc: number
}
export interface WrittenFooter {
  readonly ordinals: Uint32Array
  readonly metrics: readonly WrittenMetric[]
  readonly pages: readonly WrittenPage[]
}

const fieldTypes: readonly FieldType[] = ['float', 'integer', 'boolean', 'string']

export function encodeFooter(footer: WrittenFooter, kernels: Kernels, scratch: Scratch, out: ByteWriter): void {
  writeValueList(footer.ordinals.length, i => footer.ordinals[i]!, kernels, scratch, out)
  out.varint(footer.metrics.length)
  for (const metric of footer.metrics) {
    out.text(metric.name)
    out.varint(metric.fields.length)
    for (const field of metric.fields) {
      out.text(field.name)
      out.u8(fieldTypes.indexOf(field.type))
    }
    out.varint(metric.seriesCount)
    out.varint(metric.groups.length)
    let previous = metric.groups[0]?.firstSeries ?? 0
    for (const group of metric.groups) {
      writeGroup(group, group.firstSeries - previous, out)
      previous = group.firstSeries
    }
  }
  out.varint(footer.pages.length)
  for (const page of footer.pages) {
    out.varint(page.seriesCount)
    out.varint(page.length)
    out.u32(page.crc)
  }
}

function writeGroup(group: WrittenGroup, seriesDelta: number, out: ByteWriter): void {
  out.varint(group.rows)
  out.varint(seriesDelta)
  out.varint(group.runCount)
  out.varint(group.blockCount)
  out.f64(group.minTimeUs)
  out.varint(group.maxTimeUs - group.minTimeUs)
  out.varint(group.head?.length ?? 0)
  if (group.head !== undefined) out.u32(group.head.crc)
  out.varint(group.time.length)
  out.u32(group.time.crc)
  out.varint(group.columns.length)
  out.varint(group.columns.reduce((sum, column) => sum + column.length, 0))
  const lengthAt = out.length
  out.u32(0)
  for (const column of group.columns) writeColumn(column, group, out)
  const end = out.length
  out.length = lengthAt
  out.u32(end - lengthAt - 4)
  out.length = end
}

const hasNulls = 1
const hasNaNs = 2

function writeColumn({ field, length, crc, statistics }: WrittenColumn, group: WrittenGroup, out: ByteWriter): void {
  out.varint(field)
  out.varint(length)
  out.u32(crc)
  const nans = statistics.kind === 'number' && statistics.nanCount > 0
  out.u8((statistics.count < group.rows ? hasNulls : 0) | (nans ? hasNaNs : 0))
  if (statistics.count < group.rows) out.varint(statistics.count)
  switch (statistics.kind) {
    case 'number':
      if (nans) out.varint(statistics.nanCount)
      if (statistics.count > statistics.nanCount) {
        out.double(statistics.min)
        out.double(statistics.max)
      }
      out.double(statistics.sum)
      out.double(statistics.first)
      out.varint(statistics.firstTimeUs - group.minTimeUs)
      out.double(statistics.last)
      out.varint(group.maxTimeUs - statistics.lastTimeUs)
      break
    case 'boolean':
      out.varint(statistics.trueCount)
      break
    case 'string':
      writeBound(statistics.min, out)
      writeBound(statistics.max, out)
  }
}

const truncatedBound = 128

function writeBound({ bytes, truncated }: TextBound, out: ByteWriter): void {
  out.u8(bytes.length | (truncated ? truncatedBound : 0))
  out.raw(bytes)
}

// ---- reading ------------------------------------------------------------------------------------------------------

const nameBytesMax = 64 * 1024
const countMax = 2 ** 32 - 1

/** `dataAt` is where chunks begin (the header's end), `dataEnd` where the last dictionary page ends (the footer). */
export function decodeFooter(
  bytes: Uint8Array,
  header: SegmentHeader,
  dataAt: number,
  dataEnd: number,
  kernels: Kernels,
): Footer {
  const reader = new ByteReader(bytes)
  // Each value block is at least two bytes, so a count beyond that is damage: nothing is allocated for it.
  if (header.seriesCount > bytes.length * 1024) throw new DamageError('number of series', 0)
  const ordinals = Uint32Array.from(readValueList(reader, header.seriesCount, kernels))
  const place: Place = { at: dataAt, chunk: 1, series: 0, rows: 0 }
  const metrics = Array.from({ length: reader.varint(bytes.length) }, () => readMetric(reader, header, place))
  const pages = Array.from({ length: reader.varint(bytes.length) }, () => {
    const seriesCount = reader.varint(countMax)
    return { seriesCount, ...readChunk(reader, place) }
  })
  reader.expectEnd()
  const paged = pages.reduce((sum, page) => sum + page.seriesCount, 0)
  if (
    place.at !== dataEnd ||
    place.series !== header.seriesCount ||
    place.rows !== header.rows ||
    paged !== place.series
  )
    throw new DamageError('the footer does not fit the file', 0)
  return { bytes, ordinals, metrics, pages }
}

/** What was told so far: the file position, chunks, series, rows. */
interface Place {
  at: number
  chunk: number
  series: number
  rows: number
}

function readChunk(reader: ByteReader, place: Place, length = reader.varint()): ChunkEntry {
  const chunk = { at: place.at, length, crc: reader.u32() }
  place.at += length
  return chunk
}

function readMetric(reader: ByteReader, header: SegmentHeader, place: Place): FooterMetric {
  const name = reader.text(nameBytesMax)
  const fields = Array.from({ length: reader.varint(reader.end) }, () => {
    const field = reader.text(nameBytesMax)
    const type = fieldTypes[reader.u8()]
    if (type === undefined) throw new DamageError('unknown field type', reader.at - 1)
    return { name: field, type }
  })
  const firstSeries = place.series
  const seriesCount = reader.varint(header.seriesCount - firstSeries)
  place.series += seriesCount
  let first = firstSeries
  const groups = Array.from({ length: reader.varint(reader.end) }, () => {
    const group = readGroup(reader, first, place.series, place)
    first = group.firstSeries
    return group
  })
  const groupSeries = Uint32Array.from(groups, group => group.firstSeries)
  const blocksBefore = new Uint32Array(groups.length + 1)
  for (const [i, group] of groups.entries()) blocksBefore[i + 1] = blocksBefore[i]! + group.blockCount
  return { name, fields, firstSeries, seriesCount, groups, groupSeries, blocksBefore }
}

function readGroup(reader: ByteReader, previousFirst: number, seriesEnd: number, place: Place): GroupEntry {
  const start = reader.at
  const rows = reader.varint(groupRowsMax)
  const firstSeries = previousFirst + reader.varint(countMax)
  const runCount = reader.varint(rows)
  const blockCount = reader.varint(rows)
  const minTimeUs = reader.f64()
  const maxTimeUs = minTimeUs + reader.varint(groupSpanUsMax)
  const sound = runCount >= 1 && blockCount >= 1 && firstSeries + runCount <= seriesEnd
  if (!sound || !Number.isSafeInteger(minTimeUs) || !Number.isSafeInteger(maxTimeUs))
    throw new DamageError('shape of a row group', start)
  const headLength = reader.varint()
  const head = headLength > 0 ? readChunk(reader, place, headLength) : undefined
  const time = readChunk(reader, place)
  const columnCount = reader.varint(reader.end)
  const columnsLength = reader.varint()
  const directoryLength = reader.u32()
  const directoryAt = reader.take(directoryLength)
  const columnsAt = place.at
  place.at += columnsLength
  place.rows += rows
  const firstChunk = place.chunk
  place.chunk += 2 + columnCount
  return {
    firstChunk,
    rows,
    firstSeries,
    runCount,
    blockCount,
    minTimeUs,
    maxTimeUs,
    head,
    time,
    directoryAt,
    directoryLength,
    columnCount,
    columnsAt,
    columnsLength,
    columns: undefined,
  }
}

/** The columns of a group, in field order. */
export function columnsOf(footer: Footer, metric: FooterMetric, group: GroupEntry): readonly ColumnEntry[] {
  group.columns ??= readColumns(footer, metric, group)
  return group.columns
}

function readColumns(footer: Footer, metric: FooterMetric, group: GroupEntry): ColumnEntry[] {
  const reader = new ByteReader(footer.bytes, group.directoryAt, group.directoryAt + group.directoryLength)
  const place: Place = { at: group.columnsAt, chunk: 0, series: 0, rows: 0 }
  let next = 0
  const columns = Array.from({ length: group.columnCount }, (_, index) => {
    const field = reader.varint()
    const type = metric.fields[field]?.type
    if (type === undefined || field < next) throw new DamageError('field of a column', reader.at)
    next = field + 1
    const chunk = readChunk(reader, place)
    return { field, index, ...chunk, statistics: readStatistics(reader, type, group) }
  })
  reader.expectEnd()
  if (place.at !== group.columnsAt + group.columnsLength) throw new DamageError('lengths of the columns', reader.at)
  return columns
}

function readStatistics(reader: ByteReader, type: FieldType, group: GroupEntry): ColumnStatistics {
  const flags = reader.u8()
  const count = (flags & hasNulls) !== 0 ? reader.varint(group.rows) : group.rows
  if (count === 0 || flags > 3) throw new DamageError('statistics of a column', reader.at)
  if (type === 'boolean') return { kind: 'boolean', count, trueCount: reader.varint(count) }
  if (type === 'string') return { kind: 'string', count, min: readBound(reader), max: readBound(reader) }
  const nanCount = (flags & hasNaNs) !== 0 ? reader.varint(count) : 0
  const min = count > nanCount ? reader.double() : Infinity
  const max = count > nanCount ? reader.double() : -Infinity
  const sum = reader.double()
  const first = reader.double()
  const firstTimeUs = group.minTimeUs + reader.varint()
  const last = reader.double()
  const lastTimeUs = group.maxTimeUs - reader.varint()
  return { kind: 'number', count, nanCount, min, max, sum, first, firstTimeUs, last, lastTimeUs }
}

function readBound(reader: ByteReader): TextBound {
  const length = reader.u8()
  return { bytes: reader.raw(length & 127), truncated: (length & truncatedBound) !== 0 }
}
