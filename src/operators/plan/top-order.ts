/**
 * A top-N whose first key is a time by which its input can come: reading ends with the rows of the last time that counts.
 *
 *   order by time desc, tag.host limit 10        the newest rows are read, until ten are there and their time is over
 */
import type { LogicalPlan, SortNode } from '../../sydraql/plan.ts'
import { inOrder, orderingOf } from '../../sydraql/rules/ordering.ts'

/** More rows are found sooner by reading as they lie. */
const orderedTopMax = 65_536

/** The input in the order of the first key; undefined: it cannot, or had better not. */
export function topInOrder({ input, keys, limit = Infinity }: SortNode): LogicalPlan | undefined {
  const [first] = keys
  const { name, type } = first?.expr.kind === 'column' ? first.expr : { name: '', type: undefined }
  const isTime = type === 'timestamp' && input.schema.some(column => column.name === name && !column.nullable)
  if (first === undefined || !isTime || limit > orderedTopMax) return undefined
  // What the keys leave open, the order of the input settles: only where they leave nothing may it change.
  const { unique } = orderingOf(input)
  const isSettled = unique?.every(column => keys.some(({ expr }) => expr.kind === 'column' && expr.name === column))
  const ordered = isSettled === true ? inOrder(input, [first]) : undefined
  return ordered && beginningWith(ordered, limit)
}

/** The same rows; a scan that gives them as they are reads few at first. */
function beginningWith(plan: LogicalPlan, likelyRows: number): LogicalPlan {
  if (plan.kind === 'scan') return { ...plan, likelyRows }
  return plan.kind === 'project' ? { ...plan, input: beginningWith(plan.input, likelyRows) } : plan
}
