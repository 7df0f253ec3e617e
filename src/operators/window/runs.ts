/**
 * Runs: the rows of a batch by partition, each partition's in order.
 *
 *   together      a a a b b c          runs a a a | b b | c         a partition that ends does not come back
 *   interleaved   a b c a b c          rows grouped by a counting sort: a a | b b | c c
 *
 * Invariants:
 * 1. Every row that counts is in one run; a run has rows of one partition, ascending.
 * 2. Together, there is one partition id, 0: a run that is `fresh` begins another partition under it, and nothing grows
 *    with the number of partitions. Interleaved, ids are dense and live as long as the stream.
 */
import { type Batch, type Column, rowCount } from '../../columnar/batch.ts'
import { compareScalars, type Scalar, valueAt } from '../../columnar/value.ts'
import { GroupTable } from '../aggregate/groups.ts'
import { grownCodes } from '../aggregate/state.ts'
import { reusableBytes, reusableCodes } from '../functions/evaluator.ts'

/** Shorter runs on average are grouped by partition first. */
const runRowsMin = 8

export interface Runs {
  /** Ids are below this. */
  readonly partitions: number
  readonly byteLength: number
  readonly count: number
  /** By run. */
  readonly partition: Uint32Array
  readonly ends: Uint32Array
  readonly fresh: Uint8Array
  /** By position; undefined: a position is a row. */
  readonly rows: Uint32Array | undefined
  /** Finds the runs of the batch; views of them are valid until the next call. */
  find(batch: Batch): void
  /** The rows up to this one have been computed: the next batch's first row follows it. */
  passed(batch: Batch, row: number): void
}

export class RunsTogether implements Runs {
  readonly partitions = 1
  readonly byteLength = 0
  count = 0
  rows: Uint32Array | undefined
  ends: Uint32Array = new Uint32Array(0)
  fresh: Uint8Array = new Uint8Array(0)
  partition: Uint32Array = new Uint32Array(0)
  readonly #columns: readonly number[]
  /** The partition of the row before; undefined before the first. */
  #before: readonly Scalar[] | undefined
  readonly #changes = reusableBytes()

  /** `columns`: where the batches have the partition's values. */
  constructor(columns: readonly number[]) {
    this.#columns = columns
  }

  find(batch: Batch): void {
    const count = rowCount(batch)
    this.rows = batch.selection
    this.count = 0
    if (count === 0) return
    const changes = this.#changes(count)
    changes.fill(0, 0, count)
    for (const index of this.#columns) markChanges(batch.columns[index]!, batch.selection, count, changes)
    const first = batch.selection === undefined ? 0 : batch.selection[0]!
    let runs = 1
    for (let k = 1; k < count; k++) runs += changes[k]!
    this.ends = grownCodes(this.ends, runs)
    if (this.partition.length < runs) {
      this.partition = new Uint32Array(this.ends.length)
      this.fresh = new Uint8Array(this.ends.length)
    }
    this.fresh.fill(1, 0, runs)
    this.fresh[0] = this.#before === undefined || !this.#follows(batch, first) ? 1 : 0
    for (let k = 1; k < count && this.count < runs - 1; k++) if (changes[k] === 1) this.ends[this.count++] = k
    this.ends[this.count++] = count
  }

  passed(batch: Batch, row: number): void {
    this.#before = this.#columns.map(index => valueAt(batch.columns[index]!, row))
  }

  #follows(batch: Batch, row: number): boolean {
    return this.#columns.every((index, c) => {
      const before = this.#before![c]!
      const value = valueAt(batch.columns[index]!, row)
      return before === null || value === null ? before === value : compareScalars(before, value) === 0
    })
  }
}

