/**
 * Scatters staged rows into `RowBatch`es: columns per metric, rows of a metric in scan order.
 *
 *   scan order   a1 b1 a2 c1 a3      layouts a, c belong to metric x, b to y
 *   batch        x: a1 a2 c1 a3      y: b1
 *
 * Two passes: the first walks the rows once and gives each its place within its metric; the second fills column by
 * column, one tight loop per layout. Bodies mostly have one layout: then places are not needed.
 *
 * Invariants:
 * 1. The arrays of a batch are its own until it is recycled, of exact length; those of one metric share a buffer.
 * 2. Rows without a time get the server's, strictly increasing in scan order.
 * 3. A batch ends before its columns take more than `batchBytesMax`, but holds at least one row.
 */
import type { Scanner } from '../../kernels/scan.ts'
import { assert } from '../../lib/assert.ts'
import type { FieldInfo, FieldRows, MetricInfo, MetricRows, RowBatch } from '../types.ts'
import { ArenaPool, ColumnArena } from './column-arena.ts'
import type { Layout, Layouts } from './layout.ts'
import { batchBytesMax, batchRowsMax } from './limits.ts'

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
  /** Its rows are `order[start, start + count)`. */
  start: number
}
type Values = Float64Array | Uint8Array | Uint32Array

export class BatchBuilder {
  readonly #scanner: Scanner
  readonly #meaning: RowMeaning
  readonly #arenas = new ArenaPool()
  // scratch, as long as the largest batch so far; rows count from the batch's first
  #groupOf = new Uint32Array(0)
  #place = new Uint32Array(0)
  #order = new Uint32Array(0)
  /** Code in the scanner -> 1 + code in the column being filled, 0 for none yet. */
  #codes = new Uint32Array(0)
  /** Layout id -> 1 + its group, 0 for none yet. */
  #groupOfLayout = new Uint32Array(0)
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

  /** Gives rows their group and their place within the metric, until the batch is full; how many. */
  #placeRows(): number {
    const { rowTemplates } = this.#scanner
    const { layoutIds, layouts } = this.#meaning
    const from = this.#from
    const rowsMax = Math.min(this.#scanner.rowCount() - from, batchRowsMax)
    if (rowsMax > this.#place.length) {
      const size = Math.min(batchRowsMax, Math.max(rowsMax, this.#place.length * 2))
      this.#groupOf = new Uint32Array(size)
      this.#place = new Uint32Array(size)
      this.#order = new Uint32Array(size)
    }
    let bytes = 0
    let count = 0
    for (; count < rowsMax; count++) {
      const layoutId = layoutIds[rowTemplates[from + count]!]!
      let index = (this.#groupOfLayout[layoutId] ?? 0) - 1
      if (index < 0) {
        index = this.#groups.length
        const group = this.#openGroup(layouts.at(layoutId))
        // its new fields are missing in the rows placed already, which costs them room
        let missing = 0
        for (const { field } of group.layout.columns)
          if (group.metric.fields[field.id]!.sources.length === 1) missing += valueBytes(field)
        bytes += missing * group.metric.length
      }
      const group = this.#groups[index]!
      bytes += group.metric.rowBytes
      if (bytes > batchBytesMax && count > 0) {
        if (group.count === 0) this.#closeLastGroup()
        break
      }
      this.#groupOf[count] = index
      this.#place[count] = group.metric.length++
      group.count++
    }
    this.#sortByGroup(count)
    return count
  }

  #openGroup(layout: Layout): Group {
    let metric = this.#metrics.find(other => other.metric.id === layout.metric.id)
    if (metric === undefined) {
      metric = { metric: layout.metric, length: 0, rowBytes: seriesAndTimeBytes, fields: [] }
      this.#metrics.push(metric)
    }
    const group: Group = { layout, metric, count: 0, start: 0 }
    layout.columns.forEach(({ field }, column) => {
      let into = metric.fields[field.id]
      if (into === undefined) {
        into = { field, sources: [] }
        metric.fields[field.id] = into
        metric.rowBytes += valueBytes(field)
      }
      into.sources.push({ group, column })
    })
    this.#groups.push(group)
    if (layout.id >= this.#groupOfLayout.length) {
      const grown = new Uint32Array(layout.id * 2 + 64)
      grown.set(this.#groupOfLayout)
      this.#groupOfLayout = grown
    }
    this.#groupOfLayout[layout.id] = this.#groups.length
    return group
  }

  /** The batch is full before the group's first row: takes it back. */
  #closeLastGroup(): void {
    const group = this.#groups.pop()
    assert(group !== undefined && group.count === 0, 'only an empty group is taken back')
    this.#groupOfLayout[group.layout.id] = 0
    for (const { field } of group.layout.columns) {
      const { sources } = group.metric.fields[field.id]!
      sources.pop()
      if (sources.length === 0) group.metric.fields[field.id] = undefined
    }
    if (group.metric.length === 0) this.#metrics.pop()
  }

  /** Counting sort, stable. */
  #sortByGroup(count: number): void {
    const cursors = new Uint32Array(this.#groups.length)
    let start = 0
    this.#groups.forEach((group, i) => {
      group.start = start
      cursors[i] = start
      start += group.count
    })
    const order = this.#order
    const groupOf = this.#groupOf
    for (let i = 0; i < count; i++) order[cursors[groupOf[i]!]!++] = i
  }

