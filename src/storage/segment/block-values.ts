/**
 * Decoding blocks of a group's chunks, one at a time: times, numbers, booleans and codes of strings.
 *
 * Invariants:
 * 1. What is returned is borrowed until the next call: it is in the scratch, or among the blocks that are remembered.
 * 2. Present values are dense: of a block with nulls, `presence` says which rows they are of.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { Compression } from '../../lib/ports.ts'
import { unpackBits } from '../codecs/bits.ts'
import { ByteReader, DamageError } from '../codecs/bytes.ts'
import { EncodedStrings } from '../codecs/strings.ts'
import type { FieldBuffer } from '../row-buffer.ts'
import type { BooleanChunk, FieldChunk, NumberChunk, StringChunk, TimeChunk } from './decode-column.ts'
import { DecodedBlocks } from './decoded-blocks.ts'
import type { RowRanges } from './row-ranges.ts'
import { readValueBlock, type Scratch } from './scratch.ts'

export class BlockValues {
  readonly #kernels: Kernels
  readonly #zstd: Compression
  readonly #scratch: Scratch
  readonly #decoded = new DecodedBlocks()

  constructor(kernels: Kernels, zstd: Compression, scratch: Scratch) {
    this.#kernels = kernels
    this.#zstd = zstd
    this.#scratch = scratch
  }

  /** Of a block that is wanted in part. */
  rememberedTimes(time: TimeChunk, block: number, rows: number): Float64Array {
    return this.#decoded.values(time, block, out => this.times(time, block, rows, out, 0))
  }

  times(time: TimeChunk, block: number, rows: number, out: Float64Array, outAt: number): void {
    const at = time.starts[block]!
    const length = time.starts[block + 1]! - at
    if (this.#kernels.decodeTimes(time.bytes, at, length, out, outAt) !== rows)
      throw new DamageError('a block holds another number of times', at)
  }

  /** Of a block that is wanted in part, or has nulls. */
  rememberedNumbers(chunk: NumberChunk, block: number, count: number): Float64Array {
    return this.#decoded.values(chunk, block, out => this.numbers(chunk, block, count, out, 0))
  }

  /** Of a whole block. */
  numbers(chunk: NumberChunk, block: number, count: number, out: Float64Array, outAt: number): void {
    const at = chunk.starts[block]!
    readValueBlock(chunk.bytes, at, chunk.starts[block + 1]! - at, count, this.#kernels, out, outAt)
  }

  /** Of a whole block. */
  scratchNumbers(chunk: NumberChunk, block: number, count: number): Float64Array {
    this.numbers(chunk, block, count, this.#scratch.values, 0)
    return this.#scratch.values
  }

  booleans(chunk: BooleanChunk, block: number, count: number): Uint8Array {
    const from = chunk.denseStarts[block]!
    unpackBits(chunk.bits, from, from + count, this.#scratch.bits, 0)
    return this.#scratch.bits
  }

  /** A byte a row of the block, of which `count` have a value: 1 where there is one. */
  presence(chunk: FieldChunk, rowFrom: number, rowTo: number, count: number): Uint8Array {
    assert(chunk.nulls !== undefined, 'fewer values than rows: there is a bitmap')
    const ones = unpackBits(chunk.nulls, rowFrom, rowTo, this.#scratch.flags, 0)
    if (ones !== count) throw new DamageError('null bitmap', 1)
    return this.#scratch.flags
  }

  /** The buffer's codes of the wanted present values: only those are made strings. `translated`: see `translation`. */
  codes(
    chunk: StringChunk,
    block: number,
    count: number,
    present: Uint8Array | undefined,
    wanted: RowRanges,
    buffer: FieldBuffer,
    translated: Int32Array | undefined,
  ): Uint32Array {
    const { codes, values } = this.#scratch
    const at = chunk.starts[block]!
    const end = chunk.starts[block + 1]!
    const into = buffer.dictionary
    assert(into !== undefined, 'a string field has a dictionary')
    const { dictionary } = chunk
    let plain: EncodedStrings | undefined
    if (dictionary === undefined) plain = new EncodedStrings(new ByteReader(chunk.bytes, at, end), count, this.#zstd)
    else readValueBlock(chunk.bytes, at, end - at, count, this.#kernels, values, 0)

    let row = 0
    let dense = 0
    for (let i = 0; i < wanted.count; i++) {
      const from = wanted.bounds[2 * i]!
      const to = wanted.bounds[2 * i + 1]!
      if (present === undefined) dense = from
      else for (; row < from; row++) dense += present[row]!
      for (row = from; row < to; row++) {
        if (present !== undefined && present[row] === 0) continue
        if (plain !== undefined) codes[dense] = into.code(plain.at(dense))
        else {
          const local = values[dense]!
          let code = translated![local]
          if (code === undefined) throw new DamageError('code of a string', at)
          if (code < 0) {
            code = into.code(dictionary!.at(local))
            translated![local] = code
          }
          codes[dense] = code
        }
        dense++
      }
    }
    return codes
  }
}

/** Per code of the chunk's dictionary the code in the buffer's, or -1 while it is not known. */
export function translation(chunk: FieldChunk | undefined, { dictionary }: FieldBuffer): Int32Array | undefined {
  if (chunk?.kind !== 'string' || chunk.dictionary === undefined || dictionary === undefined) return undefined
  return new Int32Array(chunk.dictionary.count).fill(-1)
}
