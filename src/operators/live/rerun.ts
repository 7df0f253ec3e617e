/**
 * Rerun: the whole query at the moment after, compared with its rows before. What fits no other strategy; whoever runs the
 * steps spaces them out.
 *
 * Invariant: the rows held are those of the end of the last step; without them the query runs before, too.
 */
import { difference } from './difference.ts'
import { obstacleOf } from './obstacle.ts'
import type { LiveParts } from './parts.ts'
import { bytesOfRows, tooMuchKept } from './row-bytes.ts'
import { rowsAt } from './run-at.ts'
import type { LiveQuery, LiveRow, Moment } from './types.ts'

export function planRerun(parts: LiveParts): LiveQuery {
  const { context, columns, metrics, dependsOnNow, planAt } = parts
  let held: readonly LiveRow[] | undefined
  let byteLength = 0

  const run = (at: Moment): Promise<LiveRow[]> => rowsAt(planAt(at.nowUs), at, context)

  return {
    columns,
    strategy: 'rerun',
    obstacle: obstacleOf(parts),
    metrics,
    dependsOnNow,
    planAt,
    async step(step) {
      const before = held ?? (await run(step.before))
      const after = await run(step.after)
      const bytes = bytesOfRows(after)
      if (bytes > context.bytesMax) throw tooMuchKept(context.bytesMax)
      held = after
      byteLength = bytes
      return difference(before, after, columns)
    },
    get byteLength() {
      return byteLength
    },
    forget() {
      held = undefined
      byteLength = 0
    },
  }
}
