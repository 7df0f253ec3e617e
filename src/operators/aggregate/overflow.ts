/**
 * Overflow: where rows of new groups go when memory is full of groups — to partitions by the hash of their keys, in
 * temporary files, to be aggregated one partition after another. Hybrid hashing after G. Graefe, "Query Evaluation
 * Techniques for Large Databases" (ACM Computing Surveys 25(2), 1993), section 4.
 *
 *   batch  ->  rows of known groups: selection for the aggregator  |  others: partition = hash(keys, level)
 *
 * Invariants:
 * 1. A group's rows are all in memory or all in one partition, in the order they came.
 * 2. Partitions of another level split by other bits of the hash.
 */
import { type Batch, rowCount } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { Execution } from '../execution.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import { partitionCount, partitionsBytes, RunWriter, type SpillRun } from '../spill/run.ts'
import type { Aggregator } from './aggregator.ts'
import { columnHasher } from './hashes.ts'
import { noGroup } from './state.ts'

/** A null's hash. */
const nullHash = 0x6e756c6c

export class Overflow {
  /** The greatest bucket start among the rows in partitions. */
  maxStartUs = -Infinity
  readonly #aggregator: Aggregator
  readonly #execution: Execution
  readonly #level: number
  readonly #writers: readonly RunWriter[]
  readonly #hashers: readonly ReturnType<typeof columnHasher>[]
  readonly #groups = reusableCodes()
  readonly #hashes = reusableCodes()

  constructor(aggregator: Aggregator, level: number, execution: Execution) {
    const { spill } = execution
    const { input, seriesColumn } = aggregator.aggregation
    // Ordinals of series must stay what they are.
    const coded = seriesColumn < 0 ? [] : [seriesColumn]
    assert(spill !== undefined, 'there are temporary files')
    this.#aggregator = aggregator
    this.#execution = execution
    this.#level = level
    this.#hashers = aggregator.keys.map(() => columnHasher())
    this.#writers = Array.from({ length: partitionCount }, () => new RunWriter(input, spill, execution, coded))
    execution.memory.tryHold(this, partitionsBytes(execution))
  }

  /** Writes the rows of groups that memory does not hold to partitions; returns those of the groups that it does. */
  divide(batch: Batch): Uint32Array {
    const { table, keys, bucket } = this.#aggregator
    const { selection } = batch
    const count = rowCount(batch)
    const columns = keys.map(key => key.evaluate(batch))
    const starts = bucket === undefined ? undefined : this.#aggregator.bucketStarts(batch)
    const groups = this.#groups(batch.length)
    table.find(columns, starts, batch, groups)
    const known = new Uint32Array(count)
    const unknown = new Uint32Array(count)
    let knownRows = 0
    let unknownRows = 0
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      if (groups[row] === noGroup) unknown[unknownRows++] = row
      else known[knownRows++] = row
    }
    if (unknownRows > 0) this.#write(batch, unknown.subarray(0, unknownRows), columns, starts)
    return known.subarray(0, knownRows)
  }

  finish(): SpillRun[] {
    this.#execution.memory.release(this)
    return this.#writers.map(writer => writer.finish())
  }

  remove(): void {
    this.#execution.memory.release(this)
    for (const writer of this.#writers) writer.remove()
  }

  #write(batch: Batch, rows: Uint32Array, columns: Batch['columns'], starts: Float64Array | undefined): void {
    const hashes = this.#hashes(batch.length)
    for (const row of rows) hashes[row] = this.#level
    columns.forEach((column, key) => {
      const hasher = this.#hashers[key]!
      const { valid } = column
      hasher.from(column)
      for (const row of rows) {
        if (valid !== undefined && valid[row] === 0) hashes[row] = this.#joined(hashes[row]!, nullHash, nullHash)
        else {
          hasher.of(row)
          hashes[row] = this.#joined(hashes[row]!, hasher.hash[0]!, hasher.hash[1]!)
        }
      }
    })
    if (starts !== undefined)
      for (const row of rows) {
        const startUs = starts[row]!
        if (startUs > this.maxStartUs) this.maxStartUs = startUs
        hashes[row] = this.#joined(hashes[row]!, startUs / 2 ** 32, startUs)
      }
    const sizes = new Uint32Array(partitionCount + 1)
    for (const row of rows) sizes[(hashes[row]! % partitionCount) + 1]!++
    for (let p = 0; p < partitionCount; p++) sizes[p + 1]! += sizes[p]!
    const next = sizes.slice()
    const divided = new Uint32Array(rows.length)
    for (const row of rows) divided[next[hashes[row]! % partitionCount]!++] = row
    for (let p = 0; p < partitionCount; p++) {
      const selection = divided.subarray(sizes[p]!, sizes[p + 1]!)
      if (selection.length > 0) this.#writers[p]!.append({ ...batch, selection })
    }
  }

  /** The level decides how the two halves of a hash are mixed. */
  #joined(hash: number, high: number, low: number): number {
    let h = Math.imul(hash, 0x01000193) ^ Math.imul(high, 0x9e3779b1 + 2 * this.#level) ^ low
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return (h ^ (h >>> 16)) >>> 0
  }
}
