/**
 * Which curve says best how residuals lie about their middle.
 *
 *   counts of 63 symbols, the 32nd in the middle -> curve, symbols, bits
 *
 * Invariants:
 * 1. The choice depends on the counts alone.
 * 2. What lies beyond a curve's symbols is an outlier.
 */
import {
  type CurveShape,
  curveFrequencies,
  curveOf,
  curveReachMax,
  curveShapes,
  curveWeights,
  spreadCount,
} from './code-frequencies.ts'
import { codeStates, outliersMax, symbolsMax } from './codec-module.ts'

export interface CurveFit {
  readonly curve: number
  /** Symbols to either side of the middle. */
  readonly reach: number
  readonly outliers: number
  /** Of symbols, outliers and the curve. */
  readonly bits: number
}

const curveBits = 8
/** A fit that takes so little more than it must, a part of it, is good: no other shape is tried. */
const goodShare = 1 / 64
const spreadsAnOctave = 8
/** Of which the deviation is one symbol. */
const spreadOfOne = 16

/**
 * The best fit; undefined when each leaves out too many. `deviation` in symbols, about; `outside` are already beyond;
 * `information` is what the counts take at least.
 */
export function fitCurve(
  counts: Uint32Array,
  deviation: number,
  outside: number,
  outlierBits: number,
  information: number,
): CurveFit | undefined {
  const start = Math.round(spreadOfOne + spreadsAnOctave * Math.log2(Math.max(deviation, 0.25)))
  let best: CurveFit | undefined
  for (const shape of shapes) {
    const found = fitShape(counts, shape, start, outside, outlierBits)
    if (found !== undefined && (best === undefined || found.bits < best.bits)) best = found
    if (best !== undefined && best.bits - curveBits <= information * (1 + goodShare)) break
  }
  return best
}

const shapes = [curveShapes.normal, curveShapes.between, curveShapes.exponential] as const

/** From about the right spread to the best, step by step: bits fall and then rise. */
function fitShape(
  counts: Uint32Array,
  shape: CurveShape,
  start: number,
  outside: number,
  outlierBits: number,
): CurveFit | undefined {
  const bitsOf = (spread: number): number => curveBitsOf(costsOf(curveOf(shape, spread)), counts, total, outlierBits)
  let total = outside
  for (let s = 0; s <= 2 * middle; s++) total += counts[s]!
  let spread = Math.min(Math.max(start, 0), spreadCount - 1)
  let bits = bitsOf(spread)
  for (const step of [1, -1]) {
    const from = spread
    while (spread + step >= 0 && spread + step < spreadCount) {
      const next = bitsOf(spread + step)
      if (next >= bits) break
      bits = next
      spread += step
    }
    if (spread !== from) break
  }
  const curve = curveOf(shape, spread)
  const { reach } = costsOf(curve)
  const outliers = outside + beyond(counts, reach)
  return outliers > outliersMax ? undefined : { curve, reach, outliers, bits: bits + curveBits }
}

const middle = curveReachMax

interface Costs {
  readonly reach: number
  /** Bits of each symbol. */
  readonly bits: Float64Array
}

function curveBitsOf({ reach, bits }: Costs, counts: Uint32Array, total: number, outlierBits: number): number {
  let sum = 0
  let left = total
  const from = middle - reach
  for (let s = 0; s < bits.length; s++) {
    const count = counts[from + s]!
    sum += count * bits[s]!
    left -= count
  }
  return sum + left * outlierBits
}

function beyond(counts: Uint32Array, reach: number): number {
  let sum = 0
  for (let distance = reach + 1; distance <= middle; distance++)
    sum += counts[middle - distance]! + counts[middle + distance]!
  return sum
}

const known: (Costs | undefined)[] = new Array(256).fill(undefined)

function costsOf(curve: number): Costs {
  return (known[curve] ??= newCosts(curve))
}

/** A curve's symbols reach as far as one that is not worth half a state. */
function newCosts(curve: number): Costs {
  const weights = new Float64Array(curveReachMax + 1)
  curveWeights(curve, weights)
  const total = weights.reduce((sum, weight, distance) => sum + (distance === 0 ? weight : 2 * weight), 0)
  let reach = 1
  while (reach < curveReachMax && weights[reach + 1]! * codeStates * 2 > total) reach++
  const symbols = 2 * reach + 1
  const frequencies = new Uint16Array(symbolsMax)
  curveFrequencies(curve, symbols, frequencies)
  return { reach, bits: Float64Array.from(frequencies.subarray(0, symbols), f => Math.log2(codeStates / f)) }
}
