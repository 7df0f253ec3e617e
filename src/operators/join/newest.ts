/**
 * Newest: of each partition of a join's right side (with its key) the rows at the newest time so far.
 *
 *   rows      held      b2 b4 c5 c5 b8 …          copies of batches, ascending in time
 *             admitted  ────────────┘ ^ beyond the left's time
 *   by key    list      of admitted rows that are newest in their group, in the order they came
 *   by group  chain     its rows of the newest time
 *
 * Invariants:
 * 1. A group is a partition with a key. Its chain's rows are of one time; a newer row takes the whole chain off the list.
 * 2. Rows before `expired` are off the lists: they are out of reach for this and every later row of the left.
 * 3. Rows off the lists are dropped when they are more than those on them.
 */
import { type Batch, columnIndex, rowCount } from '../../columnar/batch.ts'
import { BatchBuilder } from '../../columnar/builder.ts'
import { assert } from '../../lib/assert.ts'
import type { JoinNode } from '../../sydraql/plan.ts'
import { GroupTable } from '../aggregate/groups.ts'
import { PairTable } from '../aggregate/keys.ts'
import { grownCodes } from '../aggregate/state.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import { type JoinKeys, noKey } from './keys.ts'

/** Below so many rows nothing is dropped. */
const wastedRowsMin = 16_384
const noRow = -1

export class NewestRows {
  readonly #node: JoinNode
  readonly #keys: JoinKeys
  readonly #timeColumn: number
  readonly #partitionColumns: readonly number[]
  readonly #partitions: GroupTable
  readonly #groups = new PairTable()
  readonly #parts = reusableCodes()
  readonly #selected = reusableCodes()

  #held: BatchBuilder
  /** The rows as a batch, and their times. */
  rows: Batch
  #times: Float64Array
  #admitted = 0
  #expired = 0
  #listed = 0
  /** By row. */
  #keyOf: Uint32Array = new Uint32Array(0)
  #groupOf: Uint32Array = new Uint32Array(0)
  #isListed: Uint32Array = new Uint32Array(0)
  #next: Int32Array = new Int32Array(0)
  #previous: Int32Array = new Int32Array(0)
  #chained: Int32Array = new Int32Array(0)
  /** By key: the list's ends. By group: its chain's first row. */
  #first: Int32Array = new Int32Array(0)
  #last: Int32Array = new Int32Array(0)
  #chain: Int32Array = new Int32Array(0)

