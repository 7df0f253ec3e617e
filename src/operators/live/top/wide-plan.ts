/**
 * A query for the first rows, taken apart: what its rows go through, where they stand in its order, and how many are wanted.
 *
 *   project over limit n over [project, filter] over sort k over the branches of raw rows
 *   project over limit_per p over sort k over the branches
 *
 *   wide row   [the query's columns] [a place for each sort key] [the limit's key] [series_id] [time] [shown]
 *
 * Invariants:
 * 1. Every row that the branches give has a wide row, however the limit falls: one that a filter above the limit leaves out
 *    takes a place, and is not `shown`.
 * 2. The sort keys tell any two rows apart, so that which rows are the first depends on nothing else.
 */
import type { ColumnInfo, Schema } from '../../../columnar/batch.ts'
import { UniqueNames } from '../../../sydraql/analyze/grouping.ts'
import { columnRef } from '../../../sydraql/analyze/scope.ts'
import type { Expr } from '../../../sydraql/expression.ts'
import { optimize } from '../../../sydraql/optimize.ts'
import type {
  FilterNode,
  LimitNode,
  LimitPerNode,
  LogicalPlan,
  NamedExpr,
  ProjectNode,
  SortNode,
} from '../../../sydraql/plan.ts'
import { withInput } from '../../../sydraql/rules/rule.ts'
import { branchesOf } from '../branches.ts'
import { rowKeys } from '../keys.ts'
import { branchesByMetric } from '../readers.ts'
import type { LiveColumns } from '../types.ts'

/** Where the parts of a wide row begin. */
export interface WideRow {
  /** How many columns the query has; they come first. */
  readonly columns: number
  /** Sort keys, from `columns` on. */
  readonly sortKeys: readonly Pick<SortNode['keys'][number], 'descending' | 'nulls'>[]
  /** Index of the value of `limit … per`; undefined: all rows are of one part. */
  readonly part: number | undefined
  readonly seriesId: number
  readonly time: number
  readonly shown: number
}

export interface WidePlan {
  readonly row: WideRow
  /** Of each part: so many rows are the query's, after the first `offset`. */
  readonly limit: number
  readonly offset: number
  /** Wide rows of all there is, in no order: reads in parts. */
  readonly all: LogicalPlan
  /** Wide rows of the first `count` of each part. */
  first(count: number): LogicalPlan
}

type RowWise = FilterNode | ProjectNode

/** undefined: not the first rows of raw rows, or their order leaves it open which those are. */
export function widePlanOf(plan: LogicalPlan, { keys }: LiveColumns): WidePlan | undefined {
  const above = rowWiseOver(plan)
  const cut = above.input
  if (cut.kind !== 'limit' && cut.kind !== 'limit_per') return undefined
  const between = cut.kind === 'limit' ? rowWiseOver(cut.input) : { steps: [], input: cut.input }
  const sort = between.input
  const offset = cut.kind === 'limit' ? cut.offset : 0
  if (cut.limit === undefined || sort.kind !== 'sort' || sort.limit !== undefined) return undefined
  const [seriesId, time] = keys.map(key => columnBelow(plan, plan.schema[key]!.name, sort.input))
  if (seriesId === undefined || time === undefined || keys.length !== rowKeys.length) return undefined
  if (!isTotal(sort)) return undefined

  const names = new UniqueNames(namesIn(plan))
  const carried = carriedColumns(sort, cut, { seriesId, time }, names)
  const shown = names.add('shown')
  const over = (input: LogicalPlan, rowsFrom: (input: LogicalPlan) => LogicalPlan): LogicalPlan => {
    const cutOff = rowsFrom(stepsOver(projected(input, carried), between.steps, carried))
    return stepsAbove(cutOff, above.steps, carried, shown)
  }
  const all = over(sort.input, input => input)
  if (branchesByMetric(all) === undefined) return undefined
  const columns = plan.schema.length
  const sortKeys = sort.keys.length
  const isParted = cut.kind === 'limit_per'
  const row: WideRow = {
    columns,
    sortKeys: sort.keys,
    part: isParted ? columns + sortKeys : undefined,
    seriesId: columns + sortKeys + Number(isParted),
    time: columns + sortKeys + Number(isParted) + 1,
    shown: columns + sortKeys + Number(isParted) + 2,
  }
  const first = (count: number): LogicalPlan => {
    const plan =
      cut.kind === 'limit'
        ? over(sort, input => ({ ...cut, input, limit: count, offset: 0, schema: input.schema }))
        : over({ ...cut, input: sort, limit: count }, input => input)
    return optimize(plan, rule => !counting.has(rule.name)).plan
  }
  return { row, limit: cut.limit, offset, all, first }
}

