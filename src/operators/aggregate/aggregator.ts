/**
 * Aggregator: group table and states of one aggregation, fed by batches, ranges and statistics.
 *
 *   batch -> key columns -> group ids -> states          by row, the general way
 *   batch -> runs of one series, cut by bucket -> states by range, when rows come straight from a scan
 *
 * Invariants:
 * 1. Both ways give the same groups and values, but for the rounding of sums.
 * 2. Calls of equal arguments and kind share one state.
 */
import { type Batch, columnIndex, type Schema } from '../../columnar/batch.ts'
import { BatchBuilder } from '../../columnar/builder.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { AggregateCall, AggregateNode, Bucket } from '../../sydraql/plan.ts'
import { sameExpr } from '../../sydraql/rewrite.ts'
import { type BucketFunction, bucketFunction } from '../buckets.ts'
import { compile, constantValue } from '../compile.ts'
import type { Execution } from '../execution.ts'
import { columnType, type Evaluator, reusableCodes, reusableNumbers } from '../functions/evaluator.ts'
import { asNumbers } from '../functions/numeric-evaluator.ts'
import { partitionsBytes } from '../spill/run.ts'
import { type AggregateFunction, aggregateFunction, columnCount } from './functions.ts'
import { GroupTable } from './groups.ts'
import { type PartitionIds, partitionIds } from './partitions.ts'
import { type AggregateState, noGroup, type RowOrdering } from './state.ts'

export interface BucketKey {
  readonly bucket: Bucket
  readonly functions: BucketFunction
}

/** One shared state and what feeds it. */
export interface Slot {
  readonly kind: string
  readonly argument: Expr | undefined
  readonly evaluator: Evaluator | undefined
  /** The second argument, of functions that look at two. */
  readonly secondArgument: Expr | undefined
  readonly secondEvaluator: Evaluator | undefined
  /** Minds which sequence a row is of, and when it was. */
  readonly ordered: boolean
  readonly create: () => AggregateState
  state: AggregateState
}

export interface Output {
  readonly slot: Slot
  readonly finish: AggregateFunction['finish']
  readonly ofSorted: AggregateFunction['ofSorted']
  /** Values by group, of a state whose values went to temporary files. */
  known: Scalar[] | undefined
}

/** What the input's rows follow one another by. */
export interface InputOrder {
  readonly time: string | undefined
  /** The column of series ordinals and the ranks of its one metric, when the input is a scan. */
  readonly series: string | undefined
  readonly ranks: (() => Uint32Array) | undefined
  /** Elsewhere: the columns that tell sequences apart. */
  readonly partition?: readonly string[] | undefined
}

export class Aggregator {
  readonly node: AggregateNode
  readonly table: GroupTable
  readonly bucket: BucketKey | undefined
  readonly slots: readonly Slot[]
  /** The keys that are no bucket. */
  readonly keys: readonly Evaluator[]
  /** Index of each of them among all keys. */
  readonly #plainKeys: readonly number[]
  readonly outputs: readonly Output[]
  readonly #execution: Execution
  readonly #timeColumn: number
  readonly #seriesColumn: number
  readonly #ranks: (() => Uint32Array) | undefined
  /** Where there are no series, and some state minds. */
  readonly #partitions: PartitionIds | undefined
  /** One group, and no state that minds the order of rows. */
  readonly takesAnyRange: boolean
  byteLength = 0
  /** The query's memory is: something should go to temporary files. Without those, `memory_limit` has been thrown. */
  isFull = false
  readonly #starts = reusableNumbers()
  readonly #groups = reusableCodes()

  constructor(node: AggregateNode, input: Schema, order: InputOrder, execution: Execution) {
    this.node = node
    this.#execution = execution
    this.#timeColumn = order.time === undefined ? -1 : columnIndex(input, order.time)
    this.#seriesColumn = order.series === undefined ? -1 : columnIndex(input, order.series)
    this.#ranks = order.ranks
    // Elsewhere than over a scan a time may be null: there a bucket is a key like any other, but the first to sort by.
    const bucketKey = node.keys.find(key => key.bucket !== undefined && order.ranks !== undefined)
    const plain = node.keys.filter(key => key !== bucketKey)
    plain.sort((a, b) => Number(a.bucket === undefined) - Number(b.bucket === undefined))
    this.bucket =
      bucketKey === undefined ? undefined : { bucket: bucketKey.bucket!, functions: bucketFunction(bucketKey.bucket!) }
    this.keys = plain.map(key => compile(key.expr, input))
    this.table = new GroupTable(
      this.keys.map(key => columnType(key.type)),
      this.bucket !== undefined,
    )
    this.#plainKeys = plain.map(key => node.keys.indexOf(key))
    const slots: Slot[] = []
    this.outputs = node.aggregates.map(call => {
      const [argument] = call.args
      const aggregate = aggregateFunction(call.function, {
        type: argument === undefined ? undefined : columnType(argument.type),
        constants: call.args.slice(columnCount(call.function)).map(constantValue),
        distinct: call.distinct,
        kernels: execution.kernels,
      })
      const { finish, ofSorted } = aggregate
      return { slot: slotFor(slots, call, aggregate, input), finish, ofSorted, known: undefined }
    })
    this.slots = slots
    const minds = slots.some(slot => slot.ordered)
    this.takesAnyRange = node.keys.length === 0 && !minds
    const partition = order.partition ?? []
    this.#partitions = minds && partition.length > 0 ? partitionIds(partition, input) : undefined
    this.reserve()
  }

