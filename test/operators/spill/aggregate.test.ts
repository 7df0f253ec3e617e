/** A group-by in temporary files gives what it gives in memory, and leaves nothing behind. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArrayDictionary, type Schema, type ValueType } from '../../../src/columnar/batch.ts'
import type { Scalar } from '../../../src/columnar/value.ts'
import { type AggregateSource, aggregate } from '../../../src/operators/aggregate/aggregate.ts'
import type { Execution } from '../../../src/operators/execution.ts'
import type { BatchStream } from '../../../src/operators/operator.ts'
import type { Expr } from '../../../src/sydraql/expression.ts'
import type { AggregateCall, AggregateNode, GroupKey } from '../../../src/sydraql/plan.ts'
import { SimulatedDisk } from '../../simulated/disk.ts'
import { anyValue, collect, columnOfSchema, inMemory, literalOf, spilling, streamOf, types } from './support.ts'

type Call = readonly [name: string, ...args: Expr[]]

const callsFor = (schema: Schema, c: number): Call[] => {
  const argument = columnOfSchema(schema, c)
  const always: Call[] = [
    ['count', argument],
    ['first', argument],
    ['last', argument],
    ['min', argument],
    ['max', argument],
    ['mode', argument],
    ['distinct', argument],
    ['min_by', argument, columnOfSchema(schema, 0)],
  ]
  const type = schema[c]!.type
  if (type !== 'float' && type !== 'integer') return always
  return [
    ...always,
    ['sum', argument],
    ['avg', argument],
    ['stddev', argument],
    ['median', argument],
    ['percentile', argument, literalOf(0.9)],
    ['percentile', argument, literalOf(0.25)],
  ]
}

const callOfList = ([name, ...args]: Call, i: number): AggregateCall => ({
  name: `a${i}`,
  function: name === 'distinct' ? 'count' : name,
  args,
  distinct: name === 'distinct',
})

function nodeOf(input: Schema, keys: readonly GroupKey[], calls: readonly Call[]): AggregateNode {
  const typeOf = (name: string, argument: Expr | undefined): ValueType =>
    ['first', 'last', 'min', 'max', 'mode', 'min_by'].includes(name) ? (argument!.type as ValueType) : 'float'
  return {
    kind: 'aggregate',
    input: { kind: 'values', rows: [], schema: input },
    sequence: { time: undefined, partition: [] },
    keys,
    aggregates: calls.map(callOfList),
    schema: [
      ...keys.map(({ name, expr }) => ({ name, type: expr.type as ValueType, nullable: true })),
      ...calls.map(([name, argument], i) => ({ name: `a${i}`, type: typeOf(name, argument), nullable: true })),
    ],
  }
}

const keyOf = (schema: Schema, c: number): GroupKey => ({
  name: `k${c}`,
  expr: columnOfSchema(schema, c),
  bucket: undefined,
})

const unordered = { time: undefined, series: undefined, ranks: undefined }

const aggregated = (node: AggregateNode, stream: () => BatchStream, execution: Execution, order = unordered) =>
  aggregate(node, { schema: node.input.schema, order, sources: [sourceOf(stream)] }, execution)

const sourceOf = (stream: () => BatchStream): AggregateSource => ({
  ofScan: undefined,
  open: () => ({ scan: undefined, stream }),
})

interface Case {
  readonly node: AggregateNode
  readonly rows: readonly (readonly Scalar[])[]
  readonly batchRows: number
}

/** Rows of a few random ones, many times over, or of many; keys of few or many values. */
const cases: fc.Arbitrary<Case> = fc
  .array(fc.tuple(fc.constantFrom(...types), fc.boolean()), { minLength: 1, maxLength: 4 })
  .chain(columns => {
    const schema = columns.map(([type], c) => ({ name: `c${c}`, type, nullable: true }))
    const allCalls: Call[] = [['count'], ...schema.flatMap((_, c) => callsFor(schema, c))]
    return fc
      .record({
        keys: fc.subarray(
          schema.map((_, c) => c),
          { maxLength: Math.min(3, schema.length) },
        ),
        calls: fc.subarray(allCalls, { maxLength: 6 }),
        rows: fc
          .tuple(
            fc.array(fc.tuple(...columns.map(([type, many]) => anyValue(type, many))), {
              minLength: 1,
              maxLength: 400,
              size: 'max',
            }),
            fc.integer({ min: 1, max: 6 }),
          )
          .map(([rows, times]) => Array.from({ length: times }, () => rows).flat()),
        batchRows: fc.constantFrom(7, 50, 300),
      })
      .map(({ keys, calls, rows, batchRows }) => ({
        node: nodeOf(
          schema,
          keys.map(c => keyOf(schema, c)),
          calls,
        ),
        rows,
        batchRows,
      }))
  })

