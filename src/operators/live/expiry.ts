/**
 * What expires of row functions: a series loses its first rows, and those that looked back to them change.
 *
 *   horizon before      after        reach of the series
 *   |--- gone ----------|--- changed ---|--- as they were ...
 *
 * Invariant: rows from a series' reach on, and its states, are as they were; where that is not known to be so, the whole
 * series is to be read again.
 */
import type { Batch } from '../../columnar/batch.ts'
import type { LogicalPlan, WindowNode } from '../../sydraql/plan.ts'
import { inSeriesOrder } from './look-again.ts'
import { lookbacksOf, type RowsBack, rowsAtEnd } from './lookback.ts'
import { openAt } from './run-at.ts'
import { restricted, type Scope, wholeSeries } from './scope.ts'
import type { LiveContext, Moment } from './types.ts'

export interface Expiry {
  /** Each of series of its own, to be read again in its range. */
  readonly near: readonly Scope[]
  /** To be read again from the beginning to the end. */
  readonly whole: readonly Scope[]
}

/** Where the rows have the ordinals of series, as codes, and the time. */
export interface RowColumns {
  readonly seriesColumn: number
  readonly timeColumn: number
}

/** Series whose reaches are as far, on a scale of powers of this, are read together. */
const reachFactor = 4
const shortestReachUs = 60_000_000

/** `rows`: the window's input, of one metric. `gone`: what is not seen any more after the moment. */
export async function expiryOf(
  gone: Scope,
  rows: LogicalPlan,
  window: WindowNode,
  columns: RowColumns,
  before: Moment,
  context: LiveContext,
): Promise<Expiry> {
  const lookbacks = lookbacksOf(window)
  if (lookbacks === undefined) return { near: [], whole: [wholeSeries(gone.metric, undefined)] }
  const read = (plan: LogicalPlan, visit: (series: number, timeUs: number) => void) =>
    visitRows(plan, columns, before, context, visit)
  const { catalog } = context

  const reach = new Map<number, number>()
  await read(inSeriesOrder(restricted(rows, gone, catalog)), series => reach.set(series, gone.toUs))
  const whole = new Set<number>()
  const series = Uint32Array.from(reach.keys()).sort()
  /** The rows that a call may have looked back from, and one at least behind them. */
  const extend = async (fromUs: number, back: Pick<RowsBack, 'rows' | 'of'>): Promise<void> => {
    const left = restricted(rows, { ...gone, fromUs, toUs: Infinity, series }, catalog)
    const first = rowsAtEnd(left, 'first', back, window)
    const counts = new Map<number, number>()
    if (first !== undefined) {
      await read(first, (ordinal, timeUs) => {
        counts.set(ordinal, (counts.get(ordinal) ?? 0) + 1)
        reach.set(ordinal, Math.max(reach.get(ordinal)!, timeUs + 1))
      })
    }
    for (const ordinal of series) if ((counts.get(ordinal) ?? 0) < back.rows) whole.add(ordinal)
  }
  for (const lookback of lookbacks) {
    if (series.length === 0) break
    if (lookback.kind === 'rows') await extend(gone.toUs, lookback)
    else await extend(gone.toUs + lookback.us, { rows: 1, of: undefined })
  }

  const classes = new Map<number, { toUs: number; readonly series: number[] }>()
  for (const ordinal of series) {
    if (whole.has(ordinal)) continue
    const toUs = reach.get(ordinal)!
    const size = Math.ceil(Math.log(1 + (toUs - gone.toUs) / shortestReachUs) / Math.log(reachFactor))
    const known = classes.get(size)
    if (known === undefined) classes.set(size, { toUs, series: [ordinal] })
    else {
      known.toUs = Math.max(known.toUs, toUs)
      known.series.push(ordinal)
    }
  }
  const near = Array.from(classes.values(), each => ({
    ...gone,
    toUs: each.toUs,
    series: Uint32Array.from(each.series),
  }))
  return { near, whole: [wholeSeries(gone.metric, Uint32Array.from(whole).sort())] }
}

async function visitRows(
  plan: LogicalPlan,
  columns: RowColumns,
  at: Moment,
  context: LiveContext,
  visit: (series: number, timeUs: number) => void,
): Promise<void> {
  for await (const batch of openAt(plan, at, context)) visitBatch(batch, columns, visit)
}

function visitBatch(
  { columns, selection, length }: Batch,
  { seriesColumn, timeColumn }: RowColumns,
  visit: (series: number, timeUs: number) => void,
): void {
  const ordinals = columns[seriesColumn]!.values
  const timesUs = columns[timeColumn]!.values
  for (let k = 0; k < (selection?.length ?? length); k++) {
    const row = selection === undefined ? k : selection[k]!
    visit(ordinals[row]!, timesUs[row]!)
  }
}
