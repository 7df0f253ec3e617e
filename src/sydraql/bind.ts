/**
 * Binding: parameters and `now()` become literals, then the plan is built and optimised.
 *
 * Invariants:
 * 1. A parameter's value never passes through query text.
 * 2. The plan of a query without parameters and `now()` is made once.
 */
import type { ValueType } from '../columnar/batch.ts'
import { SydraError } from '../lib/errors.ts'
import { checkConstants } from './analyze/constants.ts'
import { typeName, valueFromText } from './analyze/types.ts'
import { buildPlan, rangeOf } from './build.ts'
import type { Expr, Literal, Parameter } from './expression.ts'
import { optimize } from './optimize.ts'
import type { LogicalPlan } from './plan.ts'
import type { Prepared } from './prepare.ts'
import { type Report, reporter } from './problem.ts'
import type { Grouping, Query, RowCount, SelectQuery } from './query.ts'
import { mapChildren, mapSame } from './rewrite.ts'
import { isTimestamp } from './times.ts'

/** A Date is a timestamp; numbers compared with a time are µs, texts ISO 8601. */
export type ParameterValue = number | string | boolean | null | Date

export interface BindOptions {
  /** Rules to leave out, by name. */
  readonly withoutRules?: ReadonlySet<string>
  /** Refuse a `select` whose `where` does not bound `time` below. */
  readonly requireTimeRange?: boolean
}

export interface Bound {
  readonly plan: LogicalPlan
  readonly firedRules: readonly string[]
}

/** Plans of prepared queries that nothing varies. */
const constantPlans = new WeakMap<Prepared, Bound>()

/**
 * @example
 * bind(prepare('select value from cpu where time >= ?', schema), [new Date()], clock.nowUs()).plan
 */
export function bind(
  prepared: Prepared,
  values: readonly ParameterValue[],
  nowUs: number,
  options: BindOptions = {},
): Bound {
  if (values.length !== prepared.parameterCount) {
    const wanted = `${prepared.parameterCount} parameter${prepared.parameterCount === 1 ? '' : 's'}`
    throw new SydraError('wrong_argument_count', `the query takes ${wanted}, ${values.length} were given`)
  }
  const report = reporter(prepared.text)
  const isCached = prepared.isConstant && options.withoutRules === undefined
  let bound = isCached ? constantPlans.get(prepared) : undefined
  const query =
    bound === undefined || options.requireTimeRange ? substituted(prepared, values, nowUs, report) : undefined
  if (options.requireTimeRange) requireTimeRange(query!)
  if (bound === undefined) {
    bound = optimize(buildPlan(query!, report), options.withoutRules)
    if (isCached) constantPlans.set(prepared, bound)
  }
  return bound
}

function requireTimeRange(query: Query): void {
  if (query.kind !== 'select' || query.source === undefined || rangeOf(query).fromUs !== -Infinity) return
  const hint = 'add a bound, such as time >= now() - 1h'
  throw new SydraError('time_range_required', 'where must bound time below', { hint })
}

function substituted(prepared: Prepared, values: readonly ParameterValue[], nowUs: number, report: Report): Query {
  const { query } = prepared
  if (prepared.isConstant) return query
  const replace = (expr: Expr): Expr => {
    if (expr.kind === 'parameter') return parameterLiteral(expr, values[expr.index - 1]!, report)
    if (expr.kind === 'now') return { kind: 'literal', type: 'timestamp', value: nowUs, span: expr.span }
    const mapped = mapChildren(expr, replace)
    if (mapped !== expr && mapped.kind === 'call') checkConstants(mapped, report)
    return mapped
  }
  if (query.kind === 'insert' || query.kind === 'delete') return query
  const maybe = (expr: Expr | undefined): Expr | undefined => expr && replace(expr)
  const limit = boundCount(query.limit, values, 'limit', report)
  if (query.kind === 'show') return { ...query, where: maybe(query.where), limit }
  return {
    ...query,
    where: maybe(query.where),
    grouping: query.grouping && boundGrouping(query.grouping, replace, report),
    orderBy: mapSame(query.orderBy, key => replaced(key, replace)),
    items: mapSame(query.items, item => replaced(item, replace)),
    limit,
    offset: boundCount(query.offset, values, 'offset', report),
  } satisfies SelectQuery
}

function replaced<T extends { readonly expr: Expr }>(item: T, replace: (expr: Expr) => Expr): T {
  const expr = replace(item.expr)
  return expr === item.expr ? item : { ...item, expr }
}

function boundGrouping(grouping: Grouping, replace: (expr: Expr) => Expr, report: Report): Grouping {
  return {
    ...grouping,
    keys: mapSame(grouping.keys, key => replaced(key, replace)),
    aggregates: mapSame(grouping.aggregates, aggregate => {
      const args = mapSame(aggregate.args, replace)
      if (args === aggregate.args) return aggregate
      checkConstants({ kind: 'call', type: 'float', name: aggregate.function, args, span: args[0]!.span }, report)
      return { ...aggregate, args }
    }),
    having: grouping.having && replace(grouping.having),
  }
}

function boundCount(
  count: RowCount | undefined,
  values: readonly ParameterValue[],
  clause: string,
  report: Report,
): RowCount | undefined {
  if (count?.kind !== 'parameter') return count
  const literal = parameterLiteral(count, values[count.index - 1]!, report)
  if (typeof literal.value === 'number' && literal.value >= 0) return literal
  throw report('wrong_argument', `${clause} must be a whole number not below 0`, count.span)
}

function parameterLiteral({ index, type, span }: Parameter, value: ParameterValue, report: Report): Literal {
  if (value === null) return { kind: 'literal', type: 'null', value: null, span }
  const converted = convert(value, type as ValueType)
  if (converted !== undefined) return { kind: 'literal', type, value: converted, span }
  const given = value instanceof Date ? 'a Date' : JSON.stringify(value)
  const code = typeof value === 'string' && type !== 'boolean' ? 'wrong_argument' : 'type_mismatch'
  throw report(code, `parameter ${index} must be ${typeName(type)}, ${given} is none`, span)
}

/** The value as the type wants it; undefined when it cannot be. */
function convert(value: Exclude<ParameterValue, null>, type: ValueType): number | string | boolean | undefined {
  if (typeof value === 'string') return valueFromText(value, type)
  if (typeof value === 'boolean') return type === 'boolean' ? value : undefined
  if (value instanceof Date) {
    const us = value.getTime() * 1000
    return type === 'timestamp' && isTimestamp(us) ? us : undefined
  }
  switch (type) {
    case 'timestamp': {
      const us = Math.floor(value)
      return isTimestamp(us) ? us : undefined
    }
    case 'integer':
      return Number.isSafeInteger(value) ? value : undefined
    case 'duration':
      return Number.isFinite(value) ? Math.trunc(value) : undefined
    case 'float':
      return value
    default:
      return undefined
  }
}
