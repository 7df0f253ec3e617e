/**
 * Elementary time windows: how far in time to go for about so many rows.
 *
 *   pieces  ████████      ██        ->  density, rows per µs, between the times where pieces begin and end
 *              ██████████████
 *
 * Rows are taken as spread evenly within a piece; a window that turns out larger is split by the scan.
 *
 * Invariants: windows are whole µs, not empty, and those of one walk partition the range.
 */
import type { Piece } from '../../storage/types.ts'

export interface TimeSpan {
  readonly fromUs: number
  readonly toUs: number
}

export class WindowPlan {
  /** Times where the density changes, ascending. */
  readonly #times: Float64Array
  /** Rows per µs from `times[i]` to `times[i + 1]`. */
  readonly #density: Float64Array

  /** Of the part of the pieces within the range. */
  constructor(pieces: readonly Pick<Piece, 'rows' | 'minTimeUs' | 'maxTimeUs'>[], range: TimeSpan) {
    const changes = new Map<number, number>()
    for (const piece of pieces) {
      const endUs = piece.maxTimeUs + 1
      const density = piece.rows / (endUs - piece.minTimeUs)
      const fromUs = Math.max(piece.minTimeUs, range.fromUs)
      const toUs = Math.min(endUs, range.toUs)
      if (fromUs >= toUs) continue
      changes.set(fromUs, (changes.get(fromUs) ?? 0) + density)
      changes.set(toUs, (changes.get(toUs) ?? 0) - density)
    }
    this.#times = Float64Array.from(changes.keys()).sort()
    this.#density = new Float64Array(this.#times.length)
    let density = 0
    for (let i = 0; i < this.#times.length; i++) {
      density += changes.get(this.#times[i]!)!
      this.#density[i] = Math.max(density, 0)
    }
  }

  /** From the first row's time to after the last one's; undefined when there is no piece in the range. */
  get extent(): TimeSpan | undefined {
    if (this.#times.length === 0) return undefined
    return { fromUs: this.#times[0]!, toUs: this.#times.at(-1)! }
  }

  /** About how many there are. */
  get rows(): number {
    let rows = 0
    for (let i = 1; i < this.#times.length; i++) rows += this.#density[i - 1]! * (this.#times[i]! - this.#times[i - 1]!)
    return Math.ceil(rows)
  }

  /** The end of a window that begins at `fromUs` and holds about `rows` rows. */
  endAfter(fromUs: number, rows: number): number {
    const times = this.#times
    const last = times.length - 1
    let wanted = rows
    let at = fromUs
    for (let i = Math.max(this.#segment(fromUs), 0); i < last; i++) {
      const inSegment = (times[i + 1]! - at) * this.#density[i]!
      if (inSegment >= wanted)
        return Math.min(Math.max(Math.ceil(at + wanted / this.#density[i]!), fromUs + 1), times[last]!)
      wanted -= inSegment
      at = times[i + 1]!
    }
    return times[last]!
  }

  /** The beginning of a window that ends at `toUs` and holds about `rows` rows. */
  beginBefore(toUs: number, rows: number): number {
    const times = this.#times
    let wanted = rows
    let at = toUs
    for (let i = Math.min(this.#segment(toUs - 1), times.length - 2); i >= 0; i--) {
      const inSegment = (at - times[i]!) * this.#density[i]!
      if (inSegment >= wanted)
        return Math.max(Math.min(Math.floor(at - wanted / this.#density[i]!), toUs - 1), times[0]!)
      wanted -= inSegment
      at = times[i]!
    }
    return times[0]!
  }

  /** Index of the last change at or before this time. */
  #segment(timeUs: number): number {
    let low = 0
    let high = this.#times.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#times[middle]! <= timeUs) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
