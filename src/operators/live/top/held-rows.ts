/**
 * The first wide rows of each part, in order, and where what is not held begins.
 *
 *   held    a b c d e | border        limit 3: a b c are the query's, d and e come up when one of those goes
 *
 * Invariants:
 * 1. Every row of a part that is not beyond its border is held; without a border every row of the part is.
 * 2. A part with a border from before this turn and fewer rows than wanted is *short*: what comes next is not known.
 */
import type { Batch } from '../../../columnar/batch.ts'
import { compareScalars, type Scalar, valueAt } from '../../../columnar/value.ts'
import type { LiveRow } from '../types.ts'
import type { WideRow } from './wide-plan.ts'

interface Part {
  readonly key: Scalar
  /** In order. */
  rows: LiveRow[]
  /** The last place of which all is known; undefined: all rows are held. */
  border: LiveRow | undefined
}

/** What a turn has changed, as rows of the query. */
export interface Turn {
  readonly gone: readonly LiveRow[]
  readonly come: readonly LiveRow[]
}

export class HeldRows {
  readonly #wide: WideRow
  readonly #limit: number
  readonly #offset: number
  /** Of each part so many are held. */
  readonly #kept: number
  readonly #parts = new Map<Scalar, Part>()
  /** The query's rows of parts that this turn has touched, as they were. */
  readonly #touched = new Map<Part, readonly LiveRow[]>()
  #count = 0

  constructor(wide: WideRow, limits: { readonly limit: number; readonly offset: number; readonly kept: number }) {
    this.#wide = wide
    this.#limit = limits.limit
    this.#offset = limits.offset
    this.#kept = limits.kept
  }

  /** Rows held, in all parts. */
  get size(): number {
    return this.#count
  }

  /** Takes rows of a batch that are not beyond the border of their part. */
  offer(batch: Batch): void {
    const { columns, selection } = batch
    const { part: key, sortKeys } = this.#wide
    const count = selection?.length ?? batch.length
    // Rows come in time, mostly: where the newest are wanted, the first that are looked at leave no room for the others.
    const isBackwards = sortKeys[0]!.descending
    for (let k = 0; k < count; k++) {
      const index = isBackwards ? count - 1 - k : k
      const row = selection === undefined ? index : selection[index]!
      const part = this.#partOf(key === undefined ? null : valueAt(columns[key]!, row))
      if (part.border !== undefined && this.#isBeyond(part.border, batch, row)) continue
      this.#touch(part)
      this.#insert(
        part,
        columns.map(column => valueAt(column, row)),
      )
    }
  }

  /** Leaves out held rows for which this says so. */
  withdraw(isGone: (row: LiveRow) => boolean): void {
    for (const part of this.#parts.values()) {
      if (!part.rows.some(isGone)) continue
      this.#touch(part)
      const before = part.rows.length
      part.rows = part.rows.filter(row => !isGone(row))
      this.#count += part.rows.length - before
    }
  }

  /** Puts the rows of this turn in their places. undefined: a part is short, so that what is held is of no use any more. */
  settle(): Turn | undefined {
    const gone: LiveRow[] = []
    const come: LiveRow[] = []
    for (const [part, before] of this.#touched) {
      if (part.border !== undefined && part.rows.length < this.#offset + this.#limit) return undefined
      const after = this.#wanted(part)
      const [old, young] = [new Set(before), new Set(after)]
      for (const row of before) if (!young.has(row)) gone.push(row)
      for (const row of after) if (!old.has(row)) come.push(row)
      if (part.rows.length === 0 && part.border === undefined) this.#parts.delete(part.key)
    }
    this.#touched.clear()
    return { gone: this.#shown(gone), come: this.#shown(come) }
  }

  /** After all there is was offered up to `kept` rows of each part: what is not held is beyond them. */
  close(): void {
    for (const part of this.#parts.values()) if (part.rows.length >= this.#kept) part.border ??= part.rows.at(-1)
    this.#touched.clear()
  }

  /** The query's rows. */
  shown(): LiveRow[] {
    return this.#shown(Array.from(this.#parts.values(), part => this.#wanted(part)).flat())
  }

  /** As they were before this turn. */
  shownBefore(): LiveRow[] {
    const untouched = Array.from(this.#parts.values()).filter(part => !this.#touched.has(part))
    return this.#shown([...this.#touched.values(), ...untouched.map(part => this.#wanted(part))].flat())
  }

  *[Symbol.iterator](): Generator<LiveRow, void, undefined> {
    for (const { rows } of this.#parts.values()) yield* rows
  }

  #partOf(key: Scalar): Part {
    let part = this.#parts.get(key)
    if (part === undefined) this.#parts.set(key, (part = { key, rows: [], border: undefined }))
    return part
  }

  #touch(part: Part): void {
    if (!this.#touched.has(part)) this.#touched.set(part, this.#wanted(part))
  }

  #wanted({ rows }: Part): LiveRow[] {
    return rows.slice(this.#offset, this.#offset + this.#limit)
  }

  #shown(rows: readonly LiveRow[]): LiveRow[] {
    const { columns, shown } = this.#wide
    return rows.filter(row => row[shown] === true).map(row => row.slice(0, columns))
  }

  /** Lets go of the last row where there are too many, which makes a border. */
  #insert(part: Part, row: LiveRow): void {
    const { rows } = part
    let from = 0
    let to = rows.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#compare(rows[middle]!, row) < 0) from = middle + 1
      else to = middle
    }
    rows.splice(from, 0, row)
    if (rows.length <= this.#kept) {
      this.#count++
      return
    }
    rows.length = this.#kept
    part.border = rows.at(-1)
  }

  #isBeyond(border: LiveRow, { columns }: Batch, row: number): boolean {
    const { columns: first, sortKeys } = this.#wide
    for (let k = 0; k < sortKeys.length; k++) {
      const order = comparePlaces(sortKeys[k]!, valueAt(columns[first + k]!, row), border[first + k]!)
      if (order !== 0) return order > 0
    }
    return false
  }

  #compare(a: LiveRow, b: LiveRow): number {
    const { columns: first, sortKeys } = this.#wide
    for (let k = 0; k < sortKeys.length; k++) {
      const order = comparePlaces(sortKeys[k]!, a[first + k]!, b[first + k]!)
      if (order !== 0) return order
    }
    return 0
  }
}

function comparePlaces(key: WideRow['sortKeys'][number], a: Scalar, b: Scalar): number {
  if (a === null || b === null) return a === b ? 0 : (a === null) === (key.nulls === 'first') ? -1 : 1
  return key.descending ? compareScalars(b, a) : compareScalars(a, b)
}
