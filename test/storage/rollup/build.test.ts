/** A rollup says of every bucket what its rows say, however they come; sparse metrics have none. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeChecksums, nodeZstd } from '../../../src/lib/node/ports.ts'
import { bucketRowsMin, keptBucketRowsMin, RollupBuilder, type RowsOutlook } from '../../../src/storage/rollup/build.ts'
import { rollupMetric } from '../../../src/storage/rollup/columns.ts'
import { verifyRollup } from '../../../src/storage/rollup/verify.ts'
import { RowBuffer } from '../../../src/storage/row-buffer.ts'
import { readSegmentMeta } from '../../../src/storage/segment/recover.ts'
import { verifySegment } from '../../../src/storage/segment/verify.ts'
import type { MetricInfo } from '../../../src/storage/types.ts'
import {
  bufferOf,
  fields,
  incarnation,
  inOrder,
  keys,
  metricOf,
  openBytes,
  type Row,
  randomOf,
  read,
  requestOf,
  type Value,
  wasmKernels,
  write,
} from '../segment/model.ts'
import { type GatheredRollup, GatheredRollups } from './gathered.ts'

const minuteUs = 60e6
const metric = metricOf('m', fields('float', 'integer', 'string', 'boolean'))

const head = { minLsn: 3, maxLsn: 9, incarnation, replaced: ['1'] }
function builderOf(...widthsUs: number[]) {
  return newBuilder(widthsUs, true)
}
function newBuilder(widthsUs: readonly number[], kept: boolean) {
  const gathered = new GatheredRollups()
  const environment = { kernels: wasmKernels, checksums: nodeChecksums, zstd: nodeZstd }
  const builder = new RollupBuilder({ widthsUs, isKept: () => kept, head, sink: gathered.sink, ...environment })
  return {
    rows: (metric: MetricInfo, rows: RowBuffer, outlook?: RowsOutlook) => builder.rows(metric, rows, outlook),
    finish: () => gathered.close(builder, keys),
    longest: gathered.longest,
  }
}

/** Feeds the rows in calls of these lengths, the last of them again and again. */
function build(rows: readonly Row[], widthsUs: readonly number[], lengths: readonly number[]): GatheredRollup[] {
  const builder = builderOf(...widthsUs)
  const sorted = inOrder(metric, rows)
  for (let from = 0, i = 0; from < sorted.length; i++) {
    const length = lengths[Math.min(i, lengths.length - 1)]!
    builder.rows(metric, bufferOf(metric, sorted.slice(from, from + length)))
    from += length
  }
  return builder.finish()
}

/** Buckets of the rows, as rows of a rollup. */
function bucketsOf(rows: readonly Row[], widthUs: number): Row[] {
  const groups = Map.groupBy(
    inOrder(metric, rows),
    ({ series, timeUs }) => `${series} ${Math.floor(timeUs / widthUs) * widthUs}`,
  )
  return [...groups].map(([key, own]): Row => {
    const [series, startUs] = key.split(' ').map(Number) as [number, number]
    const values: (Value | undefined)[] = [own.length]
    for (const field of metric.fields) {
      const present = own.filter(row => row.values[field.id] !== undefined)
      const count = present.length || undefined
      if (field.type === 'string' || field.type === 'boolean') {
        values.push(count)
        continue
      }
      if (count === undefined) {
        values.push(...new Array<undefined>(9).fill(undefined))
        continue
      }
      const all = present.map(row => row.values[field.id] as number)
      const numbers = all.filter(value => !Number.isNaN(value))
      const [first, last] = [present[0]!, present.at(-1)!]
      values.push(count, all.length - numbers.length || undefined)
      values.push(all.reduce((sum, value) => sum + value, 0))
      values.push(Math.min(...numbers), Math.max(...numbers))
      values.push(first.values[field.id], first.timeUs - startUs, last.values[field.id], last.timeUs - startUs)
    }
    return { series, timeUs: startUs, values }
  })
}

