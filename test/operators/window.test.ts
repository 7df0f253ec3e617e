/** Row functions against the model: partitions together and interleaved, any cut into batches, nulls and infinities. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Schema, ValueType } from '../../src/columnar/batch.ts'
import { offsetMax } from '../../src/operators/window/functions.ts'
import { type WindowOrder, window } from '../../src/operators/window/window.ts'
import type { Expr } from '../../src/sydraql/expression.ts'
import type { WindowCall, WindowNode } from '../../src/sydraql/plan.ts'
import {
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
  { name: 'time', type: 'timestamp', nullable: true },
  { name: 'host', type: 'string', nullable: true },
  { name: 'rack', type: 'integer', nullable: true },
  { name: 'v', type: 'float', nullable: true },
  { name: 'n', type: 'integer', nullable: false },
  { name: 's', type: 'string', nullable: true },
  { name: 'b', type: 'boolean', nullable: true },
]
const typeOf = (name: string): ValueType => schema.find(info => info.name === name)!.type
const ref = (name: string): Expr => column(name, typeOf(name))

const row: fc.Arbitrary<Row> = fc.record({
  time: orNull(
    fc.integer({ min: 0, max: 30 }).map(second => second * 1e6),
    20,
  ),
  host: orNull(texts),
  rack: orNull(fc.constantFrom(1, 2, 3, NaN)),
  v: orNull(numbers),
  n: fc.integer({ min: -9, max: 9 }),
  s: orNull(texts),
  b: orNull(fc.boolean()),
})

type Wanted = Omit<WindowCall, 'name'> & { readonly type: ValueType }
const any = fc.constantFrom('v', 'n', 's', 'b', 'time')
const number = fc.constantFrom('v', 'n')
const rowsAway = fc.oneof(
  fc.constant<Expr[]>([]),
  fc.integer({ min: 0, max: 12 }).map((n): Expr[] => [literal('integer', n)]),
)
const seconds = fc.integer({ min: 1, max: 40 }).map(n => literal('duration', n * 1e6))
const wanted = (name: string, of: fc.Arbitrary<string>, rest: fc.Arbitrary<Expr[]>, type?: ValueType) =>
  fc.tuple(of, rest).map(([v, args]): Wanted => ({ function: name, args: [ref(v), ...args], type: type ?? typeOf(v) }))
const none = fc.constant<Expr[]>([])
const anyCall = fc.oneof(
  wanted('lag', any, rowsAway),
  wanted('difference', number, none),
  wanted('difference', fc.constant('time'), none, 'duration'),
  wanted('cumulative_sum', number, none, 'float'),
  wanted('fill_forward', any, none),
  fc.constant<Wanted>({ function: 'row_number', args: [], type: 'integer' }),
  wanted(
    'moving_avg',
    number,
    seconds.map(each => [each]),
    'float',
  ),
  wanted(
    'moving_avg',
    number,
    fc.integer({ min: 1, max: 12 }).map(n => [literal('integer', n)]),
    'float',
  ),
  wanted(
    'ema',
    number,
    fc.tuple(seconds, fc.constantFrom(1, 0.5, 0.1)).map(([period, alpha]) => [period, literal('float', alpha)]),
    'float',
  ),
)
const leadCall = wanted('lead', any, rowsAway)

function nodeOf(calls: readonly Wanted[], partition: readonly string[], rows: readonly Row[]): WindowNode {
  return {
    kind: 'window',
    input: valuesOf(schema, rows),
    calls: calls.map((call, i) => ({ name: `w${i}`, function: call.function, args: call.args })),
    sequence: { time: 'time', partition },
    schema: [...schema, ...calls.map((call, i) => ({ name: `w${i}`, type: call.type, nullable: true }))],
  }
}

const sortedBy = (rows: readonly Row[], names: readonly string[]): Row[] =>
  rows.toSorted((a, b) => {
    for (const name of names) {
      const result = order(a[name]!, b[name]!)
      if (result !== 0) return result
    }
    return 0
  })

async function check(
  calls: readonly Wanted[],
  partition: readonly string[],
  rows: readonly Row[],
  cut: Layout,
  batchRows: number,
  known: WindowOrder,
): Promise<void> {
  const node = nodeOf(calls, partition, rows)
  const execution = executionOf({ batchRows })
  const found = await collected(node.schema, window(node, schema, streamOf(schema, rows, cut), execution, known))
  const expected = runModel(node, emptyDatabase)
  if (!identical(found, expected)) expect({ rows: found }).toEqual({ rows: expected })
  expect(execution.memory.held).toBe(0)
}

const partitions = fc.constantFrom([], ['host'], ['rack'], ['host', 'rack'], ['b', 's'])
const some = fc.array(row, { maxLength: 60, size: 'max' })
const batchRows = fc.constantFrom(1, 2, 7, 8192)

describe('row functions give what the model gives', () => {
  test('partitions together', async () => {
    await fc.assert(
      fc.asyncProperty(
        some,
        partitions,
        fc.array(fc.oneof(anyCall, leadCall), { minLength: 1, maxLength: 3 }),
        layout,
        batchRows,
        (rows, partition, calls, cut, batchRows) =>
          check(calls, partition, sortedBy(rows, [...partition, 'time']), cut, batchRows, {
            together: true,
            distinctTimes: false,
          }),
      ),
      { numRuns: 500 },
    )
  })
  test('partitions interleaved', async () => {
    await fc.assert(
      fc.asyncProperty(
        some,
        partitions,
        fc.array(anyCall, { minLength: 1, maxLength: 3 }),
        layout,
        batchRows,
        (rows, partition, calls, cut, batchRows) =>
          check(calls, partition, sortedBy(rows, ['time']), cut, batchRows, { together: false, distinctTimes: false }),
      ),
      { numRuns: 500 },
    )
  })
  test('distinct times need no rows held back', async () => {
    await fc.assert(
      fc.asyncProperty(some, fc.array(anyCall, { minLength: 1, maxLength: 3 }), layout, (rows, calls, cut) => {
        const distinct = [...new Map(rows.map(row => [`${row['host']}/${row['time']}`, row])).values()]
        return check(calls, ['host'], sortedBy(distinct, ['time']), cut, 5, { together: false, distinctTimes: true })
      }),
      { numRuns: 200 },
    )
  })
})

test('the average of a long run is as exact as that of a short one', async () => {
  const rows = Array.from({ length: 60_000 }, (_, i): Row => {
    const v = i === 1000 ? 1e300 : i === 2000 ? Infinity : i === 3000 ? NaN : i % 3 === 0 ? 1e9 + 0.1 : 0.1 * (i % 7)
    return { time: i * 1e6, host: 'a', rack: 1, v, n: i, s: null, b: null }
  })
  const call: Wanted = { function: 'moving_avg', args: [ref('v'), literal('duration', 500e6)], type: 'float' }
  const node = nodeOf([call], ['host'], [])
  const cut: Layout = { sizes: [4096], gaps: [], dictionaries: 'shared' }
  const known = { together: true, distinctTimes: true }
  const found = await collected(node.schema, window(node, schema, streamOf(schema, rows, cut), executionOf(), known))
  for (let i = 0; i < rows.length; i += 997) {
    const frame = rows.slice(Math.max(0, i - 499), i + 1).map(row => row['v'] as number)
    const sum = frame.reduce((total, v) => total + v, 0)
    const size = frame.reduce((total, v) => total + Math.abs(v), 0)
    const mean = found[i]!['w0'] as number
    if (Number.isFinite(size)) expect(Math.abs(mean * frame.length - sum)).toBeLessThanOrEqual(1e-12 * size)
    else expect(mean).toBe(sum / frame.length)
  }
})

test('a running sum does not drift', async () => {
  const rows = Array.from({ length: 100_000 }, (_, i): Row => {
    return { time: i, host: 'a', rack: 1, v: 0.1, n: i, s: null, b: null }
  })
  const node = nodeOf([{ function: 'cumulative_sum', args: [ref('v')], type: 'float' }], [], [])
  const cut: Layout = { sizes: [8192], gaps: [], dictionaries: 'shared' }
  const known = { together: true, distinctTimes: true }
  const found = await collected(node.schema, window(node, schema, streamOf(schema, rows, cut), executionOf(), known))
  expect(found.at(-1)!['w0']).toBe(10_000)
})

test('lead far ahead holds back and lets go', async () => {
  const rows = Array.from({ length: 3000 }, (_, i): Row => {
    return { time: i, host: i < 2000 ? 'a' : 'b', rack: 1, v: i, n: i, s: null, b: null }
  })
  const node = nodeOf([{ function: 'lead', args: [ref('n'), literal('integer', 700)], type: 'integer' }], ['host'], [])
  const cut: Layout = { sizes: [64], gaps: [], dictionaries: 'shared' }
  const known = { together: true, distinctTimes: true }
  const stream = window(node, schema, streamOf(schema, rows, cut), executionOf({ batchRows: 64 }), known)
  const found = await collected(node.schema, stream)
  expect(found.map(row => row['w0'])).toEqual(rows.map((_, i) => (i + 700 < (i < 2000 ? 2000 : 3000) ? i + 700 : null)))
})

describe('ends', () => {
  const cut: Layout = { sizes: [4], gaps: [], dictionaries: 'shared' }
  const rows = Array.from({ length: 400 }, (_, i): Row => {
    return { time: i, host: String(i), rack: 1, v: i, n: i, s: null, b: null }
  })
  test('an early end closes the input', async () => {
    const watched = { pulled: 0, closed: false }
    const node = nodeOf([{ function: 'row_number', args: [], type: 'integer' }], ['host'], [])
    const known = { together: false, distinctTimes: true }
    const stream = window(node, schema, streamOf(schema, rows, cut, watched), executionOf(), known)
    await stream.next()
    await stream.return()
    expect(watched).toEqual({ pulled: 1, closed: true })
  })
  test('many partitions interleaved are accounted for, together they are not held', async () => {
    const calls: Wanted[] = [{ function: 'lag', args: [ref('v'), literal('integer', 3)], type: 'float' }]
    const node = nodeOf(calls, ['host'], [])
    const run = (together: boolean) =>
      collected(
        node.schema,
        window(node, schema, streamOf(schema, rows, cut), executionOf({ memoryMaxBytes: 8192 }), {
          together,
          distinctTimes: true,
        }),
      )
    await expect(run(false)).rejects.toMatchObject({ code: 'memory_limit' })
    expect(await run(true)).toHaveLength(400)
  })
  test.each<[string, Expr[]]>([
    ['lag', [ref('v'), literal('integer', -1)]],
    ['lead', [ref('v'), literal('integer', offsetMax + 1)]],
    ['lag', [ref('v'), literal('float', 1.5)]],
    ['moving_avg', [ref('v'), literal('integer', 0)]],
    ['moving_avg', [ref('v'), literal('duration', 0)]],
    ['ema', [ref('v'), literal('duration', 0), literal('float', 0.5)]],
    ['ema', [ref('v'), literal('duration', 1e6), literal('float', 0)]],
    ['ema', [ref('v'), literal('duration', 1e6), literal('float', 1.5)]],
  ])('%s refuses constants that mean nothing', async (name, args) => {
    const node = nodeOf([{ function: name, args, type: 'float' }], [], [])
    const known = { together: true, distinctTimes: true }
    const stream = window(node, schema, streamOf(schema, [], cut), executionOf(), known)
    await expect(stream.next()).rejects.toMatchObject({ code: 'wrong_argument' })
  })
})
