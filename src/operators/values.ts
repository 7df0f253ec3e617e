/** Values yields rows that are known without reading anything. */
import { BatchBuilder } from '../columnar/builder.ts'
import type { ValuesNode } from '../sydraql/plan.ts'
import type { BatchStream } from './operator.ts'

export async function* values(node: ValuesNode): BatchStream {
  if (node.rows.length === 0) return
  const out = new BatchBuilder(node.schema, node.rows.length)
  for (const row of node.rows) out.push(row)
  yield out.batch()
}
