/** Aggregators that are asked while rows come, and that share a table: values are those of all rows, whenever they are asked. */
import { describe, expect, test } from 'vitest'
import { ArrayDictionary, type Batch, type Schema } from '../../src/columnar/batch.ts'
import type { Scalar } from '../../src/columnar/value.ts'
import { referenceKernels } from '../../src/kernels/reference-kernels.ts'
import { compileAggregation } from '../../src/operators/aggregate/aggregation.ts'
import { Aggregator, type GroupMemory } from '../../src/operators/aggregate/aggregator.ts'
import { implementedAggregates, pairMeasures } from '../../src/operators/aggregate/functions.ts'
import { GroupTable } from '../../src/operators/aggregate/groups.ts'
import type { AggregateCall, AggregateNode } from '../../src/sydraql/plan.ts'
import { SeededRandom } from '../simulated/random.ts'
import { column, literal } from './batches.ts'

const schema: Schema = [
  { name: 'time', type: 'timestamp', nullable: false },
  { name: 'key', type: 'integer', nullable: false },
  { name: 'value', type: 'float', nullable: true },
  { name: 'note', type: 'string', nullable: true },
]
const argumentsOf = (name: string): AggregateCall['args'] => {
  if (name.endsWith('percentile')) return [column('value', 'float'), literal('float', 0.3)]
  if (name.endsWith('_by')) return [column('note', 'string'), column('value', 'float')]
  return [column('value', 'float')]
}
const functions = implementedAggregates.filter(name => pairMeasures[name] === undefined)
const calls: AggregateCall[] = [
  ...functions.map(name => ({ name, function: name, args: argumentsOf(name), distinct: false })),
  { name: 'rows', function: 'count', args: [], distinct: false },
  { name: 'distinct', function: 'count', args: [column('note', 'string')], distinct: true },
  { name: 'most', function: 'mode', args: [column('note', 'string')], distinct: false },
  { name: 'longest', function: 'max', args: [column('note', 'string')], distinct: false },
  { name: 'texts', function: 'approx_count_distinct', args: [column('note', 'string')], distinct: false },
]
const node: AggregateNode = {
  kind: 'aggregate',
  input: { kind: 'values', rows: [], schema },
  sequence: { time: 'time', partition: [] },
  keys: [{ name: 'key', expr: column('key', 'integer'), bucket: undefined }],
  aggregates: calls,
  schema: [
    { name: 'key', type: 'integer', nullable: false },
    ...calls.map(({ name }) => ({ name, type: 'float' as const, nullable: true })),
  ],
}
const order = { time: 'time', series: undefined, ranks: undefined }
const aggregation = compileAggregation(node, schema, order, referenceKernels)
const memory: GroupMemory = { hold: () => true, release: () => {} }

interface Row {
  readonly time: number
  readonly key: number
  readonly value: number | null
  readonly note: string | null
}

function batchOf(rows: readonly Row[]): Batch {
  const notes = [...new Set(rows.map(row => row.note ?? ''))]
  const validOf = (values: readonly unknown[]) => Uint8Array.from(values, value => (value === null ? 0 : 1))
  return {
    length: rows.length,
    columns: [
      { type: 'timestamp', values: Float64Array.from(rows, row => row.time), valid: undefined },
      { type: 'integer', values: Float64Array.from(rows, row => row.key), valid: undefined },
      {
        type: 'float',
        values: Float64Array.from(rows, row => row.value ?? 0),
        valid: validOf(rows.map(row => row.value)),
      },
      {
        type: 'string',
        values: Uint32Array.from(rows, row => notes.indexOf(row.note ?? '')),
        valid: validOf(rows.map(row => row.note)),
        dictionary: new ArrayDictionary(notes),
      },
    ],
    selection: undefined,
  }
}

/** Values are few for some seeds and many for others; sums of them are exact. */
function* rowsOf(random: SeededRandom, count: number): Generator<Row> {
  const values = 1 + random.below(random.chance(0.5) ? 8 : 4000)
  for (let i = 0; i < count; i++) {
    const value = random.chance(0.1) ? null : random.chance(0.02) ? Number.NaN : random.below(values) / 4
    const note = random.chance(0.2) ? null : `note ${random.below(values)}`
    yield { time: i, key: random.below(random.chance(0.5) ? 3 : 40), value, note }
  }
}

/** By key. */
function rowsBy(aggregator: Aggregator, groups: readonly number[]): Map<Scalar, Scalar[]> {
  aggregator.gather(Uint32Array.from(groups))
  return new Map(
    groups.map(group => {
      const row: Scalar[] = []
      aggregator.writeValues(group, row)
      return [aggregator.table.keyValue(group, 0), row.slice(1)]
    }),
  )
}

function expectClose(found: Map<Scalar, Scalar[]>, expected: Map<Scalar, Scalar[]>, about: string): void {
  for (const [key, row] of found)
    row.forEach((value, i) => {
      const wanted = expected.get(key)![i]!
      const isClose =
        typeof value === 'number' && typeof wanted === 'number' && Math.abs(value - wanted) <= 1e-9 * Math.abs(wanted)
      if (!isClose) expect(value, `${calls[i]!.name} of ${String(key)}, ${about}`).toEqual(wanted)
    })
}

const groupsOf = ({ size }: GroupTable): number[] => Array.from({ length: size }, (_, group) => group)

const all = (rows: readonly Row[]): Map<Scalar, Scalar[]> => {
  const aggregator = new Aggregator(aggregation, memory)
  aggregator.add(batchOf(rows))
  return rowsBy(aggregator, groupsOf(aggregator.table))
}

describe('an aggregator', () => {
  test.each([1, 2, 3, 4, 5, 6])('that is asked for some groups while rows come: seed %i', seed => {
    const random = new SeededRandom(seed)
    const rows = [...rowsOf(random, 4000)]
    const aggregator = new Aggregator(aggregation, memory)
    for (let from = 0; from < rows.length; ) {
      const to = from + 1 + random.below(900)
      aggregator.add(batchOf(rows.slice(from, to)))
      from = to
      const some = groupsOf(aggregator.table).filter(() => random.chance(0.1))
      expectClose(rowsBy(aggregator, some), all(rows.slice(0, to)), `after ${to} rows`)
    }
  })

  test.each([11, 12, 13, 14])('that others with the same table are merged into: seed %i', seed => {
    const random = new SeededRandom(seed)
    const rows = [...rowsOf(random, 3000)]
    const table = new GroupTable(aggregation.keyTypes, false)
    const parts = [0, 1, 2].map(() => new Aggregator(aggregation, memory, table))
    for (let from = 0; from < rows.length; from += 250)
      parts[random.below(3)]!.add(batchOf(rows.slice(from, from + 250)))
    const some = groupsOf(table).filter(() => random.chance(0.5))
    const places = Uint32Array.from(some.keys())
    // What is merged stays as it is: twice the same.
    for (let turn = 0; turn < 2; turn++) {
      const merged = new Aggregator(aggregation, memory)
      for (const { state } of merged.slots) state.reserve(some.length)
      for (const part of parts) {
        part.reserve()
        merged.merge(part, Uint32Array.from(some), places)
      }
      merged.gather(places)
      const found = new Map(
        some.map((group, i) => {
          const row: Scalar[] = []
          merged.writeValues(i, row)
          return [table.keyValue(group, 0), row.slice(1)]
        }),
      )
      expectClose(found, all(rows), `turn ${turn}`)
    }
  })
})