  constructor(node: JoinNode, keys: JoinKeys) {
    const { right, rightSequence } = node
    const { schema } = right
    this.#node = node
    this.#keys = keys
    this.#timeColumn = columnIndex(schema, rightSequence.time ?? '')
    assert(this.#timeColumn >= 0, 'the right of a join has a time')
    this.#partitionColumns = rightSequence.partition.map(name => columnIndex(schema, name))
    assert(!this.#partitionColumns.includes(-1), 'the right of a join has the columns of its partition')
    this.#partitions = new GroupTable(
      this.#partitionColumns.map(index => schema[index]!.type),
      false,
    )
    this.#held = new BatchBuilder(schema)
    this.rows = this.#held.batch()
    this.#times = new Float64Array(0)
  }

  get byteLength(): number {
    const byRow = 3 * this.#keyOf.byteLength + 3 * this.#next.byteLength
    const byId = 2 * this.#first.byteLength + this.#chain.byteLength
    const tables = this.#keys.byteLength + this.#partitions.byteLength + this.#groups.byteLength
    return this.#held.byteLength + byRow + byId + tables
  }
  /** No row can be found until others are added. */
  get isEmpty(): boolean {
    return this.#listed === 0 && this.#admitted === this.rows.length
  }
  /** `add` will move rows: indexes of rows found before are then no longer good. */
  get isWasteful(): boolean {
    return this.rows.length > wastedRowsMin && this.rows.length > 2 * this.#listed
  }

  /** Takes in the rows up to this time. False when it took all there are, so that more may follow. */
  advance(timeUs: number): boolean {
    const rows = this.rows.length
    const times = this.#times
    let row = this.#admitted
    while (row < rows && times[row]! <= timeUs) this.#admit(row++)
    this.#admitted = row
    return row < rows
  }

  /** Appends rows of the right; all before have been admitted. */
  add(batch: Batch): void {
    if (this.isWasteful) this.#compact()
    const { values: times, valid } = batch.columns[this.#timeColumn]!
    const count = rowCount(batch)
    const keys = this.#keys.ofRight(batch)
    const selected = this.#selected(count)
    let rows = 0
    for (let k = 0; k < count; k++) {
      const row = batch.selection === undefined ? k : batch.selection[k]!
      if (keys[row] === noKey || (valid !== undefined && valid[row] === 0)) continue
      assert(this.#mayFollow(times[row]!, rows, times, selected), 'the right of a join ascends in time')
      selected[rows++] = row
    }
    if (rows === 0) return
    const selection = rows === batch.length ? undefined : selected.subarray(0, rows)
    const kept: Batch = { length: batch.length, columns: batch.columns, selection }
    const parts = this.#parts(batch.length)
    this.#partitions.assign(
      this.#partitionColumns.map(index => batch.columns[index]!),
      undefined,
      kept,
      parts,
    )
    const first = this.rows.length
    this.#held.append(kept)
    this.#show()
    this.#reserveRows(first + rows)
    for (let k = 0; k < rows; k++) {
      const row = selection === undefined ? k : selection[k]!
      this.#keyOf[first + k] = keys[row]!
      this.#groupOf[first + k] = this.#groups.id(parts[row]!, keys[row]!)
    }
    this.#reserveIds()
  }

  /** The first row found for the key at or after `oldestUs`, which never descends; or -1. */
  first(key: number, oldestUs: number): number {
    while (this.#expired < this.#admitted && this.#times[this.#expired]! < oldestUs) this.#unlist(this.#expired++)
    return key < this.#first.length ? this.#first[key]! : noRow
  }

  next(row: number): number {
    return this.#next[row]!
  }

  #mayFollow(timeUs: number, rows: number, times: ArrayLike<number>, selected: Uint32Array): boolean {
    if (rows > 0) return timeUs >= times[selected[rows - 1]!]!
    const before = this.rows.length
    return before === 0 || timeUs >= this.#times[before - 1]!
  }

  #admit(row: number): void {
    const group = this.#groupOf[row]!
    const chain = this.#chain[group]!
    if (chain !== noRow && this.#times[chain] !== this.#times[row]) {
      for (let old = chain; old !== noRow; old = this.#chained[old]!) this.#unlist(old)
      this.#chained[row] = noRow
    } else this.#chained[row] = chain
    this.#chain[group] = row

    const key = this.#keyOf[row]!
    const last = this.#last[key]!
    this.#previous[row] = last
    this.#next[row] = noRow
    if (last === noRow) this.#first[key] = row
    else this.#next[last] = row
    this.#last[key] = row
    this.#isListed[row] = 1
    this.#listed++
  }

  #unlist(row: number): void {
    if (this.#isListed[row] === 0) return
    const key = this.#keyOf[row]!
    const next = this.#next[row]!
    const previous = this.#previous[row]!
    if (previous === noRow) this.#first[key] = next
    else this.#next[previous] = next
    if (next === noRow) this.#last[key] = previous
    else this.#previous[next] = previous
    this.#isListed[row] = 0
    this.#listed--
  }

  /** Keeps the rows on lists, which find their places anew. */
  #compact(): void {
    const kept = new Uint32Array(this.#listed)
    let count = 0
    for (let row = 0; row < this.rows.length; row++) {
      this.#first[this.#keyOf[row]!] = noRow
      this.#last[this.#keyOf[row]!] = noRow
      this.#chain[this.#groupOf[row]!] = noRow
      if (this.#isListed[row] === 1) kept[count++] = row
    }
    const held = new BatchBuilder(this.#node.right.schema, count)
    held.gather(this.rows, kept)
    this.#held = held
    this.#show()
    this.#listed = 0
    this.#expired = 0
    this.#admitted = count
    for (let row = 0; row < count; row++) {
      this.#keyOf[row] = this.#keyOf[kept[row]!]!
      this.#groupOf[row] = this.#groupOf[kept[row]!]!
      this.#admit(row)
    }
    this.#isListed.fill(0, count)
  }

  #show(): void {
    this.rows = this.#held.batch()
    this.#times = this.rows.columns[this.#timeColumn]!.values as Float64Array
  }

  #reserveRows(rows: number): void {
    this.#keyOf = grownCodes(this.#keyOf, rows)
    this.#groupOf = grownCodes(this.#groupOf, rows)
    this.#isListed = grownCodes(this.#isListed, rows)
    this.#next = grownRows(this.#next, rows)
    this.#previous = grownRows(this.#previous, rows)
    this.#chained = grownRows(this.#chained, rows)
  }

  #reserveIds(): void {
    this.#first = grownRows(this.#first, this.#keys.size)
    this.#last = grownRows(this.#last, this.#keys.size)
    this.#chain = grownRows(this.#chain, this.#groups.size)
  }
}

/** New elements are `noRow`. */
function grownRows(array: Int32Array, length: number): Int32Array {
  if (array.length >= length) return array
  const larger = new Int32Array(Math.max(length, 2 * array.length, 16)).fill(noRow)
  larger.set(array)
  return larger
}
