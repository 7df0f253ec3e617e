/**
 * Series: row functions over the raw rows of each series.
 *
 *   rows at the end of their series   computed from where the series' states stand; they are made of the rows before
 *   late rows, deletes, expiry        the series read again, before and after
 *   lead                              every series that rows come for is read again, as it looks ahead
 *
 * Invariant: rows of a series go one of the two ways in a step.
 */
import type { Batch } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { FilterNode, LogicalPlan, ProjectNode, WindowNode } from '../../sydraql/plan.ts'
import { seriesOrigin } from '../../sydraql/rules/columns.ts'
import { looksAhead } from '../../sydraql/rules/ordering.ts'
import { inputsOf, withInput } from '../../sydraql/rules/rule.ts'
import { appendRows, tooManyRows } from './difference.ts'
import { type Expiry, expiryOf } from './expiry.ts'
import { withKeys } from './keys.ts'
import { type Changes, lookAgain, type PlanInTime } from './look-again.ts'
import { historyOf } from './lookback.ts'
import type { LiveParts } from './parts.ts'
import { type BoundReaders, branchesByMetric, createReaders } from './readers.ts'
import { tooMuchKept } from './row-bytes.ts'
import { openAt } from './run-at.ts'
import {
  disjoint,
  type IsRead,
  type Scope,
  scopesOfDeletes,
  scopesOfHorizons,
  scopesOfLate,
  seriesIdsMax,
  wholeSeries,
} from './scope.ts'
import { SeriesStates } from './series-states.ts'
import { compileSteps } from './steps.ts'
import { type LiveDelta, type LiveQuery, type LiveRow, noChange, type Step } from './types.ts'

/** undefined: no row functions, or not over the rows of series, or over a range that `now()` moves. */
export function planSeries(parts: LiveParts): LiveQuery | undefined {
  const { plan, context, columns, metrics, dependsOnNow, planAt } = parts
  const shape = dependsOnNow ? undefined : shapeOf(plan)
  if (shape === undefined) return undefined
  const { steps, window, seriesColumn, timeColumn } = shape
  const { catalog, kernels, rowsMax, bytesMax } = context
  const readers = createReaders(context)
  const through = compileSteps(steps, kernels)
  const newStates = (): SeriesStates => new SeriesStates(window, seriesColumn)
  let states = newStates()

  /** Has the rows of before go through the states of these series, all of one metric; `fromUs`: no row to come is before. */
  const learn = async (series: Uint32Array, fromUs: number, { before }: Step, bound: BoundReaders): Promise<void> => {
    const metric = catalog.metricOf(series[0]!).name
    for (let from = 0; from < series.length; from += seriesIdsMax) {
      const scope = wholeSeries(metric, series.subarray(from, from + seriesIdsMax))
      for (const { call, plan: rows } of historyOf(window, bound.branches.get(metric)!, scope, fromUs, catalog))
        for await (const batch of openAt(rows, before, context)) states.learn(batch, call)
    }
    states.know(series)
  }

  const compute = async (step: Step, scopes: readonly Scope[], bound: BoundReaders): Promise<LiveRow[]> => {
    const added: LiveRow[] = []
    for (const batch of bound.appended(step, scopes)) {
      const unknown = states.unknownIn(batch)
      if (unknown.length > 0) await learn(unknown, firstTimeUs(batch, timeColumn), step, bound)
      const out = through(states.compute(batch))
      if (out !== undefined) appendRows(out, added)
      if (added.length > rowsMax) throw tooManyRows(rowsMax)
    }
    return added
  }

  const drop = (scopes: readonly Scope[]): void => {
    if (scopes.some(({ series }) => series === undefined)) states = newStates()
    else for (const { series } of scopes) states.drop(series!)
  }

  /** What is to be read again: the beginnings of some series, and some as a whole. */
  const scopesIn = async (step: Step, { plan: rows, branches, isRead }: BoundReaders): Promise<Expiry> => {
    const near: Scope[] = []
    const whole = [...scopesOfDeletes(step.deletes, isRead), ...scopesOfLate(step.rows, isRead)]
    if (looksAhead(window)) whole.push(...touchedSeries(step, isRead))
    for (const gone of scopesOfHorizons(step, rows, catalog)) {
      const { plan: ofMetric } = branches.get(gone.metric)!
      const expiry = await expiryOf(gone, ofMetric, window, shape, step.before, context)
      near.push(...expiry.near)
      whole.push(...expiry.whole)
    }
    return asidesOf(near, disjoint(whole.map(({ metric, series }) => wholeSeries(metric, series))))
  }

  /** The query's rows of one metric. */
  const planOf = (metric: string, { branches }: BoundReaders): LogicalPlan =>
    steps.reduce<LogicalPlan>((input, step) => withInput(step, input), withInput(window, branches.get(metric)!.plan))

  return {
    columns,
    strategy: 'series',
    obstacle: undefined,
    metrics,
    dependsOnNow,
    planAt,
    async step(step): Promise<LiveDelta> {
      const bound = readers.at(window.input)
      const { near, whole } = await scopesIn(step, bound)
      drop(whole)
      const begunEmpty = states.isEmpty
      const added = await compute(step, whole, bound)
      const isTooMuch = states.byteLength > bytesMax
      if (isTooMuch && begunEmpty) throw tooMuchKept(bytesMax)
      if (isTooMuch || states.isWorn) states = newStates()
      if (near.length + whole.length === 0) return added.length === 0 ? noChange : { ...noChange, added }
      const changes: Changes = { added, changed: [], removed: [] }
      const plansOf = (metric: string): PlanInTime => {
        const rows = planOf(metric, bound)
        return { before: rows, after: rows }
      }
      // Nothing comes by expiry: what does in such a scope is at the end of a series that others reach beyond.
      await lookAgain(changes, near, step, parts, plansOf, true)
      return lookAgain(changes, whole, step, parts, plansOf)
    },
    get byteLength() {
      return readers.byteLength + states.byteLength
    },
    forget() {
      readers.forget()
      states = newStates()
    },
  }
}

