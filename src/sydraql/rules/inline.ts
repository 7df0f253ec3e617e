/**
 * Projections go where what reads them can say it itself: an aggregation over a sub-select or over one metric of many
 * then stands on its scan, which can serve it by runs and statistics.
 */
import type { Expr } from '../expression.ts'
import type { AggregateNode, LogicalPlan, NamedExpr, ProjectNode } from '../plan.ts'
import { walk } from '../rewrite.ts'
import { isConstant } from '../slots.ts'
import { throughItems } from './columns.ts'
import { bottomUp, type Rule } from './rule.ts'

export const inlineProjections: Rule = {
  name: 'inline-projections',
  apply: plan =>
    bottomUp(plan, node => {
      if (!('input' in node) || node.input.kind !== 'project') return node
      if (node.kind === 'project') return merged(node, node.input)
      if (node.kind === 'aggregate') return overItsInput(node, node.input)
      if (node.kind !== 'histogram' || !isCheap([node.value], node.input.items)) return node
      return { ...node, input: node.input.input, value: throughItems(node.value, node.input.items) }
    }),
}

/** Whether no work is done twice: what is computed is read at most once. */
function isCheap(exprs: readonly Expr[], items: readonly NamedExpr[]): boolean {
  const reads = new Map<string, number>()
  for (const expr of exprs)
    walk(expr, node => {
      if (node.kind === 'column') reads.set(node.name, (reads.get(node.name) ?? 0) + 1)
    })
  return items.every(({ name, expr }) => expr.kind === 'column' || isConstant(expr) || (reads.get(name) ?? 0) < 2)
}

function merged(outer: ProjectNode, inner: ProjectNode): LogicalPlan {
  const exprs = outer.items.map(item => item.expr)
  if (!isCheap(exprs, inner.items)) return outer
  const items = outer.items.map(({ name, expr }) => ({ name, expr: throughItems(expr, inner.items) }))
  return { ...outer, input: inner.input, items }
}

function overItsInput(node: AggregateNode, { items, input }: ProjectNode): LogicalPlan {
  const exprs = [...node.keys.map(key => key.expr), ...node.aggregates.flatMap(call => call.args)]
  if (!isCheap(exprs, items)) return node
  const columnOf = (name: string): string | undefined => {
    const expr = items.find(item => item.name === name)?.expr
    return expr?.kind === 'column' ? expr.name : undefined
  }
  const time = node.sequence.time === undefined ? undefined : columnOf(node.sequence.time)
  const partition = node.sequence.partition.map(columnOf).filter(name => name !== undefined)
  if (partition.length < node.sequence.partition.length) return node
  if (time === undefined && node.sequence.time !== undefined) return node
  return {
    ...node,
    input,
    sequence: { time, partition },
    keys: node.keys.map(key => ({ ...key, expr: throughItems(key.expr, items) })),
    aggregates: node.aggregates.map(call => ({ ...call, args: call.args.map(arg => throughItems(arg, items)) })),
  }
}
