/**
 * verifyRollup makes the buckets of a segment's rows again and compares them with those of its rollup.
 *
 * That both files are sound in themselves is `verifySegment`'s. Memory is one row group of each, and a series' buckets.
 */
import { DamageError } from '../codecs/bytes.ts'
import { newReadStatistics } from '../read-statistics.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import { ChunkCache } from '../segment/chunk-cache.ts'
import type { SegmentEnvironment } from '../segment/environment.ts'
import { columnsOf, type Footer, type FooterMetric, type GroupEntry } from '../segment/footer.ts'
import { loadGroup } from '../segment/load-group.ts'
import { SegmentFile } from '../segment/segment-file.ts'
import type { FieldInfo, MetricInfo, SegmentMeta } from '../types.ts'
import { RollupBuckets } from './buckets.ts'
import { rollupMetric } from './columns.ts'

/** Of the sum of the magnitudes of what is added: sums depend on the order of rows by this much. */
const sumTolerance = 1e-12

export interface VerifiedRollup {
  readonly buckets: number
}

/**
 * Throws `corrupt_segment` naming the first bucket of the rollup's file that does not fit, `io_error`.
 * @param rows the segment that the rollup names
 */
export function verifyRollup(environment: SegmentEnvironment, rows: SegmentMeta, rollup: SegmentMeta): VerifiedRollup {
  const uncached = { ...environment, cache: new ChunkCache(0) }
  const files = [new SegmentFile(uncached, rows.path), new SegmentFile(uncached, rollup.path)] as const
  try {
    const [rowsFile, rollupFile] = files
    const { footer } = rowsFile.readFooter()
    const { footer: rollupFooter } = rollupFile.readFooter()
    let buckets = 0
    for (const metric of rollupFooter.metrics) {
      const source = footer.metrics.find(({ name }) => name === metric.name)
      const checked = new MetricCheck(uncached, { rollupFile, rollupFooter, metric }, rollup.rollup!.widthUs)
      rollupFile.guard(0, `metric ${metric.name}`, () => checked.begin(source))
      for (const group of source!.groups) {
        const read = readGroup(uncached, rowsFile, footer, source!, group, fieldsOf(source!))
        rollupFile.guard(0, `metric ${metric.name}`, () => checked.rows(read))
      }
      rollupFile.guard(0, `metric ${metric.name}`, () => checked.end())
      buckets += checked.buckets
    }
    return { buckets }
  } finally {
    for (const file of files) file.close()
  }
}

interface RollupFile {
  readonly rollupFile: SegmentFile
  readonly rollupFooter: Footer
  readonly metric: FooterMetric
}

class MetricCheck {
  buckets = 0
  readonly #environment: SegmentEnvironment
  readonly #rollup: RollupFile
  readonly #widthUs: number
  #made: RollupBuckets | undefined
  #columns: readonly FieldInfo[] = []
  #group = 0
  #read: RowBuffer | undefined
  #row = 0
  /** Magnitudes of the values of the series at hand: by field, what its sums may be off by. */
  #magnitudes: number[] = []

  constructor(environment: SegmentEnvironment, rollup: RollupFile, widthUs: number) {
    this.#environment = environment
    this.#rollup = rollup
    this.#widthUs = widthUs
  }

  begin(source: FooterMetric | undefined): void {
    const { metric } = this.#rollup
    if (source === undefined || source.seriesCount !== metric.seriesCount)
      throw new DamageError('it has other series than the rows', 0)
    const fields = fieldsOf(source)
    const info: MetricInfo = rollupMetric({ id: 0, name: metric.name, fields }, fields)
    this.#columns = info.fields
    const differs = info.fields.some(({ name, type }, i) => {
      const found = metric.fields[i]
      return found?.name !== name || found.type !== type
    })
    if (differs || metric.fields.length !== info.fields.length)
      throw new DamageError('it has other fields than the rows', 0)
    this.#made = new RollupBuckets(info, fields, this.#widthUs, this.#environment.kernels)
    this.#magnitudes = fields.map(() => 0)
  }

