/**
 * Aggregator: group table and states of one aggregation, fed by batches, ranges and statistics.
 *
 *   batch -> key columns -> group ids -> states          by row, the general way
 *   batch -> runs of one series, cut by bucket -> states by range, when rows come straight from a scan
 *
 * Invariants:
 * 1. Both ways give the same groups and values, but for the rounding of sums.
 * 2. Several aggregators may have one table: a group then has one id in all of them, and no rows in some.
 */
import type { Batch, Column } from '../../columnar/batch.ts'
import { ColumnBuilder, columnOf } from '../../columnar/builder.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { AggregateNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import type { Evaluator } from '../functions/evaluator.ts'
import { partitionsBytes } from '../spill/run.ts'
import type { Aggregation, BucketKey, OutputKind, SlotKind } from './aggregation.ts'
import { GroupTable } from './groups.ts'
import { type PartitionIds, partitionIds } from './partitions.ts'
import type { AggregateState, RowOrdering } from './state.ts'

/** One shared state and what feeds it. */
export interface Slot extends SlotKind {
  state: AggregateState
}

export interface Output extends Omit<OutputKind, 'slot'> {
  readonly slot: Slot
  /** Values by group, of a state whose values went to temporary files. */
  known: Scalar[] | undefined
}

/** Who is told what groups take. */
export interface GroupMemory {
  /** False when something should go to temporary files; without those, throws `memory_limit`. */
  hold(owner: object, bytes: number): boolean
  release(owner: object): void
}

/** The memory of a query, whose groups may go on in temporary files. */
export const queryMemory = (execution: Execution): GroupMemory => {
  const toSpill = partitionsBytes(execution)
  return {
    hold: (owner, bytes) => execution.memory.tryHold(owner, bytes, toSpill),
    release: owner => execution.memory.release(owner),
  }
}

export class Aggregator {
  readonly aggregation: Aggregation
  readonly table: GroupTable
  readonly slots: readonly Slot[]
  readonly outputs: readonly Output[]
  readonly #memory: GroupMemory
  readonly #ownsTable: boolean
  /** Where there are no series, and some state minds. */
  readonly #partitions: PartitionIds | undefined
  /** One group, and no state that minds the order of rows. */
  readonly takesAnyRange: boolean
  byteLength = 0
  /** The query's memory is: something should go to temporary files. Without those, `memory_limit` has been thrown. */
  isFull = false

  /** `table`: of another aggregator of this aggregation, to be shared with it. */
  constructor(aggregation: Aggregation, memory: GroupMemory, table?: GroupTable) {
    const { node, keyTypes, bucket, minds, order } = aggregation
    this.aggregation = aggregation
    this.#memory = memory
    this.#ownsTable = table === undefined
    this.table = table ?? new GroupTable(keyTypes, bucket !== undefined)
    this.slots = aggregation.slots.map((kind): Slot => ({ ...kind, state: kind.create() }))
    this.outputs = aggregation.outputs.map(
      ({ slot, finish, ofSorted }): Output => ({ slot: this.slots[slot]!, finish, ofSorted, known: undefined }),
    )
    this.takesAnyRange = node.keys.length === 0 && !minds
    const partition = order.partition ?? []
    this.#partitions = minds && partition.length > 0 ? partitionIds(partition, aggregation.input) : undefined
    this.reserve()
  }

  get node(): AggregateNode {
    return this.aggregation.node
  }
  get bucket(): BucketKey | undefined {
    return this.aggregation.bucket
  }
  /** The keys that are no bucket. */
  get keys(): readonly Evaluator[] {
    return this.aggregation.keys
  }

  /** Adds the rows of a batch that count. */
  add(batch: Batch): void {
    if (this.takesAnyRange && batch.selection === undefined) {
      for (const { state, evaluator } of this.slots)
        state.addRange(evaluator?.evaluate(batch), 0, batch.length, 0, undefined)
      this.reserve()
      return
    }
    this.addTo(this.assign(batch), batch)
  }