/** What the batch planner does about limits, which bare plans do without. */
const counting: ReadonlySet<string> = new Set(['scan-order', 'redundant-sort', 'series-limit', 'top-n', 'scan-limit'])

/** The filters and projections at the top of a plan, from below upwards. */
function rowWiseOver(plan: LogicalPlan): { readonly steps: readonly RowWise[]; readonly input: LogicalPlan } {
  const steps: RowWise[] = []
  let input = plan
  while (input.kind === 'filter' || input.kind === 'project') {
    steps.unshift(input)
    input = input.input
  }
  return { steps, input }
}

/** The column of `target`, a node under the plan, that passes unchanged as this column of the plan. */
function columnBelow(plan: LogicalPlan, name: string, target: LogicalPlan): string | undefined {
  if (plan === target) return name
  if (!('input' in plan)) return undefined
  if (plan.kind !== 'project') return columnBelow(plan.input, name, target)
  const expr = plan.items.find(item => item.name === name)?.expr
  return expr?.kind === 'column' ? columnBelow(plan.input, expr.name, target) : undefined
}

/** Whether time and series are among the keys. */
function isTotal({ keys, input }: SortNode): boolean {
  const branches = branchesOf(input)
  return (
    branches?.every(({ scan, plan }) => {
      const origins = keys.map(({ expr }) => (expr.kind === 'column' ? columnBelow(plan, expr.name, scan) : undefined))
      return origins.includes('time') && (origins.includes('series') || origins.includes('series_id'))
    }) === true
  )
}

function namesIn(plan: LogicalPlan): string[] {
  const below = 'input' in plan ? namesIn(plan.input) : plan.kind === 'union' ? plan.inputs.flatMap(namesIn) : []
  return [...below, ...plan.schema.map(({ name }) => name)]
}

// ---- columns that go along ------------------------------------------------------------------------------------------

type Carried = readonly (NamedExpr & { readonly info: ColumnInfo })[]

/** Over the input of the sort. */
function carriedColumns(
  sort: SortNode,
  cut: LimitNode | LimitPerNode,
  ids: { readonly seriesId: string; readonly time: string },
  names: UniqueNames,
): Carried {
  const column = (hint: string, expr: Expr): Carried[number] => {
    const name = names.add(hint)
    const type = expr.type === 'null' ? 'float' : expr.type
    return { name, expr, info: { name, type, nullable: true } }
  }
  return [
    ...sort.keys.map(({ expr }) => column('place', expr)),
    ...(cut.kind === 'limit_per' ? [column('part', cut.key)] : []),
    column('id', columnRef(ids.seriesId, 'string', nowhere)),
    column('at', columnRef(ids.time, 'timestamp', nowhere)),
  ]
}

const nowhere = { start: 0, end: 0 }

const passed = ({ name, type }: ColumnInfo): NamedExpr => ({ name, expr: columnRef(name, type, nowhere) })

const project = (input: LogicalPlan, items: readonly NamedExpr[], schema: Schema): ProjectNode => ({
  kind: 'project',
  input,
  items,
  schema,
})

/** All columns, and those that go along. */
const projected = (input: LogicalPlan, carried: Carried): LogicalPlan =>
  project(input, [...input.schema.map(passed), ...carried], [...input.schema, ...carried.map(({ info }) => info)])

/** The steps, with the columns going along. */
function stepsOver(input: LogicalPlan, steps: readonly RowWise[], carried: Carried): LogicalPlan {
  const along = carried.map(({ info }) => info)
  return steps.reduce<LogicalPlan>((below, step) => {
    if (step.kind === 'filter') return withInput(step, below)
    return project(below, [...step.items, ...along.map(passed)], [...step.schema, ...along])
  }, input)
}

/** The same for what is over the limit: there a filter says which rows are shown. */
function stepsAbove(input: LogicalPlan, steps: readonly RowWise[], carried: Carried, shown: string): LogicalPlan {
  const along = carried.map(({ info }) => info)
  const info: ColumnInfo = { name: shown, type: 'boolean', nullable: true }
  const isShown = columnRef(shown, 'boolean', nowhere)
  const yes: Expr = { kind: 'literal', type: 'boolean', value: true, span: nowhere }
  const all = project(input, [...input.schema.map(passed), { name: shown, expr: yes }], [...input.schema, info])
  return steps.reduce<LogicalPlan>((below, step) => {
    const own = (step.kind === 'filter' ? below.schema.slice(0, -1 - along.length) : step.schema) as Schema
    const items = step.kind === 'filter' ? own.map(passed) : step.items
    const expr: Expr =
      step.kind === 'project'
        ? isShown
        : { kind: 'call', type: 'boolean', name: 'and', args: [isShown, step.predicate], span: nowhere }
    return project(below, [...items, ...along.map(passed), { name: shown, expr }], [...own, ...along, info])
  }, all)
}
