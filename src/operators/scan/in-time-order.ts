/**
 * Rows of whole blocks in order of time: their places are found by series and times alone, then each block's values are decoded
 * straight to their places, one field after the other.
 *
 *   held    rows that wait for others before them, and those that came row by row     all fields
 *   keys    series and times of the held rows, then of those found in blocks          fields that the predicate looks at
 *   out     those before the frontier, in order, which leave; then the rest, which is held
 *
 * Invariants:
 * 1. Rows leave by (time, series rank), those before the frontier alone.
 * 2. All rows here satisfy the row predicate, and merge with no other.
 */
import type { Batch } from '../../columnar/batch.ts'
import { sortRows } from '../../storage/merge.ts'
import { placeRows } from '../../storage/placing.ts'
import { type FieldBuffer, RowBuffer } from '../../storage/row-buffer.ts'
import type { FoundRows, Piece } from '../../storage/types.ts'
import type { BlockReading } from './by-blocks.ts'
import { TimePlaces } from './time-places.ts'

export class InTimeOrder {
  readonly #reading: BlockReading
  /** Of the window at hand, in the order of `keys`. */
  readonly #found: FoundRows[] = []
  readonly #keys: RowBuffer
  readonly #out: RowBuffer
  readonly #places: TimePlaces

  /** `rows`: about so many in a window. */
  constructor(reading: BlockReading, rows: number) {
    const { buffer, emitter, execution } = reading
    const fields = buffer.fields.map(({ field }) => field)
    const tested = emitter.test?.fields ?? []
    this.#reading = reading
    this.#keys = new RowBuffer(
      tested.map(index => fields[index]!),
      rows,
      undefined,
      execution.arrays,
    )
    this.#out = new RowBuffer(fields, rows, buffer, execution.arrays)
    this.#places = new TimePlaces(execution.arrays)
  }

  /** To be called when the buffer has what comes row by row, from `before` on. `isMerged`: some of it may be of one (series, time). */
  begin(before: number, isMerged: boolean): void {
    const { window, buffer, emitter } = this.#reading
    const { catalog, metric, duplicates } = window
    if (isMerged) sortRows(buffer, 'time-series', catalog.ranks(metric.id), duplicates)
    if (isMerged || buffer.length > before) emitter.keepAccepted(buffer, isMerged ? 0 : before)
    const keys = this.#keys
    keys.clear()
    keys.reserve(buffer.length)
    keys.series.set(buffer.series.subarray(0, buffer.length))
    keys.timeUs.set(buffer.timeUs.subarray(0, buffer.length))
    keys.length = buffer.length
  }

  /** Finds the rows of blocks that begin in the range; returns when the next one does. */
  find(piece: Piece, fromUs: number, toUs: number, together: number): number {
    const found = piece.findBlocks!(fromUs, toUs, this.#keys, this.#reading.window.bounds, together)
    if (found.rows > 0) this.#found.push(found)
    return found.nextUs
  }

  /** What was found, as far as nothing before it is missing. No row comes before `fromUs`. */
  *upTo(fromUs: number, frontierUs: number): Generator<Batch> {
    const { buffer, emitter } = this.#reading
    this.#keepAccepted()
    const ready = this.#place(fromUs, frontierUs)
    const out = this.#out
    const { length } = out
    out.length = ready
    yield* emitter.emitAccepted(out)
    buffer.clear()
    buffer.append(out, ready, length)
    this.#account()
  }

  #account(): void {
    const { execution, buffer } = this.#reading
    const bytes = buffer.byteLength + this.#keys.byteLength + this.#out.byteLength + this.#places.byteLength
    execution.memory.hold(buffer, bytes)
  }

  /** Forgets found rows that do not satisfy the row predicate, once the fields that it looks at are read. */
  #keepAccepted(): void {
    const { buffer, emitter } = this.#reading
    const { test } = emitter
    const keys = this.#keys
    const held = buffer.length
    if (test === undefined || keys.length === held) return
    for (const [i, field] of test.fields.entries()) {
      const into = keys.fields[i]!
      into.nulls = false
      into.valid.fill(1, held, keys.length)
      this.#placeFound(field, into, undefined, held)
    }
    const accepted = test.accepted(keys, held)
    if (accepted === undefined) return
    let next = 0
    let first = 0
    for (const found of this.#found) {
      const { rows } = found
      next = found.keep(accepted, next, first)
      first += rows
    }
    keys.keep(accepted, held)
  }

  #placeFound(field: number, into: FieldBuffer, places: Uint32Array | undefined, from: number): void {
    let at = from
    for (const found of this.#found) {
      found.place(field, into, places, at)
      at += found.rows
    }
  }

  /** Writes all rows to `out`; returns how many are before the frontier. */
  #place(fromUs: number, frontierUs: number): number {
    const { window, buffer: held, emitter } = this.#reading
    const keys = this.#keys
    const out = this.#out
    const { series, timeUs, length } = keys
    const ranks = window.catalog.ranks(window.metric.id)
    const { places, ready } = this.#places.find(keys, ranks, fromUs, frontierUs)
    out.clear()
    out.reserve(length)
    this.#account()
    placeRows(series, 0, length, out.series, places, 0)
    placeRows(timeUs, 0, length, out.timeUs, places, 0)
    for (let index = 0; index < out.fields.length; index++) {
      const into = out.fields[index]!
      into.valid.fill(1, 0, length)
      placeField(held.fields[index]!, 0, held.length, into, places)
      const tested = emitter.test?.fields.indexOf(index) ?? -1
      // Texts have the codes of another dictionary there.
      if (tested >= 0 && into.dictionary === undefined)
        placeField(keys.fields[tested]!, held.length, length - held.length, into, places)
      else this.#placeFound(index, into, places, held.length)
    }
    out.length = length
    this.#found.length = 0
    return ready
  }
}

function placeField(
  { values, valid, nulls }: FieldBuffer,
  from: number,
  count: number,
  into: FieldBuffer,
  places: Uint32Array | undefined,
): void {
  placeRows(values, from, count, into.values, places, from)
  if (!nulls) return
  placeRows(valid, from, count, into.valid, places, from)
  into.nulls = true
}
