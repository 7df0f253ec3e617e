import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BlockError, blockBytesMax, blockRowsMax, type Kernels, type Summary } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../../src/kernels/wasm-kernels.ts'
import { bitsOf, fromBits, hostileRows } from './hostile-rows.ts'

const wasm = createWasmKernels()
const twins: readonly Kernels[] = [wasm, referenceKernels]
const codecs = ['Times', 'Values', 'DenseTimes', 'DenseValues'] as const

/** The block's bytes, encoded between guard bytes that must stay as they are. */
function encode(kernels: Kernels, kind: (typeof codecs)[number], rows: Float64Array): Uint8Array {
  const out = new Uint8Array(blockBytesMax + 32).fill(0xa5)
  const shifted = new Float64Array(rows.length + 3)
  shifted.set(rows, 3)
  const length = kernels[`encode${kind}`](shifted, 3, rows.length, out, 16)
  expect(length).toBeLessThanOrEqual(2 + 8 * rows.length)
  expect(out.subarray(0, 16).every(byte => byte === 0xa5)).toBe(true)
  expect(out.subarray(16 + length).every(byte => byte === 0xa5)).toBe(true)
  return out.slice(16, 16 + length)
}

/** Decoded rows, from the middle of other bytes into the middle of other rows. */
function decode(kernels: Kernels, kind: (typeof codecs)[number], block: Uint8Array): Float64Array {
  const bytes = new Uint8Array(block.length + 20).fill(0xff)
  bytes.set(block, 7)
  const out = new Float64Array(blockRowsMax + 8).fill(42)
  const count = kernels[kind.endsWith('Times') ? 'decodeTimes' : 'decodeValues'](bytes, 7, block.length, out, 4)
  expect(out.subarray(0, 4).every(value => value === 42)).toBe(true)
  expect(out.subarray(4 + count).every(value => value === 42)).toBe(true)
  return out.slice(4, 4 + count)
}

const emptySummary = (): Summary => ({
  count: 0,
  nanCount: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  sum: 0,
})

