import type { Schema } from '../columnar/batch.ts'
import type { LimitPerNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'

export function limitPer(
  _node: LimitPerNode,
  _schema: Schema,
  _input: BatchStream,
  _execution: Execution,
): BatchStream {
  throw new Error('limit per is being written')
}
