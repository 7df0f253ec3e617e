/**
 * Sorter: rows in, the same rows in order out, however many there are.
 *
 *   add(batch)  ->  rows in memory; when the query's memory is full: a sorted run in a temporary file
 *   sorted()    ->  from memory, or runs merged with what is in memory written as the last of them
 *
 * Invariants:
 * 1. Stable: rows that compare equal come out as they came in.
 * 2. With a limit N, at most about 2 N rows plus `topRowsMin` are held, and no run has more than N rows.
 * 3. Without temporary files the memory limit is the end: `memory_limit`.
 */
import { type Batch, type Column, rowCount, type Schema } from '../../columnar/batch.ts'
import { BatchBuilder } from '../../columnar/builder.ts'
import type { Execution } from '../execution.ts'
import { RunWriter, type SpillRun } from '../spill/run.ts'
import { rankedWords, type SortColumn } from './key-words.ts'
import { mergeRuns } from './merge.ts'
import { sortScratchRowBytes, sortWords } from './permutation.ts'

/** Rows beyond twice the limit that are held before the worse half is dropped. */
const topRowsMin = 8192
/** A word or two of 4 bytes for each key, per row, while sorting. */
const keyRowBytes = 8
/** Rows written to a file before other events may get their turn. */
const rowsBetweenTurns = 32_768

export class Sorter {
  readonly #schema: Schema
  readonly #keys: readonly SortColumn[]
  readonly #limit: number
  readonly #execution: Execution
  #rows: BatchBuilder
  #worst: Worst | undefined
  readonly #runs: SpillRun[] = []

  constructor(schema: Schema, keys: readonly SortColumn[], execution: Execution, limit = Infinity) {
    this.#schema = schema
    this.#keys = keys
    this.#limit = limit
    this.#execution = execution
    this.#rows = new BatchBuilder(schema)
  }

  /** Copies the rows that count. Wait for what it gives before adding more. */
  add(batch: Batch): Promise<void> | undefined {
    const worst = this.#worst
    this.#rows.append(worst === undefined ? batch : { ...batch, selection: this.#notWorse(batch, worst) })
    if (this.#rows.length > 2 * this.#limit + topRowsMin) this.#keepFirst()
    const rowBytes = sortScratchRowBytes + keyRowBytes * this.#keys.length
    const bytes = this.#rows.byteLength + this.#rows.length * rowBytes
    return this.#execution.memory.tryHold(this, bytes) ? undefined : this.#spill()
  }

  /** The rows in order, once. Each batch is borrowed until the next is pulled. */
  async *sorted(): AsyncGenerator<Batch, void, undefined> {
    const { batchRows } = this.#execution
    let left = this.#limit
    if (this.#runs.length === 0) {
      const order = this.#order()
      const count = Math.min(order.length, left)
      const all = this.#rows.batch()
      for (let from = 0; from < count; from += batchRows) {
        const selection = order.subarray(from, Math.min(from + batchRows, count))
        const out = new BatchBuilder(this.#schema, selection.length)
        out.gather(all, selection)
        yield out.batch()
        await this.#execution.pace()
      }
      return
    }
    await this.#spill()
    for await (const batch of mergeRuns(this.#runs, this.#schema, this.#keys, this.#execution)) {
      const length = Math.min(batch.length, left)
      left -= length
      yield { ...batch, length }
      if (left === 0) return
    }
  }

  /** Gives back memory and files. */
  close(): void {
    this.#rows = new BatchBuilder(this.#schema, 0)
    this.#execution.memory.release(this)
    for (const run of this.#runs.splice(0)) run.remove()
  }

  #order(): Uint32Array {
    const { length } = this.#rows
    const words = this.#keys.flatMap(key => rankedWords(this.#rows.columns[key.column]!.column(), length, key))
    return sortWords(words, length)
  }

  async #spill(): Promise<void> {
    const { spill, memory } = this.#execution
    if (this.#rows.length === 0 || spill === undefined) return
    const writer = new RunWriter(this.#schema, spill, this.#execution)
    try {
      const order = this.#order()
      const count = Math.min(order.length, this.#limit)
      const rows = this.#rows.batch()
      for (let from = 0; from < count; from += rowsBetweenTurns) {
        writer.write(rows, order.subarray(from, Math.min(from + rowsBetweenTurns, count)))
        await this.#execution.pace()
      }
      this.#runs.push(writer.finish())
    } catch (error) {
      writer.remove()
      throw error
    }
    this.#rows = new BatchBuilder(this.#schema)
    memory.release(this)
  }

  /** Drops what a limit can no longer want, and learns what need not be held from now on. */
  #keepFirst(): void {
    const order = this.#order().subarray(0, this.#limit)
    const kept = new BatchBuilder(this.#schema, order.length)
    kept.gather(this.#rows.batch(), order)
    this.#rows = kept
    const [key] = this.#keys
    if (key !== undefined) this.#worst = worstOf(key, kept.columns[key.column]!.column(), kept.length - 1)
  }

  /** Rows whose first key is not beyond the worst. */
  #notWorse(batch: Batch, { value, descending, keepNulls }: Worst): Uint32Array {
    const { selection } = batch
    const { values, valid } = batch.columns[this.#keys[0]!.column]!
    const count = rowCount(batch)
    const out = new Uint32Array(count)
    let kept = 0
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (valid !== undefined && valid[row] === 0) {
        if (keepNulls) out[kept++] = row
        continue
      }
      // Descending, NaN comes first: it is above every number.
      if (descending ? !(values[row]! < value) : values[row]! <= value) out[kept++] = row
    }
    return out.subarray(0, kept)
  }
}

/** The first key of the last row that a top-N keeps: rows beyond it need not be held. */
interface Worst {
  readonly value: number
  readonly descending: boolean
  readonly keepNulls: boolean
}

/** Known for numbers; a null or NaN says nothing. */
function worstOf({ descending, nulls }: SortColumn, column: Column, row: number): Worst | undefined {
  if (column.type === 'string' || column.type === 'boolean') return undefined
  if (column.valid !== undefined && column.valid[row] === 0) return undefined
  const value = column.values[row]!
  return Number.isNaN(value) ? undefined : { value, descending, keepNulls: nulls === 'first' }
}
