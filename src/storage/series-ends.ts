/**
 * The last (or the first) value of one field of each series, from sources that know theirs without reading rows.
 *
 *   segment 1     a  12:00  5        b  12:00  3
 *   segment 2     a  12:30  7        b  some value by 12:30
 *   known         a  12:30  7        b  is not: its rows must be read
 *
 * Invariants:
 * 1. A value is known when it is later than each other source's, and than all that is in doubt. Of two at one time a merge
 *    decides, so that they are in doubt.
 * 2. Values are those of rows in the range that no tombstone hides.
 */
import type { SourceTombstones } from './tombstones/tombstones.ts'

export type End = 'first' | 'last'

/** What is asked of a source. */
export interface EndRequest {
  readonly end: End
  /** Half-open. */
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals, ascending. */
  readonly ordinals: Uint32Array
}

export class SeriesEnds {
  readonly end: End
  readonly fromUs: number
  readonly toUs: number
  readonly ordinals: Uint32Array
  /** By place among the ordinals. */
  readonly values: Float64Array
  /** 1: later is nearer to the end, -1: earlier. */
  readonly #sign: 1 | -1
  /** Times, of `first` with their signs changed: the greater one wins. -Infinity: there is none. */
  readonly #best: Float64Array
  readonly #doubt: Float64Array
  readonly #isDense: boolean

  constructor({ end, fromUs, toUs, ordinals }: EndRequest) {
    this.end = end
    this.fromUs = fromUs
    this.toUs = toUs
    this.ordinals = ordinals
    this.#sign = end === 'last' ? 1 : -1
    const { length } = ordinals
    this.values = new Float64Array(length)
    this.#best = new Float64Array(length).fill(-Infinity)
    this.#doubt = new Float64Array(length).fill(-Infinity)
    this.#isDense = length > 0 && ordinals[length - 1]! - ordinals[0]! === length - 1
  }

  /** The place of a series, -1 where it is not asked for. */
  placeOf(ordinal: number): number {
    const { ordinals } = this
    if (this.#isDense) {
      const place = ordinal - ordinals[0]!
      return place >= 0 && place < ordinals.length ? place : -1
    }
    let low = 0
    let high = ordinals.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ordinals[middle]! < ordinal) low = middle + 1
      else high = middle
    }
    return ordinals[low] === ordinal ? low : -1
  }

  /** The value of a source's row at its end of the series, unless the row is outside the range. */
  offer(place: number, timeUs: number, value: number, tombstones: SourceTombstones | undefined): void {
    if (timeUs < this.fromUs || timeUs >= this.toUs) return
    const at = timeUs * this.#sign
    const best = this.#best[place]!
    const isHidden = tombstones?.rangesOf(this.ordinals[place]!).overlaps(timeUs, timeUs + 1)
    if (isHidden === true || at === best) this.#doubtAt(place, at)
    else if (at > best) {
      this.#best[place] = at
      this.values[place] = value
    }
  }

  /** A source may have values up to there, seen from the middle. */
  doubt(place: number, timeUs: number): void {
    const endUs = this.#sign === 1 ? Math.min(timeUs, this.toUs - 1) : Math.max(timeUs, this.fromUs)
    if (this.#sign === 1 ? endUs >= this.fromUs : endUs < this.toUs) this.#doubtAt(place, endUs * this.#sign)
  }

  #doubtAt(place: number, at: number): void {
    if (at > this.#doubt[place]!) this.#doubt[place] = at
  }

  isKnown(place: number): boolean {
    return this.#best[place]! > this.#doubt[place]!
  }
  timeUs(place: number): number {
    return this.#best[place]! * this.#sign
  }

  /** Whether no source whose nearest row is at this time can change what is known, and all is. */
  isSettled(nearestUs: number): boolean {
    const nearest = nearestUs * this.#sign
    for (let place = 0; place < this.ordinals.length; place++)
      if (!(this.#best[place]! > nearest || this.#doubt[place]! > nearest)) return false
    return true
  }
}