/** Sets `changes[k]` where the value at position k differs from the one before. */
function markChanges(column: Column, selection: Uint32Array | undefined, count: number, changes: Uint8Array): void {
  const { values, valid } = column
  const dictionary = column.type === 'string' ? column.dictionary : undefined
  const rowAt = (k: number) => (selection === undefined ? k : selection[k]!)
  let before = rowAt(0)
  for (let k = 1; k < count; k++) {
    const row = selection === undefined ? k : selection[k]!
    if (valid !== undefined && (valid[row] === 0 || valid[before] === 0)) {
      if (valid[row] !== valid[before]) changes[k] = 1
    } else {
      const a = values[before]!
      const b = values[row]!
      // Two codes may name one text; NaN equals itself.
      if (
        a !== b &&
        (dictionary === undefined ? !(Number.isNaN(a) && Number.isNaN(b)) : dictionary.at(a) !== dictionary.at(b))
      )
        changes[k] = 1
    }
    before = row
  }
}

export class RunsInterleaved implements Runs {
  count = 0
  rows: Uint32Array | undefined
  ends: Uint32Array = new Uint32Array(0)
  fresh: Uint8Array = new Uint8Array(0)
  partition: Uint32Array = new Uint32Array(0)
  readonly #columns: readonly number[]
  readonly #table: GroupTable
  readonly #ids = reusableCodes()
  readonly #grouped = reusableCodes()
  /** By partition: rows in this batch, then where its next row goes. All 0 in between. */
  #places: Uint32Array = new Uint32Array(0)

  constructor(columns: readonly number[], types: readonly Column['type'][]) {
    this.#columns = columns
    this.#table = new GroupTable(types, false)
  }

  get partitions(): number {
    return this.#table.size
  }
  get byteLength(): number {
    return this.#table.byteLength + this.#places.byteLength
  }

  find(batch: Batch): void {
    const count = rowCount(batch)
    this.count = 0
    this.rows = batch.selection
    if (count === 0) return
    const ids = this.#ids(batch.length)
    this.#table.assign(
      this.#columns.map(index => batch.columns[index]!),
      undefined,
      batch,
      ids,
    )
    const { selection } = batch
    let runs = 1
    for (let k = 1, before = ids[selection === undefined ? 0 : selection[0]!]!; k < count; k++) {
      const id = ids[selection === undefined ? k : selection[k]!]!
      if (id !== before) runs++
      before = id
    }
    this.#reserve(runs)
    if (runs * runRowsMin <= count) this.#asTheyCome(ids, selection, count)
    else this.#group(ids, selection, count)
  }

  passed(): void {}

  #reserve(runs: number): void {
    this.ends = grownCodes(this.ends, runs)
    if (this.partition.length >= runs) return
    this.partition = new Uint32Array(this.ends.length)
    this.fresh = new Uint8Array(this.ends.length)
  }

  #asTheyCome(ids: Uint32Array, selection: Uint32Array | undefined, count: number): void {
    let current = ids[selection === undefined ? 0 : selection[0]!]!
    for (let k = 1; k < count; k++) {
      const id = ids[selection === undefined ? k : selection[k]!]!
      if (id === current) continue
      this.partition[this.count] = current
      this.ends[this.count++] = k
      current = id
    }
    this.partition[this.count] = current
    this.ends[this.count++] = count
  }

  /** A stable counting sort by partition; only partitions with rows here are looked at. */
  #group(ids: Uint32Array, selection: Uint32Array | undefined, count: number): void {
    this.#places = grownCodes(this.#places, this.partitions)
    const places = this.#places
    const { partition, ends } = this
    for (let k = 0; k < count; k++) {
      const id = ids[selection === undefined ? k : selection[k]!]!
      if (places[id]!++ === 0) partition[this.count++] = id
    }
    for (let run = 0, at = 0; run < this.count; run++) {
      const id = partition[run]!
      const rows = places[id]!
      places[id] = at
      at += rows
      ends[run] = at
    }
    const grouped = this.#grouped(count)
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      grouped[places[ids[row]!]!++] = row
    }
    for (let run = 0; run < this.count; run++) places[partition[run]!] = 0
    this.rows = grouped
  }
}