  /** The groups of the rows that count, by row; overwritten by the next call to any aggregator of the aggregation. */
  assign(batch: Batch): Uint32Array {
    const { keys, bucket, groupsRoom } = this.aggregation
    const groups = groupsRoom(batch.length)
    this.table.assign(
      keys.map(key => key.evaluate(batch)),
      bucket === undefined ? undefined : this.bucketStarts(batch),
      batch,
      groups,
    )
    return groups
  }

  /** Adds the rows of a batch that count to their groups. */
  addTo(groups: Uint32Array, batch: Batch): void {
    this.reserve()
    const rows = { length: batch.length, selection: batch.selection, groups, order: this.ordering(batch) }
    for (const slot of this.slots)
      slot.state.add(slot.evaluator?.evaluate(batch), rows, slot.secondEvaluator?.evaluate(batch))
  }

  /** Adds rows to some states alone: of each slot its own; undefined: none. */
  addToSlots(groups: Uint32Array, batch: Batch, rowsOfSlot: readonly (Uint32Array | undefined)[]): void {
    this.reserve()
    const order = this.ordering(batch)
    for (let s = 0; s < this.slots.length; s++) {
      const selection = rowsOfSlot[s]
      if (selection === undefined) continue
      const { state, evaluator, secondEvaluator } = this.slots[s]!
      const rows = { length: batch.length, selection, groups, order }
      state.add(evaluator?.evaluate(batch), rows, secondEvaluator?.evaluate(batch))
    }
  }

  ordering(batch: Batch): RowOrdering | undefined {
    const { timeColumn, seriesColumn } = this.aggregation
    if (timeColumn < 0) return undefined
    const series = seriesColumn < 0 ? this.#partitions?.of(batch) : this.series(batch)
    return new Ordering(this, this.times(batch), batch.columns[timeColumn]!.valid, series)
  }

  times(batch: Batch): Float64Array {
    return batch.columns[this.aggregation.timeColumn]!.values as Float64Array
  }
  /** Ordinals: only where the input is a scan. */
  series(batch: Batch): Uint32Array {
    return batch.columns[this.aggregation.seriesColumn]!.values as Uint32Array
  }
  /** By ordinal or partition id. */
  get ranks(): Uint32Array | undefined {
    const { ranks } = this.aggregation.order
    return ranks === undefined ? this.#partitions?.ranks() : ranks()
  }