  rows(rows: RowBuffer): void {
    const made = this.#made!
    for (let from = 0; from < rows.length; ) {
      const series = rows.series[from]!
      let to = from + 1
      while (to < rows.length && rows.series[to] === series) to++
      const { buffer } = made
      if (buffer.length > 0 && buffer.series[buffer.length - 1] !== series) this.#compare()
      made.add(rows, from, to)
      for (const [i, { values, valid, field }] of rows.fields.entries()) {
        if (field.type !== 'float' && field.type !== 'integer') continue
        for (let row = from; row < to; row++) {
          const magnitude = Math.abs(values[row]!)
          if (valid[row] === 1 && Number.isFinite(magnitude)) this.#magnitudes[i]! += magnitude
        }
      }
      from = to
    }
  }

  end(): void {
    this.#compare()
    if (this.#next() !== undefined) throw new DamageError('it has buckets without rows', 0)
  }

  /** The buckets made so far, which are those of a series, against as many of the rollup. */
  #compare(): void {
    const { buffer } = this.#made!
    for (let row = 0; row < buffer.length; row++) {
      const found = this.#next()
      const timeUs = buffer.timeUs[row]!
      const wrong = (what: string) =>
        new DamageError(`${what} of the bucket at ${timeUs} of series ${buffer.series[row]}`, 0)
      if (found === undefined) throw wrong('nothing')
      if (found.series[this.#row] !== buffer.series[row] || found.timeUs[this.#row] !== timeUs) throw wrong('place')
      for (const [i, column] of buffer.fields.entries())
        if (!this.#fits(column, row, found.fields[i]!)) throw wrong(column.field.name)
      this.#row++
      this.buckets++
    }
    buffer.clear()
    this.#magnitudes.fill(0)
  }

  #fits({ field, values, valid }: FieldBuffer, row: number, found: FieldBuffer): boolean {
    if (found.valid[this.#row] !== valid[row]) return false
    if (valid[row] === 0) return true
    const made = values[row]!
    const told = found.values[this.#row]!
    if (Object.is(made, told) || !field.name.endsWith('#sum')) return Object.is(made, told)
    const source = this.#made!.fields.findIndex(({ name }) => `${name}#sum` === field.name)
    return Math.abs(made - told) <= sumTolerance * this.#magnitudes[source]!
  }

  /** The rows of the rollup's groups, one after the other: that of `#row`; undefined after the last. */
  #next(): RowBuffer | undefined {
    const { rollupFile, rollupFooter, metric } = this.#rollup
    while (this.#read === undefined || this.#row === this.#read.length) {
      const group = metric.groups[this.#group++]
      if (group === undefined) return undefined
      this.#read = readGroup(this.#environment, rollupFile, rollupFooter, metric, group, this.#columns)
      this.#row = 0
    }
    return this.#read
  }
}

const fieldsOf = (metric: FooterMetric): FieldInfo[] => metric.fields.map((field, id) => ({ id, ...field }))

/** All rows of the group; series count from 0 within the metric. */
function readGroup(
  environment: SegmentEnvironment,
  file: SegmentFile,
  footer: Footer,
  metric: FooterMetric,
  group: GroupEntry,
  fields: readonly FieldInfo[],
): RowBuffer {
  const entries = file.guard(group.columnsAt, 'footer', () => columnsOf(footer, metric, group))
  const columns = fields.map(({ id }) => entries.find(({ field }) => field === id))
  const loaded = loadGroup(environment, file, 0, metric, group, columns, () => {})
  const rows = new RowBuffer(fields, group.rows)
  const progress = { field: -1 }
  const everything = {
    runs: undefined,
    ordinal: (run: number) => group.firstSeries - metric.firstSeries + run,
    fromUs: -Infinity,
    toUs: Infinity,
    bounds: [],
  }
  file.guard(
    () => columns[progress.field]?.at ?? group.time.at,
    'column',
    () => environment.groups.read(loaded, everything, rows, newReadStatistics(), progress),
  )
  return rows
}
