/** What the physical planner makes of a logical node, and the names of its rules. */
import type { Schema } from '../../columnar/batch.ts'
import type { Execution } from '../execution.ts'
import type { BatchStream } from '../operator.ts'
import type { Tables } from '../show.ts'

/** What each rule does, for `explain` and the documentation. */
export const physicalRules = {
  'block-bounds': 'skip blocks whose statistics rule out the row predicate',
  'statistics-answer': 'answer aggregates from the statistics of pieces that are whole and overlap no other',
  rollup: 'answer aggregates from the buckets of rollups where no other row may merge with theirs',
  'bucket-runs': 'fold runs of rows of one series by kernels, cut by bucket, instead of row by row',
  'series-groups': 'find the group once per series where the keys depend on it alone',
  'bucket-streaming': 'read by time windows, so that buckets leave in order as soon as they have ended',
  'whole-buckets': 'read pieces as they lie where few rows make few groups, which then leave at the end',
  'bucket-windows': 'read time from the end that a limit over buckets wants, and no further than there are enough',
  'window-runs': 'keep row functions for one partition at a time where partitions come one after the other',
  'partial-aggregation': 'aggregate each input of a union by the best way it has, all into the same groups',
  'last-point': 'read what first and last are wanted of from that end, each series until it has given its value',
  'top-n': 'keep only the rows that a limit over a sort can want',
  'top-order': 'where a top-n is by time first, read in that order and no further than its last time',
} as const

export type PhysicalRule = keyof typeof physicalRules

export interface PhysicalPlan {
  readonly name: string
  readonly schema: Schema
  readonly details: Readonly<Record<string, string | number | boolean>>
  /** Rules that shaped this operator. */
  readonly rules: readonly PhysicalRule[]
  readonly inputs: readonly PhysicalPlan[]
  /** Called as a method: what it reports it reports of this node. */
  open(execution: Execution): BatchStream
}

export interface PlannerOptions {
  readonly disabledRules: ReadonlySet<string>
  readonly tables: Tables | undefined
  /** Widths of the rollups there are; absent: none. */
  readonly rollupWidthsUs?: readonly number[] | undefined
}
