/** Limit skips `offset` rows and passes the next `limit`; then it closes its input. */
import { rowCount } from '../columnar/batch.ts'
import { sliceBatch } from '../columnar/slice.ts'
import type { LimitNode } from '../sydraql/plan.ts'
import type { BatchStream } from './operator.ts'

export async function* limit(node: Pick<LimitNode, 'limit' | 'offset'>, input: BatchStream): BatchStream {
  let toSkip = node.offset
  let remaining = node.limit ?? Infinity
  try {
    if (remaining <= 0) return
    for await (const batch of input) {
      const rows = rowCount(batch)
      const from = Math.min(toSkip, rows)
      const to = Math.min(rows, from + remaining)
      toSkip -= from
      remaining -= to - from
      if (to > from) yield from === 0 && to === rows ? batch : sliceBatch(batch, from, to)
      if (remaining <= 0) return
    }
  } finally {
    // Not started by `for await` when the limit is 0.
    await input.return()
  }
}