describe('codec', () => {
  for (const kind of codecs) {
    test(`${kind}: twins write the same bytes, and rows come back to the bit`, () => {
      fc.assert(
        fc.property(hostileRows, rows => {
          const block = encode(wasm, kind, rows)
          expect(encode(referenceKernels, kind, rows)).toEqual(block)
          for (const kernels of twins) expect(bitsOf(decode(kernels, kind, block))).toEqual(bitsOf(rows))
        }),
        { numRuns: 300 },
      )
    })
  }

  test('every count from 1 to 1,024 comes back', () => {
    const rows = Float64Array.from({ length: blockRowsMax }, (_, i) => Math.round(1000 * Math.sin(i * i)) / 100)
    for (let count = 1; count <= blockRowsMax; count += count < 300 ? 1 : 7) {
      const block = encode(wasm, 'Values', rows.slice(0, count))
      expect(bitsOf(decode(wasm, 'Values', block))).toEqual(bitsOf(rows.slice(0, count)))
    }
  })

  test('every width from 0 to 52 bits comes back, in twins alike', () => {
    for (let width = 0; width <= 52; width++) {
      for (const count of [2, 3, 5, 127, 128, 129, 300, 1024]) {
        const top = width === 0 ? 0 : 2 ** width - 1
        const rows = Float64Array.from({ length: count }, (_, i) =>
          i % 7 === 0 ? 0 : i % 5 === 0 ? top : Math.floor(Math.abs(Math.sin(i) * 0.99) * top),
        )
        for (const kind of codecs) {
          const block = encode(wasm, kind, rows)
          expect(encode(referenceKernels, kind, rows)).toEqual(block)
          for (const kernels of twins) expect(bitsOf(decode(kernels, kind, block))).toEqual(bitsOf(rows))
        }
      }
    }
  })

  test('signalling NaNs survive at every length that is copied differently', () => {
    for (const count of [1, 2, 24, 25, 200]) {
      const words = BigUint64Array.from({ length: count }, (_, i) => 0x7ff0000000000001n + BigInt(i * i))
      const rows = new Float64Array(words.buffer)
      for (const kind of codecs) {
        for (const kernels of twins) expect(bitsOf(decode(kernels, kind, encode(kernels, kind, rows)))).toEqual(words)
      }
    }
    expect(fromBits(0x7ff0000000000001n)).toBeNaN()
  })

  test('no rows, too many rows and no room are assertions', () => {
    const rows = new Float64Array(2000)
    const out = new Uint8Array(blockBytesMax)
    for (const kernels of twins) {
      for (const kind of codecs) {
        const put = kernels[`encode${kind}`]
        expect(() => put(rows, 0, 0, out, 0)).toThrow('1 to 1,024 rows')
        expect(() => put(rows, 0, blockRowsMax + 1, out, 0)).toThrow('1 to 1,024 rows')
        expect(() => put(rows, 1999, 2, out, 0)).toThrow('within their array')
        expect(() => put(Float64Array.of(1, 2.5), 0, 2, out, blockBytesMax - 3)).toThrow('no room')
      }
    }
  })

  describe('density, in bytes a row', () => {
    const generator = (seed: number) => () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return seed / 2 ** 32
    }
    const bytesPerRow = (kind: (typeof codecs)[number], rows: Float64Array): number => {
      let bytes = 0
      for (let row = 0; row < rows.length; row += blockRowsMax) {
        bytes += encode(wasm, kind, rows.slice(row, row + blockRowsMax)).length
      }
      return bytes / rows.length
    }
    const random = generator(7)
    const rows = 8640
    const regular = Float64Array.from({ length: rows }, (_, i) => 1_700_000_000_000_000 + i * 10_000_000)

    test('a regular clock costs a header', () => {
      expect(encode(wasm, 'Times', regular.slice(0, 1024))).toHaveLength(16)
      expect(bytesPerRow('Times', regular)).toBeLessThan(0.02)
    })
    test('a clock that jitters by 100 ms costs 7 bits and a header', () => {
      const jittered = regular.map(time => time + Math.floor(random() * 100) * 1000)
      expect(bytesPerRow('Times', jittered)).toBeLessThan(0.95)
    })
    test('events at random cost their entropy and little more', () => {
      let at = 1.7e15
      const events = Float64Array.from({ length: rows }, () => (at += Math.round(-1e4 * Math.log(1 - random()))))
      expect(bytesPerRow('DenseTimes', events)).toBeLessThan((Math.log2(Math.E * 1e4) / 8) * 1.03)
      expect(bytesPerRow('Times', events)).toBeGreaterThan(2)
    })
    test('regular clocks of many series cost little more', () => {
      const series = Float64Array.from({ length: rows }, (_, i) => regular[i % 100]!)
      expect(bytesPerRow('Times', series)).toBeLessThan(0.06)
    })
    test('a walk of two decimals costs less than a byte', () => {
      let at = 2347
      const walk = Float64Array.from({ length: rows }, () => (at += Math.round((random() - random()) * 8)) / 100)
      expect(bytesPerRow('Values', walk)).toBeLessThan(0.7)
    })
    test('multiples of a page cost their number of pages', () => {
      const memory = Float64Array.from({ length: rows }, () => 4096 * Math.floor(random() * 250))
      expect(bytesPerRow('Values', memory)).toBeLessThan(1.02)
    })
    test('a counter that is reset costs its increments', () => {
      let at = 0
      const counter = Float64Array.from({ length: rows }, (_, i) => (at = i % 700 === 699 ? 0 : at + (i % 30)))
      expect(bytesPerRow('Values', counter)).toBeLessThan(0.68)
    })
    test('a short block of numbers costs no padding', () => {
      expect(encode(wasm, 'Values', Float64Array.of(1, 2, 4, 3, 6)).length).toBeLessThanOrEqual(9)
    })
  })

  describe('damage', () => {
    /** Decodes and summarises: a block, or a BlockError, and nothing else. */
    const survives = (block: Uint8Array): void => {
      for (const kernels of twins) {
        for (const kind of codecs) {
          try {
            expect(decode(kernels, kind, block).length).toBeLessThanOrEqual(blockRowsMax)
          } catch (error) {
            expect(error).toBeInstanceOf(BlockError)
          }
        }
        try {
          kernels.summarizeBlock(block, 0, block.length, emptySummary())
        } catch (error) {
          expect(error).toBeInstanceOf(BlockError)
        }
      }
    }

    test('flipped bytes, cut ends and additions', () => {
      const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 0, maxLength: 4 })
      fc.assert(
        fc.property(hostileRows, flips, fc.nat(), fc.boolean(), (rows, changes, cut, early) => {
          const whole = encode(wasm, 'Values', rows)
          for (const [position, mask] of changes) {
            const at = position % (early ? Math.min(16, whole.length) : whole.length)
            whole[at] = whole[at]! ^ mask
          }
          survives(whole)
          survives(whole.slice(0, cut % whole.length))
          survives(Uint8Array.of(...whole.subarray(0, 200), 0, 0, 0))
        }),
        { numRuns: 200 },
      )
    })

    test('bytes that were never a block', () => {
      fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), survives), { numRuns: 1000 })
    })

    test('the twins refuse the same blocks', () => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 2, maxLength: 40 }), block => {
          const outcome = twins.map(kernels => {
            try {
              return decode(kernels, 'Values', block).length
            } catch {
              return 'refused'
            }
          })
          expect(outcome[0]).toBe(outcome[1])
        }),
        { numRuns: 1000 },
      )
    })

    test('a truncated block, an unknown mode, a block that does not fit', () => {
      const block = encode(wasm, 'Values', Float64Array.of(1.5, 2.5, 7.25))
      const out = new Float64Array(8)
      for (const kernels of twins) {
        expect(() => kernels.decodeValues(block, 0, block.length - 1, out, 0)).toThrow(BlockError)
        expect(() => kernels.decodeValues(block, 0, block.length + 1, out, 0)).toThrow(BlockError)
        expect(() => kernels.decodeValues(block, -1, block.length, out, 0)).toThrow(BlockError)
        expect(() => kernels.decodeValues(block, 0, block.length, out, 6)).toThrow('more than there is room for')
        expect(() => kernels.decodeValues(Uint8Array.of(0, 0xfc), 0, 2, out, 0)).toThrow('unknown mode')
      }
    })
  })

  test('a block is summarised as its rows are', () => {
    fc.assert(
      fc.property(hostileRows, rows => {
        const block = encode(wasm, 'Values', rows)
        const [first, second] = twins.map(kernels => {
          const summary = emptySummary()
          summary.count = 99 // replaced, not added to
          kernels.summarizeBlock(block, 0, block.length, summary)
          return summary
        })
        expect(second).toStrictEqual(first)
        const numbers = [...rows].filter(value => !Number.isNaN(value))
        expect(first!.count).toBe(rows.length)
        expect(first!.nanCount).toBe(rows.length - numbers.length)
        expect(first!.min).toBe(Math.min(...numbers) + 0)
        expect(first!.max).toBe(Math.max(...numbers) + 0)
        if (numbers.length < rows.length) expect(first!.sum).toBeNaN()
        else {
          const magnitude = numbers.reduce((sum, value) => sum + Math.abs(value), 0)
          if (magnitude < Number.MAX_VALUE / 2) {
            const sum = numbers.reduce((sum, value) => sum + value, 0)
            expect(Math.abs(first!.sum - sum)).toBeLessThanOrEqual(1e-12 * magnitude)
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})
