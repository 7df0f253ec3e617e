/** Filters and projections as functions of one batch. */
import type { Batch } from '../../columnar/batch.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { FilterNode, ProjectNode } from '../../sydraql/plan.ts'
import { compilePredicate } from '../predicate.ts'
import { projection } from '../project.ts'

/** From the first to the last to be done; undefined: no row is left. Columns are overwritten by the next call. */
export function compileSteps(
  steps: readonly (FilterNode | ProjectNode)[],
  kernels: Kernels,
): (batch: Batch) => Batch | undefined {
  const compiled = steps.map((step): ((batch: Batch) => Batch) => {
    if (step.kind === 'project') return projection(step, step.input.schema)
    const passes = compilePredicate(step.predicate, step.schema, kernels)
    return batch => ({ ...batch, selection: passes(batch) })
  })
  return batch => {
    let current = batch
    for (let i = 0; i < compiled.length && current.selection?.length !== 0; i++) current = compiled[i]!(current)
    return current.selection?.length === 0 ? undefined : current
  }
}
