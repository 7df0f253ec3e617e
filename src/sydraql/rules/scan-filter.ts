/**
 * Conditions on a scan become part of it, each where it saves most.
 *
 *   filter over scan  →  range (time), seriesPredicate (tags and series), rowPredicate (the rest)
 */
import type { Expr } from '../expression.ts'
import type { LogicalPlan, ScanNode } from '../plan.ts'
import { conjuncts, joined } from '../rewrite.ts'
import { intersection, timeCondition } from '../time-range.ts'
import { isSeriesColumn, readsOnly } from './columns.ts'
import { bottomUp, type Rule } from './rule.ts'

/** Bounds of `time` become the scan's range; of a condition that is more than bounds, what it implies. */
export const timeRange: Rule = {
  name: 'time-range',
  apply: plan =>
    overScans(plan, (parts, scan) => {
      const conditions = parts.map(timeCondition)
      const range = conditions.reduce((all, { range }) => intersection(all, range), scan.range)
      const rest = parts.filter((_, index) => !conditions[index]!.exact)
      const isSame = range.fromUs === scan.range.fromUs && range.toUs === scan.range.toUs
      return isSame && rest.length === parts.length ? undefined : { rest, scan: { ...scan, range } }
    }),
}

/** Conditions on tags and series choose the series to read. */
export const seriesPredicate: Rule = {
  name: 'series-predicate',
  apply: plan =>
    overScans(plan, (parts, scan) => {
      const chosen = parts.filter(part => readsOnly(part, isSeriesColumn))
      if (chosen.length === 0) return undefined
      const all = scan.seriesPredicate === undefined ? chosen : [scan.seriesPredicate, ...chosen]
      return {
        rest: parts.filter(part => !chosen.includes(part)),
        scan: { ...scan, seriesPredicate: joined('and', all) },
      }
    }),
}

/** Everything else is tested on rows as they leave the scan, where block statistics may help. */
export const rowPredicate: Rule = {
  name: 'row-predicate',
  apply: plan =>
    overScans(plan, (parts, scan) => {
      const all = scan.rowPredicate === undefined ? parts : [scan.rowPredicate, ...parts]
      return { rest: [], scan: { ...scan, rowPredicate: joined('and', all) } }
    }),
}

type Taken = { readonly rest: readonly Expr[]; readonly scan: ScanNode } | undefined

/** Offers the parts of each filter that stands on a scan; what is taken leaves the filter. */
function overScans(plan: LogicalPlan, take: (parts: readonly Expr[], scan: ScanNode) => Taken): LogicalPlan {
  return bottomUp(plan, node => {
    if (node.kind !== 'filter' || node.input.kind !== 'scan') return node
    // What a scan has counted to its limit, a condition above it may still drop.
    if (node.input.limit !== undefined || node.input.seriesLimit !== undefined) return node
    const parts = conjuncts(node.predicate)
    const taken = take(parts, node.input)
    if (taken === undefined) return node
    if (taken.rest.length === 0) return taken.scan
    const predicate = taken.rest.length === parts.length ? node.predicate : joined('and', taken.rest)!
    return { ...node, input: taken.scan, predicate }
  })
}
