import type { Schema } from '../../columnar/batch.ts'
import type { WindowNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import type { BatchStream } from '../operator.ts'

export function window(_node: WindowNode, _schema: Schema, _input: BatchStream, _execution: Execution): BatchStream {
  throw new Error('window is being written')
}
