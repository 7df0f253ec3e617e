/**
 * The events of a live query, to be taken one after the other by someone who needs time for each.
 *
 * Invariants:
 * 1. What was taken one after the other is what was told: joined where several came meanwhile, never left out.
 * 2. Of an Observable that pushes, at most twice `pendingRowsMax` rows of changes wait, and a result that was told whole.
 */
import type { Observable } from 'rxjs'
import { SydraError } from '../../lib/errors.ts'
import type { LiveColumns, LiveDelta, LiveRow } from '../../operators/live/types.ts'
import { isNoChange, noChange } from '../../operators/live/types.ts'
import type { Lsn } from '../../storage/types.ts'
import { coalesced } from './coalesce.ts'
import type { LiveColumn, LiveEvent, LiveObservable, LiveReader } from './types.ts'

export interface ToldChange {
  readonly id: string
  readonly lsn: Lsn
  readonly columns: readonly LiveColumn[]
  /** All there was before is void: `added` has the rows. */
  readonly isWhole: boolean
  readonly delta: LiveDelta
}

export interface Changes {
  /** undefined: there will be none any more. Rejects with the source's error. */
  next(): Promise<ToldChange | undefined>
  close(): void
}

/** Of changes that were joined by key, which is done when there are twice as many. */
export const pendingRowsMax = 100_000

export const changesOf = <Row>(source: Observable<LiveEvent<Row>>): Changes =>
  isLive(source) ? pulled(source.reader()) : pushed(source)

const isLive = <Row>(source: Observable<LiveEvent<Row>>): source is LiveObservable<Row> =>
  'reader' in source && typeof source.reader === 'function'

function pulled<Row>(reader: LiveReader<Row>): Changes {
  return {
    async next() {
      for (;;) {
        const { value, done } = await reader.next()
        if (done) return undefined
        const change = changeOf(value, reader.columns)
        if (change !== undefined) return change
      }
    },
    close: () => reader.close(),
  }
}

/** What waits to be taken, not joined yet: that is done once. */
interface Waiting extends Omit<ToldChange, 'delta'> {
  readonly deltas: LiveDelta[]
  /** Of a result that was told whole. */
  readonly wholeRows: number
}

function pushed<Row>(source: Observable<LiveEvent<Row>>): Changes {
  let columns: readonly LiveColumn[] | undefined
  /** One, but for others with other columns. */
  const waiting: Waiting[] = []
  let waitingRows = 0
  let ending: { readonly error?: unknown } | undefined
  let wake = (): void => {}

  const put = ({ delta, ...told }: ToldChange): void => {
    if (told.isWhole) {
      waiting.length = 0
      waitingRows = 0
      waiting.push({ ...told, deltas: [delta], wholeRows: rowsOf(delta) })
      return
    }
    const last = waiting.at(-1)
    if (last?.columns !== told.columns) waiting.push({ ...told, deltas: [delta], wholeRows: 0 })
    else {
      if (!isNoChange(delta)) last.deltas.push(delta)
      waiting[waiting.length - 1] = { ...last, id: told.id, lsn: told.lsn }
    }
    waitingRows += rowsOf(delta)
    if (waitingRows <= 2 * pendingRowsMax) return
    for (const each of waiting) each.deltas.splice(0, each.deltas.length, joined(each))
    waitingRows = waiting.reduce((sum, each) => sum + changedRows(each), 0)
    if (waitingRows <= pendingRowsMax) return
    throw new SydraError('overloaded', `changes of ${waitingRows} rows wait to be written`, {
      hint: 'a query that goes into a metric itself, without operators before it, is asked for no more than can be written',
    })
  }
  const end = (how: { readonly error?: unknown }): void => {
    ending ??= how
    wake()
  }
  const subscription = source.subscribe({
    next(event) {
      if (ending !== undefined) return
      try {
        if (event.kind === 'snapshot') columns = event.columns
        const change = changeOf(event, columns)
        if (change !== undefined) put(change)
        wake()
      } catch (error) {
        end({ error })
      }
    },
    error: (error: unknown) => end({ error }),
    complete: () => end({}),
  })
  return {
    async next() {
      while (waiting.length === 0 && ending === undefined) await new Promise<void>(resolve => (wake = resolve))
      const first = waiting.shift()
      if (first !== undefined) {
        waitingRows -= changedRows(first)
        const { id, lsn, columns, isWhole } = first
        return { id, lsn, columns, isWhole, delta: joined(first) }
      }
      if (ending !== undefined && 'error' in ending) throw ending.error
      return undefined
    },
    close: () => subscription.unsubscribe(),
  }
}

const changedRows = ({ deltas, wholeRows }: Waiting): number =>
  Math.max(0, deltas.reduce((sum, delta) => sum + rowsOf(delta), 0) - wholeRows)

function joined({ isWhole, columns, deltas }: Waiting): LiveDelta {
  const delta = coalesced(deltas, keysOf(columns))
  // of a whole result nothing was before: what is there was added
  return isWhole ? { ...noChange, added: delta.added } : delta
}

/** undefined: the event tells of no rows, nor how far they go. */
function changeOf<Row>(event: LiveEvent<Row>, columns: readonly LiveColumn[] | undefined): ToldChange | undefined {
  if (event.kind === 'lagged') return undefined
  if (columns === undefined) {
    throw new SydraError('bad_request', 'the first event has no columns', {
      hint: 'a query that is resumed goes into a metric itself: db.live(…).pipe(db.into(…)), with other operators behind',
    })
  }
  const { id, lsn } = event
  switch (event.kind) {
    case 'progress':
      return { id, lsn, columns, isWhole: false, delta: noChange }
    case 'snapshot': {
      // of raw rows it has those of its history only
      const isWhole = event.strategy !== 'tail' && event.strategy !== 'series'
      return { id, lsn, columns, isWhole, delta: { ...noChange, added: valuesOf(event.rows, columns) } }
    }
    case 'delta': {
      const { added, changed, removed } = event
      const delta = {
        added: valuesOf(added, columns),
        changed: valuesOf(changed, columns),
        removed: valuesOf(removed, columns),
      }
      return { id, lsn, columns, isWhole: false, delta }
    }
  }
}

/** Rows are objects or arrays, times numbers or Dates, as the subscriber has asked for them. */
const valuesOf = <Row>(rows: readonly Row[], columns: readonly LiveColumn[]): LiveRow[] =>
  rows.map(row => {
    const cells = Array.isArray(row) ? row : columns.map(({ name }) => (row as Record<string, unknown>)[name])
    return cells.map(cell => (cell instanceof Date ? cell.getTime() * 1000 : cell))
  })

const keysOf = (columns: readonly LiveColumn[]): LiveColumns => ({
  schema: columns,
  keys: [...columns.keys()].filter(index => columns[index]!.key),
  selected: columns.filter(({ hidden }) => !hidden).length,
})

const rowsOf = ({ added, changed, removed }: LiveDelta): number => added.length + changed.length + removed.length
