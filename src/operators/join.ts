import type { JoinNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'

export function join(_node: JoinNode, _left: BatchStream, _right: BatchStream, _execution: Execution): BatchStream {
  throw new Error('join is being written')
}
