/**
 * A table's rows by (series rank, time), merged: counting sort straight from the chunks into one RowBuffer.
 *
 *   chunks in arrival order ─ rows per rank counted ─ each chunk's rows, by rank, to their series' next place ─> RowBuffer
 *
 * Rows of a series nearly always arrive in time order, so scattering leaves them sorted; where they did not, the buffer,
 * sorted by then but for those, is sorted again. Each column is read in order and written to as many streams as there
 * are series: several times faster than sorting a permutation and gathering by it.
 *
 * Invariants:
 * 1. Rows of one series keep their arrival order until they are merged: it decides duplicates.
 */
import type { InterningDictionary } from '../../columnar/batch.ts'
import { type Duplicates, mergeNeighbours, sortRows } from '../merge.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import { type Chunk, type ChunkColumn, chunkRowsMax } from './chunk.ts'
import type { MetricTable } from './table.ts'

/** `ranks` is indexed by ordinal; ranks of the metric are below `seriesCount`. */
export function sortedRows(
  table: MetricTable,
  ranks: Uint32Array,
  seriesCount: number,
  duplicates: Duplicates,
): RowBuffer {
  const buffer = new RowBuffer(table.presentFields(), table.rows)
  const next = firstPlaces(table.chunks, ranks, seriesCount)
  const order = new Uint32Array(chunkRowsMax)
  const places = new Uint32Array(chunkRowsMax)
  const orderOf = chunkOrder(ranks, seriesCount, order)
  const codeMaps = buffer.fields.map(({ field, dictionary }) =>
    dictionary === undefined ? undefined : codeMap(table.dictionary(field.id), dictionary),
  )
  for (const chunk of table.chunks) {
    const { series, rows } = chunk
    orderOf(series, rows)
    for (let i = 0; i < rows; i++) places[i] = next[ranks[series[order[i]!]!]!]!++
    scatter32(series, order, places, rows, buffer.series)
    scatter64(chunk.timeUs, order, places, rows, buffer.timeUs)
    for (const [index, field] of buffer.fields.entries()) {
      scatterColumn(chunk.columns[field.field.id], order, places, rows, field, codeMaps[index])
    }
  }
  buffer.length = table.rows
  if (inOrder(buffer)) mergeNeighbours(buffer, 0, duplicates)
  else sortRows(buffer, 'series-time', ranks, duplicates)
  return buffer
}

/** By rank: the place of its first row. */
function firstPlaces(chunks: readonly Chunk[], ranks: Uint32Array, seriesCount: number): Uint32Array {
  const places = new Uint32Array(seriesCount + 1)
  for (const { series, rows } of chunks) for (let row = 0; row < rows; row++) places[ranks[series[row]!]! + 1]!++
  for (let rank = 1; rank <= seriesCount; rank++) places[rank]! += places[rank - 1]!
  return places
}

/**
 * Writes a chunk's rows by rank to `order`: its own rows lie in the processor's cache, while a row at a time each would
 * touch another page of the buffer. With more series than a chunk has rows there is nothing to gain: as they come.
 */
function chunkOrder(ranks: Uint32Array, seriesCount: number, order: Uint32Array) {
  if (seriesCount > chunkRowsMax) {
    for (let row = 0; row < chunkRowsMax; row++) order[row] = row
    return () => {}
  }
  const places = new Uint32Array(seriesCount + 1)
  return (series: Uint32Array, rows: number): void => {
    places.fill(0)
    for (let row = 0; row < rows; row++) places[ranks[series[row]!]! + 1]!++
    for (let rank = 1; rank <= seriesCount; rank++) places[rank]! += places[rank - 1]!
    for (let row = 0; row < rows; row++) order[places[ranks[series[row]!]!]!++] = row
  }
}

function inOrder({ series, timeUs, length }: RowBuffer): boolean {
  for (let row = 1; row < length; row++) {
    if (timeUs[row]! < timeUs[row - 1]! && series[row] === series[row - 1]) return false
  }
  return true
}

/** The memtable's code -> the buffer's. */
function codeMap(from: InterningDictionary, to: InterningDictionary): Uint32Array {
  return Uint32Array.from({ length: from.size }, (_, code) => to.code(from.at(code)))
}

function scatterColumn(
  column: ChunkColumn | undefined,
  order: Uint32Array,
  places: Uint32Array,
  rows: number,
  into: FieldBuffer,
  codes: Uint32Array | undefined,
): void {
  if (column === undefined) {
    // The fresh buffer says null already.
    into.nulls = true
    return
  }
  const { values, valid, length } = column
  if (valid === undefined && length >= rows) {
    for (let i = 0; i < rows; i++) into.valid[places[i]!] = 1
  } else {
    into.nulls = true
    for (let i = 0; i < rows; i++) {
      const row = order[i]!
      into.valid[places[i]!] = row < length && (valid === undefined || valid[row] === 1) ? 1 : 0
    }
  }
  if (codes !== undefined) scatterCodes(values as Uint32Array, codes, order, places, rows, into.values as Uint32Array)
  else if (values instanceof Float64Array) scatter64(values, order, places, rows, into.values as Float64Array)
  else scatter8(values as Uint8Array, order, places, rows, into.values as Uint8Array)
}

// One function a type: the loops stay monomorphic.

function scatter64(
  values: Float64Array,
  order: Uint32Array,
  places: Uint32Array,
  rows: number,
  into: Float64Array,
): void {
  for (let i = 0; i < rows; i++) into[places[i]!] = values[order[i]!]!
}

function scatter32(
  values: Uint32Array,
  order: Uint32Array,
  places: Uint32Array,
  rows: number,
  into: Uint32Array,
): void {
  for (let i = 0; i < rows; i++) into[places[i]!] = values[order[i]!]!
}

function scatter8(values: Uint8Array, order: Uint32Array, places: Uint32Array, rows: number, into: Uint8Array): void {
  for (let i = 0; i < rows; i++) into[places[i]!] = values[order[i]!]!
}

function scatterCodes(
  values: Uint32Array,
  codes: Uint32Array,
  order: Uint32Array,
  places: Uint32Array,
  rows: number,
  into: Uint32Array,
): void {
  for (let i = 0; i < rows; i++) into[places[i]!] = codes[values[order[i]!]!]!
}
