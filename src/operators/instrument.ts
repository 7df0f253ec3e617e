/**
 * What goes around every operator, in this one place: timing, counts, cancellation, the turn of the event loop.
 *
 * Invariants:
 * 1. Before each pull the signal is checked; within one batch after an abort the stream throws its reason.
 * 2. However the consumer ends — return, throw, completion — the wrapped stream is closed.
 * 3. Statistics carry the operator of the physical plan that they are of: `explain analyze` finds them by it.
 */
import { type Batch, rowCount } from '../columnar/batch.ts'
import type { Execution } from './execution.ts'
import type { BatchStream, Operator, OperatorStatistics } from './operator.ts'

export async function* instrument(
  operator: Operator,
  stream: BatchStream | Generator<Batch, void, undefined>,
  execution: Execution,
): BatchStream {
  const statistics: OperatorStatistics = { name: operator.name, operator, rowsOut: 0, batches: 0, elapsedMs: 0 }
  execution.operators.push(statistics)
  const { clock } = execution
  try {
    for (;;) {
      const turn = execution.pace()
      if (turn !== undefined) await turn
      const startedMs = clock.monotonicMs()
      const pulled = stream.next()
      // What does not wait comes without a turn of the microtask queue.
      const { done, value: batch } = pulled instanceof Promise ? await pulled : pulled
      statistics.elapsedMs += clock.monotonicMs() - startedMs
      if (done === true) return
      statistics.rowsOut += rowCount(batch)
      statistics.batches++
      yield batch
    }
  } finally {
    await stream.return(undefined)
  }
}
