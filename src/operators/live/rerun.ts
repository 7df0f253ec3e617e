/**
 * Rerun: the whole query at the moment after, compared with its rows before. What fits no other strategy; whoever runs the
 * steps spaces them out.
 *
 * Invariant: the rows held are those of the last step's moment; without them the query runs before, too.
 */
import { difference } from './difference.ts'
import { obstacleOf } from './obstacle.ts'
import type { LiveParts } from './parts.ts'
import { bytesOfRows, tooMuchKept } from './row-bytes.ts'
import { rowsAt } from './run-at.ts'
import type { LiveQuery, LiveRow, Moment, Step } from './types.ts'

interface Held {
  readonly lsn: number
  readonly nowUs: number
  readonly rows: readonly LiveRow[]
}

export function planRerun(parts: LiveParts): LiveQuery {
  const { context, columns, metrics, dependsOnNow, planAt } = parts
  let held: Held | undefined
  let byteLength = 0

  const rowsBefore = ({ before }: Step): readonly LiveRow[] | Promise<LiveRow[]> => {
    const isHeld = held?.lsn === before.version.lsn && held.nowUs === before.nowUs
    return isHeld ? held!.rows : run(before)
  }
  const run = (at: Moment): Promise<LiveRow[]> => rowsAt(planAt(at.nowUs), at, context)
  const hold = ({ version, nowUs }: Moment, rows: readonly LiveRow[]): void => {
    byteLength = bytesOfRows(rows)
    held = { lsn: version.lsn, nowUs, rows }
    if (byteLength > context.bytesMax) throw tooMuchKept(context.bytesMax)
  }

  return {
    columns,
    strategy: 'rerun',
    obstacle: obstacleOf(parts),
    metrics,
    dependsOnNow,
    planAt,
    async step(step) {
      const before = await rowsBefore(step)
      const after = await run(step.after)
      hold(step.after, after)
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
