/**
 * A block: rows of one schema as bytes, for temporary files. Read by the process that wrote it, in its byte order.
 *
 *   u32 bytes that follow, u32 rows
 *   per column   u32 flags (1: a mask follows, 2: codes are the stream's own), u32 texts, then each padded to 8 bytes:
 *     values     f64 | u8 | codes: u8, u16 or u32, by the number of texts
 *     mask       one bit a row, set where there is a value
 *     texts      u32 length in bytes of each, then their UTF-8 bytes
 *
 * Invariants:
 * 1. A block stands for itself: texts are those of its rows, so that reading holds one block's texts at a time.
 * 2. A column kept by code (`series` of a scan, whose codes are ordinals) keeps its codes; its dictionary stays in memory.
 */
import {
  ArrayDictionary,
  type Batch,
  type Column,
  type Dictionary,
  rowCount,
  type Schema,
  type StringColumn,
} from '../../columnar/batch.ts'
import { columnOf } from '../../columnar/builder.ts'
import { readUtf8, utf8Length, writeUtf8 } from '../../lib/text.ts'
import { reusableBytes } from '../functions/evaluator.ts'

export const blockHeadBytes = 8
const columnHeadBytes = 8
const hasMask = 1
const byCode = 2

const padded = (bytes: number): number => (bytes + 7) & ~7

/** Which columns are kept by code: column index -> its dictionary. */
export type CodedColumns = ReadonlyMap<number, Dictionary>

interface Texts {
  readonly texts: readonly string[]
  /** By row of the block. */
  readonly codes: Uint32Array
  readonly bytes: number
}

/** Encodes the rows of a batch that count; the bytes are borrowed until the next call. */
export function blockEncoder(schema: Schema): (batch: Batch, coded: CodedColumns) => Uint8Array {
  const scratch = reusableBytes()
  let slots = new Uint32Array(0)
  return (batch, coded) => {
    const rows = rowCount(batch)
    if (slots.length < slotCount(rows)) slots = new Uint32Array(slotCount(rows))
    const texts = schema.map(({ type }, c) =>
      type === 'string' && !coded.has(c) ? blockTexts(batch.columns[c] as StringColumn, batch, rows, slots) : undefined,
    )
    const length = schema.reduce(
      (bytes, { type }, c) => bytes + columnBytes(type, rows, batch.columns[c]!.valid !== undefined, texts[c]),
      blockHeadBytes,
    )
    const bytes = scratch(length)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, length - blockHeadBytes, true)
    view.setUint32(4, rows, true)
    let at = blockHeadBytes
    for (let c = 0; c < schema.length; c++) {
      const column = batch.columns[c]!
      const own = texts[c]
      view.setUint32(at, (column.valid === undefined ? 0 : hasMask) | (coded.has(c) ? byCode : 0), true)
      view.setUint32(at + 4, own?.texts.length ?? 0, true)
      at += columnHeadBytes
      at = own === undefined ? writeValues(column, batch, rows, bytes, at) : writeCodes(own, rows, bytes, at)
      if (column.valid !== undefined) at = writeMask(column.valid, batch, rows, bytes, at)
      if (own !== undefined) at = writeTexts(own, bytes, at)
    }
    return bytes.subarray(0, length)
  }
}

const codeWidth = (texts: number): 1 | 2 | 4 => (texts <= 2 ** 8 ? 1 : texts <= 2 ** 16 ? 2 : 4)

function columnBytes(type: Column['type'], rows: number, masked: boolean, texts: Texts | undefined): number {
  const width = texts !== undefined ? codeWidth(texts.texts.length) : type === 'string' ? 4 : type === 'boolean' ? 1 : 8
  const mask = masked ? padded((rows + 7) >>> 3) : 0
  const text = texts === undefined ? 0 : padded(texts.texts.length * 4) + padded(texts.bytes)
  return columnHeadBytes + padded(rows * width) + mask + text
}

/** The distinct codes of these rows, numbered anew. `slots` is for open addressing: number + 1, or 0 where free. */
function blockTexts(column: StringColumn, { selection }: Batch, rows: number, slots: Uint32Array): Texts {
  const { values, valid, dictionary } = column
  const mask = slots.length - 1
  slots.fill(0)
  const distinct = new Uint32Array(rows)
  const texts: string[] = []
  const codes = new Uint32Array(rows)
  let bytes = 0
  for (let k = 0; k < rows; k++) {
    const row = selection === undefined ? k : selection[k]!
    if (valid !== undefined && valid[row] === 0) continue
    const code = values[row]!
    let slot = (Math.imul(code, 0x9e3779b1) >>> 8) & mask
    while (slots[slot] !== 0 && distinct[slots[slot]! - 1] !== code) slot = (slot + 1) & mask
    if (slots[slot] === 0) {
      const text = dictionary.at(code)
      distinct[texts.length] = code
      texts.push(text)
      bytes += utf8Length(text)
      slots[slot] = texts.length
    }
    codes[k] = slots[slot]! - 1
  }
  return { texts, codes, bytes }
}