const readAll = (bytes: Uint8Array): Row[] => {
  const wanted: MetricInfo = rollupMetric(metric, metric.fields)
  return read(openBytes(bytes).segment, requestOf(wanted))
}

/** Quarters, so that sums are exact in whatever order. */
const quarter = fc.integer({ min: -4000, max: 4000 }).map(n => n / 4)
const value = fc.tuple(
  fc.option(fc.oneof({ arbitrary: quarter, weight: 8 }, fc.constantFrom(Number.NaN, Infinity)), { nil: undefined }),
  fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined }),
  fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
  fc.option(fc.boolean(), { nil: undefined }),
)
const dense = fc.uniqueArray(
  fc.record({
    series: fc.integer({ min: 0, max: 2 }),
    // From before the epoch on; 3 series and 2 minutes: some 20 rows to a bucket.
    timeUs: fc.integer({ min: -59, max: 59 }).map(n => n * 1e6),
    values: value,
  }),
  { minLength: 100, maxLength: 300, selector: row => `${row.series} ${row.timeUs}` },
)

describe('a rollup', () => {
  test('holds what the rows of each bucket say, wherever calls cut them', () => {
    fc.assert(
      fc.property(dense, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }), (rows, lengths) => {
        const built = build(rows, [minuteUs, 3600e6], lengths)
        expect(built.map(({ widthUs }) => widthUs)).toEqual([minuteUs, 3600e6])
        for (const { widthUs, bytes } of built) expect(readAll(bytes)).toEqual(bucketsOf(rows, widthUs))
      }),
      { numRuns: 60 },
    )
  })

  test('says in its header what it is', () => {
    const [built] = build(steady(100, 1e6), [minuteUs], [1000])
    const { environment, path } = openBytes(built!.bytes)
    const { meta, header } = readSegmentMeta(environment, path)
    expect(header.kind).toEqual({ kind: 'rollup', level: 2 })
    expect(meta.rollup).toEqual({ of: '1', widthUs: minuteUs })
    expect(verifySegment(environment, path)).toMatchObject({ rows: 2 })
  })
})

/** Rows of one series, one every so often. */
const steady = (count: number, stepUs: number, series = 0): Row[] =>
  Array.from({ length: count }, (_, i) => ({
    series,
    timeUs: i * stepUs,
    values: [Math.round(Math.sin(i / 50) * 40) / 4, i, 'ok', true],
  }))

describe('density', () => {
  const isRolledUp = (stepUs: number): boolean =>
    build(steady(100 * keptBucketRowsMin * (keptBucketRowsMin - 1), stepUs), [minuteUs], [500]).length === 1

  test('a metric with too few rows to a bucket has none', () => {
    expect(isRolledUp(Math.floor(minuteUs / keptBucketRowsMin))).toBe(true)
    expect(isRolledUp(Math.ceil(minuteUs / (keptBucketRowsMin - 1)))).toBe(false)
  })

  test('a rollup that goes with its rows must be denser', () => {
    const isRolledUp = (stepUs: number): boolean => {
      const builder = newBuilder([minuteUs], false)
      builder.rows(metric, bufferOf(metric, steady(100 * bucketRowsMin, stepUs)))
      return builder.finish().length === 1
    }
    expect(isRolledUp(minuteUs / bucketRowsMin)).toBe(true)
    expect(isRolledUp(minuteUs / (bucketRowsMin - 1))).toBe(false)
  })

  test('it counts per width and per metric', () => {
    const other = metricOf('n', metric.fields, 1)
    const builder = builderOf(minuteUs, 3600e6)
    builder.rows(metric, bufferOf(metric, steady(1000, 1e6)))
    builder.rows(other, bufferOf(other, steady(1000, 60e6)))
    const built = builder.finish()
    const holds = built.map(({ bytes }) => {
      const { segment } = openBytes(bytes)
      return [metric, other].map(info => segment.holds(requestOf(info)))
    })
    expect(holds).toEqual([
      [true, false],
      [true, true],
    ])
  })

  test('a long metric is given up early, one that follows is not', () => {
    const sparse = metricOf('l', metric.fields, 1)
    const builder = builderOf(minuteUs)
    for (let series = 0; series < 20; series++) {
      const rows = Array.from({ length: 5000 }, (_, i) => ({ series, timeUs: i * minuteUs, values: [i, i, 'a', true] }))
      builder.rows(sparse, bufferOf(sparse, rows))
    }
    builder.rows(metric, bufferOf(metric, steady(600, 1e6)))
    const [built] = builder.finish()
    expect(readAll(built!.bytes)).toEqual(bucketsOf(steady(600, 1e6), minuteUs))
  })
})

