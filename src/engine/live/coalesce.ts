/**
 * Changes in a row as one: what a slow subscriber is told of all that it missed.
 *
 *   added a=1, changed a=2, removed b | added b=3, removed c, added d, removed d    ->    added a=2, changed b=3, removed c
 *
 * Invariants:
 * 1. Applied to the rows before the first change it gives the rows after the last.
 * 2. By key each row is in one list at most, in the order of its last change. Without keys rows are counted: what came and
 *    went is not told.
 */
import { keyRow, type RowKey, rowKeyOf } from '../../operators/live/difference.ts'
import { isMultiset } from '../../operators/live/keys.ts'
import type { LiveColumns, LiveDelta, LiveRow } from '../../operators/live/types.ts'

export function coalesced(deltas: readonly LiveDelta[], columns: LiveColumns): LiveDelta {
  const [only] = deltas
  if (only !== undefined && deltas.length === 1) return only
  return isMultiset(columns) ? byCount(deltas, columns) : byKey(deltas, columns)
}

interface Last {
  /** Whether it was there before the first change. */
  readonly wasThere: boolean
  /** undefined: it is gone. */
  readonly row: LiveRow | undefined
  /** With the key. */
  readonly any: LiveRow
}

function byKey(deltas: readonly LiveDelta[], columns: LiveColumns): LiveDelta {
  const keyOf = rowKeyOf(columns.keys)
  const byKey = new Map<RowKey, Last>()
  const note = (rows: readonly LiveRow[], wasThere: boolean, isThere: boolean): void => {
    for (const row of rows) {
      const key = keyOf(row)
      const known = byKey.get(key)
      byKey.delete(key)
      byKey.set(key, { wasThere: known?.wasThere ?? wasThere, row: isThere ? row : undefined, any: row })
    }
  }
  for (const { added, changed, removed } of deltas) {
    note(removed, true, false)
    note(changed, true, true)
    note(added, false, true)
  }
  const added: LiveRow[] = []
  const changed: LiveRow[] = []
  const removed: LiveRow[] = []
  for (const { wasThere, row, any } of byKey.values()) {
    if (row !== undefined) (wasThere ? changed : added).push(row)
    else if (wasThere) removed.push(keyRow(any, columns))
  }
  return { added, changed, removed }
}

function byCount(deltas: readonly LiveDelta[], { keys }: LiveColumns): LiveDelta {
  const keyOf = rowKeyOf(keys)
  const counts = new Map<RowKey, { readonly row: LiveRow; more: number }>()
  const count = (rows: readonly LiveRow[], more: number): void => {
    for (const row of rows) {
      const key = keyOf(row)
      const known = counts.get(key)
      if (known === undefined) counts.set(key, { row, more })
      else known.more += more
    }
  }
  for (const { added, removed } of deltas) {
    count(added, 1)
    count(removed, -1)
  }
  const added: LiveRow[] = []
  const removed: LiveRow[] = []
  for (const { row, more } of counts.values())
    for (let times = 0; times < Math.abs(more); times++) (more > 0 ? added : removed).push(row)
  return { added, changed: [], removed }
}
