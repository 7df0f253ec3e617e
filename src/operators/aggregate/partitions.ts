/** Dense ids for the sequences of a source without series, and how they rank: by their columns' values, nulls last. */
import { type Batch, type Column, columnIndex, type Schema } from '../../columnar/batch.ts'
import { assert } from '../../lib/assert.ts'
import { reusableCodes } from '../functions/evaluator.ts'
import { GroupTable } from './groups.ts'

export interface PartitionIds {
  size(): number
  heldBytes(): number
  /** Of each row that counts; overwritten by the next call. */
  of(batch: Batch): Uint32Array
  /** By id, as far as there are ids now. */
  ranks(): Uint32Array
}

export function partitionIds(names: readonly string[], schema: Schema): PartitionIds {
  const indexes = names.map(name => {
    const index = columnIndex(schema, name)
    assert(index >= 0, `the source has its partition column ${name}`)
    return index
  })
  const table = new GroupTable(
    indexes.map(index => schema[index]!.type),
    false,
  )
  const ids = reusableCodes()
  let ranked = new Uint32Array(0)
  return {
    size: () => table.size,
    heldBytes: () => table.byteLength,
    of(batch) {
      const out = ids(batch.length)
      const columns: readonly Column[] = indexes.map(index => batch.columns[index]!)
      table.assign(columns, undefined, batch, out)
      return out
    },
    ranks() {
      if (ranked.length === table.size) return ranked
      const sorted = table.sorted(Uint32Array.from({ length: table.size }, (_, id) => id))
      ranked = new Uint32Array(table.size)
      for (let rank = 0; rank < sorted.length; rank++) ranked[sorted[rank]!] = rank
      return ranked
    },
  }
}
