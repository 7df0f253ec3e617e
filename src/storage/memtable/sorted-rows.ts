/**
 * A table's rows by (series rank, time), merged, a slice of whole series at a time.
 *
 *   chunk   rows by rank (counting sort of 2-byte row numbers), as runs of one series        all chunks first
 *   slice   ranks [a, b): of every chunk the next runs, each to its series' next place       -> RowBuffer -> encoder
 *
 * Rows of a series nearly always arrive in time order, so gathering chunk after chunk leaves them sorted; where they did
 * not, the slice is sorted again. A slice stays in the processor's cache, and the whole table never lies in memory twice.
 *
 * Invariants:
 * 1. Rows of one series and time keep their arrival order until they are merged: it decides duplicates.
 * 2. The buffer is borrowed until the next slice; its dictionaries hold the strings of all slices.
 * 3. Slices go by the ranks before the first one: series that are added meanwhile move ranks, never the order among them.
 */
import type { InterningDictionary } from '../../columnar/batch.ts'
import { type Duplicates, sortRows } from '../merge.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import { sortPermutation } from '../sort-permutation.ts'
import type { Chunk, ChunkColumn } from './chunk.ts'
import { chunkRowsMax } from './chunk-memory.ts'
import type { MetricTable } from './table.ts'

/** A slice ends before it holds more than either, but takes at least one series. */
const sliceRowsMax = 65_536
const sliceBytesMax = 4 * 2 ** 20

/** The rows of one chunk by rank. Run k is rows `order[ends[k - 1], ends[k])`, all of rank `ranks[k]`. */
interface RankedChunk {
  readonly chunk: Chunk
  readonly order: Uint16Array
  readonly ranks: Uint32Array
  readonly ends: Uint16Array
  /** The first run that no slice has taken. */
  next: number
}

/** `ranks` is indexed by ordinal; ranks of the metric are below `seriesCount`. */
export function* sortedSlices(
  table: MetricTable,
  ranks: Uint32Array,
  seriesCount: number,
  duplicates: Duplicates,
  rowsMax = sliceRowsMax,
): Generator<RowBuffer, void, undefined> {
  // rows of the rank, then, for ranks of the current slice, the place of its next row
  const places = new Uint32Array(seriesCount)
  /** Rank -> ordinal. */
  const ordinals = new Uint32Array(seriesCount)
  const chunks = rankChunks(table.chunks, ranks, places, ordinals)
  const fields = table.presentFields()
  const most = Math.min(rowsMax, Math.floor(sliceBytesMax / rowBytes(fields.length)))
  const buffer = new RowBuffer(fields, Math.min(table.rows, most))
  const columns = buffer.fields.map(field => ({
    field,
    codes: field.dictionary && codeMap(table.dictionary(field.field.id), field.dictionary),
    nulls: table.chunks.some(chunk => hasNulls(chunk.columns[field.field.id], chunk.rows)),
  }))
  for (let from = 0, to = 0; from < seriesCount; from = to) {
    let rows = 0
    for (; to < seriesCount && (rows === 0 || rows + places[to]! <= most); to++) {
      const count = places[to]!
      places[to] = rows
      rows += count
    }
    if (rows === 0) return
    buffer.clear()
    buffer.reserve(rows)
    buffer.length = rows
    for (const { field, nulls } of columns) {
      field.nulls = nulls
      if (!nulls) field.valid.fill(1, 0, rows)
    }
    for (const chunk of chunks) {
      const first = chunk.next
      const end = firstRunFrom(chunk, to)
      if (first === end) continue
      gather64(chunk.chunk.timeUs, chunk, first, end, places, buffer.timeUs)
      for (const { field, codes, nulls } of columns)
        gatherColumn(chunk.chunk.columns[field.field.id], codes, nulls, chunk, first, end, places, field)
      advance(chunk, first, end, places)
    }
    for (let rank = from, at = 0; rank < to; at = places[rank++]!)
      buffer.series.fill(ordinals[rank]!, at, places[rank]!)
    if (!ascends(buffer)) sortRows(buffer, 'series-time', ranks, duplicates)
    yield buffer
  }
}

/** Series, time, and of each field a value of at most eight bytes and its validity. */
const rowBytes = (fields: number): number => 12 + 9 * fields

// ---- by rank ------------------------------------------------------------------------------------------------------

/** Adds the rows of each rank to `counts`, and notes its ordinal. */
function rankChunks(
  chunks: readonly Chunk[],
  ranks: Uint32Array,
  counts: Uint32Array,
  ordinals: Uint32Array,
): RankedChunk[] {
  const runs = counts.length <= chunkRowsMax ? new CountedRuns(counts.length) : new SortedRuns()
  return chunks.map(chunk => {
    const order = new Uint16Array(chunk.rows)
    const count = runs.find(chunk, ranks, order)
    const ranked = { chunk, order, ranks: runs.ranks.slice(0, count), ends: runs.ends.slice(0, count), next: 0 }
    for (let run = 0; run < count; run++) {
      const rank = ranked.ranks[run]!
      const from = startOf(ranked, run)
      counts[rank]! += ranked.ends[run]! - from
      ordinals[rank] = chunk.series[order[from]!]!
    }
    return ranked
  })
}

/** Counting sort. */
class CountedRuns {
  readonly ranks: Uint32Array
  readonly ends: Uint16Array
  readonly #places: Uint32Array

  constructor(seriesCount: number) {
    this.ranks = new Uint32Array(seriesCount)
    this.ends = new Uint16Array(seriesCount)
    this.#places = new Uint32Array(seriesCount)
  }

