/**
 * Rows that come as columns, to row batches: checked as a whole, then cut into slices.
 *
 *   ColumnRows ─ check ─> SettledColumns ─ slice ─> RowBatch, RowBatch, …
 *                times and series of its own,      columns of its own, in memory
 *                values as they were given         that is used again
 *
 * Invariants:
 * 1. Columns that are refused leave no row behind; what can be refused without the catalog is, before the catalog changes.
 * 2. The rules are those of rows from anywhere else: rows given as objects or as columns come out the same.
 * 3. A slice is a copy: what the arrays' owner does to them afterwards changes nothing in it.
 */
import { assert } from '../../lib/assert.ts'
import { SydraError } from '../../lib/errors.ts'
import type { CatalogWriter } from '../catalog/types.ts'
import type { FieldInfo, FieldRows, MetricInfo, RowBatch } from '../types.ts'
import { ColumnArena, type ColumnArenas } from './column-arena.ts'
import { fieldPlace, kindName, placed, wrong } from './column-error.ts'
import { columnTimes } from './column-times.ts'
import type { ColumnRows, IndexArray, TagSet } from './column-types.ts'
import { type CheckedColumn, checkColumn, checkLength, isIndexes } from './column-values.ts'
import { batchRowsMax, columnSliceBytesMax, stretchRows } from './limits.ts'
import type { RowRules } from './row-rules.ts'
import type { TimeSettings } from './timestamp.ts'

interface SettledColumn extends CheckedColumn {
  readonly field: FieldInfo
  /** Code -> 1 + code in the slice that is being made, 0 for none yet. */
  readonly codes: Uint32Array
}

/** Rows that are all right, to be taken slice by slice. */
export interface ColumnSlices {
  readonly length: number
  /** Rows of a slice; the last has fewer. */
  readonly sliceRows: number
  /** About what a slice takes. */
  readonly sliceBytes: number
  /** The slice that begins with a row. Throws `bad_request` when the arrays were changed meanwhile. */
  slice(from: number): RowBatch
}

interface SettledColumns {
  readonly metric: MetricInfo
  readonly length: number
  readonly series: Uint32Array
  readonly timeUs: Float64Array
  /** In the order of field ids. */
  readonly columns: readonly SettledColumn[]
}

export interface ColumnPorts {
  readonly rules: RowRules
  readonly catalog: CatalogWriter
  /** Where slices are. */
  readonly arenas: ColumnArenas
}

/**
 * Undefined when there are no rows. Throws `bad_request` for what are no columns, and what is wrong with a value as for rows:
 * `invalid_timestamp`, `integer_out_of_range`, `type_mismatch`, `invalid_row`, `too_many_tags`, `too_many_fields`,
 * `too_many_series`, `series_id_collision`.
 */
export function settleColumns(
  given: ColumnRows,
  times: TimeSettings,
  { rules, catalog, arenas }: ColumnPorts,
): ColumnSlices | undefined {
  checkShape(given)
  const { series: name, tags, seriesOf, ts, fields } = given
  const length = ts.length
  const known = new Map(catalog.metric(name)?.fields.map(field => [field.name, field.type]))
  const checked = Object.keys(fields).map(field => checkColumn(field, fields[field]!, length, known.get(field)))
  const isUsed = usedTags(tags, seriesOf, length)
  const timeUs = columnTimes(ts, times)
  const present = checked.filter(({ valid }) => valid === undefined || valid.some(flag => flag !== 0))
  checkNoneEmpty(checked, length)
  if (length === 0) return undefined

  const metric = catalog.useMetric(name)
  for (const { name, type } of present) if (known.has(name)) catalog.useField(metric, name, type)
  const series = ordinals(metric, tags, seriesOf, isUsed, length, rules)
  const columns = present.map(column => settledColumn(column, catalog.useField(metric, column.name, column.type)))
  columns.sort((a, b) => a.field.id - b.field.id)
  let rowBytes = 12
  for (const { field, valid } of columns) rowBytes += elementBytes(field) + (valid === undefined ? 0 : 1)
  const sliceRows = Math.max(1, Math.min(batchRowsMax, Math.floor(columnSliceBytesMax / rowBytes) & ~7))
  const settled = { metric, length, series, timeUs, columns }
  return {
    length,
    sliceRows,
    sliceBytes: rowBytes * Math.min(sliceRows, length),
    slice: from => sliceColumns(settled, from, Math.min(from + sliceRows, length), arenas),
  }
}

