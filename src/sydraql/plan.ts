/**
 * The logical plan: what a query means, as frozen, engine-neutral data. It knows metrics, tags and time, never files;
 * the batch planner (`operators/`), the live planner and perhaps another backend all execute this.
 *
 * Invariants:
 * 1. Every node lists its output columns in `schema`; expressions refer to the input's columns by name.
 * 2. A scan yields the columns in `columns` only: `time`, `series`, `series_id`, `tag.<key>`, `field.<name>`.
 * 3. Nulls sort as `nulls` says, NaN above every number, -0 equal to +0, text by UTF-8 bytes.
 * 4. Rows of one (series, time) are already merged when they leave a scan.
 */
import type { Schema } from '../columnar/batch.ts'
import type { AsOf } from './ast.ts'
import type { Expr, Parameter } from './expression.ts'

export interface NamedExpr {
  readonly name: string
  readonly expr: Expr
}

/** Half-open range of µs; ±Infinity where unbounded. */
export interface TimeRange {
  readonly fromUs: number
  readonly toUs: number
  /** In a template only: further bounds, all of which hold. */
  readonly slots?: readonly SlotBound[]
}
/** `time >= slot`, and so on. */
export interface SlotBound {
  readonly comparison: 'lt' | 'le' | 'gt' | 'ge' | 'eq'
  readonly slot: Parameter
}

/**
 * How rows must come out of a scan. `none` lets the backend choose. `time`: by time, ties by printed series in byte
 * order; `time desc`: by time descending, ties again by printed series ascending.
 */
export type ScanOrder = 'none' | 'time' | 'time desc' | 'series,time'

export interface ScanNode {
  readonly kind: 'scan'
  readonly metric: string
  /** Only these series (ids as decimal text), or undefined for all. */
  readonly seriesIds: readonly string[] | undefined
  /** The snapshot to read; absent: the present. */
  readonly asOf?: AsOf
  readonly range: TimeRange
  /** Over `series`, `series_id` and `tag.*` only: decides which series are read. */
  readonly seriesPredicate: Expr | undefined
  /** Over columns of `schema`; applied to merged rows. Block statistics may use it. */
  readonly rowPredicate: Expr | undefined
  readonly order: ScanOrder
  /** Enough rows in `order` after the predicates; undefined for all. */
  readonly limit: number | undefined
  /** Likely enough rows in `order`, though all may be asked for: reading begins with about as many. */
  readonly likelyRows?: number
  /** Enough rows of each series, the first in `order` (by time or time desc) after the predicates; undefined for all. */
  readonly seriesLimit: number | undefined
  readonly schema: Schema
}
export interface FilterNode {
  readonly kind: 'filter'
  readonly input: LogicalPlan
  readonly predicate: Expr
  readonly schema: Schema
}
export interface ProjectNode {
  readonly kind: 'project'
  readonly input: LogicalPlan
  readonly items: readonly NamedExpr[]
  readonly schema: Schema
}

/** The bucket function of a group key, when it is one: what the key's rows have in common in time. */
export type Bucket =
  | { readonly kind: 'fixed'; readonly widthUs: number; readonly originUs: number }
  /** `months`: 1 month, 3 quarter, 12 year. `zone`: IANA name, 'UTC' by default. */
  | { readonly kind: 'calendar'; readonly months: number; readonly originUs: number; readonly zone: string }
  /** Fixed width in a zone: local days, or parts of one. */
  | { readonly kind: 'zoned'; readonly widthUs: number; readonly zone: string }

export interface GroupKey extends NamedExpr {
  /** Set when `expr` is time_bucket(…) over `time`; at most one key has it. */
  readonly bucket: Bucket | undefined
}
export interface AggregateCall {
  readonly name: string
  /** Name in the function registry: `count`, `sum`, `percentile`, … `count(*)` has no arguments. */
  readonly function: string
  /** The aggregated value first; constant arguments (such as p) follow. */
  readonly args: readonly Expr[]
  readonly distinct: boolean
}
/** How the rows of a source follow one another: the columns that say when, and which independent sequence a row is of. */
export interface Sequence {
  /** undefined: rows have no time, and follow one another as they come. */
  readonly time: string | undefined
  /** `['series']` for a metric; the other keys of a grouped sub-select; empty where all rows are one sequence. */
  readonly partition: readonly string[]
}
/**
 * Output: the keys, then the aggregates; sorted by bucket, then the other keys (nulls last). Without keys there is one
 * row, even of no input.
 */
export interface AggregateNode {
  readonly kind: 'aggregate'
  readonly input: LogicalPlan
  /** Of the input: what `first`, `last` and per-series aggregates go by. */
  readonly sequence: Sequence
  readonly keys: readonly GroupKey[]
  readonly aggregates: readonly AggregateCall[]
  readonly schema: Schema
}

export type FillMode =
  | { readonly kind: 'null' }
  | { readonly kind: 'previous'; readonly lookbackUs: number | undefined }
  | { readonly kind: 'linear' }
  | { readonly kind: 'constant'; readonly value: number }