interface Shape {
  /** Over the window, from below. */
  readonly steps: readonly (FilterNode | ProjectNode)[]
  readonly window: WindowNode
  /** Where the window's input has `series_id` and `time`. */
  readonly seriesColumn: number
  readonly timeColumn: number
}

function shapeOf(plan: LogicalPlan): Shape | undefined {
  const steps: (FilterNode | ProjectNode)[] = []
  let node = plan
  for (;;) {
    if (node.kind === 'filter' || node.kind === 'project') steps.unshift(node)
    else if (node.kind !== 'sort' || node.limit !== undefined) break
    node = node.input
  }
  if (node.kind !== 'window' || branchesByMetric(node.input) === undefined) return undefined
  const { time, partition } = node.sequence
  const isOfSeries = partition.length === 1 && seriesOrigin(node.input, partition[0]!)?.identifies === true
  if (!isOfSeries || time === undefined || !isTimeOfScan(node.input, time)) return undefined
  const { columns } = withKeys(node.input)
  assert(columns.schema.length === node.input.schema.length, 'the rows have their keys')
  return { steps, window: node, seriesColumn: columns.keys[0]!, timeColumn: columns.keys[1]! }
}

function isTimeOfScan(plan: LogicalPlan, column: string): boolean {
  if (plan.kind === 'scan') return column === 'time'
  if (plan.kind !== 'project') return inputsOf(plan).every(input => isTimeOfScan(input, column))
  const expr = plan.items.find(item => item.name === column)?.expr
  return expr?.kind === 'column' && isTimeOfScan(plan.input, expr.name)
}

/** Beginnings of series that are read as a whole are left out. */
function asidesOf(near: readonly Scope[], whole: readonly Scope[]): Expiry {
  const left = near.flatMap(scope => {
    const all = whole.find(({ metric }) => metric === scope.metric)
    if (all === undefined) return scope
    if (all.series === undefined) return []
    const read = new Set(all.series)
    const series = scope.series!.filter(ordinal => !read.has(ordinal))
    return series.length === 0 ? [] : { ...scope, series }
  })
  return { near: left, whole }
}

function firstTimeUs({ columns, selection, length }: Batch, timeColumn: number): number {
  const { values } = columns[timeColumn]!
  let first = Infinity
  for (let k = 0; k < (selection?.length ?? length); k++)
    first = Math.min(first, values[selection === undefined ? k : selection[k]!]!)
  return first
}

const touchedSeries = ({ rows }: Step, isRead: IsRead): Scope[] =>
  rows.map(({ rows: committed }) => {
    const { name } = committed.metric
    const series = new Set(committed.series.subarray(0, committed.length))
    return wholeSeries(
      name,
      Uint32Array.from(series)
        .sort()
        .filter(ordinal => isRead(name, ordinal)),
    )
  })
