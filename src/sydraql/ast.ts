/**
 * The syntax tree: what was written, before names and types are looked up. Built by the parser, read by analysis and by
 * the printer (`format.ts`), never mutated.
 *
 * Invariants:
 * 1. Every node carries the span of its own text.
 * 2. Operators are `operator` nodes by registry name; `and` and `or` are flat (two or more arguments), so that a chain
 *    of a thousand is not a tree a thousand deep.
 * 3. No tree is deeper than `nestingDepthMax` or larger than `queryNodesMax`: every pass may recurse.
 */
import type { Span } from './expression.ts'
import type { ShowSubject } from './plan.ts'

export type SyntaxExpr =
  | LiteralSyntax
  | NameSyntax
  | ParameterSyntax
  | CallSyntax
  | OperatorSyntax
  | CaseSyntax
  | StarSyntax

export interface LiteralSyntax {
  readonly kind: 'literal'
  /**
   * `digits`: an integer beyond ±2^53, as text (it may still be a time in ns). `calendar`: a width of whole months.
   * `regex`: the pattern without slashes. Durations and timestamps are µs.
   */
  readonly type:
    | 'null'
    | 'boolean'
    | 'integer'
    | 'digits'
    | 'float'
    | 'string'
    | 'duration'
    | 'timestamp'
    | 'calendar'
    | 'regex'
  readonly value: null | boolean | number | string
  readonly span: Span
}
export interface NameSyntax {
  readonly kind: 'name'
  /** Without quotes: `c.tag.host` has three. */
  readonly parts: readonly string[]
  readonly span: Span
}
/** `?` and `$n`, numbered from 1. */
export interface ParameterSyntax {
  readonly kind: 'parameter'
  readonly index: number
  readonly span: Span
}
export interface CallSyntax {
  readonly kind: 'call'
  /** As written; function names are looked up in lower case. */
  readonly name: string
  readonly args: readonly SyntaxExpr[]
  readonly distinct: boolean
  readonly nameSpan: Span
  readonly span: Span
}
/** `name`: of the registry, or `between`. */
export interface OperatorSyntax {
  readonly kind: 'operator'
  readonly name: string
  readonly args: readonly SyntaxExpr[]
  readonly span: Span
}
export interface CaseSyntax {
  readonly kind: 'case'
  /** `case subject when value …`, or undefined for `case when condition …`. */
  readonly subject: SyntaxExpr | undefined
  readonly branches: readonly { readonly when: SyntaxExpr; readonly then: SyntaxExpr }[]
  readonly otherwise: SyntaxExpr | undefined
  readonly span: Span
}
/** The `*` of `select *` and `count(*)`. */
export interface StarSyntax {
  readonly kind: 'star'
  readonly span: Span
}

export interface SelectItem {
  readonly expr: SyntaxExpr
  readonly alias: string | undefined
  readonly span: Span
}
/** `as of 'ref'`: a snapshot, by what it is called. */
export interface AsOf {
  readonly ref: string
  /** Of the text. */
  readonly span: Span
}
interface SeriesSourceSyntax {
  /** Absent: the present. */
  readonly asOf?: AsOf
  readonly alias: string | undefined
  readonly span: Span
}
export type SourceSyntax =
  | ({ readonly kind: 'metric'; readonly name: string } & SeriesSourceSyntax)
  | ({ readonly kind: 'series'; readonly id: string } & SeriesSourceSyntax)
  /** Every metric whose name the pattern finds; the pattern is without its slashes. */
  | ({ readonly kind: 'regex'; readonly pattern: string } & SeriesSourceSyntax)
  | { readonly kind: 'query'; readonly select: SelectStatement; readonly alias: string; readonly span: Span }

/** `join source on time [within 5s]` */
export interface JoinSyntax {
  readonly source: SourceSyntax
  /** 0 without `within`: equal times only. */
  readonly withinUs: number
  readonly span: Span
}

export interface FillSyntax {
  readonly mode: 'none' | 'null' | 'previous' | 'linear' | 'constant'
  /** `previous, lookback` */
  readonly lookbackUs: number | undefined
  readonly value: number | undefined
  readonly span: Span
}
export interface OrderSyntax {
  readonly expr: SyntaxExpr
  readonly descending: boolean
  /** undefined: last when ascending, first when descending. */
  readonly nulls: 'first' | 'last' | undefined
}
/** A row count: a literal or a parameter. */
export type CountSyntax = LiteralSyntax | ParameterSyntax

export interface SelectStatement {
  readonly kind: 'select'
  readonly distinct: boolean
  readonly items: readonly SelectItem[]
  readonly source: SourceSyntax | undefined
  /** Joined to the source from left to right. */
  readonly joins: readonly JoinSyntax[]
  readonly where: SyntaxExpr | undefined
  readonly groupBy: readonly SyntaxExpr[]
  readonly having: SyntaxExpr | undefined
  readonly fill: FillSyntax | undefined
  readonly orderBy: readonly OrderSyntax[]
  readonly limit: CountSyntax | undefined
  /** `limit n per expr` */
  readonly limitPer: SyntaxExpr | undefined
  readonly offset: CountSyntax | undefined
  readonly span: Span
}
export interface ShowStatement {
  readonly kind: 'show'
  readonly subject: ShowSubject
  readonly from: NamedSpan | undefined
  readonly where: SyntaxExpr | undefined
  readonly limit: CountSyntax | undefined
  readonly span: Span
}
/** A name with its place: a metric, a field, a tag key. */
export interface NamedSpan {
  readonly name: string
  readonly span: Span
}
export interface InsertStatement {
  readonly kind: 'insert'
  readonly metric: NamedSpan
  readonly tags: readonly { readonly key: NamedSpan; readonly value: LiteralSyntax | ParameterSyntax }[]
  /** undefined: the one field `value`. */
  readonly fields: readonly NamedSpan[] | undefined
  /** Expressions without columns: literals, parameters, `now()` and what is computed from them. */
  readonly rows: readonly { readonly time: SyntaxExpr; readonly values: readonly SyntaxExpr[]; readonly span: Span }[]
  readonly span: Span
}
export interface DeleteStatement {
  readonly kind: 'delete'
  readonly metric: NamedSpan
  readonly where: SyntaxExpr
  readonly span: Span
}
export interface ExplainStatement {
  readonly kind: 'explain'
  /** Runs the statement and tells what it did. */
  readonly analyze: boolean
  readonly format: 'text' | 'json'
  readonly statement: SelectStatement | ShowStatement
  readonly span: Span
}
export type Statement = SelectStatement | ShowStatement | ExplainStatement | InsertStatement | DeleteStatement
