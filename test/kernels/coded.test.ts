/** Coded blocks: every shape of them comes back to the bit, in twins alike, and damage is told. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  curveFrequencies,
  curveOf,
  curveReachMax,
  curveShapes,
  frequenciesOf,
  levelsOf,
  spreadCount,
} from '../../src/kernels/code-frequencies.ts'
import { blockMode, headerBytes, newHeader, readHeader } from '../../src/kernels/codec-format.ts'
import { BlockError, blockBytesMax, blockRowsMax, type Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { createWasmKernels } from '../../src/kernels/wasm-kernels.ts'
import { bitsOf, hostileDoubles } from './hostile-rows.ts'

const wasm = createWasmKernels()
const twins: readonly Kernels[] = [wasm, referenceKernels]

function generator(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

function encode(kernels: Kernels, rows: Float64Array): Uint8Array {
  const out = new Uint8Array(blockBytesMax)
  return out.slice(0, kernels.encodeDenseValues(rows, 0, rows.length, out, 0))
}
function decode(kernels: Kernels, block: Uint8Array): Float64Array {
  const out = new Float64Array(blockRowsMax)
  return out.slice(0, kernels.decodeValues(block, 0, block.length, out, 0))
}
function headerOf(block: Uint8Array) {
  const header = newHeader()
  readHeader(block, 0, block.length, header)
  return header
}

/** A column of so many rows; `normal` is about that, with deviation 1. */
type Shape = (count: number, normal: () => number, random: () => number) => Float64Array

const walked = (count: number, start: number, step: () => number, put: (at: number) => number) => {
  let at = start
  return Float64Array.from({ length: count }, () => put((at += step())))
}
const shapes: Record<string, Shape> = {
  'a walk of two decimals': (count, normal) =>
    walked(
      count,
      5000,
      () => Math.round(100 * normal()),
      at => at / 100,
    ),
  'a walk of integers': (count, normal) =>
    walked(
      count,
      50,
      () => Math.round(normal()),
      at => at,
    ),
  'noise about a level': (count, normal) => Float64Array.from({ length: count }, () => Math.round(900 * normal()) / 10),
  'a curve': (count, normal) =>
    Float64Array.from({ length: count }, (_, i) => Math.round(1e6 * Math.sin(i / 90) + normal()) / 1000),
  'values that mostly stay': (count, normal, random) =>
    walked(
      count,
      900,
      () => (random() < 0.2 ? Math.round(60 * normal()) : 0),
      at => at / 100,
    ),
  'a counter that is reset': (count, normal) => {
    let at = 0
    return Float64Array.from(
      { length: count },
      (_, i) => (at = i % 400 === 399 ? 0 : at + 5000 + Math.round(30 * normal())),
    )
  },
  'a counter of many bytes': (count, normal) =>
    walked(
      count,
      0,
      () => Math.round(2 ** 34 + 2 ** 20 * normal()),
      at => at,
    ),
  'a curve of many bytes': (count, normal) =>
    Float64Array.from({ length: count }, (_, i) => Math.round(2 ** 46 * Math.sin(i / 300) + 1000 * normal())),
  'multiples of a page': (count, normal) =>
    walked(
      count,
      4096e3,
      () => 4096 * Math.round(3 * normal()),
      at => at,
    ),
  'decimals among NaNs': (count, normal, random) =>
    walked(
      count,
      0,
      () => Math.round(100 * normal()),
      at => (random() < 0.03 ? hostileDoubles[Math.abs(at) % 14]! : at / 100),
    ),
  'a walk of doubles': (count, normal) => walked(count, 0, normal, at => at),
  'a walk of single-precision numbers': (count, normal) => walked(count, 0, normal, Math.fround),
  'doubles with spikes': (count, normal, random) =>
    walked(count, 100, normal, at =>
      random() < 0.01 ? hostileDoubles[Math.floor(random() * hostileDoubles.length)]! : at,
    ),
}

const columns = fc
  .record({ shape: fc.constantFrom(...Object.keys(shapes)), count: fc.integer({ min: 1, max: 1024 }), seed: fc.nat() })
  .map(({ shape, count, seed }) => {
    const random = generator(seed)
    const normal = () => random() + random() + random() + random() + random() + random() - 3
    return shapes[shape]!(count, () => normal() * Math.SQRT2, random)
  })

function column(shape: string, count = 1024): Float64Array {
  const random = generator(77)
  return shapes[shape]!(
    count,
    () => (random() + random() + random() + random() + random() + random() - 3) * Math.SQRT2,
    random,
  )
}

