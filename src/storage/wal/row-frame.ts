/**
 * Row frames: what a commit writes ahead — the catalog's news first, then the rows that refer to them.
 *
 *   payload  catalog bytes u32 | catalog records | batches u32 | batch …
 *   batch    metrics u32 | rows of a metric …
 *   rows     metric id u32 | rows u32 | fields u32 | series | times | field …
 *   field    field id u32 | type u8 | nulls u8 | bits of the rows that have it (if nulls) | values of those rows
 *
 * Invariants:
 * 1. Catalog records are handed over before any id is resolved.
 * 2. Values stand dense: a null takes a bit, whatever lies under it is not stored and comes back as 0.
 * 3. `encodeRowBatches` gives memory that it uses again: write the frame before the next call.
 */
import { assert } from '../../lib/assert.ts'
import type { FieldInfo, FieldRows, FieldType, MetricInfo, MetricRows, RowBatch } from '../types.ts'
import {
  type ColumnMemory,
  Cursor,
  damaged,
  decodeBits,
  decodeCodes,
  decodeSeries,
  decodeStrings,
  encodeBits,
  encodeCodes,
  encodeSeries,
  encodeStrings,
  FrameBytes,
} from './row-columns.ts'
import { decodeNumbers, encodeNumbers, type NumberKernels } from './row-numbers.ts'

/** Rows of one frame: bounds what a decoder allocates for columns that take no bytes a row. */
export const frameRowsMax = 2 ** 24

const typeCodes: Record<FieldType, number> = { float: 0, integer: 1, boolean: 2, string: 3 }

const out = new FrameBytes()

/**
 * The parts of a frame's payload, for `wal.append`; borrowed until the next call. About 4 bytes a row of one short decimal: 2 the
 * value, 1 the time, 1 the series; 6 more for a float of all digits.
 */
export function encodeRowBatches(
  catalogRecords: Uint8Array,
  batches: readonly RowBatch[],
  kernels: NumberKernels,
): readonly Uint8Array[] {
  out.clear()
  out.u32(catalogRecords.length)
  out.raw(catalogRecords)
  out.u32(batches.length)
  let rows = 0
  for (const batch of batches) {
    out.u32(batch.metrics.length)
    for (const metric of batch.metrics) {
      rows += metric.length
      encodeMetricRows(metric, kernels)
    }
  }
  assert(rows <= frameRowsMax, 'a frame has at most frameRowsMax rows')
  return [out.written()]
}

function encodeMetricRows({ metric, length, series, timeUs, fields }: MetricRows, kernels: NumberKernels): void {
  out.u32(metric.id)
  out.u32(length)
  out.u32(fields.length)
  encodeSeries(series.subarray(0, length), out)
  encodeNumbers(timeUs.subarray(0, length), 'times', kernels, out)
  for (const field of fields) encodeField(field, length, kernels)
}

function encodeField({ field, values, valid, strings }: FieldRows, length: number, kernels: NumberKernels): void {
  out.u32(field.id)
  out.u8(typeCodes[field.type])
  out.u8(valid === undefined ? 0 : 1)
  const all = values.subarray(0, length)
  let present = all
  if (valid !== undefined) {
    const flags = valid.subarray(0, length)
    encodeBits(flags, out)
    present = dense(all, flags)
  }
  if (present instanceof Float64Array)
    encodeNumbers(present, field.type === 'integer' ? 'integers' : 'floats', kernels, out)
  else if (present instanceof Uint8Array) encodeBits(present, out)
  else {
    assert(strings !== undefined, 'a string column has its strings')
    encodeStrings(strings, out)
    encodeCodes(present, strings.length, out)
  }
}

/** The values whose flag is set, in order. */
function dense<A extends Float64Array | Uint8Array | Uint32Array>(values: A, flags: Uint8Array): A {
  const present = values.slice() as A
  let count = 0
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] !== 0) present[count++] = values[i]!
  }
  return present.subarray(0, count) as A
}

