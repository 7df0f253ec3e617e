/** The primitives of segment structures: what is written is read, and nothing is read beyond the end. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeZstd } from '../../../src/lib/node/ports.ts'
import { encodeBits, readBitmap, unpackBits } from '../../../src/storage/codecs/bits.ts'
import { ByteReader, ByteWriter, DamageError } from '../../../src/storage/codecs/bytes.ts'
import { EncodedStrings, encodeStrings } from '../../../src/storage/codecs/strings.ts'

const numbers = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.integer().map(n => n / 100),
  fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity),
)

describe('bytes', () => {
  test('numbers and texts', () => {
    fc.assert(
      fc.property(fc.array(numbers), fc.array(fc.maxSafeNat()), fc.array(fc.string()), (doubles, integers, texts) => {
        const out = new ByteWriter(1)
        for (const value of doubles) out.double(value)
        for (const value of integers) {
          out.varint(value)
          out.u64(value)
        }
        for (const text of texts) out.text(text)
        const reader = new ByteReader(out.written())
        for (const value of doubles) expect(reader.double()).toBe(value)
        for (const value of integers) expect([reader.varint(), reader.u64()]).toEqual([value, value])
        for (const text of texts) expect(reader.text(1e6)).toBe(text)
        reader.expectEnd()
        expect(() => reader.u8()).toThrow(DamageError)
      }),
    )
  })

  test('a text with a number before it is written as both apart, at every length of either', () => {
    const bytes = Uint8Array.from({ length: 400 }, (_, i) => 97 + (i % 26))
    for (const capacity of [1, 130, 1024])
      for (const length of [0, 1, 125, 126, 127, 128, 129, 300])
        for (const number of [0, 1, 127, 128, 20_000]) {
          const apart = new ByteWriter(capacity)
          const joined = new ByteWriter(capacity)
          for (const out of [apart, joined]) out.u16(9)
          apart.varint(number)
          apart.utf8Text(bytes, 3, 3 + length)
          joined.numberedText(number, bytes, 3, 3 + length)
          for (const out of [apart, joined]) out.u8(5)
          expect(joined.take()).toEqual(apart.take())
        }
  })

  test('short decimals are short', () => {
    const out = new ByteWriter()
    out.double(52.34)
    expect(out.length).toBe(3)
  })

  test('any bytes are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), bytes => {
        for (const method of ['double', 'varint', 'u64', 'u64Big', 'f64', 'u16', 'u32'] as const) {
          const reader = new ByteReader(bytes)
          try {
            reader[method]()
            expect(reader.at).toBeLessThanOrEqual(bytes.length)
          } catch (error) {
            expect(error).toBeInstanceOf(DamageError)
          }
        }
      }),
    )
  })
})

describe('bits', () => {
  const runs = fc.array(fc.record({ bit: fc.integer({ min: 0, max: 1 }), length: fc.integer({ min: 1, max: 300 }) }), {
    minLength: 1,
    maxLength: 20,
  })
  const flags = fc.oneof(
    runs.map(all => all.flatMap(({ bit, length }) => new Array<number>(length).fill(bit))),
    fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 200 }),
  )

  test('any range of what was written', () => {
    fc.assert(
      fc.property(
        flags,
        fc.nat(5),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (bits, pad, a, b) => {
          const source = Uint8Array.from([...new Array<number>(pad).fill(1), ...bits, 1, 0])
          const out = new ByteWriter(1)
          encodeBits(source, pad, bits.length, out)
          expect(out.length).toBeLessThanOrEqual(1 + Math.ceil(bits.length / 8))
          const bitmap = readBitmap(new ByteReader(out.written()), bits.length, out.length)
          const [from, to] = [Math.floor(Math.min(a, b) * bits.length), Math.ceil(Math.max(a, b) * bits.length)]
          const unpacked = new Uint8Array(to - from + 3).fill(7)
          const ones = unpackBits(bitmap, from, to, unpacked, 2)
          expect([...unpacked]).toEqual([7, 7, ...bits.slice(from, to), 7])
          expect(ones).toBe(bits.slice(from, to).reduce((sum, bit) => sum + bit, 0))
        },
      ),
    )
  })

  test('a mask that hardly changes takes a few bytes', () => {
    const out = new ByteWriter()
    encodeBits(new Uint8Array(8192).fill(1, 4000), 0, 8192, out)
    expect(out.length).toBe(5)
  })
})

describe('strings', () => {
  test('lists of strings, compressed or not', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.nat(40), (texts, copies) => {
        const all = texts.flatMap(text => new Array<string>(1 + (copies % 9)).fill(text.repeat(copies)))
        const out = new ByteWriter(1)
        encodeStrings(all, nodeZstd, out)
        const strings = new EncodedStrings(new ByteReader(out.written()), all.length, nodeZstd)
        expect(all.map((_, i) => strings.at(i))).toEqual(all)
      }),
    )
  })
})
