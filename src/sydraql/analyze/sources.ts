/**
 * `from`: metrics, series, patterns, sub-selects and joins of them.
 *
 * Invariants:
 * 1. What a pattern or a join puts out has the columns that the statement reads, and its sequence's: a union of ten
 *    thousand metrics, or a join of wide ones, is no larger than what is asked of it.
 * 2. A source in error takes the scope that knows everything, so that nothing follows from it.
 */
import type { Schema, ValueType } from '../../columnar/batch.ts'
import { didYouMeanHint } from '../../lib/did-you-mean.ts'
import type { MetricInfo } from '../../storage/types.ts'
import type { SelectStatement, SourceSyntax } from '../ast.ts'
import type { Span } from '../expression.ts'
import { columnsMax } from '../limits.ts'
import type { NamedExpr, Sequence } from '../plan.ts'
import { attempt, type Report } from '../problem.ts'
import type { JoinSide, SelectQuery, SourceQuery } from '../query.ts'
import { metricColumns, type QuerySchema } from '../schema.ts'
import { OutputScope, SeriesScope } from './local-scopes.ts'
import { matchingMetrics, mergedColumns, unionOf } from './patterns.ts'
import { columnRef, emptyScope, FromScope, failedScope, joinedName, type Scope, type Side } from './scope.ts'
import type { Analysis } from './surroundings.ts'

export const metricSequence: Sequence = { time: 'time', partition: ['series'] }

export interface Source {
  readonly scope: Scope
  readonly sequence: Sequence
  /** With the columns that were read; undefined without a `from`. Throws where they are too many. */
  finish(): SourceQuery | undefined
}

interface SideSource extends Side {
  readonly span: Span
  finish(): SourceQuery
}

type SubSelect = (select: SelectStatement, analysis: Analysis) => SelectQuery

/** `subSelect`: analyses a `select` in its place as a source. */
export function analyzeFrom(select: SelectStatement, analysis: Analysis, subSelect: SubSelect): Source {
  const { source, joins } = select
  if (source === undefined) {
    return { scope: emptyScope, sequence: { time: undefined, partition: [] }, finish: () => undefined }
  }
  const { report } = analysis
  const isJoin = joins.length > 0
  const found = [source, ...joins.map(join => join.source)].map(each =>
    attempt(report, () => sideOf(each, isJoin, analysis, subSelect), undefined),
  )
  const sides = found.filter(side => side !== undefined)
  const isSound = sides.length === found.length && (!isJoin || attempt(report, () => checkJoin(sides, report), false))
  if (!isSound) return { scope: failedScope, sequence: metricSequence, finish: () => undefined }
  const [first] = sides
  const scope = new FromScope(sides)
  if (!isJoin) return { scope, sequence: first!.sequence, finish: first!.finish }
  const within = joins.map(join => join.withinUs)
  const sequence = {
    time: joinedName(first!.qualifier, first!.sequence.time!),
    partition: sides.flatMap(side => side.sequence.partition.map(name => joinedName(side.qualifier, name))),
  }
  return { scope, sequence, finish: () => joinOf(sides, scope, within, report) }
}

function sideOf(
  syntax: SourceSyntax,
  isJoin: boolean,
  analysis: Analysis,
  subSelect: SubSelect,
): SideSource | undefined {
  const { report, schema } = analysis
  const { span, alias } = syntax
  switch (syntax.kind) {
    case 'metric':
      return metricSide(findMetric(syntax.name, span, report, schema), undefined, syntax, schema)
    case 'series': {
      const series = schema.seriesById(syntax.id)
      if (series === undefined) throw report('unknown_metric', `there is no series with the id '${syntax.id}'`, span)
      return metricSide(schema.metricOf(series), [syntax.id], syntax, schema)
    }
    case 'regex': {
      if (isJoin && alias === undefined) {
        throw report('wrong_argument', 'a pattern in a join needs an alias', span, 'such as: /^cpu/ as c')
      }
      const metrics = matchingMetrics(syntax.pattern, span, analysis)
      const qualifier = alias === undefined ? [] : [alias]
      if (metrics.length === 1) return { ...metricSide(metrics[0]!, undefined, syntax, schema), qualifier }
      const scope = new SeriesScope(mergedColumns(syntax.pattern, metrics, span, analysis))
      const finish = () => unionOf(metrics, scope.used, syntax, analysis)
      return { qualifier, scope, sequence: metricSequence, span, finish }
    }
    case 'query': {
      const known = report.kept.length
      const query = subSelect(syntax.select, analysis)
      if (report.kept.length > known) return undefined
      const source: SourceQuery = { kind: 'query', query, schema: query.output, sequence: outputSequence(query) }
      const scope = new OutputScope(query.output)
      return { qualifier: [syntax.alias], scope, sequence: source.sequence, span, finish: () => source }
    }
  }
}

