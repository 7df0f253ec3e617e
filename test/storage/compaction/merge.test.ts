/** A merge reads as its inputs did: deletes applied, expired rows gone, rows of one series and time made one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MergeProgress, MergeTombstone } from '../../../src/storage/compaction/job.ts'
import { damagedInput } from '../../../src/storage/compaction/task.ts'
import { readSegmentMeta, segmentSeries } from '../../../src/storage/segment/recover.ts'
import { verifySegment } from '../../../src/storage/segment/verify.ts'
import type { FieldInfo } from '../../../src/storage/types.ts'
import { SimulatedDisk } from '../../simulated/disk.ts'
import { bulk, expectSameRows, fields, keys, type Row, randomOf, type Value } from '../segment/model.ts'
import { type MetricRows, type ModelInput, mergedRows, SegmentFiles } from './files.ts'

const all: readonly FieldInfo[] = fields('float', 'string', 'boolean', 'integer')
const metrics = ['a', 'b.c']
const dayUs = 86_400_000_000

const valueIn = (field: FieldInfo): fc.Arbitrary<Value> => {
  if (field.type === 'string') return fc.constantFrom('', 'x', 'yy', 'ünï')
  if (field.type === 'boolean') return fc.boolean()
  if (field.type === 'integer') return fc.integer({ min: -5, max: 5 })
  return fc.constantFrom(0, -0, 1.5, Number.NaN, Infinity, 1e300)
}

const metricRows: fc.Arbitrary<MetricRows> = fc
  .record({ metric: fc.constantFrom(...metrics), fields: fc.subarray([...all], { minLength: 1 }) })
  .chain(({ metric, fields: own }) =>
    fc.record({
      metric: fc.constant(metric),
      fields: fc.constant(own),
      rows: fc.uniqueArray(
        fc.record({
          series: fc.nat(5),
          timeUs: fc.integer({ min: -3, max: 12 }),
          values: fc.tuple(...own.map(field => fc.option(valueIn(field), { nil: undefined, freq: 3 }))) as fc.Arbitrary<
            (Value | undefined)[]
          >,
        }),
        { minLength: 1, maxLength: 25, selector: ({ series, timeUs }) => `${series} ${timeUs}` },
      ),
    }),
  )
const input = fc.uniqueArray(metricRows, { minLength: 1, maxLength: 2, selector: ({ metric }) => metric })

const tombstone: fc.Arbitrary<MergeTombstone> = fc.record({
  lsn: fc.integer({ min: 1, max: 60 }),
  metric: fc.constantFrom(...metrics),
  fromUs: fc.constantFrom(-Infinity, 0, 3),
  toUs: fc.constantFrom(5, 8, Infinity),
  series: fc.option(
    fc.subarray([0, 1, 2, 3, 4, 5], { minLength: 1 }).map(series => Uint32Array.from(series)),
    { nil: undefined },
  ),
})

/** Inputs with LSNs 10, 20, 30, …, written. */
function written(segments: SegmentFiles, contents: readonly (readonly MetricRows[])[]): ModelInput[] {
  return contents.map((own, i) => ({ metrics: own, meta: segments.write(own, 10 * i + 5, 10 * i + 10) }))
}

