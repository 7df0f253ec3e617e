/** Reading from chunks: rows picked from a chunk's columns are appended to a RowBuffer. */
import type { Dictionary } from '../../columnar/batch.ts'
import type { FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { ChunkColumn, ChunkRows } from './chunk.ts'

/**
 * Appends rows of the chunk to the buffer: `picked[0, count)`, or [first, first + count) when that is undefined.
 * `dictionary` is the memtable's for a string field.
 */
export function gatherRows(
  chunk: ChunkRows,
  picked: Uint32Array | undefined,
  first: number,
  count: number,
  into: RowBuffer,
  dictionary: (field: number) => Dictionary,
): void {
  into.reserve(count)
  const at = into.length
  if (picked === undefined) {
    into.series.set(chunk.series.subarray(first, first + count), at)
    into.timeUs.set(chunk.timeUs.subarray(first, first + count), at)
  } else {
    const { series, timeUs } = into
    for (let i = 0; i < count; i++) {
      const row = picked[i]!
      series[at + i] = chunk.series[row]!
      timeUs[at + i] = chunk.timeUs[row]!
    }
  }
  for (const buffer of into.fields) {
    const { id, type } = buffer.field
    const strings = type === 'string' ? dictionary(id) : undefined
    gatherColumn(chunk.columns[id], picked, first, count, buffer, at, strings)
  }
  into.length = at + count
}

function gatherColumn(
  column: Readonly<ChunkColumn> | undefined,
  picked: Uint32Array | undefined,
  first: number,
  count: number,
  into: FieldBuffer,
  at: number,
  dictionary: Dictionary | undefined,
): void {
  if (column === undefined) {
    into.valid.fill(0, at, at + count)
    into.nulls = true
    return
  }
  const { values, valid, length } = column
  if (gatherValid(valid, length, picked, first, count, into.valid, at)) into.nulls = true
  if (dictionary !== undefined) {
    gatherCodes(values as Uint32Array, picked, first, count, into, at, dictionary)
  } else if (values instanceof Float64Array) {
    const target = into.values as Float64Array
    if (picked === undefined) target.set(values.subarray(first, first + count), at)
    else for (let i = 0; i < count; i++) target[at + i] = values[picked[i]!]!
  } else {
    const target = into.values as Uint8Array
    if (picked === undefined) target.set((values as Uint8Array).subarray(first, first + count), at)
    else for (let i = 0; i < count; i++) target[at + i] = values[picked[i]!]!
  }
}

/** Whether any of the rows is null. */
function gatherValid(
  valid: Uint8Array | undefined,
  length: number,
  picked: Uint32Array | undefined,
  first: number,
  count: number,
  into: Uint8Array,
  at: number,
): boolean {
  if (valid === undefined && picked === undefined && first + count <= length) {
    into.fill(1, at, at + count)
    return false
  }
  let nulls = 0
  for (let i = 0; i < count; i++) {
    const row = picked === undefined ? first + i : picked[i]!
    const present = row < length && (valid === undefined || valid[row] === 1) ? 1 : 0
    into[at + i] = present
    nulls += 1 - present
  }
  return nulls > 0
}

/** Codes of the memtable's dictionary become codes of the buffer's. */
function gatherCodes(
  values: Uint32Array,
  picked: Uint32Array | undefined,
  first: number,
  count: number,
  into: FieldBuffer,
  at: number,
  dictionary: Dictionary,
): void {
  const target = into.values as Uint32Array
  const own = into.dictionary!
  // A table pays when it is not much longer than the rows; else strings are looked up one by one.
  const known = dictionary.size <= count * 4 ? new Int32Array(dictionary.size).fill(-1) : undefined
  let lastCode = -1
  let lastOwn = 0
  for (let i = 0; i < count; i++) {
    if (into.valid[at + i] === 0) continue
    const code = values[picked === undefined ? first + i : picked[i]!]!
    if (code !== lastCode) {
      lastCode = code
      lastOwn = known?.[code] ?? -1
      if (lastOwn < 0) lastOwn = own.code(dictionary.at(code))
      if (known !== undefined) known[code] = lastOwn
    }
    target[at + i] = lastOwn
  }
}
