/**
 * Aggregate folds rows into groups.
 *
 *   in [any]  ->  out [keys, aggregates], sorted by bucket, then the other keys (nulls last)
 *
 * Invariants:
 * 1. Without keys there is one row, whatever the input.
 * 2. When the input says how far in time it is complete (`watermarkUs`), buckets that have ended leave at once, in order:
 *    memory is the open buckets, whatever the range.
 * 3. Statistics, runs and rows give the same groups and values, but for the rounding of sums.
 */
import type { Batch, Schema } from '../../columnar/batch.ts'
import type { AggregateNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import type { BatchStream } from '../operator.ts'
import type { OpenScan } from '../scan/scan.ts'
import { isSeriesColumn, seriesColumn } from '../scan/series.ts'
import { Aggregator, type InputOrder } from './aggregator.ts'
import { type AddByRuns, type PartOfSeries, runAggregation } from './runs.ts'
import { type Answers, answerFromStatistics } from './statistics.ts'

/** What an aggregate reads from. */
export interface AggregateInput {
  readonly schema: Schema
  readonly order: InputOrder
  /** Set when rows come straight from a scan. */
  readonly scan: OpenScan | undefined
  /** `pieces`: only these of the scan. */
  stream(pieces?: readonly number[]): BatchStream
}

export interface AggregateOptions {
  /** Fold runs of one series by kernels. */
  readonly byRuns: boolean
  /** Answer from statistics of pieces. */
  readonly fromStatistics: boolean
}

export async function* aggregate(
  node: AggregateNode,
  openInput: () => AggregateInput,
  options: AggregateOptions,
  execution: Execution,
): BatchStream {
  const input = openInput()
  const aggregator = new Aggregator(node, input.schema, input.order, execution)
  const partOf = partsBySeries(aggregator, input.schema, execution)
  let addByRuns: AddByRuns = () => false
  if (options.byRuns && !aggregator.takesAnyRange) addByRuns = runAggregation(aggregator, partOf, execution.kernels)
  let answers: Answers | undefined
  if (options.fromStatistics && input.scan !== undefined) answers = answerFromStatistics(aggregator, input.scan, partOf)
  const known = answers?.known ?? []
  let nextKnown = 0
  const addKnown = (beforeUs: number): void => {
    while (nextKnown < known.length && known[nextKnown]!.minTimeUs < beforeUs) known[nextKnown++]!.add()
  }

  try {
    if (answers === undefined || answers.unread.length > 0)
      for await (const batch of input.stream(answers?.unread)) {
        if (!addByRuns(batch)) aggregator.add(batch)
        if (batch.watermarkUs === undefined || aggregator.bucket === undefined) continue
        addKnown(batch.watermarkUs)
        const ended = aggregator.ended(batch.watermarkUs)
        if (ended.length === 0) continue
        yield* paced(aggregator.results(ended), execution)
        aggregator.drop(ended)
      }
    addKnown(Infinity)
    yield* paced(aggregator.results(aggregator.ended(Infinity)), execution)
  } finally {
    aggregator.release()
  }
}

async function* paced(batches: Generator<Batch>, execution: Execution): BatchStream {
  for (const batch of batches) {
    yield batch
    await execution.pace()
  }
}

/** The part of a group that a series decides, worked out once per series. */
function partsBySeries(aggregator: Aggregator, schema: Schema, { catalog }: Execution): PartOfSeries {
  if (aggregator.keys.length === 0) return () => 0
  const makers = schema.map(info => (isSeriesColumn(info.name) ? seriesColumn(info.name, catalog) : undefined))
  const parts = new Map<number, number>()
  return ordinal => {
    const known = parts.get(ordinal)
    if (known !== undefined) return known
    const ordinals = Uint32Array.of(ordinal)
    const unread = { type: 'float', values: new Float64Array(1), valid: undefined } as const
    const columns = makers.map(make => make?.(ordinals, 1) ?? unread)
    const row = { length: 1, columns, selection: undefined }
    const part = aggregator.table.part(
      aggregator.keys.map(key => key.evaluate(row)),
      0,
    )
    parts.set(ordinal, part)
    return part
  }
}
