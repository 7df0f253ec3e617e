/** Approximate aggregates keep the bounds their descriptions state; selection gives what sorting gives. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArrayDictionary, type Column } from '../../src/columnar/batch.ts'
import { compareNumbers } from '../../src/columnar/value.ts'
import { CardinalityState } from '../../src/operators/aggregate/cardinality.ts'
import { QuantileSketchState } from '../../src/operators/aggregate/quantile-sketch.ts'
import { numbersFirst, selectPlace } from '../../src/operators/aggregate/select.ts'

const floats = (values: Iterable<number>): Column => ({
  type: 'float',
  values: Float64Array.from(values),
  valid: undefined,
})

const value = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
  { weight: 3, arbitrary: fc.double() },
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 2 ** -1022, -(2 ** -1022), Number.MAX_VALUE),
)

describe('approx_percentile', () => {
  function sketchOf(values: readonly number[]): QuantileSketchState {
    const sketch = new QuantileSketchState()
    sketch.reserve(1)
    sketch.addRange(floats(values), 0, values.length, 0)
    return sketch
  }
  test('is within 1 % of the value at the nearest rank', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, p) => {
          const exact = values.toSorted(compareNumbers)[Math.max(1, Math.ceil(p * values.length)) - 1]!
          const found = sketchOf(values).percentile(0, p)!
          if (Number.isNaN(exact) || !Number.isFinite(exact)) expect(found).toBe(exact)
          else expect(Math.abs(found - exact)).toBeLessThanOrEqual(Math.max(0.01 * Math.abs(exact), 2 ** -1022))
        },
      ),
      { numRuns: 500 },
    )
  })
  test('merged is the sketch of all, and groups may be dropped', () => {
    fc.assert(
      fc.property(fc.array(value), fc.array(value), fc.double({ min: 0, max: 1, noNaN: true }), (a, b, p) => {
        const merged = new QuantileSketchState()
        merged.reserve(2)
        merged.merge(sketchOf(a), Uint32Array.of(0), Uint32Array.of(1))
        merged.merge(sketchOf(b), Uint32Array.of(0), Uint32Array.of(1))
        merged.merge(sketchOf([1, 2, 3]), Uint32Array.of(), Uint32Array.of())
        expect(merged.percentile(0, p)).toBe(null)
        expect(merged.percentile(1, p)).toBe(sketchOf([...b, ...a]).percentile(0, p))
      }),
    )
  })
})

describe('approx_count_distinct', () => {
  function estimate(column: Column, length: number): number {
    const state = new CardinalityState()
    state.reserve(1)
    state.addRange(column, 0, length, 0)
    state.addRange(column, 0, length, 0)
    return state.estimate(0)
  }
  // Four standard errors: the hash is the same everywhere, so this holds or does not.
  test.each([0, 1, 2, 10, 100, 400, 600, 1000, 5000, 20_000, 41_000, 82_000, 300_000, 1_000_000])(
    '%i values',
    count => {
      const bound = Math.max(0.0324 * count, count < 20 ? 0 : 2)
      const sequential = floats(Array.from({ length: count }, (_, i) => i))
      const decimals = floats(Array.from({ length: count }, (_, i) => i / 100 - 7))
      for (const column of [sequential, decimals])
        expect(Math.abs(estimate(column, count) - count)).toBeLessThanOrEqual(bound)
    },
  )
  test.each([10, 5000, 100_000])('%i texts', count => {
    const values = Uint32Array.from({ length: count }, (_, i) => i)
    const dictionary = new ArrayDictionary(Array.from(values, i => `host-${i}`))
    const found = estimate({ type: 'string', values, dictionary, valid: undefined }, count)
    expect(Math.abs(found - count)).toBeLessThanOrEqual(0.0324 * count)
  })
  test('a text counts once whatever dictionary it is in, NaN and zero once each', () => {
    const state = new CardinalityState()
    state.reserve(1)
    for (const strings of [
      ['a', 'b'],
      ['b', 'a', 'c'],
    ]) {
      const values = Uint32Array.from(strings.keys())
      const dictionary = new ArrayDictionary(strings)
      state.addRange({ type: 'string', values, dictionary, valid: undefined }, 0, strings.length, 0)
    }
    expect(state.estimate(0)).toBe(3)
    expect(estimate(floats([0, -0, NaN, -NaN]), 4)).toBe(2)
  })
  test('merged is the estimate of all', () => {
    const half = (from: number, count: number) => {
      const state = new CardinalityState()
      state.reserve(1)
      state.addRange(floats(Array.from({ length: count }, (_, i) => from + i)), 0, count, 0)
      return state
    }
    for (const [a, b] of [
      [30, 50],
      [30, 9000],
      [9000, 30],
      [9000, 8000],
    ] as const) {
      const merged = half(0, a)
      merged.merge(half(20, b), Uint32Array.of(0), Uint32Array.of(0))
      expect(merged.estimate(0)).toBe(half(0, Math.max(a, 20 + b)).estimate(0))
    }
  })
})

describe('selection', () => {
  const array = fc.oneof(
    fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 300 }),
    fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3000 }),
    fc.integer({ min: 1, max: 5000 }).map(n => Array.from({ length: n }, (_, i) => i)),
    fc.integer({ min: 1, max: 5000 }).map(n => Array.from({ length: n }, (_, i) => Math.min(i, n - i))),
  )
  test('as sorted', () => {
    fc.assert(
      fc.property(array, fc.nat(), (values, at) => {
        const place = at % values.length
        const copy = Float64Array.from(values)
        selectPlace(copy, place, 0, copy.length - 1)
        const sorted = Float64Array.from(values).sort()
        expect(copy[place]! + 0).toBe(sorted[place]! + 0)
        expect(copy.subarray(0, place).every(each => each <= copy[place]!)).toBe(true)
        expect(copy.subarray(place).every(each => each >= copy[place]!)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
  test('NaN goes to the end', () => {
    const values = Float64Array.of(NaN, 1, NaN, 2, NaN)
    expect(numbersFirst(values, 0, 5)).toBe(2)
    expect([...values.subarray(0, 2)].sort()).toEqual([1, 2])
    expect([...values.subarray(2)]).toEqual([NaN, NaN, NaN])
  })
})
