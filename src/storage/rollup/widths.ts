/** The widths a rollup may have. A rollup's level in its header is the index here, for ever: new widths go to the end. */
import { assert } from '../../lib/assert.ts'
import { type RollupWidth, rollupWidthNames } from '../../lib/rollup-widths.ts'

const secondUs = 1e6
const minuteUs = 60 * secondUs
const hourUs = 60 * minuteUs

/** In the order of their names. Each divides a day, so that the grids of all of them, multiples of the width since the epoch, share their midnights. */
export const rollupWidthsUs: readonly number[] = [
  secondUs,
  10 * secondUs,
  minuteUs,
  5 * minuteUs,
  15 * minuteUs,
  30 * minuteUs,
  hourUs,
  6 * hourUs,
  24 * hourUs,
]

export const coarsestWidthUs: number = Math.max(...rollupWidthsUs)

export function rollupLevel(widthUs: number): number {
  const level = rollupWidthsUs.indexOf(widthUs)
  assert(level >= 0, `rollups of ${widthUs} µs are in the table`)
  return level
}

export const rollupWidthName = (widthUs: number): RollupWidth => rollupWidthNames[rollupLevel(widthUs)]!
export const rollupWidthUs = (name: RollupWidth): number => rollupWidthsUs[rollupWidthNames.indexOf(name)]!
