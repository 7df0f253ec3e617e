/** Executes a logical plan over a fake database on rows as objects: slow, plain, and what operators are held to. */
import type { Scalar } from '../../src/columnar/value.ts'
import type {
  AggregateNode,
  FillNode,
  HistogramNode,
  JoinNode,
  LimitPerNode,
  LogicalPlan,
  ScanNode,
  SortKey,
  UnionNode,
} from '../../src/sydraql/plan.ts'
import { type FakeDatabase, printedOf } from './fake-database.ts'
import { bucketStart, interpret, order, type Row } from './interpreter.ts'
import { aggregated } from './model-aggregates.ts'
import { nameOf, partitionOf, windows } from './model-windows.ts'

export function runModel(plan: LogicalPlan, database: FakeDatabase): Row[] {
  switch (plan.kind) {
    case 'scan':
      return scan(plan, database)
    case 'filter':
      return runModel(plan.input, database).filter(row => interpret(plan.predicate, row) === true)
    case 'project':
      return runModel(plan.input, database).map(row =>
        Object.fromEntries(plan.items.map(({ name, expr }) => [name, interpret(expr, row)])),
      )
    case 'sort':
      return sorted(runModel(plan.input, database), plan.keys)
    case 'limit': {
      const rows = runModel(plan.input, database).slice(plan.offset)
      return plan.limit === undefined ? rows : rows.slice(0, plan.limit)
    }
    case 'values':
      return plan.rows.map(row => Object.fromEntries(plan.schema.map(({ name }, i) => [name, row[i]!])))
    case 'aggregate':
      return aggregate(plan, runModel(withOrderColumns(plan.input), database))
    case 'fill':
      return fill(plan, runModel(plan.input, database))
    case 'limit_per':
      return limitPer(plan, runModel(plan.input, database))
    case 'window':
      return windows(plan, runModel(plan.input, database))
    case 'union':
      return union(
        plan,
        plan.inputs.map(input => runModel(input, database)),
      )
    case 'join':
      return join(plan, runModel(plan.left, database), runModel(plan.right, database))
    case 'histogram':
      return histogram(plan, runModel(plan.input, database))
    case 'show':
      throw new Error('the model has no listings')
  }
}

/** `first` and `last` look at time and series, which the plan's scan may leave out. */
function withOrderColumns(plan: LogicalPlan): LogicalPlan {
  if (plan.kind === 'filter') return { ...plan, input: withOrderColumns(plan.input) }
  if (plan.kind !== 'scan') return plan
  const names = plan.schema.map(info => info.name)
  const added = (['time', 'series'] as const).filter(name => !names.includes(name))
  return {
    ...plan,
    schema: [...plan.schema, ...added.map(name => ({ name, type: 'string', nullable: false }) as const)],
  }
}