describe('memory', () => {
  /** A number a bucket, of so many series one after the other, in calls of 4,096 rows. */
  function* calls(of: MetricInfo, series: number, buckets: number, rowsPerBucket: number): Generator<RowBuffer> {
    let rows = new RowBuffer(of.fields)
    for (let ordinal = 0; ordinal < series; ordinal++) {
      for (let n = 0; n < buckets * rowsPerBucket; n++) {
        if (rows.length === 4096) {
          yield rows
          rows = new RowBuffer(of.fields)
        }
        rows.reserve(1)
        const at = rows.length++
        rows.series[at] = ordinal
        rows.timeUs[at] = Math.floor(n / rowsPerBucket) * 1e6 + (n % rowsPerBucket)
        rows.fields[0]!.values[at] = (n * 7919) % 4001
        rows.fields[0]!.valid[at] = 1
      }
    }
    yield rows
  }
  const narrow = metricOf('n', fields('float'), 1)
  const readNarrow = (bytes: Uint8Array, of: MetricInfo): Row[] =>
    read(openBytes(bytes).segment, requestOf(rollupMetric(of, of.fields)))

  test('a series longer than a slice is written in parts, one after a short one and before another', () => {
    const builder = builderOf(1e6)
    const long = 60_000
    for (const rows of calls(narrow, 2, long, keptBucketRowsMin)) builder.rows(narrow, rows)
    // Before the end is near, most of it has left.
    expect(builder.longest.get(1e6)).toBeGreaterThan(0)
    const [built] = builder.finish()
    expect(verifySegment(openBytes(built!.bytes).environment, openBytes(built!.bytes).path)).toMatchObject({
      rows: 2 * long,
    })
    const rows = readNarrow(built!.bytes, narrow)
    expect(rows.map(({ series, timeUs }) => series * 1e12 + timeUs)).toEqual(
      Array.from({ length: 2 * long }, (_, i) => Math.floor(i / long) * 1e12 + (i % long) * 1e6),
    )
    expect(new Set(rows.map(({ values }) => values[0]))).toEqual(new Set([keptBucketRowsMin]))
  })

  test('a metric that is sparse in the end is taken back from the sink, whether others were written or not', () => {
    const other = metricOf('o', narrow.fields, 2)
    const builder = builderOf(1e6)
    for (const rows of calls(narrow, 1, 100, 10)) builder.rows(narrow, rows)
    // Dense for long, and then so sparse that it is not on average.
    for (const rows of calls(other, 3, 30_000, keptBucketRowsMin + 1)) builder.rows(other, rows)
    const [before] = builder.longest.values()
    expect(before).toBeGreaterThan(256 * 1024)
    const late = new RowBuffer(other.fields)
    late.reserve(20_000)
    for (let at = 0; at < 20_000; at++) {
      late.series[at] = 3
      late.timeUs[at] = at * 1e6
      late.fields[0]!.values[at] = 1
      late.fields[0]!.valid[at] = 1
    }
    late.length = 20_000
    builder.rows(other, late)
    const [built] = builder.finish()
    expect(built!.bytes.length).toBeLessThan(before!)
    const { environment, path } = openBytes(built!.bytes)
    expect(verifySegment(environment, path)).toMatchObject({ rows: 100 })
    const alone = builderOf(1e6)
    for (const rows of calls(narrow, 1, 100, 10)) alone.rows(narrow, rows)
    expect(built!.bytes).toEqual(alone.finish()[0]!.bytes)
  })

  test('what looks sparse beforehand and is so far is not written for long; what only looks sparse is', () => {
    const series = 3
    const buckets = 40_000
    const most = (rowsPerBucket: number, outlook: number): number | undefined => {
      const builder = builderOf(1e6)
      for (const rows of calls(narrow, series, buckets, rowsPerBucket))
        builder.rows(narrow, rows, { rows: series * buckets * outlook, series, spanUs: buckets * 1e6 })
      const isKept = builder.finish().length > 0
      expect(isKept).toBe(rowsPerBucket >= keptBucketRowsMin)
      return builder.longest.get(1e6)
    }
    const sparse = keptBucketRowsMin - 1
    expect(most(sparse, sparse)).toBe(undefined)
    expect(most(sparse, keptBucketRowsMin + 1)).toBeGreaterThan(0)
    expect(most(keptBucketRowsMin, sparse)).toBeGreaterThan(0)
  })

  test('a width of which nothing is left has no rollup', () => {
    const builder = builderOf(1e6)
    for (const rows of calls(narrow, 1, 40_000, keptBucketRowsMin)) builder.rows(narrow, rows)
    const late = new RowBuffer(narrow.fields)
    late.reserve(1)
    late.series[0] = 1
    late.timeUs[0] = 0
    late.fields[0]!.values[0] = 1
    late.fields[0]!.valid[0] = 1
    late.length = 1
    builder.rows(narrow, late)
    expect(builder.finish()).toEqual([])
    expect([...builder.longest.keys()]).toEqual([1e6])
  })
})

