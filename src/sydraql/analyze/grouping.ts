/**
 * Aggregation: takes the aggregates out of expressions and makes what is left read the aggregation's columns.
 *
 *   avg(usage) * 2, grouped by tag.host  ->  aggregates [avg(field.usage)], expression column("avg(field.usage)") * 2
 *
 * Invariant: aggregates and keys that are equal but for spans are computed once.
 */
import type { ColumnInfo, ValueType } from '../../columnar/batch.ts'
import { bucketOf } from '../bucket.ts'
import type { Call, Expr, Span } from '../expression.ts'
import { formatExpr } from '../format.ts'
import { functionInfo } from '../functions.ts'
import type { AggregateCall, FillMode, GroupKey } from '../plan.ts'
import type { Report } from '../problem.ts'
import { mapChildren, sameExpr, someNode } from '../rewrite.ts'
import { columnRef, resultName } from './scope.ts'

const isAggregate = (expr: Expr): expr is Call =>
  expr.kind === 'call' && (expr.name === 'count_distinct' || functionInfo(expr.name)?.kind === 'aggregate')

export const hasAggregate = (expr: Expr): boolean => someNode(expr, isAggregate)

/** Result types after a fill: a straight line or a constant between integers is no integer. */
export const filledType = (type: ValueType, fill: FillMode | undefined): ValueType => {
  if (type !== 'integer' || fill === undefined) return type
  return fill.kind === 'linear' || (fill.kind === 'constant' && !Number.isSafeInteger(fill.value)) ? 'float' : type
}

export class GroupingBuilder {
  readonly #keys: GroupKey[] = []
  readonly #aggregates: { readonly call: Call; readonly name: string }[] = []
  readonly #names = new Set<string>()
  readonly #report: Report
  readonly #fill: FillMode | undefined

  constructor(report: Report, fill: FillMode | undefined) {
    this.#report = report
    this.#fill = fill
  }

  addKey(expr: Expr, span: Span): void {
    if (this.#keys.some(key => sameExpr(key.expr, expr))) return
    const isBucket = expr.kind === 'call' && expr.name === 'time_bucket' && isTime(expr.args[1]!)
    const bucket = isBucket ? bucketOf(expr) : undefined
    if (bucket !== undefined && this.#keys.some(key => key.bucket !== undefined)) {
      throw this.#report('wrong_argument', 'a query can be grouped by one time_bucket only', span)
    }
    this.#keys.push({ name: this.#nameFor(expr), expr, bucket })
  }

  get bucketKey(): GroupKey | undefined {
    return this.#keys.find(key => key.bucket !== undefined)
  }
  get keys(): readonly GroupKey[] {
    return this.#keys
  }
  get aggregates(): readonly AggregateCall[] {
    return this.#aggregates.map(({ call, name }) => {
      const distinct = call.name.endsWith('_distinct')
      return { name, function: call.name.replace(/_distinct$/, ''), args: call.args, distinct }
    })
  }
  /** The keys' columns, then the aggregates'. */
  schema(fill: FillMode | undefined): ColumnInfo[] {
    const keys = this.#keys.map(({ name, expr }) => ({
      name,
      type: expr.type as ValueType,
      nullable: isNullable(expr),
    }))
    const values = this.#aggregates.map(({ name, call }) => ({
      name,
      type: filledType(call.type as ValueType, fill),
      nullable: !call.name.startsWith('count') || fill !== undefined,
    }))
    return [...keys, ...values]
  }

  /** The expression over the aggregation's columns. Throws `not_grouped`. */
  regroup(expr: Expr): Expr {
    const key = this.#keys.find(candidate => sameExpr(candidate.expr, expr))
    if (key !== undefined) return columnRef(key.name, expr.type as ValueType, expr.span)
    if (isAggregate(expr)) return this.#aggregate(expr)
    if (expr.kind === 'column') {
      const name = resultName(expr.name)
      const hint = `add it to group by, or say which value you want, as in last(${name})`
      throw this.#report('not_grouped', `${name} is neither grouped by nor inside an aggregate`, expr.span, hint)
    }
    return mapChildren(expr, child => this.regroup(child))
  }

  #aggregate(call: Call): Expr {
    let found = this.#aggregates.find(known => sameExpr(known.call, call))
    if (found === undefined) {
      found = { call, name: this.#nameFor(call) }
      this.#aggregates.push(found)
    }
    return columnRef(found.name, filledType(call.type as ValueType, this.#fill), call.span)
  }

  /** Columns of the aggregation are called by what they hold. */
  #nameFor(expr: Expr): string {
    const name = uniqueName(formatExpr(expr), this.#names)
    this.#names.add(name)
    return name
  }
}

const isTime = (expr: Expr): boolean => expr.kind === 'column' && expr.name === 'time'

/** The name, or the name with `_2`, `_3`, … when it is taken. */
export function uniqueName(name: string, taken: ReadonlySet<string>): string {
  let unique = name
  for (let count = 2; taken.has(unique); count++) unique = `${name}_${count}`
  return unique
}

/** Functions that give a value whenever their arguments do. */
const total = new Set(
  'and or not eq ne lt le gt ge is_null in like ilike regex_match add sub neg abs sign least greatest time_bucket extract concat'.split(
    ' ',
  ),
)

/** False only when the expression is never null. */
export function isNullable(expr: Expr, columns?: ReadonlyMap<string, boolean>): boolean {
  switch (expr.kind) {
    case 'literal':
      return expr.value === null
    case 'column':
      return columns?.get(expr.name) ?? (expr.name !== 'time' && expr.name !== 'series' && expr.name !== 'series_id')
    case 'now':
      return false
    case 'call':
      if (expr.name === 'is_null' || expr.name === 'concat') return false
      if (expr.name === 'coalesce') return expr.args.every(arg => isNullable(arg, columns))
      return !total.has(expr.name) || expr.args.some(arg => isNullable(arg, columns))
    case 'case':
      if (expr.otherwise === undefined || isNullable(expr.otherwise, columns)) return true
      return expr.branches.some(branch => isNullable(branch.then, columns))
    case 'parameter':
      return true
  }
}
