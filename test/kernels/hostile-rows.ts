/** Columns of doubles that codecs and aggregates meet, from the tame to the hostile. */
import * as fc from 'fast-check'

const hostileDoubles = [
  0,
  -0,
  1,
  -1,
  0.1,
  -23.47,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  2.2250738585072014e-308,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  2 ** 51,
  2 ** 51 - 1,
  -(2 ** 51),
  2 ** 52,
  2 ** 53,
  2 ** 53 - 1,
  -(2 ** 53),
  9e15,
  -9e15,
  9e15 + 2,
  2 ** 63,
  -(2 ** 63),
  2 ** 64,
  4294967295,
  4294967296,
  1e15,
  123456789012.345,
]

const fromBits = (bits: bigint): number => new Float64Array(new BigUint64Array([bits]).buffer)[0]!

const anyBits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
/** Quiet and signalling NaNs of either sign with any payload. */
const nanBits = fc
  .tuple(fc.boolean(), fc.bigInt({ min: 1n, max: 2n ** 52n - 1n }))
  .map(([negative, payload]) => (negative ? 0xfff0000000000000n : 0x7ff0000000000000n) | payload)

/** A column as bits, so that no NaN loses its payload on the way. */
const columnOfBits = (bits: fc.Arbitrary<bigint>, count: number): fc.Arbitrary<Float64Array> =>
  fc.array(bits, { minLength: count, maxLength: count }).map(all => new Float64Array(new BigUint64Array(all).buffer))

const column = (item: fc.Arbitrary<number>, count: number): fc.Arbitrary<Float64Array> =>
  fc.array(item, { minLength: count, maxLength: count }).map(all => Float64Array.from(all))

/** Sums of steps times a scale, from a start. */
const walk = (start: fc.Arbitrary<number>, step: fc.Arbitrary<number>, scale: number, count: number) =>
  fc.tuple(start, fc.array(step, { minLength: count, maxLength: count })).map(([first, steps]) => {
    let at = first
    return Float64Array.from(steps, step => (at += step) / scale)
  })

const int = (min: number, max: number) => fc.integer({ min, max })

/** A few rows of the column replaced by others. */
const spoiled = (rows: fc.Arbitrary<Float64Array>, by: fc.Arbitrary<bigint>) =>
  fc.tuple(rows, fc.array(fc.tuple(fc.nat(), by), { maxLength: 12 })).map(([tame, changes]) => {
    const words = new BigUint64Array(tame.slice().buffer)
    for (const [position, bits] of changes) words[position % words.length] = bits
    return new Float64Array(words.buffer)
  })

const runs = (count: number) =>
  fc.array(fc.tuple(fc.constantFrom(...hostileDoubles), int(1, 200)), { minLength: 1, maxLength: 40 }).map(parts => {
    const all = parts.flatMap(([value, length]) => new Array<number>(length).fill(value))
    return Float64Array.from({ length: count }, (_, i) => all[i % all.length]!)
  })

/** Series one after the other, each with a clock of its own: times fall where the next begins. */
const clocks = (count: number) =>
  fc
    .tuple(int(1, 300), fc.constantFrom(1, 1000, 1e6, 1e7, 86_400e6), int(0, 120), int(0, 2 ** 30))
    .map(([rows, step, jitter, seed]) => {
      let state = seed
      return Float64Array.from({ length: count }, (_, i) => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0
        return 1.7e15 + (i % rows) * step + (jitter === 0 ? 0 : (state >>> 8) % jitter) * 1000
      })
    })

const kinds = (count: number): fc.Arbitrary<Float64Array>[] => [
  columnOfBits(anyBits, count),
  columnOfBits(nanBits, count),
  column(fc.constantFrom(...hostileDoubles), count),
  walk(int(-100_000, 100_000), int(-9, 9), 100, count),
  walk(int(-1000, 1000), int(0, 60), 1, count),
  walk(int(0, 2 ** 30), int(0, 2 ** 31 - 1), 1, count),
  walk(fc.constant(1.7e15), int(0, 1e9), 1, count),
  spoiled(walk(int(-1000, 1000), int(-5, 5), 1000, count), fc.oneof(anyBits, nanBits)),
  column(fc.maxSafeInteger(), count),
  column(
    fc.double({ noNaN: true, min: -1e9, max: 1e9 }).map(value => Math.round(value * 4) / 4),
    count,
  ),
  column(
    fc.bigInt({ min: -(2n ** 45n), max: 2n ** 45n }).map(value => Number(value)),
    count,
  ),
  walk(int(0, 1000), int(-3, 3), 1 / 4096, count),
  spoiled(clocks(count), anyBits),
  clocks(count),
  runs(count),
]

const lengths = fc.oneof(
  { weight: 4, arbitrary: int(1, 130) },
  { weight: 1, arbitrary: fc.constantFrom(1, 2, 3, 127, 128, 129, 255, 256, 257, 1023, 1024) },
  { weight: 1, arbitrary: int(1, 1024) },
)

/** 1 to 1,024 rows. */
export const hostileRows: fc.Arbitrary<Float64Array> = lengths.chain(count => fc.oneof(...kinds(count)))

export { fromBits, hostileDoubles }

/** The bits of rows, for comparing to the bit. */
export const bitsOf = (rows: Float64Array): BigUint64Array => new BigUint64Array(rows.slice().buffer)
