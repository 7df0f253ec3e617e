/**
 * Working space of encoding and decoding, made once and reused: one block of each kind.
 *
 * Invariants:
 * 1. Whoever holds it runs to the end before another takes it: encoding and reading are synchronous.
 */
import { blockBytesMax, blockRowsMax, type Kernels, type Summary } from '../../kernels/kernels.ts'
import { type ByteReader, type ByteWriter, DamageError } from '../codecs/bytes.ts'

export interface Scratch {
  readonly values: Float64Array
  readonly times: Float64Array
  readonly codes: Uint32Array
  /** A byte a row: which rows are present. */
  readonly flags: Uint8Array
  /** A byte a value of a boolean column. */
  readonly bits: Uint8Array
  readonly summary: Summary
}

export const newScratch = (): Scratch => ({
  values: new Float64Array(blockRowsMax),
  times: new Float64Array(blockRowsMax),
  codes: new Uint32Array(blockRowsMax),
  flags: new Uint8Array(blockRowsMax),
  bits: new Uint8Array(blockRowsMax),
  summary: { count: 0, nanCount: 0, min: Infinity, max: -Infinity, sum: 0 },
})

/** Appends an encoded value block, without its length; returns the length. */
export function writeValueBlock(
  values: Float64Array,
  from: number,
  count: number,
  kernels: Kernels,
  out: ByteWriter,
): number {
  out.reserve(blockBytesMax)
  const length = kernels.encodeValues(values, from, count, out.bytes, out.length)
  out.length += length
  return length
}

/** Decodes a value block of exactly `count` values to `out[outAt…]`. */
export function readValueBlock(
  bytes: Uint8Array,
  at: number,
  length: number,
  count: number,
  kernels: Kernels,
  out: Float64Array,
  outAt: number,
): void {
  if (kernels.decodeValues(bytes, at, length, out, outAt) !== count)
    throw new DamageError('a block holds another number of values', at)
}

/** Appends a list of numbers as value blocks, each after its length. */
export function writeValueList(
  count: number,
  valueAt: (index: number) => number,
  kernels: Kernels,
  { values }: Scratch,
  out: ByteWriter,
): void {
  for (let from = 0; from < count; from += blockRowsMax) {
    const rows = Math.min(blockRowsMax, count - from)
    for (let i = 0; i < rows; i++) values[i] = valueAt(from + i)
    out.reserve(blockBytesMax + 2)
    const length = kernels.encodeValues(values, 0, rows, out.bytes, out.length + 2)
    out.u16(length)
    out.length += length
  }
}

export function readValueList(reader: ByteReader, count: number, kernels: Kernels): Float64Array {
  const values = new Float64Array(count)
  for (let from = 0; from < count; from += blockRowsMax) {
    const length = reader.u16()
    const at = reader.take(length)
    readValueBlock(reader.bytes, at, length, Math.min(blockRowsMax, count - from), kernels, values, from)
  }
  return values
}