  /** Adds the rows of a batch that count. */
  add(batch: Batch): void {
    if (this.takesAnyRange && batch.selection === undefined) {
      for (const { state, evaluator } of this.slots)
        state.addRange(evaluator?.evaluate(batch), 0, batch.length, 0, undefined)
      this.reserve()
      return
    }
    const columns = this.keys.map(key => key.evaluate(batch))
    const starts = this.bucket === undefined ? undefined : this.bucketStarts(batch)
    const groups = this.#groups(batch.length)
    this.table.assign(columns, starts, batch, groups)
    this.reserve()
    const rows = { length: batch.length, selection: batch.selection, groups, order: this.ordering(batch) }
    for (const slot of this.slots)
      slot.state.add(slot.evaluator?.evaluate(batch), rows, slot.secondEvaluator?.evaluate(batch))
  }

  ordering(batch: Batch): RowOrdering | undefined {
    if (this.#timeColumn < 0) return undefined
    const aggregator = this
    return {
      timesUs: this.times(batch),
      timesValid: batch.columns[this.#timeColumn]!.valid,
      series: this.#seriesColumn < 0 ? this.#partitions?.of(batch) : this.series(batch),
      get ranks() {
        return aggregator.ranks
      },
    }
  }

  times(batch: Batch): Float64Array {
    return batch.columns[this.#timeColumn]!.values as Float64Array
  }
  /** Ordinals: only where the input is a scan. */
  series(batch: Batch): Uint32Array {
    return batch.columns[this.#seriesColumn]!.values as Uint32Array
  }
  /** By ordinal or partition id. */
  get ranks(): Uint32Array | undefined {
    return this.#ranks === undefined ? this.#partitions?.ranks() : this.#ranks()
  }

  /** Makes room in the states for every group there is, and accounts for it. */
  reserve(): void {
    const { size } = this.table
    let bytes = this.table.byteLength + (this.#partitions?.byteLength ?? 0)
    for (const { state } of this.slots) {
      state.reserve(size)
      bytes += state.byteLength
    }
    this.byteLength = bytes
    this.isFull = !this.#execution.memory.tryHold(this, bytes, partitionsBytes(this.#execution))
  }

  release(): void {
    this.#execution.memory.release(this)
  }

  /** All groups, or those in buckets that have ended by then; in the order of the result. */
  ended(watermarkUs: number): Uint32Array {
    const groups = new Uint32Array(this.table.size)
    for (let group = 0; group < groups.length; group++) groups[group] = group
    if (watermarkUs === Infinity || this.bucket === undefined) return this.table.sorted(groups)
    const openFromUs = this.bucket.functions.floor(watermarkUs)
    return this.table.sorted(groups.filter(group => this.table.bucketStart(group) < openFromUs))
  }

  /** The rows of these groups. */
  *results(groups: Uint32Array): Generator<Batch> {
    const { batchRows } = this.#execution
    const { node } = this
    const out = new BatchBuilder(node.schema, Math.min(groups.length, batchRows))
    const keys = node.keys.length
    const row: Scalar[] = new Array(keys + this.outputs.length).fill(null)
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i]!
      for (let key = 0; key < keys; key++) row[key] = this.#keyValue(group, key)
      for (let o = 0; o < this.outputs.length; o++) {
        const { slot, finish, known } = this.outputs[o]!
        row[keys + o] = known === undefined ? finish(slot.state, group) : known[group]!
      }
      out.push(row)
      if (out.length === batchRows || i === groups.length - 1) {
        yield out.batch()
        out.clear()
      }
    }
  }

  /** Forgets these groups. Only with a bucket key. */
  drop(groups: Uint32Array): void {
    const { size } = this.table
    const dropped = new Uint8Array(size)
    for (const group of groups) dropped[group] = 1
    const kept = new Uint32Array(size - groups.length)
    const places = new Uint32Array(size).fill(noGroup)
    let next = 0
    for (let group = 0; group < size; group++) {
      if (dropped[group] === 1) continue
      places[group] = next
      kept[next++] = group
    }
    this.table.keep(kept)
    for (const slot of this.slots) {
      const old = slot.state
      slot.state = slot.create()
      slot.state.reserve(kept.length)
      slot.state.merge(old, places)
    }
    this.reserve()
  }

  #keyValue(group: number, key: number): Scalar {
    const plain = this.#plainKeys.indexOf(key)
    return plain < 0 ? this.table.bucketStart(group) : this.table.keyValue(group, plain)
  }

  /** Of the rows that count, where there is a bucket key; overwritten by the next call. */
  bucketStarts(batch: Batch): Float64Array {
    const starts = this.#starts(batch.length)
    const times = this.times(batch)
    const { floor } = this.bucket!.functions
    const { selection } = batch
    const count = selection?.length ?? batch.length
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      starts[row] = floor(times[row]!)
    }
    return starts
  }
}

function slotFor(slots: Slot[], call: AggregateCall, aggregate: AggregateFunction, input: Schema): Slot {
  const [argument, second] = call.args.slice(0, columnCount(call.function))
  const same = slots.find(
    slot =>
      slot.kind === aggregate.kind &&
      sameArgument(slot.argument, argument) &&
      sameArgument(slot.secondArgument, second),
  )
  if (same !== undefined) return same
  const compiled = argument === undefined ? undefined : compile(argument, input)
  const slot: Slot = {
    kind: aggregate.kind,
    argument,
    evaluator: compiled?.type === 'boolean' && aggregate.kind === 'summary' ? asNumbers(compiled) : compiled,
    secondArgument: second,
    secondEvaluator: second === undefined ? undefined : compile(second, input),
    ordered: aggregate.ordered,
    create: aggregate.create,
    state: aggregate.create(),
  }
  slots.push(slot)
  return slot
}

const sameArgument = (a: Expr | undefined, b: Expr | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameExpr(a, b)
