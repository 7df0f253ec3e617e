/**
 * Raw rows as a plan reads them: the scans under it, each with the filters and projections that its rows go through.
 *
 *   project over union of (project over filter over scan a, project over scan b)
 *     ->  [scan a: filter, project, project]  [scan b: project, project]
 *
 * Invariant: a branch's rows are those of the plan that are of its scan; a sort that cuts nothing off is left out.
 */
import type { FilterNode, LogicalPlan, ProjectNode, ScanNode } from '../../sydraql/plan.ts'
import { withInput } from '../../sydraql/rules/rule.ts'

export interface Branch {
  readonly scan: ScanNode
  /** From the scan upwards. */
  readonly steps: readonly (FilterNode | ProjectNode)[]
  /** The steps over the scan. */
  readonly plan: LogicalPlan
}

/** undefined: other operators are between, or a scan that counts rows. */
export function branchesOf(plan: LogicalPlan): readonly Branch[] | undefined {
  switch (plan.kind) {
    case 'scan':
      return plan.limit === undefined && plan.seriesLimit === undefined ? [{ scan: plan, steps: [], plan }] : undefined
    case 'filter':
    case 'project':
      return branchesOf(plan.input)?.map(({ scan, steps, plan: below }) => {
        const step = withInput(plan, below) as typeof plan
        return { scan, steps: [...steps, step], plan: step }
      })
    case 'sort':
      return plan.limit === undefined ? branchesOf(plan.input) : undefined
    case 'union': {
      const branches: Branch[] = []
      for (const input of plan.inputs) {
        const found = branchesOf(input)
        if (found === undefined) return undefined
        branches.push(...found)
      }
      return branches
    }
    default:
      return undefined
  }
}
