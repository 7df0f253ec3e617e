/**
 * Evaluator: a compiled expression — a function from a batch to a column.
 *
 * Invariants:
 * 1. The column is at least `batch.length` long; only rows that count hold a meaning, others hold anything.
 * 2. The column belongs to the evaluator (or to the batch) and is overwritten by the next call.
 * 3. Evaluation never throws for a value: what has no answer is null.
 */
import { type ArrayMemory, ownArrays } from '../../columnar/arena.ts'
import type { Batch, Column, ValueType } from '../../columnar/batch.ts'
import { InterningDictionary } from '../../columnar/batch.ts'
import type { Scalar } from '../../columnar/value.ts'
import type { ExprType } from '../../sydraql/expression.ts'

export interface Evaluator {
  readonly type: ExprType
  /** Set when the value is the same for every batch. */
  readonly constant: { readonly value: Scalar } | undefined
  evaluate(batch: Batch): Column
}

/** The type a column of this expression has: the bare null is an all-null float column. */
export const columnType = (type: ExprType): ValueType => (type === 'null' ? 'float' : type)

export const isNumeric = (type: ExprType): boolean => type !== 'string' && type !== 'boolean'

/** An array that grows to what is asked for and is reused in between. */
export function reusable<A>(make: (length: number) => A): (length: number) => A {
  let array: A | undefined
  let capacity = 0
  return length => {
    if (array === undefined || capacity < length) {
      capacity = Math.max(length, 2 * capacity)
      array = make(capacity)
    }
    return array
  }
}
export const reusableNumbers = (memory: ArrayMemory = ownArrays) => reusable(length => memory.float64(length))
export const reusableBytes = () => reusable(length => new Uint8Array(length))
export const reusableCodes = (memory: ArrayMemory = ownArrays) => reusable(length => memory.uint32(length))

/** A constant as a column: filled once, then handed out as often as asked. */
export function constantEvaluator(type: ExprType, value: Scalar): Evaluator {
  let column: Column | undefined
  let length = 0
  return {
    type,
    constant: { value },
    evaluate(batch) {
      if (column === undefined || length < batch.length) {
        length = Math.max(batch.length, 2 * length)
        column = constantColumn(columnType(type), value, length)
      }
      return column
    },
  }
}

function constantColumn(type: ValueType, value: Scalar, length: number): Column {
  const valid = value === null ? new Uint8Array(length) : undefined
  if (type === 'string') {
    const dictionary = new InterningDictionary([typeof value === 'string' ? value : ''])
    return { type, values: new Uint32Array(length), valid, dictionary }
  }
  if (type === 'boolean') return { type, values: new Uint8Array(length).fill(value === true ? 1 : 0), valid }
  return { type, values: new Float64Array(length).fill(typeof value === 'number' ? value : 0), valid }
}

/** Reads the column of the batch at this index. */
export const columnEvaluator = (type: ValueType, index: number): Evaluator => ({
  type,
  constant: undefined,
  evaluate: batch => batch.columns[index]!,
})

/** Both masks in one: a row is valid where it is in each. Writes to `into` only when both exist. */
export function intersectMasks(
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
  length: number,
  into: (length: number) => Uint8Array,
): Uint8Array | undefined {
  if (a === undefined) return b
  if (b === undefined || a === b) return a
  const out = into(length)
  for (let i = 0; i < length; i++) out[i] = a[i]! & b[i]!
  return out
}

/** Calls `visit` for each row that counts. */
export function forRows(batch: Batch, visit: (row: number) => void): void {
  const { selection } = batch
  if (selection === undefined) for (let row = 0; row < batch.length; row++) visit(row)
  else for (let k = 0; k < selection.length; k++) visit(selection[k]!)
}
