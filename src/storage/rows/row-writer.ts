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
import type { Scanner, TimeUnit } from '../../kernels/scan.ts'
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import type { Clock } from '../../lib/ports.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { MetricInfo, RowBatch } from '../types.ts'
import { BatchBuilder } from './batch-builder.ts'
import { ColumnArenas } from './column-arena.ts'
import type { ColumnRows } from './column-types.ts'
import { Layouts } from './layout.ts'
import {
  batchRowsMax,
  batchTextUnitsMax,
  columnSliceBytesMax,
  refusedTemplatesMax,
  untemplatedLinesMax,
} from './limits.ts'
import { type Draft, RowRules } from './row-rules.ts'
import { type ColumnSlices, settleColumns } from './settle-columns.ts'
import { TagsText } from './tags-text.ts'
import { interpretShape } from './template.ts'
import { TimeSettings } from './timestamp.ts'

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

/** Templates there is room for at first. */
const templatesAtFirst = 1024

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
  readonly #catalog: CatalogWriter
  readonly #clock: Clock
  /** Of slices of rows that came as columns. */
  readonly #columnArenas = new ColumnArenas({
    spareBytesMax: 2 * columnSliceBytesMax,
    pooledBytesMax: columnSliceBytesMax,
  })
  readonly #layouts = new Layouts()
  readonly #builder: BatchBuilder
  /** By template id; rows that were staged by themselves have ids below `firstTemplate`. They grow with the templates. */
  readonly #meaning: { layoutIds: Uint32Array; series: Uint32Array }
  /** By id of a shape that the scanner knows. */
  readonly #shapes: { readonly metric: MetricInfo; readonly layoutId: number }[] = []
  readonly #tags: TagsText
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
    this.#catalog = catalog
    this.#tags = new TagsText(catalog)
    this.scanner = scanner
    this.#clock = clock
    this.#lastServerTimeUs = options.lastServerTimeUs ?? Number.NEGATIVE_INFINITY
    this.#untemplatedLinesMax = options.untemplatedLinesMax ?? untemplatedLinesMax
    assert(scanner.firstTemplate === batchRowsMax, 'each staged row may have an id of its own')
    const meaning = {
      layouts: this.#layouts,
      layoutIds: new Uint32Array(batchRowsMax + templatesAtFirst),
      series: new Uint32Array(batchRowsMax + templatesAtFirst),
      serverTimeUs: () => this.#serverTimeUs(),
    }
    this.#meaning = meaning
    this.#builder = new BatchBuilder(scanner, meaning)
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
    const { values, fields } = draft
    if (!scanner.hasRoom(fields.length) || this.#appendedTextUnits > batchTextUnitsMax) this.drain(batches)
    if (!this.#encodeValues(values, fields.length)) {
      this.drain(batches)
      assert(this.#encodeValues(values, fields.length), 'a row fits an empty stage')
    }
    const id = this.#appended++
    this.#meaning.layoutIds[id] = this.#layouts.plain(draft.metric, draft.fields).id
    this.#meaning.series[id] = draft.series
    scanner.append(id, draft.timeUs, this.#values)
    this.#generalRows++
  }

  /** Values as they are staged; false when the scanner has no room for a string. */
  #encodeValues(values: Draft['values'], count: number): boolean {
    const encoded = this.#values
    if (encoded.length !== count) encoded.length = count
    for (let i = 0; i < count; i++) {
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
    if (!this.#takesTemplates()) return
    const meaning = interpretShape(line, this.scanner.lineSlots(), draft)
    if (meaning === undefined) return
    const shape = this.scanner.register(meaning.ops)
    if (shape < 0) {
      this.#refusedTemplates++
      return
    }
    const { metric } = draft
    this.#shapes[shape] = { metric, layoutId: this.#layouts.of(metric, meaning.columns).id }
    this.#meanTemplate(shape, draft.series)
  }

  /** The scanner stopped at a line of which the tags alone are new; `bytes[base]` was loaded first. Whether it knows them now. */
  addTags(bytes: Uint8Array, base: number): boolean {
    if (!this.#takesTemplates()) return false
    const { shape, from, to } = this.scanner.lineTags()
    try {
      const series = this.#tags.seriesOf(this.#shapes[shape]!.metric, bytes, base + from, base + to)
      return series !== undefined && this.#meanTemplate(shape, series)
    } catch (error) {
      if (error instanceof SydraError) return false // the row will be refused for it
      throw error
    }
  }

  #takesTemplates(): boolean {
    if (this.#refusedTemplates < refusedTemplatesMax) return true
    this.#untemplatedLines++
    return false
  }

  #meanTemplate(shape: number, series: number): boolean {
    const id = this.scanner.addTemplate()
    if (id < 0) {
      this.#refusedTemplates++
      return false
    }
    const meaning = this.#meaning
    if (id >= meaning.series.length) {
      meaning.layoutIds = grown(meaning.layoutIds)
      meaning.series = grown(meaning.series)
    }
    meaning.layoutIds[id] = this.#shapes[shape]!.layoutId
    meaning.series[id] = series
    this.#templates++
    return true
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

  /** Checks rows that come as columns; they are not staged. Undefined when there are none. */
  settleColumns(columns: ColumnRows, precision: TimeUnit | undefined): ColumnSlices | undefined {
    return settleColumns(columns, new TimeSettings(precision), {
      rules: this.rules,
      catalog: this.#catalog,
      arenas: this.#columnArenas,
    })
  }

  /** Uses the memory of a batch again that nobody reads any more. */
  recycle(batch: RowBatch): void {
    this.#builder.recycle(batch)
    for (const { timeUs } of batch.metrics) this.#columnArenas.recycle(timeUs.buffer)
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
    this.#shapes.length = 0
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

function grown(words: Uint32Array): Uint32Array {
  const more = new Uint32Array(words.length * 2)
  more.set(words)
  return more
}
