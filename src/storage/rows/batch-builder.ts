/**
 * Scatters staged rows into one `RowBatch`: columns per metric, rows of a metric in scan order.
 *
 *   scan order   a1 b1 a2 c1 a3      layouts a, c belong to metric x, b to y
 *   batch        x: a1 a2 c1 a3      y: b1
 *
 * Two passes: the first walks the rows once, giving each its place within its metric; the second fills column by column,
 * one tight loop per layout.
 *
 * Invariants:
 * 1. The arrays of a batch are its own, of exact length.
 * 2. Rows without a time get the server's, strictly increasing in scan order.
 * 3. A batch ends before its columns take more than `batchBytesMax`, but holds at least one row.
 */
import type { Scanner } from '../../kernels/scan.ts'
import type { FieldInfo, FieldRows, MetricInfo, MetricRows, RowBatch } from '../types.ts'
import type { Layout } from './layout.ts'
import { batchBytesMax, batchRowsMax } from './limits.ts'

interface MetricGroup {
  readonly metric: MetricInfo
  length: number
  rowBytes: number
  /** Indexed by field id. */
  readonly fields: (FieldGroup | undefined)[]
}
interface FieldGroup {
  readonly field: FieldInfo
  /** The layout groups that have the field, and where. */
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

export interface RowMeaning {
  layoutOf(template: number): Layout
  seriesOf(template: number): number
  /** The time of a row that has none. */
  serverTimeUs(): number
}

export class BatchBuilder {
  readonly #scanner: Scanner
  readonly #meaning: RowMeaning
  // scratch, as long as the largest batch so far
  #groupOf = new Uint32Array(0)
  #place = new Uint32Array(0)
  #order = new Uint32Array(0)
  /** Code in the scanner -> code in the field being filled; 0 none yet, else one more. */
  #codes = new Uint32Array(0)
  #groups: Group[] = []

  constructor(scanner: Scanner, meaning: RowMeaning) {
    this.#scanner = scanner
    this.#meaning = meaning
  }

  /** A batch of the staged rows from `from` on, and the row after its last. */
  build(from: number): { readonly batch: RowBatch; readonly next: number } {
    this.#reserve(Math.min(this.#scanner.rowCount() - from, batchRowsMax))
    const metrics: MetricGroup[] = []
    const next = this.#placeRows(from, metrics)
    this.#sortByLayout(next - from)
    let byteLength = 0
    const built = metrics.map(metric => {
      const rows = this.#fill(metric, from)
      byteLength += metricBytes(rows)
      return rows
    })
    for (const group of this.#groups) group.layout.group = -1
    this.#groups = []
    return { batch: { metrics: built, rowCount: next - from, byteLength }, next }
  }

  #reserve(rows: number): void {
    if (rows > this.#place.length) {
      const size = Math.min(batchRowsMax, Math.max(rows, this.#place.length * 2))
      this.#groupOf = new Uint32Array(size)
      this.#place = new Uint32Array(size)
      this.#order = new Uint32Array(size)
    }
    const codes = this.#scanner.stringCount()
    if (codes > this.#codes.length) this.#codes = new Uint32Array(codes * 2)
  }

  /** Gives rows their group, their place within the metric and their time; stops where the batch is full. */
  #placeRows(from: number, metrics: MetricGroup[]): number {
    const { rowTemplates, rowTimesUs } = this.#scanner
    const meaning = this.#meaning
    const end = Math.min(this.#scanner.rowCount(), from + batchRowsMax)
    const groups = this.#groups
    let bytes = 0
    let row = from
    for (; row < end; row++) {
      const layout = meaning.layoutOf(rowTemplates[row]!)
      if (layout.group < 0) {
        const needed = openGroup(layout, groups, metrics)
        bytes += needed
        if (bytes > batchBytesMax && row > from) {
          closeLastGroup(groups, metrics)
          break
        }
      }
      const group = groups[layout.group]!
      const { metric } = group
      bytes += metric.rowBytes
      if (bytes > batchBytesMax && row > from) break
      this.#groupOf[row - from] = layout.group
      this.#place[row - from] = metric.length++
      group.count++
      if (Number.isNaN(rowTimesUs[row]!)) rowTimesUs[row] = meaning.serverTimeUs()
    }
    return row
  }

  #sortByLayout(count: number): void {
    const groups = this.#groups
    const order = this.#order
    let start = 0
    for (const group of groups) {
      group.start = start
      start += group.count
    }
    if (groups.length === 1) return
    const cursors = Uint32Array.from(groups, group => group.start)
    for (let i = 0; i < count; i++) {
      const group = this.#groupOf[i]!
      order[cursors[group]!++] = i
    }
  }

  #fill(metric: MetricGroup, from: number): MetricRows {
    const { rowTemplates, rowTimesUs } = this.#scanner
    const meaning = this.#meaning
    const { length } = metric
    const series = new Uint32Array(length)
    let timeUs: Float64Array
    if (this.#groups.length === 1) {
      timeUs = rowTimesUs.slice(from, from + length)
      for (let i = 0; i < length; i++) series[i] = meaning.seriesOf(rowTemplates[from + i]!)
    } else {
      timeUs = new Float64Array(length)
      for (const group of this.#groups) {
        if (group.metric !== metric) continue
        for (let j = group.start; j < group.start + group.count; j++) {
          const i = this.#order[j]!
          const place = this.#place[i]!
          timeUs[place] = rowTimesUs[from + i]!
          series[place] = meaning.seriesOf(rowTemplates[from + i]!)
        }
      }
    }
    const fields: FieldRows[] = []
    for (const field of metric.fields) if (field !== undefined) fields.push(this.#fillField(field, length, from))
    return { metric: metric.metric, length, series, timeUs, fields }
  }

  #fillField({ field, sources }: FieldGroup, length: number, from: number): FieldRows {
    let present = 0
    for (const { group } of sources) present += group.count
    const valid = present < length ? new Uint8Array(length) : undefined
    if (valid !== undefined) for (const { group } of sources) this.#mark(group, valid)
    if (field.type === 'string') return this.#fillStrings(field, sources, length, from, valid)
    const values = field.type === 'boolean' ? new Uint8Array(length) : new Float64Array(length)
    for (const { group, column } of sources) {
      const { slot, constant } = group.layout.columns[column]!
      if (slot < 0) this.#fillConstant(group, values, Number(constant))
      else if (values instanceof Float64Array) this.#copyNumbers(group, values, slot, from)
      else this.#copyBooleans(group, values, slot, from)
    }
    return { field, values, valid, strings: undefined }
  }

  #mark(group: Group, valid: Uint8Array): void {
    const end = group.start + group.count
    for (let j = group.start; j < end; j++) valid[this.#place[this.#order[j]!]!] = 1
  }

  #fillConstant(group: Group, values: Float64Array | Uint8Array | Uint32Array, constant: number): void {
    if (this.#groups.length === 1) {
      values.fill(constant)
      return
    }
    const end = group.start + group.count
    for (let j = group.start; j < end; j++) values[this.#place[this.#order[j]!]!] = constant
  }

  #copyNumbers(group: Group, into: Float64Array, slot: number, from: number): void {
    const { values, rowFirstValues } = this.#scanner
    if (this.#groups.length === 1) {
      const step = group.layout.valueCount
      let at = rowFirstValues[from]! + slot
      for (let i = 0; i < into.length; i++, at += step) into[i] = values[at]!
      return
    }
    const order = this.#order
    const place = this.#place
    const end = group.start + group.count
    for (let j = group.start; j < end; j++) {
      const i = order[j]!
      into[place[i]!] = values[rowFirstValues[from + i]! + slot]!
    }
  }

