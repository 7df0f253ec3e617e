/**
 * Binding of what writes: an `insert` to rows of values, a `delete` to a range of time and a condition on series.
 *
 * Invariant: every value of an insert is a literal by then: parameters, `now()` and what `evaluate` folds.
 */

import { evaluate } from './evaluate.ts'
import type { Expr, Literal } from './expression.ts'
import { checkCount, type ParameterValue } from './parameters.ts'
import type { Prepared } from './prepare.ts'
import { type Report, reporter } from './problem.ts'
import type { DeleteQuery, InsertQuery, InsertValue, Write } from './query.ts'
import { conjuncts, joined, rewrite, someNode } from './rewrite.ts'
import { plainCondition } from './rules/simplify.ts'
import { substitute, type Values } from './substitute.ts'
import { everything, intersection, isEmptyRange, timeCondition } from './time-range.ts'
import { isTimestamp } from './times.ts'

/**
 * Throws what is wrong with values, `invalid_row`, `invalid_timestamp`, `time_range_required`.
 *
 * @example
 * bindWrite(prepare("insert into cpu (host = ?) values (now(), 0.5)", schema), ['a'], clock.nowUs())
 */
export function bindWrite(prepared: Prepared, parameters: readonly ParameterValue[], nowUs: number): Write {
  checkCount(prepared.parameterCount, parameters)
  const report = reporter(prepared.text)
  const { query } = prepared
  const values: Values = { parameters, nowUs }
  if (query.kind === 'insert') return boundInsert(substitute(query, values, report), report)
  if (query.kind === 'delete') return boundDelete(substitute(query, values, report), report)
  throw new Error(`a ${query.kind} does not write`)
}

// ---- insert ---------------------------------------------------------------------------------------------------------

function boundInsert({ metric, tags, fields, rows }: InsertQuery, report: Report): Write {
  return {
    kind: 'insert',
    metric,
    // A null or empty tag is absent.
    tags: Object.fromEntries(
      tags
        .map(({ key, value }) => [key, folded(value, report).value] as const)
        .filter(([, value]) => value !== null && value !== ''),
    ) as Record<string, string>,
    rows: rows.map(({ time, values, span }) => {
      const entries: [string, InsertValue][] = []
      for (const [index, expr] of values.entries()) {
        const value = fieldValue(folded(expr, report), report)
        if (value !== undefined) entries.push([fields[index]!, value])
      }
      if (entries.length === 0) throw report('invalid_row', 'every field of this row is null', span)
      return { timeUs: timeOf(folded(time, report), report), fields: Object.fromEntries(entries) }
    }),
  }
}

function folded(expr: Expr, report: Report): Literal {
  const value = rewrite(expr, node => (node.kind === 'call' ? (evaluate(node) ?? node) : node))
  if (value.kind === 'literal') return value
  throw report(
    'unsupported_feature',
    'an insert cannot compute this value',
    expr.span,
    'compute it before, and give it as a parameter',
  )
}

function timeOf({ value, span }: Literal, report: Report): number {
  if (typeof value === 'number' && isTimestamp(value)) return value
  throw report('invalid_timestamp', `${value} is not a time between 1685 and 2255`, span)
}

/** A null is a missing field. */
function fieldValue({ type, value, span }: Literal, report: Report): InsertValue | undefined {
  if (value === null || type === 'null') return undefined
  if (type === 'timestamp' || type === 'duration') throw report('type_mismatch', `a field holds no ${type}`, span)
  return { type, value }
}

// ---- delete ---------------------------------------------------------------------------------------------------------

function boundDelete({ source, where }: DeleteQuery, report: Report): Write {
  let range = everything
  const rest: Expr[] = []
  for (const part of conjuncts(plainCondition(where))) {
    const condition = timeCondition(part)
    if (condition.exact) range = intersection(range, condition.range)
    else if (readsTime(part)) {
      const hint = "such as time >= '2024-03-01' and time < '2024-03-02'"
      throw report('wrong_argument', 'delete takes one range of time: bounds joined by and', part.span, hint)
    } else if (!(part.kind === 'literal' && part.value === true)) rest.push(part)
  }
  const isEmpty = isEmptyRange(range)
  if (!isEmpty && !(Number.isFinite(range.fromUs) && Number.isFinite(range.toUs))) {
    const side = Number.isFinite(range.fromUs) ? 'above' : Number.isFinite(range.toUs) ? 'below' : 'below and above'
    const hint = "such as time >= '2024-03-01' and time < '2024-03-02'"
    throw report('time_range_required', `delete must bound time ${side}`, where.span, hint)
  }
  return {
    kind: 'delete',
    metric: source.metric,
    range: isEmpty ? { fromUs: 0, toUs: 0 } : range,
    seriesPredicate: joined('and', rest),
  }
}

const readsTime = (expr: Expr): boolean => someNode(expr, node => node.kind === 'column' && node.name === 'time')
