/** Analysis: a syntax tree and a schema to a typed query. Throws the language's errors, each at its place. */
import type { SelectStatement, ShowStatement } from '../ast.ts'
import type { Report } from '../problem.ts'
import type { Query, ShowQuery } from '../query.ts'
import { type QuerySchema, showSchemas } from '../schema.ts'
import { analyzeCondition } from './expressions.ts'
import { ListingScope } from './scope.ts'
import { analyzeCount, analyzeSelect, findMetric } from './select.ts'

export function analyze(
  statement: SelectStatement | ShowStatement,
  text: string,
  report: Report,
  schema: QuerySchema,
): Query {
  return statement.kind === 'select'
    ? analyzeSelect(statement, text, report, schema)
    : analyzeShow(statement, text, report, schema)
}

function analyzeShow(show: ShowStatement, text: string, report: Report, schema: QuerySchema): ShowQuery {
  const { subject, from } = show
  if (from !== undefined && (subject === 'functions' || subject === 'settings')) {
    throw report('wrong_argument', `show ${subject} has no from`, from.span)
  }
  const output = showSchemas[subject]
  const scope = new ListingScope(output, `show ${subject}`)
  const around = { text, report, scope, aliases: undefined, noAggregates: 'where' }
  return {
    kind: 'show',
    subject,
    metric: from && findMetric(from.name, from.span, report, schema).name,
    where: show.where && analyzeCondition(show.where, around, 'the condition of where'),
    limit: show.limit && analyzeCount(show.limit, 'limit', report),
    output,
  }
}
