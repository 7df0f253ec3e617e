/** What goes into a segment comes out of it, bit for bit, whatever the types, shapes and requests. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FieldType } from '../../../src/storage/types.ts'
import {
  bufferOf,
  bulk,
  encode,
  expectSameRows,
  fields,
  kernelsByName,
  matching,
  metricOf,
  openBytes,
  type Row,
  randomOf,
  read,
  requestOf,
  setOf,
  type Value,
  write,
} from './model.ts'

const nanWithPayload = ((): number => {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, 0x7ff8_dead_beef_0001n)
  return view.getFloat64(0)
})()

const arbitraryOf: Readonly<Record<FieldType, fc.Arbitrary<Value>>> = {
  float: fc.oneof(
    fc.double(),
    fc.integer({ min: -5000, max: 5000 }).map(n => n / 100),
    fc.constantFrom(Number.NaN, nanWithPayload, -0, 0, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE),
  ),
  integer: fc.oneof(fc.integer(), fc.maxSafeInteger()),
  boolean: fc.boolean(),
  string: fc.oneof(
    fc.constantFrom('', 'ok', 'error', 'ünïcødé', '\u{feff}bom', '😀', 'a'.repeat(40)),
    fc.string({ unit: 'grapheme', maxLength: 30 }),
  ),
}
const types: readonly FieldType[] = ['float', 'integer', 'boolean', 'string']
const time = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.integer({ min: -1e6, max: 1e6 }).map(n => n * 1000),
  fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1),
)

const smallCase = fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 4 }).chain(chosen => {
  const values = fc.tuple(...chosen.map(type => fc.option(arbitraryOf[type], { nil: undefined, freq: 3 })))
  const row = fc.record({ series: fc.integer({ min: 0, max: 6 }), timeUs: time, values })
  return fc.record({
    types: fc.constant(chosen),
    rows: fc.uniqueArray(row, { minLength: 1, maxLength: 60, selector: each => `${each.series} ${each.timeUs}` }),
    kernels: fc.constantFrom('wasm', 'reference'),
    series: fc.option(fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 4 }), { nil: undefined }),
    from: fc.option(time, { nil: -Infinity }),
    to: fc.option(time, { nil: Infinity }),
    order: fc.shuffledSubarray(chosen.map((_, i) => i)),
  })
})

describe('round trip', () => {
  test('small segments of every type, with nulls, odd numbers and every kind of request', () => {
    fc.assert(
      fc.property(smallCase, ({ types: chosen, rows, kernels, series, from, to, order }) => {
        const metric = metricOf('m', fields(...chosen))
        const { segment } = write(metric, rows, { kernels: kernelsByName[kernels]! })
        const everything = requestOf(metric)
        expectSameRows(read(segment, everything), matching(metric, rows, everything))
        const request = requestOf(metric, {
          fields: order.map(i => metric.fields[i]!),
          fromUs: from,
          toUs: to,
          series: series && setOf(series),
        })
        expectSameRows(read(segment, request), matching(metric, rows, request))
      }),
      { numRuns: 300 },
    )
  })

  const shapes: Readonly<Record<string, readonly number[]>> = {
    'one row': [1],
    '1,023 rows': [1023],
    '1,024 rows': [1024],
    '1,025 rows': [1025],
    '8,191 rows': [8191],
    '8,192 rows': [8192],
    '8,193 rows': [8193],
    '12,287 rows': [12_287],
    '12,288 rows': [12_288],
    'a long series among short ones': [3, 1, 20_000, 5, 95, 96, 97, 1],
    'many short series': Array.from({ length: 3000 }, (_, i) => 1 + (i % 7)),
    'one row a series': Array.from({ length: 9000 }, () => 1),
    'middling series': Array.from({ length: 40 }, (_, i) => 300 + 37 * i),
    'shared up to the limits': [2047, 2047, 2047, 2047, 4, 4, 2048, 1024, 1024, 1023, 1],
  }

  for (const [name, counts] of Object.entries(shapes)) {
    test(name, () => {
      const metric = metricOf('m', fields('float', 'string', 'boolean', 'integer', 'float'))
      const rows = bulk(counts, 11)
      const { segment } = write(metric, rows)
      const random = randomOf(5)
      const everything = requestOf(metric)
      expectSameRows(read(segment, everything), matching(metric, rows, everything))
      for (let i = 0; i < 12; i++) {
        const [a, b] = [pick(rows, random).timeUs, pick(rows, random).timeUs]
        const few = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(rows, random).series)
        const request = requestOf(metric, {
          fields: metric.fields.filter(() => random() < 0.6),
          fromUs: random() < 0.2 ? -Infinity : Math.min(a, b),
          toUs: random() < 0.2 ? Infinity : Math.max(a, b) + (random() < 0.5 ? 1 : 0),
          series: random() < 0.3 ? undefined : setOf(few),
        })
        expectSameRows(read(segment, request), matching(metric, rows, request))
      }
    })
  }

  test('strings of 64 KiB, and more of them than a group may hold', () => {
    const metric = metricOf('m', fields('string'))
    const random = randomOf(3)
    const long = (): string =>
      Array.from({ length: 1024 }, () => random().toString(36))
        .join('ä')
        .slice(0, 32_000)
    const rows: Row[] = Array.from({ length: 300 }, (_, i) => ({
      series: i % 3,
      timeUs: i,
      values: [i % 5 === 4 ? 'x'.repeat(65_536) : long()],
    }))
    const { segment } = write(metric, rows)
    const everything = requestOf(metric)
    expect(segment.pieces(everything).length).toBeGreaterThan(1)
    expectSameRows(read(segment, everything), matching(metric, rows, everything))
    const few = requestOf(metric, { fromUs: 100, toUs: 103 })
    expectSameRows(read(segment, few), matching(metric, rows, few))
  })

  test('a field that no row of a group has is null there, a field the segment never had is null everywhere', () => {
    const [a, b] = fields('float', 'string')
    const metric = metricOf('m', [a!])
    const wider = metricOf('m', [a!, b!, { id: 2, name: 'later', type: 'integer' }])
    const rows: Row[] = Array.from({ length: 9000 }, (_, i) => ({ series: 0, timeUs: i, values: [i] }))
    const { segment } = write(metric, rows)
    const request = requestOf(wider, { fields: [...wider.fields].reverse() })
    const expected = matching(metric, rows, requestOf(metric)).map(row => ({
      ...row,
      values: [undefined, undefined, row.values[0]],
    }))
    expectSameRows(read(segment, request), expected)
  })

  test('several metrics, one of them of selected rows', () => {
    const [cpu, log] = [metricOf('cpu', fields('float')), metricOf('log', fields('string', 'boolean'))]
    const cpuRows = bulk([50, 2000, 3], 1).map(row => ({ ...row, values: row.values.slice(0, 1) }))
    const logRows = bulk([7, 500], 2).map(row => ({ ...row, values: [row.values[1], row.values[2]] }))
    const ordered = matching(log, logRows, requestOf(log))
    const selection = Uint32Array.from(ordered.keys()).filter(i => i % 3 !== 1)
    const bytes = encode([
      { metric: cpu, rows: bufferOf(cpu, cpuRows), selection: undefined },
      { metric: log, rows: bufferOf(log, logRows), selection },
    ])
    const { segment } = openBytes(bytes)
    expectSameRows(read(segment, requestOf(cpu)), matching(cpu, cpuRows, requestOf(cpu)))
    expectSameRows(
      read(segment, requestOf(log)),
      [...selection].map(i => ordered[i]!),
    )
    const absent = requestOf(metricOf('other', fields('float')))
    expect(segment.pieces(absent)).toEqual([])
    expect(absent.statistics).toMatchObject({ segmentsScanned: 0, segmentsPruned: 1 })
  })

  test('the same input gives the same bytes, from either kernels', () => {
    const metric = metricOf('m', fields('float', 'string', 'boolean', 'integer', 'float'))
    const rows = bulk([10, 3000, 40], 9)
    const { bytes } = write(metric, rows)
    expect(write(metric, rows).bytes).toEqual(bytes)
    expect(write(metric, rows, { kernels: kernelsByName['reference']! }).bytes).toEqual(bytes)
  })
})

const pick = (rows: readonly Row[], random: () => number): Row => rows[Math.floor(random() * rows.length)]!
