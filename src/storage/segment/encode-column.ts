/**
 * Chunks of a row group: its time column and one per field, blocks behind a small table.
 *
 *   time     [block lengths, min offsets, spans]                                      | blocks
 *   field    flags [bitmap, counts per block] then by type
 *   number   block lengths [NaN counts] [mins, maxs]                                  | blocks of the present values
 *   string   dictionary, block lengths | blocks of codes       or      block lengths  | blocks of strings
 *   boolean  one bitmap
 *
 * Invariants:
 * 1. A field without a value in the group has no chunk.
 * 2. Present values are dense: a block holds as many as its rows have, and is empty when they have none.
 * 3. What a group with one block could say of it, the footer says of the group; it is not repeated.
 */

import type { Dictionary } from '../../columnar/batch.ts'
import { blockBytesMax, type Kernels, type Summary } from '../../kernels/kernels.ts'
import { assert } from '../../lib/assert.ts'
import type { Compression } from '../../lib/ports.ts'
import { compareUtf8 } from '../../lib/text.ts'
import { encodeBits } from '../codecs/bits.ts'
import { ByteWriter } from '../codecs/bytes.ts'
import { encodeStrings } from '../codecs/strings.ts'
import type { FieldType } from '../types.ts'
import type { ColumnStatistics, NumberStatistics, TextBound } from './footer.ts'
import type { GroupLayout } from './layout.ts'
import { newScratch, type Scratch, writeValueBlock, writeValueList } from './scratch.ts'

/** 'fast': blocks that are decoded fastest. 'dense': the smallest ones, for rows that stay for years. */
export type Encoding = 'fast' | 'dense'

export const columnFlags = { nulls: 1, nans: 2, plainStrings: 4 } as const

/** Rows of a group in arrays: row i of the group is at `base + i`. */
export interface ColumnRows {
  readonly type: FieldType
  readonly values: Float64Array | Uint8Array | Uint32Array
  /** undefined: every row has the field. */
  readonly valid: Uint8Array | undefined
  readonly dictionary: Dictionary | undefined
  readonly base: number
}
export interface TimeRows {
  readonly timeUs: Float64Array
  readonly base: number
}

export class ColumnEncoder {
  readonly #kernels: Kernels
  readonly #zstd: Compression
  readonly scratch: Scratch = newScratch()
  readonly #payload = new ByteWriter(64 * 1024)
  readonly #dictionaryCodes = new DictionaryCodes()

  constructor(kernels: Kernels, zstd: Compression, encoding: Encoding = 'fast') {
    this.#kernels = encoding === 'fast' ? kernels : densely(kernels)
    this.#zstd = zstd
  }

