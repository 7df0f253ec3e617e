/**
 * Recent changes of one live query: subscribers are cursors into them, not queues.
 *
 *   sequence   41        42        43        44                 cursors: the sequence of the next change they will be told
 *   change     [9..12]   [12..13]  [15..16]  -                  lsn from..to: between 13 and 15 nothing changed
 *
 * Invariants:
 * 1. Each change takes the result from one position to a later one; what lies between two changes changed nothing.
 * 2. The oldest go first: when there are more than `rowsMax` rows or `bytesMax` bytes. A hold keeps those from its sequence
 *    on for a snapshot that is being made, until they are `heldRowsMax` rows more.
 * 3. After `restart` every earlier cursor is lost, and with it what it stood for.
 */
import type { LiveDelta } from '../../operators/live/types.ts'
import { type Position, reaches } from './ids.ts'

export interface Change {
  readonly from: Position
  readonly to: Position
  readonly delta: LiveDelta
  readonly rows: number
  readonly bytes: number
}

/** A row and its place in a list. */
const rowBytes = 48
/** Texts are shared with dictionaries, mostly. */
const valueBytes = 16

export const bytesOfRows = (rows: number, columns: number): number => rows * (rowBytes + columns * valueBytes)

export const changeOf = (from: Position, to: Position, delta: LiveDelta, columns: number): Change => {
  const rows = delta.added.length + delta.changed.length + delta.removed.length
  return { from, to, delta, rows, bytes: bytesOfRows(rows, columns) }
}

export interface RingLimits {
  readonly rowsMax: number
  readonly heldRowsMax: number
}

export class ChangeRing {
  readonly #limits: RingLimits
  #changes: Change[] = []
  #first = 0
  /** What is there tells all that changed since. */
  #base: Position
  #rows = 0
  #bytes = 0
  readonly #holds = new Set<{ readonly sequence: number }>()

  constructor(limits: RingLimits, base: Position) {
    this.#limits = limits
    this.#base = base
  }

  /** The sequence of the oldest change that is there. */
  get first(): number {
    return this.#first
  }
  /** The sequence that the next change will have. */
  get end(): number {
    return this.#first + this.#changes.length
  }
  get bytes(): number {
    return this.#bytes
  }

  /** Takes a change in; `trim` after whoever waits for it was told. */
  push(change: Change): void {
    this.#changes.push(change)
    this.#rows += change.rows
    this.#bytes += change.bytes
  }

  trim(bytesMax: number): void {
    const { rowsMax, heldRowsMax } = this.#limits
    let held = this.end
    for (const { sequence } of this.#holds) held = Math.min(held, sequence)
    let count = 0
    while (count < this.#changes.length) {
      const isHeld = this.#first + count >= held
      if (this.#rows <= (isHeld ? rowsMax + heldRowsMax : rowsMax) && (isHeld || this.#bytes <= bytesMax)) break
      this.#rows -= this.#changes[count]!.rows
      this.#bytes -= this.#changes[count]!.bytes
      count++
    }
    if (count === 0) return
    this.#base = this.#changes[count - 1]!.to
    this.#changes.splice(0, count)
    this.#first += count
  }

  /** Whether what comes at the cursor is still there, or not there yet. */
  has(cursor: number): boolean {
    return cursor >= this.#first
  }

  at(cursor: number): Change {
    return this.#changes[cursor - this.#first]!
  }

  /** From the cursor on. */
  since(cursor: number): readonly Change[] {
    return this.#changes.slice(cursor - this.#first)
  }

  /** The cursor of who knows the result as of a position; undefined: what came after it is not all there. */
  cursorOf(known: Position, present: Position): number | undefined {
    const found = this.#changes.findIndex(({ to }) => !reaches(known, to))
    const next = found < 0 ? this.#changes.length : found
    const since = this.#changes[next - 1]?.to ?? this.#base
    const until = this.#changes[next]?.from ?? present
    return reaches(known, since) && reaches(until, known) ? this.#first + next : undefined
  }

  /** Keeps what comes from the cursor on; the returned function ends it. */
  hold(cursor: number): () => void {
    const hold = { sequence: cursor }
    this.#holds.add(hold)
    return () => this.#holds.delete(hold)
  }

  /** Begins anew, with what the result is at the position. */
  restart(position: Position): void {
    this.#base = position
    this.#first = this.end + 1
    this.#changes = []
    this.#rows = 0
    this.#bytes = 0
  }
}
