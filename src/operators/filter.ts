/** Filter keeps the rows for which the predicate is true, as a selection: no value moves. */
import type { FilterNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'
import { compilePredicate } from './predicate.ts'

export async function* filter(
  node: Pick<FilterNode, 'predicate' | 'schema'>,
  input: BatchStream,
  { kernels }: Execution,
): BatchStream {
  const predicate = compilePredicate(node.predicate, node.schema, kernels)
  for await (const batch of input) {
    const selection = predicate(batch)
    // A batch without rows still says how far the input has come.
    if (selection?.length !== 0 || batch.watermarkUs !== undefined) yield { ...batch, selection }
  }
}