const settledColumn = (column: CheckedColumn, field: FieldInfo): SettledColumn => ({
  ...column,
  field,
  codes: new Uint32Array(column.texts?.length ?? 0),
})

// ---- checks -------------------------------------------------------------------------------------------------------

const keys: ReadonlySet<string> = new Set(['series', 'tags', 'seriesOf', 'ts', 'fields'])

/** What is no columns at all. */
function checkShape(given: ColumnRows): void {
  if (typeof given !== 'object' || given === null)
    throw new SydraError('bad_request', `${kindName(given)} is no columns`)
  for (const key of Object.keys(given))
    if (!keys.has(key))
      throw new SydraError('bad_request', `unknown key ${JSON.stringify(key)}: columns have ${[...keys].join(', ')}`)
  const { series, ts, fields } = given
  if (typeof series !== 'string' || series === '') throw wrong('bad_request', 'series', 'must be a non-empty string')
  if (!(ts instanceof Float64Array || ts instanceof BigInt64Array || Array.isArray(ts)))
    throw wrong(
      'bad_request',
      'ts',
      `${kindName(ts)} is no column of times`,
      'give a Float64Array, a BigInt64Array, or an array',
    )
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || Object.keys(fields).length === 0)
    throw wrong('bad_request', 'fields', 'must be an object with a column a field')
  if ('' in fields) throw wrong('invalid_row', 'fields', 'a field name must not be empty')
}

/** Each row has a value. */
function checkNoneEmpty(columns: readonly CheckedColumn[], length: number): void {
  const masks = columns.map(({ valid }) => valid)
  if (masks.includes(undefined)) return
  for (let i = 0; i < length; i++)
    if (!masks.some(valid => valid![i] !== 0))
      throw new SydraError('invalid_row', `row ${i} has no value: all of its fields are missing`)
}

/** 1 for each tag set that a row has; undefined where there is one for all. */
function usedTags(tags: ColumnRows['tags'], seriesOf: ColumnRows['seriesOf'], length: number): Uint8Array | undefined {
  if (!Array.isArray(tags)) {
    if (seriesOf !== undefined) throw wrong('bad_request', 'seriesOf', 'goes with an array of tags')
    return undefined
  }
  if (!isIndexes(seriesOf))
    throw wrong(
      'bad_request',
      'seriesOf',
      `is ${kindName(seriesOf)}: an array of tags needs the index of each row's, in an array of small integers`,
    )
  checkLength('seriesOf', seriesOf.length, length)
  const isUsed = new Uint8Array(tags.length)
  for (let from = 0; from < length; from += stretchRows) {
    const to = Math.min(from + stretchRows, length)
    const wrongAt = markUsed(seriesOf, from, to, isUsed)
    if (wrongAt < to)
      throw wrong('invalid_row', `seriesOf[${wrongAt}]`, `${seriesOf[wrongAt]} is no index of ${tags.length} tag sets`)
  }
  return isUsed
}

/** The first row of [from, to) that has no such index; `to` when all have one. */
function markUsed(seriesOf: IndexArray, from: number, to: number, isUsed: Uint8Array): number {
  const count = isUsed.length
  for (let i = from; i < to; i++) {
    const at = seriesOf[i]!
    if (!(at >= 0 && at < count)) return i
    isUsed[at] = 1
  }
  return to
}

function ordinals(
  metric: MetricInfo,
  tags: ColumnRows['tags'],
  seriesOf: ColumnRows['seriesOf'],
  isUsed: Uint8Array | undefined,
  length: number,
  rules: RowRules,
): Uint32Array {
  if (isUsed === undefined || seriesOf === undefined) return new Uint32Array(length).fill(rules.useSeries(metric, tags))
  const sets = tags as readonly TagSet[]
  const ordinalOf = new Uint32Array(sets.length)
  for (let at = 0; at < sets.length; at++) if (isUsed[at] === 1) ordinalOf[at] = useSeries(metric, sets, at, rules)
  const series = new Uint32Array(length)
  for (let from = 0; from < length; from += stretchRows)
    translate(seriesOf, ordinalOf, from, Math.min(from + stretchRows, length), series)
  return series
}

