/**
 * A table's rows by (series rank, time), merged, a slice of whole series at a time.
 *
 *   count    rows of each rank; ranks -> blocks of some MB
 *   part     the rows of each chunk by block, in arrival order: 2-byte row numbers; nothing where there is one block
 *   block    every chunk's rows of it, each to the next place of its series     -> RowBuffer -> slices -> encoder
 *
 * A chunk is read from its beginning to its end, and written to as many places as a block has series, each of which goes on
 * where it ended: both are what caches are good at. Rows of a series nearly always arrive in time order, and are sorted
 * then; where they did not, the block is sorted again. The whole table never lies in memory twice.
 *
 * Invariants:
 * 1. Rows of one series and time keep their arrival order until they are merged: it decides duplicates.
 * 2. The buffer is borrowed until the next slice; its dictionaries hold the strings of all slices.
 * 3. Nothing changes between slices: neither the chunks, which are frozen, nor the ranks.
 */
import type { Dictionary, InterningDictionary } from '../../columnar/batch.ts'
import { type Duplicates, sortRows } from '../merge.ts'
import { type FieldBuffer, RowBuffer } from '../row-buffer.ts'
import type { ChunkColumn, ChunkRows } from './chunk.ts'
import { dictionaryOf, type FrozenTable, presentFields } from './frozen-table.ts'
import { sliceRowsMax, slicesOf } from './slices.ts'

/**
 * A block ends before it is larger, but takes at least one series. Each block reads all lines of the chunks: with smaller
 * ones memory is what bounds a flush.
 */
const blockBytesMax = 8 * 2 ** 20
/** Full slices that a block gives at most. */
const blockSlicesMax = 12

/** Ranks [from, to). */
interface Block {
  readonly from: number
  readonly to: number
  readonly rows: number
}

/** The rows of one chunk by block: those of block b are `order[ends[b - 1], ends[b])`. */
interface PartedRows {
  readonly order: Uint16Array
  readonly ends: Uint16Array
}

/** `ranks` is indexed by ordinal; ranks of the metric are below `seriesCount`. */
export function* sortedSlices(
  table: FrozenTable,
  ranks: Uint32Array,
  seriesCount: number,
  duplicates: Duplicates,
  rowsMax = sliceRowsMax,
): Generator<RowBuffer, void, undefined> {
  const { blocks, buffer, read } = sorted(table, ranks, seriesCount, blockSlicesMax * rowsMax)
  try {
    for (const block of blocks.keys()) {
      read(block)
      if (!ascends(buffer.series, buffer.timeUs, buffer.length)) sortRows(buffer, 'series-time', ranks, duplicates)
      yield* slicesOf(buffer, buffer.fields, rowsMax)
    }
  } finally {
    // V8 sees the weight of dead arrays late
    for (const { buffer: memory } of arraysOf(buffer)) (memory as ArrayBuffer).transfer(0)
  }
}

const arraysOf = ({ series, timeUs, fields }: RowBuffer) => [
  series,
  timeUs,
  ...fields.flatMap(({ values, valid }) => [values, valid]),
]

/** The blocks, and what reads one into the buffer: rows by rank, those of a rank as they arrived. */
function sorted(table: FrozenTable, ranks: Uint32Array, seriesCount: number, blockRowsMax: number) {
  const { chunks } = table
  /** Rank -> its rows, then, for ranks of the current block, the place of its next row. */
  const places = new Uint32Array(seriesCount)
  /** Rank -> ordinal. */
  const ordinals = new Uint32Array(seriesCount)
  for (const { series, rows } of chunks) countRanks(series, rows, ranks, places, ordinals)
  const fields = presentFields(table)
  const blocks = cutBlocks(places, Math.min(blockRowsMax, Math.floor(blockBytesMax / rowBytes(fields.length))))
  const parted = blocks.length === 1 ? undefined : partRows(chunks, ranks, blocks, seriesCount)
  const most = blocks.reduce((most, { rows }) => Math.max(most, rows), 0)
  const buffer = new RowBuffer(fields, most)
  const columns = buffer.fields.map(field => ({
    field,
    codes: field.dictionary && codeMap(dictionaryOf(table, field.field.id), field.dictionary),
    nulls: chunks.some(chunk => hasNulls(chunk.columns[field.field.id], chunk.rows)),
  }))
  const scratch = new Uint32Array(chunks.reduce((most, { rows }) => Math.max(most, rows), 0))
  const read = (index: number): void => {
    const block = blocks[index]!
    startPlaces(places, block.from, block.to)
    buffer.clear()
    buffer.length = block.rows
    for (const { field, nulls } of columns) {
      field.nulls = nulls
      if (!nulls) field.valid.fill(1, 0, block.rows)
    }
    for (const [c, chunk] of chunks.entries()) {
      const rows = parted && rowsOfBlock(parted[c]!, index)
      const moves = { rows, places: scratch.subarray(0, rows?.length ?? chunk.rows) }
      takePlaces(chunk.series, moves, ranks, places)
      move64(chunk.timeUs, moves, buffer.timeUs)
      for (const { field, codes, nulls } of columns) {
        const column = chunk.columns[field.field.id]
        if (nulls) moveValid(column, moves, field.valid)
        if (column !== undefined) moveValues(column.values, codes, moves, field)
      }
    }
    fillSeries(buffer.series, block, ordinals, places)
  }
  return { blocks, buffer, read }
}

