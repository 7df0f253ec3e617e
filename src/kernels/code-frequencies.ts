/**
 * How frequent the symbols of a coded block are: exactly as counted, then as a level of 4 bits each, then as states.
 *
 *   counts -> levels (in the header) -> frequencies, of which there are 256
 *
 * Invariants:
 * 1. A symbol that occurs has at least one state, one that does not has none; all add up to 256.
 * 2. Frequencies are computed in whole numbers from the levels alone, so that reader and writer agree.
 */
import { codeStates } from './codec-module.ts'

/** Of a level; level 1 is a symbol that occurs, and no more. */
const weights = Uint8Array.of(0, 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
const heaviest = weights.at(-1)!
const levelMax = weights.length - 1

/** Level of each whole weight, 0 to 128: the nearest in proportion. */
const levelOfWeight = Uint8Array.from({ length: heaviest + 1 }, (_, weight) => {
  let level = levelMax
  while (level > 1 && (weight + 0.3) ** 2 < (weights[level]! + 0.3) * (weights[level - 1]! + 0.3)) level--
  return level
})

/** Writes a level for each symbol; the most frequent one gets the highest. Not all counts are 0. */
export function levelsOf(counts: Uint32Array, symbols: number, levels: Uint8Array): void {
  let most = 0
  for (let s = 0; s < symbols; s++) most = Math.max(most, counts[s]!)
  const scale = heaviest / most
  for (let s = 0; s < symbols; s++) levels[s] = counts[s] === 0 ? 0 : levelOfWeight[Math.round(counts[s]! * scale)]!
}

/** Writes how many of the code's states each symbol has. One level at least is above 1. */
export function frequenciesOf(levels: Uint8Array, symbols: number, frequencies: Uint16Array): void {
  let total = 0
  let free = codeStates
  for (let s = 0; s < symbols; s++) {
    total += weights[levels[s]!]!
    if (levels[s]! > 0) free--
  }
  let sum = 0
  let given = 0
  for (let s = 0; s < symbols; s++) {
    const level = levels[s]!
    sum += weights[level]!
    const upTo = ((sum * free) / total) | 0
    frequencies[s] = level === 0 ? 0 : 1 + upTo - given
    given = upTo
  }
}
