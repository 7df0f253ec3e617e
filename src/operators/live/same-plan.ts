/** Whether two plans of one query differ in the ranges of their scans alone: what binding another `now()` may do to them. */
import type { LogicalPlan } from '../../sydraql/plan.ts'

export const sameButRanges = (a: LogicalPlan, b: LogicalPlan): boolean => a === b || alike(a, b)

/** Positions in the text say nothing; a scan's range is what may differ. */
const isPassedOver = (key: string, value: object): boolean =>
  key === 'span' || (key === 'range' && (value as { readonly kind?: unknown }).kind === 'scan')

function alike(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((element, index) => alike(element, b[index]))
  }
  const [ofA, ofB] = [a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>]
  const keys = new Set([...Object.keys(ofA), ...Object.keys(ofB)])
  for (const key of keys) if (!isPassedOver(key, a) && !alike(ofA[key], ofB[key])) return false
  return true
}