describe('a group-by', () => {
  test('in temporary files is the one in memory', async () => {
    let spilled = 0
    await fc.assert(
      fc.asyncProperty(
        cases,
        fc.constantFrom(4096, 16_384, 32_768),
        async ({ node, rows, batchRows }, memoryMaxBytes) => {
          const stream = () => streamOf(node.input.schema, rows, batchRows)
          const expected = await collect(aggregated(node, stream, inMemory()))
          const { execution, left, spill } = spilling({ memoryMaxBytes })
          expect(await collect(aggregated(node, stream, execution))).toEqual(expected)
          spilled += Number(spill.writtenBytes > 0)
          expect([left(), spill.heldBytes, execution.memory.held]).toEqual([[], 0, 0])
        },
      ),
      { numRuns: 70, seed: 1, endOnFailure: true },
    )
    expect(spilled).toBeGreaterThan(30)
  })
})

const schema: Schema = [
  { name: 'key', type: 'integer', nullable: false },
  { name: 'value', type: 'float', nullable: true },
  { name: 'text', type: 'string', nullable: false },
]
const column = (c: number) => columnOfSchema(schema, c)
/** Skewed: half of the rows are of one group. */
const rows = Array.from({ length: 30_000 }, (_, i) => [
  i % 2 === 0 ? 0 : (i * 7919) % 9001,
  i % 11 === 0 ? null : ((i * 104_729) % 65_537) / 7,
  `text ${i % 4999}`,
])
const stream = () => streamOf(schema, rows, 500)

test.each<[string, number[], Call[]]>([
  ['many groups', [0], [['count'], ['sum', column(1)], ['last', column(2)]]],
  ['groups of two keys, one of text', [2, 0], [['count'], ['avg', column(1)]]],
  ['distinct rows', [0, 2], []],
  [
    'values of one group',
    [],
    [
      ['median', column(1)],
      ['percentile', column(1), literalOf(0.99)],
      ['distinct', column(2)],
      ['approx_count_distinct', column(2)],
      ['approx_percentile', column(1), literalOf(0.5)],
    ],
  ],
  [
    'values of many groups',
    [0],
    [
      ['median', column(1)],
      ['mode', column(2)],
      ['distinct', column(1)],
      ['sum', column(1)],
    ],
  ],
])('%s, with 200 kB', async (_name, keys, calls) => {
  const node = nodeOf(
    schema,
    keys.map(c => keyOf(schema, c)),
    calls,
  )
  const expected = await collect(aggregated(node, stream, inMemory()))
  const { execution, spill, left } = spilling({ memoryMaxBytes: 200_000 })
  const actual = await collect(aggregated(node, stream, execution))
  expect(actual.length).toBe(expected.length)
  expect(actual).toEqual(expected)
  expect(spill.writtenBytes).toBeGreaterThan(100_000)
  expect([left(), execution.memory.held]).toEqual([[], 0])
})

