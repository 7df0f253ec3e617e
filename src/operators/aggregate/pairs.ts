/**
 * Pairs makes, of each row's value and the one before it in its series, what the pair of them changed.
 *
 *   in   [time, series, v, …]          each series ascending in time
 *   out  [time, series, v, …, change, elapsed µs]   null where the row ends no pair; the rows and their order stay
 *
 *   increase   v2 - v1, or v2 where it fell: a counter began again at 0
 *   delta      v2 - v1
 *   area       (v1 + v2) / 2 · elapsed, the trapezoid under them
 *
 * From here on a pair belongs to its later row, whatever group that is in: grouping, spilling and merging need no order.
 *
 * Invariants:
 * 1. A sample is a row whose value and time are not null; rows that a filter removed are none.
 * 2. Memory is one sample per series and call, whatever the range: it is carried over batches, windows and buckets.
 */
import { type Batch, type Column, type ColumnInfo, columnIndex, type Schema } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { Expr } from '../../sydraql/expression.ts'
import { compile } from '../compile.ts'
import type { Execution } from '../execution.ts'
import { type Evaluator, reusableBytes, reusableNumbers } from '../functions/evaluator.ts'
import type { BatchStream } from '../operator.ts'
import { NumberTable } from './keys.ts'
import { partitionIds } from './partitions.ts'
import { grownNumbers } from './state.ts'

export type PairMeasure = 'increase' | 'delta' | 'area'

export interface PairCall {
  readonly argument: Expr
  readonly measure: PairMeasure
  /** Names of the two columns it adds. */
  readonly change: string
  readonly elapsed: string
}

export interface PairsNode {
  readonly calls: readonly PairCall[]
  /** Columns of the input. */
  readonly time: string
  /** A column of ordinals, or columns whose values tell sequences apart. */
  readonly partition: { readonly ordinals: string } | { readonly columns: readonly string[] }
}

/** The input's columns, then two for each call. */
export function pairsSchema({ calls }: PairsNode, input: Schema): Schema {
  const added = calls.flatMap(({ change, elapsed }): ColumnInfo[] => [
    { name: change, type: 'float', nullable: true },
    { name: elapsed, type: 'duration', nullable: true },
  ])
  return [...input, ...added]
}

export async function* pairs(node: PairsNode, schema: Schema, input: BatchStream, execution: Execution): BatchStream {
  const time = columnIndex(schema, node.time)
  assert(time >= 0, 'pairs need a time')
  const sequences = sequencesOf(node, schema)
  const pairings = node.calls.map(call => new Pairing(call, schema))
  try {
    for await (const batch of input) {
      const times = batch.columns[time]!
      const runs = sequences.runs(batch)
      const columns: Column[] = [...batch.columns]
      for (const pairing of pairings) columns.push(...pairing.add(batch, times, runs, sequences.size()))
      let bytes = sequences.heldBytes()
      for (const pairing of pairings) bytes += pairing.byteLength
      execution.memory.hold(pairings, bytes)
      yield { ...batch, columns }
    }
  } finally {
    execution.memory.release(pairings)
    await input.return()
  }
}

/** Rows that count, cut where the sequence changes: run r is rows `ends[r - 1]` to `ends[r]` of the selection or batch. */
interface Runs {
  readonly count: number
  readonly ends: Uint32Array
  /** Dense ids. */
  readonly sequences: Uint32Array
}

interface Sequences {
  size(): number
  heldBytes(): number
  runs(batch: Batch): Runs
}

function sequencesOf({ partition }: PairsNode, schema: Schema): Sequences {
  let ends = new Uint32Array(0)
  let sequences = new Uint32Array(0)
  const cut = (batch: Batch, ids: Uint32Array, idOf: (id: number) => number): Runs => {
    const { selection } = batch
    const rows = selection?.length ?? batch.length
    if (ends.length < rows) {
      ends = new Uint32Array(rows)
      sequences = new Uint32Array(rows)
    }
    let count = 0
    for (let from = 0; from < rows; ) {
      const id = ids[selection === undefined ? from : selection[from]!]!
      let to = from + 1
      if (selection === undefined) while (to < rows && ids[to] === id) to++
      else while (to < rows && ids[selection[to]!] === id) to++
      ends[count] = to
      sequences[count++] = idOf(id)
      from = to
    }
    return { count, ends, sequences }
  }
  if ('ordinals' in partition) {
    const column = columnIndex(schema, partition.ordinals)
    const dense = new NumberTable()
    return {
      size: () => dense.size,
      heldBytes: () => dense.byteLength,
      runs: batch => cut(batch, batch.columns[column]!.values as Uint32Array, ordinal => dense.id(ordinal)),
    }
  }
  const ids = partitionIds(partition.columns, schema)
  return {
    size: ids.size,
    heldBytes: ids.heldBytes,
    runs: batch => cut(batch, ids.of(batch), id => id),
  }
}

/** One call's columns, and its last sample of each sequence. */
class Pairing {
  readonly #evaluator: Evaluator
  readonly #measure: PairMeasure
  /** By sequence; a time of NaN: no sample yet. */
  #lastTimes = new Float64Array(0)
  #lastValues = new Float64Array(0)
  readonly #changes = reusableNumbers()
  readonly #elapsed = reusableNumbers()
  readonly #valid = reusableBytes()

  constructor({ argument, measure }: PairCall, schema: Schema) {
    this.#evaluator = compile(argument, schema)
    this.#measure = measure
  }

  get byteLength(): number {
    return this.#lastTimes.byteLength * 2
  }

