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
 * 5. Of several sources, all fill one table of groups: no group is held twice or merged, and when memory is full the rest
 *    overflows as if it came from one source. Buckets leave at the end, as no source is past the others' times.
 */
import type { Batch, Schema } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import type { Expr } from '../../sydraql/expression.ts'
import type { AggregateNode } from '../../sydraql/plan.ts'
import { compile } from '../compile.ts'
import type { Execution } from '../execution.ts'
import type { BatchStream } from '../operator.ts'
import type { OpenScan } from '../scan/scan.ts'
import { isSeriesColumn, seriesColumn } from '../scan/series.ts'
import type { SpillRun } from '../spill/run.ts'
import { type BucketKey, compileAggregation, type InputOrder } from './aggregation.ts'
import { Aggregator, queryMemory } from './aggregator.ts'
import { PartitionedResults } from './partitioned-results.ts'
import { Pass } from './pass.ts'
import { type Passed, type RollupSlabs, slabsOf, withSlabs } from './rollup-stream.ts'
import { type AddByRuns, type PartOfSeries, runAggregation } from './runs.ts'
import { answerFromStatistics } from './statistics.ts'

/** What an aggregate reads from: rows of one schema, out of one source after the other. */
export interface AggregateInput {
  readonly schema: Schema
  readonly order: InputOrder
  readonly sources: readonly AggregateSource[]
}

export interface AggregateSource {
  /** Set when the rows are all those of a scan: whole series, so that runs and statistics may serve. */
  readonly ofScan: ScanChoices | undefined
  /** `withRollups`: rollups may answer for some of a scan's rows, which then come from nowhere else. */
  open(choices: { readonly withRollups: boolean }): OpenSource
}

export interface ScanChoices {
  /** Fold runs of one series by kernels. */
  readonly byRuns: boolean
  /** Answer from statistics of pieces. */
  readonly fromStatistics: boolean
  readonly schema: Schema
  /** What is said over the input's columns, said over the scan's. */
  said(expr: Expr): Expr
}

export interface OpenSource {
  /** Set when pieces may be chosen. */
  readonly scan: OpenScan | undefined
  /** `pieces`: only these of the scan. */
  stream(pieces?: readonly number[]): BatchStream
}