/**
 * Makes a row for every bucket of every group between the range's first and last bucket. Input: an aggregate's rows;
 * with a lookback also those of buckets before the range, which are carried from and not put out.
 */
export interface FillNode {
  readonly kind: 'fill'
  readonly input: LogicalPlan
  readonly mode: FillMode
  /**
   * `having`, over the input's columns: a row for which it is not true is neither carried from nor put out, and its
   * bucket is not filled again. A group without a row that is kept has no rows at all.
   */
  readonly kept?: Expr
  /** Column names in the input. */
  readonly bucketColumn: string
  readonly bucket: Bucket
  readonly keyColumns: readonly string[]
  readonly valueColumns: readonly string[]
  /** The query's time range: a bounded side starts or ends the filled buckets. */
  readonly range: TimeRange
  readonly schema: Schema
}
export interface SortKey {
  readonly expr: Expr
  readonly descending: boolean
  readonly nulls: 'first' | 'last'
}
export interface SortNode {
  readonly kind: 'sort'
  readonly input: LogicalPlan
  readonly keys: readonly SortKey[]
  /** Set by the top-N rule: only the first so many rows are needed. */
  readonly limit: number | undefined
  readonly schema: Schema
}
export interface LimitNode {
  readonly kind: 'limit'
  readonly input: LogicalPlan
  readonly limit: number | undefined
  readonly offset: number
  /** In a template only: where a number comes from a slot, and is NaN until then. */
  readonly slots?: { readonly limit: Parameter | undefined; readonly offset: Parameter | undefined }
  readonly schema: Schema
}
/** The first `limit` rows of each value of `key` (null is a value), in the order of the input, which stays. */
export interface LimitPerNode {
  readonly kind: 'limit_per'
  readonly input: LogicalPlan
  readonly key: Expr
  readonly limit: number
  readonly schema: Schema
}

export interface WindowCall {
  readonly name: string
  /** Name in the function registry: `lag`, `moving_avg`, … */
  readonly function: string
  /** The value first (none for `row_number`); constant arguments follow. */
  readonly args: readonly Expr[]
}
/**
 * Adds a column per call, computed within each partition from row to row; rows keep their order.
 * The input has each partition's rows in ascending time; where a call looks ahead (`lead`), partitions are together.
 */
export interface WindowNode {
  readonly kind: 'window'
  readonly input: LogicalPlan
  readonly calls: readonly WindowCall[]
  readonly sequence: Sequence
  /** The input's columns, then the calls'. */
  readonly schema: Schema
}

/** The rows of all inputs, which have one schema. `none`: one after the other; else merged: each comes in that order. */
export interface UnionNode {
  readonly kind: 'union'
  readonly inputs: readonly LogicalPlan[]
  readonly order: ScanOrder
  readonly schema: Schema
}

/**
 * Joins rows in time: a row of the left goes with, for each partition of the right, the rows at the newest time in
 * [t - withinUs, t] there, if the keys are equal; a row that finds none is left out. With keys, "newest" is among the rows
 * whose keys equal (a null equals nothing). Both inputs ascend in time; output in the left's order, then the right's.
 */
export interface JoinNode {
  readonly kind: 'join'
  readonly left: LogicalPlan
  readonly right: LogicalPlan
  readonly leftSequence: Sequence
  readonly rightSequence: Sequence
  readonly withinUs: number
  /** Equalities that a rule took from the filter above: only of columns that are constant within a partition. */
  readonly keys: readonly { readonly left: Expr; readonly right: Expr }[]
  /** The left's columns, then the right's: names are distinct, such as `a.time` and `b.field.usage`. */
  readonly schema: Schema
}

/** Counts of `value` in `buckets` equal half-open intervals of [low, high): a row for each, `bucket` (its lower edge) and `count`. */
export interface HistogramNode {
  readonly kind: 'histogram'
  readonly input: LogicalPlan
  readonly value: Expr
  readonly low: number
  readonly high: number
  readonly buckets: number
  readonly schema: Schema
}

/** Rows known without a scan: `select 1`, or a `where` that is false. */
export interface ValuesNode {
  readonly kind: 'values'
  readonly rows: readonly (readonly (number | string | boolean | null)[])[]
  readonly schema: Schema
}
export type ShowSubject = 'metrics' | 'series' | 'tags' | 'fields' | 'segments' | 'rollups' | 'functions' | 'settings'
/** Catalog listings, answered by the engine's tables of the same name. */
export interface ShowNode {
  readonly kind: 'show'
  readonly subject: ShowSubject
  readonly metric: string | undefined
  readonly schema: Schema
}

export type LogicalPlan =
  | ScanNode
  | FilterNode
  | ProjectNode
  | AggregateNode
  | FillNode
  | SortNode
  | LimitNode
  | LimitPerNode
  | WindowNode
  | UnionNode
  | JoinNode
  | HistogramNode
  | ValuesNode
  | ShowNode
