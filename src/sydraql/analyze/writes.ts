/** `insert` and `delete`: what they write is checked as far as it can be without parameters; `bind-write.ts` does the rest. */
import type { Schema } from '../../columnar/batch.ts'
import type { DeleteStatement, InsertStatement, NamedSpan, SyntaxExpr } from '../ast.ts'
import type { Expr } from '../expression.ts'
import { attempt, keep, type Report } from '../problem.ts'
import type { DeleteQuery, InsertQuery } from '../query.ts'
import { conjuncts, someNode } from '../rewrite.ts'
import { metricColumns } from '../schema.ts'
import { analyze, analyzeCondition, checkFinished } from './expressions.ts'
import { SeriesScope } from './local-scopes.ts'
import { FromScope, type Scope } from './scope.ts'
import { findMetric, metricSequence } from './sources.ts'
import { type Analysis, attemptExpr, failed, isFailed, type Surroundings } from './surroundings.ts'
import { checkArgument, coerce, isUntyped } from './types.ts'

const counted = (name: string): Schema => [{ name, type: 'integer', nullable: false }]
const insertOutput = counted('rows')
const deleteOutput = counted('series')

/** Values name no columns. */
const valuesScope: Scope = {
  resolve({ parts, span }, report) {
    const hint = "text stands in single quotes, as in 'a'"
    throw report('unknown_field', `values are constants: there is no "${parts.join('.')}"`, span, hint)
  },
  star: () => undefined,
  title: ({ parts }) => parts.join('.'),
}

// ---- insert ---------------------------------------------------------------------------------------------------------

/** The metric need not exist, nor the fields: the row makes them. */
export function analyzeInsert(insert: InsertStatement, analysis: Analysis): InsertQuery {
  const { report } = analysis
  const around: Surroundings = {
    analysis,
    report,
    scope: valuesScope,
    sequence: { time: undefined, partition: [] },
    aliases: undefined,
    noAggregates: 'values',
    noWindows: 'values',
  }
  checkOnce(
    insert.tags.map(tag => tag.key),
    'tag',
    report,
  )
  checkOnce(insert.fields ?? [], 'field', report)
  return {
    kind: 'insert',
    metric: insert.metric.name,
    tags: insert.tags.map(({ key, value }) => ({
      key: key.name,
      value: attemptExpr(report, () => checkArgument(analyze(value, around), 'string', `the tag ${key.name}`, report)),
    })),
    fields: insert.fields?.map(field => field.name) ?? ['value'],
    rows: insert.rows.map(({ time, values, span }) => ({
      time: timeOf(time, around),
      values: values.map(value => fieldValue(value, around)),
      span,
    })),
    output: insertOutput,
  }
}

function checkOnce(names: readonly NamedSpan[], what: string, report: Report): void {
  const known = new Set<string>()
  for (const { name, span } of names) {
    if (known.has(name)) keep(report, report('wrong_argument', `the ${what} ${name} is named twice`, span))
    known.add(name)
  }
}

function timeOf(node: SyntaxExpr, around: Surroundings): Expr {
  const { report } = around
  const expr = attemptExpr(report, () => checkArgument(analyze(node, around), 'timestamp', 'the time of a row', report))
  checkFinished(expr, report)
  return expr
}

/** A parameter without a type takes that of its value. Integers are floats unless a cast says otherwise. */
function fieldValue(node: SyntaxExpr, around: Surroundings): Expr {
  const { report } = around
  const expr = analyze(node, around)
  if (isUntyped(expr) || isFailed(expr)) return expr
  checkFinished(expr, report)
  const { type, span } = expr
  if (type === 'timestamp' || type === 'duration') {
    const hint = 'store it as a number of µs, or as text'
    keep(report, report('type_mismatch', `a field holds no ${type}`, span, hint))
    return failed
  }
  if (type !== 'integer' || someNode(expr, isIntegerCast)) return expr
  return coerced(expr, report)
}

const isIntegerCast = (expr: Expr): boolean =>
  (expr.kind === 'call' && expr.name === 'cast_integer') || (expr.kind === 'parameter' && expr.type === 'integer')

const coerced = (expr: Expr, report: Report): Expr =>
  expr.kind === 'literal'
    ? attemptExpr(report, () => coerce(expr, 'float', report)!)
    : { kind: 'call', type: 'float', name: 'cast_float', args: [expr], span: expr.span }

// ---- delete ---------------------------------------------------------------------------------------------------------

export function analyzeDelete(statement: DeleteStatement, analysis: Analysis): DeleteQuery {
  const { report, schema } = analysis
  const { metric: named, where: condition } = statement
  const metric = attempt(report, () => findMetric(named.name, named.span, report, schema), undefined)
  const columns = metric && metricColumns(metric, schema)
  const sides =
    columns === undefined
      ? []
      : [{ qualifier: named.name.split('.'), scope: new SeriesScope(columns), sequence: metricSequence }]
  const where =
    columns === undefined
      ? failed
      : analyzeCondition(
          condition,
          {
            analysis,
            report,
            scope: new FromScope(sides),
            sequence: metricSequence,
            aliases: undefined,
            noAggregates: 'delete',
            noWindows: 'delete',
          },
          'the condition of where',
        )
  for (const part of conjuncts(where)) checkPart(part, report)
  return {
    kind: 'delete',
    source: {
      kind: 'metric',
      metric: named.name,
      seriesIds: undefined,
      schema: columns?.schema ?? [],
      sequence: metricSequence,
    },
    where,
    output: deleteOutput,
  }
}

/** A bound of time, or a condition on tags and series: what is deleted is known without reading a row. */
function checkPart(part: Expr, report: Report): void {
  let field: string | undefined
  let isTime = false
  let isSeries = false
  someNode(part, node => {
    if (node.kind !== 'column') return false
    if (node.name === 'time') isTime = true
    else if (node.name.startsWith('field.')) field ??= node.name.slice('field.'.length)
    else isSeries = true
    return false
  })
  if (field !== undefined) {
    const hint = 'bounds of time, tags and series may choose'
    keep(report, report('wrong_argument', `delete cannot choose by the field ${field}`, part.span, hint))
  } else if (isTime && isSeries) {
    const hint = 'join them by and'
    keep(report, report('wrong_argument', 'delete takes time and series apart', part.span, hint))
  }
}
