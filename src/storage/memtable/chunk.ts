/**
 * Chunk: up to `chunkRowsMax` rows of one metric in arrival order.
 *
 *   series    Uint32Array   ordinals            previous  row + 1 of the table with the row before of the same series
 *   timeUs    Float64Array
 *   columns   by field id: values, validity once a null appeared; undefined until the field appears
 *
 * Invariants:
 * 1. Rows are only appended: what a reader with a row count saw never changes, though arrays are replaced to grow.
 * 2. A column's rows from its `length` on are null; below it, those with validity 0.
 * 3. `order` is computed for one row count at a time; a full chunk's stays.
 */
import type { InterningDictionary } from '../../columnar/batch.ts'
import { sortPermutation } from '../sort-permutation.ts'
import type { FieldRows, MetricRows, SeriesRanges } from '../types.ts'
import { type ChunkArray, type ChunkMemory, chunkRowsMax } from './chunk-memory.ts'

const firstChunkRows = 256

export interface ChunkColumn {
  values: ChunkArray
  valid: Uint8Array | undefined
  /** Rows written or known to be null. */
  length: number
}

/** The rows of a chunk. */
export interface ChunkRows {
  readonly rows: number
  /** Ordinals. */
  readonly series: Uint32Array
  readonly timeUs: Float64Array
  /** By field id; undefined where no row has the field. */
  readonly columns: readonly (Readonly<ChunkColumn> | undefined)[]
}

interface ChunkOrder {
  readonly rows: number
  /** undefined: in (series rank, time) order as they are. */
  readonly permutation: Uint32Array | undefined
  ranges: SeriesRanges | undefined
}

export class Chunk implements ChunkRows {
  rows = 0
  series: Uint32Array
  timeUs: Float64Array
  previous: Uint32Array
  readonly columns: (ChunkColumn | undefined)[] = []
  minTimeUs = Number.POSITIVE_INFINITY
  maxTimeUs = Number.NEGATIVE_INFINITY
  readonly #memory: ChunkMemory
  #order: ChunkOrder | undefined

  constructor(memory: ChunkMemory, first: boolean) {
    const capacity = first ? firstChunkRows : chunkRowsMax
    this.#memory = memory
    this.series = memory.uint32(capacity)
    this.timeUs = memory.float64(capacity)
    this.previous = memory.uint32(capacity)
  }

  /** Copies rows [from, from + count) of the batch; the caller has checked that they fit and links them. */
  append(batch: MetricRows, from: number, count: number, dictionary: (field: number) => InterningDictionary): void {
    const at = this.rows
    this.#reserve(at + count)
    this.series.set(batch.series.subarray(from, from + count), at)
    const times = batch.timeUs.subarray(from, from + count)
    this.timeUs.set(times, at)
    for (let i = 0; i < count; i++) {
      const time = times[i]!
      if (time < this.minTimeUs) this.minTimeUs = time
      if (time > this.maxTimeUs) this.maxTimeUs = time
    }
    for (const field of batch.fields) this.#appendField(field, from, count, at, dictionary)
    this.rows = at + count
  }

