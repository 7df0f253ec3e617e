/** Any sequence of choices leaves every answer as it was, comes to an end, and writes a bounded number of bytes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CompactionScope, choose } from '../../../src/storage/compaction/choose.ts'
import {
  type CompactionJob,
  type CompactionPolicy,
  type CompactionState,
  defaultCompactionPolicy,
} from '../../../src/storage/compaction/job.ts'
import type { SegmentMeta } from '../../../src/storage/types.ts'
import { randomOf } from '../segment/model.ts'
import { ModelDatabase } from './model.ts'

const hourUs = 3_600_000_000
const dayUs = 24 * hourUs
const weekUs = 7 * dayUs
/** A Monday. */
const startUs = Date.UTC(2024, 0, 1) * 1000

/** Small enough for every rule to come into play with few rows. */
const policy: CompactionPolicy = {
  settleDelayUs: 600e6,
  runsMin: 3,
  inputsMax: 6,
  mergeBytesMax: 500,
  runBytesMax: 400,
  windowBytesMin: 300,
  promoteBytesMax: 200,
  lateRatio: 2,
  lateBytesMax: 50,
  tombstonesMax: 5,
}

/** Carries out what is chosen until nothing is; every step is checked. */
function settle(database: ModelDatabase, nowUs: number, scope: CompactionScope, own = policy): CompactionJob[] {
  const answers = database.answers()
  const jobs: CompactionJob[] = []
  for (;;) {
    const job = choose(database.state(), own, nowUs, scope)
    if (job === undefined) return jobs
    jobs.push(job)
    expect(job.inputs.length).toBeGreaterThan(0)
    if (scope === 'background') expect(job.inputs.length).toBeLessThanOrEqual(own.inputsMax)
    for (const { id } of job.inputs) expect(database.unreadable.has(id)).toBe(false)
    database.carryOut(job)
    expect(database.answers()).toEqual(answers)
    expect(jobs.length, 'choices come to an end').toBeLessThan(500)
  }
}

const cell = fc.record({
  series: fc.nat(2),
  timeUs: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 40 }).map(n => startUs + n * 600e6) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 20 }).map(n => startUs + n * 5 * hourUs) },
    { weight: 1, arbitrary: fc.integer({ min: -3, max: 6 }).map(n => startUs + n * weekUs + 5 * hourUs) },
  ),
})
const cells = fc.uniqueArray(
  cell.map(({ series, timeUs }) => `${series} ${timeUs}`),
  { minLength: 1, maxLength: 12 },
)
const step = fc.record({
  cells,
  /** Cells of the flush that go to a second segment. */
  apart: fc.nat(3),
  /** So many choices are made before the next flush. */
  choices: fc.nat(3),
  nowUs: fc.integer({ min: 0, max: 60 }).map(n => startUs + n * 8 * hourUs),
  scope: fc.constantFrom<CompactionScope>('background', 'background', 'all'),
  damages: fc.integer({ min: 0, max: 11 }).map(n => n === 0),
})

describe('choices', () => {
  test('never change an answer and always end', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), steps => {
        const database = new ModelDatabase(10)
        for (const { cells: written, apart, choices, nowUs, scope, damages } of steps) {
          database.flush(written.slice(apart), written.slice(0, apart))
          if (damages) database.unreadable.add(database.segments.at(-1)!.meta.id)
          const answers = database.answers()
          for (let i = 0; i < choices; i++) {
            const job = choose(database.state(), policy, nowUs, scope)
            if (job === undefined) break
            database.carryOut(job)
            expect(database.answers()).toEqual(answers)
          }
        }
        settle(database, startUs + 3 * weekUs, 'background')
        settle(database, startUs + 3 * weekUs, 'all')
        settle(database, startUs + 3 * weekUs, 'background')
      }),
      { numRuns: 400 },
    )
  })

  test('on request, to the end: everything is settled and nothing overlaps', () => {
    fc.assert(
      fc.property(fc.array(cells, { minLength: 1, maxLength: 30 }), written => {
        const database = new ModelDatabase(10)
        for (const each of written) database.flush(each)
        settle(database, startUs, 'all')
        const metas = database.segments.map(({ meta }) => meta).sort((a, b) => a.minTimeUs - b.minTimeUs)
        for (const [i, meta] of metas.entries()) {
          expect(meta.settled).toBe(true)
          if (i > 0) expect(meta.minTimeUs).toBeGreaterThan(metas[i - 1]!.maxTimeUs)
        }
      }),
      { numRuns: 200 },
    )
  })
})

