/**
 * Union yields the rows of all its inputs: one input after the other, or merged in their order.
 *
 *   time          a: 1 1 4      b: 1 2 3         ->   a1 a1 b1 b2 b3 a4        (ties by printed series, then by input)
 *
 * Invariants:
 * 1. Each input comes in the node's order, and so does the output. Rows that tie in all of it come by input.
 * 2. A long stretch of one input leaves as a view of its batch; short ones are gathered into batches of `batchRows`.
 * 3. An input is pulled only when its batch is used up: what is held is a batch of each, and the one being gathered.
 */
import { type Batch, type Column, columnIndex, rowCount, type Schema, type StringColumn } from '../columnar/batch.ts'
import { BatchBuilder } from '../columnar/builder.ts'
import { sliceBatch } from '../columnar/slice.ts'
import { assert } from '../lib/assert.ts'
import { compareUtf8 } from '../lib/text.ts'
import type { UnionNode } from '../sydraql/plan.ts'
import type { Execution } from './execution.ts'
import type { BatchStream } from './operator.ts'

/** A stretch of one input at least this long is worth a batch of its own. */
const viewRowsMin = 1024

export async function* union(
  node: Pick<UnionNode, 'order' | 'schema'>,
  inputs: readonly BatchStream[],
  execution: Execution,
): BatchStream {
  try {
    if (node.order === 'none') yield* concatenated(inputs)
    else yield* merged(node.order, node.schema, inputs, execution)
  } finally {
    await Promise.all(inputs.map(input => input.return()))
  }
}

async function* concatenated(inputs: readonly BatchStream[]): BatchStream {
  // How far one input has come says nothing of those after it.
  for (const input of inputs)
    for await (const batch of input)
      if (rowCount(batch) > 0) yield { length: batch.length, columns: batch.columns, selection: batch.selection }
}

async function* merged(
  order: Exclude<UnionNode['order'], 'none'>,
  schema: Schema,
  inputs: readonly BatchStream[],
  execution: Execution,
): BatchStream {
  const time = columnIndex(schema, 'time')
  const series = columnIndex(schema, 'series')
  assert(time >= 0, 'rows are merged by time')
  const heap = new CursorHeap(rowOrder(order))
  const gathering = new Gathering(schema, execution.batchRows)
  try {
    for (let index = 0; index < inputs.length; index++) {
      const cursor = new Cursor(inputs[index]!, index, time, series)
      if (await cursor.pull()) heap.add(cursor)
    }
    while (heap.size > 0) {
      const cursor = heap.first
      const end = heap.size === 1 ? cursor.rows : cursor.rowsBefore(heap.second, heap.order)
      if (end - cursor.at >= Math.min(viewRowsMin, execution.batchRows) || (heap.size === 1 && gathering.rows === 0)) {
        if (gathering.rows > 0) yield ordered(gathering.take(), order, time)
        yield ordered(sliceBatch(cursor.batch, cursor.at, end), order, time)
        cursor.at = end
      } else {
        cursor.at = gathering.add(cursor, end)
        if (gathering.isFull) yield ordered(gathering.take(), order, time)
      }
      if (cursor.at === cursor.rows) {
        gathering.copy(cursor)
        execution.memory.hold(gathering, gathering.byteLength)
        if (!(await cursor.pull())) {
          heap.removeFirst()
          continue
        }
      }
      heap.firstMoved()
    }
    if (gathering.rows > 0) yield ordered(gathering.take(), order, time)
  } finally {
    execution.memory.release(gathering)
  }
}

/** In ascending time, no later row is before the last of these. */
function ordered({ length, columns, selection }: Batch, order: UnionNode['order'], time: number): Batch {
  const last = selection === undefined ? length - 1 : selection.at(-1)!
  return {
    length,
    columns,
    selection,
    watermarkUs: order === 'time' ? (columns[time]!.values[last] as number) : undefined,
  }
}

/** An input, and how far in its batch it has come. */
class Cursor {
  readonly index: number
  batch: Batch = { length: 0, columns: [], selection: undefined }
  /** Rows of the batch that count, and how many of them have been taken. */
  rows = 0
  at = 0
  times: ArrayLike<number> = []
  series: Column | undefined
  /** What has been gathered and not copied yet: rows of the batch, and their places in the output. */
  takenRows: Uint32Array = new Uint32Array(0)
  places: Uint32Array = new Uint32Array(0)
  taken = 0
  readonly #input: BatchStream
  readonly #time: number
  readonly #series: number
  /** The series text looked at last: the next row's is compared with many. */
  #text = ''
  #textRow = -1

  constructor(input: BatchStream, index: number, time: number, series: number) {
    this.#input = input
    this.index = index
    this.#time = time
    this.#series = series
  }