function metricSide(
  metric: MetricInfo,
  seriesIds: readonly string[] | undefined,
  syntax: SourceSyntax,
  schema: QuerySchema,
): SideSource {
  const { alias, span } = syntax
  const columns = metricColumns(metric, schema)
  const source: SourceQuery = {
    kind: 'metric',
    metric: metric.name,
    seriesIds,
    ...('asOf' in syntax && { asOf: syntax.asOf }),
    schema: columns.schema,
    sequence: metricSequence,
  }
  return {
    qualifier: alias === undefined ? metric.name.split('.') : [alias],
    scope: new SeriesScope(columns),
    sequence: metricSequence,
    span,
    finish: () => source,
  }
}

export function findMetric(name: string, span: Span, report: Report, schema: QuerySchema): MetricInfo {
  const metric = schema.metric(name)
  if (metric !== undefined) return metric
  const names = schema.metrics().map(known => known.name)
  throw report('unknown_metric', `there is no metric "${name}"`, span, didYouMeanHint(name, names))
}

/** How the rows of a sub-select follow one another. */
function outputSequence({ grouping, items, output }: SelectQuery): Sequence {
  if (grouping === undefined) {
    const time = output.find(({ name, type }) => name === 'time' && type === 'timestamp')
    const series = time && output.find(({ name, type }) => name === 'series' && type === 'string')
    return { time: time?.name, partition: series === undefined ? [] : ['series'] }
  }
  // A key is put out by the first item that is nothing but the key.
  const outputs = new Map<string, string>()
  for (const { name, expr } of items) {
    if (expr.kind === 'column' && !outputs.has(expr.name)) outputs.set(expr.name, name)
  }
  const bucketKey = grouping.keys.find(key => key.bucket !== undefined)
  const bucket = bucketKey && outputs.get(bucketKey.name)
  const named = output.find(({ name, type }) => name === 'time' && type === 'timestamp')
  const time = bucket ?? named?.name
  if (time === undefined) return { time, partition: [] }
  const others = grouping.keys.filter(key => key !== bucketKey).map(key => outputs.get(key.name))
  return { time, partition: others.filter(name => name !== undefined && name !== time) as string[] }
}

// ---- joins ----------------------------------------------------------------------------------------------------------

function checkJoin(sides: readonly SideSource[], report: Report): boolean {
  const known = new Set<string>()
  for (const { qualifier, sequence, span } of sides) {
    const name = qualifier.join('.')
    if (known.has(name)) {
      throw report('wrong_argument', `two sources of the join are called ${name}`, span, 'give one of them an alias')
    }
    known.add(name)
    if (sequence.time === undefined) {
      const hint = 'output time, or a time_bucket that the sub-select groups by'
      throw report('wrong_argument', `rows are joined in time, and those of ${name} have none`, span, hint)
    }
  }
  return true
}

/** From left to right; each join has the columns of all before it. */
function joinOf(
  sides: readonly SideSource[],
  scope: FromScope,
  within: readonly number[],
  report: Report,
): SourceQuery {
  const joinSides = sides.map((side, index) => joinSide(side, scope.used(index)))
  const total = joinSides.reduce((sum, { items }) => sum + items!.length, 0)
  const { start } = sides[0]!.span
  const { end } = sides.at(-1)!.span
  if (total > columnsMax) {
    throw report('query_too_complex', `the join has ${total} columns, at most ${columnsMax} can be read`, {
      start,
      end,
    })
  }
  const names = new Set<string>()
  for (const { name } of joinSides.flatMap(side => side.items!)) {
    if (names.has(name)) {
      throw report('wrong_argument', `two columns of the join are called ${name}`, { start, end }, 'use other aliases')
    }
    names.add(name)
  }
  let left = joinSides[0]!
  let schema: Schema = schemaOf(left)
  let partition = left.source.sequence.partition.map(name => joinedName(sides[0]!.qualifier, name))
  const time = joinedName(sides[0]!.qualifier, left.source.sequence.time!)
  for (let index = 1; index < joinSides.length; index++) {
    const right = joinSides[index]!
    schema = [...schema, ...schemaOf(right)]
    partition = [
      ...partition,
      ...right.source.sequence.partition.map(name => joinedName(sides[index]!.qualifier, name)),
    ]
    const source: SourceQuery = {
      kind: 'join',
      left,
      right,
      withinUs: within[index - 1]!,
      schema,
      sequence: { time, partition },
    }
    left = { source, alias: undefined, items: undefined }
  }
  return left.source
}

function joinSide({ qualifier, finish, span }: SideSource, used: ReadonlySet<string>): JoinSide {
  const source = finish()
  const items: NamedExpr[] = []
  for (const { name, type } of source.schema) {
    if (used.has(name)) items.push({ name: joinedName(qualifier, name), expr: columnRef(name, type, span) })
  }
  return { source, alias: qualifier.join('.'), items }
}

function schemaOf({ source, items }: JoinSide): Schema {
  const nullable = new Map(source.schema.map(column => [column.name, column.nullable]))
  return items!.map(({ name, expr }) => ({
    name,
    type: expr.type as ValueType,
    nullable: expr.kind !== 'column' || nullable.get(expr.name)!,
  }))
}
