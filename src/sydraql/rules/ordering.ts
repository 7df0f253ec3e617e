/** What is known of the order in which a plan's rows come, and how to have them come in another. */
import type { Schema } from '../../columnar/batch.ts'
import { functionInfo } from '../functions.ts'
import type { JoinNode, LogicalPlan, ScanOrder, SortKey, SortNode, UnionNode, WindowNode } from '../plan.ts'
import { isConstant } from '../slots.ts'
import { throughItems } from './columns.ts'
import { inputsOf, withInput, withInputs } from './rule.ts'

interface OrderedColumn {
  readonly name: string
  readonly descending: boolean
  /** undefined: there are none. */
  readonly nulls: 'first' | 'last' | undefined
}
export interface Ordering {
  readonly columns: readonly OrderedColumn[]
  /** Columns that no two rows share all values of; none needed where there is one row. */
  readonly unique: readonly string[] | undefined
}

const unknown: Ordering = { columns: [], unique: undefined }

const scanColumns: Readonly<Record<ScanOrder, readonly OrderedColumn[]>> = {
  none: [],
  time: [ascending('time'), ascending('series')],
  'time desc': [{ ...ascending('time'), descending: true }, ascending('series')],
  'series,time': [ascending('series'), ascending('time')],
}
const scanUnique = ['time', 'series']

function ascending(name: string, nulls?: 'last'): OrderedColumn {
  return { name, descending: false, nulls }
}

export function orderingOf(plan: LogicalPlan): Ordering {
  switch (plan.kind) {
    case 'scan':
      return { columns: scanColumns[plan.order], unique: scanUnique }
    case 'union':
      return { columns: scanColumns[plan.order], unique: isOfMetrics(plan) ? scanUnique : undefined }
    case 'aggregate': {
      const { keys } = plan
      const ordered = [...keys.filter(key => key.bucket !== undefined), ...keys.filter(key => key.bucket === undefined)]
      return { columns: ordered.map(key => ascending(key.name, 'last')), unique: keys.map(key => key.name) }
    }
    case 'fill': {
      const names = [plan.bucketColumn, ...plan.keyColumns]
      return { columns: names.map(name => ascending(name, 'last')), unique: names }
    }
    case 'histogram':
      return { columns: [ascending('bucket')], unique: ['bucket'] }
    case 'project':
      return renamed(orderingOf(plan.input), name => plan.items.find(({ expr }) => isColumn(expr, name))?.name)
    case 'sort':
      return { columns: columnsOf(plan.keys), unique: orderingOf(plan.input).unique }
    case 'join':
      return orderingOfJoin(plan)
    case 'values':
      return plan.rows.length <= 1 ? { columns: [], unique: [] } : unknown
    case 'show':
      return unknown
    default:
      return orderingOf(plan.input)
  }
}

const isColumn = (expr: SortKey['expr'], name: string): boolean => expr.kind === 'column' && expr.name === name

/** Up to the first key that is no column. */
function columnsOf(keys: readonly SortKey[]): OrderedColumn[] {
  const columns: OrderedColumn[] = []
  for (const { expr, descending, nulls } of keys) {
    if (expr.kind !== 'column') break
    columns.push({ name: expr.name, descending, nulls })
  }
  return columns
}

function renamed({ columns, unique }: Ordering, nameOf: (name: string) => string | undefined): Ordering {
  const known: OrderedColumn[] = []
  for (const column of columns) {
    const name = nameOf(column.name)
    if (name === undefined) break
    known.push({ ...column, name })
  }
  const names = unique?.map(nameOf)
  return { columns: known, unique: names?.every(name => name !== undefined) ? names : undefined }
}

/** Whether each input is of a metric of its own, so that no two have a series in common. */
function isOfMetrics({ inputs }: UnionNode): boolean {
  const metrics = inputs.map(scannedMetric)
  return !metrics.includes(undefined) && new Set(metrics).size === metrics.length
}

function scannedMetric(plan: LogicalPlan): string | undefined {
  if (plan.kind === 'scan') return plan.metric
  if (plan.kind === 'filter') return scannedMetric(plan.input)
  if (plan.kind !== 'project') return undefined
  const keepsBoth = scanUnique.every(name => plan.items.some(item => item.name === name && isColumn(item.expr, name)))
  return keepsBoth ? scannedMetric(plan.input) : undefined
}

/** A left row's matches come together, in the order of the right; at equal times, if nothing else is within reach. */
function orderingOfJoin({ left, right, rightSequence, withinUs }: JoinNode): Ordering {
  const [a, b] = [orderingOf(left), orderingOf(right)]
  const isTotal = a.unique?.every(name => a.columns.some(column => column.name === name)) ?? false
  const matches = withinUs === 0 ? b.columns.filter(column => column.name !== rightSequence.time) : b.columns
  const ofRight = withinUs === 0 ? b.unique?.filter(name => name !== rightSequence.time) : b.unique
  return {
    columns: isTotal ? [...a.columns, ...matches] : a.columns,
    unique: a.unique && ofRight && [...a.unique, ...ofRight],
  }
}

