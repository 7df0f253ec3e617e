/** Union, limit per and histogram against the model. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rowCount, type Schema } from '../../src/columnar/batch.ts'
import { histogram } from '../../src/operators/histogram.ts'
import { limitPer } from '../../src/operators/limit-per.ts'
import { union } from '../../src/operators/union.ts'
import type { HistogramNode, LimitPerNode, UnionNode } from '../../src/sydraql/plan.ts'
import {
  call,
  collected,
  column,
  emptyDatabase,
  executionOf,
  identical,
  type Layout,
  layout,
  literal,
  numbers,
  orNull,
  streamOf,
  texts,
  valuesOf,
} from './batches.ts'
import { order, type Row } from './interpreter.ts'
import { runModel } from './model.ts'

const schema: Schema = [
  { name: 'time', type: 'timestamp', nullable: false },
  { name: 'series', type: 'string', nullable: false },
  { name: 'note', type: 'string', nullable: true },
  { name: 'v', type: 'float', nullable: true },
  { name: 'up', type: 'boolean', nullable: true },
]
const row: fc.Arbitrary<Row> = fc.record({
  time: fc.integer({ min: 0, max: 12 }),
  series: fc.constantFrom('m{}', 'm{a="x"}', 'n{}', 'n.o{}', 'n😀{}', 'n\uffee{}'),
  note: orNull(texts),
  v: orNull(numbers),
  up: orNull(fc.boolean()),
})
const rowLists = (maxLength: number) => fc.array(row, { maxLength, size: 'max' })
const batchRows = fc.constantFrom(1, 2, 5, 8192)

const expectSame = (found: readonly Row[], expected: readonly Row[]) => {
  if (!identical(found, expected)) expect({ rows: found }).toEqual({ rows: expected })
}

describe('union', () => {
  const comparisons = {
    none: () => 0,
    time: (a: Row, b: Row) => order(a['time']!, b['time']!) || order(a['series']!, b['series']!),
    'time desc': (a: Row, b: Row) => order(b['time']!, a['time']!) || order(a['series']!, b['series']!),
    'series,time': (a: Row, b: Row) => order(a['series']!, b['series']!) || order(a['time']!, b['time']!),
  }
  test.each(['none', 'time', 'time desc', 'series,time'] as const)('%s', async by => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(rowLists(25), layout), { maxLength: 5 }),
        batchRows,
        async (inputs, batchRows) => {
          const sorted = inputs.map(([rows]) => rows.toSorted(comparisons[by]))
          const node: UnionNode = {
            kind: 'union',
            inputs: sorted.map(rows => valuesOf(schema, rows)),
            order: by,
            schema,
          }
          const execution = executionOf({ batchRows })
          const streams = inputs.map(([, cut], i) => streamOf(schema, sorted[i]!, cut))
          const found = await collected(schema, union(node, streams, execution))
          expectSame(found, runModel(node, emptyDatabase))
          expect(execution.memory.held).toBe(0)
        },
      ),
      { numRuns: 300 },
    )
  })

  const cut: Layout = { sizes: [2000], gaps: [], dictionaries: 'own' }
  const stretch = (series: string, from: number, count: number): Row[] =>
    Array.from({ length: count }, (_, i) => ({ time: from + i, series, note: null, v: i, up: null }))
  test('stretches that do not interleave leave as they came, and say how far they have come', async () => {
    const inputs = [stretch('a', 0, 4000), stretch('b', 10_000, 4000)]
    const sizes: number[] = []
    const watermarks: (number | undefined)[] = []
    const streams = inputs.map(rows => streamOf(schema, rows, cut))
    for await (const batch of union({ order: 'time', schema }, streams, executionOf())) {
      sizes.push(rowCount(batch))
      watermarks.push(batch.watermarkUs)
    }
    expect(sizes).toEqual([2000, 2000, 2000, 2000])
    expect(watermarks).toEqual([1999, 3999, 11_999, 13_999])
  })
  test('short stretches fill batches', async () => {
    const inputs = [stretch('a', 0, 5000), stretch('b', 0, 5000), stretch('c', 0, 5000)]
    const sizes: number[] = []
    const streams = inputs.map(rows => streamOf(schema, rows, cut))
    const execution = executionOf({ batchRows: 4096 })
    for await (const batch of union({ order: 'time', schema }, streams, execution)) sizes.push(rowCount(batch))
    expect(sizes).toEqual([4096, 4096, 4096, 2712])
  })
  test.each(['none', 'time'] as const)('an early end closes every input (%s)', async by => {
    const watched = [0, 1, 2].map(() => ({ pulled: 0, closed: false }))
    const streams = watched.map((each, i) => streamOf(schema, stretch('a', i, 10), cut, each))
    const stream = union({ order: by, schema }, streams, executionOf())
    await stream.next()
    await stream.return()
    expect(watched.filter(each => each.pulled > 0).every(each => each.closed)).toBe(true)
    expect(watched.map(each => each.pulled)).toEqual(by === 'time' ? [1, 1, 1] : [1, 0, 0])
  })
})

describe('limit per', () => {
  const keys = fc.constantFrom(
    column('note', 'string'),
    column('v', 'float'),
    column('up', 'boolean'),
    column('time', 'timestamp'),
    literal('integer', 1),
    literal('null', null),
    call('boolean', 'gt', column('v', 'float'), literal('float', 0)),
    call('string', 'upper', column('note', 'string')),
  )
  test('the first rows of each value', async () => {
    await fc.assert(
      fc.asyncProperty(rowLists(50), keys, fc.integer({ min: 0, max: 4 }), layout, async (rows, key, limit, cut) => {
        const node: LimitPerNode = { kind: 'limit_per', input: valuesOf(schema, rows), key, limit, schema }
        const execution = executionOf()
        const found = await collected(schema, limitPer(node, schema, streamOf(schema, rows, cut), execution))
        expectSame(found, runModel(node, emptyDatabase))
        expect(execution.memory.held).toBe(0)
      }),
      { numRuns: 400 },
    )
  })
  test('a limit of 0 reads nothing', async () => {
    const watched = { pulled: 0, closed: false }
    const cut: Layout = { sizes: [3], gaps: [], dictionaries: 'shared' }
    const node = { key: column('note', 'string'), limit: 0 }
    const rows: Row[] = [{ time: 1, series: 'a', note: null, v: 1, up: null }]
    const stream = limitPer(node, schema, streamOf(schema, rows, cut, watched), executionOf())
    expect((await stream.next()).done).toBe(true)
    expect(watched.pulled).toBe(0)
  })
})

describe('histogram', () => {
  const output: Schema = [
    { name: 'bucket', type: 'float', nullable: false },
    { name: 'count', type: 'integer', nullable: false },
  ]
  const nodeOf = (rows: readonly Row[], low: number, high: number, buckets: number): HistogramNode => {
    const input = valuesOf(schema, rows)
    return { kind: 'histogram', input, value: column('v', 'float'), low, high, buckets, schema: output }
  }
  test('every value in its interval', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(orNull(fc.oneof(numbers, fc.double({ min: -12, max: 12 }))), { maxLength: 60, size: 'max' }),
        fc.oneof(fc.integer({ min: -10, max: 9 }), fc.double({ min: -10, max: 9.5, noNaN: true })),
        fc.oneof(fc.integer({ min: 1, max: 9 }), fc.double({ min: 1e-9, max: 10, noNaN: true })),
        fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constant(10_000)),
        layout,
        batchRows,
        async (values, low, width, buckets, cut, batchRows) => {
          const rows = values.map((v, i): Row => ({ time: i, series: 'a', note: null, v, up: null }))
          const node = nodeOf(rows, low, low + width, buckets)
          fc.pre(buckets < 100 || batchRows > 100)
          const stream = histogram(node, schema, streamOf(schema, rows, cut), executionOf({ batchRows }))
          const found = await collected(output, stream)
          // Ten thousand intervals of sixty values, looked at one by one, take a while.
          const expected = buckets < 100 ? runModel(node, emptyDatabase) : undefined
          if (expected !== undefined) expectSame(found, expected)
          const within = values.filter(v => v !== null && v >= low && v < low + width)
          expect(found.reduce((sum, row) => sum + (row['count'] as number), 0)).toBe(within.length)
        },
      ),
      { numRuns: 400 },
    )
  })
  test.each([
    [-1.7e308, 1.7e308, 10],
    [0, 5e-324, 4],
    [1e16, 1e16 + 100, 1000],
  ])('a range at the ends of what numbers can be: [%d, %d) by %d', async (low, high, buckets) => {
    const values = [low, low + (high / 2 - low / 2), (low + high) / 2, high, NaN]
    const rows = values.map((v, i): Row => ({ time: i, series: 'a', note: null, v, up: null }))
    const cut: Layout = { sizes: [9], gaps: [], dictionaries: 'shared' }
    const stream = histogram(nodeOf([], low, high, buckets), schema, streamOf(schema, rows, cut), executionOf())
    const found = await collected(output, stream)
    expect(found).toHaveLength(buckets)
    const counted = found.reduce((sum, row) => sum + (row['count'] as number), 0)
    expect(counted).toBe(values.filter(v => v >= low && v < high).length)
    expect(found.every((row, i) => i === 0 || (row['bucket'] as number) >= (found[i - 1]!['bucket'] as number))).toBe(
      true,
    )
  })
})
