/**
 * Rows of each sequence in ascending time, for what goes from one to the next: by what the plan says of its own order, by
 * asking a scan for it, or by a sort.
 */
import type { Expr } from '../../sydraql/expression.ts'
import type { LogicalPlan, Sequence } from '../../sydraql/plan.ts'

/** The same rows, of each sequence by time ascending. */
export function ascendingInTime(plan: LogicalPlan, { time, partition }: Sequence & { time: string }): LogicalPlan {
  if (ascends(plan, time, partition)) return plan
  const asked = askedForTime(plan, time)
  if (asked !== undefined) return asked
  const expr: Expr = { kind: 'column', type: 'timestamp', name: time, span: { start: 0, end: 0 } }
  const keys = [{ expr, descending: false, nulls: 'last' }] as const
  return { kind: 'sort', input: plan, keys, limit: undefined, schema: plan.schema }
}

function ascends(plan: LogicalPlan, time: string, partition: readonly string[]): boolean {
  switch (plan.kind) {
    case 'scan':
      return (
        time === 'time' && (plan.order === 'time' || (plan.order === 'series,time' && partition.includes('series')))
      )
    case 'aggregate':
      return plan.keys.some(key => key.bucket !== undefined && key.name === time)
    case 'fill':
      return plan.bucketColumn === time
    case 'filter':
    case 'limit':
    case 'limit_per':
    case 'window':
      return ascends(plan.input, time, partition)
    case 'project': {
      const below = [time, ...partition].map(name => plan.items.find(item => item.name === name)?.expr)
      const [timeBelow, ...partitionBelow] = below.map(expr => (expr?.kind === 'column' ? expr.name : undefined))
      return (
        timeBelow !== undefined &&
        ascends(
          plan.input,
          timeBelow,
          partitionBelow.filter(name => name !== undefined),
        )
      )
    }
    case 'sort': {
      const at = plan.keys.findIndex(({ expr }) => expr.kind === 'column' && expr.name === time)
      const before = plan.keys.slice(0, Math.max(at, 0))
      return (
        at >= 0 &&
        !plan.keys[at]!.descending &&
        before.every(({ expr }) => expr.kind === 'column' && partition.includes(expr.name))
      )
    }
    case 'union':
      return plan.order === 'time' && time === 'time'
    case 'join':
      return plan.leftSequence.time === time
    case 'values':
      return plan.rows.length <= 1
    case 'histogram':
    case 'show':
      return false
  }
}

/** A scan, or a union of scans, that comes by time as soon as it is asked to. */
function askedForTime(plan: LogicalPlan, time: string): LogicalPlan | undefined {
  switch (plan.kind) {
    case 'scan': {
      const isFree = plan.order === 'none' && plan.limit === undefined && plan.seriesLimit === undefined
      return isFree && time === 'time' ? { ...plan, order: 'time' } : undefined
    }
    case 'filter': {
      const input = askedForTime(plan.input, time)
      return input === undefined ? undefined : { ...plan, input }
    }
    case 'project': {
      const expr = plan.items.find(item => item.name === time)?.expr
      const input = expr?.kind === 'column' ? askedForTime(plan.input, expr.name) : undefined
      return input === undefined ? undefined : { ...plan, input }
    }
    case 'union': {
      // Merging looks at the time and the series of rows.
      const columns = ['time', 'series']
      if (time !== 'time' || !columns.every(name => plan.schema.some(info => info.name === name))) return undefined
      const inputs: LogicalPlan[] = []
      for (const each of plan.inputs) {
        const input = askedForTime(each, time)
        if (input === undefined) return undefined
        inputs.push(input)
      }
      return { ...plan, inputs, order: 'time' }
    }
    default:
      return undefined
  }
}
