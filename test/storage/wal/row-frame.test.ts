import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { createWasmKernels } from '../../../src/kernels/wasm-kernels.ts'
import { SydraError } from '../../../src/lib/errors.ts'
import type { FieldInfo, FieldRows, FieldType, MetricInfo, MetricRows, RowBatch } from '../../../src/storage/types.ts'
import { decodeRowBatches, encodeRowBatches } from '../../../src/storage/wal/row-frame.ts'

const kernels = createWasmKernels()

const types: readonly FieldType[] = ['float', 'integer', 'boolean', 'string']
const metrics: readonly MetricInfo[] = [3, 7, 1].map((fieldCount, id) => ({
  id,
  name: `m${id}`,
  fields: Array.from({ length: fieldCount }, (_, f) => ({ id: f, name: `f${f}`, type: types[f % 4]! })),
}))

const joined = (parts: readonly Uint8Array[]) => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
const decoded = (payload: Uint8Array) =>
  decodeRowBatches(
    payload,
    () => {},
    id => metrics[id],
  )

/** As if only the values that are present had been kept, bit for bit. */
function visible(batches: readonly RowBatch[]) {
  return batches.map(batch =>
    batch.metrics.map(rows => ({
      metric: rows.metric.id,
      series: [...rows.series.subarray(0, rows.length)],
      timeUs: [...rows.timeUs.subarray(0, rows.length)],
      fields: rows.fields.map(({ field, values, valid, strings }) => ({
        field,
        values: Array.from(values.subarray(0, rows.length), (value, row) =>
          valid?.[row] === 0 ? null : strings === undefined ? value : strings[value],
        ),
      })),
    })),
  )
}

/** Few, or so many that their codes take two bytes. */
const strings = fc.oneof(
  fc.uniqueArray(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 8 }),
  fc.string().map(text => Array.from({ length: 300 }, (_, i) => `${text} ${i} é`)),
)

const number = fc.oneof(
  fc.integer({ min: -50, max: 50 }),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(-0, 0, Number.NaN, 1e300),
)

function column(length: number, type: FieldType): fc.Arbitrary<number[]> {
  const any = (arbitrary: fc.Arbitrary<number>) => fc.array(arbitrary, { minLength: length, maxLength: length })
  if (type === 'boolean') return any(fc.integer({ min: 0, max: 1 }))
  const regular = fc
    .tuple(fc.maxSafeInteger(), fc.integer({ min: -1e6, max: 1e6 }))
    .map(([first, step]) => Array.from({ length }, (_, i) => first + i * step))
  const narrow = fc.maxSafeInteger().chain(base => any(fc.nat(2 ** 32 - 1).map(offset => base + offset)))
  return fc.oneof(any(number), regular, narrow)
}

function fieldRows(field: FieldInfo, length: number): fc.Arbitrary<FieldRows> {
  const flags = fc.option(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: length, maxLength: length }), {
    nil: undefined,
  })
  return fc.tuple(flags, fc.nat(9), column(length, field.type), strings).map(([flag, spare, values, strings]) => {
    const valid = flag && Uint8Array.from([...flag, ...new Array(spare).fill(1)])
    const common = { field, valid }
    const tail = new Array(spare).fill(5)
    if (field.type === 'boolean')
      return { ...common, values: Uint8Array.from([...values, ...tail]), strings: undefined }
    if (field.type !== 'string')
      return { ...common, values: Float64Array.from([...values, ...tail]), strings: undefined }
    // Codes under nulls are anything.
    const codes = values.map((value, row) =>
      flag?.[row] === 0 ? 4e9 : Math.abs(Math.trunc(value) || 0) % strings.length,
    )
    return { ...common, values: Uint32Array.from([...codes, ...tail]), strings }
  })
}

const metricRows: fc.Arbitrary<MetricRows> = fc
  .tuple(fc.constantFrom(...metrics), fc.nat(40))
  .chain(([metric, length]) => {
    const series = fc.oneof(fc.nat(200), fc.nat(60_000), fc.nat(2 ** 32 - 1))
    return fc.record({
      metric: fc.constant(metric),
      length: fc.constant(length),
      series: series
        .chain(spread =>
          fc.oneof(
            fc.array(fc.nat(spread), { minLength: length, maxLength: length + 3 }),
            fc.nat(5).map(step => Array.from({ length }, (_, i) => spread - (spread % 7) + i * step)),
          ),
        )
        .map(list => Uint32Array.from(list)),
      timeUs: column(length, 'integer').map(list => Float64Array.from(list)),
      fields: fc
        .subarray([...metric.fields])
        .chain(chosen => fc.tuple(...chosen.map(field => fieldRows(field, length)))),
    })
  })
const batchesOf = fc.array(
  fc.array(metricRows, { maxLength: 3 }).map(
    (rows): RowBatch => ({
      metrics: rows,
      rowCount: rows.reduce((sum, one) => sum + one.length, 0),
      byteLength: 0,
    }),
  ),
  { maxLength: 3 },
)

