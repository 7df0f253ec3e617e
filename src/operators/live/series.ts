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
import { withKeys } from './keys.ts'
import { type Changes, lookAgain } from './look-again.ts'
import { historyOf } from './lookback.ts'
import type { LiveParts } from './parts.ts'
import { type BoundReaders, branchesByMetric, createReaders } from './readers.ts'
import { tooMuchKept } from './row-bytes.ts'
import { openAt } from './run-at.ts'
import { disjoint, type Scope, scopesOf, seriesIdsMax } from './scope.ts'
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
      const found = scopesOf(step, bound.plan, bound.plan, catalog, bound.isRead)
      if (looksAhead(window)) found.push(...touchedSeries(step, bound))
      const scopes = disjoint(found.map(({ metric, series }) => wholeSeries(metric, series)))
      drop(scopes)
      const begunEmpty = states.isEmpty
      const added = await compute(step, scopes, bound)
      const isTooMuch = states.byteLength > bytesMax
      if (isTooMuch && begunEmpty) throw tooMuchKept(bytesMax)
      if (isTooMuch || states.isWorn) states = newStates()
      if (scopes.length === 0) return added.length === 0 ? noChange : { ...noChange, added }
      const changes: Changes = { added, changed: [], removed: [] }
      return lookAgain(changes, scopes, step, parts, metric => {
        const rows = planOf(metric, bound)
        return { before: rows, after: rows }
      })
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

function firstTimeUs({ columns, selection, length }: Batch, timeColumn: number): number {
  const { values } = columns[timeColumn]!
  let first = Infinity
  for (let k = 0; k < (selection?.length ?? length); k++)
    first = Math.min(first, values[selection === undefined ? k : selection[k]!]!)
  return first
}

const wholeSeries = (metric: string, series: Uint32Array | undefined): Scope => ({
  metric,
  fromUs: -Infinity,
  toUs: Infinity,
  series,
})

const touchedSeries = ({ rows }: Step, { isRead }: BoundReaders): Scope[] =>
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
