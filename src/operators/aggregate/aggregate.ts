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
 * 4. Groups beyond the query's memory go on in temporary files, with the same result.
 */
import type { Schema } from '../../columnar/batch.ts'
import type { AggregateNode } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'
import type { BatchStream } from '../operator.ts'
import type { OpenScan } from '../scan/scan.ts'
import { isSeriesColumn, seriesColumn } from '../scan/series.ts'
import type { SpillRun } from '../spill/run.ts'
import type { Aggregator, InputOrder } from './aggregator.ts'
import { PartitionedResults } from './partitioned-results.ts'
import { Pass } from './pass.ts'
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
  const pass = new Pass(node, input.schema, input.order, 0, execution)
  const { aggregator } = pass
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
  /** Set while some groups are in partitions: those that end wait here for them. */
  let results: PartitionedResults | undefined

  try {
    if (answers === undefined || answers.unread.length > 0)
      for await (const batch of input.stream(answers?.unread)) {
        if (pass.overflow !== undefined || !addByRuns(batch)) pass.add(batch)
        // Groups known from statistics must be in memory: their rows are never read, so that no partition has them.
        if (aggregator.isFull) await pass.makeRoom(() => addKnown(Infinity))
        if (batch.watermarkUs === undefined || aggregator.bucket === undefined) continue
        addKnown(batch.watermarkUs)
        const ended = aggregator.ended(batch.watermarkUs)
        if (pass.overflow === undefined) {
          if (ended.length === 0) continue
          yield* pass.results(ended)
          aggregator.drop(ended)
          continue
        }
        results ??= new PartitionedResults(node, input, execution)
        await results.add(pass.results(ended))
        if (ended.length > 0) aggregator.drop(ended)
        if (pass.overflow.maxStartUs >= aggregator.bucket.functions.floor(batch.watermarkUs)) continue
        // All that is in partitions has ended: what comes now may be held again.
        yield* results.with(takenPartitions(pass))
        results = undefined
      }
    addKnown(Infinity)
    const ended = aggregator.ended(Infinity)
    if (pass.overflow === undefined) yield* pass.results(ended)
    else {
      results ??= new PartitionedResults(node, input, execution)
      await results.add(pass.results(ended))
      const partitions = takenPartitions(pass)
      pass.close()
      yield* results.with(partitions)
    }
  } finally {
    results?.close()
    pass.close()
  }
}

function takenPartitions(pass: Pass): SpillRun[] {
  const runs = pass.overflow!.finish()
  pass.overflow = undefined
  return runs
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