/** Whether rows in this order need no sorting by the keys. */
export function satisfies({ columns, unique }: Ordering, keys: readonly SortKey[], schema: Schema): boolean {
  const matched: string[] = []
  for (const { expr, descending, nulls } of keys) {
    if (unique?.every(name => matched.includes(name))) return true
    if (isConstant(expr)) continue
    if (expr.kind !== 'column') return false
    if (matched.includes(expr.name)) continue
    const next = columns[matched.length]
    if (next?.name !== expr.name || next.descending !== descending) return false
    const isNullable = schema.find(column => column.name === expr.name)?.nullable ?? true
    if (isNullable && next.nulls !== undefined && next.nulls !== nulls) return false
    matched.push(expr.name)
  }
  return true
}

/** The plan giving the same rows in the order of the keys without sorting them; undefined when it cannot. */
export function inOrder(plan: LogicalPlan, keys: readonly SortKey[]): LogicalPlan | undefined {
  if (satisfies(orderingOf(plan), keys, plan.schema)) return plan
  switch (plan.kind) {
    case 'scan':
      if (plan.order !== 'none' || plan.limit !== undefined || plan.seriesLimit !== undefined) return undefined
      return firstOf(order => (fits(order, keys, plan) ? { ...plan, order } : undefined))
    case 'union':
      if (plan.order !== 'none' || !inputsOf(plan).every(hasSequence)) return undefined
      return firstOf(order => (fits(order, keys, plan) ? merging(plan, order) : undefined))
    case 'filter': {
      const input = inOrder(plan.input, keys)
      return input && withInput(plan, input)
    }
    case 'project': {
      const said = keys.map(key => ({ ...key, expr: throughItems(key.expr, plan.items) }))
      const input = inOrder(plan.input, said)
      return input && withInput(plan, input)
    }
    case 'sort': {
      // What the keys leave open, the order of the input settles: only where they leave nothing may it change.
      const { unique } = orderingOf(plan.input)
      const isSettled = unique?.every(name => keys.some(key => isColumn(key.expr, name))) === true
      return plan.limit === undefined && isSettled ? inOrder(plan.input, keys) : undefined
    }
    case 'window':
      return windowInOrder(plan, keys)
    default:
      return undefined
  }
}

const scanOrders: readonly ScanOrder[] = ['time', 'time desc', 'series,time']

function firstOf(attempt: (order: ScanOrder) => LogicalPlan | undefined): LogicalPlan | undefined {
  for (const order of scanOrders) {
    const found = attempt(order)
    if (found !== undefined) return found
  }
  return undefined
}

const fits = (order: ScanOrder, keys: readonly SortKey[], plan: LogicalPlan): boolean =>
  satisfies({ columns: scanColumns[order], unique: orderingOf(plan).unique }, keys, plan.schema)

const hasSequence = ({ schema }: LogicalPlan): boolean =>
  scanUnique.every(name => schema.some(column => column.name === name && !column.nullable))

function merging(plan: UnionNode, order: ScanOrder): LogicalPlan | undefined {
  const keys = scanColumns[order].map(
    (column): SortKey => ({
      expr: { kind: 'column', type: column.name === 'time' ? 'timestamp' : 'string', name: column.name, span: nowhere },
      descending: column.descending,
      nulls: 'last',
    }),
  )
  const inputs = plan.inputs.map(input => inOrder(input, keys))
  if (inputs.includes(undefined)) return undefined
  return { ...(withInputs(plan, inputs as LogicalPlan[]) as UnionNode), order }
}

const nowhere = { start: 0, end: 0 }

export const looksAhead = ({ calls }: WindowNode): boolean =>
  calls.some(call => functionInfo(call.function)?.hints.window !== 'forward')

/**
 * Row functions that never look ahead do not need their partitions together: rows may come by time at once, and what
 * was sorted twice is sorted once, if at all.
 */
function windowInOrder(plan: WindowNode, keys: readonly SortKey[]): LogicalPlan | undefined {
  const { input, sequence } = plan
  const [first] = keys
  if (sequence.time === undefined || looksAhead(plan) || input.kind !== 'sort' || input.limit !== undefined)
    return undefined
  if (first === undefined || first.descending || !isColumn(first.expr, sequence.time)) return undefined
  const own = new Set(plan.calls.map(call => call.name))
  if (keys.some(({ expr }) => expr.kind !== 'column' || own.has(expr.name))) return undefined
  // Within a partition rows of one time must stay as they were: there are none.
  const { unique } = orderingOf(input.input)
  if (!unique?.every(name => name === sequence.time || sequence.partition.includes(name))) return undefined
  const sorted: SortNode = { ...input, keys }
  return withInput(plan, inOrder(input.input, keys) ?? sorted)
}
