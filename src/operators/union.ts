import type { UnionNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'

export function union(_node: UnionNode, _inputs: readonly BatchStream[], _execution: Execution): BatchStream {
  throw new Error('union is being written')
}
