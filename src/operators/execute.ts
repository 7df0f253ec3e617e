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
import type { BatchStream, ExecutionContext, OperatorStatistics } from './operator.ts'
import { planPhysical } from './physical.ts'
import type { PhysicalPlan, PhysicalRule, PlannerOptions } from './plan/types.ts'
import type { Tables } from './show.ts'

export interface ExecuteOptions {
  /** Physical rules to do without, by name: answers stay the same. */
  readonly disabledRules?: ReadonlySet<string> | undefined
  /** Rows of `show`; needed by such plans only. */
  readonly tables?: Tables | undefined
  /** The same plan will come again, so that its physical one is worth keeping. */
  readonly isFixed?: boolean | undefined
}

/** An operator of the physical plan, for `explain`. */
export interface PlanDescription {
  readonly name: string
  readonly details: Readonly<Record<string, string | number | boolean>>
  readonly rules: readonly PhysicalRule[]
  /** What it did so far; undefined where it was never pulled. */
  readonly actual: OperatorActual | undefined
  readonly inputs: readonly PlanDescription[]
}
export interface OperatorActual {
  readonly rowsOut: number
  readonly batches: number
  /** Inside it and its inputs. */
  readonly totalMs: number
  readonly ownMs: number
}

export interface Running {
  readonly schema: Schema
  readonly stream: BatchStream
  describe(): PlanDescription
  /** The most bytes that operators held at once so far. */
  memoryPeakBytes(): number
}

const noRules: ReadonlySet<string> = new Set()

/**
 * @example
 * const { schema, stream } = execute(bind(prepared, [], clock.nowUs()).plan, context)
 * for await (const batch of stream) …
 */
export function execute(plan: LogicalPlan, context: ExecutionContext, options: ExecuteOptions = {}): Running {
  const physical = physicalPlan(plan, options.isFixed === true, {
    disabledRules: options.disabledRules ?? noRules,
    tables: options.tables,
    rollupWidthsUs: context.version.rollupWidthsUs,
  })
  const execution = startExecution(context)
  return {
    schema: physical.schema,
    stream: physical.open(execution),
    describe: () => describe(physical, context.operators),
    memoryPeakBytes: () => execution.memory.peak,
  }
}

interface Planned {
  readonly options: PlannerOptions
  readonly physical: PhysicalPlan
}

/** Of plans that come again. A physical plan holds no state of a run, so that runs may share it. */
const planned = new WeakMap<LogicalPlan, Planned>()

function physicalPlan(plan: LogicalPlan, isFixed: boolean, options: PlannerOptions): PhysicalPlan {
  const known = isFixed ? planned.get(plan) : undefined
  if (known !== undefined && isSame(known.options, options)) return known.physical
  const physical = planPhysical(plan, options)
  if (isFixed) planned.set(plan, { options, physical })
  return physical
}

const isSame = (a: PlannerOptions, b: PlannerOptions): boolean =>
  a.disabledRules === b.disabledRules && a.tables === b.tables && a.rollupWidthsUs === b.rollupWidthsUs

function describe(plan: PhysicalPlan, statistics: readonly OperatorStatistics[]): PlanDescription {
  const { name, details, rules } = plan
  const inputs = plan.inputs.map(input => describe(input, statistics))
  return { name, details, rules, actual: actualOf(plan, inputs, statistics), inputs }
}

/** An operator may have been opened more than once: its runs are added up. */
function actualOf(
  plan: PhysicalPlan,
  inputs: readonly PlanDescription[],
  statistics: readonly OperatorStatistics[],
): OperatorActual | undefined {
  const own = statistics.filter(each => each.operator === plan)
  if (own.length === 0) return undefined
  const sum = (of: (each: OperatorStatistics) => number): number => own.reduce((total, each) => total + of(each), 0)
  const totalMs = sum(each => each.elapsedMs)
  const below = inputs.reduce((total, { actual }) => total + (actual?.totalMs ?? 0), 0)
  return { rowsOut: sum(each => each.rowsOut), batches: sum(each => each.batches), totalMs, ownMs: totalMs - below }
}
