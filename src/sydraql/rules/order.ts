/** Rules on order and number of rows: let the scan sort, sort only the rows wanted, read only the rows wanted. */
import type { LogicalPlan, ScanOrder, SortKey, SortNode } from '../plan.ts'
import { bottomUp, type Rule, withInput } from './rule.ts'

/** A sort by time, or by series and time, is an order that the scan can give. */
export const scanOrder: Rule = {
  name: 'scan-order',
  apply: plan =>
    bottomUp(plan, node => {
      if (node.kind !== 'sort') return node
      const order = orderOf(node.keys)
      if (order === undefined) return node
      return overFilters(node.input, scan => (scan.order === 'none' ? { ...scan, order } : undefined)) ?? node
    }),
}

/** (series, time) is unique, so that keys after these two decide nothing. */
function orderOf([first, second]: readonly SortKey[]): ScanOrder | undefined {
  const [a, b] = [first && columnName(first), second && columnName(second)]
  if (second?.descending || (a === 'series' && first!.descending)) return undefined
  if (a === 'time' && b === 'series') return first!.descending ? 'time desc' : 'time'
  return a === 'series' && b === 'time' ? 'series,time' : undefined
}

const columnName = ({ expr }: SortKey): string | undefined => (expr.kind === 'column' ? expr.name : undefined)

type Scan = Extract<LogicalPlan, { kind: 'scan' }>

/** Changes the scan under any filters, which keep its order; undefined when there is none or it stays as it is. */
function overFilters(plan: LogicalPlan, change: (scan: Scan) => Scan | undefined): LogicalPlan | undefined {
  if (plan.kind === 'scan') return change(plan)
  if (plan.kind !== 'filter') return undefined
  const input = overFilters(plan.input, change)
  return input && withInput(plan, input)
}

/** A limit over a sort: the sort keeps that many rows. */
export const topN: Rule = {
  name: 'top-n',
  apply: plan =>
    underLimits(plan, (node, rows) => {
      if (node.kind !== 'sort' || (node.limit !== undefined && node.limit <= rows)) return undefined
      return { ...node, limit: rows } satisfies SortNode
    }),
}

/** A limit straight over a scan: the scan ends after that many rows. */
export const scanLimit: Rule = {
  name: 'scan-limit',
  apply: plan =>
    underLimits(plan, (node, rows) => {
      if (node.kind !== 'scan' || (node.limit !== undefined && node.limit <= rows)) return undefined
      return { ...node, limit: rows }
    }),
}

/** Offers the node under each limit and its projections, with the rows wanted of it. */
function underLimits(
  plan: LogicalPlan,
  change: (node: LogicalPlan, rows: number) => LogicalPlan | undefined,
): LogicalPlan {
  const inside = (node: LogicalPlan, rows: number): LogicalPlan | undefined => {
    if (node.kind !== 'project') return change(node, rows)
    const input = inside(node.input, rows)
    return input && withInput(node, input)
  }
  return bottomUp(plan, node => {
    if (node.kind !== 'limit' || node.limit === undefined) return node
    const input = inside(node.input, node.limit + node.offset)
    return input === undefined ? node : withInput(node, input)
  })
}