/**
 * The rows of a frame's payload, in the given memory or in arrays of their own. `onCatalog` gets the catalog records (borrowed) before `lookup`
 * is asked for the first metric. Throws `corrupt_wal`.
 */
export function decodeRowBatches(
  payload: Uint8Array,
  onCatalog: (records: Uint8Array) => void,
  lookup: (metricId: number) => MetricInfo | undefined,
  memory?: ColumnMemory,
): RowBatch[] {
  const from = new Cursor(payload, memory)
  onCatalog(from.take(from.u32()))
  const batches: RowBatch[] = []
  let rowsLeft = frameRowsMax
  for (let left = from.u32(); left > 0; left--) {
    const metrics: MetricRows[] = []
    let rowCount = 0
    for (let metricsLeft = from.u32(); metricsLeft > 0; metricsLeft--) {
      const rows = decodeMetricRows(from, lookup, rowsLeft)
      rowsLeft -= rows.length
      rowCount += rows.length
      metrics.push(rows)
    }
    batches.push({ metrics, rowCount, byteLength: metrics.reduce((sum, rows) => sum + bytesIn(rows), 0) })
  }
  if (from.left > 0) throw damaged(`${from.left} bytes too many`)
  return batches
}

function decodeMetricRows(
  from: Cursor,
  lookup: (metricId: number) => MetricInfo | undefined,
  rowsMax: number,
): MetricRows {
  const id = from.u32()
  const metric = lookup(id)
  if (metric === undefined) throw damaged(`metric ${id} is not in the catalog`)
  const length = from.u32()
  if (length > rowsMax) throw damaged(`${length} rows`)
  const fieldCount = from.u32()
  if (fieldCount > metric.fields.length) throw damaged(`${fieldCount} fields of metric ${metric.name}`)
  const series = decodeSeries(from, length)
  const timeUs = decodeNumbers(from, length)
  const fields: FieldRows[] = []
  for (let i = 0; i < fieldCount; i++) fields.push(decodeField(from, metric, length))
  return { metric, length, series, timeUs, fields }
}

function decodeField(from: Cursor, metric: MetricInfo, length: number): FieldRows {
  const id = from.u32()
  const type = from.u8()
  const field = metric.fields[id]
  if (field === undefined || typeCodes[field.type] !== type) {
    throw damaged(`field ${id} of metric ${metric.name} is not in the catalog with this type`)
  }
  const valid = from.u8() === 0 ? undefined : decodeBits(from, length)
  let count = length
  if (valid !== undefined) {
    count = 0
    for (let i = 0; i < length; i++) count += valid[i]!
  }
  const { values, strings } = decodeValues(from, field, count)
  return { field, values: valid === undefined ? values : spread(values, valid), valid, strings }
}

function decodeValues(from: Cursor, field: FieldInfo, count: number): Pick<FieldRows, 'values' | 'strings'> {
  if (field.type === 'boolean') return { values: decodeBits(from, count), strings: undefined }
  if (field.type !== 'string') return { values: decodeNumbers(from, count), strings: undefined }
  const strings = decodeStrings(from)
  return { values: decodeCodes(from, strings.length, count), strings }
}

/** The opposite of `dense`, in an array as long as the flags. */
function spread<A extends Float64Array | Uint8Array | Uint32Array>(present: A, flags: Uint8Array): A {
  const values = new (present.constructor as new (length: number) => A)(flags.length)
  let count = 0
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] !== 0) values[i] = present[count++]!
  }
  return values
}

function bytesIn({ series, timeUs, fields }: MetricRows): number {
  let bytes = series.byteLength + timeUs.byteLength
  for (const { values, valid, strings } of fields) {
    bytes += values.byteLength + (valid?.byteLength ?? 0)
    for (const text of strings ?? []) bytes += 2 * text.length
  }
  return bytes
}