function translate(seriesOf: IndexArray, ordinalOf: Uint32Array, from: number, to: number, series: Uint32Array): void {
  for (let i = from; i < to; i++) series[i] = ordinalOf[seriesOf[i]!]!
}

function useSeries(metric: MetricInfo, sets: readonly TagSet[], at: number, rules: RowRules): number {
  try {
    return rules.useSeries(metric, sets[at])
  } catch (error) {
    throw placed(`tags[${at}]`, error)
  }
}

// ---- slices -------------------------------------------------------------------------------------------------------

const elementBytes = ({ type }: FieldInfo): number => (type === 'boolean' ? 1 : type === 'string' ? 4 : 8)
/** Estimated memory of a string beside its two bytes a unit. */
const stringOverheadBytes = 16

function sliceColumns(
  { metric, series, timeUs, columns }: SettledColumns,
  from: number,
  to: number,
  arenas: ColumnArenas,
): RowBatch {
  const length = to - from
  let bytes = ColumnArena.bytes(length, 8) + ColumnArena.bytes(length, 4)
  for (const { field, valid } of columns)
    bytes += ColumnArena.bytes(length, elementBytes(field)) + (valid === undefined ? 0 : ColumnArena.bytes(length, 1))
  const arena = arenas.arena(bytes)
  const times = arena.float64(length)
  times.set(timeUs.subarray(from, to))
  const ordinals = arena.uint32(length)
  ordinals.set(series.subarray(from, to))
  const fields: FieldRows[] = []
  for (const column of columns) {
    const rows = sliceColumn(column, from, to, arena)
    fields.push(rows)
    for (const text of rows.strings ?? []) bytes += stringOverheadBytes + text.length * 2
  }
  return { metrics: [{ metric, length, series: ordinals, timeUs: times, fields }], rowCount: length, byteLength: bytes }
}

function sliceColumn(column: SettledColumn, from: number, to: number, arena: ColumnArena): FieldRows {
  const { field, name, values, texts } = column
  if (values.length < to || (column.valid !== undefined && column.valid.length < to))
    throw wrong('bad_request', fieldPlace(name), 'the array was detached or shortened while it was read')
  const given = values.subarray(from, to)
  const valid = sliceValid(column, from, to, arena)
  if (texts !== undefined) return { field, valid, ...sliceTexts(column, from, to, valid, arena) }
  if (field.type === 'boolean') {
    const booleans = arena.uint8(given.length)
    for (let i = 0; i < booleans.length; i++) booleans[i] = given[i] === 0 ? 0 : 1
    return { field, values: booleans, valid, strings: undefined }
  }
  const numbers = arena.float64(given.length)
  numbers.set(given)
  return { field, values: numbers, valid, strings: undefined }
}

/** 0 and 1; undefined where no value is missing. */
function sliceValid({ valid }: SettledColumn, from: number, to: number, arena: ColumnArena): Uint8Array | undefined {
  if (valid === undefined) return undefined
  const given = valid.subarray(from, to)
  if (!given.includes(0)) return undefined
  const flags = arena.uint8(given.length)
  for (let i = 0; i < flags.length; i++) flags[i] = given[i] === 0 ? 0 : 1
  return flags
}

/** Codes of the whole become codes of the slice alone, with its texts. */
function sliceTexts(
  { values, texts, codes, name }: SettledColumn,
  from: number,
  to: number,
  valid: Uint8Array | undefined,
  arena: ColumnArena,
): Pick<FieldRows, 'values' | 'strings'> {
  assert(texts !== undefined, 'a column of texts')
  const own = arena.uint32(to - from)
  const strings: string[] = []
  const used: number[] = []
  for (let i = 0; i < own.length; i++) {
    if (valid !== undefined && valid[i] === 0) {
      own[i] = 0
      continue
    }
    const code = values[from + i]!
    let found = codes[code]
    if (found === undefined) throw wrong('bad_request', fieldPlace(name), 'the array was written to while it was read')
    if (found === 0) {
      found = strings.push(texts[code]!)
      codes[code] = found
      used.push(code)
    }
    own[i] = found - 1
  }
  for (const code of used) codes[code] = 0
  return { values: own, strings }
}