describe('a group-by over a scan', () => {
  const minuteUs = 60e6
  const scanSchema: Schema = [
    { name: 'time', type: 'timestamp', nullable: false },
    { name: 'series', type: 'string', nullable: false },
    { name: 'field.value', type: 'float', nullable: true },
    { name: 'field.user', type: 'integer', nullable: false },
  ]
  const seriesCount = 5
  const printed = new ArrayDictionary(Array.from({ length: seriesCount }, (_, i) => `cpu{host="${seriesCount - i}"}`))
  const scanRows = Array.from({ length: 24_000 }, (_, i) => [
    i * 1e6,
    (i * 31) % seriesCount,
    i % 7 === 0 ? null : ((i * 7919) % 10_007) / 3,
    (i * 104_729) % (i < 12_000 ? 1700 : 3),
  ])
  /** Windows of 500 rows, after each of which time is complete. */
  async function* scan(): BatchStream {
    const windowRows = 500
    for (let from = 0; from < scanRows.length; from += windowRows) {
      const window = scanRows.slice(from, from + windowRows).sort((a, b) => a[1]! - b[1]! || a[0]! - b[0]!)
      const number = (c: number) => Float64Array.from(window, row => row[c] ?? 0)
      yield {
        length: window.length,
        columns: [
          { type: 'timestamp', values: number(0), valid: undefined },
          { type: 'string', values: Uint32Array.from(window, row => row[1]!), valid: undefined, dictionary: printed },
          { type: 'float', values: number(2), valid: Uint8Array.from(window, row => Number(row[2] !== null)) },
          { type: 'integer', values: number(3), valid: undefined },
        ],
        selection: undefined,
        watermarkUs: (from + windowRows) * 1e6,
      }
    }
  }
  const order = {
    time: 'time',
    series: 'series',
    ranks: () => Uint32Array.from({ length: seriesCount }, (_, i) => seriesCount - 1 - i),
  } as never
  const bucketKey = (minutes: number): GroupKey => ({
    name: 't',
    expr: columnOfSchema(scanSchema, 0),
    bucket: { kind: 'fixed', widthUs: minutes * minuteUs, originUs: 0 },
  })
  const userKey: GroupKey = { name: 'u', expr: columnOfSchema(scanSchema, 3), bucket: undefined }
  const seriesKey: GroupKey = { name: 's', expr: columnOfSchema(scanSchema, 1), bucket: undefined }
  const value = columnOfSchema(scanSchema, 2)
  const calls: Call[] = [['count'], ['first', value], ['last', value], ['median', value], ['mode', value]]

  test.each<[string, GroupKey[]]>([
    ['short buckets', [bucketKey(1), userKey]],
    ['long buckets', [bucketKey(90), userKey]],
    ['the bucket last', [userKey, bucketKey(30)]],
    ['few groups, many values', [bucketKey(60), seriesKey]],
    ['no bucket', [userKey, seriesKey]],
    ['no key', []],
  ])('%s', async (_name, keys) => {
    const node = nodeOf(scanSchema, keys, calls)
    const expected = await collect(aggregated(node, scan, inMemory(), order))
    for (const memoryMaxBytes of [40_000, 200_000]) {
      const { execution, left } = spilling({ memoryMaxBytes })
      expect(await collect(aggregated(node, scan, execution, order))).toEqual(expected)
      expect([left(), execution.memory.held]).toEqual([[], 0])
    }
  })

  test('buckets leave early again once those that overflowed have ended', async () => {
    const node = nodeOf(scanSchema, [bucketKey(30), userKey], [['count']])
    let read = 0
    async function* counted(): BatchStream {
      for await (const batch of scan()) {
        read++
        yield batch
      }
    }
    const { execution, spill } = spilling({ memoryMaxBytes: 60_000 })
    const result = aggregated(node, counted, execution, order)
    const first = await result.next()
    expect(first.done).toBe(false)
    expect(spill.writtenBytes).toBeGreaterThan(0)
    expect(read).toBeLessThan(40)
    await result.return()
  })
})

describe('temporary files', () => {
  const node = nodeOf(schema, [keyOf(schema, 0), keyOf(schema, 2)], [['median', column(1)]])

  test('are gone when the reader stops early, and after an abort', async () => {
    const early = spilling({ memoryMaxBytes: 200_000 })
    const result = aggregated(node, stream, early.execution)
    await result.next()
    expect(early.left().length).toBeGreaterThan(0)
    await result.return()
    expect([early.left(), early.execution.memory.held]).toEqual([[], 0])

    const aborted = spilling({ memoryMaxBytes: 200_000 })
    const stopped = aggregated(node, stream, aborted.execution)
    await stopped.next()
    aborted.abort.abort()
    expect(aborted.left()).toEqual([])
    await expect(collect(stopped)).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('beyond their limit, and on a full disk', async () => {
    const limited = spilling({ memoryMaxBytes: 200_000, bytesMax: 300_000 })
    await expect(collect(aggregated(node, stream, limited.execution))).rejects.toMatchObject({ code: 'memory_limit' })
    expect(limited.left()).toEqual([])

    const disk = new SimulatedDisk()
    disk.files.makeDirectory('/data')
    disk.fail({ call: 'write', nth: 40, times: Infinity, code: 'ENOSPC' })
    const full = spilling({ memoryMaxBytes: 200_000, files: disk.files })
    await expect(collect(aggregated(node, stream, full.execution))).rejects.toMatchObject({ code: 'disk_full' })
    expect(full.left()).toEqual([])
  })
})

test('without temporary files the memory limit is the end', async () => {
  const node = nodeOf(schema, [keyOf(schema, 0)], [['median', column(1)]])
  const { execution } = spilling({ memoryMaxBytes: 200_000, context: { spill: undefined } })
  await expect(collect(aggregated(node, stream, execution))).rejects.toMatchObject({
    code: 'memory_limit',
    message: 'the query needs more than 0.2 MB of memory',
  })
  expect(execution.memory.held).toBe(0)
})