  #appendField(
    rows: FieldRows,
    from: number,
    count: number,
    at: number,
    dictionary: (field: number) => InterningDictionary,
  ): void {
    const { id, type } = rows.field
    let column = this.columns[id]
    if (column === undefined) {
      const capacity = this.timeUs.length
      const memory = this.#memory
      const values =
        type === 'string'
          ? memory.uint32(capacity).fill(0)
          : type === 'boolean'
            ? memory.uint8(capacity)
            : memory.float64(capacity)
      column = this.columns[id] = { values, valid: undefined, length: 0 }
    }
    if (column.length < at) this.#mask(column)
    const valid = rows.valid?.subarray(from, from + count)
    if (valid?.includes(0)) this.#mask(column).set(valid, at)
    else column.valid?.fill(1, at, at + count)
    if (type === 'string')
      this.#memory.bytes += intern(rows, from, count, column.values as Uint32Array, at, dictionary(id))
    else column.values.set(rows.values.subarray(from, from + count) as never, at)
    column.length = at + count
  }

  /** The column's validity, made now if nothing was null so far. */
  #mask(column: ChunkColumn): Uint8Array {
    if (column.valid === undefined) {
      column.valid = this.#memory.uint8(this.timeUs.length)
      column.valid.fill(1, 0, column.length)
    }
    return column.valid
  }

  #reserve(rows: number): void {
    if (rows <= this.timeUs.length) return
    let capacity = this.timeUs.length
    while (capacity < rows) capacity *= 2
    this.series = this.#grown(this.series, this.#memory.uint32(capacity))
    this.timeUs = this.#grown(this.timeUs, this.#memory.float64(capacity))
    this.previous = this.#grown(this.previous, this.#memory.uint32(capacity))
    for (const column of this.columns) {
      if (column === undefined) continue
      const { values, valid } = column
      if (values instanceof Float64Array) column.values = this.#grown(values, this.#memory.float64(capacity))
      else if (values instanceof Uint32Array) column.values = this.#grown(values, this.#memory.uint32(capacity))
      else column.values = this.#grown(values, this.#memory.uint8(capacity))
      if (valid !== undefined) column.valid = this.#grown(valid, this.#memory.uint8(capacity))
    }
  }

  #grown<A extends ChunkArray>(from: A, to: A): A {
    to.set(from as never)
    to.fill(0, from.length)
    this.#memory.outgrown(from)
    return to
  }

  /** Order of the first `rows` rows by (series rank, time); undefined when they are in order. Not to be kept. */
  permutation(rows: number, ranks: Uint32Array): Uint32Array | undefined {
    return this.#orderOf(rows, ranks).permutation
  }

  /** Which series the first `rows` rows are of, and when. Not to be kept. */
  seriesRanges(rows: number, ranks: Uint32Array): SeriesRanges {
    const order = this.#orderOf(rows, ranks)
    if (order.ranges === undefined) {
      order.ranges = rangesOf(this.series, this.timeUs, rows, order.permutation)
      this.#memory.bytes += order.ranges.series.length * rangeBytes
    }
    return order.ranges
  }

  #orderOf(rows: number, ranks: Uint32Array): ChunkOrder {
    if (this.#order?.rows !== rows) {
      // Ranks move when series are added, but the order among series never changes: what is cached stays right.
      const permutation = sortPermutation(this.series, this.timeUs, rows, 'series-time', ranks)?.slice()
      this.#memory.bytes += (permutation?.byteLength ?? 0) - orderBytes(this.#order)
      this.#order = { rows, permutation, ranges: undefined }
    }
    return this.#order
  }
}

const rangeBytes = 20

const orderBytes = (order: ChunkOrder | undefined): number =>
  order === undefined ? 0 : (order.permutation?.byteLength ?? 0) + (order.ranges?.series.length ?? 0) * rangeBytes

function rangesOf(
  series: Uint32Array,
  timeUs: Float64Array,
  rows: number,
  permutation: Uint32Array | undefined,
): SeriesRanges {
  const found = { series: new Uint32Array(rows), minTimeUs: new Float64Array(rows), maxTimeUs: new Float64Array(rows) }
  let count = 0
  for (let i = 0; i < rows; i++) {
    const row = permutation === undefined ? i : permutation[i]!
    if (count === 0 || found.series[count - 1] !== series[row]) {
      found.series[count] = series[row]!
      found.minTimeUs[count] = timeUs[row]!
      count++
    }
    found.maxTimeUs[count - 1] = timeUs[row]!
  }
  return {
    series: found.series.slice(0, count),
    minTimeUs: found.minTimeUs.slice(0, count),
    maxTimeUs: found.maxTimeUs.slice(0, count),
  }
}

/** What an interned string costs beside its characters: string header, array entry, map entry. */
const stringOverheadBytes = 64

/** Writes the rows' codes of `dictionary`; returns the bytes by which that grew. */
function intern(
  rows: FieldRows,
  from: number,
  count: number,
  into: Uint32Array,
  at: number,
  dictionary: InterningDictionary,
): number {
  const strings = rows.strings!
  const codes = rows.values as Uint32Array
  // -1: not seen in this batch. Codes the rows do not use are not interned.
  const known = new Int32Array(strings.length).fill(-1)
  let bytes = 0
  for (let i = 0; i < count; i++) {
    if (rows.valid?.[from + i] === 0) continue
    const code = codes[from + i]!
    let own = known[code]!
    if (own < 0) {
      const text = strings[code]!
      const size = dictionary.size
      own = known[code] = dictionary.code(text)
      if (own === size) bytes += text.length * 2 + stringOverheadBytes
    }
    into[at + i] = own
  }
  return bytes
}
