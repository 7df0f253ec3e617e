/**
 * Runs: streams of rows in temporary files, written block by block and read back in the same order.
 *
 *   append -> rows of a block in memory -> block bytes -> file        SpillRun.blocks() -> batches, one block at a time
 *
 * Invariants:
 * 1. A block aims at `blockBytes` and holds at least one row: reading a run takes about that much memory.
 * 2. Whoever makes a run removes it; what is left goes with the query's spill.
 */
import { type Batch, type Dictionary, rowCount, type Schema } from '../../columnar/batch.ts'
import { BatchBuilder } from '../../columnar/builder.ts'
import type { Execution } from '../execution.ts'
import { blockEncoder, blockHeadBytes, type CodedColumns, decodeBlock } from './block.ts'
import type { Spill, TemporaryFile } from './space.ts'

/** A block at most; with little memory a `blocksPerMemory`-th of it. */
const blockBytesMax = 256 * 1024
const blockBytesMin = 4096
const blocksPerMemory = 256
/** Texts are sized as they are written; until then this many bytes are assumed. */
const textBytesGuess = 24

export const blockBytes = ({ memoryMaxBytes }: Execution): number =>
  Math.max(blockBytesMin, Math.min(blockBytesMax, Math.floor(memoryMaxBytes / blocksPerMemory)))

/** Runs that rows are divided into when groups overflow. */
export const partitionCount = 16
/** What writing to all of them takes. */
export const partitionsBytes = (execution: Execution): number => partitionCount * 2 * blockBytes(execution)

export interface SpillRun {
  readonly rows: number
  readonly bytes: number
  /** Its blocks, each borrowed until the next is pulled. */
  blocks(): Generator<Batch, void, undefined>
  remove(): void
}

export class RunWriter {
  readonly #schema: Schema
  readonly #file: TemporaryFile
  readonly #blockBytes: number
  readonly #encode: ReturnType<typeof blockEncoder>
  /** Columns kept by code; their dictionaries are those of the first batch. */
  readonly #coded = new Map<number, Dictionary>()
  readonly #codedColumns: readonly number[]
  #rows = 0
  #pending: BatchBuilder
  readonly #pendingRowsMax: number

  constructor(schema: Schema, spill: Spill, execution: Execution, codedColumns: readonly number[] = []) {
    this.#schema = schema
    this.#codedColumns = codedColumns
    this.#blockBytes = blockBytes(execution)
    this.#encode = blockEncoder(schema)
    this.#pending = new BatchBuilder(schema, 0)
    this.#pendingRowsMax = Math.max(1, Math.floor(this.#blockBytes / rowBytes(schema)))
    this.#file = spill.create()
  }

  get rows(): number {
    return this.#rows + this.#pending.length
  }

  /** Copies the rows that count; they are written when a block is full. */
  append(batch: Batch): void {
    this.#pending.append(batch)
    if (this.#pending.length >= this.#pendingRowsMax) this.#flush()
  }

  /** Writes these rows, in this order, as blocks. Nothing is copied first. */
  write(batch: Batch, order: Uint32Array): void {
    for (let from = 0; from < order.length; ) {
      const to = this.#blockEnd(batch, order, from)
      this.#writeBlock({ ...batch, selection: order.subarray(from, to) })
      from = to
    }
  }

  finish(): SpillRun {
    this.#flush()
    this.#file.rest()
    const schema = this.#schema
    const file = this.#file
    const coded: CodedColumns = this.#coded
    return { rows: this.#rows, bytes: file.size, blocks: () => readBlocks(schema, file, coded), remove: file.remove }
  }

  remove(): void {
    this.#file.remove()
  }

  #flush(): void {
    if (this.#pending.length === 0) return
    const batch = this.#pending.batch()
    const all = Uint32Array.from({ length: batch.length }, (_, row) => row)
    this.write(batch, all)
    // A new one: the texts of this one's dictionary are no longer needed.
    this.#pending = new BatchBuilder(this.#schema, 0)
  }

  #writeBlock(batch: Batch): void {
    if (this.#rows === 0)
      for (const c of this.#codedColumns) {
        const column = batch.columns[c]!
        if (column.type === 'string') this.#coded.set(c, column.dictionary)
      }
    this.#file.write(this.#encode(batch, this.#coded))
    this.#rows += rowCount(batch)
  }

  /** As many rows as fill a block. */
  #blockEnd(batch: Batch, order: Uint32Array, from: number): number {
    let end = Math.min(order.length, from + this.#pendingRowsMax)
    for (const column of batch.columns) {
      if (column.type !== 'string') continue
      const { values, valid, dictionary } = column
      let room = this.#blockBytes
      for (let k = from; k < end && room > 0; k++) {
        const row = order[k]!
        if (valid === undefined || valid[row] === 1) room -= dictionary.at(values[row]!).length
        if (room <= 0) end = k + 1
      }
    }
    return end
  }
}

const rowBytes = (schema: Schema): number =>
  schema.reduce((sum, { type }) => sum + (type === 'string' ? 4 + textBytesGuess : type === 'boolean' ? 1 : 8), 1)

function* readBlocks(schema: Schema, file: TemporaryFile, coded: CodedColumns): Generator<Batch, void, undefined> {
  const head = new Uint8Array(blockHeadBytes)
  const headView = new DataView(head.buffer)
  let buffer = new Uint8Array(0)
  try {
    for (let at = 0; at < file.size; ) {
      file.read(head, at)
      const length = headView.getUint32(0, true)
      if (buffer.length < length) buffer = new Uint8Array(length)
      const bytes = buffer.subarray(0, length)
      file.read(bytes, at + blockHeadBytes)
      at += blockHeadBytes + length
      yield decodeBlock(schema, bytes, headView.getUint32(4, true), coded)
    }
  } finally {
    file.rest()
  }
}
