/**
 * SegmentWriter: sorted rows of several metrics -> the bytes of one segment file. Pure: it can run in a worker.
 *
 *   metric, rows, rows, metric, rows, finish ->  header | groups | pages | footer | trailer
 *
 * Invariants:
 * 1. The bytes depend on the calls alone.
 * 2. Columns are encoded straight from the row buffers; only a selection is gathered, one group at a time.
 * 3. A series' rows of a segment come in one call of `rows`, series in the order of their ranks.
 */
import type { Dictionary } from '../../columnar/batch.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { Checksums, Compression } from '../../lib/ports.ts'
import { fromHex } from '../../lib/text.ts'
import { ByteWriter } from '../codecs/bytes.ts'
import type { FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { Lsn, MetricInfo, Tags } from '../types.ts'
import { encodePage, pageSeriesMax } from './dictionary.ts'
import { ColumnEncoder, type ColumnRows } from './encode-column.ts'
import { encodeFooter, type WrittenGroup, type WrittenMetric, type WrittenPage } from './footer.ts'
import { encodeHeader, encodeTrailer, headerLength, trailerLength } from './format.ts'
import { encodeHead } from './group-head.ts'
import { type GroupLayout, layoutRows } from './layout.ts'

export interface SegmentMetric {
  readonly metric: MetricInfo
  /** Sorted by (series rank, time), unique: merged. */
  readonly rows: RowBuffer
  /** Ascending indexes of the rows that belong to the segment; undefined: all. */
  readonly selection: Uint32Array | undefined
}

/** What is asked of the catalog about a series. */
export interface SeriesKeys {
  readonly ids: Dictionary
  tagsOf(series: number): Tags
}

export interface SegmentHead {
  readonly minLsn: Lsn
  readonly maxLsn: Lsn
  /** Of the catalog whose ordinals the rows carry: 32 hexadecimal digits. */
  readonly incarnation: string
  /** Default 0. */
  readonly retentionClass?: number
  /** Ids of the segments this one replaces. Default: none. */
  readonly replaced?: readonly string[]
  readonly keys: SeriesKeys
}

export interface SegmentInput extends SegmentHead {
  /** With at least one row together. */
  readonly metrics: readonly SegmentMetric[]
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
  return writer.finish()
}

/** A metric whose groups are being written. */
interface OpenMetric {
  readonly metric: MetricInfo
  readonly fields: WrittenMetric['fields']
  seriesCount: number
  readonly groups: WrittenGroup[]
}

export class SegmentWriter {
  readonly #head: SegmentHead
  readonly #kernels: Kernels
  readonly #checksums: Checksums
  readonly #zstd: Compression
  readonly #columns: ColumnEncoder
  readonly #out: ByteWriter
  readonly #ordinals: number[] = []
  readonly #metrics: OpenMetric[] = []
  #rows = 0
  #minTimeUs = Infinity
  #maxTimeUs = -Infinity

  constructor(head: SegmentHead, kernels: Kernels, checksums: Checksums, zstd: Compression) {
    this.#head = head
    this.#kernels = kernels
    this.#checksums = checksums
    this.#zstd = zstd
    this.#columns = new ColumnEncoder(kernels, zstd)
    this.#out = new ByteWriter(256 * 1024)
    // The header is written last, when its numbers are known.
    this.#out.length = headerLength(head.replaced ?? [])
  }

  /**
   * Appends rows of the metric, sorted by (series rank, time) and merged: all of the buffer, or those of the selection,
   * ascending. Later calls may go on with further series of the metric, in a buffer of the same fields.
   */
  rows(metric: MetricInfo, rows: RowBuffer, selection: Uint32Array | undefined): void {
    const length = selection?.length ?? rows.length
    if (length === 0) return
    let open = this.#metrics.at(-1)
    if (open?.metric !== metric) {
      const fields = rows.fields.map(({ field }) => ({ name: field.name, type: field.type }))
      open = { metric, fields, seriesCount: 0, groups: [] }
      this.#metrics.push(open)
    }
    const series = selection === undefined ? rows.series : gather(rows.series, selection, new Uint32Array(length))
    const timeUs = selection === undefined ? rows.timeUs : gather(rows.timeUs, selection, new Float64Array(length))
    const layout = layoutRows(
      { length, series, timeUs, stringBytes: stringBytes(rows, selection) },
      this.#ordinals.length,
    )
    for (const group of layout.groups) open.groups.push(this.#group(group, timeUs, rows, selection))
    for (const ordinal of layout.ordinals) this.#ordinals.push(ordinal)
    open.seriesCount += layout.ordinals.length
  }

  #group(group: GroupLayout, timeUs: Float64Array, rows: RowBuffer, selection: Uint32Array | undefined): WrittenGroup {
    const out = this.#out
    const headAt = out.length
    encodeHead(group, this.#kernels, this.#columns.scratch, out)
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
      firstSeries: group.runs[0]!.local,
      runCount: group.runs.length,
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

  /** The segment's bytes; the writer is not used any more. */
  finish(): Uint8Array {
    assert(this.#rows > 0, 'a segment has rows')
    const out = this.#out
    const head = this.#head
    const pages = this.#pages(head.keys)
    const footerAt = out.length
    const metrics = this.#metrics.map(({ metric, ...written }): WrittenMetric => ({ name: metric.name, ...written }))
    encodeFooter({ ordinals: this.#ordinals, metrics, pages }, this.#kernels, this.#columns.scratch, out)
    const footer = this.#chunkFrom(footerAt)

    const header = encodeHeader(
      {
        kind: { kind: 'rows' },
        dedupe: 'merge',
        minTimeUs: this.#minTimeUs,
        maxTimeUs: this.#maxTimeUs,
        minLsn: head.minLsn,
        maxLsn: head.maxLsn,
        retentionClass: head.retentionClass ?? 0,
        incarnation: fromHex(head.incarnation),
        rows: this.#rows,
        seriesCount: this.#ordinals.length,
        bytes: out.length + trailerLength,
        replaced: head.replaced ?? [],
      },
      this.#checksums,
    )
    out.bytes.set(header)
    const headerCrc = this.#checksums.crc32(header)
    encodeTrailer({ footerAt, footerLength: footer.length, footerCrc: footer.crc, headerCrc }, this.#checksums, out)
    return out.written()
  }

  #pages(keys: SeriesKeys): WrittenPage[] {
    const pages: WrittenPage[] = []
    for (let from = 0; from < this.#ordinals.length; from += pageSeriesMax) {
      const ordinals = this.#ordinals.slice(from, from + pageSeriesMax)
      const at = this.#out.length
      encodePage(
        ordinals.map(ordinal => ({ id: keys.ids.at(ordinal), tags: keys.tagsOf(ordinal) })),
        this.#zstd,
        this.#out,
      )
      pages.push({ seriesCount: ordinals.length, ...this.#chunkFrom(at) })
    }
    return pages
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
