/**
 * RowWriter: what all readers of one database share — the scanner with its templates, the staged rows, the server's time.
 *
 * Rows of one reader at a time are staged; when another one begins, they move to its batches first.
 *
 * Invariants:
 * 1. Whatever was staged can no longer fail, and leaves in the order it was staged.
 * 2. A template's meaning never changes: series and fields keep their ordinals and types for the catalog's life.
 * 3. Templates are only forgotten while nothing is staged.
 */
import type { Scanner } from '../../kernels/scan.ts'
import { assert } from '../../lib/assert.ts'
import type { Clock } from '../../lib/ports.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { RowBatch } from '../types.ts'
import { BatchBuilder } from './batch-builder.ts'
import { Layouts } from './layout.ts'
import { batchRowsMax, batchTextUnitsMax, refusedTemplatesMax, untemplatedLinesMax } from './limits.ts'
import { type Draft, RowRules } from './row-rules.ts'
import { interpretTemplate } from './template.ts'

export interface RowWriterOptions {
  readonly catalog: CatalogWriter
  /** Owned by the writer from now on. */
  readonly scanner: Scanner
  readonly clock: Clock
  /** Server times are greater than this one, in µs. */
  readonly lastServerTimeUs?: number
  /** Lines that found no place for a template before all templates are forgotten. Default `untemplatedLinesMax`. */
  readonly untemplatedLinesMax?: number
}

/** A reader that leaves rows staged between its calls. */
export interface Staging {
  /** Moves them to its batches. */
  gather(): void
}

/** How lines were settled, since the writer was made. */
export interface ScanStatistics {
  /** Rows that matched a template, without a JavaScript value for any part of them. */
  readonly templateRows: number
  /** Rows that were parsed by `JSON.parse` or came as objects. */
  readonly generalRows: number
  readonly templates: number
  /** Times all templates were forgotten because there were too many. */
  readonly templateResets: number
}

export class RowWriter {
  readonly rules: RowRules
  readonly scanner: Scanner
  readonly #clock: Clock
  readonly #layouts = new Layouts()
  readonly #builder: BatchBuilder
  /** By template id; rows that were staged by themselves have ids from `templatesMax` on. */
  readonly #layoutIds: Uint32Array
  readonly #series: Uint32Array
  #templates = 0
  #appended = 0
  #appendedTextUnits = 0
  readonly #untemplatedLinesMax: number
  readonly #values: number[] = []
  #lastServerTimeUs: number
  #staging: Staging | undefined
  #refusedTemplates = 0
  #untemplatedLines = 0
  #generalRows = 0
  #rows = 0
  #templateResets = 0

  constructor(options: RowWriterOptions) {
    const { catalog, scanner, clock } = options
    assert(scanner.rowTemplates.length === batchRowsMax, 'the scanner stages as many rows as a batch may hold')
    this.rules = new RowRules(catalog)
    this.scanner = scanner
    this.#clock = clock
    this.#lastServerTimeUs = options.lastServerTimeUs ?? Number.NEGATIVE_INFINITY
    this.#untemplatedLinesMax = options.untemplatedLinesMax ?? untemplatedLinesMax
    this.#layoutIds = new Uint32Array(scanner.templatesMax + batchRowsMax)
    this.#series = new Uint32Array(scanner.templatesMax + batchRowsMax)
    this.#builder = new BatchBuilder(scanner, {
      layouts: this.#layouts,
      layoutIds: this.#layoutIds,
      series: this.#series,
      serverTimeUs: () => this.#serverTimeUs(),
    })
  }

  statistics(): ScanStatistics {
    return {
      templateRows: this.#rows - this.#generalRows,
      generalRows: this.#generalRows,
      templates: this.#templates,
      templateResets: this.#templateResets,
    }
  }

  /** To be called before rows are staged; undefined for a reader that drains them in the same call. */
  claim(staging: Staging | undefined): void {
    if (this.#staging === staging) return
    if (this.scanner.rowCount() > 0) this.#staging?.gather()
    this.#staging = staging
  }

  /** Stages a settled row; when there is no room, what is staged goes to `batches` first. */
  stage(draft: Draft, batches: RowBatch[]): void {
    const { scanner } = this
    const { values } = draft
    if (!scanner.hasRoom(values.length) || this.#appendedTextUnits > batchTextUnitsMax) this.drain(batches)
    if (!this.#encodeValues(values)) {
      this.drain(batches)
      assert(this.#encodeValues(values), 'a row fits an empty stage')
    }
    const id = scanner.templatesMax + this.#appended++
    this.#layoutIds[id] = this.#layouts.plain(draft.metric, draft.fields).id
    this.#series[id] = draft.series
    scanner.append(id, draft.timeUs, this.#values)
    this.#generalRows++
  }

  /** Values as they are staged; false when the scanner has no room for a string. */
  #encodeValues(values: Draft['values']): boolean {
    const encoded = this.#values
    encoded.length = values.length
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      if (typeof value === 'string') {
        const code = this.scanner.addString(value)
        if (code < 0) return false
        encoded[i] = code
        this.#appendedTextUnits += value.length
      } else encoded[i] = typeof value === 'boolean' ? Number(value) : value
    }
    return true
  }

  /** Makes the line, at which the scanner stopped as a candidate and which was settled as `draft`, a template. */
  addTemplate(line: Uint8Array, draft: Draft): void {
    if (this.#refusedTemplates >= refusedTemplatesMax) {
      this.#untemplatedLines++
      return
    }
    const template = interpretTemplate(line, this.scanner.lineSlots(), draft)
    if (template === undefined) return
    const id = this.scanner.register(template.ops)
    if (id < 0) {
      this.#refusedTemplates++
      return
    }
    this.#layoutIds[id] = this.#layouts.of(draft.metric, template.columns).id
    this.#series[id] = draft.series
    this.#templates++
  }

  /** Moves what is staged into batches. */
  drain(batches: RowBatch[]): void {
    const { scanner } = this
    const rows = scanner.rowCount()
    for (let from = 0; from < rows; ) {
      const batch = this.#builder.build(from)
      batches.push(batch)
      from += batch.rowCount
    }
    this.#rows += rows
    this.discard()
    if (this.#untemplatedLines >= this.#untemplatedLinesMax || this.#layouts.full) this.#forgetTemplates()
  }

  /** Uses the memory of a batch again that nobody reads any more. */
  recycle(batch: RowBatch): void {
    this.#builder.recycle(batch)
  }

  /** Forgets what is staged: a caller failed in the middle of a call. */
  discard(): void {
    this.scanner.clearRows()
    this.#appended = 0
    this.#appendedTextUnits = 0
  }

  #forgetTemplates(): void {
    this.scanner.clearTemplates()
    this.#layouts.clear()
    this.#templates = 0
    this.#refusedTemplates = 0
    this.#untemplatedLines = 0
    this.#templateResets++
  }

  #serverTimeUs(): number {
    const now = Math.floor(this.#clock.nowUs())
    this.#lastServerTimeUs = now > this.#lastServerTimeUs ? now : this.#lastServerTimeUs + 1
    return this.#lastServerTimeUs
  }
}
