/** Analysis: a syntax tree and a schema to a typed query. Throws the language's errors, each at its place. */
import type { DeleteStatement, InsertStatement, SelectStatement, ShowStatement } from '../ast.ts'
import { attempt, reporter, throwKept } from '../problem.ts'
import type { Query, ShowQuery } from '../query.ts'
import { type QuerySchema, showSchemas } from '../schema.ts'
import { analyzeCondition } from './expressions.ts'
import { analyzeCount } from './ordering.ts'
import { ListingScope } from './scope.ts'
import { analyzeSelect } from './select.ts'
import { findMetric } from './sources.ts'
import type { Analysis } from './surroundings.ts'
import { analyzeDelete, analyzeInsert } from './writes.ts'

/** Throws the first error by position, with the others beside it. */
export function analyze(
  statement: SelectStatement | ShowStatement | InsertStatement | DeleteStatement,
  text: string,
  schema: QuerySchema,
): Query {
  const report = reporter(text)
  return throwKept(report, () => analyzeStatement(statement, { report, schema }))
}

function analyzeStatement(
  statement: SelectStatement | ShowStatement | InsertStatement | DeleteStatement,
  analysis: Analysis,
): Query {
  switch (statement.kind) {
    case 'select':
      return analyzeSelect(statement, analysis)
    case 'show':
      return analyzeShow(statement, analysis)
    case 'insert':
      return analyzeInsert(statement, analysis)
    case 'delete':
      return analyzeDelete(statement, analysis)
  }
}

function analyzeShow(show: ShowStatement, analysis: Analysis): ShowQuery {
  const { report, schema } = analysis
  const { subject, from } = show
  const metric = attempt(
    report,
    () => {
      if (from !== undefined && (subject === 'functions' || subject === 'settings')) {
        throw report('wrong_argument', `show ${subject} has no from`, from.span)
      }
      return from && findMetric(from.name, from.span, report, schema).name
    },
    undefined,
  )
  const output = showSchemas[subject]
  const around = {
    analysis,
    report,
    scope: new ListingScope(output, `show ${subject}`),
    sequence: { time: undefined, partition: [] },
    aliases: undefined,
    noAggregates: 'where',
    noWindows: 'where',
  }
  return {
    kind: 'show',
    subject,
    metric,
    where: show.where && analyzeCondition(show.where, around, 'the condition of where'),
    limit: analyzeCount(show.limit, 'limit', report),
    output,
  }
}
