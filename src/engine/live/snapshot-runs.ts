/**
 * Snapshots of one live query: its batch plan run at the query's moment, once for all who ask meanwhile.
 *
 * Invariants:
 * 1. It is of a moment at which the query was: the changes from its cursor on continue it.
 * 2. Its rows are in the account of all queries until the last who waited for it has taken them or is gone.
 */
import { SydraError } from '../../lib/errors.ts'
import type { MemoryAccount } from '../../lib/memory-account.ts'
import type { Timers } from '../../lib/ports.ts'
import { appendRows, tooManyRows } from '../../operators/live/difference.ts'
import { scansOf } from '../../operators/live/scope.ts'
import type { LiveColumns, LiveRow, LiveStrategy } from '../../operators/live/types.ts'
import type { BatchStream } from '../../operators/operator.ts'
import type { LogicalPlan, ScanNode } from '../../sydraql/plan.ts'
import { bottomUp } from '../../sydraql/rules/rule.ts'
import { bytesOfRows } from './change-ring.ts'
import type { Position } from './ids.ts'
import { type FormedRow, formedRows, liveColumns, type RowForm } from './live-rows.ts'
import type { History } from './subscription.ts'
import type { LiveColumn } from './types.ts'

export interface Snapshot {
  /** Of the first change after it. */
  readonly cursor: number
  readonly position: Position
  readonly incarnation: string
  readonly columns: readonly LiveColumn[]
  readonly strategy: LiveStrategy
  rowsAs(form: RowForm): readonly FormedRow[]
  /** One of those who waited for it has it now, or is gone. */
  release(): void
}

/** Where the query is, and what it is asked there. */
export interface SnapshotSource {
  /** What `history` goes back from. */
  readonly nowUs: number
  readonly cursor: number
  readonly position: Position
  readonly incarnation: string
  readonly columns: LiveColumns
  readonly strategy: LiveStrategy
  readonly plan: LogicalPlan
  open(plan: LogicalPlan): BatchStream
}

export interface SnapshotLimits {
  readonly rowsMax: number
  /** 0: none. */
  readonly timeoutMs: number
  readonly requireTimeRange: boolean
}

interface Waiting {
  /** Lets go of it when it is taken, or not wanted any more. */
  answer(answer: { readonly kind: 'snapshot'; readonly snapshot: Snapshot }): void
}

export interface SnapshotEngine {
  readonly memory: MemoryAccount
  readonly timers: Timers
  readonly limits: SnapshotLimits
}

/** Rows of the query that a snapshot has: `fromUs` is a lower bound of their time where the query has none of its own. */
interface Wanted {
  readonly plan: LogicalPlan
  readonly fromUs: number | undefined
}

/**
 * Answers all who wait with one snapshot.
 * Throws what the query throws, `too_many_points`, `memory_limit`, `query_timeout`, `time_range_required`.
 */
export async function runSnapshot(
  source: SnapshotSource,
  history: History,
  waiting: readonly Waiting[],
  engine: SnapshotEngine,
  abort: AbortController,
): Promise<void> {
  const wanted = rowsWanted(source, history, engine.limits)
  const memory = engine.memory.openQuery()
  const rows: LiveRow[] = []
  try {
    if (wanted !== undefined) await collect(source, wanted, rows, memory, engine, abort)
  } catch (error) {
    memory.close()
    throw error
  }
  const { columns, cursor, position, incarnation, strategy } = source
  const infos = liveColumns(columns)
  const made = new Map<RowForm, readonly FormedRow[]>()
  let takers = waiting.length
  const snapshot: Snapshot = {
    cursor,
    position,
    incarnation,
    strategy,
    columns: infos,
    rowsAs(form) {
      let formed = made.get(form)
      if (formed === undefined) made.set(form, (formed = formedRows(columns, form)(rows)))
      return formed
    },
    release() {
      if (--takers === 0) memory.close()
    },
  }
  for (const one of waiting) one.answer({ kind: 'snapshot', snapshot })
}

async function collect(
  source: SnapshotSource,
  { plan, fromUs }: Wanted,
  rows: LiveRow[],
  memory: ReturnType<MemoryAccount['openQuery']>,
  { limits, timers }: SnapshotEngine,
  abort: AbortController,
): Promise<void> {
  const { rowsMax, timeoutMs } = limits
  const late = (): void => abort.abort(new SydraError('query_timeout', `the snapshot took longer than ${timeoutMs} ms`))
  const stop = timeoutMs === 0 ? undefined : timers.after(timeoutMs, late, true)
  const timeAt = source.columns.schema.findIndex(
    ({ type }, index) => type === 'timestamp' && source.columns.keys.includes(index),
  )
  const stream = source.open(plan)
  try {
    for await (const batch of stream) {
      const before = rows.length
      appendRows(batch, rows)
      if (fromUs !== undefined) keep(rows, before, row => (row[timeAt] as number) >= fromUs)
      if (rows.length > rowsMax) throw tooManyRows(rowsMax)
      memory.grow(bytesOfRows(rows.length - before, source.columns.schema.length))
      if (memory.isOver) throw memory.refusal()
    }
  } finally {
    stop?.()
  }
}

function keep(rows: LiveRow[], from: number, test: (row: LiveRow) => boolean): void {
  let count = from
  for (let index = from; index < rows.length; index++) if (test(rows[index]!)) rows[count++] = rows[index]!
  rows.length = count
}

/** undefined: none. */
function rowsWanted(
  source: SnapshotSource,
  history: History,
  { requireTimeRange }: SnapshotLimits,
): Wanted | undefined {
  const { plan, strategy } = source
  const hasRange = scansOf(plan).every(({ range }) => range.fromUs > Number.NEGATIVE_INFINITY)
  const isRaw = strategy === 'tail' || strategy === 'series'
  if (hasRange) return { plan, fromUs: undefined }
  if (!isRaw || history === 'all') {
    if (requireTimeRange)
      throw new SydraError('time_range_required', 'where must bound time below: all rows are read for the snapshot', {
        hint: 'add a bound, such as time >= now() - 1h',
      })
    return { plan, fromUs: undefined }
  }
  if (history === 0) return undefined
  const fromUs = source.nowUs - history * 1000
  // what a row function gives depends on rows before the range
  if (strategy === 'series') return { plan, fromUs }
  const since = (scan: ScanNode): ScanNode => ({
    ...scan,
    range: { ...scan.range, fromUs: Math.max(scan.range.fromUs, fromUs) },
  })
  return { plan: bottomUp(plan, node => (node.kind === 'scan' ? since(node) : node)), fromUs: undefined }
}
