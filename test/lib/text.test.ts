import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareUtf8, fromHex, readUtf8, toHex, utf8Length, writeUtf8 } from '../../src/lib/text.ts'

const text = fc.string({ unit: 'binary' })
const encoder = new TextEncoder()

describe('text', () => {
  test('compares as UTF-8 bytes do', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
      }),
    )
    // UTF-16 puts the surrogates of U+1F600 before U+FF5E.
    expect(compareUtf8('\u{1f600}', '\uff5e')).toBeGreaterThan(0)
    expect('\u{1f600}' < '\uff5e').toBe(true)
    expect(compareUtf8('\ud7ff', '\ue000')).toBeLessThan(0)
  })

  test('counts, writes and reads UTF-8', () => {
    fc.assert(
      fc.property(text, value => {
        const expected = encoder.encode(value)
        expect(utf8Length(value)).toBe(expected.length)
        const bytes = new Uint8Array(value.length * 3 + 2)
        const end = writeUtf8(value, bytes, 1)
        expect(bytes.subarray(1, end)).toEqual(expected)
        expect(readUtf8(bytes, 1, end)).toBe(value)
      }),
    )
  })

  test('keeps a byte order mark', () => {
    const bytes = encoder.encode('\ufeffx')
    expect(readUtf8(bytes, 0, bytes.length)).toBe('\ufeffx')
  })

  test('hexadecimal there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        expect([...fromHex(toHex(bytes))]).toEqual([...bytes])
      }),
    )
    expect(toHex(new Uint8Array([0, 10, 255]))).toBe('000aff')
  })
})