  #copyBooleans(group: Group, into: Uint8Array, slot: number, from: number): void {
    const { values, rowFirstValues } = this.#scanner
    const whole = this.#groups.length === 1
    const end = group.start + group.count
    for (let j = group.start; j < end; j++) {
      const i = whole ? j : this.#order[j]!
      into[this.#place[i]!] = values[rowFirstValues[from + i]! + slot]!
    }
  }

  /** Codes of the scanner, which all fields share, become codes of this column alone. */
  #fillStrings(
    field: FieldInfo,
    sources: FieldGroup['sources'],
    length: number,
    from: number,
    valid: Uint8Array | undefined,
  ): FieldRows {
    const scanner = this.#scanner
    const { values, rowFirstValues } = scanner
    const codes = this.#codes
    const column = new Uint32Array(length)
    const strings: string[] = []
    const used: number[] = []
    const whole = this.#groups.length === 1
    for (const { group, column: index } of sources) {
      const { slot, constant } = group.layout.columns[index]!
      if (slot < 0) {
        this.#fillConstant(group, column, strings.length)
        strings.push(constant as string)
        continue
      }
      const end = group.start + group.count
      for (let j = group.start; j < end; j++) {
        const i = whole ? j : this.#order[j]!
        const code = values[rowFirstValues[from + i]! + slot]!
        let own = codes[code]!
        if (own === 0) {
          own = strings.push(scanner.string(code))
          codes[code] = own
          used.push(code)
        }
        column[this.#place[i]!] = own - 1
      }
    }
    for (const code of used) codes[code] = 0
    return { field, values: column, valid, strings }
  }
}

const seriesAndTimeBytes = 12

/** Adds a group for the layout; returns the bytes that its new fields take in rows placed already. */
function openGroup(layout: Layout, groups: Group[], metrics: MetricGroup[]): number {
  let metric = metrics.find(other => other.metric === layout.metric)
  if (metric === undefined) {
    metric = { metric: layout.metric, length: 0, rowBytes: seriesAndTimeBytes, fields: [] }
    metrics.push(metric)
  }
  const group: Group = { layout, metric, count: 0, start: 0 }
  let added = 0
  layout.columns.forEach(({ field }, column) => {
    let into = metric.fields[field.id]
    if (into === undefined) {
      into = { field, sources: [] }
      metric.fields[field.id] = into
      added += valueBytes(field)
    }
    into.sources.push({ group, column })
  })
  layout.group = groups.length
  groups.push(group)
  metric.rowBytes += added
  return added * metric.length
}

/** Takes back `openGroup`: the batch ended before the group's first row. */
function closeLastGroup(groups: Group[], metrics: MetricGroup[]): void {
  const group = groups.pop()!
  group.layout.group = -1
  for (const { field } of group.layout.columns) {
    const into = group.metric.fields[field.id]!
    into.sources.pop()
    if (into.sources.length === 0) group.metric.fields[field.id] = undefined
  }
  if (group.metric.length === 0) metrics.pop()
}

/** A value and its validity byte. */
const valueBytes = (field: FieldInfo): number => (field.type === 'boolean' ? 1 : field.type === 'string' ? 4 : 8) + 1

function metricBytes(rows: MetricRows): number {
  let bytes = rows.series.byteLength + rows.timeUs.byteLength
  for (const { values, valid, strings } of rows.fields) {
    bytes += values.byteLength + (valid?.byteLength ?? 0)
    if (strings !== undefined) for (const text of strings) bytes += stringOverheadBytes + text.length * 2
  }
  return bytes
}

const stringOverheadBytes = 16