/** `ends[rank]` is where the rank's rows end. */
function fillSeries(series: Uint32Array, { from, to }: Block, ordinals: Uint32Array, ends: Uint32Array): void {
  for (let rank = from, at = 0; rank < to; at = ends[rank++]!) series.fill(ordinals[rank]!, at, ends[rank]!)
}

/** Series, time, and of each field a value of at most eight bytes and its validity. */
const rowBytes = (fields: number): number => 12 + 9 * fields

// ---- by block -----------------------------------------------------------------------------------------------------

/** Adds the rows of each rank to `counts`, and notes its ordinal. */
function countRanks(
  series: Uint32Array,
  rows: number,
  ranks: Uint32Array,
  counts: Uint32Array,
  ordinals: Uint32Array,
): void {
  for (let row = 0; row < rows; row++) {
    const ordinal = series[row]!
    const rank = ranks[ordinal]!
    counts[rank]!++
    ordinals[rank] = ordinal
  }
}

/** Blocks of so many rows, or of one series. */
function cutBlocks(counts: Uint32Array, rowsMax: number): Block[] {
  const blocks: Block[] = []
  for (let from = 0, to = 0; from < counts.length; from = to) {
    let rows = 0
    for (; to < counts.length && (rows === 0 || rows + counts[to]! <= rowsMax); to++) rows += counts[to]!
    if (rows > 0) blocks.push({ from, to, rows })
  }
  return blocks
}

/** The rows of each chunk by block; `ranks` by ordinal, of at least those that the chunks have. */
function partRows(chunks: readonly ChunkRows[], ranks: Uint32Array, blocks: readonly Block[], seriesCount: number) {
  const blockOfRank = new Uint32Array(seriesCount)
  for (const [index, { from, to }] of blocks.entries()) blockOfRank.fill(index, from, to)
  const blockOf = ranks.map(rank => blockOfRank[rank] ?? 0)
  return chunks.map(({ series, rows }) => partChunk(series, rows, blockOf, blocks.length))
}

/** Counting sort by block, stable. */
function partChunk(series: Uint32Array, rows: number, blockOf: Uint32Array, blockCount: number): PartedRows {
  const places = new Uint32Array(blockCount)
  for (let row = 0; row < rows; row++) places[blockOf[series[row]!]!]!++
  startPlaces(places, 0, blockCount)
  const order = new Uint16Array(rows)
  for (let row = 0; row < rows; row++) {
    const block = blockOf[series[row]!]!
    const place = places[block]!
    order[place] = row
    places[block] = place + 1
  }
  return { order, ends: Uint16Array.from(places) }
}

const rowsOfBlock = ({ order, ends }: PartedRows, block: number): Uint16Array =>
  order.subarray(block === 0 ? 0 : ends[block - 1], ends[block])

/** Counts -> where each begins, from 0 on. */
function startPlaces(counts: Uint32Array, from: number, to: number): void {
  let at = 0
  for (let i = from; i < to; i++) {
    const count = counts[i]!
    counts[i] = at
    at += count
  }
}

/** Whether the times of each series rise: nothing to sort, nothing to merge. */
function ascends(series: Uint32Array, timeUs: Float64Array, length: number): boolean {
  for (let row = 1; row < length; row++) {
    if (timeUs[row]! <= timeUs[row - 1]! && series[row] === series[row - 1]) return false
  }
  return true
}

