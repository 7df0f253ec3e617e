/**
 * Top: the first rows by an order, of all or of each value of a key. They are held, and some more behind them, so that rows
 * may go without everything being read again.
 *
 *   first(S with A) = first(first(S) with A), for rows A that come at the end of their series
 *   what is read again in the scopes of a step takes the place of what was held of them
 *   what would come up is not held     the whole query runs at the moment after
 *
 * Invariant: what is held is of the last step's moment, or of none.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import { megabytes } from '../../lib/text.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import { difference, tooManyRows } from './difference.ts'
import type { LiveParts } from './parts.ts'
import { createReaders } from './readers.ts'
import { bytesOfRows } from './row-bytes.ts'
import { openAt } from './run-at.ts'
import { sameButRanges } from './same-plan.ts'
import { restricted, rowsWithin, type Scope, scopesOf } from './scope.ts'
import { HeldRows } from './top/held-rows.ts'
import { type WidePlan, type WideRow, widePlanOf } from './top/wide-plan.ts'
import { type LiveDelta, type LiveQuery, type LiveRow, type Moment, noChange, type Step } from './types.ts'

interface Held {
  readonly rows: HeldRows
  readonly lsn: number
  readonly nowUs: number
}

/** undefined: not the first of raw rows, or not by an order that tells any two of them apart. */
export function planTop(parts: LiveParts): LiveQuery | undefined {
  const { plan, context, columns, metrics, dependsOnNow, barePlanAt, planAt } = parts
  const shape = parts.movesRangesAlone ? widePlanOf(plan, columns) : undefined
  if (shape === undefined) return undefined
  const { catalog, rowsMax, bytesMax } = context
  const limits = limitsOf(shape, rowsMax)
  const readers = createReaders(context)
  let last = { plan, wide: shape }
  let held: Held | undefined
  let measured = { bytes: 0, rows: 0 }

  const wideAt = (nowUs: number): WidePlan => {
    const plan = barePlanAt(nowUs)
    if (plan === last.plan) return last.wide
    const wide = widePlanOf(plan, columns)
    assert(wide !== undefined, 'a plan keeps its shape')
    last = { plan, wide }
    return wide
  }

  const readAll = async (at: Moment): Promise<HeldRows> => {
    const rows = new HeldRows(shape.row, limits)
    await offerAll(rows, wideAt(at.nowUs).first(limits.kept), at)
    rows.close()
    return rows
  }
  const offerAll = async (rows: HeldRows, plan: LogicalPlan, at: Moment): Promise<void> => {
    for await (const batch of openAt(plan, at, context)) {
      rows.offer(batch)
      if (rows.size > rowsMax) throw tooManyRows(rowsMax)
    }
  }

  const advance = (rows: HeldRows, step: Step): LiveDelta | Promise<LiveDelta> => {
    const [before, after] = [barePlanAt(step.before.nowUs), barePlanAt(step.after.nowUs)]
    if (!sameButRanges(before, after)) return anew(rows.shown(), step)
    const { all, row } = wideAt(step.after.nowUs)
    const bound = readers.at(all)
    const scopes = scopesOf(step, before, after, catalog, bound.isRead)
    if (scopes.length > 0) rows.withdraw(rowIn(scopes, row, metrics, catalog))
    for (const batch of bound.appended(step, scopes)) rows.offer(batch)
    return scopes.length === 0 ? settled(rows, step) : lookAgain(rows, all, scopes, step)
  }
  const lookAgain = async (
    rows: HeldRows,
    all: LogicalPlan,
    scopes: readonly Scope[],
    step: Step,
  ): Promise<LiveDelta> => {
    for (const scope of scopes) await offerAll(rows, restricted(all, scope, catalog), step.after)
    return settled(rows, step)
  }
  const settled = (rows: HeldRows, step: Step): LiveDelta | Promise<LiveDelta> => {
    const turn = rows.settle()
    if (turn === undefined) return anew(rows.shownBefore(), step)
    hold(rows, step.after)
    return turn.gone.length + turn.come.length === 0 ? noChange : difference(turn.gone, turn.come, columns)
  }
  const anew = async (shown: readonly LiveRow[], step: Step): Promise<LiveDelta> => {
    const rows = await readAll(step.after)
    hold(rows, step.after)
    return difference(shown, rows.shown(), columns)
  }

  const hold = (rows: HeldRows, { version, nowUs }: Moment): void => {
    if (rows.size > rowsMax) throw tooManyRows(rowsMax)
    held = { rows, lsn: version.lsn, nowUs }
    if (rows.size <= 1.25 * measured.rows) return
    measured = { bytes: bytesOfRows(rows), rows: rows.size }
    if (measured.bytes <= bytesMax) return
    throw new SydraError('memory_limit', `the live query keeps more than ${megabytes(bytesMax)}`, {
      hint: 'narrow it by time, tags or a limit, or raise live.memory_max_bytes',
    })
  }

  return {
    columns,
    strategy: 'top',
    obstacle: undefined,
    metrics,
    dependsOnNow,
    planAt,
    step(step) {
      const { before } = step
      // A later version shows the query the same where no step led to it.
      const isKept = held !== undefined && held.lsn <= before.version.lsn && held.nowUs === before.nowUs
      const rows = isKept ? held!.rows : undefined
      // A step that fails leaves nothing that could be of another moment.
      held = undefined
      return rows === undefined ? readAll(before).then(found => advance(found, step)) : advance(rows, step)
    },
    get byteLength() {
      const ofRow = measured.rows === 0 ? 0 : measured.bytes / measured.rows
      return readers.byteLength + Math.ceil(ofRow * (held?.rows.size ?? 0))
    },
    forget() {
      held = undefined
      measured = { bytes: 0, rows: 0 }
      readers.forget()
    },
  }
}

/** Rows held behind those of the query, at most. */
const behindMax = 1000

/** Of `limit … per` there are many parts: none holds more than it needs. */
function limitsOf({ row, limit, offset }: WidePlan, rowsMax: number) {
  const wanted = offset + limit
  const behind = row.part === undefined ? Math.min(wanted, behindMax, Math.max(0, rowsMax - wanted)) : 0
  return { limit, offset, kept: wanted + behind }
}

/** Whether a wide row lies in one of the scopes. */
function rowIn(
  scopes: readonly Scope[],
  { seriesId, time }: WideRow,
  metrics: ReadonlySet<string>,
  catalog: CatalogReader,
): (row: LiveRow) => boolean {
  const within = new Map(Array.from(metrics, metric => [metric, rowsWithin(scopes, metric)]))
  const fromUs = scopes.reduce((least, scope) => Math.min(least, scope.fromUs), Infinity)
  const toUs = scopes.reduce((most, scope) => Math.max(most, scope.toUs), -Infinity)
  return row => {
    const timeUs = row[time] as number
    if (timeUs < fromUs || timeUs >= toUs) return false
    const ordinal = catalog.seriesById(row[seriesId] as string)
    assert(ordinal !== undefined, 'a row is of a series')
    return within.get(catalog.metricOf(ordinal).name)?.(ordinal, timeUs) === true
  }
}
