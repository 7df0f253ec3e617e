/** Times and numbers as text, against what the language says. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonNumber, jsonTimestamp, numberText, timestampText } from '../../src/lib/value-text.ts'

const minuteUs = 60_000_000
const rangeUs = 8.64e18

/** By the slow way: milliseconds from `Date`, the rest of the microseconds after them. */
function iso(timeUs: number): string {
  const us = BigInt(timeUs)
  const rest = ((us % 1000n) + 1000n) % 1000n
  const text = new Date(Number((us - rest) / 1000n)).toISOString().slice(0, -1) + String(rest).padStart(3, '0')
  return `${text.replace(/\.?0+$/, '')}Z`.replace(/:Z$/, ':00Z').replace(/:(\d)Z$/, ':$10Z')
}

test('a time is the same however near the ones before were', () => {
  const near = fc.tuple(
    fc.integer({ min: -40_000_000, max: 40_000_000 }),
    fc.integer({ min: -3 * minuteUs, max: 3 * minuteUs }),
  )
  const times = fc.oneof(
    near.map(([minutes, us]) => minutes * minuteUs + us),
    fc.integer({ min: -3 * minuteUs, max: 3 * minuteUs }),
    fc.double({ min: -rangeUs, max: rangeUs, noNaN: true }).map(Math.floor),
  )
  fc.assert(
    fc.property(fc.array(times, { maxLength: 20 }), list => {
      for (const us of list) expect(timestampText(us, undefined)).toBe(iso(us))
    }),
  )
})

test('epochs are exact, and what is no time is null', () => {
  expect([-1, 0, 1, 1_500_000].map(us => timestampText(us, 's'))).toEqual(['-0.000001', '0', '0.000001', '1.5'])
  expect(timestampText(1_500, 'ms')).toBe('1.5')
  expect(timestampText(-1, 'us')).toBe('-1')
  expect(timestampText(rangeUs, 'ns')).toBe('8640000000000000000000')
  expect(timestampText(rangeUs, undefined)).toBe('+275760-09-13T00:00:00Z')
  for (const us of [rangeUs * 1.001, Number.NaN, Number.NEGATIVE_INFINITY]) expect(jsonTimestamp(us, 'ms')).toBe('null')
  expect(jsonTimestamp(0, undefined)).toBe('"1970-01-01T00:00:00Z"')
})

test('numbers read back as themselves', () => {
  expect([0, -0, 0.1, 1e21].map(numberText)).toEqual(['0', '-0', '0.1', '1e+21'])
  expect([Number.NaN, Number.POSITIVE_INFINITY, -0].map(jsonNumber)).toEqual(['"NaN"', '"Infinity"', '-0'])
})