describe('a row frame', () => {
  test('gives back every value to the bit, whatever form its column took', () => {
    fc.assert(
      fc.property(batchesOf, batches => {
        const read = decoded(joined(encodeRowBatches(Uint8Array.of(1, 2, 3), batches, kernels)))
        expect(visible(read)).toEqual(visible(batches))
        expect(read.map(batch => batch.rowCount)).toEqual(batches.map(batch => batch.rowCount))
      }),
      { numRuns: 150 },
    )
  })

  test('grows its memory at any byte', async () => {
    const metric = metrics[1]!
    const rows: MetricRows = {
      metric,
      length: 3,
      series: Uint32Array.of(9, 5, 7),
      timeUs: new Float64Array(3),
      fields: [],
    }
    // at least one of so many lengths brings each part of the frame to the end of the first 64 KiB
    for (let less = 0; less < 80; less++) {
      vi.resetModules()
      const { encodeRowBatches } = await import('../../../src/storage/wal/row-frame.ts')
      const records = new Uint8Array(2 ** 16 - less)
      const payload = joined(encodeRowBatches(records, [{ metrics: [rows], rowCount: 3, byteLength: 0 }], kernels))
      expect(visible(decoded(payload))).toEqual(visible([{ metrics: [rows], rowCount: 3, byteLength: 0 }]))
    }
  })

  test('keeps a fraction that vanishes beside its neighbours', () => {
    const timeUs = Float64Array.of(1, 5e-324, 0, -1)
    const rows: MetricRows = { metric: metrics[2]!, length: 4, series: new Uint32Array(4), timeUs, fields: [] }
    const payload = joined(
      encodeRowBatches(new Uint8Array(0), [{ metrics: [rows], rowCount: 4, byteLength: 0 }], kernels),
    )
    expect(decoded(payload)[0]!.metrics[0]!.timeUs).toEqual(timeUs)
  })

  test('hands the catalog records over before it asks for a metric', () => {
    const rows: MetricRows = {
      metric: metrics[2]!,
      length: 1,
      series: Uint32Array.of(9),
      timeUs: Float64Array.of(5),
      fields: [{ field: metrics[2]!.fields[0]!, values: Float64Array.of(1.5), valid: undefined, strings: undefined }],
    }
    const payload = joined(
      encodeRowBatches(Uint8Array.of(4, 5), [{ metrics: [rows], rowCount: 1, byteLength: 0 }], kernels),
    )
    const calls: unknown[] = []
    const read = decodeRowBatches(
      payload,
      records => calls.push([...records]),
      id => metrics[calls.push(id) && id],
    )
    expect(calls).toEqual([[4, 5], 2])
    expect(read[0]?.byteLength).toBe(4 + 8 + 8)
  })

  test('is small where times and series are regular', () => {
    const length = 1000
    const rows = (series: Uint32Array, timeUs: Float64Array): RowBatch => ({
      metrics: [
        {
          metric: metrics[2]!,
          length,
          series,
          timeUs,
          fields: [
            {
              field: metrics[2]!.fields[0]!,
              values: new Float64Array(length).map(Math.random),
              valid: undefined,
              strings: undefined,
            },
          ],
        },
      ],
      rowCount: length,
      byteLength: 0,
    })
    const bytes = (batch: RowBatch) => joined(encodeRowBatches(new Uint8Array(0), [batch], kernels)).length
    const now = Date.UTC(2026, 0) * 1000
    expect(
      bytes(
        rows(
          new Uint32Array(length).fill(7),
          new Float64Array(length).map((_, i) => now + i * 1e6),
        ),
      ),
    ).toBeLessThan(8100)
    expect(
      bytes(
        rows(
          new Uint32Array(length).map((_, i) => (i * 7) % 500),
          new Float64Array(length).map((_, i) => now + ((i * 77) % 999)),
        ),
      ),
    ).toBeLessThan(14_100)
  })

  test('that is damaged is an error, never a crash or wrong memory', () => {
    fc.assert(
      fc.property(batchesOf, fc.nat(), fc.nat(255), fc.boolean(), (batches, position, value, cut) => {
        const payload = joined(encodeRowBatches(Uint8Array.of(1, 2, 3), batches, kernels))
        const at = position % payload.length
        const bad = cut ? payload.slice(0, at) : payload.with(at, value)
        try {
          decoded(bad)
        } catch (error) {
          expect((error as SydraError).code).toBe('corrupt_wal')
          return
        }
        expect(cut).toBe(false)
      }),
      { numRuns: 150 },
    )
    expect(() =>
      decodeRowBatches(
        new Uint8Array(3),
        () => {},
        () => undefined,
      ),
    ).toThrow(SydraError)
  })
})
