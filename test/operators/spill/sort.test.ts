/** A sort in temporary files gives what it gives in memory, and leaves nothing behind. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Schema } from '../../../src/columnar/batch.ts'
import { compareScalars, type Scalar } from '../../../src/columnar/value.ts'
import { memoryFiles } from '../../../src/lib/memory-files.ts'
import { sort } from '../../../src/operators/sort.ts'
import { removeTemporaryFiles } from '../../../src/operators/spill/space.ts'
import type { SortKey, SortNode } from '../../../src/sydraql/plan.ts'
import { SimulatedDisk } from '../../simulated/disk.ts'
import { anyValue, callOf, collect, columnOfSchema, inMemory, spilling, streamOf, types } from './support.ts'

const nodeOf = (schema: Schema, keys: readonly SortKey[], limit?: number): SortNode => ({
  kind: 'sort',
  input: { kind: 'values', rows: [], schema },
  keys,
  limit,
  schema,
})

const keyOf = (schema: Schema, c: number, descending = false, nulls: SortKey['nulls'] = 'last'): SortKey => ({
  expr: columnOfSchema(schema, c),
  descending,
  nulls,
})

interface Case {
  readonly schema: Schema
  readonly rows: readonly (readonly Scalar[])[]
  readonly keys: readonly (readonly [column: number, descending: boolean, nulls: SortKey['nulls']])[]
  readonly limit: number | undefined
  readonly batchRows: number
}

const cases: fc.Arbitrary<Case> = fc
  .array(fc.tuple(fc.constantFrom(...types), fc.boolean()), { minLength: 1, maxLength: 4 })
  .chain(columns => {
    const schema = columns.map(([type], c) => ({ name: `c${c}`, type, nullable: true }))
    const row = fc.tuple(...columns.map(([type, many]) => anyValue(type, many)))
    return fc.record({
      schema: fc.constant(schema),
      // Few random rows, repeated: many equal ones.
      rows: fc
        .tuple(fc.array(row, { minLength: 1, maxLength: 300, size: 'max' }), fc.integer({ min: 1, max: 12 }))
        .map(([rows, times]) => Array.from({ length: times }, () => rows).flat()),
      keys: fc.array(
        fc.tuple(fc.nat({ max: columns.length - 1 }), fc.boolean(), fc.constantFrom<SortKey['nulls']>('first', 'last')),
        { minLength: 1, maxLength: 3 },
      ),
      limit: fc.option(fc.nat({ max: 5000 }), { nil: undefined }),
      batchRows: fc.constantFrom(7, 50, 1000),
    })
  })

/** The plain way. */
function sorted({ rows, keys, limit }: Case): Scalar[][] {
  const order = (a: Scalar, b: Scalar, descending: boolean, nulls: SortKey['nulls']): number => {
    if (a === null || b === null) return (Number(a === null) - Number(b === null)) * (nulls === 'last' ? 1 : -1)
    return compareScalars(a, b) * (descending ? -1 : 1)
  }
  return rows
    .map((row, at) => ({ row, at }))
    .sort((a, b) => {
      for (const [column, descending, nulls] of keys) {
        const result = order(a.row[column]!, b.row[column]!, descending, nulls)
        if (result !== 0) return result
      }
      return a.at - b.at
    })
    .slice(0, limit)
    .map(({ row }) => [...row])
}

const planOf = ({ schema, keys, limit }: Case): SortNode =>
  nodeOf(
    schema,
    keys.map(([column, descending, nulls]) => keyOf(schema, column, descending, nulls)),
    limit,
  )

describe('a sort', () => {
  test('in memory is the plain one', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async given => {
        const stream = streamOf(given.schema, given.rows, given.batchRows)
        expect(await collect(sort(planOf(given), given.schema, stream, inMemory()))).toEqual(sorted(given))
      }),
      { numRuns: 60, seed: 1, endOnFailure: true },
    )
  })

  test('in temporary files too, whatever little memory there is', async () => {
    let spilled = 0
    await fc.assert(
      fc.asyncProperty(cases, fc.constantFrom(2048, 16_384, 65_536), async (given, memoryMaxBytes) => {
        const { execution, spill, left } = spilling({ memoryMaxBytes })
        const stream = streamOf(given.schema, given.rows, given.batchRows)
        expect(await collect(sort(planOf(given), given.schema, stream, execution))).toEqual(sorted(given))
        spilled += Number(spill.writtenBytes > 0)
        expect([left(), spill.heldBytes, execution.memory.held]).toEqual([[], 0, 0])
      }),
      { numRuns: 60, seed: 2, endOnFailure: true },
    )
    expect(spilled).toBeGreaterThan(20)
  })

  test('by a computed key gives the input columns alone', async () => {
    const schema: Schema = [{ name: 'n', type: 'integer', nullable: false }]
    const rows = Array.from({ length: 5000 }, (_, i) => [(i * 7919) % 5000])
    const { execution, spill } = spilling({ memoryMaxBytes: 16_384 })
    const key: SortKey = {
      expr: callOf('neg', 'integer', columnOfSchema(schema, 0)),
      descending: false,
      nulls: 'last',
    }
    const result = await collect(sort(nodeOf(schema, [key]), schema, streamOf(schema, rows), execution))
    expect(result).toEqual(Array.from({ length: 5000 }, (_, i) => [4999 - i]))
    expect(spill.writtenBytes).toBeGreaterThan(0)
  })
})

