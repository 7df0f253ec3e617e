/**
 * Summaries, bucket runs and filters over columns of any length: slices go through the module's memory.
 *
 *   rows -> slices of `sliceRowsMax` -> loops of the module -> results, joined where a slice cuts a run
 *
 * Invariants:
 * 1. A sum's order depends only on the rows and their range, so both implementations give the same bits.
 * 2. A sum is NaN if a value is, or if infinities cancel; the NaN is always the same one. Zeros among min and max are +0.
 * 3. Times are never copied: the ends of runs are found where they lie.
 */
import { assert } from '../lib/assert.ts'
import { type CodecModule, type Predicate, predicate, runsMax, sliceRowsMax } from './codec-module.ts'
import type { Comparison, Kernels, Summary } from './kernels.ts'

type Aggregates = Pick<Kernels, 'summarize' | 'bucketRuns' | 'filter'>

/** Up to this many rows, a loop copies faster than a view and `set`. */
const loopCopyMax = 24

export function createAggregates(module: CodecModule): Aggregates {
  const { memory } = module
  const values = new Float64Array(memory, module.valuesAt, sliceRowsMax)
  const validity = new Uint8Array(memory, module.validAt, sliceRowsMax)
  const bounds = new Uint32Array(memory, module.boundsAt, runsMax + 1)
  const runSummaries = new Float64Array(memory, module.summariesAt, 5 * runsMax)
  const selected = new Uint32Array(memory, module.selectedAt, sliceRowsMax)

  function copyIn(rows: Float64Array, valid: Uint8Array | undefined, from: number, to: number): void {
    if (to - from <= loopCopyMax) {
      for (let i = from; i < to; i++) values[i - from] = rows[i]!
      if (valid !== undefined) for (let i = from; i < to; i++) validity[i - from] = valid[i]!
      return
    }
    values.set(rows.subarray(from, to))
    if (valid !== undefined) validity.set(valid.subarray(from, to))
  }

  function summarize(rows: Float64Array, valid: Uint8Array | undefined, from: number, to: number, into: Summary): void {
    checkRange(rows, valid, from, to)
    for (let row = from; row < to; row += sliceRowsMax) {
      const end = Math.min(row + sliceRowsMax, to)
      copyIn(rows, valid, row, end)
      bounds[0] = 0
      bounds[1] = end - row
      module.summarizeRuns(1, valid === undefined ? 0 : 1)
      into.count += runSummaries[0]!
      into.nanCount += runSummaries[1]!
      if (runSummaries[2]! < into.min) into.min = runSummaries[2]!
      if (runSummaries[3]! > into.max) into.max = runSummaries[3]!
      into.sum = oneNaN(into.sum + runSummaries[4]!)
    }
  }

  function bucketRuns(
    times: Float64Array,
    rows: Float64Array,
    valid: Uint8Array | undefined,
    from: number,
    to: number,
    originUs: number,
    widthUs: number,
    starts: Float64Array,
    summaries: Float64Array,
  ): number {
    assert(widthUs > 0, 'a bucket has a width')
    checkRange(rows, valid, from, to)
    assert(to <= times.length, 'every row has a time')
    const masked = valid === undefined ? 0 : 1
    let written = 0
    for (let row = from; row < to; ) {
      const sliceEnd = Math.min(row + sliceRowsMax, to)
      // a run that the slice before cut off goes on in this one
      const joins = written > 0 && bucketStart(times[row]!, originUs, widthUs) === starts[written - 1]
      const base = joins ? written - 1 : written
      let runs = 0
      let next = row
      bounds[0] = 0
      while (next < sliceEnd && runs < runsMax) {
        const startUs = bucketStart(times[next]!, originUs, widthUs)
        next = runEnd(times, next, sliceEnd, startUs + widthUs)
        starts[base + runs] = startUs
        runs++
        bounds[runs] = next - row
      }
      copyIn(rows, valid, row, next)
      module.summarizeRuns(runs, masked)
      if (joins) joinRun(summaries, 5 * base)
      putRuns(summaries, base, joins ? 1 : 0, runs)
      written = base + runs
      row = next
    }
    return written
  }

  function putRuns(summaries: Float64Array, base: number, first: number, runs: number): void {
    for (let from = 5 * first, to = 5 * (base + first); from < 5 * runs; from++, to++) {
      summaries[to] = runSummaries[from]!
    }
    for (let at = 5 * (base + first) + 4; at < 5 * (base + runs); at += 5) summaries[at] = oneNaN(summaries[at]!)
  }

  /** Adds the first run of the slice to the summary at `summaries[at…]`. */
  function joinRun(summaries: Float64Array, at: number): void {
    summaries[at] = summaries[at]! + runSummaries[0]!
    summaries[at + 1] = summaries[at + 1]! + runSummaries[1]!
    summaries[at + 2] = Math.min(summaries[at + 2]!, runSummaries[2]!)
    summaries[at + 3] = Math.max(summaries[at + 3]!, runSummaries[3]!)
    summaries[at + 4] = oneNaN(summaries[at + 4]! + runSummaries[4]!)
  }

  function filter(
    rows: Float64Array,
    valid: Uint8Array | undefined,
    length: number,
    selection: Uint32Array | undefined,
    op: Comparison,
    constant: number,
    out: Uint32Array,
  ): number {
    const test = predicateOf(op, constant)
    if (test === undefined) return 0
    if (selection !== undefined) return filterSelected(rows, valid, selection, test, constant, out)
    checkRange(rows, valid, 0, length)
    const masked = valid === undefined ? 0 : 1
    let found = 0
    for (let row = 0; row < length; row += sliceRowsMax) {
      const end = Math.min(row + sliceRowsMax, length)
      copyIn(rows, valid, row, end)
      const passed = module.filterRows(test, constant, end - row, row, masked)
      if (passed <= loopCopyMax) for (let i = 0; i < passed; i++) out[found + i] = selected[i]!
      else out.set(selected.subarray(0, passed), found)
      found += passed
    }
    return found
  }

  return { summarize, bucketRuns, filter }
}

