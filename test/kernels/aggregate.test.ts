import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bucketStart } from '../../src/kernels/aggregate.ts'
import type { Comparison, Kernels, Summary } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../../src/kernels/wasm-kernels.ts'
import { bitsOf, hostileDoubles, hostileRows } from './hostile-rows.ts'

const wasm = createWasmKernels()
const twins: readonly Kernels[] = [wasm, referenceKernels]

const emptySummary = (): Summary => ({
  count: 0,
  nanCount: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  sum: 0,
})

/** Every third row or so is null. */
const validityOf = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((Math.imul(i + seed, 2654435761) >>> 8) % 3 === 0 ? 0 : 1))

function naiveSummary(rows: Float64Array, valid: Uint8Array | undefined, from: number, to: number) {
  const summary = { ...emptySummary(), magnitude: 0 }
  for (let i = from; i < to; i++) {
    if (valid?.[i] === 0) continue
    const value = rows[i]!
    summary.count++
    summary.sum += value
    summary.magnitude += Math.abs(value)
    if (Number.isNaN(value)) summary.nanCount++
    if (value < summary.min) summary.min = value + 0
    if (value > summary.max) summary.max = value + 0
  }
  return summary
}

function expectSummary(actual: Summary, expected: ReturnType<typeof naiveSummary>): void {
  expect({ ...actual, sum: 0 }).toStrictEqual({
    count: expected.count,
    nanCount: expected.nanCount,
    min: expected.min,
    max: expected.max,
    sum: 0,
  })
  if (expected.nanCount > 0) expect(actual.sum).toBeNaN()
  else if (expected.magnitude < Number.MAX_VALUE / 2) {
    expect(Math.abs(actual.sum - expected.sum)).toBeLessThanOrEqual(1e-12 * expected.magnitude)
  }
}

describe('summarize', () => {
  test('agrees with a loop and, to the bit, with its twin', () => {
    fc.assert(
      fc.property(hostileRows, fc.nat(20), fc.nat(20), fc.option(fc.nat()), (rows, skip, drop, seed) => {
        const from = Math.min(skip, rows.length)
        const to = Math.max(from, rows.length - drop)
        const valid = seed === null ? undefined : validityOf(rows.length, seed)
        const expected = naiveSummary(rows, valid, from, to)
        const sums = twins.map(kernels => {
          const summary = emptySummary()
          kernels.summarize(rows, valid, from, to, summary)
          expectSummary(summary, expected)
          return summary.sum
        })
        expect(bitsOf(Float64Array.of(sums[0]!))).toEqual(bitsOf(Float64Array.of(sums[1]!)))
      }),
      { numRuns: 150 },
    )
  })

  test('adds to what is there, over rows of any number', () => {
    const rows = Float64Array.from({ length: 20_000 }, (_, i) => Math.round(1e4 * Math.cos(i)) / 100)
    const valid = validityOf(rows.length, 3)
    for (const kernels of twins) {
      for (const mask of [undefined, valid]) {
        const summary = emptySummary()
        kernels.summarize(rows, mask, 5, 9000, summary)
        kernels.summarize(rows, mask, 9000, 19_999, summary)
        expectSummary(summary, naiveSummary(rows, mask, 5, 19_999))
      }
    }
  })

  test('nothing adds nothing; a null NaN does not count; zeros are +0', () => {
    for (const kernels of twins) {
      const summary = emptySummary()
      kernels.summarize(new Float64Array(0), undefined, 0, 0, summary)
      expect(summary).toStrictEqual(emptySummary())
      kernels.summarize(Float64Array.of(Number.NaN, -0), Uint8Array.of(0, 1), 0, 2, summary)
      expect(summary).toStrictEqual({ count: 1, nanCount: 0, min: 0, max: 0, sum: 0 })
    }
  })
})

