/**
 * SegmentWriter: sorted rows of several metrics -> the bytes of one segment file.
 *
 *   metric, rows, rows, metric, rows, close  ->  header | groups | pages | footer | trailer
 *                                    groups  ->  header | groups, and what describes them   -> closeSegment, maybe in another thread
 *
 * Invariants:
 * 1. The bytes depend on the calls alone. The keys of series are not asked for before the groups are written.
 * 2. Columns are encoded straight from the row buffers; only a selection is gathered, one group at a time.
 * 3. A series' rows of a segment come in one call of `rows`, or in several that hold nothing else, by time; series in the
 *    order of their ranks.
 * 4. With a sink, memory is what describes the groups written so far, and the group at hand. The header is written last.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { Checksums, Compression } from '../../lib/ports.ts'
import { fromHex } from '../../lib/text.ts'
import { U32List } from '../catalog/packed.ts'
import { ByteWriter } from '../codecs/bytes.ts'
import type { FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { Lsn, MetricInfo } from '../types.ts'
import { encodePages, type SeriesKeys } from './dictionary.ts'
import { ColumnEncoder, type ColumnRows, type Encoding } from './encode-column.ts'
import { encodeFooter, type WrittenGroup, type WrittenMetric, type WrittenPage } from './footer.ts'
import { encodeHeader, encodeTrailer, headerLength, type SegmentHeader, trailerLength } from './format.ts'
import { encodeHead } from './group-head.ts'
import { type GroupLayout, layoutRows } from './layout.ts'
import { newScratch } from './scratch.ts'

export interface SegmentMetric {
  readonly metric: MetricInfo
  /** Sorted by (series rank, time), unique: merged. */
  readonly rows: RowBuffer
  /** Ascending indexes of the rows that belong to the segment; undefined: all. */
  readonly selection: Uint32Array | undefined
}

export interface SegmentHead {
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  /** Of the catalog whose ordinals the rows carry: 32 hexadecimal digits. */
  readonly incarnation: string
  /** Default 0. */
  readonly retentionClass?: number
  /** Ids of the segments this one replaces; of a rollup, the one it summarises. Default: none. */
  readonly replaced?: readonly string[]
  /** Of a rollup; absent: it holds rows. */
  readonly level?: number
  /** Written by the last merge of its window. Default false. */
  readonly settled?: boolean
  /** How hard to look for small blocks. Default 'fast'. */
  readonly encoding?: Encoding
  /** How many bytes it will about have: memory that is taken once. Default: it grows. */
  readonly bytesExpected?: number
}

/** Where a segment's bytes go as they are made. */
export interface SegmentSink {
  write(bytes: Uint8Array, position: number): void
  /** Only after a metric was taken back, when what follows is shorter. */
  truncate(length: number): void
}

/** A segment that lacks its header and the end of it alone. */
export interface ClosedSegment {
  /** Of the whole file, header and trailer included. */
  readonly bytes: number
  /** Writes them. `parts`: how many segments the merge made. */
  seal(parts: number): SegmentHeader
}

/** The groups of a segment, described: plain data. */
export interface WrittenGroups {
  /** Local series number -> ordinal. */
  readonly ordinals: Uint32Array
  readonly metrics: readonly WrittenMetric[]
  /** At least one. */
  readonly rows: number
  readonly minTimeUs: number
  readonly maxTimeUs: number
  /** Where they end in the file. */
  readonly end: number
}

export interface SegmentInput extends SegmentHead {
  /** With at least one row together. */
  readonly metrics: readonly SegmentMetric[]
  readonly keys: SeriesKeys
}

/** What encoding needs of the machine. */
export interface Encoders {
  readonly kernels: Kernels
  readonly checksums: Checksums
  readonly zstd: Compression
}

