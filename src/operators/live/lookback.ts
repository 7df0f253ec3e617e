/**
 * How far back a row function looks from a row: what of a series has to be read for its state to go on from there.
 *
 *   lag(v, 3)            the last 3 rows          moving_avg(v, 5m)   5 minutes before the first row to come
 *   difference(v)        the last v there is      cumulative_sum(v)   all
 */

import type { CatalogReader } from '../../storage/catalog/types.ts'
import { columnRef } from '../../sydraql/analyze/scope.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { LogicalPlan, ScanNode, WindowCall, WindowNode } from '../../sydraql/plan.ts'
import { joined } from '../../sydraql/rewrite.ts'
import { throughItems } from '../../sydraql/rules/columns.ts'
import { withInput } from '../../sydraql/rules/rule.ts'
import { constantValue } from '../compile.ts'
import { type Branch, branchesOf } from './branches.ts'
import { inSeriesOrder } from './look-again.ts'
import { restricted, type Scope } from './scope.ts'

export type Lookback = RowsBack | TimeBack
/** The last rows; with `of`, of those where it is not null. */
export interface RowsBack {
  readonly kind: 'rows'
  readonly rows: number
  readonly of: Expr | undefined
}
/** Those less than so long before a row. */
export interface TimeBack {
  readonly kind: 'time'
  readonly us: number
}

/** Further back, all is read. */
const rowsMax = 1024

/** Of each call; undefined: one of them looks to the beginning. */
export function lookbacksOf({ calls }: WindowNode): readonly Lookback[] | undefined {
  const found: Lookback[] = []
  for (const call of calls) {
    const lookback = lookbackOf(call)
    if (lookback === undefined) return undefined
    found.push(lookback)
  }
  return found
}

function lookbackOf({ function: name, args }: WindowCall): Lookback | undefined {
  const [value, constant] = args
  switch (name) {
    case 'lag':
      return lastRows(constant === undefined ? 1 : Number(constantValue(constant)))
    case 'difference':
    case 'fill_forward':
      return { kind: 'rows', rows: 1, of: value! }
    case 'moving_avg': {
      const frame = Number(constantValue(constant!))
      return constant!.type === 'duration' ? { kind: 'time', us: frame } : lastRows(frame)
    }
    default:
      return undefined
  }
}

const lastRows = (rows: number): Lookback | undefined =>
  rows <= rowsMax ? { kind: 'rows', rows, of: undefined } : undefined

/** Rows to be read for the state of one call, or for those of all. */
export interface History {
  readonly call: number | undefined
  /** Rows of each series ascend. */
  readonly plan: LogicalPlan
}

/** What has to be read of the series in the scope; `fromUs`: no row to come is before. */
export function historyOf(
  window: WindowNode,
  { plan }: Branch,
  scope: Scope,
  fromUs: number,
  catalog: CatalogReader,
): History[] {
  const all = inSeriesOrder(restricted(plan, scope, catalog))
  const lookbacks = lookbacksOf(window)
  if (lookbacks === undefined) return [{ call: undefined, plan: all }]
  return lookbacks.map((lookback, call): History => {
    if (lookback.kind === 'rows') return { call, plan: rowsAtEnd(all, 'last', lookback, window) ?? all }
    const near = { ...scope, fromUs: fromUs - lookback.us }
    return { call, plan: inSeriesOrder(restricted(plan, near, catalog)) }
  })
}

/**
 * The first or the last rows of each series, by time, of a plan of all of them. undefined: a filter is between its scan and
 * the row functions, so that the scan cannot count.
 */
export function rowsAtEnd(
  plan: LogicalPlan,
  end: 'first' | 'last',
  { rows, of }: Pick<RowsBack, 'rows' | 'of'>,
  { sequence }: WindowNode,
): LogicalPlan | undefined {
  const [branch] = branchesOf(plan)!
  const { scan, steps } = branch!
  let value = of
  for (const step of steps.toReversed()) {
    if (step.kind === 'filter') return undefined
    value &&= throughItems(value, step.items)
  }
  const conditions = [scan.rowPredicate, value && isNotNull(value)].filter(condition => condition !== undefined)
  const order = end === 'first' ? 'time' : 'time desc'
  const limited: ScanNode = { ...scan, order, seriesLimit: rows, rowPredicate: joined('and', conditions) }
  const input = steps.reduce<LogicalPlan>((below, step) => withInput(step, below), limited)
  const expr = columnRef(sequence.time!, 'timestamp', nowhere)
  const keys = [{ expr, descending: false, nulls: 'last' }] as const
  return { kind: 'sort', input, keys, limit: undefined, schema: input.schema }
}

const nowhere = { start: 0, end: 0 }
const call = (name: string, arg: Expr): Expr => ({ kind: 'call', type: 'boolean', name, args: [arg], span: nowhere })
const isNotNull = (value: Expr): Expr => call('not', call('is_null', value))