  encodeTimes(group: GroupLayout, { timeUs, base }: TimeRows, out: ByteWriter): void {
    const { blocks, minTimeUs } = group
    const lengths: number[] = []
    const offsets: number[] = []
    const spans: number[] = []
    const payload = this.#payload
    payload.clear()
    let at = base
    for (const rows of blocks) {
      payload.reserve(blockBytesMax)
      const length = this.#kernels.encodeTimes(timeUs, at, rows, payload.bytes, payload.length)
      payload.length += length
      lengths.push(length)
      if (blocks.length > 1) {
        let min = Infinity
        let max = -Infinity
        for (let i = at; i < at + rows; i++) {
          const time = timeUs[i]!
          if (time < min) min = time
          if (time > max) max = time
        }
        offsets.push(min - minTimeUs)
        spans.push(max - min)
      }
      at += rows
    }
    if (blocks.length > 1) {
      for (const length of lengths) out.varint(length)
      writeValueList(blocks.length, i => offsets[i]!, this.#kernels, this.scratch, out)
      writeValueList(blocks.length, i => spans[i]!, this.#kernels, this.scratch, out)
    }
    out.raw(payload.written())
  }

  /** Appends the field's chunk; undefined, and nothing appended, when no row has the field. */
  encodeField(group: GroupLayout, times: TimeRows, rows: ColumnRows, out: ByteWriter): ColumnStatistics | undefined {
    const counts = countValid(rows.valid, rows.base, group)
    const count = counts === undefined ? group.rows : counts.reduce((sum, each) => sum + each, 0)
    if (count === 0) return undefined
    const column: DenseColumn = {
      group,
      times,
      count,
      base: rows.base,
      valid: count === group.rows ? undefined : rows.valid,
      counts: count === group.rows ? undefined : counts,
    }
    switch (rows.type) {
      case 'float':
      case 'integer':
        return this.#encodeNumbers(column, rows.values as Float64Array, out)
      case 'boolean':
        return this.#encodeBooleans(column, rows.values as Uint8Array, out)
      case 'string':
        assert(rows.dictionary !== undefined, 'a string column has a dictionary')
        return this.#encodeStrings(column, rows.values as Uint32Array, rows.dictionary, out)
    }
  }

  #encodeNumbers(column: DenseColumn, values: Float64Array, out: ByteWriter): NumberStatistics {
    const { blocks } = column.group
    const payload = this.#payload
    payload.clear()
    const lengths: number[] = []
    const nanCounts: number[] = []
    const mins: number[] = []
    const maxs: number[] = []
    const total: Summary = { count: 0, nanCount: 0, min: Infinity, max: -Infinity, sum: 0 }
    const { summary } = this.scratch
    forEachBlock(column, values, this.scratch.values, (dense, from, count) => {
      reset(summary)
      if (count > 0) this.#kernels.summarize(dense, undefined, from, from + count, summary)
      lengths.push(count === 0 ? 0 : writeValueBlock(dense, from, count, this.#kernels, payload))
      nanCounts.push(summary.nanCount)
      mins.push(summary.min)
      maxs.push(summary.max)
      total.nanCount += summary.nanCount
      total.min = Math.min(total.min, summary.min)
      total.max = Math.max(total.max, summary.max)
      total.sum += summary.sum
    })
    writePrefix(column, total.nanCount > 0 ? columnFlags.nans : 0, out)
    for (const length of lengths) out.varint(length)
    if (blocks.length > 1) {
      if (total.nanCount > 0) for (const nans of nanCounts) out.varint(nans)
      writeValueList(blocks.length, i => mins[i]!, this.#kernels, this.scratch, out)
      writeValueList(blocks.length, i => maxs[i]!, this.#kernels, this.scratch, out)
    }
    out.raw(payload.written())
    const { nanCount, min, max, sum } = total
    return { kind: 'number', count: column.count, nanCount, min, max, sum, ...firstAndLast(column, values) }
  }

  #encodeBooleans(column: DenseColumn, values: Uint8Array, out: ByteWriter): ColumnStatistics {
    writePrefix(column, 0, out)
    let { base } = column
    let flags = values
    if (column.valid !== undefined) {
      flags = new Uint8Array(column.count)
      for (let row = base, i = 0; i < column.count; row++) if (column.valid[row] === 1) flags[i++] = values[row]!
      base = 0
    }
    let trueCount = 0
    for (let i = 0; i < column.count; i++) trueCount += flags[base + i]!
    encodeBits(flags, base, column.count, out)
    return { kind: 'boolean', count: column.count, trueCount }
  }

  #encodeStrings(column: DenseColumn, codes: Uint32Array, dictionary: Dictionary, out: ByteWriter): ColumnStatistics {
    const { valid, base, count, group } = column
    const distinct = this.#dictionaryCodes
    distinct.reset(dictionary.size)
    for (let row = base; row < base + group.rows; row++)
      if (valid === undefined || valid[row] === 1) distinct.add(codes[row]!)
    const texts = distinct.codes.map(code => dictionary.at(code))
    const payload = this.#payload
    payload.clear()
    const lengths: number[] = []

    const plain = texts.length > count / 2
    writePrefix(column, plain ? columnFlags.plainStrings : 0, out)
    if (!plain) {
      const encoded = new ByteWriter(texts.length * 8)
      encodeStrings(texts, this.#zstd, encoded)
      out.varint(texts.length)
      out.varint(encoded.length)
      out.raw(encoded.written())
    }
    const { values } = this.scratch
    forEachBlock(column, codes, this.scratch.codes, (dense, from, rows) => {
      const start = payload.length
      if (rows > 0 && plain) {
        encodeStrings(
          Array.from({ length: rows }, (_, i) => dictionary.at(dense[from + i]!)),
          this.#zstd,
          payload,
        )
      } else if (rows > 0) {
        for (let i = 0; i < rows; i++) values[i] = distinct.local(dense[from + i]!)
        writeValueBlock(values, 0, rows, this.#kernels, payload)
      }
      lengths.push(payload.length - start)
    })
    for (const length of lengths) out.varint(length)
    out.raw(payload.written())

    let [min, max] = [texts[0]!, texts[0]!]
    for (const text of texts) {
      if (compareUtf8(text, min) < 0) min = text
      if (compareUtf8(text, max) > 0) max = text
    }
    return { kind: 'string', count, min: textBound(min), max: textBound(max) }
  }
}

/** The same kernels, writing dense blocks. */
const densely = (kernels: Kernels): Kernels => ({
  ...kernels,
  encodeTimes: kernels.encodeDenseTimes,
  encodeValues: kernels.encodeDenseValues,
})

/** A column of which `count` rows are present, `counts` of them in each block when not all are. */
interface DenseColumn {
  readonly group: GroupLayout
  readonly times: TimeRows
  readonly base: number
  readonly count: number
  readonly valid: Uint8Array | undefined
  readonly counts: readonly number[] | undefined
}

function countValid(valid: Uint8Array | undefined, base: number, { blocks }: GroupLayout): number[] | undefined {
  if (valid === undefined) return undefined
  let at = base
  return blocks.map(rows => {
    let count = 0
    for (const end = at + rows; at < end; at++) count += valid[at]!
    return count
  })
}

function writePrefix({ group, valid, counts, base }: DenseColumn, flags: number, out: ByteWriter): void {
  out.u8(valid === undefined ? flags : flags | columnFlags.nulls)
  if (valid === undefined || counts === undefined) return
  const bitmap = new ByteWriter(group.rows / 8 + 16)
  encodeBits(valid, base, group.rows, bitmap)
  out.varint(bitmap.length)
  out.raw(bitmap.written())
  if (group.blocks.length > 1) for (const count of counts) out.varint(count)
}

/** Hands over the present values of each block: where they lie when all rows have one, else gathered. */
function forEachBlock<A extends Float64Array | Uint32Array>(
  { group, valid, base }: DenseColumn,
  values: A,
  gathered: A,
  visit: (dense: A, from: number, count: number) => void,
): void {
  let at = base
  for (const rows of group.blocks) {
    if (valid === undefined) visit(values, at, rows)
    else {
      let count = 0
      for (let row = at; row < at + rows; row++) if (valid[row] === 1) gathered[count++] = values[row]!
      visit(gathered, 0, count)
    }
    at += rows
  }
}

function reset(summary: Summary): void {
  summary.count = 0
  summary.nanCount = 0
  summary.min = Infinity
  summary.max = -Infinity
  summary.sum = 0
}

type FirstAndLast = Pick<NumberStatistics, 'first' | 'firstTimeUs' | 'last' | 'lastTimeUs'>

/** First and last present value by (time, row): rows are in the order of series ranks. */
function firstAndLast({ group, times, valid, base }: DenseColumn, values: Float64Array): FirstAndLast {
  const { timeUs } = times
  let firstTimeUs = Infinity
  let lastTimeUs = -Infinity
  let first = -1
  let last = -1
  let start = group.from
  for (const runEnd of group.runEnds) {
    let row = start - group.from
    let end = runEnd - group.from
    start = runEnd
    if (valid !== undefined) {
      while (row < end && valid[base + row] === 0) row++
      while (end > row && valid[base + end - 1] === 0) end--
      if (row === end) continue
    }
    const from = timeUs[times.base + row]!
    const to = timeUs[times.base + end - 1]!
    if (from < firstTimeUs) {
      firstTimeUs = from
      first = row
    }
    if (to >= lastTimeUs) {
      lastTimeUs = to
      last = end - 1
    }
  }
  return { first: values[base + first]!, firstTimeUs, last: values[base + last]!, lastTimeUs }
}

const boundBytesMax = 16

function textBound(text: string): TextBound {
  // 16 bytes are at most 16 units; one more unit tells whether the text goes on.
  const encoded = new TextEncoder().encode(text.slice(0, boundBytesMax + 1))
  return {
    bytes: encoded.slice(0, boundBytesMax),
    truncated: encoded.length > boundBytesMax || text.length > boundBytesMax + 1,
  }
}

/** Numbers the codes of a large dictionary that occur in a group, in order of appearance. */
class DictionaryCodes {
  readonly codes: number[] = []
  #locals = new Int32Array(0)

  reset(size: number): void {
    if (this.#locals.length < size) this.#locals = new Int32Array(Math.max(size, this.#locals.length * 2)).fill(-1)
    else for (const code of this.codes) this.#locals[code] = -1
    this.codes.length = 0
  }

  add(code: number): void {
    if (this.#locals[code]! >= 0) return
    this.#locals[code] = this.codes.length
    this.codes.push(code)
  }

  local(code: number): number {
    return this.#locals[code]!
  }
}
