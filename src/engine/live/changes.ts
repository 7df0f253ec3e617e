/**
 * What one live query has to tell of its recent past: the ring of its changes, and the forms in which they are told.
 *
 * Invariants:
 * 1. What many are told is made once: rows in a form, and several changes as one for those who are equally far behind.
 */
import type { LiveColumns, LiveDelta } from '../../operators/live/types.ts'
import { type Change, ChangeRing, changeOf, type RingLimits } from './change-ring.ts'
import { coalesced } from './coalesce.ts'
import type { Position } from './ids.ts'
import { type FormedRow, formedRows, liveColumns, type RowForm } from './live-rows.ts'
import type { LiveColumn, LiveRestart } from './types.ts'

export type FormedDelta = { readonly [list in keyof LiveDelta]: readonly FormedRow[] }

export class Changes {
  readonly ring: ChangeRing
  /** As subscribers see them. */
  columns: readonly LiveColumn[] = []
  #columns: LiveColumns
  #formed = new WeakMap<LiveDelta, Map<RowForm, FormedDelta>>()
  /** Made for the last one who was behind: others are as far behind, mostly. */
  #coalesced: { readonly cursor: number; readonly end: number; readonly change: Change } | undefined
  #lost: { readonly cursor: number; readonly reason: LiveRestart } = { cursor: 0, reason: 'lagged' }

  constructor(limits: RingLimits, columns: LiveColumns, base: Position) {
    this.ring = new ChangeRing(limits, base)
    this.#columns = columns
    this.columns = liveColumns(columns)
  }

  /** All cursors are lost; `columns` are those of what comes. */
  restart(reason: LiveRestart, columns: LiveColumns, base: Position): void {
    this.ring.restart(base)
    this.#lost = { cursor: this.ring.first, reason }
    this.#columns = columns
    this.columns = liveColumns(columns)
    this.#formed = new WeakMap()
    this.#coalesced = undefined
  }

  /** Why what came at a cursor is not there. */
  lossOf(cursor: number): LiveRestart {
    return cursor < this.#lost.cursor ? this.#lost.reason : 'lagged'
  }

  push(from: Position, to: Position, delta: LiveDelta): Change {
    const change = changeOf(from, to, delta, this.#columns.schema.length)
    this.ring.push(change)
    return change
  }

  /** All that has changed from the cursor on, as one change. */
  since(cursor: number): Change {
    const { ring } = this
    if (cursor === ring.end - 1) return ring.at(cursor)
    if (this.#coalesced?.cursor !== cursor || this.#coalesced.end !== ring.end) {
      const changes = ring.since(cursor)
      const delta = coalesced(
        changes.map(change => change.delta),
        this.#columns,
      )
      const change = changeOf(changes[0]!.from, changes.at(-1)!.to, delta, this.#columns.schema.length)
      this.#coalesced = { cursor, end: ring.end, change }
    }
    return this.#coalesced.change
  }

  /** The rows of a delta in a form. */
  formed(delta: LiveDelta, form: RowForm): FormedDelta {
    let made = this.#formed.get(delta)
    if (made === undefined) this.#formed.set(delta, (made = new Map()))
    let formed = made.get(form)
    if (formed === undefined) {
      const rows = formedRows(this.#columns, form)
      formed = { added: rows(delta.added), changed: rows(delta.changed), removed: rows(delta.removed) }
      made.set(form, formed)
    }
    return formed
  }
}