  /** Makes room in the states for every group there is, and accounts for it. */
  reserve(): void {
    const { size } = this.table
    let bytes = (this.#ownsTable ? this.table.byteLength : 0) + (this.#partitions?.heldBytes() ?? 0)
    for (let s = 0; s < this.slots.length; s++) {
      const { state } = this.slots[s]!
      state.reserve(size)
      bytes += state.byteLength
    }
    this.byteLength = bytes
    this.isFull = !this.#memory.hold(this, bytes)
  }

  release(): void {
    this.#memory.release(this)
  }

  /** All groups, or those in buckets that have ended by then; in the order of the result. */
  ended(watermarkUs: number): Uint32Array {
    const groups = new Uint32Array(this.table.size)
    for (let group = 0; group < groups.length; group++) groups[group] = group
    if (watermarkUs === Infinity || this.bucket === undefined) return this.table.sorted(groups)
    const openFromUs = this.bucket.functions.floor(watermarkUs)
    return this.table.sorted(groups.filter(group => this.table.bucketStart(group) < openFromUs))
  }

  /** The rows of these groups, about `batchRows` at once. */
  *results(groups: Uint32Array, batchRows: number): Generator<Batch> {
    this.gather(groups)
    for (let from = 0; from < groups.length; from += batchRows) {
      const some = groups.length <= batchRows ? groups : groups.subarray(from, from + batchRows)
      yield { length: some.length, columns: this.#columnsOf(some), selection: undefined }
    }
  }

  /** The keys, then the values. */
  #columnsOf(groups: Uint32Array): Column[] {
    const { node, table, aggregation, outputs } = this
    const columns = aggregation.keyPlaces.map((place, key): Column => {
      const { type } = node.schema[key]!
      if (place >= 0) return table.keyColumn(groups, place, type)
      return columnOf(type, table.bucketStarts(groups), undefined, undefined)
    })
    for (let o = 0; o < outputs.length; o++) {
      const { slot, finish, known } = outputs[o]!
      const out = new ColumnBuilder(node.schema[columns.length]!.type, groups.length)
      for (let i = 0; i < groups.length; i++)
        out.push(known === undefined ? finish(slot.state, groups[i]!) : known[groups[i]!]!)
      columns.push(out.column())
    }
    return columns
  }

  /** Whether some state has something to prepare before rows are written. */
  get gathers(): boolean {
    return this.slots.some(({ state }) => state.gather !== undefined)
  }

  /** To be called before `writeValues`, with the groups whose rows are wanted. */
  gather(groups: Uint32Array): void {
    for (let s = 0; s < this.slots.length; s++) this.slots[s]!.state.gather?.(groups)
  }

  /** Writes the keys of a group. */
  writeKeys(group: number, row: Scalar[]): void {
    const { table } = this
    const { keyPlaces } = this.aggregation
    for (let key = 0; key < keyPlaces.length; key++) {
      const place = keyPlaces[key]!
      row[key] = place < 0 ? table.bucketStart(group) : table.keyValue(group, place)
    }
  }

  /** Writes its values, after the keys. */
  writeValues(group: number, row: Scalar[]): void {
    const keys = this.aggregation.keyPlaces.length
    for (let o = 0; o < this.outputs.length; o++) {
      const { slot, finish, known } = this.outputs[o]!
      row[keys + o] = known === undefined ? finish(slot.state, group) : known[group]!
    }
  }

  /**
   * Adds another's group `from[i]` to `to[i]`, for each i. They are of one aggregation, to which the other's may lack the last
   * calls; the other stays as it is.
   */
  merge(other: Aggregator, from: Uint32Array, to: Uint32Array): void {
    for (let s = 0; s < other.slots.length; s++) this.slots[s]!.state.merge(other.slots[s]!.state, from, to)
  }

  /** Forgets these groups. Only with a bucket key. */
  drop(groups: Uint32Array): void {
    const { size } = this.table
    const dropped = new Uint8Array(size)
    for (const group of groups) dropped[group] = 1
    const kept = new Uint32Array(size - groups.length)
    let next = 0
    for (let group = 0; group < size; group++) if (dropped[group] === 0) kept[next++] = group
    this.table.keep(kept)
    const places = Uint32Array.from(kept.keys())
    for (const slot of this.slots) {
      const old = slot.state
      if (old.keep !== undefined) {
        old.keep(kept)
        continue
      }
      slot.state = slot.create()
      slot.state.reserve(kept.length)
      slot.state.merge(old, kept, places)
    }
    this.reserve()
  }

  /** Of the rows that count, where there is a bucket key; overwritten by the next call. */
  bucketStarts(batch: Batch): Float64Array {
    return this.aggregation.bucketStarts(batch)
  }
}

class Ordering implements RowOrdering {
  readonly timesUs: Float64Array
  readonly timesValid: Uint8Array | undefined
  readonly series: Uint32Array | undefined
  readonly #aggregator: Aggregator

  constructor(
    aggregator: Aggregator,
    timesUs: Float64Array,
    timesValid: Uint8Array | undefined,
    series: Uint32Array | undefined,
  ) {
    this.#aggregator = aggregator
    this.timesUs = timesUs
    this.timesValid = timesValid
    this.series = series
  }

  get ranks(): Uint32Array | undefined {
    return this.#aggregator.ranks
  }
}
