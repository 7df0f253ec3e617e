import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SydraError } from '../../../src/lib/errors.ts'
import type { Deletion } from '../../../src/storage/tombstones/tombstones.ts'
import { decodeDeletion, encodeDeletion } from '../../../src/storage/wal/delete-frame.ts'

const joined = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap(part => [...part]))
const hex = (bytes: Uint8Array): string => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join(' ')
const encoded = (deletion: Deletion, records = new Uint8Array(0)): Uint8Array =>
  joined(encodeDeletion(records, deletion))

const deletion: fc.Arbitrary<Deletion> = fc
  .record({
    metric: fc.nat(2 ** 32 - 1),
    ends: fc.uniqueArray(fc.oneof(fc.maxSafeInteger(), fc.constantFrom(-Infinity, Infinity)), {
      minLength: 2,
      maxLength: 2,
    }),
    series: fc.option(fc.uniqueArray(fc.nat(2 ** 32 - 1), { minLength: 1, maxLength: 50 }), { nil: undefined }),
  })
  .map(({ metric, ends: [a, b], series }) => ({
    metric,
    fromUs: Math.min(a!, b!),
    toUs: Math.max(a!, b!),
    series: series && Uint32Array.from(series).sort(),
  }))

describe('a delete frame', () => {
  test('has these bytes', () => {
    const range = { metric: 3, fromUs: 1, toUs: 2 }
    expect(hex(encoded({ ...range, series: Uint32Array.of(5, 6, 300) }, Uint8Array.of(7, 8)))).toBe(
      '02 00 00 00 07 08 03 00 00 00 00 00 00 00 00 00 00 f0 3f 00 00 00 00 00 00 00 40 03 05 01 a6 02',
    )
    expect(hex(encoded({ ...range, series: undefined }))).toBe(
      '00 00 00 00 03 00 00 00 01 00 00 00 00 00 00 f0 3f 00 00 00 00 00 00 00 40',
    )
  })

  test('gives back what it says, the catalog records first', () => {
    fc.assert(
      fc.property(deletion, fc.uint8Array(), (wanted, records) => {
        let read: Uint8Array | undefined
        const found = decodeDeletion(encoded(wanted, records), bytes => {
          read = bytes.slice()
        })
        expect(found).toEqual(wanted)
        expect(read).toEqual(records)
      }),
    )
  })

  test('of a million series takes a byte each', () => {
    const series = Uint32Array.from({ length: 1_000_000 }, (_, i) => i + 17)
    expect(encoded({ metric: 0, fromUs: 0, toUs: 1, series }).length).toBeLessThan(1_000_100)
  })

  test('that is damaged is `corrupt_wal`, or another delete, and never anything else', () => {
    fc.assert(
      fc.property(deletion, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (wanted, at, flip, cut) => {
        const bytes = encoded(wanted)
        const place = at % bytes.length
        bytes[place]! ^= flip
        try {
          const { fromUs, toUs, series } = decodeDeletion(cut ? bytes.subarray(0, place) : bytes, () => {})
          expect(fromUs).toBeLessThan(toUs)
          expect(series?.length).not.toBe(0)
        } catch (error) {
          expect(error).toBeInstanceOf(SydraError)
          expect((error as SydraError).code).toBe('corrupt_wal')
        }
      }),
    )
  })
})
