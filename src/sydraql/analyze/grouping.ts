/**
 * Aggregation: takes the aggregates out of expressions and makes what is left read the aggregation's columns.
 *
 *   avg(usage) * 2, grouped by tag.host  ->  aggregates [avg(field.usage)], expression column("avg(field.usage)") * 2
 *
 * Invariant: aggregates and keys that are equal but for spans are computed once.
 */
import type { ColumnInfo, ValueType } from '../../columnar/batch.ts'
import { bucketOf } from '../bucket.ts'
import type { Call, ColumnRef, Expr, Span } from '../expression.ts'
import { formatExpr } from '../format.ts'
import { functionInfo } from '../functions.ts'
import type { AggregateCall, Bucket, FillMode, GroupKey, Sequence } from '../plan.ts'
import { keep, type Report } from '../problem.ts'
import { mapChildren, sameExpr, someNode } from '../rewrite.ts'
import { columnRef, resultName } from './scope.ts'
import { failed } from './surroundings.ts'

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
  readonly #keysByKind = new Map<string, GroupKey[]>()
  readonly #aggregates: Named[] = []
  /** By printed text, under which calls that print alike may lie together. */
  readonly #aggregatesByText = new Map<string, Named[]>()
  readonly #names = new UniqueNames()
  readonly #report: Report
  readonly #sequence: Sequence
  readonly #fill: FillMode | undefined
  #hasFailedKey = false

  /** `sequence`: of the rows that are grouped. */
  constructor(report: Report, sequence: Sequence, fill: FillMode | undefined) {
    this.#report = report
    this.#sequence = sequence
    this.#fill = fill
  }

  addKey(expr: Expr, span: Span): void {
    if (this.#keyOf(expr) !== undefined) return
    const bucket = timeBucketOf(expr, this.#sequence)
    if (bucket !== undefined && this.#keys.some(key => key.bucket !== undefined)) {
      throw this.#report('wrong_argument', 'a query can be grouped by one time_bucket only', span)
    }
    const key = { name: this.#names.add(formatExpr(expr)), expr, bucket }
    this.#keys.push(key)
    append(this.#keysByKind, kindOf(expr), key)
  }

  /** A key in error may be any column: none is then called not grouped. */
  addFailedKey(): void {
    this.#hasFailedKey = true
  }
  get hasFailedKey(): boolean {
    return this.#hasFailedKey
  }

  get bucketKey(): GroupKey | undefined {
    return this.#keys.find(key => key.bucket !== undefined)
  }
  get keys(): readonly GroupKey[] {
    return this.#keys
  }
  get aggregates(): readonly AggregateCall[] {
    return this.#aggregates.map(({ call, name }) => {
      const distinct = call.name === 'count_distinct'
      return { name, function: distinct ? 'count' : call.name, args: call.args, distinct }
    })
  }
  /** The keys' columns, then the aggregates'. */
  schema(fill: FillMode | undefined, nullable: Nullability): readonly ColumnInfo[] {
    const keys = this.#keys.map(({ name, expr }) => ({
      name,
      type: expr.type as ValueType,
      nullable: isNullable(expr, nullable),
    }))
    return [...keys, ...this.values(fill)]
  }

  /** The aggregates' columns. */
  values(fill: FillMode | undefined): readonly ColumnInfo[] {
    return this.#aggregates.map(({ name, call }) => ({
      name,
      type: filledType(call.type as ValueType, fill),
      nullable: !counts.has(call.name) || fill !== undefined,
    }))
  }

  /** The expression over the aggregation's columns; keeps `not_grouped` errors. */
  regroup(expr: Expr): Expr {
    const key = this.#keyOf(expr)
    if (key !== undefined) return columnRef(key.name, expr.type as ValueType, expr.span)
    if (isAggregate(expr)) return this.#aggregate(expr)
    if (expr.kind === 'column') {
      if (!this.#hasFailedKey) keep(this.#report, this.#notGrouped(expr))
      return failed
    }
    return widened(
      mapChildren(expr, child => this.regroup(child)),
      expr,
    )
  }

  #notGrouped({ name: column, span }: ColumnRef) {
    const name = resultName(column)
    const hint = `add it to group by, or say which value you want, as in last(${name})`
    return this.#report('not_grouped', `${name} is neither grouped by nor inside an aggregate`, span, hint)
  }

  #keyOf(expr: Expr): GroupKey | undefined {
    return this.#keysByKind.get(kindOf(expr))?.find(key => sameExpr(key.expr, expr))
  }

  #aggregate(call: Call): Expr {
    const text = formatExpr(call)
    let found = this.#aggregatesByText.get(text)?.find(known => sameExpr(known.call, call))
    if (found === undefined) {
      found = { call, name: this.#names.add(text) }
      this.#aggregates.push(found)
      append(this.#aggregatesByText, text, found)
    }
    return columnRef(found.name, filledType(call.type as ValueType, this.#fill), call.span)
  }
}

/** A call and the column that holds its value. */
interface Named {
  readonly call: Call
  readonly name: string
}

const counts = new Set(['count', 'count_distinct', 'approx_count_distinct'])

/** Equal expressions are of one kind. */
const kindOf = (expr: Expr): string =>
  expr.kind === 'column' || expr.kind === 'call' ? `${expr.kind} ${expr.name}` : expr.kind

export function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, [value])
  else known.push(value)
}

