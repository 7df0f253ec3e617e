/**
 * RollupBuilder: the sorted rows of a segment -> its rollups, one segment file per width, written as they are made. Pure,
 * as `SegmentWriter` is, and fed with the same rows.
 *
 *   metric, rows, rows, metric, rows, close  ->  per width: header (kind rollup) | groups | pages | footer | trailer
 *
 * Invariants:
 * 1. A rollup has all series of a metric or none of it: those it has are dense, `bucketRowsMin` rows to a bucket on average,
 *    or `keptBucketRowsMin`. That is known at the metric's end: until then it is written as if it were, and then taken back.
 * 2. About `sliceBucketsMax` buckets of a width are held, besides those of the rows at hand.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { Checksums, Compression } from '../../lib/ports.ts'
import type { RowBuffer } from '../row-buffer.ts'
import type { SeriesKeys } from '../segment/dictionary.ts'
import { type ClosedSegment, type SegmentHead, type SegmentSink, SegmentWriter } from '../segment/encode.ts'
import { groupRowsWanted } from '../segment/format.ts'
import type { MetricInfo } from '../types.ts'
import { RollupBuckets } from './buckets.ts'
import { rollupMetric } from './columns.ts'
import { rollupLevel } from './widths.ts'

/**
 * A bucket is five numbers a field to keep, a byte and a half each, besides some that hardly vary: from so many rows on they
 * are at most an eighth of what the rows take, and rows decode at hundreds of millions a second. A sample every second is
 * dense by the minute, one every 5 s by five; every 10 s by the hour.
 */
export const bucketRowsMin = 50
/** Of a width that is kept when its rows are gone: with fewer, the rows might as well be kept. */
export const keptBucketRowsMin = 9
/** After so many rows of a metric it is known whether they are far from dense, */
const earlyRows = 16_384
/** by this factor: then the rest of them is not looked at. Nor is it where all of them together look sparse, too. */
const earlyFactor = 2
/** Buckets that are encoded together. */
const sliceBucketsMax = 16_384

export interface RollupOptions {
  /** Of the table in `widths.ts`. */
  readonly widthsUs: readonly number[]
  /** Whether rollups of the width outlive their rows. */
  readonly isKept: (widthUs: number) => boolean
  /** Its `replaced` is the id of the segment with the rows, alone. */
  readonly head: SegmentHead
  /** Asked once at most per width, when the first buckets are to be written: it may be for nothing. */
  readonly sink: (widthUs: number) => SegmentSink
  readonly kernels: Kernels
  readonly checksums: Checksums
  readonly zstd: Compression
}

/** What is known of a metric before its rows come: upper bounds of them and their series, and of their time. */
export interface RowsOutlook {
  readonly rows: number
  readonly series: number
  readonly spanUs: number
}

export interface BuiltRollup {
  readonly widthUs: number
  /** To be sealed. */
  readonly closed: ClosedSegment
}

export class RollupBuilder {
  readonly #levels: readonly Level[]
  #metric: string | undefined

  constructor(options: RollupOptions) {
    this.#levels = options.widthsUs.map(widthUs => new Level(widthUs, options))
  }

  /**
   * Rows of a metric, sorted by (series rank, time) and merged. Later calls go on with the metric, in a buffer of the same
   * fields: with further rows of the last series, or with the next. Without an outlook more is written for nothing.
   */
  rows(metric: MetricInfo, rows: RowBuffer, outlook?: RowsOutlook): void {
    if (rows.length === 0) return
    if (metric.name !== this.#metric) {
      this.#metric = metric.name
      for (const level of this.#levels) level.beginMetric(metric, rows, outlook)
    }
    for (let from = 0; from < rows.length; ) {
      const series = rows.series[from]!
      let to = from + 1
      while (to < rows.length && rows.series[to] === series) to++
      for (const level of this.#levels) level.add(rows, from, to)
      from = to
    }
  }

  /** The widths with a dense metric; what sinks of others have is no segment. The builder is not used any more. */
  close(keys: SeriesKeys): BuiltRollup[] {
    return this.#levels.flatMap(level => {
      const closed = level.close(keys)
      return closed === undefined ? [] : [{ widthUs: level.widthUs, closed }]
    })
  }
}

