/**
 * Histogram counts values in equal intervals.
 *
 *   histogram(v, 0, 8, 4)      in v: 3 3 1 7 5   ->   out [bucket, count]: (0, 1) (2, 2) (4, 1) (6, 1)
 *
 * Invariants:
 * 1. Every interval has a row, also of no input; they ascend.
 * 2. A value is counted where `edge <= value < next edge`, of the edges as they are put out; the last ends at `high`.
 *    Nulls, NaN and values outside [low, high) are not counted.
 */
import { rowCount, type Schema } from '../columnar/batch.ts'
import { assert } from '../lib/assert.ts'
import type { HistogramNode } from '../sydraql/plan.ts'
import { compile } from './compile.ts'
import type { Execution } from './execution.ts'
import { isNumeric } from './functions/evaluator.ts'
import type { BatchStream } from './operator.ts'

export async function* histogram(
  node: Pick<HistogramNode, 'value' | 'low' | 'high' | 'buckets'>,
  schema: Schema,
  input: BatchStream,
  { batchRows }: Execution,
): BatchStream {
  const { low, high, buckets } = node
  assert(low < high && Number.isFinite(low) && Number.isFinite(high) && buckets >= 1, 'a histogram has a range')
  const value = compile(node.value, schema)
  assert(isNumeric(value.type), 'a histogram is of numbers')
  const edges = edgesOf(low, high, buckets)
  const indexOf = indexIn(edges, low, high)
  const counts = new Float64Array(buckets)
  for await (const batch of input) {
    const { selection } = batch
    const { values, valid } = value.evaluate(batch)
    const rows = rowCount(batch)
    for (let k = 0; k < rows; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) continue
      const v = values[row]!
      // Not so for NaN either.
      if (v >= low && v < high) counts[indexOf(v)]!++
    }
  }
  for (let from = 0; from < buckets; from += batchRows) {
    const to = Math.min(from + batchRows, buckets)
    yield {
      length: to - from,
      columns: [
        { type: 'float', values: edges.subarray(from, to), valid: undefined },
        { type: 'integer', values: counts.subarray(from, to), valid: undefined },
      ],
      selection: undefined,
    }
  }
}

/** The lower edges. */
function edgesOf(low: number, high: number, buckets: number): Float64Array {
  const width = high - low
  // Multiplied before divided, edges of decimal ranges come out as they are written.
  const isWide = !Number.isFinite(width * buckets)
  return Float64Array.from({ length: buckets }, (_, i) =>
    isWide ? low + (high / buckets - low / buckets) * i : low + (width * i) / buckets,
  )
}

/** The last interval whose edge is not above the value: guessed by proportion, put right by the edges. */
function indexIn(edges: Float64Array, low: number, high: number): (value: number) => number {
  const last = edges.length - 1
  const scale = edges.length / (high - low)
  // A range too narrow or too wide for a proportion.
  if (!Number.isFinite(scale) || scale === 0) return value => lastNotAbove(edges, value)
  return value => {
    let i = Math.min(last, Math.floor((value - low) * scale))
    while (i > 0 && value < edges[i]!) i--
    while (i < last && value >= edges[i + 1]!) i++
    return i
  }
}

function lastNotAbove(edges: Float64Array, value: number): number {
  let from = 0
  let to = edges.length
  while (to - from > 1) {
    const middle = (from + to) >>> 1
    if (edges[middle]! <= value) from = middle
    else to = middle
  }
  return from
}
