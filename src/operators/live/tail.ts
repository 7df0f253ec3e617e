/**
 * Tail: raw rows that pass filters and projections, told apart by series and time. Nothing is kept.
 *
 *   rows at the end of their series    through the branch of their metric: added
 *   late rows, deletes, moved ranges   read again before and after, in their scopes
 *
 * Invariant: each row of a commit is looked at in one of the two ways, never in both.
 */
import { catchUpRows } from './catch-up.ts'
import { appendRows, tooManyRows } from './difference.ts'
import { type Changes, lookAgain } from './look-again.ts'
import type { LiveParts } from './parts.ts'
import { branchesByMetric, createReaders } from './readers.ts'
import { scopesOf } from './scope.ts'
import { type LiveQuery, type LiveRow, noChange } from './types.ts'

/** undefined: something else than filters and projections is over the scans. */
export function planTail(parts: LiveParts): LiveQuery | undefined {
  const { plan, context, columns, metrics, dependsOnNow, barePlanAt, planAt } = parts
  if (!parts.movesRangesAlone || branchesByMetric(plan) === undefined) return undefined
  const { catalog, rowsMax } = context
  const readers = createReaders(context)

  return {
    columns,
    strategy: 'tail',
    obstacle: undefined,
    metrics,
    dependsOnNow,
    planAt,
    step(step) {
      const before = barePlanAt(step.before.nowUs)
      const after = readers.at(barePlanAt(step.after.nowUs))
      const scopes = scopesOf(step, before, after.plan, catalog, after.isRead)
      const added: LiveRow[] = []
      for (const batch of after.appended(step, scopes)) {
        appendRows(batch, added)
        if (added.length > rowsMax) throw tooManyRows(rowsMax)
      }
      if (scopes.length === 0) return added.length === 0 ? noChange : { ...noChange, added }
      const changes: Changes = { added, changed: [], removed: [] }
      const branches = branchesByMetric(before)!
      return lookAgain(changes, scopes, step, parts, metric => ({
        before: branches.get(metric)!.plan,
        after: after.branches.get(metric)!.plan,
      }))
    },
    catchUp: (rows, at) => catchUpRows(rows, at, readers.at(barePlanAt(at.nowUs)), columns, context),
    get byteLength() {
      return readers.byteLength
    },
    forget: () => readers.forget(),
  }
}