/** The metric that is being rolled up. */
interface OpenMetric {
  readonly metric: MetricInfo
  /** undefined once it is known not to be dense. */
  buckets: RollupBuckets | undefined
  rowCount: number
  bucketCount: number
  /** It is given up early when it is less dense than it must be by this factor. */
  readonly earlyFactor: number
  /** The buckets at hand are the rest of a series of which some are written. */
  goesOn: boolean
}

/** One width. */
class Level {
  readonly widthUs: number
  readonly #options: RollupOptions
  readonly #rowsMin: number
  #writer: SegmentWriter | undefined
  #open: OpenMetric | undefined
  #metricsKept = 0

  constructor(widthUs: number, options: RollupOptions) {
    this.widthUs = widthUs
    this.#options = options
    this.#rowsMin = options.isKept(widthUs) ? keptBucketRowsMin : bucketRowsMin
  }

  beginMetric(source: MetricInfo, rows: RowBuffer, outlook: RowsOutlook | undefined): void {
    this.#endMetric()
    const fields = rows.fields.map(({ field }) => field)
    const metric = rollupMetric(source, fields)
    const buckets = new RollupBuckets(metric, fields, this.widthUs, this.#options.kernels)
    const looksSparse = outlook !== undefined && outlook.rows < this.#bucketsMax(outlook) * this.#rowsMin
    this.#open = {
      metric,
      buckets,
      rowCount: 0,
      bucketCount: 0,
      earlyFactor: looksSparse ? 1 : earlyFactor,
      goesOn: false,
    }
  }

  #bucketsMax({ series, spanUs }: RowsOutlook): number {
    return series * (Math.ceil(spanUs / this.widthUs) + 1)
  }

  /** Rows [from, to) of one series. */
  add(rows: RowBuffer, from: number, to: number): void {
    const open = this.#open!
    const { buckets } = open
    if (buckets === undefined) return
    const { buffer } = buckets
    const begins = buffer.series[buffer.length - 1] !== rows.series[from]
    // The writer wants the rest of a series by itself.
    if (begins && (open.goesOn || buffer.length >= sliceBucketsMax)) this.#write(open, buckets, buffer.length)
    open.bucketCount += buckets.add(rows, from, to)
    open.rowCount += to - from
    // The last bucket may still fill.
    const isSparse = open.rowCount * open.earlyFactor < (open.bucketCount - 1) * this.#rowsMin
    if (isSparse && open.rowCount >= earlyRows) this.#drop(open)
    else if (buffer.length >= 2 * sliceBucketsMax) this.#writeSome(open, buckets)
  }

  close(keys: SeriesKeys): ClosedSegment | undefined {
    this.#endMetric()
    return this.#metricsKept === 0 ? undefined : this.#writer!.close(keys)
  }

  #endMetric(): void {
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    if (open.buckets === undefined) return
    if (open.rowCount < open.bucketCount * this.#rowsMin) this.#drop(open)
    else {
      this.#write(open, open.buckets, open.buckets.buffer.length)
      this.#metricsKept++
    }
  }

  /** While a series is long: what comes before it, then groups of it, but for its last bucket, which may go on. */
  #writeSome(open: OpenMetric, buckets: RollupBuckets): void {
    const { buffer } = buckets
    let start = buffer.length - 1
    while (start > 0 && buffer.series[start - 1] === buffer.series[start]) start--
    if (start > 0) this.#write(open, buckets, start)
    const whole = Math.floor((buffer.length - 1) / groupRowsWanted) * groupRowsWanted
    if (whole === 0) return
    this.#write(open, buckets, whole)
    open.goesOn = true
  }

  /** The first buckets at hand. */
  #write(open: OpenMetric, { buffer }: RollupBuckets, count: number): void {
    const { length } = buffer
    this.#writer ??= this.#newWriter()
    buffer.length = count
    this.#writer.rows(open.metric, buffer, undefined)
    buffer.length = length
    buffer.dropFirst(count)
    open.goesOn = false
  }

  #drop(open: OpenMetric): void {
    open.buckets = undefined
    this.#writer?.dropMetric(open.metric)
  }

  #newWriter(): SegmentWriter {
    const { head, sink, kernels, checksums, zstd } = this.#options
    assert(head.replaced?.length === 1, 'a rollup names the segment with its rows')
    const level = rollupLevel(this.widthUs)
    return new SegmentWriter({ ...head, level }, kernels, checksums, zstd, sink(this.widthUs))
  }
}
