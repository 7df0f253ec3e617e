/** The edge: whatever leaves and comes, its groups are those of the rows that are left. */
import { describe, expect, test } from 'vitest'
import type { Batch, Schema } from '../../../src/columnar/batch.ts'
import { referenceKernels } from '../../../src/kernels/reference-kernels.ts'
import { compileAggregation } from '../../../src/operators/aggregate/aggregation.ts'
import { Aggregator } from '../../../src/operators/aggregate/aggregator.ts'
import { GroupTable } from '../../../src/operators/aggregate/groups.ts'
import { Edge, type EdgeReader } from '../../../src/operators/live/groups/edge.ts'
import { KeptMemory } from '../../../src/operators/live/groups/memory.ts'
import type { AggregateNode } from '../../../src/sydraql/plan.ts'
import { SeededRandom } from '../../simulated/random.ts'
import { column } from '../batches.ts'

const schema: Schema = [
  { name: 'time', type: 'timestamp', nullable: false },
  { name: 'key', type: 'integer', nullable: false },
  { name: 'value', type: 'float', nullable: false },
]
const value = column('value', 'float')
const calls = ['count', 'sum', 'min', 'max', 'last', 'median', 'mode', 'approx_count_distinct', 'approx_percentile']
const node: AggregateNode = {
  kind: 'aggregate',
  input: { kind: 'values', rows: [], schema },
  sequence: { time: 'time', partition: [] },
  keys: [{ name: 'key', expr: column('key', 'integer'), bucket: undefined }],
  aggregates: calls.map(name => ({
    name,
    function: name,
    args:
      name === 'approx_percentile'
        ? [value, { kind: 'literal', type: 'float', value: 0.5, span: value.span }]
        : [value],
    distinct: false,
  })),
  schema: [
    { name: 'key', type: 'integer', nullable: false },
    ...calls.map(name => ({ name, type: 'float' as const, nullable: true })),
  ],
}
const order = { time: 'time', series: undefined, ranks: undefined }

interface Row {
  readonly time: number
  readonly key: number
  readonly value: number
}

const batchOf = (rows: readonly Row[]): Batch => ({
  length: rows.length,
  columns: [
    { type: 'timestamp', values: Float64Array.from(rows, row => row.time), valid: undefined },
    { type: 'integer', values: Float64Array.from(rows, row => row.key), valid: undefined },
    { type: 'float', values: Float64Array.from(rows, row => row.value), valid: undefined },
  ],
  selection: undefined,
})

/** Rows as a version has them, and what is read of it. */
class Store {
  rows: Row[] = []
  rowsRead = 0
  reads = 0

  reader(): EdgeReader {
    const within = ({ fromUs, toUs }: { fromUs: number; toUs: number }): Row[] => {
      const found = this.rows.filter(({ time }) => time >= fromUs && time < toUs)
      this.reads++
      this.rowsRead += found.length
      return found
    }
    return {
      async *rows(range) {
        const found = within(range)
        for (let from = 0; from < found.length; from += 4096) yield batchOf(found.slice(from, from + 4096))
      },
      addRows(aggregator, range) {
        const found = within(range)
        if (found.length > 0) aggregator.add(batchOf(found))
        return Promise.resolve()
      },
    }
  }
}

const aggregation = compileAggregation(node, schema, order, referenceKernels)
const newMemory = () => new KeptMemory(2 ** 30, () => {})

/** By key, what the aggregators have together. */
function together(parts: Iterable<Aggregator>, table: GroupTable): Map<unknown, unknown[]> {
  const sum = new Aggregator(aggregation, newMemory())
  const groups = Uint32Array.from({ length: table.size }, (_, group) => group)
  for (const { state } of sum.slots) state.reserve(table.size)
  for (const part of parts) {
    part.reserve()
    sum.merge(part, groups, groups)
  }
  const out = new Map<unknown, unknown[]>()
  for (const group of groups) {
    const row: (number | string | boolean | null)[] = []
    sum.writeValues(group, row)
    if (row[1] !== 0) out.set(table.keyValue(group, 0), row.slice(1))
  }
  return out
}

