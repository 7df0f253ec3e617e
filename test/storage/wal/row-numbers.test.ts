import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { referenceKernels } from '../../../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../../../src/kernels/wasm-kernels.ts'
import { SydraError } from '../../../src/lib/errors.ts'
import { Cursor, FrameBytes, FrameMemory } from '../../../src/storage/wal/row-columns.ts'
import { decodeNumbers, encodeNumbers, type NumberKind } from '../../../src/storage/wal/row-numbers.ts'

const kernels = createWasmKernels()
const encoded = (values: Float64Array, kind: NumberKind = 'floats'): Uint8Array => {
  const out = new FrameBytes()
  encodeNumbers(values, kind, kernels, out)
  const bytes = out.written().slice()
  out.clear()
  encodeNumbers(values, kind, referenceKernels, out)
  expect(out.written()).toEqual(bytes)
  return bytes
}
const decoded = (bytes: Uint8Array, length: number): Float64Array => decodeNumbers(new Cursor(bytes), length)
const bitsOf = (values: Float64Array): BigUint64Array =>
  new BigUint64Array(values.buffer, values.byteOffset, values.length)

/** What each byte of memory says is what it said before, also behind values that another frame left there. */
function expectSame(values: Float64Array, kind: NumberKind): number {
  const bytes = encoded(values, kind)
  expect(bitsOf(decoded(bytes, values.length))).toEqual(bitsOf(values))
  const memory = new FrameMemory()
  memory.float64(values.length).fill(Number.NaN)
  memory.clear()
  expect(bitsOf(decodeNumbers(new Cursor(bytes, memory), values.length).slice())).toEqual(bitsOf(values))
  return bytes.length
}

const kinds = fc.constantFrom<NumberKind>('times', 'integers', 'floats')
/** Any bit pattern: NaNs of every payload, subnormal numbers. */
const bits = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map(pattern => new Float64Array(BigUint64Array.of(pattern).buffer)[0]!)
const special = fc.constantFrom(
  -0,
  0,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  5e-324,
  -5e-324,
  Number.MAX_VALUE,
  2 ** 51,
  -(2 ** 51),
  2 ** 52 + 1,
  2 ** 53,
  0.1 + 0.2,
)
const decimal = fc
  .tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 15 }), fc.constantFrom(1, 256, 65_536, 2 ** 32, 2 ** 53))
  .map(([integer, exponent, range]) => (integer % range) / 10 ** exponent)

/** As many values of one kind, about a block's end, with a few others among them. */
const column = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 9, 31, 32, 33, 1023, 1024, 1025, 2048, 2049),
    fc.oneof(
      fc.record({
        base: fc.maxSafeInteger(),
        range: fc.constantFrom(0, 1, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32),
        exponent: fc.integer({ min: -6, max: 13 }),
        seed: fc.nat(2 ** 31),
      }),
    ),
    fc.array(fc.tuple(fc.nat(), fc.oneof(bits, special, decimal)), { maxLength: 2 }),
  )
  .map(([length, { base, range, exponent, seed }, others]) => {
    let state = seed
    const values = Float64Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      const integer = base + Math.round((state / (2 ** 32 - 1)) * range)
      return exponent < 0 ? integer * 10 ** -exponent : integer / 10 ** exponent
    })
    for (const [at, value] of others) if (length > 0) values[at % length] = value
    return values
  })

describe('numbers of a row frame', () => {
  test('come back to the bit', () => {
    fc.assert(
      fc.property(column, kinds, (values, kind) => {
        expectSame(values, kind)
      }),
      { numRuns: 600 },
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(bits, special, decimal), { maxLength: 40 }), kinds, (values, kind) => {
        expectSame(Float64Array.from(values), kind)
      }),
      { numRuns: 600 },
    )
  })

  test('take as many bytes as their range needs', () => {
    const spread = (count: number, last: number, exponent: number) =>
      Float64Array.from({ length: count }, (_, i) => (i === count - 1 ? last : i % 2) / 10 ** exponent)
    const header = 11
    for (const [last, width] of [
      [2 ** 8 - 1, 1],
      [2 ** 8, 2],
      [2 ** 16 - 1, 2],
      [2 ** 16, 4],
      [2 ** 32 - 1, 4],
    ] as const)
      for (const exponent of [0, 2, 5])
        expect(expectSame(spread(100, last, exponent), 'floats')).toBe(header + 100 * width)
    expect(expectSame(spread(100, 2 ** 32, 2), 'floats')).toBe(2 + 800)
    expect(expectSame(new Float64Array(100).fill(21.5), 'floats')).toBe(header)
    expect(expectSame(Float64Array.of(-0, 1, 2, 3), 'floats')).toBe(2 + 32)
    const seconds = Float64Array.from({ length: 1000 }, (_, i) => (1.7e9 + ((i * 7) % 200)) * 1e6)
    expect(expectSame(seconds, 'times')).toBe(header + 1000)
  })

  test('one that is no decimal leaves its own block raw', () => {
    const values = Float64Array.from({ length: 3 * 1024 }, (_, i) => (i % 200) / 4)
    const plain = expectSame(values, 'floats')
    values[1500] = Number.NaN
    expect(expectSame(values, 'floats')).toBe(plain - (10 + 2 * 1024) + (1 + 8 * 1024))
  })

  test('that version 1 wrote are read', () => {
    const u8 = (...arrays: ArrayBufferView[]) =>
      Uint8Array.from(
        arrays.flatMap(({ buffer, byteOffset, byteLength }) => [...new Uint8Array(buffer, byteOffset, byteLength)]),
      )
    const raw = Float64Array.of(-0, 0.1, Number.NaN)
    expect(decoded(u8(Uint8Array.of(0), raw), 3)).toEqual(raw)
    expect(decoded(u8(Uint8Array.of(1), Float64Array.of(5, 2.5)), 3)).toEqual(Float64Array.of(5, 7.5, 10))
    expect(decoded(u8(Uint8Array.of(2), Float64Array.of(1e15), Uint32Array.of(0, 7, 2 ** 32 - 1)), 3)).toEqual(
      Float64Array.of(1e15, 1e15 + 7, 1e15 + 2 ** 32 - 1),
    )
  })

  test('as the format says', () => {
    expect([...encoded(Float64Array.of(20.5, 20.75, 20.25))]).toEqual([
      3, 1, 2, 0, 0, 0, 0, 0, 0xa4, 0x9f, 0x40, 0x19, 0x32, 0,
    ])
  })

  test('that are damaged are an error or other numbers', () => {
    fc.assert(
      fc.property(column, kinds, fc.nat(), fc.nat(255), fc.boolean(), (values, kind, position, value, cut) => {
        const bytes = encoded(values, kind)
        const at = position % bytes.length
        try {
          expect(decoded(cut ? bytes.slice(0, at) : bytes.with(at, value), values.length)).toHaveLength(values.length)
        } catch (error) {
          expect((error as SydraError).code).toBe('corrupt_wal')
          return
        }
        expect(cut).toBe(false)
      }),
      { numRuns: 600 },
    )
    expect(() => decoded(Uint8Array.of(3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1)).toThrow(SydraError)
    expect(() => decoded(Uint8Array.of(3, 0, 23, 0, 0, 0, 0, 0, 0, 0, 0), 1)).toThrow(SydraError)
    expect(() => decoded(Uint8Array.of(4), 0)).toThrow(SydraError)
  })
})
