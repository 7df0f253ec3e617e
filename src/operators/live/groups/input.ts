/**
 * What groups are made of: the rows under an aggregate, as its keys and arguments read them, with their time and series.
 *
 *   aggregate over filters over a scan                   rows of the scan
 *   aggregate over a union of projections of scans       rows of each, in the columns of the union
 */
import type { AggregateNode, FilterNode, LogicalPlan, ProjectNode, TimeRange } from '../../../sydraql/plan.ts'
import { bottomUp } from '../../../sydraql/rules/rule.ts'
import { intersection } from '../../../sydraql/time-range.ts'
import { addAll } from '../../aggregate/aggregate.ts'
import type { Aggregator } from '../../aggregate/aggregator.ts'
import type { BatchStream } from '../../operator.ts'
import { goesBySeries } from '../../plan/plan-pairs.ts'
import { planSource, type ScanSource } from '../../plan/plan-source.ts'
import { scansUnder } from '../../plan/underlying-scans.ts'
import { openScan } from '../../scan/scan.ts'
import { openAt } from '../run-at.ts'
import { restrictedScan, type Scope } from '../scope.ts'
import type { LiveContext, Moment } from '../types.ts'

export interface GroupInput {
  readonly aggregate: AggregateNode
  readonly sources: readonly ScanSource[]
  /** Gives the rows: a branch for each metric. */
  readonly rows: LogicalPlan
  /** Of all scans. */
  readonly range: TimeRange
}

/**
 * undefined: other operators are between the aggregate and its scans, it goes from sample to sample, or its scans are not
 * each of a metric of its own, over one range.
 */
export function groupInput(aggregate: AggregateNode): GroupInput | undefined {
  if (goesBySeries(aggregate)) return undefined
  const sources = scansUnder(aggregate)
  if (sources === undefined) return undefined
  const [{ scan }] = sources as readonly [ScanSource]
  const { range } = scan
  const metrics = new Set(sources.map(source => source.scan.metric))
  const isAlike = sources.every(({ scan: { range: own } }) => own.fromUs === range.fromUs && own.toUs === range.toUs)
  if (metrics.size < sources.length || !isAlike) return undefined
  const branches = sources.map(branchOf)
  const { schema } = branches[0]!
  const rows: LogicalPlan =
    branches.length === 1 ? branches[0]! : { kind: 'union', inputs: branches, order: 'none', schema }
  return { aggregate, sources, rows, range }
}

function branchOf({ scan, predicates, projection }: ScanSource): LogicalPlan {
  const { schema } = scan
  const filtered = predicates.reduceRight<LogicalPlan>(
    (input, predicate): FilterNode => ({ kind: 'filter', input, predicate, schema }),
    scan,
  )
  return projection === undefined
    ? filtered
    : ({ kind: 'project', input: filtered, ...projection } satisfies ProjectNode)
}

/** Adds the input's rows of a range to an aggregator, by the best ways there are. */
export async function addRows(
  aggregator: Aggregator,
  { sources }: GroupInput,
  range: TimeRange,
  at: Moment,
  context: LiveContext,
): Promise<void> {
  const execution = context.execution(at)
  const { disabledRules } = context
  const { rollupWidthsUs } = at.version
  const role = { paired: undefined, alone: false }
  const opened = sources.map(({ scan, ...source }) => {
    const part = { ...source, scan: { ...scan, range: intersection(scan.range, range) } }
    return planSource(aggregator.node, part, role, { disabledRules, tables: undefined, rollupWidthsUs }).source(
      execution,
    )
  })
  await addAll(aggregator, opened, execution)
}

/** The input's rows of a range. */
export const rowsOf = (input: GroupInput, range: TimeRange, at: Moment, context: LiveContext): BatchStream =>
  openAt(within(input.rows, range), at, context)

/** The plan with its scans reading what is in the range alone. */
export const within = (plan: LogicalPlan, range: TimeRange): LogicalPlan =>
  bottomUp(plan, node => (node.kind === 'scan' ? { ...node, range: intersection(node.range, range) } : node))

/** No row of the range is later; less than where it begins: there is none. */
export function lastTimeUs({ sources }: GroupInput, range: TimeRange, at: Moment, context: LiveContext): number {
  let lastUs = -Infinity
  for (const { scan } of sources) {
    const part = { ...scan, range: intersection(scan.range, range) }
    const options = {
      order: 'none',
      blockBounds: false,
      until: undefined,
      end: undefined,
      isSmall: undefined,
      rollups: undefined,
    } as const
    for (const piece of openScan(part, options, context.execution(at)).pieces)
      lastUs = Math.max(lastUs, piece.maxTimeUs)
  }
  return lastUs
}

/** The input with what is in the scope alone. */
export const restrictedTo = (input: GroupInput, scope: Scope, { catalog }: LiveContext): GroupInput => ({
  ...input,
  sources: input.sources.map(source => ({ ...source, scan: restrictedScan(source.scan, scope, catalog) })),
})
