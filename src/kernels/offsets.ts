/**
 * Blocks of numbers of the write-ahead log (`docs/format/wal.md`): offsets from the smallest, of decimals and integers.
 *
 *   bytes of an offset u8 (0, 1, 2, 4) | exponent i8 | smallest f64 | offsets        or        8 | raw f64
 *
 * Close to a memcpy: blocks that are smaller cost ten times as much to write (`codec.ts`).
 *
 * Invariants:
 * 1. A value is (smallest + offset) / 10^exponent, or times 10^-exponent, to the bit: each is looked at. What is not, −0, NaN
 *    and infinity among it, leaves its block raw.
 * 2. Smallest and sum are integers below 2^51, offsets below 2^32: exact.
 */
import { assert } from '../lib/assert.ts'
import { powersOfTen } from './codec-format.ts'
import type { CodecModule } from './codec-module.ts'
import { blockRowsMax, type Kernels } from './kernels.ts'

/** Decimals looked for. */
const decimalsMax = 12
/** Whole seconds, milliseconds. */
const timeExponents = [-6, -3] as const
const headerBytes = 10
const rawWidth = 8

export function createOffsets(module: CodecModule): Pick<Kernels, 'encodeOffsets'> {
  const { memory, valuesAt, bodyAt, resultsAt } = module
  const rows = new Float64Array(memory, valuesAt, blockRowsMax)
  const results = new Float64Array(memory, resultsAt, 2)
  const body = new Uint8Array(memory, bodyAt, 4 * blockRowsMax)
  /** A number's bytes. */
  const number = new Float64Array(1)
  const numberBytes = new Uint8Array(number.buffer)

  /** The exponent with which all rows are integers; undefined where there is none. */
  function exponentOf(count: number, isTimes: boolean): number | undefined {
    if (isTimes) {
      for (const exponent of timeExponents) if (module.scaleExactly(count, exponent) === count) return exponent
    }
    for (let exponent: number | undefined = 0; exponent !== undefined; ) {
      const row = module.scaleExactly(count, exponent)
      if (row === count) return exponent
      exponent = decimalsOf(rows[row]!, exponent + 1)
    }
    return undefined
  }

  return {
    encodeOffsets(values, from, count, isTimes, out, at) {
      assert(count >= 1 && count <= blockRowsMax, 'a block holds 1 to 1,024 rows')
      const given = values.subarray(from, from + count)
      rows.set(given)
      const exponent = exponentOf(count, isTimes)
      const least = results[0]!
      const width = exponent === undefined ? rawWidth : widthOf(results[1]! - least)
      if (exponent === undefined || headerBytes + count * width >= 1 + count * rawWidth) {
        out[at] = rawWidth
        out.set(new Uint8Array(given.buffer, given.byteOffset, given.byteLength), at + 1)
        return 1 + given.byteLength
      }
      out[at] = width
      out[at + 1] = exponent
      number[0] = least
      out.set(numberBytes, at + 2)
      if (width > 0) {
        module.putOffsets(count, width as 1 | 2 | 4, least)
        out.set(body.subarray(0, count * width), at + headerBytes)
      }
      return headerBytes + count * width
    },
  }
}

/** Bytes of an offset; `rawWidth` of more than 32 bits. */
function widthOf(range: number): number {
  if (range === 0) return 0
  if (range < 2 ** 16) return range < 2 ** 8 ? 1 : 2
  return range < 2 ** 32 ? 4 : rawWidth
}

/** The fewest decimals, of `least` or more, that the value may have; undefined when it has more than are looked for. */
function decimalsOf(value: number, least: number): number | undefined {
  if (value === 0) return undefined // −0
  for (let exponent = least; exponent <= decimalsMax; exponent++) {
    const scale = powersOfTen[exponent]!
    if (Math.round(value * scale) / scale === value) return exponent
  }
  return undefined
}
