/**
 * Rows of a group that were found by their series and times, and whose fields are read one at a time afterwards: see
 * `BlockPlacer`.
 */
import type { FieldBuffer } from '../row-buffer.ts'
import type { FoundRows } from '../types.ts'
import type { FoundBlock } from './place-blocks.ts'

/** Writes a field of these blocks' rows. */
export type PlaceField = (
  found: readonly FoundBlock[],
  field: number,
  into: FieldBuffer,
  places: Uint32Array | undefined,
  at: number,
) => void

export class FoundGroup implements FoundRows {
  readonly nextUs: number
  rows = 0
  readonly #blocks: readonly FoundBlock[]
  readonly #place: PlaceField

  constructor(blocks: readonly FoundBlock[], nextUs: number, place: PlaceField) {
    this.#blocks = blocks
    this.#place = place
    this.nextUs = nextUs
    for (const { rows } of blocks) this.rows += rows
  }

  keep(rows: Uint32Array, from: number, first: number): number {
    let next = from
    let begin = first
    this.rows = 0
    for (const block of this.#blocks) {
      const end = begin + block.rows
      const start = next
      while (next < rows.length && rows[next]! < end) next++
      if (next - start < block.rows) {
        const { picked } = block
        const left = new Uint16Array(next - start)
        for (let i = 0; i < left.length; i++) {
          const row = rows[start + i]! - begin
          left[i] = picked === undefined ? row : picked[row]!
        }
        block.picked = left
        block.rows = left.length
      }
      this.rows += block.rows
      begin = end
    }
    return next
  }

  place(field: number, into: FieldBuffer, places: Uint32Array | undefined, at: number): void {
    if (this.rows > 0) this.#place(this.#blocks, field, into, places, at)
  }
}
