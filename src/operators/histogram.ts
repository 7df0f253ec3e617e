import type { Schema } from '../columnar/batch.ts'
import type { HistogramNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'

export function histogram(
  _node: HistogramNode,
  _schema: Schema,
  _input: BatchStream,
  _execution: Execution,
): BatchStream {
  throw new Error('histogram is being written')
}
