/**
 * Summaries and filters of a slice in plain TypeScript: the readable form of `assembly/aggregate.ts`.
 *
 * Invariant: sums are made in its order — eight partial sums take rows in turn, are added pairwise, and the last up to
 * seven rows follow one by one — so both give the same bits.
 */
import { passes } from './aggregate.ts'
import { type CodecFunctions, type CodecRegions, runsMax, sliceRowsMax } from './codec-module.ts'

type Loops = Pick<CodecFunctions, 'summarizeRuns' | 'filterRows'>

export function createReferenceLoops(memory: ArrayBuffer, regions: CodecRegions): Loops {
  const values = new Float64Array(memory, regions.valuesAt, sliceRowsMax)
  const valid = new Uint8Array(memory, regions.validAt, sliceRowsMax)
  const bounds = new Uint32Array(memory, regions.boundsAt, runsMax + 1)
  const summaries = new Float64Array(memory, regions.summariesAt, 5 * runsMax)
  const selected = new Uint32Array(memory, regions.selectedAt, sliceRowsMax)

  /** The value of a row as a sum takes it. */
  const term = (row: number, masked: boolean): number => (masked && valid[row] === 0 ? 0 : values[row]!)

  function sumOf(from: number, end: number, masked: boolean): number {
    const stride = end - ((end - from) % 8)
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    let s4 = 0
    let s5 = 0
    let s6 = 0
    let s7 = 0
    for (let i = from; i < stride; i += 8) {
      s0 += term(i, masked)
      s1 += term(i + 1, masked)
      s2 += term(i + 2, masked)
      s3 += term(i + 3, masked)
      s4 += term(i + 4, masked)
      s5 += term(i + 5, masked)
      s6 += term(i + 6, masked)
      s7 += term(i + 7, masked)
    }
    let sum = s0 + s2 + (s4 + s6) + (s1 + s3 + (s5 + s7))
    for (let i = stride; i < end; i++) sum += term(i, masked)
    return sum
  }

  function summarizeRuns(runs: number, masked: number): void {
    for (let run = 0; run < runs; run++) {
      const from = bounds[run]!
      const end = bounds[run + 1]!
      let count = 0
      let nanCount = 0
      let min = Number.POSITIVE_INFINITY
      let max = Number.NEGATIVE_INFINITY
      for (let i = from; i < end; i++) {
        if (masked === 1 && valid[i] === 0) continue
        const value = values[i]!
        count++
        if (Number.isNaN(value)) nanCount++
        if (value < min) min = value
        if (value > max) max = value
      }
      const at = 5 * run
      summaries[at] = count
      summaries[at + 1] = nanCount
      summaries[at + 2] = min + 0
      summaries[at + 3] = max + 0
      summaries[at + 4] = sumOf(from, end, masked === 1)
    }
  }

  function filterRows(
    test: Parameters<CodecFunctions['filterRows']>[0],
    constant: number,
    count: number,
    base: number,
    masked: number,
  ): number {
    let found = 0
    for (let i = 0; i < count; i++) {
      if ((masked === 1 && valid[i] === 0) || !passes(test, values[i]!, constant)) continue
      selected[found++] = base + i
    }
    return found
  }

  return { summarizeRuns, filterRows }
}
