/** A pattern over metric names as a source: the metrics it finds, their columns together, and the union of their rows. */
import type { Schema, ValueType } from '../../columnar/batch.ts'
import { compareUtf8 } from '../../lib/text.ts'
import type { MetricInfo } from '../../storage/types.ts'
import type { SourceSyntax } from '../ast.ts'
import type { Expr, Span } from '../expression.ts'
import { patternColumnsMax, patternFieldsMax, patternMetricsMax } from '../limits.ts'
import type { NamedExpr } from '../plan.ts'
import type { MetricPart, SourceQuery } from '../query.ts'
import { metricColumns, type SeriesColumns, seriesColumns } from '../schema.ts'
import { compileRegex } from './constants.ts'
import { columnRef } from './scope.ts'
import type { Analysis } from './surroundings.ts'
import { isNumber, typeName } from './types.ts'

/** The metrics whose names the pattern finds, in name order. Throws `invalid_regex`, `unknown_metric`. */
export function matchingMetrics(pattern: string, span: Span, { report, schema }: Analysis): readonly MetricInfo[] {
  const regex = compileRegex(pattern, span, report)
  const found = schema.metrics().filter(metric => regex.matcher(metric.name).find())
  if (found.length === 0) throw report('unknown_metric', `no metric has a name like /${pattern}/`, span)
  if (found.length > patternMetricsMax) {
    const message = `/${pattern}/ finds ${found.length} metrics, at most ${patternMetricsMax} can be read at once`
    throw report('query_too_complex', message, span, narrower)
  }
  return found
}

const narrower = 'narrow the pattern'

/** The columns that any of the metrics has. An integer widens where another metric has a float of that name. */
export function mergedColumns(
  pattern: string,
  metrics: readonly MetricInfo[],
  span: Span,
  { report, schema }: Analysis,
): SeriesColumns {
  const total = metrics.reduce((sum, { fields }) => sum + fields.length, 0)
  if (total > patternFieldsMax) {
    const message = `the metrics of /${pattern}/ have ${total} fields, at most ${patternFieldsMax} can be looked through`
    throw report('query_too_complex', message, span, narrower)
  }
  const tags = new Set<string>()
  const fields = new Map<string, { type: ValueType; readonly metric: string }>()
  const conflicts = new Map<string, string>()
  for (const metric of metrics) {
    for (const key of schema.tagKeys(metric.id)) tags.add(key)
    for (const { name, type } of metric.fields) {
      const known = fields.get(name)
      if (known === undefined) fields.set(name, { type, metric: metric.name })
      else if (known.type === type) continue
      else if (isNumber(known.type) && isNumber(type)) known.type = 'float'
      else {
        const each = `${typeName(known.type)} in ${known.metric} and ${typeName(type)} in ${metric.name}`
        conflicts.set(name, `the field ${name} is ${each}`)
      }
    }
  }
  const types = new Map<string, ValueType>()
  for (const name of [...fields.keys()].sort(compareUtf8)) {
    if (!conflicts.has(name)) types.set(name, fields.get(name)!.type)
  }
  return seriesColumns(`/${pattern}/`, [...tags].sort(compareUtf8), types, conflicts)
}

/** The metrics' rows in the columns that were read, and those that order them. */
export function unionOf(
  metrics: readonly MetricInfo[],
  used: ReadonlySet<string>,
  source: Extract<SourceSyntax, { kind: 'regex' }>,
  analysis: Analysis,
): SourceQuery {
  const { report } = analysis
  const { pattern, span } = source
  const kept = new Set(['time', 'series', ...used])
  if (kept.size * metrics.length > patternColumnsMax) {
    const columns = `${kept.size} columns of ${metrics.length} metrics`
    const message = `/${pattern}/ reads ${columns}, at most ${patternColumnsMax} columns in all can be read`
    throw report('query_too_complex', message, span, `${narrower}, or name the fields`)
  }
  const all = mergedColumns(pattern, metrics, span, analysis)
  const schema = all.schema.filter(column => kept.has(column.name))
  const parts = metrics.map(metric => partOf(metric, schema, source, analysis))
  return { kind: 'metrics', parts, schema, sequence: { time: 'time', partition: ['series'] } }
}

function partOf(
  metric: MetricInfo,
  schema: Schema,
  { asOf, span }: Extract<SourceSyntax, { kind: 'regex' }>,
  analysis: Analysis,
): MetricPart {
  const columns = metricColumns(metric, analysis.schema)
  const items = schema.map(({ name, type }): NamedExpr => {
    const own = columns.byName.get(name)
    if (own === undefined) return { name, expr: { kind: 'literal', type, value: null, span } }
    const column: Expr = columnRef(name, own.type, span)
    const isSame = own.type === type
    return { name, expr: isSame ? column : { kind: 'call', type, name: 'cast_float', args: [column], span } }
  })
  return {
    source: {
      kind: 'metric',
      metric: metric.name,
      seriesIds: undefined,
      ...(asOf && { asOf }),
      schema: columns.schema,
      sequence: { time: 'time', partition: ['series'] },
    },
    items,
  }
}
