/**
 * An aggregation, compiled: what all aggregators of one node over one kind of input share.
 *
 *   keys, arguments  ->  evaluators        calls  ->  slots (one state each) and outputs (one value each)
 *
 * Invariant: calls of equal arguments and kind share one slot.
 */
import type { ArrayMemory } from '../../columnar/arena.ts'
import { type Batch, columnIndex, type Schema, type ValueType } from '../../columnar/batch.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { AggregateCall, AggregateNode, Bucket } from '../../sydraql/plan.ts'
import { sameExpr } from '../../sydraql/rewrite.ts'
import { type BucketFunction, bucketFunction } from '../buckets.ts'
import { compile, constantValue } from '../compile.ts'
import { columnType, type Evaluator, reusableCodes, reusableNumbers } from '../functions/evaluator.ts'
import { asNumbers } from '../functions/numeric-evaluator.ts'
import { type AggregateFunction, aggregateFunction, columnCount } from './functions.ts'
import type { AggregateState } from './state.ts'

export interface BucketKey {
  readonly bucket: Bucket
  readonly functions: BucketFunction
}

/** A kind of state and what feeds it. */
export interface SlotKind {
  readonly kind: string
  readonly argument: Expr | undefined
  readonly evaluator: Evaluator | undefined
  /** The second argument, of functions that look at two. */
  readonly secondArgument: Expr | undefined
  readonly secondEvaluator: Evaluator | undefined
  /** Minds which sequence a row is of, and when it was. */
  readonly ordered: boolean
  readonly create: () => AggregateState
}

export interface OutputKind {
  /** Its place among the slots. */
  readonly slot: number
  readonly finish: AggregateFunction['finish']
  readonly ofSorted: AggregateFunction['ofSorted']
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

export interface Aggregation {
  readonly node: AggregateNode
  readonly input: Schema
  readonly order: InputOrder
  readonly bucket: BucketKey | undefined
  /** The keys that are no bucket, */
  readonly keys: readonly Evaluator[]
  readonly keyTypes: readonly ValueType[]
  /** and of all keys, the place of each among them; -1: it is the bucket. */
  readonly keyPlaces: readonly number[]
  readonly slots: readonly SlotKind[]
  readonly outputs: readonly OutputKind[]
  readonly timeColumn: number
  readonly seriesColumn: number
  /** Some state minds the order of rows. */
  readonly minds: boolean
  /** Of the rows that count, where there is a bucket key; overwritten by the next call. */
  bucketStarts(batch: Batch): Float64Array
  /** Room for the groups of rows; the same with every call. */
  groupsRoom(length: number): Uint32Array
  /** What it keeps for the next batch, about. */
  heldBytes(): number
}

/** A number and its mask, of each row. */
const computedBytes = 9

export function compileAggregation(
  node: AggregateNode,
  input: Schema,
  order: InputOrder,
  kernels: Kernels,
  arrays?: ArrayMemory,
): Aggregation {
  // Elsewhere than over a scan a time may be null: there a bucket is a key like any other, but the first to sort by.
  const bucketKey = node.keys.find(key => key.bucket !== undefined && order.ranks !== undefined)
  const plain = node.keys.filter(key => key !== bucketKey)
  plain.sort((a, b) => Number(a.bucket === undefined) - Number(b.bucket === undefined))
  const bucket =
    bucketKey === undefined ? undefined : { bucket: bucketKey.bucket!, functions: bucketFunction(bucketKey.bucket!) }
  const keys = plain.map(key => compile(key.expr, input))
  const slots: SlotKind[] = []
  const outputs = node.aggregates.map((call): OutputKind => {
    const [argument] = call.args
    const aggregate = aggregateFunction(call.function, {
      type: argument === undefined ? undefined : columnType(argument.type),
      constants: call.args.slice(columnCount(call.function)).map(constantValue),
      distinct: call.distinct,
      kernels,
      arrays,
    })
    const { finish, ofSorted } = aggregate
    return { slot: slotFor(slots, call, aggregate, input), finish, ofSorted }
  })
  const timeColumn = order.time === undefined ? -1 : columnIndex(input, order.time)
  const starts = reusableNumbers(arrays)
  const groups = reusableCodes(arrays)
  let capacity = 0
  const computed = [...plain.map(key => key.expr), ...slots.flatMap(slot => [slot.argument, slot.secondArgument])]
  const rowBytes = 12 + computedBytes * computed.filter(expr => expr?.kind === 'call' || expr?.kind === 'case').length
  return {
    node,
    input,
    order,
    bucket,
    keys,
    keyTypes: keys.map(key => columnType(key.type)),
    keyPlaces: node.keys.map(key => plain.indexOf(key)),
    slots,
    outputs,
    timeColumn,
    seriesColumn: order.series === undefined ? -1 : columnIndex(input, order.series),
    minds: slots.some(slot => slot.ordered),
    bucketStarts(batch) {
      const out = starts(batch.length)
      const times = batch.columns[timeColumn]!.values
      const { floor, next } = bucket!.functions
      const { selection } = batch
      const count = selection?.length ?? batch.length
      // Times come in runs of one bucket.
      let startUs = Infinity
      let endUs = -Infinity
      for (let k = 0; k < count; k++) {
        const row = selection === undefined ? k : selection[k]!
        const timeUs = times[row]!
        if (!(timeUs >= startUs && timeUs < endUs)) {
          startUs = floor(timeUs)
          endUs = next(startUs)
        }
        out[row] = startUs
      }
      return out
    },
    groupsRoom(length) {
      capacity = Math.max(capacity, length)
      return groups(length)
    },
    heldBytes: () => capacity * rowBytes,
  }
}

function slotFor(slots: SlotKind[], call: AggregateCall, aggregate: AggregateFunction, input: Schema): number {
  const [argument, second] = call.args.slice(0, columnCount(call.function))
  const same = slots.findIndex(
    slot =>
      slot.kind === aggregate.kind &&
      sameArgument(slot.argument, argument) &&
      sameArgument(slot.secondArgument, second),
  )
  if (same >= 0) return same
  const compiled = argument === undefined ? undefined : compile(argument, input)
  return (
    slots.push({
      kind: aggregate.kind,
      argument,
      evaluator: compiled?.type === 'boolean' && aggregate.kind === 'summary' ? asNumbers(compiled) : compiled,
      secondArgument: second,
      secondEvaluator: second === undefined ? undefined : compile(second, input),
      ordered: aggregate.ordered,
      create: aggregate.create,
    }) - 1
  )
}

const sameArgument = (a: Expr | undefined, b: Expr | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameExpr(a, b)