function scan(plan: ScanNode, database: FakeDatabase): Row[] {
  const metric = database.catalog.metric(plan.metric)!
  const merged = new Map<string, { series: number; timeUs: number; values: Scalar[] }>()
  for (const rows of database.pieces[plan.metric] ?? [])
    for (const row of rows) {
      const key = `${row.series}/${row.timeUs}`
      const known = merged.get(key)
      if (known === undefined)
        merged.set(key, {
          series: row.series,
          timeUs: row.timeUs,
          values: metric.fields.map(field => row.values[field.id] ?? null),
        })
      else
        for (const field of metric.fields) {
          const value = row.values[field.id] ?? null
          if (value !== null) known.values[field.id] = value
        }
    }
  let rows = [...merged.values()].map(({ series, timeUs, values }): Row => {
    const row: Record<string, Scalar> = {
      time: timeUs,
      series: printedOf(database.series[series]!),
      series_id: database.catalog.ids.at(series),
    }
    for (const info of plan.schema) if (info.name.startsWith('tag.')) row[info.name] = null
    for (const key of database.catalog.tagKeys(metric.id)) row[`tag.${key}`] = null
    for (const [key, value] of Object.entries(database.series[series]!.tags)) row[`tag.${key}`] = value
    for (const field of metric.fields) row[`field.${field.name}`] = values[field.id]!
    return row
  })
  rows = rows.filter(
    row =>
      (row['time'] as number) >= plan.range.fromUs &&
      (row['time'] as number) < plan.range.toUs &&
      (plan.seriesIds === undefined || plan.seriesIds.includes(row['series_id'] as string)) &&
      (plan.seriesPredicate === undefined || interpret(plan.seriesPredicate, row) === true) &&
      (plan.rowPredicate === undefined || interpret(plan.rowPredicate, row) === true),
  )
  const direction = plan.order === 'time desc' ? -1 : 1
  rows.sort((a, b) => {
    const byTime = ((a['time'] as number) - (b['time'] as number)) * direction
    const bySeries = order(a['series']!, b['series']!)
    return plan.order === 'series,time' ? bySeries || byTime : byTime || bySeries
  })
  if (plan.seriesLimit !== undefined) {
    const most = plan.seriesLimit
    rows = rows.filter((row, i) => rows.slice(0, i).filter(each => each['series'] === row['series']).length < most)
  }
  if (plan.limit !== undefined) rows = rows.slice(0, plan.limit)
  return rows.map(row => Object.fromEntries(plan.schema.map(({ name }) => [name, row[name]!])))
}

const sorted = (rows: readonly Row[], keys: readonly SortKey[]): Row[] =>
  rows.toSorted((left, right) => {
    for (const { expr, descending, nulls } of keys) {
      const [a, b] = [interpret(expr, left), interpret(expr, right)]
      if (a === null || b === null) {
        if (a === b) continue
        return (a === null ? 1 : -1) * (nulls === 'last' ? 1 : -1)
      }
      const result = order(a, b) * (descending ? -1 : 1)
      if (result !== 0) return result
    }
    return 0
  })

function aggregate(plan: AggregateNode, rows: readonly Row[]): Row[] {
  const groups = new Map<string, { keys: Scalar[]; rows: Row[] }>()
  if (plan.keys.length === 0) groups.set('', { keys: [], rows: [] })
  for (const row of rows) {
    const keys = plan.keys.map(key => interpret(key.expr, row))
    const name = keys.map(nameOf).join('|')
    const group = groups.get(name)
    if (group === undefined) groups.set(name, { keys, rows: [row] })
    else group.rows.push(row)
  }
  const keyOrder = plan.keys.map((_, i) => i)
  keyOrder.sort((a, b) => Number(plan.keys[a]!.bucket === undefined) - Number(plan.keys[b]!.bucket === undefined))
  return [...groups.values()]
    .sort((a, b) => {
      for (const i of keyOrder) {
        const result = order(a.keys[i]!, b.keys[i]!)
        if (result !== 0) return result
      }
      return 0
    })
    .map(group => {
      const result: Record<string, Scalar> = {}
      plan.keys.forEach((key, i) => {
        result[key.name] = group.keys[i]!
      })
      for (const call of plan.aggregates) result[call.name] = aggregated(call, group.rows, rows, plan.sequence)
      return result
    })
}

function fill(plan: FillNode, rows: readonly Row[]): Row[] {
  const next = (start: number): number => {
    if (plan.bucket.kind === 'fixed') return start + plan.bucket.widthUs
    let probe = start
    while (bucketStart(plan.bucket, probe) === start) probe += 86_400e6
    return bucketStart(plan.bucket, probe)
  }
  if (rows.length === 0) return []
  const starts = rows.map(row => row[plan.bucketColumn] as number)
  const { fromUs, toUs } = plan.range
  const first = fromUs === -Infinity ? Math.min(...starts) : bucketStart(plan.bucket, fromUs)
  const last = toUs === Infinity ? Math.max(...starts) : bucketStart(plan.bucket, toUs - 1)
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const name = plan.keyColumns.map(key => nameOf(row[key]!)).join('|')
    groups.set(name, [...(groups.get(name) ?? []), row])
  }
  const sortedGroups = [...groups.values()]
    .filter(group =>
      group.some(row => (row[plan.bucketColumn] as number) >= first && (row[plan.bucketColumn] as number) <= last),
    )
    .sort(([a], [b]) => {
      for (const key of plan.keyColumns) {
        const result = order(a![key]!, b![key]!)
        if (result !== 0) return result
      }
      return 0
    })
  const out: Row[] = []
  for (let start = first; start <= last; start = next(start))
    for (const group of sortedGroups) {
      const row: Record<string, Scalar> = { [plan.bucketColumn]: start }
      for (const key of plan.keyColumns) row[key] = group[0]![key]!
      for (const column of plan.valueColumns) row[column] = filled(plan, group, column, start)
      out.push(row)
    }
  return out
}