  /** Writes the rows by rank to `order`, and their runs; returns how many there are. */
  find({ series }: Chunk, ranks: Uint32Array, order: Uint16Array): number {
    const places = this.#places
    const rows = order.length
    places.fill(0)
    for (let row = 0; row < rows; row++) places[ranks[series[row]!]!]!++
    let runs = 0
    let at = 0
    for (let rank = 0; rank < places.length; rank++) {
      const count = places[rank]!
      if (count === 0) continue
      places[rank] = at
      at += count
      this.ranks[runs] = rank
      this.ends[runs++] = at
    }
    for (let row = 0; row < rows; row++) order[places[ranks[series[row]!]!]!++] = row
    return runs
  }
}

/** With more series than a chunk has rows, counting would mostly count zeros. */
class SortedRuns {
  readonly ranks = new Uint32Array(chunkRowsMax)
  readonly ends = new Uint16Array(chunkRowsMax)

  find({ series, timeUs }: Chunk, ranks: Uint32Array, order: Uint16Array): number {
    const rows = order.length
    const permutation = sortPermutation(series, timeUs, rows, 'series-time', ranks)
    if (permutation !== undefined) order.set(permutation)
    else for (let row = 0; row < rows; row++) order[row] = row
    let runs = 0
    for (let i = 0; i < rows; i++) {
      const rank = ranks[series[order[i]!]!]!
      if (runs === 0 || this.ranks[runs - 1] !== rank) this.ranks[runs++] = rank
      this.ends[runs - 1] = i + 1
    }
    return runs
  }
}

function firstRunFrom({ ranks, next }: RankedChunk, rank: number): number {
  while (next < ranks.length && ranks[next]! < rank) next++
  return next
}

const startOf = ({ ends }: RankedChunk, run: number): number => (run === 0 ? 0 : ends[run - 1]!)

function advance(chunk: RankedChunk, first: number, end: number, places: Uint32Array): void {
  const { ranks, ends } = chunk
  let from = startOf(chunk, first)
  for (let run = first; run < end; run++) {
    places[ranks[run]!]! += ends[run]! - from
    from = ends[run]!
  }
  chunk.next = end
}

/** Whether the times of each series rise: nothing to sort, nothing to merge. */
function ascends({ series, timeUs, length }: RowBuffer): boolean {
  for (let row = 1; row < length; row++) {
    if (timeUs[row]! <= timeUs[row - 1]! && series[row] === series[row - 1]) return false
  }
  return true
}

// ---- columns ------------------------------------------------------------------------------------------------------

const hasNulls = (column: ChunkColumn | undefined, rows: number): boolean =>
  column === undefined || column.valid !== undefined || column.length < rows

/** The memtable's code -> the buffer's. */
function codeMap(from: InterningDictionary, to: InterningDictionary): Uint32Array {
  return Uint32Array.from({ length: from.size }, (_, code) => to.code(from.at(code)))
}

/** Runs [first, end) of the chunk to the places of their ranks. */
function gatherColumn(
  column: ChunkColumn | undefined,
  codes: Uint32Array | undefined,
  nulls: boolean,
  chunk: RankedChunk,
  first: number,
  end: number,
  places: Uint32Array,
  into: FieldBuffer,
): void {
  if (nulls) gatherValid(column, chunk, first, end, places, into.valid)
  if (column === undefined) return
  const { values } = column
  if (codes !== undefined)
    gatherCodes(values as Uint32Array, codes, chunk, first, end, places, into.values as Uint32Array)
  else if (values instanceof Float64Array) gather64(values, chunk, first, end, places, into.values as Float64Array)
  else gather8(values as Uint8Array, chunk, first, end, places, into.values as Uint8Array)
}

// One function a type: the loops stay monomorphic.

function gather64(
  values: Float64Array,
  chunk: RankedChunk,
  first: number,
  end: number,
  places: Uint32Array,
  into: Float64Array,
): void {
  const { order, ranks, ends } = chunk
  let i = startOf(chunk, first)
  for (let run = first; run < end; run++) {
    let at = places[ranks[run]!]!
    for (const to = ends[run]!; i < to; i++) into[at++] = values[order[i]!]!
  }
}

function gather8(
  values: Uint8Array,
  chunk: RankedChunk,
  first: number,
  end: number,
  places: Uint32Array,
  into: Uint8Array,
): void {
  const { order, ranks, ends } = chunk
  let i = startOf(chunk, first)
  for (let run = first; run < end; run++) {
    let at = places[ranks[run]!]!
    for (const to = ends[run]!; i < to; i++) into[at++] = values[order[i]!]!
  }
}

function gatherCodes(
  values: Uint32Array,
  codes: Uint32Array,
  chunk: RankedChunk,
  first: number,
  end: number,
  places: Uint32Array,
  into: Uint32Array,
): void {
  const { order, ranks, ends } = chunk
  let i = startOf(chunk, first)
  for (let run = first; run < end; run++) {
    let at = places[ranks[run]!]!
    for (const to = ends[run]!; i < to; i++) into[at++] = codes[values[order[i]!]!]!
  }
}

function gatherValid(
  column: ChunkColumn | undefined,
  chunk: RankedChunk,
  first: number,
  end: number,
  places: Uint32Array,
  into: Uint8Array,
): void {
  const { order, ranks, ends } = chunk
  const valid = column?.valid
  const length = column?.length ?? 0
  let i = startOf(chunk, first)
  for (let run = first; run < end; run++) {
    let at = places[ranks[run]!]!
    for (const to = ends[run]!; i < to; i++) {
      const row = order[i]!
      into[at++] = row < length && (valid === undefined || valid[row] === 1) ? 1 : 0
    }
  }
}