/** @example publishSegment(ports, dataDir, path, encodeSegment(input, kernels, ports.checksums, ports.zstd)) */
export function encodeSegment(
  input: SegmentInput,
  kernels: Kernels,
  checksums: Checksums,
  zstd: Compression,
): Uint8Array {
  const writer = new SegmentWriter(input, kernels, checksums, zstd)
  for (const { metric, rows, selection } of input.metrics) writer.rows(metric, rows, selection)
  const { bytes, groups } = writer.groups()
  const out = new ByteWriter(bytes.length)
  out.raw(bytes)
  const sink = {
    write: (part: Uint8Array, position: number) => {
      out.reserve(Math.max(0, position + part.length - out.length))
      out.bytes.set(part, position)
      out.length = Math.max(out.length, position + part.length)
    },
  }
  closeSegment(input, groups, input.keys, { kernels, checksums, zstd }, sink).seal(0)
  return out.written()
}

/**
 * Writes pages and footer behind groups that the sink has, or will have, in their place; the header waits for `seal`.
 *
 * @example
 * const { bytes, groups } = writer.groups()
 * file.write(bytes, 0)
 * closeSegment(head, groups, catalog, encoders, file).seal(0)
 */
export function closeSegment(
  head: SegmentHead,
  groups: WrittenGroups,
  keys: SeriesKeys,
  { kernels, checksums, zstd }: Encoders,
  sink: Pick<SegmentSink, 'write'>,
): ClosedSegment {
  assert(groups.rows > 0, 'a segment has rows')
  const out = new ByteWriter()
  let at = groups.end
  const flushed = (): void => {
    sink.write(out.written(), at)
    at += out.length
    out.clear()
  }
  const chunkFrom = (from: number): { length: number; crc: number } => {
    const bytes = out.written(from)
    return { length: bytes.length, crc: checksums.crc32(bytes) }
  }
  const pages: WrittenPage[] = []
  encodePages(groups.ordinals, keys, zstd, out, (seriesCount, from) => {
    pages.push({ seriesCount, ...chunkFrom(from) })
    if (out.length >= stagedBytesMax) flushed()
  })
  flushed()
  const footerAt = at
  encodeFooter({ ordinals: groups.ordinals, metrics: groups.metrics, pages }, kernels, newScratch(), out)
  const footer = chunkFrom(0)
  flushed()
  const trailerAt = at

  const header = {
    kind: head.level === undefined ? ({ kind: 'rows' } as const) : ({ kind: 'rollup', level: head.level } as const),
    dedupe: 'merge' as const,
    settled: head.settled ?? false,
    minTimeUs: groups.minTimeUs,
    maxTimeUs: groups.maxTimeUs,
    minLsn: head.minLsn,
    maxLsn: head.maxLsn,
    retentionClass: head.retentionClass ?? 0,
    incarnation: fromHex(head.incarnation),
    rows: groups.rows,
    seriesCount: groups.ordinals.length,
    bytes: trailerAt + trailerLength,
    replaced: head.replaced ?? [],
  }
  const seal = (parts: number): SegmentHeader => {
    const sealed = { ...header, parts }
    const bytes = encodeHeader(sealed, checksums)
    const trailer = new ByteWriter(trailerLength)
    const headerCrc = checksums.crc32(bytes)
    encodeTrailer({ footerAt, footerLength: footer.length, footerCrc: footer.crc, headerCrc }, checksums, trailer)
    sink.write(bytes, 0)
    sink.write(trailer.written(), trailerAt)
    return sealed
  }
  return { bytes: header.bytes, seal }
}

/** A metric whose groups are being written. */
interface OpenMetric {
  readonly metric: MetricInfo
  readonly fields: WrittenMetric['fields']
  seriesCount: number
  readonly groups: WrittenGroup[]
  /** The writer as it was before the metric. */
  readonly before: {
    readonly length: number
    readonly series: number
    readonly rows: number
    readonly minTimeUs: number
    readonly maxTimeUs: number
  }
}

/** Bytes that wait for the sink. */
const stagedBytesMax = 256 * 1024

export class SegmentWriter {
  readonly #head: SegmentHead
  readonly #kernels: Kernels
  readonly #checksums: Checksums
  readonly #zstd: Compression
  readonly #columns: ColumnEncoder
  readonly #sink: SegmentSink | undefined
  /** What follows the bytes that went to the sink. */
  readonly #out: ByteWriter
  #sunk = 0
  /** Where the bytes that the sink has end: beyond `#sunk` lies what was taken back. */
  #sinkEnd = 0
  readonly #ordinals = new U32List(64)
  readonly #metrics: OpenMetric[] = []
  #rows = 0
  #minTimeUs = Infinity
  #maxTimeUs = -Infinity