/** Flushes as they come, compacted as it goes; what was written for each byte that was flushed. */
function amplification(
  flushes: number,
  everyUs: number,
  cellsPerFlush: number,
  bytesPerCell: number,
  lateShare: number,
): { readonly database: ModelDatabase; readonly factor: number; readonly most: number } {
  const random = randomOf(11)
  const database = new ModelDatabase(bytesPerCell)
  let most = 0
  for (let flush = 0; flush < flushes; flush++) {
    const fromUs = startUs + flush * everyUs
    const nowUs = fromUs + everyUs
    const cellAt = (n: number): string => `${n} ${fromUs + Math.floor((n * everyUs) / cellsPerFlush)}`
    const isLate = random() < lateShare
    const late = isLate ? [`9 ${startUs + Math.floor(random() * flush) * everyUs + 7}`] : []
    database.flush(
      Array.from({ length: cellsPerFlush }, (_, n) => cellAt(n)),
      late,
    )
    for (;;) {
      const job = choose(database.state(), defaultCompactionPolicy, nowUs)
      if (job === undefined) break
      database.carryOut(job)
    }
    most = Math.max(most, database.segments.length)
  }
  return { database, factor: (database.bytesFlushed + database.bytesWritten) / database.bytesFlushed, most }
}

describe('over time', () => {
  test('half a year of hourly flushes of 200 KB, one in ten with late rows', () => {
    const { database, factor, most } = amplification(4380, hourUs, 4, 50_000, 0.1)
    expect(factor).toBeLessThan(5)
    expect(most).toBeLessThan(100)
    const settled = database.segments.filter(({ meta }) => meta.settled)
    expect(settled.reduce((sum, { meta }) => sum + meta.bytes, 0)).toBeGreaterThan(0.9 * database.bytesFlushed)
  })

  test('three days of flushes of 4 MB every three minutes', () => {
    const { factor, most } = amplification(3 * 480, 180e6, 2, 2e6, 0.02)
    expect(factor).toBeLessThan(4)
    expect(most).toBeLessThan(150)
  })

  test('among 100,000 segments', () => {
    const meta = (i: number, part: Partial<SegmentMeta>): SegmentMeta => ({
      id: String(i).padStart(10, '0'),
      path: `segments/all/${i}.seg`,
      minTimeUs: startUs + i * hourUs,
      maxTimeUs: startUs + i * hourUs + hourUs - 1,
      minLsn: i + 1,
      maxLsn: i + 1,
      rows: 1e5,
      bytes: 20e6,
      ...part,
    })
    const state = (segments: readonly SegmentMeta[]): CompactionState => ({
      segments,
      unreadable: new Set(),
      tombstones: [],
      horizonUs: () => -Infinity,
    })
    const done = Array.from({ length: 100_000 }, (_, i) => meta(i, { settled: true }))
    expect(choose(state(done), defaultCompactionPolicy, startUs + 2e5 * hourUs)).toBeUndefined()
    // A few late rows in one hour in a hundred: too few for any merge but one that gathers them.
    const late = done.filter((_, i) => i % 100 === 0)
    const lsn = 200_000
    const few = late.map(({ minTimeUs, maxTimeUs }, i) =>
      meta(lsn + i, { minTimeUs, maxTimeUs, bytes: 900, minLsn: lsn + i, maxLsn: lsn + i }),
    )
    expect(choose(state([...done, ...few]), defaultCompactionPolicy, startUs + 2e5 * hourUs)).toMatchObject({
      reason: 'runs',
      inputs: few.slice(0, defaultCompactionPolicy.inputsMax),
    })
    const wide = Array.from({ length: 100_000 }, (_, i) => meta(i, { minTimeUs: startUs }))
    expect(choose(state(wide), defaultCompactionPolicy, startUs + 2e5 * hourUs)).toBeDefined()
  })
})

