/**
 * Join: rows of the left with the newest rows of the right, as of the left's time.
 *
 *   left  a1 ---- a5 ------- a9            within 3:  a5 goes with b4 of one partition and c5 of another;
 *   right    b2 b4  c5  b8                            a9 with b8; a1 finds none and is left out
 *
 * Invariants:
 * 1. Both inputs ascend in time; the output is in the left's order, then the right's. A null time or key finds nothing.
 * 2. The right is read only up to the left's time, and not at all without a left row; where it has ended and nothing of it
 *    is left, the left is closed.
 * 3. Held are of each partition of the right (with its key) the rows at the newest time, if within reach, and at most as
 *    many rows again that are neither.
 * 4. A row of the right is hashed once and linked once: with keys the work is linear in the rows read and put out.
 */
import { type Batch, columnIndex, rowCount } from '../columnar/batch.ts'
import { ColumnBuilder } from '../columnar/builder.ts'
import { assert } from '../lib/assert.ts'
import type { JoinNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import { JoinKeys, noKey } from './join/keys.ts'
import { NewestRows } from './join/newest.ts'
import type { BatchStream } from './operator.ts'

export async function* join(node: JoinNode, left: BatchStream, right: BatchStream, execution: Execution): BatchStream {
  const time = columnIndex(node.left.schema, node.leftSequence.time ?? '')
  assert(time >= 0, 'the left of a join has a time')
  const keys = new JoinKeys(node)
  const newest = new NewestRows(node, keys)
  const output = new Output(node, execution.batchRows)
  let rightEnded = false
  try {
    for await (const batch of left) {
      const rows = rowCount(batch)
      if (rows === 0) continue
      const { values: times, valid } = batch.columns[time]!
      const keyIds = keys.ofLeft(batch)
      execution.memory.hold(newest, newest.byteLength)
      for (let k = 0; k < rows; k++) {
        const row = batch.selection === undefined ? k : batch.selection[k]!
        const key = keyIds[row]!
        if (valid !== undefined && valid[row] === 0) continue
        const timeUs = times[row]!
        while (!newest.advance(timeUs) && !rightEnded) {
          // What has been found is copied before rows move.
          if (newest.isWasteful && output.rows > 0) yield output.take(batch, newest.rows)
          const { done, value } = await right.next()
          if (done === true) rightEnded = true
          else newest.add(value)
          execution.memory.hold(newest, newest.byteLength)
        }
        if (key === noKey) continue
        for (let found = newest.first(key, timeUs - node.withinUs); found >= 0; found = newest.next(found)) {
          output.add(row, found)
          if (output.isFull) {
            yield output.take(batch, newest.rows)
            await execution.pace()
          }
        }
      }
      if (output.rows > 0) yield output.take(batch, newest.rows)
      if (rightEnded && newest.isEmpty) return
    }
  } finally {
    execution.memory.release(newest)
    await Promise.all([left.return(), right.return()])
  }
}

/** Pairs of rows found, and the batch that is made of them. */
class Output {
  rows = 0
  readonly #left: Uint32Array
  readonly #right: Uint32Array
  readonly #columns: readonly ColumnBuilder[]
  readonly #leftColumns: number

  constructor({ left, schema }: JoinNode, batchRows: number) {
    this.#left = new Uint32Array(batchRows)
    this.#right = new Uint32Array(batchRows)
    this.#columns = schema.map(info => new ColumnBuilder(info.type, batchRows))
    this.#leftColumns = left.schema.length
  }
  get isFull(): boolean {
    return this.rows === this.#left.length
  }

  add(left: number, right: number): void {
    this.#left[this.rows] = left
    this.#right[this.rows++] = right
  }

  /** The pairs' rows; valid until the next call. */
  take(left: Batch, right: Batch): Batch {
    const length = this.rows
    const leftRows = this.#left.subarray(0, length)
    const rightRows = this.#right.subarray(0, length)
    const columns = this.#columns.map((builder, c) => {
      builder.clear()
      if (c < this.#leftColumns) builder.append(left.columns[c]!, 0, 0, leftRows)
      else builder.append(right.columns[c - this.#leftColumns]!, 0, 0, rightRows)
      return builder.column()
    })
    this.rows = 0
    return { length, columns, selection: undefined }
  }
}
