/** Joins in time against the nested loop that says what they mean; what is read, held and closed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Schema } from '../../src/columnar/batch.ts'
import { join } from '../../src/operators/join.ts'
import type { JoinNode } from '../../src/sydraql/plan.ts'
import {
  collected,
  column,
  emptyDatabase,
  executionOf,
  identical,
  type Layout,
  layout,
  numbers,
  orNull,
  streamOf,
  texts,
  valuesOf,
} from './batches.ts'
import { order, type Row } from './interpreter.ts'
import { runModel } from './model.ts'

const schemaOf = (alias: string): Schema => [
  { name: `${alias}.time`, type: 'timestamp', nullable: true },
  { name: `${alias}.host`, type: 'string', nullable: true },
  { name: `${alias}.rack`, type: alias === 'b' ? 'integer' : 'float', nullable: true },
  { name: `${alias}.v`, type: 'float', nullable: true },
  { name: `${alias}.up`, type: 'boolean', nullable: true },
]
const [a, b, c] = [schemaOf('a'), schemaOf('b'), schemaOf('c')]

const rowsOf = (schema: Schema, maxLength = 30): fc.Arbitrary<Row[]> =>
  fc
    .array(
      fc.tuple(
        orNull(fc.integer({ min: 0, max: 20 }), 20),
        orNull(texts),
        orNull(fc.constantFrom(1, 2, 0, -0, NaN)),
        orNull(numbers),
        orNull(fc.boolean()),
      ),
      { maxLength, size: 'max' },
    )
    .map(rows =>
      rows
        .map(values => Object.fromEntries(schema.map(({ name }, i) => [name, values[i]!])))
        .sort((x, y) => order(x[schema[0]!.name]!, y[schema[0]!.name]!)),
    )

function nodeOf(
  left: readonly Row[],
  right: readonly Row[],
  withinUs: number,
  partition: readonly string[],
  keys: readonly string[],
): JoinNode {
  const ref = (schema: Schema, name: string) => {
    const info = schema.find(each => each.name.endsWith(`.${name}`))!
    return column(info.name, info.type)
  }
  return {
    kind: 'join',
    left: valuesOf(a, left),
    right: valuesOf(b, right),
    leftSequence: { time: 'a.time', partition: ['a.host'] },
    rightSequence: { time: 'b.time', partition: partition.map(name => `b.${name}`) },
    withinUs,
    keys: keys.map(name => ({ left: ref(a, name), right: ref(b, name) })),
    schema: [...a, ...b],
  }
}

const within = fc.constantFrom(0, 1, 3, 100)
const partitions = fc.constantFrom([], ['host'], ['host', 'rack'], ['up'])
const keyLists = fc.constantFrom([], ['host'], ['rack'], ['host', 'rack'], ['up'])
const batchRows = fc.constantFrom(1, 3, 8192)

test('joins give what the nested loop gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      rowsOf(a),
      rowsOf(b),
      within,
      partitions,
      keyLists,
      layout,
      layout,
      batchRows,
      async (left, right, withinUs, partition, keys, cutLeft, cutRight, batchRows) => {
        const node = nodeOf(left, right, withinUs, partition, keys)
        const execution = executionOf({ batchRows })
        const stream = join(node, streamOf(a, left, cutLeft), streamOf(b, right, cutRight), execution)
        const found = await collected(node.schema, stream)
        const expected = runModel(node, emptyDatabase)
        if (!identical(found, expected)) expect({ rows: found }).toEqual({ rows: expected })
        expect(execution.memory.held).toBe(0)
      },
    ),
    { numRuns: 800 },
  )
})

test('a join of a join', async () => {
  await fc.assert(
    fc.asyncProperty(
      rowsOf(a, 12),
      rowsOf(b, 12),
      rowsOf(c, 12),
      within,
      within,
      layout,
      async (first, second, third, inner, outer, cut) => {
        const below = nodeOf(first, second, inner, ['host'], ['rack'])
        const node: JoinNode = {
          kind: 'join',
          left: below,
          right: valuesOf(c, third),
          leftSequence: { time: 'a.time', partition: ['a.host', 'b.host'] },
          rightSequence: { time: 'c.time', partition: ['c.host'] },
          withinUs: outer,
          keys: [{ left: column('b.host', 'string'), right: column('c.host', 'string') }],
          schema: [...below.schema, ...c],
        }
        const execution = executionOf({ batchRows: 4 })
        const inside = join(below, streamOf(a, first, cut), streamOf(b, second, cut), execution)
        const found = await collected(node.schema, join(node, inside, streamOf(c, third, cut), execution))
        const expected = runModel(node, emptyDatabase)
        if (!identical(found, expected)) expect({ rows: found }).toEqual({ rows: expected })
      },
    ),
    { numRuns: 200 },
  )
})

describe('what a join reads and holds', () => {
  const cut: Layout = { sizes: [100], gaps: [], dictionaries: 'shared' }
  const series = (schema: Schema, count: number, from: number, hosts: number): Row[] =>
    Array.from({ length: count }, (_, i) =>
      Object.fromEntries(
        schema.map(({ name, type }) => [
          name,
          type === 'timestamp' ? from + Math.floor(i / hosts) : type === 'string' ? `h${i % hosts}` : null,
        ]),
      ),
    )
  const watched = () => ({ pulled: 0, closed: false })

  test('the right up to the time of the left, and no further', async () => {
    const [left, right] = [watched(), watched()]
    const node = nodeOf([], [], 0, ['host'], ['host'])
    const stream = join(
      node,
      streamOf(a, series(a, 100_000, 0, 10), cut, left),
      streamOf(b, series(b, 100_000, 0, 10), cut, right),
      executionOf(),
    )
    const { value } = await stream.next()
    expect(value).toMatchObject({ length: 100 })
    expect([left.pulled, right.pulled]).toEqual([1, 2])
    await stream.return()
    expect([left.closed, right.closed]).toEqual([true, true])
  })
  test('nothing of the right without a left row', async () => {
    const right = watched()
    const stream = join(
      nodeOf([], [], 0, [], []),
      streamOf(a, [], cut),
      streamOf(b, series(b, 1000, 0, 1), cut, right),
      executionOf(),
    )
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    expect(right.pulled).toBe(0)
  })
  test('the left is closed when the right has nothing more to give', async () => {
    const left = watched()
    const stream = join(
      nodeOf([], [], 5, ['host'], []),
      streamOf(a, series(a, 100_000, 0, 1), cut, left),
      streamOf(b, series(b, 10, 0, 1), cut),
      executionOf(),
    )
    for await (const _ of stream) void _
    expect(left).toEqual({ pulled: 1, closed: true })
  })
  test('few rows, however long the inputs, and the right ones', async () => {
    const node = nodeOf([], [], 1e9, ['host'], ['host'])
    const big: Layout = { ...cut, sizes: [2048] }
    // A partition that is written once, and asked for at the end.
    const once = (schema: Schema, time: number) =>
      series(schema, 1, time, 1).map(row => ({ ...row, [schema[1]!.name]: 'once' }))
    const right = series(b, 60_000, 0, 20).map(row => ({ ...row, 'b.time': (row['b.time'] as number) * 3 }))
    const stream = join(
      node,
      streamOf(a, [...series(a, 100_000, 0, 20), ...once(a, 5000)], big),
      streamOf(b, [...once(b, 0), ...right], big),
      executionOf({ memoryMaxBytes: 4e6 }),
    )
    const found = await collected(node.schema, stream)
    expect(found).toHaveLength(100_001)
    expect(found.pop()).toMatchObject({ 'a.time': 5000, 'b.time': 0, 'b.host': 'once' })
    const isRight = (row: Row) => {
      const time = row['a.time'] as number
      return row['b.time'] === time - (time % 3) && row['a.host'] === row['b.host']
    }
    expect(found.every(isRight)).toBe(true)
  })
  test('partitions beyond the memory limit fail', async () => {
    const node = nodeOf([], [], 1e9, ['host'], ['host'])
    const stream = join(
      node,
      streamOf(a, series(a, 50_000, 0, 50_000), cut),
      streamOf(b, series(b, 50_000, 0, 50_000), cut),
      executionOf({ memoryMaxBytes: 1e6 }),
    )
    await expect(collected(node.schema, stream)).rejects.toMatchObject({ code: 'memory_limit' })
  })
  test('a failing side closes the other', async () => {
    const left = watched()
    const failing = (async function* () {
      yield* streamOf(b, series(b, 10, 0, 1), cut)
      throw new Error('disk')
    })()
    const node = nodeOf([], [], 0, [], [])
    const stream = join(node, streamOf(a, series(a, 1000, 0, 1), cut, left), failing, executionOf())
    await expect(collected(node.schema, stream)).rejects.toThrow('disk')
    expect(left.closed).toBe(true)
  })
})
