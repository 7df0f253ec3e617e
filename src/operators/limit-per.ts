/**
 * Limit per keeps the first `limit` rows of each value of a key, in the order of the input.
 *
 *   limit 1 per k      a b a c b   ->   a b c
 *
 * Invariants:
 * 1. Null is a value, NaN is one value, -0 is 0; equal text is one value, whatever dictionary its code is of.
 * 2. Nothing is held but a count for each value.
 */
import { rowCount, type Schema } from '../columnar/batch.ts'
import type { LimitPerNode } from '../sydraql/plan.ts'
import { keyIndex } from './aggregate/keys.ts'
import { grownNumbers } from './aggregate/state.ts'
import { compile } from './compile.ts'
import type { Execution } from './execution.ts'
import { columnType, reusableCodes } from './functions/evaluator.ts'
import type { BatchStream } from './operator.ts'

export async function* limitPer(
  node: Pick<LimitPerNode, 'key' | 'limit'>,
  schema: Schema,
  input: BatchStream,
  { memory }: Execution,
): BatchStream {
  const { limit } = node
  const key = compile(node.key, schema)
  const values = keyIndex(columnType(key.type))
  const ids = reusableCodes()
  const selections = reusableCodes()
  const owner = {}
  let counts: Float64Array = new Float64Array(0)
  try {
    if (limit === 0) return
    for await (const batch of input) {
      const { selection } = batch
      const rows = rowCount(batch)
      const idOf = ids(batch.length)
      values.assign(key.evaluate(batch), batch, idOf)
      counts = grownNumbers(counts, values.size)
      memory.hold(owner, values.byteLength + counts.byteLength)
      const kept = selections(rows)
      let keptRows = 0
      for (let k = 0; k < rows; k++) {
        const row = selection === undefined ? k : selection[k]!
        const id = idOf[row]!
        const before = counts[id]!
        if (before === limit) continue
        counts[id] = before + 1
        kept[keptRows++] = row
      }
      if (keptRows === rows) yield batch
      else if (keptRows > 0 || batch.watermarkUs !== undefined)
        yield { ...batch, selection: kept.subarray(0, keptRows) }
    }
  } finally {
    memory.release(owner)
    // Not started by `for await` when the limit is 0.
    await input.return()
  }
}
