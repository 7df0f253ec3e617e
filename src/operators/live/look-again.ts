/**
 * Rows of a scope, read again at the moment before and the one after: what differs.
 *
 * Invariant: both come by series and time, so that rows that are the same are let go of at once, however many there are.
 */
import { assert } from '../../lib/assert.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import { bottomUp } from '../../sydraql/rules/rule.ts'
import type { BatchStream } from '../operator.ts'
import { appendRows, keyRow, sameRow, tooManyRows } from './difference.ts'
import type { LiveParts } from './parts.ts'
import { openAt } from './run-at.ts'
import { restricted, type Scope } from './scope.ts'
import type { LiveColumns, LiveDelta, LiveRow, Moment, Step } from './types.ts'

/** A delta in the making. */
export interface Changes {
  readonly added: LiveRow[]
  readonly changed: LiveRow[]
  readonly removed: LiveRow[]
}

/** What gives a metric's rows of the result, each by itself or by its series, as bound at the two moments. */
export interface PlanInTime {
  readonly before: LogicalPlan
  readonly after: LogicalPlan
}

/** Adds what has changed in the scopes; `areNewTold`: rows that were not there are told already. Throws `too_many_points` beyond `rowsMax` changes. */
export async function lookAgain(
  changes: Changes,
  scopes: readonly Scope[],
  step: Step,
  { columns, context }: Pick<LiveParts, 'columns' | 'context'>,
  planOf: (metric: string) => PlanInTime,
  areNewTold = false,
): Promise<LiveDelta> {
  const { catalog, rowsMax } = context
  for (const scope of scopes) {
    const { before, after } = planOf(scope.metric)
    const open = (plan: LogicalPlan, at: Moment): Cursor =>
      new Cursor(openAt(inSeriesOrder(restricted(plan, scope, catalog)), at, context))
    const compare = comparison(columns, scope.metric, catalog)
    await merge(open(before, step.before), open(after, step.after), compare, (a, b) => {
      if (b === undefined) changes.removed.push(keyRow(a!, columns))
      else if (a === undefined) {
        if (!areNewTold) changes.added.push(b)
      } else if (!sameRow(a, b)) changes.changed.push(b)
      if (changes.added.length + changes.changed.length + changes.removed.length > rowsMax) throw tooManyRows(rowsMax)
    })
  }
  return changes
}

/** By series and time: scans are bare, and sorts under other operators give no other order. */
export const inSeriesOrder = (plan: LogicalPlan): LogicalPlan =>
  bottomUp(plan, node => {
    if (node.kind === 'scan') return { ...node, order: 'series,time' }
    return node.kind === 'sort' && node.limit === undefined ? node.input : node
  })

/** Shows rows of one key together. */
async function merge(
  left: Cursor,
  right: Cursor,
  compare: (a: LiveRow, b: LiveRow) => number,
  show: (a: LiveRow | undefined, b: LiveRow | undefined) => void,
): Promise<void> {
  try {
    await left.fill()
    await right.fill()
    for (;;) {
      const [a, b] = [left.row, right.row]
      if (a === undefined && b === undefined) return
      const order = a === undefined ? 1 : b === undefined ? -1 : compare(a, b)
      show(order > 0 ? undefined : a, order < 0 ? undefined : b)
      if (order <= 0 && left.pass()) await left.fill()
      if (order >= 0 && right.pass()) await right.fill()
    }
  } finally {
    await left.close()
    await right.close()
  }
}

/** A stream row by row. */
class Cursor {
  readonly #stream: BatchStream
  #rows: LiveRow[] = []
  #next = 0

  constructor(stream: BatchStream) {
    this.#stream = stream
  }

  get row(): LiveRow | undefined {
    return this.#rows[this.#next]
  }

  /** True when the stream has to be asked for more. */
  pass(): boolean {
    return ++this.#next === this.#rows.length
  }

  async fill(): Promise<void> {
    this.#rows = []
    this.#next = 0
    while (this.#rows.length === 0) {
      const { done, value: batch } = await this.#stream.next()
      if (done === true) return
      appendRows(batch, this.#rows)
    }
  }

  async close(): Promise<void> {
    await this.#stream.return()
  }
}

/** By printed series, then time. */
function comparison(
  { keys }: LiveColumns,
  metricName: string,
  catalog: CatalogReader,
): (a: LiveRow, b: LiveRow) => number {
  const [seriesId, time] = keys as readonly [number, number]
  const metric = catalog.metric(metricName)
  assert(metric !== undefined, `metric ${metricName} is known`)
  const rankOf = (row: LiveRow): number => {
    const ordinal = catalog.seriesById(row[seriesId] as string)
    assert(ordinal !== undefined, 'a row is of a series')
    return catalog.ranks(metric.id)[ordinal]!
  }
  return (a, b) => (a[seriesId] === b[seriesId] ? (a[time] as number) - (b[time] as number) : rankOf(a) - rankOf(b))
}
