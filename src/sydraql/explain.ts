/**
 * A plan for people (`explain`) and programs (`explain json`).
 *
 *   limit 10
 *     project time, usage * 2 as "double"
 *       scan cpu time in [2024-03-01T00:00:00Z, ∞) where series tag.host = 'a' order time: time, field.usage
 *   rules: time-range, series-predicate, prune-columns
 */
import type { Schema } from '../columnar/batch.ts'
import type { Bound } from './bind.ts'
import type { Expr } from './expression.ts'
import { formatExpr, formatName, formatText } from './format.ts'
import type {
  AggregateCall,
  FillMode,
  LogicalPlan,
  ScanNode,
  Sequence,
  SortKey,
  TimeRange,
  ValuesNode,
  WindowCall,
} from './plan.ts'
import { explainSchema } from './prepare.ts'
import { inputsOf } from './rules/rule.ts'
import { formatDuration, formatTimestamp } from './times.ts'

/** The rows of `explain`: a line each as text, one row as JSON. */
export function explained(bound: Bound, format: 'text' | 'json'): ValuesNode {
  const texts = format === 'json' ? [explainJson(bound)] : explainText(bound).split('\n')
  return { kind: 'values', rows: texts.map(text => [text]), schema: explainSchema }
}

export function explainText({ plan, firedRules }: Bound): string {
  return [...treeLines(plan, ''), `rules: ${firedRules.join(', ') || 'none'}`].join('\n')
}

const treeLines = (plan: LogicalPlan, indent: string): string[] => [
  indent + describe(plan),
  ...inputsOf(plan).flatMap(input => treeLines(input, `${indent}  `)),
]

/** The plan as JSON: expressions as sydraQL, infinite bounds as null. */
export function explainJson({ plan, firedRules }: Bound): string {
  return JSON.stringify({ plan: toJson(plan), rules: firedRules })
}

function describe(plan: LogicalPlan): string {
  switch (plan.kind) {
    case 'scan':
      return describeScan(plan)
    case 'filter':
      return `filter ${formatExpr(plan.predicate)}`
    case 'project':
      return `project ${plan.items.map(({ name, expr }) => named(formatExpr(expr), name)).join(', ')}`
    case 'aggregate': {
      const by = plan.keys.map(key => formatExpr(key.expr)).join(', ')
      const values = plan.aggregates.map(formatAggregate).join(', ')
      return ['aggregate', values, by && `by ${by}`].filter(part => part).join(' ')
    }
    case 'fill':
      return `fill ${formatFill(plan.mode)} over ${plan.bucketColumn}${rangeText(plan.range)}${keptText(plan.kept)}`
    case 'sort':
      return `sort ${plan.keys.map(formatKey).join(', ')}${plan.limit === undefined ? '' : `, first ${plan.limit}`}`
    case 'limit':
      return `limit ${plan.limit ?? 'all'}${plan.offset === 0 ? '' : ` offset ${plan.offset}`}`
    case 'limit_per':
      return `limit ${plan.limit} per ${formatExpr(plan.key)}`
    case 'window': {
      const { time, partition } = plan.sequence
      const calls = plan.calls.map(call => named(formatCall(call), call.name)).join(', ')
      const per = partition.length === 0 ? '' : ` per ${partition.join(', ')}`
      return `window ${calls}${per}${time === undefined ? '' : ` by ${time}`}`
    }
    case 'union':
      return plan.order === 'none' ? 'union' : `union order ${plan.order}`
    case 'join': {
      const on = plan.keys.map(({ left, right }) => `${formatExpr(left)} = ${formatExpr(right)}`).join(' and ')
      return `join${plan.withinUs === 0 ? '' : ` within ${formatDuration(plan.withinUs)}`}${on && ` on ${on}`}`
    }
    case 'histogram':
      return `histogram ${formatExpr(plan.value)} in [${plan.low}, ${plan.high}), ${plan.buckets} buckets`
    case 'values':
      return `values ${plan.rows.length} ${plan.rows.length === 1 ? 'row' : 'rows'}`
    case 'show':
      return `show ${plan.subject}${plan.metric === undefined ? '' : ` from ${formatName(plan.metric)}`}`
  }
}

function describeScan(scan: ScanNode): string {
  const { metric, seriesIds, asOf, range, seriesPredicate, rowPredicate, order, limit, seriesLimit, schema } = scan
  const past = asOf === undefined ? '' : ` as of ${formatText(asOf.ref)}`
  const parts = [`scan ${metric}${past}${rangeText(range)}`]
  if (seriesIds !== undefined) parts.push(`series ${seriesIds.join(', ')}`)
  if (seriesPredicate !== undefined) parts.push(`series where ${formatExpr(seriesPredicate)}`)
  if (rowPredicate !== undefined) parts.push(`rows where ${formatExpr(rowPredicate)}`)
  if (order !== 'none') parts.push(`order ${order}`)
  if (seriesLimit !== undefined) parts.push(`first ${seriesLimit} of each series`)
  if (limit !== undefined) parts.push(`first ${limit}`)
  return `${parts.join(' ')}: ${columnNames(schema)}`
}