  add(batch: Batch, times: Column, runs: Runs, sequences: number): readonly Column[] {
    this.#lastTimes = grownNumbers(this.#lastTimes, sequences, NaN) as Float64Array<ArrayBuffer>
    this.#lastValues = grownNumbers(this.#lastValues, sequences) as Float64Array<ArrayBuffer>
    const column = this.#evaluator.evaluate(batch)
    const samples: Samples = {
      times: times.values as Float64Array,
      values: column.values as Float64Array,
      selection: batch.selection,
      timeValid: times.valid,
      valid: column.valid,
    }
    const isDense = batch.selection === undefined && column.valid === undefined && times.valid === undefined
    const changes = this.#changes(batch.length)
    const elapsed = this.#elapsed(batch.length)
    const valid = this.#valid(batch.length)
    valid.fill(1, 0, batch.length)
    let missing = 0
    for (let run = 0, from = 0; run < runs.count; run++) {
      const to = runs.ends[run]!
      const sequence = runs.sequences[run]!
      if (isDense) missing += this.#addRun(samples, from, to, sequence, changes, elapsed, valid)
      else missing += this.#addRows(samples, from, to, sequence, changes, elapsed, valid)
      from = to
    }
    const mask = missing === 0 ? undefined : valid
    return [
      { type: 'float', values: changes, valid: mask },
      { type: 'duration', values: elapsed, valid: mask },
    ]
  }

  /** Rows [from, to), each of them a sample. Returns how many end no pair. */
  #addRun(
    { times, values }: Samples,
    from: number,
    to: number,
    sequence: number,
    changes: Float64Array,
    elapsed: Float64Array,
    valid: Uint8Array,
  ): number {
    const isFirst = Number.isNaN(this.#lastTimes[sequence]!)
    const start = isFirst ? from + 1 : from
    if (isFirst) valid[from] = 0
    const timeUs = isFirst ? times[from]! : this.#lastTimes[sequence]!
    const value = isFirst ? values[from]! : this.#lastValues[sequence]!
    measureRun[this.#measure](times, values, start, to, timeUs, value, changes, elapsed)
    this.#lastTimes[sequence] = times[to - 1]!
    this.#lastValues[sequence] = values[to - 1]!
    return isFirst ? 1 : 0
  }

  /** Rows [from, to) of the selection, if there is one; some are no samples. Returns how many end no pair. */
  #addRows(
    { times, values, selection, timeValid, valid: valueValid }: Samples,
    from: number,
    to: number,
    sequence: number,
    changes: Float64Array,
    elapsed: Float64Array,
    valid: Uint8Array,
  ): number {
    const measure = measureRun[this.#measure]
    let timeUs = this.#lastTimes[sequence]!
    let value = this.#lastValues[sequence]!
    let missing = 0
    for (let k = from; k < to; k++) {
      const row = selection === undefined ? k : selection[k]!
      const isSample =
        (valueValid === undefined || valueValid[row] === 1) && (timeValid === undefined || timeValid[row] === 1)
      if (!isSample || Number.isNaN(timeUs)) {
        valid[row] = 0
        missing++
      } else measure(times, values, row, row + 1, timeUs, value, changes, elapsed)
      if (!isSample) continue
      timeUs = times[row]!
      value = values[row]!
    }
    this.#lastTimes[sequence] = timeUs
    this.#lastValues[sequence] = value
    return missing
  }
}

interface Samples {
  readonly times: Float64Array
  readonly values: Float64Array
  readonly selection: Uint32Array | undefined
  readonly timeValid: Uint8Array | undefined
  readonly valid: Uint8Array | undefined
}

/** Rows [from, to) after a sample at `timeUs`. */
type MeasureRun = (
  times: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
  timeUs: number,
  value: number,
  changes: Float64Array,
  elapsed: Float64Array,
) => void

// One loop a measure: each is short enough to be compiled well. The order of times is checked after the loop, since a way
// out of its middle makes it three times as slow.
const measureRun: Readonly<Record<PairMeasure, MeasureRun>> = {
  increase(times, values, from, to, timeUs, value, changes, elapsed) {
    let beforeUs = timeUs
    let before = value
    let leastUs = 0
    for (let row = from; row < to; row++) {
      const now = values[row]!
      const nowUs = times[row]!
      const elapsedUs = nowUs - beforeUs
      changes[row] = now < before ? now : now - before
      elapsed[row] = elapsedUs
      leastUs = Math.min(leastUs, elapsedUs)
      before = now
      beforeUs = nowUs
    }
    assert(leastUs === 0, outOfOrder)
  },
  delta(times, values, from, to, timeUs, value, changes, elapsed) {
    let beforeUs = timeUs
    let before = value
    let leastUs = 0
    for (let row = from; row < to; row++) {
      const now = values[row]!
      const nowUs = times[row]!
      const elapsedUs = nowUs - beforeUs
      changes[row] = now - before
      elapsed[row] = elapsedUs
      leastUs = Math.min(leastUs, elapsedUs)
      before = now
      beforeUs = nowUs
    }
    assert(leastUs === 0, outOfOrder)
  },
  area(times, values, from, to, timeUs, value, changes, elapsed) {
    let beforeUs = timeUs
    let before = value
    let leastUs = 0
    for (let row = from; row < to; row++) {
      const now = values[row]!
      const nowUs = times[row]!
      const elapsedUs = nowUs - beforeUs
      // Halved first: the sum of two large values may overflow.
      changes[row] = (before / 2 + now / 2) * elapsedUs
      elapsed[row] = elapsedUs
      leastUs = Math.min(leastUs, elapsedUs)
      before = now
      beforeUs = nowUs
    }
    assert(leastUs === 0, outOfOrder)
  },
}

const outOfOrder = 'rows of a series ascend in time'
