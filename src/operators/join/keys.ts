/**
 * The equalities of a join as dense ids: rows of both sides go together when their ids are equal.
 *
 * Invariants:
 * 1. Equal values have one id on both sides: numbers of any type by value (NaN is one, -0 is 0), text by its characters.
 * 2. A null equals nothing: a row with one in a key has the id `noKey`.
 */
import { type Batch, rowCount, type Schema } from '../../columnar/batch.ts'
import type { JoinNode } from '../../sydraql/plan.ts'
import { GroupTable } from '../aggregate/groups.ts'
import { compile } from '../compile.ts'
import { columnType, type Evaluator, reusableCodes } from '../functions/evaluator.ts'

export const noKey = 0xffffffff

export class JoinKeys {
  readonly #left: readonly Evaluator[]
  readonly #right: readonly Evaluator[]
  readonly #table: GroupTable
  readonly #leftIds = reusableCodes()
  readonly #rightIds = reusableCodes()

  constructor({ keys, left, right }: JoinNode) {
    const compiled = (schema: Schema, side: 'left' | 'right') => keys.map(key => compile(key[side], schema))
    this.#left = compiled(left.schema, 'left')
    this.#right = compiled(right.schema, 'right')
    this.#table = new GroupTable(
      this.#left.map(key => columnType(key.type)),
      false,
    )
  }
  /** Ids are below this. */
  get size(): number {
    return this.#table.size
  }
  get byteLength(): number {
    return this.#table.byteLength
  }

  /** By row; all 0 without keys. */
  ofLeft(batch: Batch): Uint32Array {
    return this.#ids(this.#left, batch, this.#leftIds(batch.length))
  }
  ofRight(batch: Batch): Uint32Array {
    return this.#ids(this.#right, batch, this.#rightIds(batch.length))
  }

  #ids(keys: readonly Evaluator[], batch: Batch, ids: Uint32Array): Uint32Array {
    const columns = keys.map(key => key.evaluate(batch))
    this.#table.assign(columns, undefined, batch, ids)
    const { selection } = batch
    const count = rowCount(batch)
    for (const { valid } of columns) {
      if (valid === undefined) continue
      for (let k = 0; k < count; k++) {
        const row = selection === undefined ? k : selection[k]!
        if (valid[row] === 0) ids[row] = noKey
      }
    }
    return ids
  }
}