/** What was of integers is of floats when filling made one of its operands so. */
function widened(expr: Expr, before: Expr): Expr {
  if (expr === before || expr.type !== 'integer') return expr
  if (expr.kind === 'case') {
    const results = [...expr.branches.map(branch => branch.then), ...(expr.otherwise ? [expr.otherwise] : [])]
    return results.some(({ type }) => type === 'float') ? { ...expr, type: 'float' } : expr
  }
  if (expr.kind !== 'call') return expr
  const returns = functionInfo(expr.name)?.returns
  const follows = returns === 'first' || returns === 'common' || returns === 'arithmetic' || returns === 'difference'
  return follows && expr.args.some(({ type }) => type === 'float') ? { ...expr, type: 'float' } : expr
}

/** The bucket function of `time_bucket(…)` over the sequence's time. */
export function timeBucketOf(expr: Expr, { time }: Sequence): Bucket | undefined {
  if (expr.kind !== 'call' || expr.name !== 'time_bucket') return undefined
  const of = expr.args[1]!
  return of.kind === 'column' && of.name === time ? bucketOf(expr) : undefined
}

/** Names that are each given once: the second `avg` is `avg_2`. Takes constant time for a name however often it comes. */
export class UniqueNames {
  readonly #next = new Map<string, number>()

  constructor(taken: Iterable<string> = []) {
    for (const name of taken) this.#next.set(name, 2)
  }

  /** The name, or the name with `_2`, `_3`, … when it is taken. */
  add(name: string): string {
    let count = this.#next.get(name)
    let unique = name
    if (count !== undefined) {
      do unique = `${name}_${count++}`
      while (this.#next.has(unique))
      this.#next.set(name, count)
    }
    this.#next.set(unique, 2)
    return unique
  }
}

/** Functions that give a value whenever their arguments do. */
const total = new Set(
  'and or not eq ne lt le gt ge is_null in like ilike regex_match add sub neg abs sign least greatest time_bucket extract concat'.split(
    ' ',
  ),
)

/** Whether a column may be null. */
export type Nullability = (column: string) => boolean

/** False only when the expression is never null. */
export function isNullable(expr: Expr, nullable: Nullability): boolean {
  switch (expr.kind) {
    case 'literal':
      return expr.value === null
    case 'column':
      return nullable(expr.name)
    case 'now':
      return false
    case 'call':
      if (expr.name === 'is_null' || expr.name === 'concat') return false
      if (expr.name === 'coalesce') return expr.args.every(arg => isNullable(arg, nullable))
      return !total.has(expr.name) || expr.args.some(arg => isNullable(arg, nullable))
    case 'case':
      if (expr.otherwise === undefined || isNullable(expr.otherwise, nullable)) return true
      return expr.branches.some(branch => isNullable(branch.then, nullable))
    case 'parameter':
      return true
  }
}
