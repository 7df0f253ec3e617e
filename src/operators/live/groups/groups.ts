/**
 * Groups: an aggregate over raw rows, and what is over it.
 *
 *   filters and projections over it   through them go the groups that a step has changed
 *   other operators                   run over all groups' rows when some have changed: `held.ts`
 */
import { assert } from '../../../lib/assert.ts'
import type { LogicalPlan } from '../../../sydraql/plan.ts'
import type { LiveParts } from '../parts.ts'
import { sameButRanges } from '../same-plan.ts'
import type { LiveDelta, LiveQuery, Step } from '../types.ts'
import { canCatchUp, catchUpGroups } from './catch-up.ts'
import { gridOf } from './grid.ts'
import { HeldGroups } from './held.ts'
import { GroupKeeper } from './keeper.ts'
import { deltaOf, rowwise } from './rowwise.ts'
import { type GroupShape, groupShape, rowByRow } from './shape.ts'

/** undefined: no aggregate over raw rows, or `now()` decides more of it than the range of those. */
export function planGroups(parts: LiveParts): LiveQuery | undefined {
  const { columns, metrics, dependsOnNow, planAt } = parts
  const shape = groupShape(parts.plan)
  if (shape === undefined || !aggregatesAlike(shape, parts)) return undefined
  const shapeAt = shapesOf(parts)
  const inputAt = (nowUs: number) => shapeAt(nowUs).input
  const keeper = new GroupKeeper(parts, shape.input, inputAt)
  const steps = rowByRow(shape.above)
  const common = { columns, strategy: 'groups', obstacle: undefined, metrics, dependsOnNow, planAt } as const

  if (steps === undefined || !parts.movesRangesAlone) {
    const held = new HeldGroups(parts, keeper, shapeAt)
    return {
      ...common,
      step: step => held.step(step),
      get byteLength() {
        return keeper.byteLength + held.byteLength
      },
      forget() {
        keeper.forget()
        held.forget()
      },
    }
  }
  const through = rowwise(steps, shape.input.aggregate.schema, parts.context.kernels)
  const grid = gridOf(shape.input.aggregate.keys.find(key => key.bucket !== undefined)?.bucket)
  const catchUp: LiveQuery['catchUp'] = (rows, at) => catchUpGroups(rows, at, inputAt(at.nowUs), grid, parts)
  return {
    ...common,
    ...(!dependsOnNow && canCatchUp(shape.input) && { catchUp }),
    step(step: Step): LiveDelta | Promise<LiveDelta> {
      const changes = keeper.step(step)
      return 'then' in changes
        ? changes.then(all => deltaOf(all, through, columns))
        : deltaOf(changes, through, columns)
    },
    get byteLength() {
      return keeper.byteLength
    },
    forget: () => keeper.forget(),
  }
}

/** Whether another time gives the same aggregate, over another range: as far as one such time tells. */
function aggregatesAlike({ input }: GroupShape, { movesRangesAlone, nowUs, barePlanAt }: LiveParts): boolean {
  if (movesRangesAlone) return true
  const later = groupShape(barePlanAt(nowUs + laterUs))
  return later !== undefined && sameButRanges(input.aggregate, later.input.aggregate)
}

/** Neither a whole second, nor hour, nor day. */
const laterUs = 123_456_789_012

/** The very same shape for the same plan. */
function shapesOf({ barePlanAt }: LiveParts): (nowUs: number) => GroupShape {
  const known = new WeakMap<LogicalPlan, GroupShape>()
  return nowUs => {
    const plan = barePlanAt(nowUs)
    let shape = known.get(plan)
    if (shape === undefined) {
      shape = groupShape(plan)
      assert(shape !== undefined, 'a plan keeps its shape')
      known.set(plan, shape)
    }
    return shape
  }
}
