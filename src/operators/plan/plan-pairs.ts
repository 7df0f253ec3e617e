/**
 * Per-series aggregates in two steps: below the aggregate each row learns what changed since the sample before it
 * (`pairs.ts`), and the aggregate adds that up by group and series.
 *
 *   aggregate [rate(v), max(v)]  ->  aggregate [rate(increase, elapsed), max(v)] over pairs [increase of v, elapsed]
 */
import type { Schema } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { ColumnRef } from '../../sydraql/expression.ts'
import type { AggregateNode } from '../../sydraql/plan.ts'
import { sameExpr } from '../../sydraql/rewrite.ts'
import { pairMeasures } from '../aggregate/functions.ts'
import { type PairCall, type PairsNode, pairs, pairsSchema } from '../aggregate/pairs.ts'
import { instrument } from '../instrument.ts'
import type { PhysicalPlan } from './types.ts'

export interface PairsPlan {
  /** The aggregate over the columns that pairs add. */
  readonly node: AggregateNode
  readonly pairs: PairsNode
  /** The input's columns and those. */
  readonly schema: Schema
}

/** Whether rows must come in the order of their series. */
export const goesBySeries = ({ aggregates }: AggregateNode): boolean =>
  aggregates.some(call => pairMeasures[call.function] !== undefined)

export function planPairs(node: AggregateNode, input: Schema, partition: PairsNode['partition']): PairsPlan {
  const { time } = node.sequence
  assert(time !== undefined, 'per-series aggregates have a time')
  const calls: PairCall[] = []
  const aggregates = node.aggregates.map(call => {
    const measure = pairMeasures[call.function]
    if (measure === undefined) return call
    const argument = call.args[0]!
    let pair = calls.find(known => known.measure === measure && sameExpr(known.argument, argument))
    if (pair === undefined) {
      const name = (what: string) => unusedName(`${what} ${calls.length}`, input)
      pair = { argument, measure, change: name(measure), elapsed: name('elapsed') }
      calls.push(pair)
    }
    const column = (name: string, type: ColumnRef['type']): ColumnRef => ({
      kind: 'column',
      type,
      name,
      span: argument.span,
    })
    return { ...call, args: [column(pair.change, 'float'), column(pair.elapsed, 'duration')] }
  })
  const pairsNode: PairsNode = { calls, time, partition }
  return { node: { ...node, aggregates }, pairs: pairsNode, schema: pairsSchema(pairsNode, input) }
}

export function pairsOver({ pairs: node, schema }: PairsPlan, input: PhysicalPlan): PhysicalPlan {
  return {
    name: 'pairs',
    schema,
    details: { calls: node.calls.length },
    rules: [],
    inputs: [input],
    open(execution) {
      return instrument(this, pairs(node, input.schema, input.open(execution), execution), execution)
    },
  }
}

function unusedName(wanted: string, schema: Schema): string {
  let name = wanted
  while (schema.some(info => info.name === name)) name += "'"
  return name
}
