/**
 * What tells the rows of a plan apart, and the plan with those columns that it does not select.
 *
 *   select usage from cpu                       ->  usage | series_id, time
 *   select avg(usage) from cpu group by host    ->  avg(usage) | tag.host
 *   a join, or a sub-select of one              ->  all columns are the key, as rows may be there several times
 *
 * Invariants:
 * 1. The query's columns come first and as they were; key columns that are missing follow, hidden.
 * 2. No two rows of a plan have one key, unless all of its columns are the key.
 */
import type { ValueType } from '../../columnar/batch.ts'
import { UniqueNames } from '../../sydraql/analyze/grouping.ts'
import { columnRef } from '../../sydraql/analyze/scope.ts'
import type { LogicalPlan, ProjectNode, ScanNode, UnionNode } from '../../sydraql/plan.ts'
import { withInput, withInputs } from '../../sydraql/rules/rule.ts'
import type { LiveColumns } from './types.ts'

export interface Keyed {
  readonly plan: LogicalPlan
  readonly columns: LiveColumns
}

/**
 * @example
 * const { plan, columns } = withKeys(source.planAt(nowUs, withoutRules))
 */
export function withKeys(plan: LogicalPlan): Keyed {
  const selected = plan.schema.length
  const found = keyed(plan)
  if (found === undefined) return { plan, columns: { schema: plan.schema, keys: [...plan.schema.keys()], selected } }
  const { schema } = found.plan
  const keys = found.keys.map(name => schema.findIndex(column => column.name === name))
  return { plan: found.plan, columns: { schema, keys, selected } }
}

/** Whether rows have no key, so that equal ones may be there several times. */
export const isMultiset = ({ schema, keys }: LiveColumns): boolean => schema.length > 0 && keys.length === schema.length

interface KeyedPlan {
  readonly plan: LogicalPlan
  /** Names of its columns. */
  readonly keys: readonly string[]
}

/** The columns that tell rows of a scan apart. */
export const rowKeys = ['series_id', 'time'] as const

/** undefined: nothing less than all columns tells its rows apart. */
function keyed(plan: LogicalPlan): KeyedPlan | undefined {
  switch (plan.kind) {
    case 'scan':
      return { plan: identified(plan), keys: rowKeys }
    case 'filter':
    case 'sort':
    case 'limit':
    case 'limit_per':
    case 'window': {
      const below = keyed(plan.input)
      return below && { plan: withInput(plan, below.plan), keys: below.keys }
    }
    case 'project': {
      const below = keyed(plan.input)
      return below && projectingKeys(plan, below)
    }
    case 'union':
      return unionOfKeyed(plan)
    case 'aggregate':
      return { plan, keys: plan.keys.map(key => key.name) }
    case 'fill':
      return { plan, keys: [plan.bucketColumn, ...plan.keyColumns] }
    case 'histogram':
      return { plan, keys: ['bucket'] }
    case 'values':
      return plan.rows.length <= 1 ? { plan, keys: [] } : undefined
    case 'join':
    case 'show':
      return undefined
  }
}

function identified(scan: ScanNode): ScanNode {
  const types: Readonly<Record<(typeof rowKeys)[number], ValueType>> = { series_id: 'string', time: 'timestamp' }
  const missing = rowKeys.filter(name => !scan.schema.some(column => column.name === name))
  if (missing.length === 0) return scan
  return { ...scan, schema: [...scan.schema, ...missing.map(name => ({ name, type: types[name], nullable: false }))] }
}

function projectingKeys(project: ProjectNode, { plan: input, keys }: KeyedPlan): KeyedPlan {
  const names = new UniqueNames(project.schema.map(column => column.name))
  const items = [...project.items]
  const schema = [...project.schema]
  const found = keys.map(key => {
    const item = project.items.find(({ expr }) => expr.kind === 'column' && expr.name === key)
    if (item !== undefined) return item.name
    const { type, nullable } = input.schema.find(column => column.name === key)!
    const name = names.add(key)
    items.push({ name, expr: columnRef(key, type, { start: 0, end: 0 }) })
    schema.push({ name, type, nullable })
    return name
  })
  return { plan: { ...project, input, items, schema }, keys: found }
}

/** Metrics have no series in common, so that what tells rows of each apart does so for all. */
function unionOfKeyed(union: UnionNode): KeyedPlan | undefined {
  const inputs: KeyedPlan[] = []
  for (const input of union.inputs) {
    const found = keyed(input)
    if (found === undefined || !isOfRows(input)) return undefined
    inputs.push(found)
  }
  const [first] = inputs
  const isAlike = inputs.every(
    ({ plan, keys }) =>
      plan.schema.length === first!.plan.schema.length &&
      plan.schema.every((column, index) => column.name === first!.plan.schema[index]!.name) &&
      keys.every((key, index) => key === first!.keys[index]),
  )
  if (!isAlike) return undefined
  return {
    plan: withInputs(
      union,
      inputs.map(({ plan }) => plan),
    ),
    keys: first!.keys,
  }
}

/** Whether the plan's rows are those of one metric. */
const isOfRows = (plan: LogicalPlan): boolean =>
  plan.kind === 'scan' || ((plan.kind === 'filter' || plan.kind === 'project') && isOfRows(plan.input))
