/**
 * A branch of the plan for each metric, with what reads commits through it, as bound for one `now()` after another.
 *
 * Invariant: a plan that differs in ranges alone keeps the readers, and with them what they know of series.
 */

import type { Batch } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import { intersection } from '../../sydraql/time-range.ts'
import { type Branch, branchesOf } from './branches.ts'
import { type CommitReader, commitReader } from './commit-batch.ts'
import { sameButRanges } from './same-plan.ts'
import { type IsRead, rowsWithin, type Scope } from './scope.ts'
import type { LiveContext, Step } from './types.ts'

export interface BoundReaders {
  readonly plan: LogicalPlan
  /** As the plan has them. */
  readonly branches: ReadonlyMap<string, Branch>
  readonly isRead: IsRead
  /** Rows of the step that came at the end of their series, outside of the scopes: batches are borrowed until the next. */
  appended(step: Step, scopes: readonly Scope[]): Generator<Batch>
}

export interface Readers {
  /** `plan`: what the branches are under. */
  at(plan: LogicalPlan): BoundReaders
  readonly byteLength: number
  forget(): void
}

/** undefined: more than filters and projections is over the scans, or two of them are of one metric. */
export function branchesByMetric(plan: LogicalPlan): ReadonlyMap<string, Branch> | undefined {
  const branches = branchesOf(plan)
  if (branches === undefined) return undefined
  const byMetric = new Map(branches.map(branch => [branch.scan.metric, branch]))
  return byMetric.size === branches.length ? byMetric : undefined
}

export function createReaders(context: Pick<LiveContext, 'catalog' | 'kernels'>): Readers {
  let plan: LogicalPlan | undefined
  let readers: ReadonlyMap<string, CommitReader> = new Map()
  let bound: BoundReaders | undefined

  const bind = (next: LogicalPlan): BoundReaders => {
    const branches = branchesByMetric(next)
    assert(branches !== undefined, 'a plan keeps its shape')
    if (plan === undefined || !sameButRanges(plan, next))
      readers = new Map(Array.from(branches, ([metric, branch]) => [metric, commitReader(branch, context)]))
    plan = next
    const own = readers
    return {
      plan: next,
      branches,
      isRead: (metric, ordinal) => own.get(metric)?.series.has(ordinal) === true,
      *appended({ rows, after }, scopes) {
        for (const committed of rows) {
          const { metric } = committed.rows
          const reader = own.get(metric.name)
          assert(reader !== undefined, 'a commit of a metric that the query reads')
          const visible = { fromUs: after.version.horizonUs(metric), toUs: Infinity }
          const range = intersection(branches.get(metric.name)!.scan.range, visible)
          const batch = reader.read(committed, range, rowsWithin(scopes, metric.name))
          if (batch !== undefined) yield batch
        }
      },
    }
  }

  return {
    at: next => (bound?.plan === next ? bound : (bound = bind(next))),
    get byteLength() {
      let bytes = 0
      for (const reader of readers.values()) bytes += reader.byteLength
      return bytes
    },
    forget() {
      plan = undefined
      bound = undefined
      readers = new Map()
    },
  }
}