  /** The next batch that has rows; false at the end. */
  async pull(): Promise<boolean> {
    for (;;) {
      const { done, value: batch } = await this.#input.next()
      if (done === true) return false
      this.rows = rowCount(batch)
      this.at = 0
      if (this.rows === 0) continue
      this.batch = batch
      this.#textRow = -1
      this.times = batch.columns[this.#time]!.values
      this.series = this.#series < 0 ? undefined : batch.columns[this.#series]!
      return true
    }
  }

  row(position: number): number {
    const { selection } = this.batch
    return selection === undefined ? position : selection[position]!
  }

  /** The series of a row, as text. */
  textAt(series: StringColumn, row: number): string {
    if (row !== this.#textRow) {
      this.#text = series.dictionary.at(series.values[row]!)
      this.#textRow = row
    }
    return this.#text
  }

  /** The first position whose row comes after the other cursor's row: galloping, then halving. */
  rowsBefore(other: Cursor, order: RowOrder): number {
    const isBefore = (position: number) => order(this, this.row(position), other, other.row(other.at)) < 0
    if (isBefore(this.rows - 1)) return this.rows
    let before = this.at
    let step = 1
    while (before + step < this.rows && isBefore(before + step)) {
      before += step
      step *= 2
    }
    let after = Math.min(before + step, this.rows - 1)
    while (after - before > 1) {
      const middle = (before + after) >>> 1
      if (isBefore(middle)) before = middle
      else after = middle
    }
    return after
  }
}

/** Order of two rows of different cursors: never 0. */
type RowOrder = (a: Cursor, rowA: number, b: Cursor, rowB: number) => number

function rowOrder(order: Exclude<UnionNode['order'], 'none'>): RowOrder {
  const direction = order === 'time desc' ? -1 : 1
  if (order === 'series,time')
    return (a, rowA, b, rowB) => bySeries(a, rowA, b, rowB) || a.times[rowA]! - b.times[rowB]! || a.index - b.index
  return (a, rowA, b, rowB) =>
    (a.times[rowA]! - b.times[rowB]!) * direction || bySeries(a, rowA, b, rowB) || a.index - b.index
}

function bySeries(a: Cursor, rowA: number, b: Cursor, rowB: number): number {
  const [left, right] = [a.series, b.series]
  if (left?.type !== 'string' || right?.type !== 'string') return 0
  if (left.dictionary === right.dictionary && left.values[rowA] === right.values[rowB]) return 0
  return compareUtf8(a.textAt(left, rowA), b.textAt(right, rowB))
}

/** A binary heap of cursors by their next rows. */
class CursorHeap {
  readonly order: RowOrder
  readonly #cursors: Cursor[] = []

  constructor(order: RowOrder) {
    this.order = order
  }
  get size(): number {
    return this.#cursors.length
  }
  get first(): Cursor {
    return this.#cursors[0]!
  }
  /** The one that would be first without the first. */
  get second(): Cursor {
    const [, left, right] = this.#cursors
    return right === undefined || this.#isBefore(left!, right) ? left! : right
  }

  add(cursor: Cursor): void {
    const cursors = this.#cursors
    let place = cursors.length
    cursors.push(cursor)
    while (place > 0) {
      const parent = (place - 1) >>> 1
      if (!this.#isBefore(cursor, cursors[parent]!)) break
      cursors[place] = cursors[parent]!
      place = parent
    }
    cursors[place] = cursor
  }

  removeFirst(): void {
    const last = this.#cursors.pop()!
    if (this.#cursors.length === 0) return
    this.#cursors[0] = last
    this.firstMoved()
  }

  /** Puts the first cursor where its new row belongs. */
  firstMoved(): void {
    const cursors = this.#cursors
    const moved = cursors[0]!
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= cursors.length) break
      if (child + 1 < cursors.length && this.#isBefore(cursors[child + 1]!, cursors[child]!)) child++
      if (this.#isBefore(moved, cursors[child]!)) break
      cursors[place] = cursors[child]!
      place = child
    }
    cursors[place] = moved
  }

  #isBefore(a: Cursor, b: Cursor): boolean {
    return this.order(a, a.row(a.at), b, b.row(b.at)) < 0
  }
}

/**
 * Rows of several batches in a new order. Each batch's rows are copied in one go before it is given back, then all are put
 * in order: two copies by column instead of one row by row.
 */
class Gathering {
  rows = 0
  readonly #capacity: number
  readonly #copied: BatchBuilder
  readonly #out: BatchBuilder
  /** By place in the output: the row of `#copied`. */
  readonly #order: Uint32Array
  readonly #waiting = new Set<Cursor>()

  constructor(schema: Schema, capacity: number) {
    this.#capacity = capacity
    this.#copied = new BatchBuilder(schema, capacity)
    this.#out = new BatchBuilder(schema, capacity)
    this.#order = new Uint32Array(capacity)
  }
  get isFull(): boolean {
    return this.rows === this.#capacity
  }
  get byteLength(): number {
    return this.#copied.byteLength + this.#out.byteLength + this.#order.byteLength
  }

  /** Takes the cursor's next rows up to this position, or as many as there is room for; returns the position reached. */
  add(cursor: Cursor, end: number): number {
    const to = Math.min(end, cursor.at + this.#capacity - this.rows)
    const count = to - cursor.at
    if (cursor.takenRows.length < cursor.taken + count) {
      cursor.takenRows = grown(cursor.takenRows, cursor.taken + count, this.#capacity)
      cursor.places = grown(cursor.places, cursor.taken + count, this.#capacity)
    }
    if (cursor.taken === 0) this.#waiting.add(cursor)
    for (let position = cursor.at; position < to; position++) {
      cursor.takenRows[cursor.taken] = cursor.row(position)
      cursor.places[cursor.taken++] = this.rows++
    }
    return to
  }

  /** Copies what has been taken of the cursor's batch. */
  copy(cursor: Cursor): void {
    if (cursor.taken === 0) return
    const first = this.#copied.length
    this.#copied.gather(cursor.batch, cursor.takenRows.subarray(0, cursor.taken))
    for (let i = 0; i < cursor.taken; i++) this.#order[cursor.places[i]!] = first + i
    cursor.taken = 0
    this.#waiting.delete(cursor)
  }

  /** The rows taken so far, in their order; valid until the next call. */
  take(): Batch {
    for (const cursor of this.#waiting) this.copy(cursor)
    this.#out.clear()
    this.#out.gather(this.#copied.batch(), this.#order.subarray(0, this.rows))
    this.#copied.clear()
    this.rows = 0
    return this.#out.batch()
  }
}

function grown(array: Uint32Array, length: number, max: number): Uint32Array {
  const larger = new Uint32Array(Math.min(max, Math.max(length, 2 * array.length, 64)))
  larger.set(array)
  return larger
}