const columnNames = (schema: Schema): string => schema.map(column => column.name).join(', ') || 'no columns'
const named = (text: string, name: string): string => (text === name ? text : `${text} as ${formatName(name)}`)

const formatAggregate = ({ function: name, args, distinct }: AggregateCall): string =>
  `${name}(${distinct ? 'distinct ' : ''}${args.length === 0 ? '*' : args.map(formatExpr).join(', ')})`

const formatCall = ({ function: name, args }: WindowCall): string => `${name}(${args.map(formatExpr).join(', ')})`

/** The direction, and nulls where they are not where the direction puts them. */
function formatKey({ expr, descending, nulls }: SortKey): string {
  const usual = descending ? 'first' : 'last'
  return `${formatExpr(expr)}${descending ? ' desc' : ''}${nulls === usual ? '' : ` nulls ${nulls}`}`
}

function formatFill(mode: FillMode): string {
  if (mode.kind === 'constant') return String(mode.value)
  return mode.kind === 'previous' && mode.lookbackUs !== undefined
    ? `previous within ${formatDuration(mode.lookbackUs)}`
    : mode.kind
}

function rangeText({ fromUs, toUs }: TimeRange): string {
  if (fromUs === -Infinity && toUs === Infinity) return ''
  return ` time in ${fromUs === -Infinity ? '(-∞' : `[${timeText(fromUs)}`}, ${toUs === Infinity ? '∞' : timeText(toUs)})`
}

const keptText = (kept: Expr | undefined): string => (kept === undefined ? '' : ` keeping ${formatExpr(kept)}`)

/** Bounds may lie beyond what a Date can hold. */
const timeText = (us: number): string => (Math.abs(us) <= 8.64e18 ? formatTimestamp(us) : String(us))

function toJson(plan: LogicalPlan): Record<string, unknown> {
  const columns = plan.schema.map(({ name, type, nullable }) => ({ name, type, nullable }))
  const inputs = inputsOf(plan).map(toJson)
  const below = 'input' in plan ? { input: inputs[0] } : inputs.length === 0 ? {} : { inputs }
  return { ...properties(plan), columns, ...below }
}

const sequenceJson = ({ time, partition }: Sequence) => ({ time: time ?? null, partition })

const rangeJson = ({ fromUs, toUs }: TimeRange) => ({
  from_us: Number.isFinite(fromUs) ? fromUs : null,
  to_us: Number.isFinite(toUs) ? toUs : null,
})

function properties(plan: LogicalPlan): Record<string, unknown> {
  const { kind } = plan
  switch (plan.kind) {
    case 'scan':
      return {
        kind,
        metric: plan.metric,
        series_ids: plan.seriesIds ?? null,
        ...(plan.asOf && { as_of: plan.asOf.ref }),
        range: rangeJson(plan.range),
        series_predicate: plan.seriesPredicate === undefined ? null : formatExpr(plan.seriesPredicate),
        row_predicate: plan.rowPredicate === undefined ? null : formatExpr(plan.rowPredicate),
        order: plan.order,
        limit: plan.limit ?? null,
        series_limit: plan.seriesLimit ?? null,
      }
    case 'filter':
      return { kind, predicate: formatExpr(plan.predicate) }
    case 'project':
      return { kind, items: plan.items.map(({ name, expr }) => ({ name, expr: formatExpr(expr) })) }
    case 'aggregate':
      return {
        kind,
        keys: plan.keys.map(key => ({ name: key.name, expr: formatExpr(key.expr), bucket: key.bucket ?? null })),
        aggregates: plan.aggregates.map(formatAggregate),
      }
    case 'fill':
      return {
        kind,
        mode: plan.mode,
        kept: plan.kept === undefined ? null : formatExpr(plan.kept),
        bucket_column: plan.bucketColumn,
        range: rangeJson(plan.range),
      }
    case 'sort':
      return { kind, keys: plan.keys.map(formatKey), limit: plan.limit ?? null }
    case 'limit':
      return { kind, limit: plan.limit ?? null, offset: plan.offset }
    case 'limit_per':
      return { kind, limit: plan.limit, key: formatExpr(plan.key) }
    case 'window':
      return {
        kind,
        calls: plan.calls.map(call => ({ name: call.name, expr: formatCall(call) })),
        sequence: sequenceJson(plan.sequence),
      }
    case 'union':
      return { kind, order: plan.order }
    case 'join':
      return {
        kind,
        within_us: plan.withinUs,
        keys: plan.keys.map(({ left, right }) => ({ left: formatExpr(left), right: formatExpr(right) })),
        left: sequenceJson(plan.leftSequence),
        right: sequenceJson(plan.rightSequence),
      }
    case 'histogram':
      return { kind, value: formatExpr(plan.value), low: plan.low, high: plan.high, buckets: plan.buckets }
    case 'values':
      return { kind, rows: plan.rows }
    case 'show':
      return { kind, subject: plan.subject, metric: plan.metric ?? null }
  }
}
