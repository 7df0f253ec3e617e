/** Copies that outlive the next pull: the selection applied, arrays of their own. Dictionaries are shared; they only grow. */
import { type Batch, type Column, rowCount } from './batch.ts'

export function copyBatch(batch: Batch): Batch {
  const length = rowCount(batch)
  return {
    length,
    columns: batch.columns.map(column => copyColumn(column, batch.selection, length)),
    selection: undefined,
  }
}

function copyColumn(column: Column, selection: Uint32Array | undefined, length: number): Column {
  const valid = column.valid === undefined ? undefined : take(column.valid, selection, length)
  if (column.type === 'string') {
    return { type: 'string', values: take(column.values, selection, length), dictionary: column.dictionary, valid }
  }
  if (column.type === 'boolean') return { type: 'boolean', values: take(column.values, selection, length), valid }
  return { type: column.type, values: take(column.values, selection, length), valid }
}

function take<A extends Float64Array | Uint32Array | Uint8Array>(
  values: A,
  selection: Uint32Array | undefined,
  length: number,
): A {
  if (selection === undefined) return values.slice(0, length) as A
  const taken = new (values.constructor as new (length: number) => A)(length)
  for (let index = 0; index < length; index++) taken[index] = values[selection[index]!]!
  return taken
}
