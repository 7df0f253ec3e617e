/**
 * A query clause by clause, typed: what analysis makes once per text and `build.ts` stacks into a plan per execution,
 * when parameters and `now()` have become literals.
 *
 * Invariants:
 * 1. `where` and the arguments of aggregates read columns of the scan; everything else of a grouped query reads the
 *    aggregation's columns.
 * 2. Names in `output` are unique.
 */
import type { Schema } from '../columnar/batch.ts'
import type { AsOf } from './ast.ts'
import type { Expr, Literal, Parameter, Span } from './expression.ts'
import type {
  AggregateCall,
  FillMode,
  GroupKey,
  NamedExpr,
  Sequence,
  ShowSubject,
  SortKey,
  TimeRange,
  WindowCall,
} from './plan.ts'

/** One metric, or with `seriesIds` some of its series. */
export interface MetricSource {
  readonly kind: 'metric'
  readonly metric: string
  readonly seriesIds: readonly string[] | undefined
  /** Absent: the present. */
  readonly asOf?: AsOf
  /** All columns that a scan of the metric can yield. */
  readonly schema: Schema
  readonly sequence: Sequence
}
/** A regex over metric names: each metric's rows, in those columns of all that are read (null where a metric lacks one). */
export interface MetricsSource {
  readonly kind: 'metrics'
  readonly parts: readonly MetricPart[]
  readonly schema: Schema
  readonly sequence: Sequence
}
/** A metric of a pattern; `items` makes the columns of all from its own. */
export interface MetricPart {
  readonly source: MetricSource
  readonly items: readonly NamedExpr[]
}
/** A sub-select: its output columns under their names. */
export interface SelectSource {
  readonly kind: 'query'
  readonly query: SelectQuery
  readonly schema: Schema
  readonly sequence: Sequence
}
/** Columns carry the alias of their source: `a.time`, `b.field.usage`, in `left` as in `right`. */
export interface JoinSource {
  readonly kind: 'join'
  readonly left: JoinSide
  readonly right: JoinSide
  readonly withinUs: number
  readonly schema: Schema
  /** The first source's time; the partitions of both sides. */
  readonly sequence: Sequence
}
export interface JoinSide {
  readonly source: SourceQuery
  /** Put before the source's column names with a dot; undefined for a join, whose columns have theirs. */
  readonly alias: string | undefined
  /** Its columns under their names in the join, those that are read; undefined for a join. */
  readonly items: readonly NamedExpr[] | undefined
}
export type SourceQuery = MetricSource | MetricsSource | SelectSource | JoinSource
export interface Grouping {
  readonly keys: readonly GroupKey[]
  readonly aggregates: readonly AggregateCall[]
  /** The keys, then the aggregates. */
  readonly schema: Schema
  readonly having: Expr | undefined
  readonly fill: FillMode | undefined
  /** `schema` after filling, which may make integers floats. */
  readonly filledSchema: Schema
}
/** `select histogram(v, low, high, n) from …`, which stands alone. */
export interface HistogramQuery {
  readonly value: Expr
  /** Constants: literals once bound. */
  readonly low: Expr
  readonly high: Expr
  readonly buckets: Expr
}
/** A row count: a whole number not below zero once bound. */
export type RowCount = Literal | Parameter

export interface SelectQuery {
  readonly kind: 'select'
  /** undefined: one row without columns. */
  readonly source: SourceQuery | undefined
  readonly where: Expr | undefined
  readonly grouping: Grouping | undefined
  readonly histogram: HistogramQuery | undefined
  /** Row functions, over the columns of the source or of the grouping; what follows reads their columns too. */
  readonly windows: readonly WindowCall[]
  /** The columns that `windows` adds, one each. */
  readonly windowColumns: Schema
  /** Of the rows that `windows` runs on. */
  readonly sequence: Sequence
  /**
   * Over the same columns as `items`, with what settles ties; over the output columns when `distinct`. Empty where the
   * order is the grouping's or the sub-select's.
   */
  readonly orderBy: readonly SortKey[]
  readonly items: readonly NamedExpr[]
  readonly distinct: boolean
  readonly limit: RowCount | undefined
  /** Over the same columns as `orderBy`: `limit` is then one for each of its values. */
  readonly limitPer: Expr | undefined
  readonly offset: RowCount | undefined
  readonly output: Schema
}
export interface ShowQuery {
  readonly kind: 'show'
  readonly subject: ShowSubject
  readonly metric: string | undefined
  readonly where: Expr | undefined
  readonly limit: RowCount | undefined
  readonly output: Schema
}
/** Expressions without columns: literals once bound. */
export interface InsertQuery {
  readonly kind: 'insert'
  readonly metric: string
  readonly tags: readonly { readonly key: string; readonly value: Expr }[]
  readonly fields: readonly string[]
  readonly rows: readonly { readonly time: Expr; readonly values: readonly Expr[]; readonly span: Span }[]
  /** One row: how many were written. */
  readonly output: Schema
}
export interface DeleteQuery {
  readonly kind: 'delete'
  readonly source: MetricSource
  /** Bounds of time at both ends, and conditions on tags and series. */
  readonly where: Expr
  /** One row: how many series it concerns. */
  readonly output: Schema
}
export type Query = SelectQuery | ShowQuery | InsertQuery | DeleteQuery

/** What a statement that writes asks of the engine, once bound. */
export type Write =
  | {
      readonly kind: 'insert'
      readonly metric: string
      readonly tags: Readonly<Record<string, string>>
      readonly rows: readonly {
        readonly timeUs: number
        /** A null is a missing field. Fields of type `integer` are those whose value was written so. */
        readonly fields: Readonly<Record<string, InsertValue>>
      }[]
    }
  | {
      readonly kind: 'delete'
      readonly metric: string
      readonly range: TimeRange
      readonly seriesPredicate: Expr | undefined
    }

export interface InsertValue {
  readonly type: 'float' | 'integer' | 'boolean' | 'string'
  readonly value: number | boolean | string
}
