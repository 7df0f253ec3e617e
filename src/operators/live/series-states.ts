/**
 * The states of row functions, kept per series from commit to commit: rows that come at the end of a series are computed
 * from where it stood.
 *
 *   runs     the series of a batch's rows, by the id of their state
 *   known    by id: 1 once the rows of before have gone through
 *
 * Invariant: a known series' states have seen each of its rows once, in order, up to the newest there is.
 */
import { type Batch, rowCount } from '../../columnar/batch.ts'
import type { WindowNode } from '../../sydraql/plan.ts'
import { type WindowFunction, windowFunction } from '../window/functions.ts'
import { RunsInterleaved } from '../window/runs.ts'

export class SeriesStates {
  readonly #functions: readonly WindowFunction[]
  readonly #carriesText: boolean
  #textRows = 0
  readonly #seriesColumn: number
  readonly #runs: RunsInterleaved
  #known = new Uint8Array(16)
  /** By ordinal. */
  readonly #ids = new Map<number, number>()

  /** `seriesColumn`: where the window's input has the ordinals of series, as codes. */
  constructor({ calls, sequence, schema: out, input: { schema } }: WindowNode, seriesColumn: number) {
    this.#functions = calls.map((call, i) => windowFunction(call, out[schema.length + i]!.type, schema, sequence))
    this.#carriesText = out.slice(schema.length).some(({ type }) => type === 'string')
    this.#seriesColumn = seriesColumn
    this.#runs = new RunsInterleaved([seriesColumn], ['string'])
  }

  get isEmpty(): boolean {
    return this.#ids.size === 0
  }
  get byteLength(): number {
    let bytes = this.#runs.byteLength + this.#known.byteLength + this.#ids.size * mapEntryBytes
    for (const { state } of this.#functions) bytes += state.byteLength
    return bytes
  }

  /** Series of the batch that are not known, ascending. */
  unknownIn(batch: Batch): Uint32Array {
    const unknown = new Set<number>()
    this.#find(batch, (id, ordinal) => {
      if (this.#known[id] === 0) unknown.add(ordinal)
    })
    return Uint32Array.from(unknown).sort()
  }

  /** All rows there are of these series have gone through `compute`. */
  know(series: Uint32Array): void {
    for (const ordinal of series) {
      const id = this.#ids.get(ordinal)
      if (id !== undefined) this.#known[id] = 1
    }
  }

  /** Rows of before, for the state of one call, or of all. */
  learn(batch: Batch, call: number | undefined): void {
    this.#run(batch, call === undefined ? this.#functions : [this.#functions[call]!])
  }

  /** The batch with a column per call, valid until the next. */
  compute(batch: Batch): Batch {
    if (this.#carriesText) this.#textRows += rowCount(batch)
    this.#run(batch, this.#functions)
    return { ...batch, columns: [...batch.columns, ...this.#functions.map(({ state }) => state.finish())] }
  }

  /** Texts that states have ever carried are kept: after this many rows it is time to begin anew. */
  get isWorn(): boolean {
    return this.#textRows > textRowsMax
  }

  #run(batch: Batch, functions: readonly WindowFunction[]): void {
    this.#find(batch, () => {})
    const { count, ends, partition, rows, partitions } = this.#runs
    for (const { state } of functions) {
      state.begin(batch, partitions)
      for (let run = 0, from = 0; run < count; run++) {
        const end = ends[run]!
        state.run(partition[run]!, rows, from, end, end)
        from = end
      }
    }
  }

  /** The series are not known any more. */
  drop(series: Iterable<number>): void {
    for (const ordinal of series) {
      const id = this.#ids.get(ordinal)
      if (id === undefined) continue
      this.#known[id] = 0
      for (const { state } of this.#functions) state.reset(id)
    }
  }

  #find(batch: Batch, visit: (id: number, ordinal: number) => void): void {
    const runs = this.#runs
    runs.find(batch)
    if (runs.partitions > this.#known.length) {
      const grown = new Uint8Array(2 * runs.partitions)
      grown.set(this.#known)
      this.#known = grown
    }
    const ordinals = batch.columns[this.#seriesColumn]!.values
    for (let run = 0, from = 0; run < runs.count; run++) {
      const id = runs.partition[run]!
      const ordinal = ordinals[runs.rows === undefined ? from : runs.rows[from]!]!
      this.#ids.set(ordinal, id)
      visit(id, ordinal)
      from = runs.ends[run]!
    }
  }
}

const textRowsMax = 1_000_000
/** Of numbers to numbers, about. */
const mapEntryBytes = 32
