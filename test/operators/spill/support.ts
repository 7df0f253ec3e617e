/** Random rows as batches, and operators run over them with and without temporary files. */
import fc from 'fast-check'
import {
  ArrayDictionary,
  type Batch,
  type Dictionary,
  InterningDictionary,
  type Schema,
  type ValueType,
} from '../../../src/columnar/batch.ts'
import { columnOf } from '../../../src/columnar/builder.ts'
import { type Scalar, valueAt } from '../../../src/columnar/value.ts'
import { memoryFiles } from '../../../src/lib/memory-files.ts'
import type { FileSystem } from '../../../src/lib/ports.ts'
import { type Execution, startExecution } from '../../../src/operators/execution.ts'
import type { BatchStream, ExecutionContext } from '../../../src/operators/operator.ts'
import { type Spill, spillSpace } from '../../../src/operators/spill/space.ts'
import type { ColumnRef, Expr } from '../../../src/sydraql/expression.ts'
import { fakeCatalog, fakeContext } from '../fake-database.ts'

export const emptyDatabase = { catalog: fakeCatalog({ cpu: { usage: 'float' } }, []), series: [], pieces: {} }

export interface Spilling {
  readonly execution: Execution
  readonly spill: Spill
  readonly files: FileSystem
  /** Names of temporary files. */
  left(): string[]
  readonly abort: AbortController
}

export interface SpillingOptions {
  readonly memoryMaxBytes?: number
  readonly bytesMax?: number
  readonly files?: FileSystem
  readonly context?: Partial<ExecutionContext>
}

/** An execution with little memory, and files. */
export function spilling({
  memoryMaxBytes = 32_768,
  bytesMax = 2 ** 30,
  files = memoryFiles(),
  context = {},
}: SpillingOptions = {}): Spilling {
  const abort = new AbortController()
  const spill = spillSpace(files, '/data', { memoryMaxBytes, bytesMax }).open(abort.signal)
  const execution = startExecution(
    fakeContext(emptyDatabase, { memoryMaxBytes, batchRows: 64, spill, signal: abort.signal, ...context }),
  )
  return {
    execution,
    spill,
    files,
    abort,
    left: () => (files.exists('/data/tmp') ? files.list('/data/tmp') : []),
  }
}

export const inMemory = (): Execution => startExecution(fakeContext(emptyDatabase, { batchRows: 64 }))

/** Rows as a stream of batches of at most `batchRows`, some with a selection, texts from several dictionaries. */
export async function* streamOf(
  schema: Schema,
  rows: readonly (readonly Scalar[])[],
  batchRows = 50,
  watermarkOf?: (nextRow: number) => number | undefined,
): BatchStream {
  const shared = new InterningDictionary(['(unused)'])
  for (let from = 0, n = 0; from < rows.length; from += batchRows, n++) {
    const own = new ArrayDictionary()
    const taken = rows.slice(from, from + batchRows)
    // Every third batch has rows that do not count in between.
    const sparse = n % 3 === 2
    const physical = sparse ? taken.flatMap(row => [row, row]) : taken
    const batch = batchOf(schema, physical, n % 2 === 0 ? shared : own)
    const watermarkUs = watermarkOf?.(from + taken.length)
    yield {
      ...batch,
      selection: sparse ? Uint32Array.from({ length: taken.length }, (_, k) => 2 * k) : undefined,
      ...(watermarkUs === undefined ? {} : { watermarkUs }),
    }
  }
}

function batchOf(schema: Schema, rows: readonly (readonly Scalar[])[], dictionary: ArrayDictionary): Batch {
  const columns = schema.map(({ type }, c) => {
    const valid = Uint8Array.from(rows, row => (row[c] === null ? 0 : 1))
    const nulls = valid.includes(0)
    const numbers = rows.map(row => numberOf(row[c]!, dictionary))
    const values =
      type === 'string'
        ? Uint32Array.from(numbers)
        : type === 'boolean'
          ? Uint8Array.from(numbers)
          : Float64Array.from(numbers)
    return columnOf(type, values, nulls ? valid : undefined, dictionary as Dictionary)
  })
  return { length: rows.length, columns, selection: undefined }
}

function numberOf(value: Scalar, dictionary: ArrayDictionary): number {
  if (typeof value !== 'string') return Number(value)
  if (dictionary instanceof InterningDictionary) return dictionary.code(value)
  return dictionary.strings.push(value) - 1
}

export async function collect(stream: AsyncIterable<Batch>): Promise<Scalar[][]> {
  const rows: Scalar[][] = []
  for await (const { selection, length, columns } of stream)
    for (const row of selection ?? Array(length).keys()) rows.push(columns.map(column => valueAt(column, row)))
  return rows
}

const texts = ['', 'a', 'b', 'ab', 'user-1', 'user-12', 'ü', 'z', '\uffee', '😀', 'user-1😀', 'x'.repeat(40)]

/** Values of a type, among few or many, with nulls. */
export function anyValue(type: ValueType, many: boolean): fc.Arbitrary<Scalar> {
  const value: fc.Arbitrary<Scalar> =
    type === 'boolean'
      ? fc.boolean()
      : type === 'string'
        ? many
          ? fc.string({ maxLength: 12, unit: 'grapheme' })
          : fc.constantFrom(...texts)
        : type === 'float'
          ? many
            ? fc.double()
            : fc.constantFrom(0, -0, 1, -1, NaN, Infinity, -Infinity, 0.1, -0.1)
          : many
            ? fc.maxSafeInteger()
            : fc.integer({ min: -3, max: 3 })
  return fc.oneof({ arbitrary: fc.constant(null), weight: 1 }, { arbitrary: value, weight: 8 })
}

const span = { start: 0, end: 0 }
export const columnOfSchema = (schema: Schema, c: number): ColumnRef => ({
  kind: 'column',
  name: schema[c]!.name,
  type: schema[c]!.type,
  span,
})
export const callOf = (name: string, type: ValueType, ...args: readonly Expr[]): Expr => ({
  kind: 'call',
  name,
  type,
  args,
  span,
})
export const literalOf = (value: number): Expr => ({ kind: 'literal', type: 'float', value, span })

export const types: readonly ValueType[] = ['float', 'integer', 'boolean', 'string', 'timestamp', 'duration']