// ---- columns ------------------------------------------------------------------------------------------------------

/** Which rows of a chunk go where: row `rows[i]`, or row i where that is undefined, to `places[i]`. */
interface Moves {
  readonly rows: Uint16Array | undefined
  readonly places: Uint32Array
}

const hasNulls = (column: Readonly<ChunkColumn> | undefined, rows: number): boolean =>
  column === undefined || column.valid !== undefined || column.length < rows

/** The memtable's code -> the buffer's. */
function codeMap(from: Dictionary, to: InterningDictionary): Uint32Array {
  return Uint32Array.from({ length: from.size }, (_, code) => to.code(from.at(code)))
}

// Four rows a turn, and one function a type. A short loop would be inlined into `read`, which is called too seldom to reach the
// optimising compiler: there it took two to four times as long.

/** Fills `moves.places`: each row takes the next place of its series. */
function takePlaces(series: Uint32Array, { rows, places: taken }: Moves, ranks: Uint32Array, next: Uint32Array): void {
  const { length } = taken
  const whole = length & ~3
  let i = 0
  if (rows === undefined) {
    for (; i < whole; i += 4) {
      taken[i] = next[ranks[series[i]!]!]!++
      taken[i + 1] = next[ranks[series[i + 1]!]!]!++
      taken[i + 2] = next[ranks[series[i + 2]!]!]!++
      taken[i + 3] = next[ranks[series[i + 3]!]!]!++
    }
    for (; i < length; i++) taken[i] = next[ranks[series[i]!]!]!++
    return
  }
  for (; i < whole; i += 4) {
    taken[i] = next[ranks[series[rows[i]!]!]!]!++
    taken[i + 1] = next[ranks[series[rows[i + 1]!]!]!]!++
    taken[i + 2] = next[ranks[series[rows[i + 2]!]!]!]!++
    taken[i + 3] = next[ranks[series[rows[i + 3]!]!]!]!++
  }
  for (; i < length; i++) taken[i] = next[ranks[series[rows[i]!]!]!]!++
}

function moveValues(
  values: ChunkColumn['values'],
  codes: Uint32Array | undefined,
  moves: Moves,
  into: FieldBuffer,
): void {
  if (codes !== undefined) moveCodes(values as Uint32Array, codes, moves, into.values as Uint32Array)
  else if (values instanceof Float64Array) move64(values, moves, into.values as Float64Array)
  else move8(values as Uint8Array, moves, into.values as Uint8Array)
}

function move64(values: Float64Array, { rows, places }: Moves, into: Float64Array): void {
  const { length } = places
  const whole = length & ~3
  let i = 0
  if (rows === undefined) {
    for (; i < whole; i += 4) {
      into[places[i]!] = values[i]!
      into[places[i + 1]!] = values[i + 1]!
      into[places[i + 2]!] = values[i + 2]!
      into[places[i + 3]!] = values[i + 3]!
    }
    for (; i < length; i++) into[places[i]!] = values[i]!
    return
  }
  for (; i < whole; i += 4) {
    into[places[i]!] = values[rows[i]!]!
    into[places[i + 1]!] = values[rows[i + 1]!]!
    into[places[i + 2]!] = values[rows[i + 2]!]!
    into[places[i + 3]!] = values[rows[i + 3]!]!
  }
  for (; i < length; i++) into[places[i]!] = values[rows[i]!]!
}

function move8(values: Uint8Array, { rows, places }: Moves, into: Uint8Array): void {
  for (let i = 0; i < places.length; i++) into[places[i]!] = values[rows === undefined ? i : rows[i]!]!
}

function moveCodes(values: Uint32Array, codes: Uint32Array, { rows, places }: Moves, into: Uint32Array): void {
  for (let i = 0; i < places.length; i++) into[places[i]!] = codes[values[rows === undefined ? i : rows[i]!]!]!
}

function moveValid(column: Readonly<ChunkColumn> | undefined, { rows, places }: Moves, into: Uint8Array): void {
  const valid = column?.valid
  const length = column?.length ?? 0
  for (let i = 0; i < places.length; i++) {
    const row = rows === undefined ? i : rows[i]!
    into[places[i]!] = row < length && (valid === undefined || valid[row] === 1) ? 1 : 0
  }
}