function filled({ mode, bucketColumn }: FillNode, group: readonly Row[], column: string, start: number): Scalar {
  const known = group.filter(row => row[column] !== null)
  const at = (row: Row) => row[bucketColumn] as number
  const here = known.find(row => at(row) === start)
  if (here !== undefined) return here[column]!
  if (mode.kind === 'null') return null
  if (mode.kind === 'constant') return mode.value
  const before = known.findLast(row => at(row) < start)
  const after = known.find(row => at(row) > start)
  if (before === undefined) return null
  if (mode.kind === 'previous')
    return mode.lookbackUs !== undefined && start - at(before) > mode.lookbackUs ? null : before[column]!
  if (after === undefined || typeof before[column] !== 'number') return null
  const [low, high] = [before[column], after[column] as number]
  return low === high ? low : low + (high - low) * ((start - at(before)) / (at(after) - at(before)))
}

/** A row stays when fewer than `limit` rows before it have its value. */
const limitPer = ({ key, limit }: LimitPerNode, rows: readonly Row[]): Row[] => {
  const names = rows.map(row => nameOf(interpret(key, row)))
  return rows.filter((_, i) => names.slice(0, i).filter(name => name === names[i]).length < limit)
}

function union({ order: by }: UnionNode, inputs: readonly (readonly Row[])[]): Row[] {
  const rows = inputs.flat()
  if (by === 'none') return rows
  const direction = by === 'time desc' ? -1 : 1
  return rows.toSorted((a, b) => {
    const byTime = ((a['time'] as number) - (b['time'] as number)) * direction
    const bySeries = order(a['series'] ?? null, b['series'] ?? null)
    return by === 'series,time' ? bySeries || byTime : byTime || bySeries
  })
}

/** For each left row: the right rows that match, of which those stay that are newest in their partition. */
function join(plan: JoinNode, left: readonly Row[], right: readonly Row[]): Row[] {
  const { leftSequence, rightSequence, withinUs, keys } = plan
  const same = (a: Scalar, b: Scalar) => a !== null && b !== null && order(a, b) === 0
  return left.flatMap(l => {
    const time = l[leftSequence.time!]!
    if (time === null) return []
    const timeOf = (row: Row) => row[rightSequence.time!] as number | null
    const candidates = right.filter(r => {
      const at = timeOf(r)
      return (
        at !== null &&
        at <= (time as number) &&
        at >= (time as number) - withinUs &&
        keys.every(key => same(interpret(key.left, l), interpret(key.right, r)))
      )
    })
    return candidates
      .filter(r =>
        candidates.every(
          other => partitionOf(other, rightSequence) !== partitionOf(r, rightSequence) || timeOf(other)! <= timeOf(r)!,
        ),
      )
      .map(r => ({ ...l, ...r }))
  })
}

function histogram({ value, low, high, buckets, schema }: HistogramNode, rows: readonly Row[]): Row[] {
  const values = rows.map(row => interpret(value, row)).filter(v => v !== null) as number[]
  const edge = (i: number) => (i === buckets ? high : low + ((high - low) * i) / buckets)
  return Array.from({ length: buckets }, (_, i) => ({
    [schema[0]!.name]: edge(i),
    [schema[1]!.name]: values.filter(v => v >= edge(i) && v < edge(i + 1)).length,
  }))
}