describe('verifyRollup', () => {
  const random = randomOf(7)
  const rows = [0, 1, 2].flatMap(series =>
    steady(9000, 1e6, series).map(row => ({ ...row, values: [random() * 1e6, ...row.values.slice(1)] })),
  )

  /** Both in one directory. */
  const files = (rolledUp: readonly Row[]) => {
    const { environment, path } = write(metric, rows)
    const [built] = build(rolledUp, [minuteUs], [5000])
    const file = environment.ports.files.open('data/segments/all/2.seg', 'create')
    file.write(built!.bytes, 0)
    file.close()
    const [one, two] = [path, 'segments/all/2.seg'].map(each => readSegmentMeta(environment, each).meta)
    return () => verifyRollup(environment, one!, two!)
  }

  test('finds nothing wrong with a rollup of the rows', () => {
    expect(files(rows)()).toEqual({ buckets: 450 })
  })

  test('finds the bucket that differs', () => {
    const changed = rows.map((row, i) => (i === 12_345 ? { ...row, values: [-1, ...row.values.slice(1)] } : row))
    expect(files(changed)).toThrow(/2\.seg.*float0#(sum|min)/)
    expect(files(rows.filter((_, i) => i !== 12_345))).toThrow(/#rows/)
    expect(files(rows.filter(({ timeUs }) => timeUs < 8900e6))).toThrow(/2\.seg/)
    expect(files(rows.filter(({ series }) => series < 2))).toThrow(/other series/)
  })
})

test('an empty builder makes nothing', () => {
  const builder = builderOf(minuteUs)
  builder.rows(metric, new RowBuffer(metric.fields))
  expect(builder.finish()).toEqual([])
})

test('a file of version 1 stays readable', () => {
  const bytes = new Uint8Array(readFileSync(new URL('./fixtures/rollup-1.seg', import.meta.url)))
  expect(readAll(bytes)).toEqual(bucketsOf(steady(600, 1e6), minuteUs))
})