/** A power of two, at least twice the rows: probing ends. */
const slotCount = (rows: number): number => 2 ** Math.ceil(Math.log2(2 * rows + 1))

function writeValues(column: Column, { selection }: Batch, rows: number, bytes: Uint8Array, at: number): number {
  const { values } = column
  const target = arrayAt(column.type, bytes, at, rows)
  if (selection === undefined) target.set(values.subarray(0, rows))
  else for (let k = 0; k < rows; k++) target[k] = values[selection[k]!]!
  return at + padded(target.byteLength)
}

function arrayAt(type: Column['type'], bytes: Uint8Array, at: number, rows: number) {
  const from = bytes.byteOffset + at
  if (type === 'string') return new Uint32Array(bytes.buffer, from, rows)
  return type === 'boolean' ? new Uint8Array(bytes.buffer, from, rows) : new Float64Array(bytes.buffer, from, rows)
}

function codesAt(texts: number, bytes: Uint8Array, at: number, rows: number): Uint8Array | Uint16Array | Uint32Array {
  const width = codeWidth(texts)
  const from = bytes.byteOffset + at
  if (width === 1) return new Uint8Array(bytes.buffer, from, rows)
  return width === 2 ? new Uint16Array(bytes.buffer, from, rows) : new Uint32Array(bytes.buffer, from, rows)
}

function writeCodes({ texts, codes }: Texts, rows: number, bytes: Uint8Array, at: number): number {
  const target = codesAt(texts.length, bytes, at, rows)
  target.set(codes)
  return at + padded(target.byteLength)
}

function writeMask(valid: Uint8Array, { selection }: Batch, rows: number, bytes: Uint8Array, at: number): number {
  const length = (rows + 7) >>> 3
  bytes.fill(0, at, at + length)
  for (let k = 0; k < rows; k++)
    bytes[at + (k >>> 3)]! |= valid[selection === undefined ? k : selection[k]!]! << (k & 7)
  return at + padded(length)
}

function writeTexts({ texts, bytes: textBytes }: Texts, bytes: Uint8Array, start: number): number {
  const lengths = new Uint32Array(bytes.buffer, bytes.byteOffset + start, texts.length)
  const from = start + padded(lengths.byteLength)
  let at = from
  for (let i = 0; i < texts.length; i++) {
    const end = writeUtf8(texts[i]!, bytes, at)
    lengths[i] = end - at
    at = end
  }
  return from + padded(textBytes)
}

/** The rows of a block without its head. Columns are views of the bytes, which start at a multiple of 8. */
export function decodeBlock(schema: Schema, bytes: Uint8Array, rows: number, coded: CodedColumns): Batch {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let at = 0
  const columns = schema.map(({ type }, c) => {
    const flags = view.getUint32(at, true)
    const texts = view.getUint32(at + 4, true)
    at += columnHeadBytes
    const isText = type === 'string' && (flags & byCode) === 0
    const values = isText ? codesAt(texts, bytes, at, rows) : arrayAt(type, bytes, at, rows)
    at += padded(values.byteLength)
    let valid: Uint8Array | undefined
    if ((flags & hasMask) !== 0) {
      valid = readMask(bytes, at, rows)
      at += padded((rows + 7) >>> 3)
    }
    if (!isText) return columnOf(type, values as Float64Array, valid, coded.get(c))
    const lengths = new Uint32Array(bytes.buffer, bytes.byteOffset + at, texts)
    at += padded(lengths.byteLength)
    const strings = readTexts(bytes, at, lengths)
    at += padded(lengths.reduce((sum, length) => sum + length, 0))
    return columnOf(type, Uint32Array.from(values), valid, new ArrayDictionary(strings))
  })
  return { length: rows, columns, selection: undefined }
}

function readMask(bytes: Uint8Array, at: number, rows: number): Uint8Array {
  const valid = new Uint8Array(rows)
  for (let k = 0; k < rows; k++) valid[k] = (bytes[at + (k >>> 3)]! >>> (k & 7)) & 1
  return valid
}

function readTexts(bytes: Uint8Array, start: number, lengths: Uint32Array): string[] {
  const strings = new Array<string>(lengths.length)
  let at = start
  for (let i = 0; i < lengths.length; i++) strings[i] = readUtf8(bytes, at, (at += lengths[i]!))
  return strings
}
