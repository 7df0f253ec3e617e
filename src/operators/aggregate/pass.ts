/**
 * A pass: one aggregator, and what it does when memory is full.
 *
 *   values that states keep      to temporary files, sorted (`spilled-values.ts`)
 *   then rows of new groups      to partitions (`overflow.ts`), each of which is a pass of its own later
 *
 * Invariants:
 * 1. Groups that are in memory when the overflow begins stay there: their rows never go to a partition.
 * 2. States that neither drain nor stay small within a group end in `memory_limit`, not in more memory.
 */
import { type Batch, rowCount } from '../../columnar/batch.ts'
import { sliceBatch } from '../../columnar/slice.ts'
import { SydraError } from '../../lib/errors.ts'
import { megabytes } from '../../lib/text.ts'
import type { Execution } from '../execution.ts'
import { columnType } from '../functions/evaluator.ts'
import type { Aggregator, Slot } from './aggregator.ts'
import { Overflow } from './overflow.ts'
import { SpilledValues } from './spilled-values.ts'
import { noGroup } from './state.ts'

/** Rows may all be of new groups, which take some hundred bytes each: between two looks at the memory, few of it. */
const stepRowsMin = 1024
const stepRowsPerByte = 1 / 1024
/** The share of the memory limit from which draining a state is worth a file. */
const drainShare = 1 / 16

export class Pass {
  readonly aggregator: Aggregator
  overflow: Overflow | undefined
  readonly #level: number
  readonly #execution: Execution
  readonly #values = new Map<Slot, SpilledValues>()
  /** The aggregator's bytes when the overflow began. */
  #frozenBytes = 0

  constructor(aggregator: Aggregator, level: number, execution: Execution) {
    this.aggregator = aggregator
    this.#level = level
    this.#execution = execution
  }

  /** The batch in parts, after each of which `makeRoom` may be due. */
  *steps(batch: Batch): Generator<Batch, void, undefined> {
    const rows = rowCount(batch)
    const most = Math.max(stepRowsMin, Math.floor(this.#execution.memoryMaxBytes * stepRowsPerByte))
    if (rows <= most) yield batch
    else for (let from = 0; from < rows; from += most) yield sliceBatch(batch, from, Math.min(from + most, rows))
  }

  /** Adds a batch by rows. */
  add(batch: Batch): void {
    if (this.overflow === undefined) this.aggregator.add(batch)
    else {
      const selection = this.overflow.divide(batch)
      if (selection.length > 0) this.aggregator.add({ ...batch, selection })
    }
  }

  /** To be called after each batch when the aggregator is full. `beforeOverflow` adds what must be in memory. */
  async makeRoom(beforeOverflow: () => void): Promise<void> {
    const { aggregator } = this
    const { memoryMaxBytes } = this.#execution
    const draining = aggregator.slots.filter(({ state }) => state.drain !== undefined)
    const drainable = draining.reduce((bytes, { state }) => bytes + state.byteLength, 0)
    if (drainable > memoryMaxBytes * drainShare) {
      for (const slot of draining) await this.#valuesOf(slot).drain()
      aggregator.reserve()
    }
    if (aggregator.isFull && this.overflow === undefined && aggregator.node.keys.length > 0) {
      beforeOverflow()
      this.overflow = new Overflow(aggregator, this.#level, this.#execution)
      this.#frozenBytes = aggregator.byteLength
    }
    if (aggregator.byteLength - drainable > Math.max(memoryMaxBytes, this.#frozenBytes + memoryMaxBytes / 2))
      throw new SydraError('memory_limit', `the query needs more than ${megabytes(memoryMaxBytes)} of memory`, {
        hint: 'its groups grow with the series or values in them: narrow the time range, or raise query.memory_max_bytes',
      })
  }

  /** Rows of these groups. */
  async *results(groups: Uint32Array): AsyncGenerator<Batch, void, undefined> {
    if (groups.length === 0) return
    if (this.#values.size > 0) {
      const places = this.#places(groups)
      for (const values of this.#values.values()) await values.results(groups, places)
      this.aggregator.reserve()
    }
    for (const batch of this.aggregator.results(groups, this.#execution.batchRows)) {
      yield batch
      await this.#execution.pace()
    }
  }

  close(): void {
    for (const { state } of this.aggregator.slots) state.release?.()
    this.aggregator.release()
    this.overflow?.remove()
    for (const values of this.#values.values()) values.close()
  }

  /** The ids that the other groups have once these are dropped. */
  #places(groups: Uint32Array): Uint32Array {
    const places = new Uint32Array(this.aggregator.table.size)
    for (const group of groups) places[group] = noGroup
    for (let group = 0, next = 0; group < places.length; group++) if (places[group] !== noGroup) places[group] = next++
    return places
  }

  #valuesOf(slot: Slot): SpilledValues {
    let values = this.#values.get(slot)
    if (values === undefined) {
      const type = slot.kind === 'values' ? 'float' : columnType(slot.argument!.type)
      values = new SpilledValues(this.aggregator, slot, type, this.#execution)
      this.#values.set(slot, values)
    }
    return values
  }
}
