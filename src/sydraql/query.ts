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
import type { Expr, Literal, Parameter } from './expression.ts'
import type { AggregateCall, FillMode, GroupKey, NamedExpr, ShowSubject, SortKey } from './plan.ts'

export interface SourceQuery {
  readonly metric: string
  readonly seriesIds: readonly string[] | undefined
  /** All columns that a scan of the metric can yield. */
  readonly schema: Schema
}
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
/** A row count: a whole number not below zero once bound. */
export type RowCount = Literal | Parameter

export interface SelectQuery {
  readonly kind: 'select'
  /** undefined: one row without columns. */
  readonly source: SourceQuery | undefined
  readonly where: Expr | undefined
  readonly grouping: Grouping | undefined
  /** Over the same columns as `items`, with what settles ties; empty where the order is the grouping's. */
  readonly orderBy: readonly SortKey[]
  readonly items: readonly NamedExpr[]
  readonly limit: RowCount | undefined
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
export type Query = SelectQuery | ShowQuery