  /** Without a sink the bytes are gathered, and `finish` gives them. */
  constructor(head: SegmentHead, kernels: Kernels, checksums: Checksums, zstd: Compression, sink?: SegmentSink) {
    this.#head = head
    this.#sink = sink
    this.#kernels = kernels
    this.#checksums = checksums
    this.#zstd = zstd
    this.#columns = new ColumnEncoder(kernels, zstd, head.encoding)
    this.#out = new ByteWriter(Math.max(2 * stagedBytesMax, Math.ceil(head.bytesExpected ?? 0)))
    // The header is written last, when its numbers are known.
    this.#out.length = headerLength(head.replaced ?? [])
  }

  /**
   * Appends rows of the metric, sorted by (series rank, time) and merged: all of the buffer, or those of the selection,
   * ascending. Later calls may go on with further series of the metric, in a buffer of the same fields; or with later rows
   * of a series that fills a call by itself.
   */
  rows(metric: MetricInfo, rows: RowBuffer, selection: Uint32Array | undefined): void {
    const length = selection?.length ?? rows.length
    if (length === 0) return
    let open = this.#metrics.at(-1)
    if (open?.metric !== metric) {
      const fields = rows.fields.map(({ field }) => ({ name: field.name, type: field.type }))
      const before = {
        length: this.bytes,
        series: this.#ordinals.length,
        rows: this.#rows,
        minTimeUs: this.#minTimeUs,
        maxTimeUs: this.#maxTimeUs,
      }
      open = { metric, fields, seriesCount: 0, groups: [], before }
      this.#metrics.push(open)
    }
    const series = selection === undefined ? rows.series : gather(rows.series, selection, new Uint32Array(length))
    const timeUs = selection === undefined ? rows.timeUs : gather(rows.timeUs, selection, new Float64Array(length))
    const goesOn = open.seriesCount > 0 && this.#ordinals.data[this.#ordinals.length - 1] === series[0]
    const layout = layoutRows(
      { length, series, timeUs, stringBytes: stringBytes(rows, selection) },
      this.#ordinals.length - (goesOn ? 1 : 0),
    )
    const last = open.groups.at(-1)
    assert(
      !goesOn || (layout.ordinals.length === 1 && last!.runCount === 1 && last!.maxTimeUs < timeUs[0]!),
      'a series goes on by itself, in time',
    )
    for (const group of layout.groups) {
      open.groups.push(this.#group(group, timeUs, rows, selection))
      if (this.#sink !== undefined && this.#out.length >= stagedBytesMax) this.#sinkStaged(this.#sink)
    }
    if (goesOn) return
    for (const ordinal of layout.ordinals) this.#ordinals.push(ordinal)
    open.seriesCount += layout.ordinals.length
  }

  /** Of the segment as far as it is written. */
  get bytes(): number {
    return this.#sunk + this.#out.length
  }

  #sinkStaged(sink: SegmentSink): void {
    sink.write(this.#out.written(), this.#sunk)
    this.#sunk += this.#out.length
    this.#sinkEnd = Math.max(this.#sinkEnd, this.#sunk)
    this.#out.clear()
  }

  /** Takes the metric back, if it is the last that rows came of: as if they never had. */
  dropMetric(metric: MetricInfo): void {
    const open = this.#metrics.at(-1)
    if (open?.metric !== metric) return
    this.#metrics.pop()
    // What follows is written over what the sink has of it.
    this.#sunk = Math.min(this.#sunk, open.before.length)
    this.#out.length = open.before.length - this.#sunk
    this.#ordinals.length = open.before.series
    this.#rows = open.before.rows
    this.#minTimeUs = open.before.minTimeUs
    this.#maxTimeUs = open.before.maxTimeUs
  }

  #group(group: GroupLayout, timeUs: Float64Array, rows: RowBuffer, selection: Uint32Array | undefined): WrittenGroup {
    const out = this.#out
    const headAt = out.length
    encodeHead(group, timeUs, this.#kernels, this.#columns.scratch, out)
    const head = out.length > headAt ? this.#chunkFrom(headAt) : undefined
    const timeAt = out.length
    const times = { timeUs, base: group.from }
    this.#columns.encodeTimes(group, times, out)
    const time = this.#chunkFrom(timeAt)
    const columns = rows.fields.flatMap((buffer, field) => {
      const at = out.length
      const statistics = this.#columns.encodeField(group, times, columnRows(buffer, group, selection), out)
      return statistics === undefined ? [] : [{ field, statistics, ...this.#chunkFrom(at) }]
    })
    this.#rows += group.rows
    this.#minTimeUs = Math.min(this.#minTimeUs, group.minTimeUs)
    this.#maxTimeUs = Math.max(this.#maxTimeUs, group.maxTimeUs)
    return {
      rows: group.rows,
      firstSeries: group.firstSeries,
      runCount: group.runEnds.length,
      blockCount: group.blocks.length,
      minTimeUs: group.minTimeUs,
      maxTimeUs: group.maxTimeUs,
      head,
      time,
      columns,
    }
  }

  #chunkFrom(at: number): { length: number; crc: number } {
    const bytes = this.#out.written(at)
    return { length: bytes.length, crc: this.#checksums.crc32(bytes) }
  }

  /** What is written and not with a sink, as if the header were there, and what describes it; the writer is not used any more. */
  groups(): { readonly bytes: Uint8Array; readonly groups: WrittenGroups } {
    const metrics = this.#metrics.map(
      ({ metric, before: _, ...written }): WrittenMetric => ({ name: metric.name, ...written }),
    )
    const groups = {
      ordinals: this.#ordinals.view(),
      metrics,
      rows: this.#rows,
      minTimeUs: this.#minTimeUs,
      maxTimeUs: this.#maxTimeUs,
      end: this.bytes,
    }
    return { bytes: this.#out.written(), groups }
  }

  /** Hands the rest to the sink, but header and trailer; the writer is not used any more. */
  close(keys: SeriesKeys): ClosedSegment {
    const sink = this.#sink
    assert(sink !== undefined, 'there is a sink to close')
    const { groups } = this.groups()
    this.#sinkStaged(sink)
    const encoders = { kernels: this.#kernels, checksums: this.#checksums, zstd: this.#zstd }
    const { bytes, seal } = closeSegment(this.#head, groups, keys, encoders, sink)
    const truncated = (parts: number): SegmentHeader => {
      const header = seal(parts)
      if (this.#sinkEnd > header.bytes) sink.truncate(header.bytes)
      return header
    }
    return { bytes, seal: truncated }
  }
}

function columnRows(
  { field, values, valid, nulls, dictionary }: FieldBuffer,
  group: GroupLayout,
  selection: Uint32Array | undefined,
): ColumnRows {
  const { type } = field
  if (selection === undefined) return { type, values, valid: nulls ? valid : undefined, dictionary, base: group.from }
  const rows = selection.subarray(group.from, group.from + group.rows)
  return {
    type,
    values: gatherAny(values, rows),
    valid: nulls ? gather(valid, rows, new Uint8Array(rows.length)) : undefined,
    dictionary,
    base: 0,
  }
}

function gatherAny(values: FieldBuffer['values'], rows: Uint32Array): FieldBuffer['values'] {
  if (values instanceof Float64Array) return gather(values, rows, new Float64Array(rows.length))
  if (values instanceof Uint32Array) return gather(values, rows, new Uint32Array(rows.length))
  return gather(values, rows, new Uint8Array(rows.length))
}

function gather<A extends Float64Array | Uint32Array | Uint8Array>(from: A, rows: Uint32Array, to: A): A {
  for (let i = 0; i < rows.length; i++) to[i] = from[rows[i]!]!
  return to
}

/** Text in a row, in UTF-16 units; undefined when the metric has no string field. */
function stringBytes(rows: RowBuffer, selection: Uint32Array | undefined): ((position: number) => number) | undefined {
  const fields = rows.fields.filter(({ dictionary }) => dictionary !== undefined)
  if (fields.length === 0) return undefined
  return position => {
    const row = selection === undefined ? position : selection[position]!
    let bytes = 0
    for (const { values, valid, dictionary } of fields)
      if (valid[row] === 1) bytes += dictionary!.at(values[row]!).length
    return bytes
  }
}