const numbers: Schema = [
  { name: 'n', type: 'float', nullable: false },
  { name: 'text', type: 'string', nullable: false },
]
const manyRows = Array.from({ length: 20_000 }, (_, i) => [(i * 7919) % 20_000, `text ${i % 3000}`])
const byNumber = nodeOf(numbers, [keyOf(numbers, 0)])
const start = (options: Parameters<typeof spilling>[0] = {}) => {
  const made = spilling(options)
  return { ...made, stream: sort(byNumber, numbers, streamOf(numbers, manyRows, 500), made.execution) }
}

describe('temporary files', () => {
  test('are there while rows leave, and gone when the reader stops early', async () => {
    const { stream, left } = start()
    await stream.next()
    expect(left().length).toBeGreaterThan(1)
    await stream.return()
    expect(left()).toEqual([])
  })

  test('are gone after an abort, even when nobody pulls again', async () => {
    const { stream, left, abort } = start()
    await stream.next()
    abort.abort()
    expect(left()).toEqual([])
    await expect(collect(stream)).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('are gone after a failure of the input', async () => {
    const { execution, left } = spilling()
    async function* failing() {
      yield* streamOf(numbers, manyRows, 500)
      throw new Error('the input failed')
    }
    await expect(collect(sort(byNumber, numbers, failing(), execution))).rejects.toThrow('the input failed')
    expect(left()).toEqual([])
  })

  test('beyond their limit the query fails with both limits', async () => {
    const { stream, left } = start({ memoryMaxBytes: 100_000, bytesMax: 200_000 })
    await expect(collect(stream)).rejects.toMatchObject({
      code: 'memory_limit',
      message: 'the query needs more than 0.1 MB of memory and 0.2 MB of temporary files',
      hint: expect.stringContaining('query.spill_max_bytes'),
    })
    expect(left()).toEqual([])
  })

  test('on a full disk the query fails with disk_full', async () => {
    const disk = new SimulatedDisk()
    disk.files.makeDirectory('/data')
    disk.fail({ call: 'write', nth: 20, times: Infinity, code: 'ENOSPC', writtenBytes: 100 })
    const { stream, left } = start({ files: disk.files })
    await expect(collect(stream)).rejects.toMatchObject({ code: 'disk_full', hint: expect.stringContaining('space') })
    expect(left()).toEqual([])
  })

  test('on a broken disk it fails with io_error, and a file that lost its end is no garbage', async () => {
    const disk = new SimulatedDisk()
    disk.files.makeDirectory('/data')
    const broken = start({ files: disk.files })
    await broken.stream.next()
    disk.fail({ call: 'read', times: Infinity })
    await expect(collect(broken.stream)).rejects.toMatchObject({ code: 'io_error' })

    const files = memoryFiles()
    const { stream } = start({ files })
    await stream.next()
    for (const name of files.list('/data/tmp')) files.open(`/data/tmp/${name}`, 'open').truncate(5000)
    await expect(collect(stream)).rejects.toMatchObject({
      code: 'io_error',
      message: expect.stringContaining('ends before what was written'),
    })
  })

  test('that a crash left go when the database is opened', async () => {
    const disk = new SimulatedDisk()
    disk.files.makeDirectory('/data')
    const { stream } = start({ files: disk.files })
    await stream.next()
    const after = disk.killProcess()
    expect(after.files.list('/data/tmp').length).toBeGreaterThan(1)
    removeTemporaryFiles(after.files, '/data')
    expect(after.files.list('/data/tmp')).toEqual([])
    removeTemporaryFiles(after.files, '/elsewhere')
  })
})
