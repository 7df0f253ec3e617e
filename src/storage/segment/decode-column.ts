/**
 * Chunks of a row group, parsed: where their blocks lie, what is known of each. The values stay encoded.
 *
 * Invariants:
 * 1. Parsing accepts a chunk only if its blocks fill it exactly and have as many values as the footer says.
 * 2. What is parsed is immutable and may be cached and shared.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import type { Compression } from '../../lib/ports.ts'
import { type Bitmap, readBitmap } from '../codecs/bits.ts'
import { ByteReader, DamageError } from '../codecs/bytes.ts'
import { EncodedStrings } from '../codecs/strings.ts'
import type { FieldType } from '../types.ts'
import type { Numbered } from './decoded-blocks.ts'
import { columnFlags } from './encode-column.ts'
import type { GroupHead, GroupShape } from './group-head.ts'
import { readValueList } from './scratch.ts'

/** Of the next chunk that is parsed. */
let nextNumber = 0

export interface TimeChunk extends Numbered {
  readonly bytes: Uint8Array
  /** Block i is at [starts[i], starts[i + 1]). */
  readonly starts: Uint32Array
  readonly minUs: Float64Array
  readonly maxUs: Float64Array
}

export interface Presence {
  /** undefined: every row has the field. */
  readonly nulls: Bitmap | undefined
  /** Present values before each block, and of the group at the end. */
  readonly denseStarts: Uint32Array
}
export interface NumberChunk extends Presence, Numbered {
  readonly kind: 'number'
  readonly bytes: Uint8Array
  readonly starts: Uint32Array
  /** undefined for a group of one block, whose statistics are the group's. */
  readonly bounds: BlockBounds | undefined
}
export interface BlockBounds {
  /** Without NaN; Infinity and -Infinity when there is none. */
  readonly mins: Float64Array
  readonly maxs: Float64Array
  /** undefined: no NaN in the group. */
  readonly nanCounts: Uint32Array | undefined
}
export interface BooleanChunk extends Presence {
  readonly kind: 'boolean'
  readonly bytes: Uint8Array
  /** Of the present values. */
  readonly bits: Bitmap
}
export interface StringChunk extends Presence {
  readonly kind: 'string'
  readonly bytes: Uint8Array
  readonly starts: Uint32Array
  /** Blocks hold codes into it; undefined: they hold the strings themselves. */
  readonly dictionary: EncodedStrings | undefined
}
export type FieldChunk = NumberChunk | BooleanChunk | StringChunk

export function parseTimes(bytes: Uint8Array, shape: GroupShape, kernels: Kernels): TimeChunk {
  const { blockCount, minTimeUs, maxTimeUs } = shape
  if (blockCount === 1)
    return {
      number: nextNumber++,
      bytes,
      starts: Uint32Array.of(0, bytes.length),
      minUs: Float64Array.of(minTimeUs),
      maxUs: Float64Array.of(maxTimeUs),
    }
  const reader = new ByteReader(bytes)
  const lengths = readVarints(reader, blockCount)
  const minUs = readValueList(reader, blockCount, kernels)
  const maxUs = readValueList(reader, blockCount, kernels)
  for (let i = 0; i < blockCount; i++) {
    minUs[i]! += minTimeUs
    maxUs[i]! += minUs[i]!
    if (!(minUs[i]! >= minTimeUs && maxUs[i]! <= maxTimeUs)) throw new DamageError('times of the blocks', reader.at)
  }
  return { number: nextNumber++, bytes, starts: blockStarts(reader, lengths), minUs, maxUs }
}

export function parseField(
  bytes: Uint8Array,
  type: FieldType,
  head: GroupHead,
  count: number,
  kernels: Kernels,
  zstd: Compression,
): FieldChunk {
  const reader = new ByteReader(bytes)
  const flags = reader.u8()
  const presence = readPresence(reader, (flags & columnFlags.nulls) !== 0, head)
  const blockCount = head.blockStarts.length - 1
  if (presence.denseStarts[blockCount] !== count) throw new DamageError('number of values', reader.at)
  if (type === 'boolean') {
    const bits = readBitmap(reader, count, reader.end)
    return { kind: 'boolean', bytes, bits, ...presence }
  }
  if (type === 'string') {
    const dictionary = (flags & columnFlags.plainStrings) === 0 ? readDictionary(reader, count, zstd) : undefined
    const lengths = readVarints(reader, blockCount)
    return { kind: 'string', bytes, starts: blockStarts(reader, lengths), dictionary, ...presence }
  }
  const lengths = readVarints(reader, blockCount)
  let bounds: BlockBounds | undefined
  if (blockCount > 1) {
    const nanCounts = (flags & columnFlags.nans) !== 0 ? readVarints(reader, blockCount) : undefined
    const mins = readValueList(reader, blockCount, kernels)
    const maxs = readValueList(reader, blockCount, kernels)
    bounds = { mins, maxs, nanCounts }
  }
  const number = nextNumber++
  return { kind: 'number', number, bytes, starts: blockStarts(reader, lengths), bounds, ...presence }
}

function readPresence(reader: ByteReader, nullable: boolean, { blockStarts: rowStarts }: GroupHead): Presence {
  if (!nullable) return { nulls: undefined, denseStarts: rowStarts }
  const blockCount = rowStarts.length - 1
  const rows = rowStarts[blockCount]!
  const length = reader.varint(reader.end)
  const nulls = readBitmap(reader, rows, reader.at + length)
  const denseStarts = new Uint32Array(blockCount + 1)
  if (blockCount === 1) {
    denseStarts[1] = countOnes(nulls)
    return { nulls, denseStarts }
  }
  for (let i = 0; i < blockCount; i++)
    denseStarts[i + 1] = denseStarts[i]! + reader.varint(rowStarts[i + 1]! - rowStarts[i]!)
  return { nulls, denseStarts }
}

function countOnes({ count, bytes, at, runEnds }: Bitmap): number {
  let ones = 0
  if (runEnds !== undefined) {
    for (let i = 1; i < runEnds.length; i += 2) ones += runEnds[i]! - runEnds[i - 1]!
    return ones
  }
  for (let i = 0; i < count; i++) ones += (bytes[at + (i >> 3)]! >> (i & 7)) & 1
  return ones
}

function readDictionary(reader: ByteReader, count: number, zstd: Compression): EncodedStrings {
  const size = reader.varint(count)
  const length = reader.varint(reader.end)
  const at = reader.take(length)
  return new EncodedStrings(new ByteReader(reader.bytes, at, at + length), size, zstd)
}

function readVarints(reader: ByteReader, count: number): Uint32Array {
  const values = new Uint32Array(count)
  for (let i = 0; i < count; i++) values[i] = reader.varint(2 ** 32 - 1)
  return values
}

/** Where blocks of these lengths lie that follow the reader's position and fill the rest. */
function blockStarts(reader: ByteReader, lengths: Uint32Array): Uint32Array {
  const starts = new Uint32Array(lengths.length + 1)
  let at = reader.at
  for (let i = 0; i < lengths.length; i++) {
    starts[i] = at
    at += lengths[i]!
  }
  starts[lengths.length] = at
  if (at !== reader.end) throw new DamageError('lengths of the blocks', reader.at)
  return starts
}