test('rows come back to the bit, and twins write the same bytes', () => {
  fc.assert(
    fc.property(columns, rows => {
      const block = encode(wasm, rows)
      expect(encode(referenceKernels, rows)).toEqual(block)
      for (const kernels of twins) expect(bitsOf(decode(kernels, block))).toEqual(bitsOf(rows))
      expect(block.length).toBeLessThanOrEqual(2 + 8 * rows.length)
    }),
    { numRuns: 250 },
  )
})

describe('what is chosen', () => {
  const codedOf = (shape: string) => {
    const header = headerOf(encode(wasm, column(shape)))
    expect(header.mode).toBe(blockMode.coded)
    return { ...header.coded, exceptions: header.exceptions, unit: header.unit }
  }
  test('differences of an order', () => {
    expect(codedOf('noise about a level').order).toBe(0)
    expect(codedOf('a walk of two decimals').order).toBe(1)
    expect(codedOf('a curve').order).toBe(2)
  })
  test('repeats, outliers, exceptions, units', () => {
    expect(codedOf('values that mostly stay').repeats).toBeGreaterThan(700)
    expect(codedOf('a counter that is reset').outliers).toBe(2)
    expect(codedOf('decimals among NaNs').exceptions).toBeGreaterThan(5)
    expect(codedOf('multiples of a page').unit).toBe(4096)
  })
  test('32 bits where they do, 64 else, and bits of doubles', () => {
    expect(codedOf('a counter that is reset').wide).toBe(false)
    expect(codedOf('a counter of many bytes')).toMatchObject({ wide: true, bits: false, order: 1 })
    expect(codedOf('a curve of many bytes')).toMatchObject({ wide: true, bits: false, order: 2 })
    expect(codedOf('a walk of doubles')).toMatchObject({ wide: true, bits: true, drop: 0 })
    expect(codedOf('a walk of single-precision numbers')).toMatchObject({ wide: true, bits: true, drop: 29 })
  })
  test('what is plain already stays as it is', () => {
    for (const rows of [new Float64Array(1024).fill(7), Float64Array.from({ length: 1024 }, (_, i) => 10 * i)]) {
      const out = new Uint8Array(blockBytesMax)
      expect(encode(wasm, rows)).toEqual(out.slice(0, wasm.encodeValues(rows, 0, 1024, out, 0)))
    }
  })
})

test('density, in bytes a value', () => {
  const limits: Record<string, number> = {
    'a walk of two decimals': 1.12,
    'a walk of integers': 0.3,
    'values that mostly stay': 0.35,
    'a walk of single-precision numbers': 3,
    'a walk of doubles': 6.7,
  }
  for (const [shape, limit] of Object.entries(limits)) {
    const perValue = encode(wasm, column(shape)).length / 1024
    expect(perValue, shape).toBeLessThan(limit)
    expect(perValue, shape).toBeGreaterThan(0.8 * limit)
  }
})

describe('frequencies', () => {
  const counts = fc.array(fc.oneof(fc.nat(3), fc.nat(1024)), { minLength: 1, maxLength: 64 })
  test('add up to 256; a symbol has a state exactly if it occurs', () => {
    fc.assert(
      fc.property(counts, all => {
        fc.pre(all.some(count => count > 0))
        const levels = new Uint8Array(64)
        const frequencies = new Uint16Array(64)
        levelsOf(Uint32Array.from(all), all.length, levels)
        frequenciesOf(levels, all.length, frequencies)
        expect(frequencies.reduce((sum, each) => sum + each, 0)).toBe(256)
        for (const [symbol, count] of all.entries()) expect(frequencies[symbol]! > 0).toBe(count > 0)
      }),
    )
  })
})

