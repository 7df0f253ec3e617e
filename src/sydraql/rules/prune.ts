/** Rules that leave out what no one reads: columns, calls, whole nodes. */
import type { Expr } from '../expression.ts'
import { functionInfo } from '../functions.ts'
import type { AggregateNode, JoinNode, LogicalPlan, ProjectNode, ScanNode, UnionNode, WindowNode } from '../plan.ts'
import { collectColumns } from '../rewrite.ts'
import { columnsAs } from './columns.ts'
import { hasNode, mapInputs, type Rule, withInput, withInputs } from './rule.ts'

/** Each node yields the columns that are read above it, and a scan those its row predicate reads. */
export const pruneColumns: Rule = {
  name: 'prune-columns',
  apply: plan => prune(plan, namesOf(plan), true),
}

/** Row functions and aggregates that no one reads go, before what they ask of the order costs a sort. */
export const pruneCalls: Rule = {
  name: 'prune-calls',
  apply: plan => (hasNode(plan, 'window') ? prune(plan, namesOf(plan), false) : plan),
}

const namesOf = ({ schema }: LogicalPlan): Set<string> => new Set(schema.map(column => column.name))

/** `needed`: what is read of the node's columns. `scans`: those yield no others either. */
function prune(plan: LogicalPlan, needed: ReadonlySet<string>, scans: boolean): LogicalPlan {
  const below = (input: LogicalPlan, names: ReadonlySet<string>): LogicalPlan => prune(input, names, scans)
  const over = (node: LogicalPlan, names: ReadonlySet<string>): LogicalPlan =>
    mapInputs(node, input => below(input, names))
  switch (plan.kind) {
    case 'scan':
      return scans ? pruneScan(plan, needed) : plan
    case 'filter':
      return over(plan, withColumns(needed, [plan.predicate]))
    case 'limit':
      return over(plan, needed)
    case 'limit_per':
      return over(plan, withColumns(needed, [plan.key]))
    case 'sort':
      return over(
        plan,
        withColumns(
          needed,
          plan.keys.map(key => key.expr),
        ),
      )
    case 'histogram':
      return over(plan, withColumns([], [plan.value]))
    case 'project':
      return pruneProject(plan, needed, below)
    case 'aggregate':
      return pruneAggregate(plan, needed, below)
    case 'fill': {
      const kept = withColumns([...needed, plan.bucketColumn, ...plan.keyColumns], plan.kept ? [plan.kept] : [])
      const input = below(plan.input, kept)
      if (input === plan.input) return plan
      const left = namesOf(input)
      return {
        ...plan,
        input,
        valueColumns: plan.valueColumns.filter(name => left.has(name)),
        schema: plan.schema.filter(column => left.has(column.name)),
      }
    }
    case 'window':
      return pruneWindow(plan, needed, below)
    case 'union':
      return pruneUnion(plan, needed, below)
    case 'join':
      return pruneJoin(plan, needed, below)
    default:
      return plan
  }
}

type Below = (input: LogicalPlan, names: ReadonlySet<string>) => LogicalPlan

function pruneScan(plan: ScanNode, needed: ReadonlySet<string>): ScanNode {
  const kept = new Set(needed)
  if (plan.rowPredicate !== undefined) collectColumns(plan.rowPredicate, kept)
  const schema = plan.schema.filter(column => kept.has(column.name))
  return schema.length === plan.schema.length ? plan : { ...plan, schema }
}

function pruneProject(plan: ProjectNode, needed: ReadonlySet<string>, below: Below): LogicalPlan {
  const kept = plan.items.filter(item => needed.has(item.name))
  const items = kept.length === plan.items.length ? plan.items : kept
  const read = withColumns(
    [],
    items.map(item => item.expr),
  )
  const input = below(plan.input, read)
  if (input === plan.input && items === plan.items) return plan
  const schema = items === plan.items ? plan.schema : plan.schema.filter(column => needed.has(column.name))
  return { ...plan, input, items, schema }
}

function pruneAggregate(plan: AggregateNode, needed: ReadonlySet<string>, below: Below): LogicalPlan {
  const kept = plan.aggregates.filter(call => needed.has(call.name))
  const isSame = kept.length === plan.aggregates.length
  const exprs = [...plan.keys.map(key => key.expr), ...kept.flatMap(call => call.args)]
  const looksAtOrder = kept.some(call => {
    const hints = functionInfo(call.function)?.hints
    return hints?.needsOrder === true || hints?.needsSeriesOrder === true
  })
  const input = below(plan.input, withColumns(looksAtOrder ? sequenceColumns(plan) : [], exprs))
  if (isSame) return input === plan.input ? plan : withInput(plan, input)
  const names = new Set([...plan.keys, ...kept].map(each => each.name))
  return { ...plan, input, aggregates: kept, schema: plan.schema.filter(column => names.has(column.name)) }
}

function pruneWindow(plan: WindowNode, needed: ReadonlySet<string>, below: Below): LogicalPlan {
  const calls = plan.calls.filter(call => needed.has(call.name))
  const dropped = plan.calls.filter(call => !needed.has(call.name)).map(call => call.name)
  if (calls.length === 0) return below(plan.input, without(needed, dropped))
  const names = without(
    needed,
    plan.calls.map(call => call.name),
  )
  const args = calls.flatMap(call => call.args)
  const input = below(plan.input, withColumns([...names, ...sequenceColumns(plan)], args))
  if (dropped.length === 0) return input === plan.input ? plan : withInput(plan, input)
  const schema = plan.schema.slice(plan.input.schema.length).filter(column => !dropped.includes(column.name))
  return { ...plan, input, calls, schema: [...input.schema, ...schema] }
}

function pruneUnion(plan: UnionNode, needed: ReadonlySet<string>, below: Below): LogicalPlan {
  const names = plan.order === 'none' ? needed : new Set([...needed, 'time', 'series'])
  const schema = plan.schema.filter(column => names.has(column.name))
  const inputs = plan.inputs.map(input => {
    const pruned = below(input, names)
    // A row predicate may keep a column in one input alone: all have one schema.
    const isAlike =
      pruned.schema.length === schema.length && pruned.schema.every((column, i) => column.name === schema[i]!.name)
    return isAlike ? pruned : columnsAs(pruned, schema)
  })
  const isSame = schema.length === plan.schema.length && inputs.every((input, i) => input === plan.inputs[i])
  return isSame ? plan : { ...plan, inputs, schema }
}

function pruneJoin(plan: JoinNode, needed: ReadonlySet<string>, below: Below): LogicalPlan {
  const { leftSequence, rightSequence, keys } = plan
  const sequences = [...sequenceColumns({ sequence: leftSequence }), ...sequenceColumns({ sequence: rightSequence })]
  const names = withColumns(
    [...needed, ...sequences],
    keys.flatMap(key => [key.left, key.right]),
  )
  const [left, right] = [below(plan.left, names), below(plan.right, names)]
  return left === plan.left && right === plan.right ? plan : withInputs(plan, [left, right])
}

const sequenceColumns = ({ sequence }: Pick<WindowNode, 'sequence'>): string[] =>
  sequence.time === undefined ? [...sequence.partition] : [sequence.time, ...sequence.partition]

const without = (names: ReadonlySet<string>, dropped: readonly string[]): Set<string> => {
  const left = new Set(names)
  for (const name of dropped) left.delete(name)
  return left
}

function withColumns(names: Iterable<string>, exprs: readonly Expr[]): Set<string> {
  const all = new Set(names)
  for (const expr of exprs) collectColumns(expr, all)
  return all
}