function expectSame(edge: Edge, table: GroupTable, left: readonly Row[], about: string): void {
  const all = new Aggregator(aggregation, newMemory())
  if (left.length > 0) all.add(batchOf(left))
  expect(together(edge.aggregators(), table), about).toEqual(together([all], all.table))
}

const cases = [
  { seed: 1, rows: 0, span: 1000 },
  { seed: 2, rows: 40, span: 100_000 },
  { seed: 3, rows: 3000, span: 20_000 },
  { seed: 4, rows: 3000, span: 5 },
  { seed: 5, rows: 40_000, span: 3_000_000 },
  { seed: 6, rows: 36_000, span: 40 },
  { seed: 7, rows: 40_000, span: 10_000, lump: true },
]

describe('the edge', () => {
  test.each(cases)('%o', async ({ seed, rows, span, lump = false }) => {
    const random = new SeededRandom(seed)
    // Rows of one time and key are equal: there is no series to say which is the last.
    const rowAt = (time: number, key = random.below(7)): Row => ({
      time,
      key,
      value: ((time * 31 + key * 17) % 64) / 4,
    })
    const store = new Store()
    // In lumps most rows are of a few times.
    for (let i = 0; i < rows; i++)
      store.rows.push(rowAt(lump && random.chance(0.9) ? 1000 + random.below(3) : random.below(span)))
    const memory = newMemory()
    const table = new GroupTable(aggregation.keyTypes, false)
    const edge = await Edge.over({ fromUs: 0, toUs: span }, { aggregation, memory, table }, store.reader())
    expectSame(edge, table, store.rows, 'at first')
    let fromUs = 0
    for (let turn = 0; turn < 20; turn++) {
      const toUs = Math.min(fromUs + 1 + random.below(Math.ceil(span / 12)), span - 1)
      const gone = store.rows.filter(({ time }) => time < toUs)
      const held = edge.leaving(toUs)
      if (held !== undefined) {
        const count = held.reduce((sum, { length, selection }) => sum + (selection?.length ?? length), 0)
        expect(count, `seed ${seed}, turn ${turn}`).toBe(gone.length)
      }
      expect(await edge.moveTo(toUs, store.reader())).toBe(true)
      store.rows = store.rows.filter(({ time }) => time >= toUs)
      fromUs = toUs
      const late = Array.from({ length: random.below(6) }, () => rowAt(fromUs + random.below(span - fromUs)))
      if (late.length > 0) edge.add(batchOf(late))
      store.rows.push(...late)
      expectSame(edge, table, store.rows, `seed ${seed}, turn ${turn}, from ${fromUs}`)
    }
    expect(await edge.moveTo(span, store.reader())).toBe(false)
    edge.release()
    expect(memory.bytes).toBe(0)
  })

  test('each row is read a few times, however often the bound moves', async () => {
    const random = new SeededRandom(11)
    const store = new Store()
    const count = 60_000
    for (let i = 0; i < count; i++) store.rows.push({ time: i * 10, key: random.below(5), value: 1 })
    const table = new GroupTable(aggregation.keyTypes, false)
    const groups = { aggregation, memory: newMemory(), table }
    const edge = await Edge.over({ fromUs: 0, toUs: count * 10 }, groups, store.reader())
    for (let fromUs = 0; fromUs < count * 10; fromUs += 500) await edge.moveTo(fromUs, store.reader())
    expect(store.rowsRead).toBeLessThan(3 * count)
    expect(store.reads).toBeLessThan(40)
  })

  test('with too many rows that came since it has to be made anew', async () => {
    const store = new Store()
    const table = new GroupTable(aggregation.keyTypes, false)
    const edge = await Edge.over({ fromUs: 0, toUs: 100 }, { aggregation, memory: newMemory(), table }, store.reader())
    edge.add(batchOf(Array.from({ length: 9000 }, (_, i) => ({ time: 50 + (i % 50), key: 0, value: 1 }))))
    expect(await edge.moveTo(10, store.reader())).toBe(false)
  })
})