function checkRange(rows: Float64Array, valid: Uint8Array | undefined, from: number, to: number): void {
  assert(from >= 0 && to <= rows.length && (valid === undefined || to <= valid.length), 'rows lie within their arrays')
}

/** Engines may differ in the bits of a NaN they compute; this gives them all the same. */
const oneNaN = (sum: number): number => (Number.isNaN(sum) ? Number.NaN : sum)

/**
 * The start of the bucket a time is in, exact for times and origins within ±2^53. A quotient may be rounded across a
 * bucket's edge when it is large, so the edges themselves decide; a remainder is always exact, but slow.
 */
export function bucketStart(timeUs: number, originUs: number, widthUs: number): number {
  const distance = timeUs - originUs
  if (Math.abs(distance) + widthUs >= Number.MAX_SAFE_INTEGER) {
    const intoBucket = floorRemainder(timeUs, widthUs) - floorRemainder(originUs, widthUs)
    return timeUs - (intoBucket < 0 ? intoBucket + widthUs : intoBucket)
  }
  const startUs = originUs + Math.floor(distance / widthUs) * widthUs
  if (startUs > timeUs) return startUs - widthUs
  return startUs + widthUs <= timeUs ? startUs + widthUs : startUs
}

/** In [0, divisor). */
function floorRemainder(value: number, divisor: number): number {
  const remainder = value % divisor
  return remainder < 0 ? remainder + divisor : remainder
}

/** The first row after `row` whose time is not below `limitUs`: gallops, then bisects. */
function runEnd(times: Float64Array, row: number, end: number, limitUs: number): number {
  let low = row
  let step = 1
  while (low + step < end && times[low + step]! < limitUs) {
    low += step
    step *= 2
  }
  let high = Math.min(low + step, end)
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (times[middle]! < limitUs) low = middle
    else high = middle
  }
  return high
}

/** NaN equals NaN and is above every number: what passes a comparison, or undefined when nothing does. */
function predicateOf(op: Comparison, constant: number): Predicate | undefined {
  if (Number.isNaN(constant)) {
    const forNaN = {
      eq: predicate.isNaN,
      ne: predicate.notNaN,
      lt: predicate.notNaN,
      le: predicate.any,
      gt: undefined,
      ge: predicate.isNaN,
    }
    return forNaN[op]
  }
  return comparisonPredicates[op]
}

const comparisonPredicates = {
  eq: predicate.equal,
  ne: predicate.notEqual,
  lt: predicate.below,
  le: predicate.atMost,
  gt: predicate.notAtMost,
  ge: predicate.notBelow,
} as const

/** Rows named one by one are read where they lie: copying them all would cost more than the loop. */
function filterSelected(
  rows: Float64Array,
  valid: Uint8Array | undefined,
  selection: Uint32Array,
  test: Predicate,
  constant: number,
  out: Uint32Array,
): number {
  let found = 0
  for (let k = 0; k < selection.length; k++) {
    const row = selection[k]!
    out[found] = row
    const isIn = passes(test, rows[row]!, constant) && (valid === undefined || valid[row] !== 0)
    found += isIn ? 1 : 0
  }
  return found
}

export function passes(test: Predicate, value: number, constant: number): boolean {
  switch (test) {
    case predicate.equal:
      return value === constant
    case predicate.notEqual:
      return value !== constant
    case predicate.below:
      return value < constant
    case predicate.atMost:
      return value <= constant
    case predicate.notAtMost:
      return !(value <= constant)
    case predicate.notBelow:
      return !(value < constant)
    case predicate.isNaN:
      return Number.isNaN(value)
    case predicate.notNaN:
      return !Number.isNaN(value)
    case predicate.any:
      return true
  }
}
