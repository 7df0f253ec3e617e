/** Aggregates that go by a sequence, over inputs that are no scan: any order, equal times, missing ones, any partition. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Schema } from '../../src/columnar/batch.ts'
import type { Scalar } from '../../src/columnar/value.ts'
import { memoryFiles } from '../../src/lib/memory-files.ts'
import { spillSpace } from '../../src/operators/spill/space.ts'
import type { Expr } from '../../src/sydraql/expression.ts'
import type { AggregateCall, AggregateNode, LogicalPlan } from '../../src/sydraql/plan.ts'
import { type FakeDatabase, fakeCatalog } from './fake-database.ts'
import { runModel } from './model.ts'
import { planOf, run, sameRows } from './support.ts'

const span = { start: 0, end: 0 }
const database = { catalog: fakeCatalog({}, []), series: [], pieces: {} }

const schema: Schema = [
  { name: 't', type: 'timestamp', nullable: true },
  { name: 'host', type: 'string', nullable: true },
  { name: 'zone', type: 'integer', nullable: true },
  { name: 'v', type: 'float', nullable: true },
  { name: 'k', type: 'float', nullable: true },
]
const column = (name: string): Expr => {
  const { type } = schema.find(info => info.name === name)!
  return { kind: 'column', type, name, span }
}
const call = (name: string, ...args: string[]): AggregateCall => ({
  name: `${name}(${args})`,
  function: name,
  args: args.map(column),
  distinct: false,
})
const calls = [
  ...['rate', 'irate', 'increase', 'delta', 'derivative', 'integral', 'time_weighted_avg'].map(name => call(name, 'v')),
  call('first', 'v'),
  call('last', 'k'),
  call('min_by', 'v', 'k'),
  call('max_by', 'host', 'v'),
]

function aggregateOver(
  rows: readonly Scalar[][],
  partition: readonly string[],
  keys: readonly string[],
  bucketWidthUs: number | undefined,
): AggregateNode {
  const values: LogicalPlan = { kind: 'values', rows, schema }
  // A project hides that these are no more than rows.
  const input: LogicalPlan = {
    kind: 'project',
    input: values,
    items: schema.map(({ name }) => ({ name, expr: column(name) })),
    schema,
  }
  const plain = keys.map(name => ({ name, expr: column(name), bucket: undefined }))
  const width: Expr = { kind: 'literal', type: 'duration', value: bucketWidthUs ?? 1, span }
  const bucket = {
    name: 'bucket',
    expr: { kind: 'call', type: 'timestamp', name: 'time_bucket', args: [width, column('t')], span },
    bucket: { kind: 'fixed', widthUs: bucketWidthUs ?? 1, originUs: 0 },
  } as const
  const all = bucketWidthUs === undefined ? plain : [bucket, ...plain]
  return {
    kind: 'aggregate',
    input,
    sequence: { time: 't', partition },
    keys: all,
    aggregates: calls,
    schema: [
      ...all.map(({ name, expr }) => ({ name, type: expr.type as 'float', nullable: true })),
      ...calls.map(({ name, function: fn }) => ({
        name,
        type: fn === 'max_by' ? ('string' as const) : ('float' as const),
        nullable: true,
      })),
    ],
  }
}

const missing = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 8 })
const row: fc.Arbitrary<Scalar[]> = fc
  .tuple(
    missing(fc.integer({ min: 0, max: 20 }).map(second => second * 1e6)),
    missing(fc.constantFrom('a', 'b', '')),
    missing(fc.integer({ min: 0, max: 2 })),
    missing(fc.oneof({ weight: 9, arbitrary: fc.integer({ min: -8, max: 8 }) }, fc.constantFrom(NaN, Infinity, -0))),
    missing(fc.integer({ min: -2, max: 2 })),
  )
  .map(values => [...values])

describe('over any rows', () => {
  test('as the model', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 40 }),
        fc.subarray(['host', 'zone']),
        fc.subarray(['host', 'zone', 'k']),
        fc.option(fc.constantFrom(1e6, 5e6, 60e6), { nil: undefined }),
        fc.constantFrom(1, 3, 100),
        async (rows, partition, keys, widthUs, batchRows) => {
          const plan = aggregateOver(rows, partition, keys, widthUs)
          const [found, expected] = [await run(plan, database, { batchRows }), runModel(plan, database)]
          if (!sameRows(found, expected))
            expect({ partition, keys, rows: found }).toEqual({ partition, keys, rows: expected })
        },
      ),
      { numRuns: 400 },
    )
  })
})

test('groups in temporary files know the samples before theirs', async () => {
  const hosts = Array.from({ length: 40 }, (_, i) => ({ metric: 'cpu', tags: { host: `h${i}` } }))
  const rows = hosts.flatMap((_, series) =>
    Array.from({ length: 50 }, (_, i) => ({ series, timeUs: i * 1e6, values: [(i * (series + 1)) % 17, i % 5] })),
  )
  const scanned: FakeDatabase = {
    catalog: fakeCatalog({ cpu: { usage: 'float', kind: 'integer' } }, hosts),
    series: hosts,
    pieces: { cpu: [rows] },
  }
  // A group for each row and kind: far more than the memory holds.
  const text =
    'select time, kind, series, rate(usage), irate(usage), integral(usage), last(usage) from cpu group by time, kind, series'
  const plan = planOf(text, scanned)
  const signal = new AbortController().signal
  const memoryMaxBytes = 500_000
  const spill = spillSpace(memoryFiles(), '/data', { memoryMaxBytes, bytesMax: 2 ** 30 }).open(signal)
  const found = await run(plan, scanned, { memoryMaxBytes, spill, signal, batchRows: 64, windowRowsMax: 64 })
  expect(spill.writtenBytes).toBeGreaterThan(0)
  expect(found).toEqual(await run(plan, scanned))
})