describe('bucketRuns', () => {
  test('the bucket of a time contains it, whatever the rounding of the quotient', () => {
    const time = fc.integer({ min: -9e15, max: 9e15 })
    fc.assert(
      fc.property(
        time,
        fc.integer({ min: -1e13, max: 1e13 }),
        fc.integer({ min: 1, max: 1e12 }),
        (timeUs, origin, width) => {
          const timeNearEdge = Math.max(
            -9e15,
            Math.min(9e15, Math.round(timeUs / width) * width + origin - (timeUs & 1)),
          )
          for (const t of [timeUs, timeNearEdge]) {
            const start = bucketStart(t, origin, width)
            const floored = (BigInt(t) - BigInt(origin)) % BigInt(width)
            const exact = BigInt(t) - (floored < 0n ? floored + BigInt(width) : floored)
            if (exact >= -(2n ** 53n) && exact <= 2n ** 53n) expect(BigInt(start)).toBe(exact)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  const times = (count: number, gapMax: number, from: number): fc.Arbitrary<Float64Array> =>
    fc.array(fc.integer({ min: 0, max: gapMax }), { minLength: count, maxLength: count }).map(gaps => {
      let at = from
      return Float64Array.from(gaps, gap => (at += gap))
    })

  test('agrees with summarising row by row, around the epoch too', () => {
    const inputs = hostileRows.chain(rows =>
      fc.tuple(
        fc.constant(rows),
        fc.oneof(times(rows.length, 10, -2000), times(rows.length, 5_000_000, 1.7e15), times(rows.length, 0, -1)),
        fc.option(fc.nat()),
        fc.integer({ min: -50, max: 50 }),
        fc.constantFrom(1, 7, 60, 1000, 60_000_000),
      ),
    )
    fc.assert(
      fc.property(inputs, ([rows, timeUs, seed, origin, width]) => {
        const valid = seed === null ? undefined : validityOf(rows.length, seed)
        const from = Math.min(2, rows.length - 1)
        const outputs = twins.map(kernels => {
          const starts = new Float64Array(rows.length)
          const summaries = new Float64Array(5 * rows.length)
          const runs = kernels.bucketRuns(timeUs, rows, valid, from, rows.length, origin, width, starts, summaries)
          let row = from
          for (let run = 0; run < runs; run++) {
            const first = row
            const start = starts[run]!
            expect(start).toBe(Math.floor((timeUs[first]! - origin) / width) * width + origin)
            while (row < rows.length && timeUs[row]! < start + width) row++
            const [count, nanCount, min, max, sum] = summaries.subarray(5 * run, 5 * run + 5)
            expectSummary(
              { count: count!, nanCount: nanCount!, min: min!, max: max!, sum: sum! },
              naiveSummary(rows, valid, first, row),
            )
          }
          expect(row).toBe(rows.length)
          return [runs, bitsOf(starts), bitsOf(summaries)]
        })
        expect(outputs[0]).toEqual(outputs[1])
      }),
      { numRuns: 80 },
    )
  })

  test('a run longer than a slice, and more runs than fit one call', () => {
    const rows = Float64Array.from({ length: 30_000 }, (_, i) => i % 100)
    const timeUs = Float64Array.from(rows, (_, i) => (i < 15_000 ? i : 1e9 + i * 1000))
    for (const kernels of twins) {
      const starts = new Float64Array(rows.length)
      const summaries = new Float64Array(5 * rows.length)
      const runs = kernels.bucketRuns(timeUs, rows, undefined, 0, rows.length, 0, 1000_000, starts, summaries)
      expect(runs).toBe(1 + 15)
      expect([...summaries.subarray(0, 5)]).toEqual([15_000, 0, 0, 99, 15_000 * 49.5])
      const fine = kernels.bucketRuns(timeUs, rows, undefined, 0, rows.length, 0, 1000, starts, summaries)
      expect(fine).toBe(15 + 15_000)
      expect([...summaries.subarray(5 * 15, 5 * 15 + 5)]).toEqual([1, 0, 0, 0, 0])
    }
  })
})

describe('filter', () => {
  const operators: readonly Comparison[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge']

  /** -1, 0 or 1; NaN equals NaN and is above every number. */
  const compare = (a: number, b: number): number => {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
    return a < b ? -1 : a > b ? 1 : 0
  }
  const holds: Record<Comparison, (order: number) => boolean> = {
    eq: order => order === 0,
    ne: order => order !== 0,
    lt: order => order < 0,
    le: order => order <= 0,
    gt: order => order > 0,
    ge: order => order >= 0,
  }

  test('selects what a loop selects', () => {
    const inputs = hostileRows.chain(rows =>
      fc.tuple(
        fc.constant(rows),
        fc.oneof(fc.constantFrom(...hostileDoubles), fc.constantFrom(...rows), fc.integer({ min: -1000, max: 1000 })),
        fc.option(fc.nat()),
        fc.option(fc.nat()),
        fc.nat(9),
      ),
    )
    fc.assert(
      fc.property(inputs, ([rows, constant, maskSeed, selectionSeed, drop]) => {
        const length = Math.max(0, rows.length - drop)
        const valid = maskSeed === null ? undefined : validityOf(rows.length, maskSeed)
        const all = Uint32Array.from({ length }, (_, i) => i)
        const picked = selectionSeed === null ? undefined : validityOf(length, selectionSeed)
        const selection = picked === undefined ? undefined : all.filter(i => picked[i] === 1)
        for (const op of operators) {
          const expected = (selection ?? all).filter(i => valid?.[i] !== 0 && holds[op](compare(rows[i]!, constant)))
          for (const kernels of twins) {
            const out = new Uint32Array(length + 2).fill(7)
            const found = kernels.filter(rows, valid, length, selection, op, constant, out)
            expect(out.subarray(0, found)).toEqual(expected)
            expect(out.subarray(length)).toEqual(Uint32Array.of(7, 7))
          }
        }
      }),
      { numRuns: 150 },
    )
  })

  test('goes over rows of any number', () => {
    const rows = Float64Array.from({ length: 10_001 }, (_, i) => i % 10)
    const out = new Uint32Array(rows.length)
    for (const kernels of twins) {
      expect(kernels.filter(rows, undefined, rows.length, undefined, 'ge', 8, out)).toBe(2000)
      expect([...out.subarray(1998, 2000)]).toEqual([9998, 9999])
      expect(kernels.filter(rows, undefined, 0, undefined, 'ge', 8, out)).toBe(0)
    }
  })
})
