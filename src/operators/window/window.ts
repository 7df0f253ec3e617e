/**
 * Window adds a column per row function: each computed within a partition, from row to row.
 *
 *   in   [series, time, v]  a 1  b 5  a 2  b 7      rows of a partition ascend in time
 *   out  [… , lag(v)]       a 1 ·  b 5 ·  a 2 1  b 7 5
 *
 * Invariants:
 * 1. Rows come out as they came in, in their order, each once.
 * 2. Memory is what the functions keep per partition; where partitions come together, of one partition.
 * 3. Only where a function looks ahead are rows held back: those of the open partition that `lead` still waits for, or
 *    those of the latest time, whose equals may follow. Rows are copied a bounded number of times, whatever is held back.
 */
import { type Batch, columnIndex, rowCount, type Schema } from '../../columnar/batch.ts'
import { BatchBuilder } from '../../columnar/builder.ts'
import { sliceBatch } from '../../columnar/slice.ts'
import { assert } from '../../lib/assert.ts'
import type { WindowNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import type { BatchStream } from '../operator.ts'
import { type WindowFunction, windowFunction } from './functions.ts'
import { type Runs, RunsInterleaved, RunsTogether } from './runs.ts'

/** What is known of the input's order beyond the node's contract. */
export interface WindowOrder {
  /** All rows of a partition come without another's between them. */
  readonly together: boolean
  /** No two rows of a partition have one time. */
  readonly distinctTimes: boolean
}

/** Bytes of a result, with its mask. */
const resultBytes = 9

export async function* window(
  node: Pick<WindowNode, 'calls' | 'sequence' | 'schema'>,
  schema: Schema,
  input: BatchStream,
  execution: Execution,
  order: WindowOrder,
): BatchStream {
  const { calls, sequence } = node
  const functions = calls.map((call, i) => windowFunction(call, node.schema[schema.length + i]!.type, schema, sequence))
  const lookahead = Math.max(0, ...functions.map(each => each.lookahead))
  const waitsForPeers = !order.distinctTimes && functions.some(each => each.needsPeers)
  const columns = sequence.partition.map(name => {
    const index = columnIndex(schema, name)
    assert(index >= 0, `no column ${name} to tell partitions by`)
    return index
  })
  const together = order.together || columns.length === 0
  assert(together || lookahead === 0, 'lead needs partitions together')
  const runs = together
    ? new RunsTogether(columns)
    : new RunsInterleaved(
        columns,
        columns.map(index => schema[index]!.type),
      )
  const computing: Computing = { functions, runs, execution }
  try {
    if (lookahead === 0 && !waitsForPeers) yield* streaming(computing, input)
    else {
      const timeColumn = waitsForPeers ? columnIndex(schema, sequence.time!) : -1
      yield* holdingBack(computing, { lookahead, timeColumn, together }, schema, input)
    }
  } finally {
    execution.memory.release(computing)
    await input.return()
  }
}

interface Computing {
  readonly functions: readonly WindowFunction[]
  readonly runs: Runs
  readonly execution: Execution
}

async function* streaming(computing: Computing, input: BatchStream): BatchStream {
  for await (const batch of input) {
    const count = rowCount(batch)
    if (count === 0 && batch.watermarkUs === undefined) continue
    computing.runs.find(batch)
    const out = withResults(computing, batch, count)
    account(computing, 0)
    yield out
  }
}

/** Runs the functions over the batch's first `settled` positions; runs have been found. */
function withResults({ functions, runs }: Computing, batch: Batch, settled: number): Batch {
  const { count, ends, fresh, partition, rows, partitions } = runs
  const columns = [...batch.columns]
  for (const { state } of functions) {
    state.begin(batch, partitions)
    for (let run = 0, from = 0; run < count && from < settled; run++) {
      const end = ends[run]!
      if (fresh[run] === 1) state.reset(partition[run]!)
      state.run(partition[run]!, rows, from, Math.min(end, settled), end)
      from = end
    }
    columns.push(state.finish())
  }
  if (settled > 0) runs.passed(batch, batch.selection === undefined ? settled - 1 : batch.selection[settled - 1]!)
  return { ...batch, columns }
}

function account(computing: Computing, heldBytes: number): void {
  const { functions, runs, execution } = computing
  let bytes = heldBytes + runs.byteLength
  for (const { state } of functions) bytes += state.byteLength
  execution.memory.hold(computing, bytes)
}

interface HoldingBack {
  readonly lookahead: number
  /** -1: rows of one time need not come out at once. */
  readonly timeColumn: number
  readonly together: boolean
}

async function* holdingBack(computing: Computing, rule: HoldingBack, schema: Schema, input: BatchStream): BatchStream {
  const { batchRows } = computing.execution
  let held = new BatchBuilder(schema, 2 * batchRows)
  let spare = new BatchBuilder(schema, 2 * batchRows)
  // As many rows again as were left the last time, so that each is copied about twice.
  let left = 0
  for await (const batch of input) {
    held.append(batch)
    account(computing, held.byteLength + spare.byteLength + held.length * resultBytes * computing.functions.length)
    if (held.length < batchRows || held.length < 2 * left) continue
    const all = held.batch()
    const settled = settledRows(computing, rule, all)
    left = all.length - settled
    if (settled === 0) continue
    yield* pieces(withResults(computing, all, settled), settled, computing.execution)
    spare.clear()
    spare.append(sliceBatch(all, settled, all.length))
    ;[held, spare] = [spare, held]
  }
  const all = held.batch()
  computing.runs.find(all)
  yield* pieces(withResults(computing, all, all.length), all.length, computing.execution)
}

async function* pieces(batch: Batch, rows: number, execution: Execution): BatchStream {
  for (let from = 0; from < rows; from += execution.batchRows) {
    yield sliceBatch(batch, from, Math.min(from + execution.batchRows, rows))
    await execution.pace()
  }
}

/** Finds the runs to compute, and how many of the rows held know all that they need to see. */
function settledRows({ runs }: Computing, { lookahead, timeColumn, together }: HoldingBack, all: Batch): number {
  let settled = all.length
  let openFrom = 0
  if (together) {
    runs.find(all)
    openFrom = runs.count < 2 ? 0 : runs.ends[runs.count - 2]!
    settled = Math.max(openFrom, all.length - lookahead)
  }
  if (timeColumn >= 0) {
    // Not between rows of one time; and the last one's equals may still come.
    const { values, valid } = all.columns[timeColumn]!
    let from = Math.min(settled, all.length - 1)
    const isTimed = (row: number) => valid === undefined || valid[row] === 1
    if (isTimed(from)) {
      const timeUs = values[from]!
      while (from > openFrom && values[from - 1] === timeUs && isTimed(from - 1)) from--
      settled = Math.min(settled, from)
    }
  }
  // Interleaved runs are of the settled rows alone: grouped by partition, they are no prefix of all.
  if (!together) runs.find({ ...all, length: settled })
  return settled
}
