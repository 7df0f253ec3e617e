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
import { type Batch, columnIndex, type Schema, type ValueType } from '../../columnar/batch.ts'
import { BatchBuilder } from '../../columnar/builder.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { AggregateNode, Bucket } from '../../sydraql/plan.ts'
import { sameExpr } from '../../sydraql/rewrite.ts'
import { type BucketFunction, bucketFunction } from '../buckets.ts'
import { compile, constantValue } from '../compile.ts'
import type { Execution } from '../execution.ts'
import { columnType, type Evaluator, reusableCodes, reusableNumbers } from '../functions/evaluator.ts'
import { asNumbers } from '../functions/numeric-evaluator.ts'
import { type AggregateFunction, aggregateFunction } from './functions.ts'
import { GroupTable } from './groups.ts'
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
  readonly create: () => AggregateState
  state: AggregateState
}

interface Output {
  readonly slot: Slot
  readonly finish: AggregateFunction['finish']
}

/** Where the input has rows' times and series; the ranks of its one metric, when it is a scan. */
export interface InputOrder {
  readonly time: string | undefined
  readonly series: string | undefined
  readonly ranks: (() => Uint32Array) | undefined
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
  readonly #outputs: readonly Output[]
  readonly #execution: Execution
  readonly #timeColumn: number
  readonly #seriesColumn: number
  readonly #ranks: (() => Uint32Array) | undefined
  /** One group, and no state that minds the order of rows. */
  readonly takesAnyRange: boolean
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
    this.#outputs = node.aggregates.map(call => {
      const [argument, ...constants] = call.args
      const type = argument === undefined ? undefined : columnType(argument.type)
      const aggregate = aggregateFunction(call.function, {
        type,
        constants: constants.map(constantValue),
        distinct: call.distinct,
        kernels: execution.kernels,
      })
      return { slot: slotFor(slots, argument, type, aggregate, input), finish: aggregate.finish }
    })
    this.slots = slots
    this.takesAnyRange = node.keys.length === 0 && slots.every(({ kind }) => kind !== 'first' && kind !== 'last')
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
    const starts = this.bucket === undefined ? undefined : this.#bucketStarts(batch)
    const groups = this.#groups(batch.length)
    this.table.assign(columns, starts, batch, groups)
    this.reserve()
    const rows = { length: batch.length, selection: batch.selection, groups, order: this.ordering(batch) }
    for (const slot of this.slots) slot.state.add(slot.evaluator?.evaluate(batch), rows)
  }

  ordering(batch: Batch): RowOrdering | undefined {
    if (this.#timeColumn < 0) return undefined
    return {
      timesUs: this.times(batch),
      series: this.#seriesColumn < 0 ? undefined : this.series(batch),
      ranks: this.#ranks?.(),
    }
  }

  times(batch: Batch): Float64Array {
    return batch.columns[this.#timeColumn]!.values as Float64Array
  }
  /** Ordinals: only where the input is a scan. */
  series(batch: Batch): Uint32Array {
    return batch.columns[this.#seriesColumn]!.values as Uint32Array
  }
  get ranks(): Uint32Array | undefined {
    return this.#ranks?.()
  }

  /** Makes room in the states for every group there is, and accounts for it. */
  reserve(): void {
    const { size } = this.table
    let bytes = this.table.byteLength
    for (const { state } of this.slots) {
      state.reserve(size)
      bytes += state.byteLength
    }
    this.#execution.memory.hold(this, bytes)
  }

  release(): void {
    this.#execution.memory.release(this)
  }

  /** All groups, or those in buckets that have ended by then; in the order of the result. */
  ended(watermarkUs: number): Uint32Array {
    const groups = Uint32Array.from({ length: this.table.size }, (_, group) => group)
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
    const row: Scalar[] = new Array(keys + this.#outputs.length).fill(null)
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i]!
      for (let key = 0; key < keys; key++) row[key] = this.#keyValue(group, key)
      for (let o = 0; o < this.#outputs.length; o++) {
        const { slot, finish } = this.#outputs[o]!
        row[keys + o] = finish(slot.state, group)
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

  #bucketStarts(batch: Batch): Float64Array {
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

function slotFor(
  slots: Slot[],
  argument: Expr | undefined,
  type: ValueType | undefined,
  aggregate: AggregateFunction,
  input: Schema,
): Slot {
  const same = slots.find(slot => slot.kind === aggregate.kind && sameArgument(slot.argument, argument))
  if (same !== undefined) return same
  const compiled = argument === undefined ? undefined : compile(argument, input)
  const evaluator =
    compiled !== undefined && type === 'boolean' && aggregate.kind === 'summary' ? asNumbers(compiled) : compiled
  const slot: Slot = { kind: aggregate.kind, argument, evaluator, create: aggregate.create, state: aggregate.create() }
  slots.push(slot)
  return slot
}

const sameArgument = (a: Expr | undefined, b: Expr | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameExpr(a, b)