export async function* aggregate(node: AggregateNode, input: AggregateInput, execution: Execution): BatchStream {
  const aggregation = compileAggregation(node, input.schema, input.order, execution.kernels, execution.arrays)
  const aggregator = new Aggregator(aggregation, queryMemory(execution))
  const pass = new Pass(aggregator, 0, execution)
  /** Of one source alone: of several none says how far in time all have come. */
  const buckets = input.sources.length === 1 ? aggregator.bucket : undefined
  /** Set while some groups are in partitions: those that end wait here for them. */
  let results: PartitionedResults | undefined

  try {
    for await (const watermarkUs of fill(pass, input.sources, buckets, execution)) {
      const ended = aggregator.ended(watermarkUs)
      if (pass.overflow === undefined) {
        if (ended.length === 0) continue
        yield* pass.results(ended)
        aggregator.drop(ended)
        continue
      }
      results ??= new PartitionedResults(aggregation, execution)
      await results.add(pass.results(ended))
      if (ended.length > 0) aggregator.drop(ended)
      if (pass.overflow.maxStartUs >= buckets!.functions.floor(watermarkUs)) continue
      // All that is in partitions has ended: what comes now may be held again.
      yield* results.with(takenPartitions(pass))
      results = undefined
    }
    const ended = aggregator.ended(Infinity)
    if (pass.overflow === undefined) yield* pass.results(ended)
    else {
      results ??= new PartitionedResults(aggregation, execution)
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

/** Adds all rows of these sources to the groups of an aggregator, none of which leaves. Without temporary files. */
export async function addAll(
  aggregator: Aggregator,
  sources: readonly AggregateSource[],
  execution: Execution,
): Promise<void> {
  const watermarks = fill(new Pass(aggregator, 0, execution), sources, undefined, execution)
  for await (const _ of watermarks) assert(false, 'no bucket leaves')
}

/** Adds the rows of each source in turn. Where buckets leave, it gives the time before which all have come. */
async function* fill(
  pass: Pass,
  sources: readonly AggregateSource[],
  buckets: BucketKey | undefined,
  execution: Execution,
): AsyncGenerator<number, void, undefined> {
  const { aggregator } = pass
  for (const source of sources) {
    const { stream, addByRuns, addKnown } = await openSource(source, buckets, pass, execution)
    for await (const batch of stream) {
      for (const rows of 'columns' in batch ? pass.steps(batch) : []) {
        if (pass.overflow !== undefined || !addByRuns(rows)) pass.add(rows)
        // Groups known from statistics and rollups must be in memory: their rows are never read, so that no partition has them.
        if (aggregator.isFull) await pass.makeRoom(() => addKnown(Infinity))
      }
      if (batch.watermarkUs === undefined || buckets === undefined) continue
      addKnown(batch.watermarkUs)
      yield batch.watermarkUs
    }
    addKnown(Infinity)
  }
}

/** A source that is being read, by the best way it has. */
interface Reading {
  readonly stream: AsyncIterable<Batch | Passed> | readonly Batch[]
  readonly addByRuns: AddByRuns
  /** Adds what statistics and rollups know of before this time. */
  addKnown(beforeUs: number): void
}

/** Once groups overflow, rows alone find their partitions. */
async function openSource(
  { ofScan, open }: AggregateSource,
  buckets: BucketKey | undefined,
  pass: Pass,
  execution: Execution,
): Promise<Reading> {
  const { aggregator } = pass
  const byRows = { addByRuns: () => false, addKnown: () => {} }
  if (ofScan === undefined || pass.overflow !== undefined)
    return { ...byRows, stream: open({ withRollups: false }).stream() }
  const partOf = partsBySeries(aggregator, ofScan, execution)
  let opened = open({ withRollups: true })
  const slabs = opened.scan && slabsOf(opened.scan, { aggregator, partOf, said: ofScan.said }, buckets, execution)
  if (slabs === 'too many') opened = open({ withRollups: false })
  const reading = await openRows(opened, ofScan, partOf, buckets, pass, execution)
  return slabs === undefined || slabs === 'too many' ? reading : withRollups(reading, slabs, execution)
}

const withRollups = (reading: Reading & RowReading, slabs: RollupSlabs, execution: Execution): Reading => ({
  stream: withSlabs(reading.stream, slabs, execution),
  addByRuns: reading.addByRuns,
  addKnown(beforeUs) {
    reading.addKnown(beforeUs)
    slabs.addBefore(beforeUs)
  },
})

interface RowReading extends Reading {
  readonly stream: AsyncIterable<Batch> | readonly Batch[]
}

async function openRows(
  { scan, stream }: OpenSource,
  ofScan: ScanChoices,
  partOf: PartOfSeries,
  buckets: BucketKey | undefined,
  pass: Pass,
  execution: Execution,
): Promise<RowReading> {
  const { aggregator } = pass
  const byRows = { addByRuns: () => false, addKnown: () => {} }
  const usesRuns = ofScan.byRuns && !aggregator.takesAnyRange
  const addByRuns = usesRuns ? runAggregation(aggregator, partOf, execution) : byRows.addByRuns
  const answers =
    ofScan.fromStatistics && scan !== undefined
      ? answerFromStatistics(aggregator, scan, partOf, ofScan.said)
      : undefined
  if (answers === undefined) return { ...byRows, addByRuns, stream: stream() }
  const { known, unread } = answers
  let next = 0
  // Where no bucket leaves early, all may be added now; what would be too much is read, for the partitions to have it.
  if (buckets === undefined && aggregator.node.keys.length > 0) {
    while (next < known.length && !aggregator.isFull) known[next++]!.add()
    if (aggregator.isFull) await pass.makeRoom(() => {})
    for (const { piece } of known.splice(next)) unread.push(piece)
  }
  return {
    stream: unread.length === 0 ? [] : stream(unread.sort((a, b) => a - b)),
    addByRuns,
    addKnown(beforeUs) {
      while (next < known.length && known[next]!.minTimeUs < beforeUs) known[next++]!.add()
    },
  }
}

function takenPartitions(pass: Pass): SpillRun[] {
  const runs = pass.overflow!.finish()
  pass.overflow = undefined
  return runs
}

/** The part of a group that a series decides, worked out once per series. */
function partsBySeries(aggregator: Aggregator, { schema, said }: ScanChoices, { catalog }: Execution): PartOfSeries {
  // Over a scan, the bucket is none of the plain keys.
  const keys = aggregator.node.keys.filter(key => key.bucket === undefined).map(key => compile(said(key.expr), schema))
  if (keys.length === 0) return () => 0
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
      keys.map(key => key.evaluate(row)),
      0,
    )
    parts.set(ordinal, part)
    return part
  }
}
