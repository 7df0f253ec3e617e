/**
 * Row functions as states: what each keeps per partition while its rows come in order, and the column it makes of them.
 *
 *   begin(batch)   run(partition, rows …) for each run of the batch   finish() -> a column as long as the batch
 *
 * Invariants:
 * 1. A partition's rows come once each and in order, over all runs and batches; a run has rows of one partition.
 * 2. A column is the state's own and is overwritten by the next `begin`.
 * 3. Row k of a run is `rows[k]`, or k itself where there are no `rows`.
 */
import type { Batch, Column, Dictionary, StringColumn, ValueType } from '../../columnar/batch.ts'
import { InterningDictionary, rowCount } from '../../columnar/batch.ts'
import { CodeTranslation, columnOf } from '../../columnar/builder.ts'
import { reusableBytes, reusableCodes, reusableNumbers } from '../functions/evaluator.ts'

export interface WindowState {
  /** Memory held for partitions. */
  readonly byteLength: number
  /** Rows of the batch are next; ids of partitions are below `partitions`. */
  begin(batch: Batch, partitions: number): void
  /** Computes the rows at [from, to). Those at [to, end) follow them in their partition and are not to be computed yet. */
  run(partition: number, rows: Uint32Array | undefined, from: number, to: number, end: number): void
  /** A partition has ended and its id is used for another. */
  reset(partition: number): void
  finish(): Column
}

/** A column of results, written by row; `valid` starts as all ones, and who writes a zero says so in `hasNulls`. */
export class ResultColumn {
  readonly type: ValueType
  values: Float64Array | Uint8Array | Uint32Array
  valid: Uint8Array
  hasNulls = false
  readonly #values: (length: number) => Float64Array | Uint8Array | Uint32Array
  readonly #masks = reusableBytes()

  constructor(type: ValueType) {
    this.type = type
    this.#values = type === 'string' ? reusableCodes() : type === 'boolean' ? reusableBytes() : reusableNumbers()
    this.values = this.#values(1)
    this.valid = this.#masks(1)
  }

  begin(length: number): void {
    this.values = this.#values(length)
    this.valid = this.#masks(length)
    this.valid.fill(1, 0, length)
    this.hasNulls = false
  }

  column(dictionary?: Dictionary): Column {
    return columnOf(this.type, this.values, this.hasNulls ? this.valid : undefined, dictionary)
  }
}

/**
 * Text that states carry from batch to batch, as codes of one dictionary: the input's own as long as there is only one,
 * else an interning one.
 */
export class CarriedText {
  #adopted: Dictionary | undefined
  #interning: CodeTranslation | undefined
  readonly #codes = reusableCodes()

  get dictionary(): Dictionary {
    return this.#adopted ?? this.#interning!.target
  }

  /**
   * The column's codes in `dictionary`, by row. When the dictionary has to change, `recode` is called to translate the
   * codes kept so far.
   */
  codes(column: StringColumn, batch: Batch, recode: (translate: (code: number) => number) => void): Uint32Array {
    if (this.#interning === undefined && (this.#adopted === undefined || this.#adopted === column.dictionary)) {
      this.#adopted = column.dictionary
      return column.values
    }
    if (this.#interning === undefined) {
      const interning = new CodeTranslation(new InterningDictionary())
      interning.from(this.#adopted!)
      recode(code => interning.code(code))
      this.#adopted = undefined
      this.#interning = interning
    }
    this.#interning.from(column.dictionary)
    const { selection } = batch
    const { values, valid } = column
    const codes = this.#codes(batch.length)
    const count = rowCount(batch)
    for (let k = 0; k < count; k++) {
      const row = selection === undefined ? k : selection[k]!
      codes[row] = valid === undefined || valid[row] === 1 ? this.#interning.code(values[row]!) : 0
    }
    return codes
  }
}