describe('of what there is', () => {
  const MB = 1e6
  interface Part extends Partial<SegmentMeta> {
    /** Hours since the start. */
    readonly hours: readonly [from: number, to: number]
  }
  const stateOf = (parts: readonly Part[], more: Partial<CompactionState> = {}): CompactionState => ({
    segments: parts.map(({ hours, ...part }, i) => ({
      id: String(i),
      path: `segments/all/${i}.seg`,
      minTimeUs: startUs + hours[0] * hourUs,
      maxTimeUs: startUs + hours[1] * hourUs - 1,
      minLsn: i + 1,
      maxLsn: i + 1,
      rows: 1,
      bytes: 1000,
      ...part,
    })),
    unreadable: new Set(),
    tombstones: [],
    horizonUs: () => -Infinity,
    ...more,
  })
  const chosen = (parts: readonly Part[], hours: number, more: Partial<CompactionState> = {}) => {
    const job = choose(stateOf(parts, more), defaultCompactionPolicy, startUs + hours * hourUs)
    return job && { ...job, inputs: job.inputs.map(({ id }) => Number(id)) }
  }
  const settled = true as const

  test('a few runs of an open hour are left, eight become one', () => {
    const runs = (count: number): Part[] => Array.from({ length: count }, (_, i) => ({ hours: [i / 9, (i + 1) / 9] }))
    expect(chosen(runs(7), 1)).toBeUndefined()
    expect(chosen(runs(8), 1)).toMatchObject({ reason: 'runs', inputs: [0, 1, 2, 3, 4, 5, 6, 7], settled: false })
    const large = runs(8).map(run => ({ ...run, bytes: 9 * MB }))
    expect(chosen(large, 1)).toBeUndefined()
  })

  test('a closed hour is settled where it is large, else with its day', () => {
    const hour: Part[] = [
      { hours: [5, 5.5], bytes: 10 * MB },
      { hours: [5.5, 6], bytes: 10 * MB },
    ]
    expect(chosen(hour, 6)).toBeUndefined()
    expect(chosen(hour, 6.5)).toMatchObject({ reason: 'settle', inputs: [0, 1], window: 'h-2024-01-01T05', settled })
    const small = [...hour.map(part => ({ ...part, bytes: 1 * MB })), { hours: [7, 8] } as const]
    expect(chosen(small, 23)).toBeUndefined()
    expect(chosen(small, 24.5)).toMatchObject({ reason: 'settle', inputs: [0, 1, 2], window: 'd-2024-01-01', settled })
  })

  test('nothing is merged over a settled hour', () => {
    const parts: Part[] = [
      { hours: [1, 2] },
      { hours: [5, 6], bytes: 20 * MB, settled },
      { hours: [7, 8] },
      { hours: [8, 9] },
    ]
    expect(chosen(parts, 25)).toMatchObject({ reason: 'settle', inputs: [0] })
    expect(
      chosen(
        parts.map((part, i) => (i === 0 ? { ...part, settled } : part)),
        25,
      ),
    ).toMatchObject({ inputs: [2, 3] })
  })

  test('late rows wait until they are worth it', () => {
    const late = (bytes: number): Part[] => [
      { hours: [0, 24], bytes: 20 * MB, settled },
      { hours: [3, 4], bytes },
      { hours: [3, 5], bytes },
    ]
    expect(chosen(late(2 * MB), 30)).toBeUndefined()
    expect(chosen(late(6 * MB), 30)).toMatchObject({
      reason: 'late',
      inputs: [0, 1, 2],
      window: 'd-2024-01-01',
      settled,
    })
  })

  test('small settled days of a closed week become one segment, large ones stay', () => {
    const day = (n: number, bytes = MB): Part => ({ hours: [24 * n, 24 * n + 24], bytes, settled })
    const days = [day(0), day(1), day(2, 50 * MB), day(3), day(4), day(5)]
    expect(chosen(days, 6 * 24)).toBeUndefined()
    expect(chosen(days, 7 * 24 + 1)).toMatchObject({
      reason: 'promote',
      inputs: [0, 1],
      window: 'w-2024-01-01',
      settled,
    })
    expect(chosen([day(0, 20_000), day(1, 3 * MB)], 7 * 24 + 1)).toBeUndefined()
  })

  test('what would come to lie over a segment that cannot be read is not merged', () => {
    const parts: Part[] = [{ hours: [1, 3] }, { hours: [2, 4] }, { hours: [3, 5] }]
    expect(chosen(parts, 25)).toMatchObject({ inputs: [0, 1, 2] })
    const unreadable = new Set(['1'])
    expect(chosen(parts, 25, { unreadable })!.inputs).toHaveLength(1)
  })

  test('rollups go with their segment', () => {
    const rollup: Part = { hours: [0, 1], rollup: { of: '0', widthUs: 60e6 } }
    const job = choose(
      stateOf([{ hours: [0, 1] }, rollup, { hours: [1, 2] }]),
      defaultCompactionPolicy,
      startUs + weekUs,
    )
    expect(job).toMatchObject({ remove: ['0', '1', '2'] })
    expect(job!.inputs.map(({ id }) => id)).toEqual(['0', '2'])
  })

  test('namespaces stay apart', () => {
    const parts: Part[] = [{ hours: [0, 1] }, { hours: [1, 2], namespace: 'a' }, { hours: [2, 3] }]
    expect(chosen(parts, 25)).toMatchObject({ inputs: [0, 2] })
  })

  test('a wide segment that is half expired is written again, once', () => {
    const parts: Part[] = [{ hours: [0, 24 * 40] }]
    const horizon = (days: number) => ({ horizonUs: () => startUs + days * dayUs })
    expect(chosen(parts, 0, horizon(10))).toBeUndefined()
    expect(chosen(parts, 0, horizon(25))).toMatchObject({ reason: 'trim', inputs: [0], window: 'all' })
    expect(chosen([{ hours: [24 * 25, 24 * 40] }], 0, horizon(25))).toBeUndefined()
  })

  test('deletes are applied where there are many', () => {
    const parts: Part[] = [
      { hours: [0, 24], settled },
      { hours: [24, 48], settled, deletesLsn: 5000 },
    ]
    const tombstones = Array.from({ length: 1001 }, (_, i) => ({ lsn: 3 + i, fromUs: -Infinity, toUs: Infinity }))
    expect(chosen(parts, 49, { tombstones: tombstones.slice(1) })).toBeUndefined()
    expect(chosen(parts, 49, { tombstones })).toMatchObject({
      reason: 'erase',
      inputs: [0],
      window: 'd-2024-01-01',
      settled,
    })
  })
})
