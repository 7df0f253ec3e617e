/** The loops of `assembly/offsets.ts` in plain TypeScript, with the same bits in the regions. */
import { powersOfTen } from './codec-format.ts'
import type { CodecRegions, OffsetFunctions } from './codec-module.ts'
import { blockRowsMax } from './kernels.ts'

const roundingMagic = 1.5 * 2 ** 52
const magnitudeMax = 2 ** 51

export function createOffsetsReference(memory: ArrayBuffer, regions: CodecRegions): OffsetFunctions {
  const values = new Float64Array(memory, regions.valuesAt, blockRowsMax)
  const integers = new Float64Array(memory, regions.integersAt, blockRowsMax)
  const results = new Float64Array(memory, regions.resultsAt, 8)
  const body = {
    1: new Uint8Array(memory, regions.bodyAt, blockRowsMax),
    2: new Uint16Array(memory, regions.bodyAt, blockRowsMax),
    4: new Uint32Array(memory, regions.bodyAt, blockRowsMax),
  }

  return {
    scaleExactly(count, exponent) {
      const scale = powersOfTen[Math.abs(exponent)]!
      let least = Number.POSITIVE_INFINITY
      let greatest = Number.NEGATIVE_INFINITY
      for (let i = 0; i < count; i++) {
        const value = values[i]!
        const integer = (exponent < 0 ? value / scale : value * scale) + roundingMagic - roundingMagic
        const again = exponent < 0 ? integer * scale : integer / scale
        if (!(Object.is(again, value) && Math.abs(integer) < magnitudeMax)) return i
        integers[i] = integer
        least = Math.min(least, integer)
        greatest = Math.max(greatest, integer)
      }
      results[0] = least
      results[1] = greatest
      return count
    },
    putOffsets(count, width, least) {
      const to = body[width]
      for (let i = 0; i < count; i++) to[i] = integers[i]! - least
    },
  }
}
