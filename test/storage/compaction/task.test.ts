/** A chosen job as plain data: what the engine knows of the inputs, and nothing else. */
import { describe, expect, test } from 'vitest'
import type { CompactionJob } from '../../../src/storage/compaction/job.ts'
import { type MergeEngine, mergeJobOf } from '../../../src/storage/compaction/task.ts'
import { openSegment } from '../../../src/storage/segment/segment.ts'
import { Tombstones } from '../../../src/storage/tombstones/tombstones.ts'
import type { MetricInfo, SegmentMeta } from '../../../src/storage/types.ts'
import { fields, metricOf, type Row, read, requestOf, TestCatalog } from '../segment/model.ts'
import { SegmentFiles } from './files.ts'

const own = fields('float')
const jobOf = (inputs: readonly SegmentMeta[], part: Partial<CompactionJob> = {}): CompactionJob => ({
  reason: 'settle',
  inputs,
  remove: inputs.map(({ id }) => id),
  window: 'd-1970-01-01',
  cuts: [],
  settled: true,
  ...part,
})

function engineOf(segments: SegmentFiles, catalog = new TestCatalog(), part: Partial<MergeEngine> = {}): MergeEngine {
  const metricAt = (): MetricInfo => metricOf('m', own)
  return {
    environment: segments.environment,
    catalog: Object.assign(catalog, { metricAt }),
    tombstones: Tombstones.none,
    flushedLsn: 100,
    duplicates: 'last',
    retention: { retentionDays: 0, retention: {} },
    keepExpired: false,
    nowUs: 0,
    rollupWidthsUs: [60e6, 3600e6],
    bytesPerSecondMax: 0,
    takeIds: count => segments.takeIds(count),
    ...part,
  }
}
const rowsAt = (...timesUs: number[]) => [
  { metric: 'm', fields: own, rows: timesUs.map(timeUs => ({ series: timeUs % 3, timeUs, values: [timeUs] })) },
]

describe('a merge job', () => {
  test('has the deletes that may concern an input and are flushed, and survives cloning', () => {
    const segments = new SegmentFiles()
    const metas = [segments.write(rowsAt(10, 20), 5), { ...segments.write(rowsAt(30), 6), deletesLsn: 40 }]
    const deletion = { metric: 0, fromUs: 0, toUs: 100, series: undefined }
    const tombstones = Tombstones.of([
      { ...deletion, lsn: 4, series: Uint32Array.of(1) },
      { ...deletion, lsn: 50, series: Uint32Array.of(2) },
      { ...deletion, lsn: 60, fromUs: 31, series: Uint32Array.of(3) },
      { ...deletion, lsn: 101, series: Uint32Array.of(4) },
    ])
    const job = mergeJobOf(jobOf(metas), engineOf(segments, undefined, { tombstones }))
    expect(job.tombstones).toEqual([{ lsn: 50, metric: 'm', fromUs: 0, toUs: 100, series: Uint32Array.of(2) }])
    expect(job).toMatchObject({ deletesLsn: 100, encoding: 'dense', rollupWidthsUs: [60e6, 3600e6] })
    expect(job.inputs.map(({ deletesLsn }) => deletesLsn)).toEqual([5, 40])
    expect(structuredClone(job)).toEqual(job)
  })

  test('has an id for every segment that may come of it', () => {
    const segments = new SegmentFiles()
    const metas = [segments.write(rowsAt(10), 5)]
    const retention = { retentionDays: 0, retention: { a: 1, b: 2 } }
    const cuts = [{ name: 'h-1970-01-01T00', fromUs: 0, toUs: 15 }]
    const job = mergeJobOf(jobOf(metas, { cuts, settled: false }), engineOf(segments, undefined, { retention }))
    expect(job.ids.length).toBeGreaterThanOrEqual(2 * 3 + 1)
    expect(job.rollupWidthsUs).toEqual([])
    const settled = mergeJobOf(jobOf(metas), engineOf(segments))
    expect(settled.ids.length).toBeGreaterThanOrEqual(3)
  })

  test('finds series of another catalog by their keys', async () => {
    const segments = new SegmentFiles()
    const metas = [segments.write(rowsAt(10, 20, 30), 5), segments.write(rowsAt(20, 40), 6)]
    const catalog = new TestCatalog('e'.repeat(32), 1e6)
    const engine = engineOf(segments, catalog)
    const job = mergeJobOf(jobOf(metas), engine)
    expect(job.inputs.every(({ ordinals }) => ordinals !== undefined)).toBe(true)
    const { segments: made } = await segments.merge({ ...job, rollupWidthsUs: [] })
    const rowsOf = (meta: SegmentMeta): Row[] =>
      read(openSegment(segments.environment, meta, catalog), requestOf(metricOf('m', own)))
    const opened = rowsOf(made[0]!)
    const before = metas.flatMap(rowsOf)
    const keyed = (rows: readonly Row[]): string[] => rows.map(({ series, timeUs }) => `${series} ${timeUs}`)
    expect(new Set(keyed(opened))).toEqual(new Set(keyed(before)))
  })
})
