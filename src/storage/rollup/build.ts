/**
 * RollupBuilder: the sorted rows of a segment -> the bytes of its rollups, one segment file per width. Pure, as
 * `SegmentWriter` is, and fed with the same rows.
 *
 *   metric, rows, rows, metric, rows, finish  ->  per width: header (kind rollup) | groups | pages | footer | trailer
 *
 * Invariants:
 * 1. A rollup has all series of a metric or none of it: those it has are dense, `bucketRowsMin` rows to a bucket on average.
 * 2. Beside what is encoded, the buckets of one series are held, and about `sliceBucketsMax` of others.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { Checksums, Compression } from '../../lib/ports.ts'
import type { RowBuffer } from '../row-buffer.ts'
import { type SegmentHead, SegmentWriter } from '../segment/encode.ts'
import type { MetricInfo } from '../types.ts'
import { RollupBuckets } from './buckets.ts'
import { rollupMetric } from './columns.ts'
import { rollupLevel } from './widths.ts'

/**
 * A bucket is five numbers a field to keep, besides some that hardly vary: with fewer rows in it, rows are as good. A
 * sample every 5 s is dense by the minute, one every 30 s by five; every 10 s by the minute is not.
 */
export const bucketRowsMin = 9
/** After so many rows of a metric it is known whether they are far from dense, */
const earlyRows = 65_536
/** by this factor: then the rest of them is not looked at. */
const earlyFactor = 2
/** Buckets that are encoded together. */
const sliceBucketsMax = 16_384

export interface RollupOptions {
  /** Of the table in `widths.ts`. */
  readonly widthsUs: readonly number[]
  /** Asked once per width, at `finish` at the latest. Its `replaced` is the id of the segment with the rows, alone. */
  readonly head: (widthUs: number) => SegmentHead
  readonly kernels: Kernels
  readonly checksums: Checksums
  readonly zstd: Compression
}

export interface BuiltRollup {
  readonly widthUs: number
  readonly bytes: Uint8Array
}

export class RollupBuilder {
  readonly #levels: readonly Level[]
  #metric: string | undefined

  constructor(options: RollupOptions) {
    this.#levels = options.widthsUs.map(widthUs => new Level(widthUs, options))
  }

  /**
   * Rows of a metric, sorted by (series rank, time) and merged. Later calls go on with the metric, in a buffer of the same
   * fields: with further rows of the last series, or with the next.
   */
  rows(metric: MetricInfo, rows: RowBuffer): void {
    if (rows.length === 0) return
    if (metric.name !== this.#metric) {
      this.#metric = metric.name
      for (const level of this.#levels) level.beginMetric(metric, rows)
    }
    for (let from = 0; from < rows.length; ) {
      const series = rows.series[from]!
      let to = from + 1
      while (to < rows.length && rows.series[to] === series) to++
      for (const level of this.#levels) level.add(rows, from, to)
      from = to
    }
  }

  /** The widths with a dense metric; the builder is not used any more. */
  finish(): BuiltRollup[] {
    return this.#levels.flatMap(level => {
      const bytes = level.finish()
      return bytes === undefined ? [] : [{ widthUs: level.widthUs, bytes }]
    })
  }
}

/** The metric that is being rolled up. */
interface OpenMetric {
  readonly metric: MetricInfo
  readonly buckets: RollupBuckets
  rowCount: number
  bucketCount: number
  /** False once it is known not to be. */
  isDense: boolean
}

/** One width. */
class Level {
  readonly widthUs: number
  readonly #options: RollupOptions
  #writer: SegmentWriter | undefined
  #open: OpenMetric | undefined
  #metricsKept = 0

  constructor(widthUs: number, options: RollupOptions) {
    this.widthUs = widthUs
    this.#options = options
  }

  beginMetric(source: MetricInfo, rows: RowBuffer): void {
    this.#endMetric()
    const fields = rows.fields.map(({ field }) => field)
    const metric = rollupMetric(source, fields)
    const buckets = new RollupBuckets(metric, fields, this.widthUs, this.#options.kernels)
    this.#open = { metric, buckets, rowCount: 0, bucketCount: 0, isDense: true }
  }

  /** Rows [from, to) of one series. */
  add(rows: RowBuffer, from: number, to: number): void {
    const open = this.#open!
    if (!open.isDense) return
    const { buffer } = open.buckets
    // The writer wants a series whole.
    if (buffer.length >= sliceBucketsMax && buffer.series[buffer.length - 1] !== rows.series[from]) this.#write(open)
    open.bucketCount += open.buckets.add(rows, from, to)
    open.rowCount += to - from
    if (open.rowCount >= earlyRows && open.rowCount * earlyFactor < open.bucketCount * bucketRowsMin) this.#drop(open)
  }

  finish(): Uint8Array | undefined {
    this.#endMetric()
    return this.#metricsKept === 0 ? undefined : this.#writer!.finish()
  }

  #endMetric(): void {
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    if (!open.isDense) return
    if (open.rowCount < open.bucketCount * bucketRowsMin) this.#drop(open)
    else {
      this.#write(open)
      this.#metricsKept++
    }
  }

  #write({ metric, buckets }: OpenMetric): void {
    this.#writer ??= this.#newWriter()
    this.#writer.rows(metric, buckets.buffer, undefined)
    buckets.buffer.clear()
  }

  #drop(open: OpenMetric): void {
    open.isDense = false
    open.buckets.buffer.clear()
    this.#writer?.dropMetric(open.metric)
  }

  #newWriter(): SegmentWriter {
    const { head: headOf, kernels, checksums, zstd } = this.#options
    const head = headOf(this.widthUs)
    assert(head.replaced?.length === 1, 'a rollup names the segment with its rows')
    return new SegmentWriter({ ...head, level: rollupLevel(this.widthUs) }, kernels, checksums, zstd)
  }
}
