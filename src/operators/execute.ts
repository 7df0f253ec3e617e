/**
 * Runs a logical plan over a version.
 *
 *   execute(plan, context)  ->  { schema, stream, describe() }
 *
 * Invariants:
 * 1. Nothing is read before the first pull of `stream`.
 * 2. However the stream ends — completion, `return`, `throw`, abort — every operator under it is closed.
 * 3. The version is not released here: the caller who pinned it does.
 */
import type { Schema } from '../columnar/batch.ts'
import type { LogicalPlan } from '../sydraql/plan.ts'
import { startExecution } from './execution.ts'
import type { BatchStream, ExecutionContext } from './operator.ts'
import { planPhysical } from './physical.ts'
import type { PhysicalPlan, PhysicalRule } from './plan/types.ts'
import type { Tables } from './show.ts'

export interface ExecuteOptions {
  /** Physical rules to do without, by name: answers stay the same. */
  readonly disabledRules?: ReadonlySet<string> | undefined
  /** Rows of `show`; needed by such plans only. */
  readonly tables?: Tables | undefined
}

/** An operator of the physical plan, for `explain`. */
export interface PlanDescription {
  readonly name: string
  readonly details: Readonly<Record<string, string | number | boolean>>
  readonly rules: readonly PhysicalRule[]
  readonly inputs: readonly PlanDescription[]
}

export interface Running {
  readonly schema: Schema
  readonly stream: BatchStream
  describe(): PlanDescription
}

/**
 * @example
 * const { schema, stream } = execute(bind(prepared, [], clock.nowUs()).plan, context)
 * for await (const batch of stream) …
 */
export function execute(plan: LogicalPlan, context: ExecutionContext, options: ExecuteOptions = {}): Running {
  const physical = planPhysical(plan, { disabledRules: options.disabledRules ?? new Set(), tables: options.tables })
  return {
    schema: physical.schema,
    stream: physical.open(startExecution(context)),
    describe: () => describe(physical),
  }
}

const describe = ({ name, details, rules, inputs }: PhysicalPlan): PlanDescription => ({
  name,
  details,
  rules,
  inputs: inputs.map(describe),
})