describe('merge', () => {
  test('any inputs with any deletes and horizon', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(input, { minLength: 1, maxLength: 5 }),
        fc.array(tombstone, { maxLength: 4 }),
        fc.constantFrom('last' as const, 'first' as const),
        fc.boolean(),
        fc.boolean(),
        async (contents, tombstones, duplicates, expires, settled) => {
          const segments = new SegmentFiles()
          const inputs = written(segments, contents)
          const job = segments.job(
            inputs.map(({ meta }) => meta),
            {
              tombstones,
              duplicates,
              settled,
              encoding: settled ? 'dense' : 'fast',
              // The horizon of namespace b is at 2.
              ...(expires ? { nowUs: dayUs + 2, retention: { retentionDays: 0, retention: { b: 1 } } } : {}),
            },
          )
          const horizonUs = expires ? Math.floor((dayUs + 2) / 60e6) * 60e6 - dayUs : -Infinity
          const result = await segments.merge(job)
          let rows = 0
          for (const name of metrics) {
            const own = expires && name === 'b.c'
            const expected = mergedRows(inputs, name, all, tombstones, duplicates, own ? horizonUs : -Infinity)
            const found = result.segments.flatMap(meta => segments.rows(meta, name, all))
            expectSameRows(found, expected)
            rows += expected.length
          }
          expect(result.rowsWritten).toBe(rows)
          expect(result.segments.length).toBeLessThanOrEqual(expires ? 2 : 1)
          for (const meta of result.segments) {
            expect(meta).toMatchObject({ minLsn: 5, maxLsn: 10 * inputs.length, deletesLsn: 1e6 })
            expect(meta.settled).toBe(settled ? true : undefined)
            const { header, meta: told } = readSegmentMeta(segments.environment, meta.path)
            expect(header.replaced).toEqual(inputs.map(each => each.meta.id))
            expect(header.parts).toBe(result.segments.length)
            expect({ ...meta, deletesLsn: undefined, namespace: undefined }).toEqual({
              ...told,
              deletesLsn: undefined,
              namespace: undefined,
            })
            expect(header.retentionClass === 0).toBe(meta.namespace === undefined)
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  const types = fields('float', 'string', 'boolean', 'integer', 'float')

  test('a series of many slices, short ones before and behind it, one after the other and overlapping', async () => {
    for (const overlaps of [false, true]) {
      const segments = new SegmentFiles()
      const rows = bulk([300, 3000, 20, 30_000], 7)
      const parts: Row[][] = [[], [], []]
      const random = randomOf(3)
      const split = rows.map(({ timeUs }) => timeUs).sort((a, b) => a - b)
      const bounds = [split[Math.floor(rows.length / 3)]!, split[Math.floor((2 * rows.length) / 3)]!]
      for (const row of rows) {
        const place = overlaps ? Math.floor(random() * 3) : bounds.filter(bound => row.timeUs >= bound).length
        parts[place]!.push(row)
        // Written again, with other values.
        if (overlaps && random() < 0.1 && place < 2)
          parts[place + 1]!.push({ ...row, values: [1, undefined, true, 3, undefined] })
      }
      const inputs = written(
        segments,
        parts.map(part => [{ metric: 'm', fields: types, rows: part }]),
      )
      const metas = inputs.map(({ meta }) => meta)
      const told: MergeProgress[] = []
      const job = segments.job(metas)
      const { segments: made, rowsRead } = await segments.merge(job, undefined, told)
      expect(made).toHaveLength(1)
      expectSameRows(segments.rows(made[0]!, 'm', types), mergedRows(inputs, 'm', types, [], 'last'))
      expect(rowsRead).toBeGreaterThanOrEqual(rows.length)
      expect(told.at(-1)!.rowsRead).toBe(rowsRead)
      // Cut by size, where a series ends: the long one is the second.
      const cut = await segments.merge({ ...job, segmentBytesMax: 100_000, ids: segments.takeIds(50) })
      expect(cut.segments.length).toBeGreaterThan(1)
      const found = cut.segments.flatMap(meta => segments.rows(meta, 'm', types))
      expectSameRows(found, mergedRows(inputs, 'm', types, [], 'last'))
    }
  })

  test('many series, of which each input has others: their keys come from pages of any size', async () => {
    const segments = new SegmentFiles()
    const own = fields('float')
    const count = 6000
    const rows = (input: number): Row[] =>
      Array.from({ length: count }, (_, series) => ({ series, timeUs: input, values: [series + input / 10] })).filter(
        ({ series }) => series % 7 !== input && !(input === 1 && series > 2000 && series < 5000),
      )
    const inputs = written(
      segments,
      [0, 1, 2].map(input => [{ metric: 'm', fields: own, rows: rows(input) }]),
    )
    const { segments: made } = await segments.merge(segments.job(inputs.map(({ meta }) => meta)))
    expect(made).toHaveLength(1)
    expectSameRows(segments.rows(made[0]!, 'm', own), mergedRows(inputs, 'm', own, [], 'last'))
    const parts = [...segmentSeries(segments.environment, made[0]!.path)]
    const ordinals = parts.flatMap(part => [...part.ordinals])
    expect(ordinals).toHaveLength(count)
    expect(parts.flatMap(({ series }) => series)).toEqual(ordinals.map(ordinal => keys.tagsOf(ordinal)))
  })

  test('strings that are all different are not held together', async () => {
    const segments = new SegmentFiles()
    const text = fields('string')
    const rows = (from: number): Row[] =>
      Array.from({ length: 900 }, (_, i) => ({
        series: i % 3,
        timeUs: from + i,
        values: [`${from + i} ${'x'.repeat(9000)}`],
      }))
    const contents = [0, 450, 900].map(from => [{ metric: 'm', fields: text, rows: rows(from) }])
    const inputs = written(segments, contents)
    const { segments: made } = await segments.merge(segments.job(inputs.map(({ meta }) => meta)))
    expectSameRows(segments.rows(made[0]!, 'm', text), mergedRows(inputs, 'm', text, [], 'last'))
  })

  test('cut into windows, what is in none in one of its own; namespaces with a rule apart', async () => {
    const segments = new SegmentFiles()
    const own = fields('float')
    const rows = Array.from({ length: 100 }, (_, i) => ({ series: i % 2, timeUs: i * 10, values: [i] }))
    const contents = ['a', 'b.c'].map(metric => ({ metric, fields: own, rows }))
    const inputs = written(segments, [contents])
    const cuts = [
      { name: 'one', fromUs: 100, toUs: 200 },
      { name: 'two', fromUs: 200, toUs: 250 },
      { name: 'three', fromUs: 400, toUs: 700 },
    ]
    const retention = { retentionDays: 0, retention: { b: 1e6 } }
    const job = segments.job([inputs[0]!.meta], { cuts, window: 'rest', retention })
    const { segments: made } = await segments.merge(job)
    const ranges = made.map(({ path, namespace, minTimeUs, maxTimeUs }) => [
      path.split('/')[1],
      namespace,
      minTimeUs,
      maxTimeUs,
    ])
    expect(ranges).toEqual(
      [undefined, 'b'].flatMap(namespace => [
        ['rest', namespace, 0, 990],
        ['one', namespace, 100, 190],
        ['two', namespace, 200, 240],
        ['three', namespace, 400, 690],
      ]),
    )
    expect(made.reduce((sum, meta) => sum + meta.rows, 0)).toBe(200)
    for (const { path } of made) verifySegment(segments.environment, path)
  })

  test('ordinals of another catalog come with the job', async () => {
    const segments = new SegmentFiles()
    const own = fields('float')
    const rows = (series: number[]): Row[] => series.map(each => ({ series: each, timeUs: each, values: [each] }))
    const contents = [
      [1, 2, 3],
      [2, 3, 4],
    ].map(series => [{ metric: 'm', fields: own, rows: rows(series) }])
    const inputs = written(segments, contents)
    const other = 'f'.repeat(32)
    const job = segments.job(
      inputs.map(({ meta }) => meta),
      { incarnation: other },
    )
    // Each file has its series in the order of their printed forms.
    const printed = (i: number): number[] => segments.rows(inputs[i]!.meta, 'm', own).map(({ series }) => series)
    const withOrdinals = job.inputs.map((input, i) => ({
      ...input,
      ordinals: Uint32Array.from(printed(i), series => series + 100),
    }))
    const { segments: made } = await segments.merge({ ...job, inputs: withOrdinals })
    expect(made[0]!.rows).toBe(4)
    const { header } = readSegmentMeta(segments.environment, made[0]!.path)
    expect(Array.from(header.incarnation, byte => byte.toString(16)).join('')).toBe(other)
  })

  test('settled ones have rollups', async () => {
    const segments = new SegmentFiles()
    const own = fields('float')
    const half = (from: number): Row[] =>
      Array.from({ length: 2000 }, (_, i) => ({ series: 1, timeUs: (from + i) * 1e6, values: [i] }))
    const inputs = written(
      segments,
      [0, 2000].map(from => [{ metric: 'm', fields: own, rows: half(from) }]),
    )
    const job = segments.job(
      inputs.map(({ meta }) => meta),
      { settled: true, rollupWidthsUs: [60e6, 3600e6, 1e6] },
    )
    const { segments: made } = await segments.merge(job)
    const [rows, ...rollups] = made
    expect(rows!.rollup).toBeUndefined()
    expect(rollups.map(({ rollup, rows: buckets }) => [rollup, buckets])).toEqual([
      [{ of: rows!.id, widthUs: 60e6 }, 67],
      [{ of: rows!.id, widthUs: 3600e6 }, 2],
    ])
    for (const { path } of made) verifySegment(segments.environment, path)
    expect(segments.paths()).toHaveLength(2 + 3)
  })

  test('nothing left makes no segment', async () => {
    const segments = new SegmentFiles()
    const own = fields('float')
    const [input] = written(segments, [[{ metric: 'm', fields: own, rows: [{ series: 1, timeUs: 5, values: [1] }] }]])
    const tombstones = [{ lsn: 50, metric: 'm', fromUs: 0, toUs: 9, series: undefined }]
    const result = await segments.merge(segments.job([input!.meta], { tombstones }))
    expect(result).toMatchObject({ segments: [], rowsRead: 1, rowsWritten: 0 })
    expect(segments.paths()).toEqual([input!.meta.path])
  })

  /** Three inputs whose merge takes several slices. */
  function large(segments: SegmentFiles): ModelInput[] {
    const own = fields('float')
    const rows = (from: number): Row[] =>
      Array.from({ length: 25_000 }, (_, i) => ({ series: i % 40, timeUs: from + i, values: [Math.sin(i)] }))
    return written(
      segments,
      [0, 1e6, 2e6].map(from => [{ metric: 'm', fields: own, rows: rows(from) }]),
    )
  }

  test('a damaged input is told by its name, and nothing is left', async () => {
    const segments = new SegmentFiles()
    const metas = large(segments).map(({ meta }) => meta)
    const { path, bytes } = metas[1]!
    const file = segments.files.open(`data/${path}`, 'open')
    file.write(Uint8Array.of(1, 2, 3, 4, 5), Math.floor(bytes / 2))
    file.close()
    const failure = await segments.merge(segments.job(metas)).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'corrupt_segment', message: expect.stringContaining(path) as string })
    expect(damagedInput({ inputs: metas }, failure)).toBe(metas[1])
    expect(segments.paths()).toHaveLength(3)
  })

  test('aborted at any turn, nothing is left', async () => {
    for (const turns of [1, 3, 5]) {
      const segments = new SegmentFiles()
      const metas = large(segments).map(({ meta }) => meta)
      const abort = new AbortController()
      let turn = 0
      const { soon } = segments.ports.timers
      const counted = (task: () => void): void => {
        if (++turn === turns) abort.abort(new Error('enough'))
        soon(task)
      }
      Object.assign(segments.ports, { timers: { ...segments.ports.timers, soon: counted } })
      await expect(segments.merge(segments.job(metas), abort.signal)).rejects.toThrow('enough')
      expect(segments.paths()).toHaveLength(3)
    }
  })

  test('a failure of the disk at any call is told, and leaves nothing under a temporary name', async () => {
    const calls = ['makeDirectory', 'open', 'truncate', 'write', 'dataSync', 'rename', 'syncDirectory'] as const
    for (const call of calls) {
      for (const nth of [1, 2, 3]) {
        const disk = new SimulatedDisk(5)
        const segments = new SegmentFiles(disk.files)
        const own = fields('float')
        const inputs = written(
          segments,
          [0, 1].map(n => [{ metric: 'm', fields: own, rows: [{ series: n, timeUs: n * 9e9, values: [n] }] }]),
        )
        const metas = inputs.map(({ meta }) => meta)
        const cuts = [{ name: 'one', fromUs: 0, toUs: 5 }]
        let failed = true
        disk.fail({ call, nth, code: 'ENOSPC', writtenBytes: 3 })
        await segments.merge(segments.job(metas, { cuts })).then(
          () => (failed = false),
          (error: unknown) =>
            expect(error).toMatchObject({ code: expect.stringMatching('disk_full|io_error') as string }),
        )
        expect(segments.paths().filter(path => path.endsWith('.tmp'))).toEqual([])
        if (failed) await segments.merge(segments.job(metas, { cuts }))
      }
    }
  })

  test('a rate is kept', async () => {
    const segments = new SegmentFiles()
    const metas = large(segments).map(({ meta }) => meta)
    let nowMs = 0
    const clock = { nowUs: () => 0, monotonicMs: () => nowMs }
    const after = (ms: number, task: () => void): (() => void) => {
      nowMs += ms
      queueMicrotask(task)
      return () => {}
    }
    Object.assign(segments.ports, { clock, timers: { ...segments.ports.timers, after } })
    const { bytesRead, bytesWritten, elapsedMs } = await segments.merge(segments.job(metas, { bytesPerSecondMax: 1e6 }))
    expect(elapsedMs).toBeGreaterThan((bytesRead + bytesWritten) / 1e3 / 2)
    expect(elapsedMs).toBeLessThanOrEqual((bytesRead + bytesWritten) / 1e3)
  })
})
