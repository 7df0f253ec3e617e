/**
 * Placing the fields of rows that were found: one block of one field after the other, each row to the place that it has in the
 * order it was found to come in (`placing.ts`).
 */
import { placePicked, placeRows, type Values } from '../placing.ts'
import type { FieldBuffer } from '../row-buffer.ts'
import { type BlockValues, translation } from './block-values.ts'
import type { FieldChunk } from './decode-column.ts'
import type { GroupHead } from './group-head.ts'
import { RowRanges } from './row-ranges.ts'

/** A block with rows that were found. */
export interface FoundBlock {
  readonly block: number
  /** It was not wanted whole. */
  readonly isPart: boolean
  rows: number
  /** Those rows within the block; undefined: all. */
  picked: Uint16Array | undefined
}

export class BlockPlacer {
  readonly #blocks: BlockValues
  readonly #ranges = new RowRanges()

  constructor(blocks: BlockValues) {
    this.#blocks = blocks
  }

  /**
   * Writes a field of found rows to their places, `places[at]` and those that follow (undefined: `at` and those that follow).
   * Validity is 1 beforehand.
   */
  place(
    chunk: FieldChunk | undefined,
    { blockStarts }: GroupHead,
    found: readonly FoundBlock[],
    into: FieldBuffer,
    places: Uint32Array | undefined,
    at: number,
  ): void {
    const translated = translation(chunk, into)
    let next = at
    for (const each of found) {
      const { block, rows } = each
      if (rows === 0) continue
      const count = chunk === undefined ? 0 : chunk.denseStarts[block + 1]! - chunk.denseStarts[block]!
      const blockRows = blockStarts[block + 1]! - blockStarts[block]!
      if (chunk === undefined || count === 0) placeNulls(rows, into, places, next)
      else if (count < blockRows) this.#placePresent(chunk, each, count, blockStarts, into, places, next, translated)
      else if (chunk.kind === 'number' && each.picked === undefined && places === undefined)
        this.#blocks.numbers(chunk, block, count, into.values as Float64Array, next)
      else {
        const values = this.#valuesOf(chunk, each, count, undefined, into, translated)
        if (each.picked === undefined) placeRows(values, 0, rows, into.values, places, next)
        else placePicked(values, each.picked, rows, into.values, places, next)
      }
      next += rows
    }
  }

  /** Of a block with nulls. */
  #placePresent(
    chunk: FieldChunk,
    found: FoundBlock,
    count: number,
    blockStarts: Uint32Array,
    into: FieldBuffer,
    places: Uint32Array | undefined,
    at: number,
    translated: Int32Array | undefined,
  ): void {
    const { block, rows, picked } = found
    const flags = this.#blocks.presence(chunk, blockStarts[block]!, blockStarts[block + 1]!, count)
    const values = this.#valuesOf(chunk, found, count, flags, into, translated)
    let row = 0
    let dense = 0
    for (let i = 0; i < rows; i++) {
      const wanted = picked === undefined ? i : picked[i]!
      for (; row < wanted; row++) dense += flags[row]!
      const place = places === undefined ? at + i : places[at + i]!
      if (flags[wanted] === 0) {
        into.valid[place] = 0
        into.nulls = true
      } else into.values[place] = values[dense]!
    }
  }

  /** The present values of a found block; of text the buffer's codes, of those rows alone that are wanted. */
  #valuesOf(
    chunk: FieldChunk,
    { block, rows, picked, isPart }: FoundBlock,
    count: number,
    present: Uint8Array | undefined,
    into: FieldBuffer,
    translated: Int32Array | undefined,
  ): Values {
    switch (chunk.kind) {
      case 'number':
        return isPart
          ? this.#blocks.rememberedNumbers(chunk, block, count)
          : this.#blocks.scratchNumbers(chunk, block, count)
      case 'boolean':
        return this.#blocks.booleans(chunk, block, count)
      case 'string':
        return this.#blocks.codes(chunk, block, count, present, this.#wanted(rows, picked), into, translated)
    }
  }

  #wanted(rows: number, picked: Uint16Array | undefined): RowRanges {
    const ranges = this.#ranges
    ranges.count = 0
    if (picked === undefined) ranges.add(0, rows)
    else for (let i = 0; i < rows; i++) ranges.add(picked[i]!, picked[i]! + 1)
    return ranges
  }
}

function placeNulls(rows: number, into: FieldBuffer, places: Uint32Array | undefined, at: number): void {
  for (let i = at; i < at + rows; i++) into.valid[places === undefined ? i : places[i]!] = 0
  into.nulls = true
}