  #giveTimes(count: number): void {
    const { rowTimesUs } = this.#scanner
    const end = this.#from + count
    for (let row = firstNaN(rowTimesUs, this.#from, end); row < end; row = firstNaN(rowTimesUs, row + 1, end))
      rowTimesUs[row] = this.#meaning.serverTimeUs()
  }

  /** Whether rows need no places, as there is one layout only: row i of the batch is row i of the metric. */
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
      gather(seriesOf, rowTemplates, from, series)
    } else {
      const order = this.#order
      const place = this.#place
      for (const group of this.#groups) {
        if (group.metric !== metric) continue
        const end = group.start + group.count
        for (let j = group.start; j < end; j++) {
          const i = order[j]!
          timeUs[place[i]!] = rowTimesUs[from + i]!
          series[place[i]!] = seriesOf[rowTemplates[from + i]!]!
        }
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

  #fillConstant(group: Group, values: Values, constant: number): void {
    if (this.#single) {
      values.fill(constant)
      return
    }
    const end = group.start + group.count
    for (let j = group.start; j < end; j++) values[this.#place[this.#order[j]!]!] = constant
  }

  #copy(group: Group, into: Float64Array | Uint8Array, slot: number): void {
    const { values, rowFirstValues } = this.#scanner
    if (this.#single) {
      copyStrided(values, rowFirstValues[this.#from]! + slot, group.layout.valueCount, into)
      return
    }
    const order = this.#order
    const place = this.#place
    const from = this.#from
    const end = group.start + group.count
    for (let j = group.start; j < end; j++) {
      const i = order[j]!
      into[place[i]!] = values[rowFirstValues[from + i]! + slot]!
    }
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
      const end = group.start + group.count
      for (let j = group.start; j < end; j++) {
        const i = single ? j : this.#order[j]!
        const code = values[rowFirstValues[this.#from + i]! + slot]!
        let own = codes[code]!
        if (own === 0) {
          own = strings.push(scanner.string(code))
          codes[code] = own
          used.push(code)
        }
        into[single ? i : this.#place[i]!] = own - 1
      }
    }
    for (const code of used) codes[code] = 0
    return strings
  }
}

/** `into[i] = values[indexes[at + i]]`. */
function gather(values: Uint32Array, indexes: Uint32Array, at: number, into: Uint32Array): void {
  for (let i = 0; i < into.length; i++) into[i] = values[indexes[at + i]!]!
}

function firstNaN(values: Float64Array, from: number, to: number): number {
  let at = from
  while (at < to && !Number.isNaN(values[at]!)) at++
  return at
}

/** `into[i] = values[at + i * step]`. */
function copyStrided(values: Float64Array, at: number, step: number, into: Float64Array | Uint8Array): void {
  if (step === 1) into.set(values.subarray(at, at + into.length))
  else for (let i = 0; i < into.length; i++, at += step) into[i] = values[at]!
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
