/**
 * The live planner's words: a logical plan as something that is kept true from commit to commit.
 *
 *   moment   what is seen (a pinned version) and when (`now()`): the result is a function of both, and of nothing else
 *   step     from one moment to a later one: what was committed between, in LSN order, and what `now()` has moved
 *   delta    what the step changes of the result, by key
 *
 * Invariants:
 * 1. The rows of `before` with the delta of the step applied are the rows of `after`, as the batch planner gives them: equal
 *    but for the rounding of sums.
 * 2. What an operator keeps between steps is a cache: it may be dropped at any time, and is made again from `before`.
 * 3. A key names one row. Where rows have no key, all their columns are it, and a row may be there several times.
 */
import type { Schema } from '../../columnar/batch.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { CatalogReader } from '../../storage/catalog/types.ts'
import type { Lsn, MetricInfo, MetricRows, Version } from '../../storage/types.ts'
import type { LogicalPlan } from '../../sydraql/plan.ts'
import type { Execution } from '../execution.ts'

export interface Moment {
  readonly version: Version
  readonly nowUs: number
}

/** Rows of one metric in one commit, in scan order. Borrowed for the step. */
export interface CommittedRows {
  readonly lsn: Lsn
  readonly rows: MetricRows
  /**
   * Rows that may be of a (series, time) that is there already, or lie before others of their series: 1, else 0. undefined:
   * none, every row is later than all of its series that were there before it.
   */
  readonly late: Uint8Array | undefined
}

/** Rows of the metric with `fromUs <= time < toUs` and a lower LSN are gone. */
export interface CommittedDelete {
  readonly lsn: Lsn
  readonly metric: MetricInfo
  readonly fromUs: number
  readonly toUs: number
  /** Catalog ordinals, ascending; undefined: all of the metric. */
  readonly series: Uint32Array | undefined
}

/** `before` and `after` are pinned by whoever runs the step, until it is over. */
export interface Step {
  readonly before: Moment
  readonly after: Moment
  /** Of the metrics that the query reads, with `before.version.lsn < lsn <= after.version.lsn`; ascending. */
  readonly rows: readonly CommittedRows[]
  readonly deletes: readonly CommittedDelete[]
}

/** Values in the order of the live schema. Never changed once made: events share them. */
export type LiveRow = readonly Scalar[]

/** By key each row is in one list at most. */
export interface LiveDelta {
  readonly added: readonly LiveRow[]
  /** As they are now. */
  readonly changed: readonly LiveRow[]
  /** The key columns; null elsewhere. */
  readonly removed: readonly LiveRow[]
}

/** How a query is kept: what `explain` says. */
export type LiveStrategy =
  /** Rows that come are filtered; nothing is kept. */
  | 'tail'
  /** Aggregates by group, with states that rows are added to. */
  | 'groups'
  /** The first rows by an order, or of each series, are kept, and those that come are compared with them. */
  | 'top'
  /** Series that rows came for are read again. */
  | 'series'
  /** The whole query runs again, at most once in an interval. */
  | 'rerun'

export interface LiveColumns {
  /** The query's, then the key columns that it does not select. */
  readonly schema: Schema
  /** Indexes of the columns that tell rows apart: a group's keys, `series_id` and `time` of rows; all, where there is no key. */
  readonly keys: readonly number[]
  /** How many of them the query selects. */
  readonly selected: number
}

/** What the live planner is given: a `select`, prepared, with its parameters. */
export interface LiveSource {
  /** The logical plan as it stands after these rules have been left out. */
  planAt(nowUs: number, withoutRules: ReadonlySet<string>): LogicalPlan
  readonly dependsOnNow: boolean
}

/** A query that is kept true, without a place in time of its own: every step says from where to where. */
export interface LiveQuery {
  readonly columns: LiveColumns
  readonly strategy: LiveStrategy
  /** For `explain`: why it is not kept from commit to commit; undefined where it is. */
  readonly obstacle: string | undefined
  /** The metrics whose commits concern it, by name. */
  readonly metrics: ReadonlySet<string>
  /** The result changes with `now()` alone: steps without commits are due, too. */
  readonly dependsOnNow: boolean
  /** What gives the result's rows, in the order of the schema, when run at a moment. */
  planAt(nowUs: number): LogicalPlan
  /**
   * One step at a time. May finish at once. Each begins where the one before ended, or at a later version that shows the
   * query the same (others were written to), or after `forget`. Throws `memory_limit`, `too_many_points`, and the reason of
   * an abort: then `forget` is due.
   */
  step(step: Step): LiveDelta | Promise<LiveDelta>
  /**
   * What a subscriber needs who knows the result as of before these rows: every key that they may concern, `changed` if it is
   * in the result at the moment, else `removed`. Absent: a new snapshot is all that helps.
   */
  catchUp?(rows: readonly CommittedRows[], at: Moment): Promise<LiveDelta>
  /** What it keeps. */
  readonly byteLength: number
  /** Lets go of all of it: the next step begins anew. */
  forget(): void
}

/** What live operators need of the engine. */
export interface LiveContext {
  readonly catalog: CatalogReader
  readonly kernels: Kernels
  readonly duplicates: 'last' | 'first'
  /** Physical rules to do without, by name. */
  readonly disabledRules: ReadonlySet<string>
  /** An execution over the moment's version, without temporary files; `nowUs` is bound into plans already. */
  execution(at: Moment): Execution
  /** Rows that a query may keep, or give at once; beyond it `too_many_points`. */
  readonly rowsMax: number
  /** Bytes that a query may keep; beyond it `memory_limit`. */
  readonly bytesMax: number
}

export const noChange: LiveDelta = { added: [], changed: [], removed: [] }
export const isNoChange = ({ added, changed, removed }: LiveDelta): boolean =>
  added.length === 0 && changed.length === 0 && removed.length === 0
