/**
 * How frequent the symbols of a coded block are: exactly as counted, then as a level of 4 bits each, then as states. Or, where
 * they lie about a middle as a curve has it, what that curve says.
 *
 *   counts -> levels (in the header) -> frequencies, of which there are 256
 *             curve (in the header)  ->
 *
 * Invariants:
 * 1. A symbol that occurs has at least one state, one that does not has none; all add up to 256. With a curve all occur.
 * 2. Frequencies are computed in whole numbers from what the header has alone, so that reader and writer agree.
 */
import { codeStates, symbolsMax } from './codec-module.ts'

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

/**
 * How far a curve spreads: 2^16 times what its second value is of its first. For a normal distribution whose deviation is
 * 2^((k - 16) / 8) symbols, that is e^(-1 / 2 deviation^2).
 */
const spreads = Uint16Array.of(
  ...[22, 79, 229, 563, 1200, 2268, 3874, 6075, 8869, 12192, 15933, 19953, 24109, 28267, 32314, 36162, 39750, 43041],
  ...[46019, 48681, 51039, 53111, 54917, 56484, 57835, 58997, 59992, 60842, 61565, 62181, 62703, 63145, 63520, 63836],
  ...[64104, 64329, 64520, 64681, 64816, 64930],
)
export const spreadCount = spreads.length
/** normal: ratios of neighbours fall by their square; exponential: they stay; between: they fall by the root. */
export const curveShapes = { normal: 0, between: 1, exponential: 2 } as const
export type CurveShape = (typeof curveShapes)[keyof typeof curveShapes]

/** A curve is a byte: bits 0-5 its spread, from bit 6 on its shape. */
export const curveOf = (shape: CurveShape, spread: number): number => (shape << 6) | spread
export const isCurve = (curve: number): boolean => (curve & 63) < spreadCount && curve >> 6 <= curveShapes.exponential

/** Symbols to either side of the middle. */
export const curveReachMax = (symbolsMax >> 1) - 1
const curveTop = 2 ** 20

/** What the curve is at its middle, and so far from it: `curveReachMax` places. */
export function curveWeights(curve: number, weights: Float64Array): void {
  const spread = spreads[curve & 63]!
  const shape = curve >> 6
  const fall =
    shape === curveShapes.exponential
      ? 65_536
      : shape === curveShapes.normal
        ? Math.floor((spread * spread) / 65_536)
        : Math.floor(Math.sqrt(spread * 65_536))
  let weight = curveTop
  let ratio = spread
  for (let distance = 0; distance <= curveReachMax; distance++) {
    weights[distance] = weight
    weight = Math.floor((weight * ratio) / 65_536)
    ratio = Math.floor((ratio * fall) / 65_536)
  }
}

/** Writes how many of the code's states each of an odd number of symbols has. */
export function curveFrequencies(curve: number, symbols: number, frequencies: Uint16Array): void {
  curveWeights(curve, curveScratch)
  const middle = symbols >> 1
  let total = 0
  for (let s = 0; s < symbols; s++) total += curveScratch[Math.abs(s - middle)]!
  const free = codeStates - symbols
  let sum = 0
  let given = 0
  for (let s = 0; s < symbols; s++) {
    sum += curveScratch[Math.abs(s - middle)]!
    const upTo = Math.floor((sum * free) / total)
    frequencies[s] = 1 + upTo - given
    given = upTo
  }
}
const curveScratch = new Float64Array(curveReachMax + 1)