describe('curves', () => {
  const all = Object.values(curveShapes).flatMap(shape =>
    Array.from({ length: spreadCount }, (_, spread) => curveOf(shape, spread)),
  )
  /** Steps whose deviation is about that: normal, or with a peak and long tails. */
  const walkOf = (deviation: number, isPeaked: boolean, seed: number): Float64Array => {
    const random = generator(seed)
    const step = (): number => {
      if (isPeaked) return -Math.log(1 - random()) * (random() < 0.5 ? -1 : 1) * deviation * Math.SQRT1_2
      return (random() + random() + random() + random() + random() + random() - 3) * Math.SQRT2 * deviation
    }
    return walked(
      1024,
      1e6,
      () => Math.round(step()),
      at => at,
    )
  }
  const curveIn = (rows: Float64Array): number => headerOf(encode(wasm, rows)).coded.curve

  test('frequencies of each add up to 256, and all symbols have some', () => {
    for (const curve of all) {
      for (let symbols = 3; symbols <= 2 * curveReachMax + 1; symbols += 2) {
        const frequencies = new Uint16Array(64)
        curveFrequencies(curve, symbols, frequencies)
        expect(frequencies.reduce((sum, each) => sum + each, 0)).toBe(256)
        expect(frequencies.subarray(0, symbols).every(each => each > 0)).toBe(true)
        expect(frequencies.subarray(symbols).every(each => each === 0)).toBe(true)
      }
    }
  })

  test('are chosen for what lies about a middle, levels for what does not', () => {
    expect(curveIn(column('a walk of two decimals')) >> 6).toBe(curveShapes.normal)
    expect(curveIn(column('a walk of integers'))).toBeGreaterThanOrEqual(0)
    expect(curveIn(walkOf(1.5, true, 3)) >> 6).not.toBe(curveShapes.normal)
    expect(curveIn(column('values that mostly stay'))).toBe(-1)
    const random = generator(5)
    const steps = [-40, -1, 7, 90]
    const odd = walked(
      1024,
      0,
      () => steps[Math.floor(random() * 4)]!,
      at => at,
    )
    expect(curveIn(odd)).toBe(-1)
  })

  test('blocks of more of them than tables are kept come back in any order, levels among them', () => {
    const rows = [0.4, 0.7, 1, 1.4, 2, 3, 5, 9, 13, 40, 77, 300, 4000, 1e5, 3e6].flatMap((deviation, i) =>
      [false, true].map(isPeaked => walkOf(deviation, isPeaked, 11 + i)),
    )
    const blocks = [...rows, column('values that mostly stay')].map(each => ({ rows: each, block: encode(wasm, each) }))
    for (const { rows: each, block } of blocks) expect(encode(referenceKernels, each)).toEqual(block)
    const curves = new Set(blocks.map(({ block }) => headerOf(block).coded.curve))
    expect(curves.size).toBeGreaterThan(10)
    const random = generator(1)
    for (let i = 0; i < 300; i++) {
      const { rows: each, block } = blocks[Math.floor(random() * blocks.length)]!
      for (const kernels of twins) expect(bitsOf(decode(kernels, block))).toEqual(bitsOf(each))
    }
  })

  test('one that is unknown is damage', () => {
    const block = encode(wasm, column('a walk of integers'))
    // the header's last byte
    const at = headerBytes(headerOf(block)) - 1
    expect(block[at]).toBe(headerOf(block).coded.curve)
    for (const curve of [spreadCount, 63, 0xc0, 0xff]) {
      block[at] = curve
      for (const kernels of twins) expect(() => decode(kernels, block)).toThrow(BlockError)
    }
  })
})

describe('damage', () => {
  /** What either twin makes of the block: its rows, or that it is damaged. */
  const outcome = (kernels: Kernels, block: Uint8Array): BigUint64Array | 'damaged' => {
    const out = new Float64Array(blockRowsMax + 8).fill(42)
    try {
      const count = kernels.decodeValues(block, 0, block.length, out, 4)
      expect(out.subarray(0, 4).every(value => value === 42)).toBe(true)
      expect(out.subarray(4 + count).every(value => value === 42)).toBe(true)
      // bits of a NaN that arithmetic makes are the machine's
      return bitsOf(out.slice(4, 4 + count).map(value => (Number.isNaN(value) ? Number.NaN : value)))
    } catch (error) {
      expect(error).toBeInstanceOf(BlockError)
      return 'damaged'
    }
  }

  test('flipped bytes: a BlockError or other rows, in twins alike', () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean()), {
      minLength: 1,
      maxLength: 3,
    })
    fc.assert(
      fc.property(columns, flips, (rows, changes) => {
        const block = encode(wasm, rows)
        for (const [position, mask, early] of changes) {
          const at = position % (early ? Math.min(24, block.length) : block.length)
          block[at] = block[at]! ^ mask
        }
        expect(outcome(wasm, block)).toEqual(outcome(referenceKernels, block))
      }),
      { numRuns: 400 },
    )
  })

  test('headers that never were', () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 120 })
    fc.assert(
      fc.property(fc.nat(1023), bytes, (rows, rest) => {
        const prefix = rows | (blockMode.coded << 10)
        const block = Uint8Array.of(prefix & 0xff, prefix >> 8, ...rest)
        expect(outcome(wasm, block)).toEqual(outcome(referenceKernels, block))
      }),
      { numRuns: 1500 },
    )
  })

  test('a stream that is cut short or goes on', () => {
    const block = encode(wasm, column('a walk of integers'))
    for (const kernels of twins) {
      expect(outcome(kernels, block.slice(0, -1))).toBe('damaged')
      expect(outcome(kernels, Uint8Array.of(...block, 0))).toBe('damaged')
      const long = new Uint8Array(300_000).fill(0xa5)
      long.set(block)
      expect(outcome(kernels, long)).toBe('damaged')
      expect(bitsOf(decode(kernels, block))).toEqual(bitsOf(column('a walk of integers')))
    }
  })
})
