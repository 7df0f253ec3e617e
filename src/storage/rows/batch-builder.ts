/**
 * Scatters staged rows into `RowBatch`es: columns per metric, rows of a metric in scan order.
 *
 *   scan order   a1 b1 a2 c1 a3      layouts a, c belong to metric x, b to y
 *   batch        x: a1 a2 c1 a3      y: b1
 *
 * Rows are sorted by layout, stably; then column by column is filled, one tight loop per layout (`scatter.ts`). A metric
 * mostly has one layout: its rows are in order then. One with several needs a place for each row.
 *
 * Invariants:
 * 1. The arrays of a batch are its own until it is recycled, of exact length; those of one metric share a buffer.
 * 2. Rows without a time get the server's, strictly increasing in scan order.
 * 3. A batch ends before its columns take more than `batchBytesMax`, but holds at least one row.
 */
import type { Scanner } from '../../kernels/scan.ts'
import { assert } from '../../lib/assert.ts'
import type { FieldInfo, FieldRows, MetricInfo, MetricRows, RowBatch } from '../types.ts'
import { ColumnArena, ColumnArenas } from './column-arena.ts'
import type { Layout, Layouts } from './layout.ts'
import { batchBytesMax, batchRowsMax } from './limits.ts'
import {
  allFlags,
  allFloats,
  allMeanings,
  groupRows,
  orderByGroup,
  type Picked,
  pickFlags,
  pickFloats,
  pickMeanings,
  pickTimes,
} from './scatter.ts'

/** What staged template ids mean. */
export interface RowMeaning {
  readonly layouts: Layouts
  /** Template id -> layout id. */
  readonly layoutIds: Uint32Array
  /** Template id -> series ordinal. */
  readonly series: Uint32Array
  /** The time of a row that has none. */
  serverTimeUs(): number
}

interface MetricGroup {
  readonly metric: MetricInfo
  length: number
  rowBytes: number
  /** Its layouts' rows. */
  readonly groups: Group[]
  /** Indexed by field id. */
  readonly fields: (FieldGroup | undefined)[]
}
interface FieldGroup {
  readonly field: FieldInfo
  /** The groups that have the field, and which of their columns it is. */
  readonly sources: { readonly group: Group; readonly column: number }[]
}
/** The rows of one layout. */
interface Group {
  readonly layout: Layout
  readonly metric: MetricGroup
  count: number
  /** Where they are among all rows, and go in their metric. */
  picked: Picked
}
type Values = Float64Array | Uint8Array | Uint32Array

const nothingPicked: Picked = { rows: new Uint32Array(0), at: 0, count: 0, place: undefined }

export class BatchBuilder {
  readonly #scanner: Scanner
  readonly #meaning: RowMeaning
  readonly #arenas = new ColumnArenas()
  // scratch, as long as the largest batch so far; rows count from the batch's first
  #groupOf = new Uint32Array(0)
  /** Staged rows by group. */
  #order = new Uint32Array(0)
  /** Staged row -> its place in its metric, where that has several layouts. */
  #place = new Uint32Array(0)
  /** Code in the scanner -> 1 + code in the column being filled, 0 for none yet. */
  #codes = new Uint32Array(0)
  /** Layout id -> 1 + its group, 0 for none yet. */
  #groupOfLayout = new Uint32Array(0)
  /** Group -> its rows. */
  #counts = new Uint32Array(64)
  #groups: Group[] = []
  #metrics: MetricGroup[] = []
  /** The first staged row of the batch. */
  #from = 0

  constructor(scanner: Scanner, meaning: RowMeaning) {
    this.#scanner = scanner
    this.#meaning = meaning
  }

