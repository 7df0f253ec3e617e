/**
 * ObjectReader: rows that are JavaScript values to row batches, by the same rules as NDJSON.
 *
 * A row given as an object is a `RowObject`: `ts` may also be a Date or a bigint. A row that is an element of a JSON
 * array should come as its source text (`pushText`): objects have lost the digits of integers beyond 2^53.
 */
import { SydraError } from '../../lib/errors.ts'
import type { RowBatch } from '../types.ts'
import { type BadRow, BadRows } from './bad-rows.ts'
import { parseJson } from './json-text.ts'
import type { ReaderOptions } from './ndjson-reader.ts'
import type { RowWriter } from './row-writer.ts'
import { TimeSettings } from './timestamp.ts'

/** @example commit(new ObjectReader(writer).push([{ series: 'cpu', ts: Date.now(), value: 0.5 }])) */
export class ObjectReader {
  readonly #writer: RowWriter
  readonly #times: TimeSettings
  readonly #bad: BadRows
  #rows = 0

  constructor(writer: RowWriter, options: ReaderOptions = {}) {
    this.#writer = writer
    this.#times = new TimeSettings(options.precision)
    this.#bad = new BadRows(options.onError)
  }

  /** Rows passed, bad ones too. */
  get lines(): number {
    return this.#rows
  }
  get accepted(): number {
    return this.#rows - this.#bad.count
  }
  get rejected(): number {
    return this.#bad.count
  }
  /** The first `ingestErrorsMax` bad rows; `line` is the row's index + 1. */
  get errors(): readonly BadRow[] {
    return this.#bad.first
  }
  /** The bad row's error that ended reading with `abort`. */
  get stopped(): SydraError | undefined {
    return this.#bad.stopped
  }

  /** Settles rows given as objects. */
  push(rows: readonly unknown[]): RowBatch[] {
    const batches: RowBatch[] = []
    this.#writer.claim(undefined)
    for (const row of rows) {
      this.#settle(row, batches)
      if (this.#bad.stopped !== undefined) break
    }
    this.#writer.drain(batches)
    return batches
  }

  /** Settles rows given as JSON texts, one row each. */
  pushText(texts: readonly string[]): RowBatch[] {
    const batches: RowBatch[] = []
    this.#writer.claim(undefined)
    for (const text of texts) {
      this.#settle(undefined, batches, text)
      if (this.#bad.stopped !== undefined) break
    }
    this.#writer.drain(batches)
    return batches
  }

  #settle(row: unknown, batches: RowBatch[], text?: string): void {
    if (this.#bad.stopped !== undefined) return
    this.#rows++
    try {
      const draft = this.#writer.rules.settle(text === undefined ? row : parseJson(text), this.#times)
      this.#writer.stage(draft, batches)
    } catch (error) {
      if (!(error instanceof SydraError)) {
        // a getter of the row's, for instance: nothing of this call is taken
        this.#writer.discard()
        throw error
      }
      this.#bad.add(this.#rows, error)
    }
  }
}
