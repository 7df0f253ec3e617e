/** Rules on the number of rows: sort only those wanted, read only those wanted. */
import type { LogicalPlan, SortNode } from '../plan.ts'
import { looksAhead } from './ordering.ts'
import { bottomUp, mapInputs, type Rule, withInput } from './rule.ts'

/** A limit over a sort: the sort keeps that many rows. */
export const topN: Rule = {
  name: 'top-n',
  readsCounts: true,
  apply: plan =>
    underLimits(plan, (node, rows) => {
      if (node.kind !== 'sort' || (node.limit !== undefined && node.limit <= rows)) return node
      return { ...node, limit: rows } satisfies SortNode
    }),
}

/** A limit over a scan: the scan ends after that many rows. */
export const scanLimit: Rule = {
  name: 'scan-limit',
  readsCounts: true,
  apply: plan =>
    underLimits(plan, (node, rows) => {
      if (node.kind !== 'scan' || (node.limit !== undefined && node.limit <= rows)) return node
      return { ...node, limit: rows }
    }),
}

/**
 * Offers what gives a limit its first rows, with the number wanted. Projections give a row for a row, and so do row
 * functions, which need the rows after theirs only if they look ahead; a union wants no more of an input than of all.
 */
function underLimits(plan: LogicalPlan, change: (node: LogicalPlan, rows: number) => LogicalPlan): LogicalPlan {
  const inside = (node: LogicalPlan, rows: number): LogicalPlan => {
    const passes = node.kind === 'project' || node.kind === 'union' || (node.kind === 'window' && !looksAhead(node))
    return passes ? mapInputs(node, input => inside(input, rows)) : change(node, rows)
  }
  return bottomUp(plan, node => {
    if (node.kind !== 'limit' || node.limit === undefined) return node
    const input = inside(node.input, node.limit + node.offset)
    return input === node.input ? node : withInput(node, input)
  })
}

/** The first rows of each series are all that is read of it: `limit n per series` becomes part of the scans. */
export const seriesLimit: Rule = {
  name: 'series-limit',
  apply: plan =>
    bottomUp(plan, node => {
      if (node.kind !== 'limit_per' || node.key.kind !== 'column') return node
      return firstOfSeries(node.input, node.key.name, node.limit) ?? node
    }),
}

function firstOfSeries(plan: LogicalPlan, column: string, rows: number): LogicalPlan | undefined {
  switch (plan.kind) {
    case 'scan': {
      const isSeries = column === 'series' || column === 'series_id'
      if (!isSeries || plan.order === 'none' || plan.limit !== undefined) return undefined
      return { ...plan, seriesLimit: Math.min(rows, plan.seriesLimit ?? Infinity) }
    }
    case 'project': {
      const expr = plan.items.find(item => item.name === column)?.expr
      const input = expr?.kind === 'column' ? firstOfSeries(plan.input, expr.name, rows) : undefined
      return input && withInput(plan, input)
    }
    case 'union': {
      // Each series is of one input.
      const isOne = column === 'series' || column === 'series_id'
      const inputs = isOne && plan.order !== 'none' ? plan.inputs.map(input => firstOfSeries(input, column, rows)) : []
      return inputs.length === 0 || inputs.includes(undefined)
        ? undefined
        : { ...plan, inputs: inputs as LogicalPlan[] }
    }
    default:
      return undefined
  }
}