  /** A batch of the staged rows from `from` on; as many as fit. */
  build(from: number): RowBatch {
    this.#from = from
    const rowCount = this.#sameLayout() || this.#placeRows()
    this.#giveTimes(rowCount)
    let byteLength = 0
    const metrics = this.#metrics.map(metric => {
      const rows = this.#fill(metric)
      byteLength += metricBufferBytes(metric) + textBytes(rows)
      return rows
    })
    for (const { layout } of this.#groups) this.#groupOfLayout[layout.id] = 0
    this.#groups = []
    this.#metrics = []
    return { metrics, rowCount, byteLength }
  }

  /** Takes back a batch that was built here and that nobody reads any more. */
  recycle({ metrics }: RowBatch): void {
    for (const { timeUs } of metrics) this.#arenas.recycle(timeUs.buffer)
  }

  /** One group for all rows when they have one layout (how many), else 0. */
  #sameLayout(): number {
    const { rowTemplates } = this.#scanner
    const { layoutIds, layouts } = this.#meaning
    const from = this.#from
    const id = layoutIds[rowTemplates[from]!]!
    const staged = this.#scanner.rowCount()
    if (layouts.size > 1) for (let row = from; row < staged; row++) if (layoutIds[rowTemplates[row]!] !== id) return 0
    const group = this.#openGroup(layouts.at(id))
    const fitting = Math.max(1, Math.floor(batchBytesMax / group.metric.rowBytes))
    group.count = Math.min(staged - from, fitting, batchRowsMax)
    group.metric.length = group.count
    return group.count
  }

  /** Sorts rows by layout, as many as fit; how many. */
  #placeRows(): number {
    const { rowTemplates } = this.#scanner
    const { layoutIds, layouts } = this.#meaning
    const from = this.#from
    const rowsMax = Math.min(this.#scanner.rowCount() - from, batchRowsMax)
    if (rowsMax > this.#groupOf.length) {
      const size = Math.min(batchRowsMax, Math.max(rowsMax, this.#groupOf.length * 2))
      this.#groupOf = new Uint32Array(size)
      this.#order = new Uint32Array(size)
    }
    if (layouts.size > this.#groupOfLayout.length) this.#groupOfLayout = grown(this.#groupOfLayout, layouts.size * 2)
    let count = 0
    while (count < rowsMax) {
      // so many rows fit, whichever they are
      const widest = this.#metrics.reduce((most, { rowBytes }) => Math.max(most, rowBytes), 1)
      const room = Math.floor((batchBytesMax - this.#countBytes()) / widest)
      if (room < 1 && count > 0) break
      const end = Math.min(rowsMax, count + room)
      count = groupRows(rowTemplates, from, count, end, layoutIds, this.#groupOfLayout, this.#groupOf, this.#counts)
      if (count === end) continue
      const group = this.#openGroup(layouts.at(layoutIds[rowTemplates[from + count]!]!))
      if (count > 0 && this.#countBytes() + group.metric.rowBytes > batchBytesMax) {
        this.#closeLastGroup()
        break
      }
    }
    this.#countBytes()
    this.#sortByGroup(count)
    return count
  }

  /** Rows of each metric so far; what their columns take. */
  #countBytes(): number {
    for (const metric of this.#metrics) metric.length = 0
    this.#groups.forEach((group, i) => {
      group.count = this.#counts[i]!
      group.metric.length += group.count
    })
    return this.#metrics.reduce((sum, { length, rowBytes }) => sum + length * rowBytes, 0)
  }

  #openGroup(layout: Layout): Group {
    let metric = this.#metrics.find(other => other.metric.id === layout.metric.id)
    if (metric === undefined) {
      metric = { metric: layout.metric, length: 0, rowBytes: seriesAndTimeBytes, groups: [], fields: [] }
      this.#metrics.push(metric)
    }
    const group: Group = { layout, metric, count: 0, picked: nothingPicked }
    metric.groups.push(group)
    layout.columns.forEach(({ field }, column) => {
      let into = metric.fields[field.id]
      if (into === undefined) {
        into = { field, sources: [] }
        metric.fields[field.id] = into
        metric.rowBytes += valueBytes(field)
      }
      into.sources.push({ group, column })
    })
    const index = this.#groups.push(group) - 1
    if (index >= this.#counts.length) this.#counts = grown(this.#counts, index * 2)
    this.#groupOfLayout[layout.id] = index + 1
    this.#counts[index] = 0
    return group
  }

  /** The batch is full before the group's first row: takes it back. */
  #closeLastGroup(): void {
    const group = this.#groups.pop()
    assert(group !== undefined && group.count === 0, 'only an empty group is taken back')
    const { layout, metric } = group
    this.#groupOfLayout[layout.id] = 0
    metric.groups.pop()
    for (const { field } of layout.columns) {
      const { sources } = metric.fields[field.id]!
      sources.pop()
      if (sources.length > 0) continue
      metric.fields[field.id] = undefined
      metric.rowBytes -= valueBytes(field)
    }
    if (metric.length === 0) this.#metrics.pop()
  }

  #sortByGroup(count: number): void {
    const rows = this.#order
    const cursors = new Uint32Array(this.#groups.length)
    let at = 0
    this.#groups.forEach((group, i) => {
      const place = group.metric.groups.length === 1 ? undefined : this.#places()
      group.picked = { rows, at, count: group.count, place }
      cursors[i] = at
      at += group.count
    })
    orderByGroup(this.#groupOf, count, this.#from, cursors, rows)
    if (this.#groups.some(({ picked }) => picked.place !== undefined)) this.#givePlaces(count)
  }

  #places(): Uint32Array {
    const staged = this.#scanner.rowCount()
    if (staged > this.#place.length) this.#place = new Uint32Array(Math.min(batchRowsMax, staged * 2))
    return this.#place
  }

  #givePlaces(count: number): void {
    const place = this.#place
    const groupOf = this.#groupOf
    const metricOf = Uint32Array.from(this.#groups, ({ metric }) => this.#metrics.indexOf(metric))
    const next = new Uint32Array(this.#metrics.length)
    for (let i = 0; i < count; i++) {
      const metric = metricOf[groupOf[i]!]!
      place[this.#from + i] = next[metric]!
      next[metric]!++
    }
  }

  #giveTimes(count: number): void {
    if (this.#scanner.untimedRows() === 0) return
    const { rowTimesUs } = this.#scanner
    const end = this.#from + count
    for (let row = this.#from; row < end; row++)
      if (Number.isNaN(rowTimesUs[row]!)) rowTimesUs[row] = this.#meaning.serverTimeUs()
  }

  /** Whether rows need no order, as there is one layout only: row i of the batch is row i of the metric. */
  get #single(): boolean {
    return this.#groups.length === 1
  }

  #fill(metric: MetricGroup): MetricRows {
    const { rowTemplates, rowTimesUs } = this.#scanner
    const seriesOf = this.#meaning.series
    const { length, fields } = metric
    const from = this.#from
    const arena = this.#arenas.arena(metricBufferBytes(metric))
    const timeUs = arena.float64(length)
    const series = arena.uint32(length)
    if (this.#single) {
      timeUs.set(rowTimesUs.subarray(from, from + length))
      allMeanings(seriesOf, rowTemplates, from, series)
    } else {
      for (const { picked } of metric.groups) {
        pickTimes(rowTimesUs, picked, timeUs)
        pickMeanings(seriesOf, rowTemplates, picked, series)
      }
    }
    const filled: FieldRows[] = []
    for (const field of fields) if (field !== undefined) filled.push(this.#fillField(field, length, arena))
    return { metric: metric.metric, length, series, timeUs, fields: filled }
  }

  #fillField(fieldGroup: FieldGroup, length: number, arena: ColumnArena): FieldRows {
    const { field, sources } = fieldGroup
    const valid = present(fieldGroup) < length ? arena.uint8(length) : undefined
    if (valid !== undefined) {
      valid.fill(0)
      for (const { group } of sources) this.#fillConstant(group, valid, 1)
    }
    if (field.type === 'string') {
      const values = arena.uint32(length)
      if (valid !== undefined) values.fill(0)
      return { field, values, valid, strings: this.#fillStrings(sources, values) }
    }
    const values = field.type === 'boolean' ? arena.uint8(length) : arena.float64(length)
    if (valid !== undefined) values.fill(0)
    for (const { group, column } of sources) {
      const { slot, constant } = group.layout.columns[column]!
      if (slot < 0) this.#fillConstant(group, values, Number(constant))
      else this.#copy(group, values, slot)
    }
    return { field, values, valid, strings: undefined }
  }

  #fillConstant({ picked: { rows, at, count, place } }: Group, values: Values, constant: number): void {
    if (place === undefined) values.fill(constant)
    else for (let i = at; i < at + count; i++) values[place[rows[i]!]!] = constant
  }

  #copy({ layout, picked }: Group, into: Float64Array | Uint8Array, slot: number): void {
    const { values, rowFirstValues } = this.#scanner
    if (this.#single) {
      const at = rowFirstValues[this.#from]! + slot
      if (into instanceof Float64Array) allFloats(values, at, layout.valueCount, into)
      else allFlags(values, at, layout.valueCount, into)
    } else if (into instanceof Float64Array) pickFloats(values, rowFirstValues, slot, picked, into)
    else pickFlags(values, rowFirstValues, slot, picked, into)
  }

  /** Codes of the scanner, which all fields share, become codes of this column alone; returns its strings. */
  #fillStrings(sources: FieldGroup['sources'], into: Uint32Array): string[] {
    const scanner = this.#scanner
    const { values, rowFirstValues } = scanner
    if (scanner.stringCount() > this.#codes.length) this.#codes = new Uint32Array(scanner.stringCount() * 2)
    const codes = this.#codes
    const single = this.#single
    const strings: string[] = []
    const used: number[] = []
    for (const { group, column } of sources) {
      const { slot, constant } = group.layout.columns[column]!
      if (slot < 0) {
        this.#fillConstant(group, into, strings.push(constant as string) - 1)
        continue
      }
      const { rows, at, place } = group.picked
      for (let i = 0; i < group.count; i++) {
        const row = single ? this.#from + i : rows[at + i]!
        const code = values[rowFirstValues[row]! + slot]!
        let own = codes[code]!
        if (own === 0) {
          own = strings.push(scanner.string(code))
          codes[code] = own
          used.push(code)
        }
        into[place === undefined ? i : place[row]!] = own - 1
      }
    }
    for (const code of used) codes[code] = 0
    return strings
  }
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(length)
  longer.set(array)
  return longer
}

const seriesAndTimeBytes = 12
/** Estimated memory of a string beside its two bytes a unit. */
const stringOverheadBytes = 16

/** A value and its validity byte. */
const valueBytes = (field: FieldInfo): number => elementBytes(field) + 1
const elementBytes = (field: FieldInfo): number => (field.type === 'boolean' ? 1 : field.type === 'string' ? 4 : 8)

function present({ sources }: FieldGroup): number {
  let rows = 0
  for (const { group } of sources) rows += group.count
  return rows
}

function metricBufferBytes({ length, fields }: MetricGroup): number {
  let bytes = ColumnArena.bytes(length, 8) + ColumnArena.bytes(length, 4)
  for (const group of fields) {
    if (group === undefined) continue
    bytes += ColumnArena.bytes(length, elementBytes(group.field))
    if (present(group) < length) bytes += ColumnArena.bytes(length, 1)
  }
  return bytes
}

function textBytes(rows: MetricRows): number {
  let bytes = 0
  for (const { strings } of rows.fields)
    if (strings !== undefined) for (const text of strings) bytes += stringOverheadBytes + text.length * 2
  return bytes
}
