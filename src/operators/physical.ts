/**
 * The physical planner: a logical plan to a tree of operators, ready to run.
 *
 * Invariants:
 * 1. A rule changes how an answer is found, never the answer: each can be switched off by its name.
 * 2. A physical plan holds no state of a run: it may be opened again.
 * 3. A parent closes its inputs; `instrument` wraps every operator.
 */
import { assert } from '../lib/assert.ts'
import type { LogicalPlan } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import { fill } from './fill.ts'
import { filter } from './filter.ts'
import { histogram } from './histogram.ts'
import { instrument } from './instrument.ts'
import { join } from './join.ts'
import { limit } from './limit.ts'
import { limitPer } from './limit-per.ts'
import type { BatchStream } from './operator.ts'
import { bucketsUnderLimit, bucketsUnderSort, byBucketWindows, type WantedBuckets } from './plan/bucket-windows.ts'
import { planAggregate } from './plan/plan-aggregate.ts'
import { planScan } from './plan/plan-scan.ts'
import { windowOrder } from './plan/plan-window.ts'
import { topInOrder } from './plan/top-order.ts'
import type { PhysicalPlan, PhysicalRule, PlannerOptions } from './plan/types.ts'
import { project } from './project.ts'
import { show } from './show.ts'
import { sort } from './sort.ts'
import { union } from './union.ts'
import { values } from './values.ts'
import { window } from './window/window.ts'

export function planPhysical(plan: LogicalPlan, options: PlannerOptions): PhysicalPlan {
  const { schema } = plan
  const isTop = plan.kind === 'sort' && plan.limit !== undefined && !options.disabledRules.has('top-n')
  const ordered = isTop && !options.disabledRules.has('top-order') ? topInOrder(plan) : undefined
  const input = 'input' in plan && plan.kind !== 'aggregate' ? planPhysical(ordered ?? plan.input, options) : undefined
  const unary = (
    details: PhysicalPlan['details'],
    open: (stream: BatchStream, execution: Execution) => BatchStream,
    rules: readonly PhysicalRule[] = [],
  ): PhysicalPlan => ({
    name: plan.kind,
    schema,
    details,
    rules,
    inputs: [input!],
    open(execution) {
      return instrument(this, open(input!.open(execution), execution), execution)
    },
  })

  const combined = (
    details: PhysicalPlan['details'],
    inputs: readonly PhysicalPlan[],
    open: (streams: readonly BatchStream[], execution: Execution) => BatchStream,
  ): PhysicalPlan => ({
    name: plan.kind,
    schema,
    details,
    rules: [],
    inputs,
    open(execution) {
      const streams = inputs.map(each => each.open(execution))
      return instrument(this, open(streams, execution), execution)
    },
  })

  const goesByWindows = !options.disabledRules.has('bucket-windows')
  switch (plan.kind) {
    case 'scan':
      return planScan(plan, plan.order, options).plan
    case 'filter':
      return unary({}, (stream, execution) => filter({ ...plan, schema: input!.schema }, stream, execution))
    case 'project':
      return unary({ columns: plan.items.length }, stream => project(plan, input!.schema, stream))
    case 'sort': {
      const node = isTop ? plan : { ...plan, limit: undefined }
      const sorted = unary(
        isTop ? { keys: plan.keys.length, limit: plan.limit! } : { keys: plan.keys.length },
        (stream, execution) => sort(node, input!.schema, stream, execution, ordered !== undefined),
        isTop ? (ordered === undefined ? ['top-n'] : ['top-n', 'top-order']) : [],
      )
      const buckets = goesByWindows ? bucketsUnderSort(node) : undefined
      return buckets === undefined ? sorted : inBucketWindows(sorted, buckets)
    }
    case 'limit': {
      const details = { limit: plan.limit ?? -1, offset: plan.offset }
      const buckets =
        goesByWindows && plan.limit !== undefined ? bucketsUnderLimit(plan.input, plan.limit + plan.offset) : undefined
      if (buckets === undefined) return unary(details, stream => limit(plan, stream))
      return {
        ...unary(details, stream => stream, ['bucket-windows']),
        open(execution) {
          return instrument(this, limit(plan, byBucketWindows(buckets, input!, execution)), execution)
        },
      }
    }
    case 'fill':
      return unary({ mode: plan.mode.kind }, (stream, execution) => fill(plan, input!.schema, stream, execution))
    case 'aggregate':
      return planAggregate(plan, options, planPhysical)
    case 'limit_per':
      return unary({ limit: plan.limit }, (stream, execution) => limitPer(plan, input!.schema, stream, execution))
    case 'window': {
      const order = windowOrder(plan, options)
      const details = {
        functions: [...new Set(plan.calls.map(call => call.function))].join(', '),
        partitions: order.together ? 'together' : 'interleaved',
      }
      return unary(
        details,
        (stream, execution) => window(plan, input!.schema, stream, execution, order),
        order.together ? ['window-runs'] : [],
      )
    }
    case 'histogram':
      return unary({ buckets: plan.buckets }, (stream, execution) => histogram(plan, input!.schema, stream, execution))
    case 'union':
      return combined(
        { order: plan.order, inputs: plan.inputs.length },
        plan.inputs.map(each => planPhysical(each, options)),
        (streams, execution) => union(plan, streams, execution),
      )
    case 'join':
      return combined(
        { within_us: plan.withinUs, keys: plan.keys.length },
        [plan.left, plan.right].map(each => planPhysical(each, options)),
        ([left, right], execution) => join(plan, left!, right!, execution),
      )
    case 'values':
      return leaf(plan, { rows: plan.rows.length }, () => values(plan))
    case 'show':
      return leaf(plan, { subject: plan.subject }, execution => {
        assert(options.tables !== undefined, 'show needs tables')
        return show(plan, options.tables, execution)
      })
  }
}

/** The same rows, or more of them than the first that are wanted, window by window. */
const inBucketWindows = (plan: PhysicalPlan, wanted: WantedBuckets): PhysicalPlan => ({
  ...plan,
  rules: [...plan.rules, 'bucket-windows'],
  open(execution) {
    return byBucketWindows(wanted, { ...plan, open: each => plan.open.call(this, each) }, execution)
  },
})

const leaf = (
  plan: LogicalPlan,
  details: PhysicalPlan['details'],
  open: (execution: Execution) => BatchStream,
): PhysicalPlan => ({
  name: plan.kind,
  schema: plan.schema,
  details,
  rules: [],
  inputs: [],
  open(execution) {
    return instrument(this, open(execution), execution)
  },
})
