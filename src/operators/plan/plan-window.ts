/** What the plan below a window node says of the order of its rows, so that the operator can do with less memory. */
import type { LogicalPlan, Sequence, WindowNode } from '../../sydraql/plan.ts'
import type { WindowOrder } from '../window/window.ts'
import type { PlannerOptions } from './types.ts'

export function windowOrder({ calls, sequence, input }: WindowNode, { disabledRules }: PlannerOptions): WindowOrder {
  const looksAhead = calls.some(call => call.function === 'lead')
  return {
    // By its contract, the input of a call that looks ahead has partitions together.
    together: looksAhead || (!disabledRules.has('window-runs') && comesTogether(input, sequence)),
    distinctTimes: hasDistinctTimes(input, sequence),
  }
}

function comesTogether(plan: LogicalPlan, sequence: Sequence): boolean {
  const { partition } = sequence
  switch (plan.kind) {
    case 'filter':
    case 'limit':
    case 'limit_per':
    case 'window':
      return comesTogether(plan.input, sequence)
    case 'sort': {
      const leading = plan.keys.slice(0, partition.length)
      return partition.every(name => leading.some(({ expr }) => expr.kind === 'column' && expr.name === name))
    }
    case 'scan':
    case 'union':
      return plan.order === 'series,time' && partition.length === 1 && partition[0] === 'series'
    default:
      return partition.length === 0
  }
}

/** Rows of a scan are merged: one for each series and time. */
function hasDistinctTimes(plan: LogicalPlan, sequence: Sequence): boolean {
  switch (plan.kind) {
    case 'filter':
    case 'limit':
    case 'limit_per':
    case 'window':
    case 'sort':
      return hasDistinctTimes(plan.input, sequence)
    case 'scan':
      return (
        sequence.time === 'time' && (sequence.partition.includes('series') || sequence.partition.includes('series_id'))
      )
    default:
      return false
  }
}
