/**
 * What `explain` answers: the logical plan, the rules that fired and the operators; with `analyze` also what they did.
 *
 *   aggregate keys=1 aggregates=1 (bucket-runs): 12 rows, 1 batch, 0.8 ms, own 0.3 ms
 *     scan metric=cpu order=windows: 8640 rows, 3 batches, 0.5 ms
 *   …
 *   rows: 12 out, 8640 scanned
 *   blocks: 9 read, 0 pruned
 */
import { AssertionError } from '../../lib/assert.ts'
import type { Settings } from '../../lib/settings.ts'
import type { OperatorActual, PlanDescription } from '../../operators/execute.ts'
import { describeLive, type LiveDescription, liveJson, liveLine } from '../../operators/live/explain.ts'
import type { LiveContext } from '../../operators/live/types.ts'
import { rollupWidthName } from '../../storage/rollup/widths.ts'
import type { Bound } from '../../sydraql/bind.ts'
import { explainJson, explainText } from '../../sydraql/explain.ts'
import type { ValuesNode } from '../../sydraql/plan.ts'
import { explainSchema, type Prepared } from '../../sydraql/prepare.ts'
import type { QueryParameters, QueryStatistics } from '../../types.ts'
import { prepareLive } from '../live/prepare-live.ts'
import type { Storage } from '../recovery/open-storage.ts'

type Format = 'text' | 'json'

/** The rows of `explain`: a line each as text, one row as JSON. */
export function explanation(
  bound: Bound,
  operators: PlanDescription,
  live: LiveDescription,
  format: Format,
): ValuesNode {
  if (format === 'json') {
    const logical = JSON.parse(explainJson(bound))
    return answer([JSON.stringify({ ...logical, physical: asJson(operators), live: liveJson(live) })])
  }
  return answer([...explainText(bound).split('\n'), 'operators:', ...operatorLines(operators, '  '), liveLine(live)])
}

/** How the query would be kept if it were live. */
export function asLive(
  prepared: Prepared,
  params: QueryParameters,
  { catalog, kernels, duplicates }: Pick<Storage, 'catalog' | 'kernels' | 'duplicates'>,
  { rowsMax, memoryMaxBytes, rerunMs }: Settings['live'],
  nowUs: number,
): LiveDescription {
  const context: LiveContext = {
    catalog,
    kernels,
    duplicates,
    disabledRules: new Set(),
    execution() {
      throw new AssertionError('explain runs nothing')
    },
    rowsMax,
    bytesMax: memoryMaxBytes,
  }
  return describeLive(() => prepareLive({ ...prepared, explain: undefined }, params, context, nowUs), rerunMs)
}

export interface Analysis {
  readonly bound: Bound
  readonly operators: PlanDescription
  /** `rows_emitted` are those of the query itself. */
  readonly statistics: QueryStatistics
  /** The most that sorts, groups and windows held at once. */
  readonly memoryPeakBytes: number
  readonly spilledBytes: number
  /** Buckets of rollups that were read, by width in µs. */
  readonly rollupBuckets: ReadonlyMap<number, number>
}

/** The rows of `explain analyze`, of a query that has run. */
export function analysis(ran: Analysis, format: Format): ValuesNode {
  const { bound, operators, statistics } = ran
  if (format === 'json') {
    const { operators: _, trace_id: __, ...counts } = statistics
    const { memoryPeakBytes, spilledBytes, rollupBuckets } = ran
    const totals = {
      ...counts,
      rollup_buckets: Object.fromEntries(byWidth(rollupBuckets)),
      memory_peak_bytes: memoryPeakBytes,
      spilled_bytes: spilledBytes,
    }
    const rules = { rules: bound.firedRules, operator_rules: rulesOf(operators) }
    return answer([JSON.stringify({ operators: asJson(operators), ...rules, stats: totals })])
  }
  const { elapsed_ms: elapsed } = statistics
  const steps = Object.entries(elapsed).map(([step, ms]) => `${step.replace('_', ' ')} ${ms} ms`)
  return answer([
    ...operatorLines(operators, ''),
    `rows: ${statistics.rows_emitted} out, ${statistics.rows_scanned} scanned`,
    `blocks: ${statistics.blocks_scanned} read, ${statistics.blocks_pruned} pruned`,
    `segments: ${statistics.segments_scanned} read, ${statistics.segments_pruned} pruned`,
    `bytes: ${statistics.bytes_read} read, ${ran.spilledBytes} spilled`,
    `memory: ${ran.memoryPeakBytes} bytes at most`,
    `rollup: ${rollupText(ran.rollupBuckets)}`,
    `rules: ${bound.firedRules.join(', ') || 'none'}`,
    `operator rules: ${rulesOf(operators).join(', ') || 'none'}`,
    `elapsed: ${steps.join(', ')}`,
  ])
}

/** Coarsest first. */
const byWidth = (buckets: ReadonlyMap<number, number>): [width: string, buckets: number][] =>
  [...buckets].sort(([a], [b]) => b - a).map(([widthUs, count]) => [rollupWidthName(widthUs), count])

const rollupText = (buckets: ReadonlyMap<number, number>): string =>
  byWidth(buckets)
    .map(([width, count]) => `${counted(count, 'bucket')} of ${width}`)
    .join(', ') || 'none'

const answer = (lines: readonly string[]): ValuesNode => ({
  kind: 'values',
  rows: lines.map(line => [line]),
  schema: explainSchema,
})

function operatorLines({ name, details, rules, actual, inputs }: PlanDescription, indent: string): string[] {
  const words = Object.entries(details).map(([key, value]) => `${key}=${value}`)
  const fired = rules.length === 0 ? [] : [`(${rules.join(', ')})`]
  const line = [name, ...words, ...fired].join(' ')
  return [
    `${indent}${line}${actual === undefined ? '' : `: ${actualText(actual)}`}`,
    ...inputs.flatMap(input => operatorLines(input, `${indent}  `)),
  ]
}

const actualText = ({ rowsOut, batches, totalMs, ownMs }: OperatorActual): string =>
  `${counted(rowsOut, 'row')}, ${counted(batches, 'batch', 'batches')}, ${round(totalMs)} ms, own ${round(ownMs)} ms`

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

function asJson({ name, details, rules, actual, inputs }: PlanDescription): Record<string, unknown> {
  const did = actual && {
    rows_out: actual.rowsOut,
    batches: actual.batches,
    elapsed_ms: round(actual.totalMs),
    own_ms: round(actual.ownMs),
  }
  return { name, details, rules, ...did, inputs: inputs.map(asJson) }
}

/** Of the whole tree, each once. */
function rulesOf(plan: PlanDescription): string[] {
  return [...new Set([...plan.rules, ...plan.inputs.flatMap(rulesOf)])]
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000
