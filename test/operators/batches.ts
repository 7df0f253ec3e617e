/** Random rows as streams of batches, cut anywhere, and operators run on them alone. */
import fc from 'fast-check'
import {
  ArrayDictionary,
  type Batch,
  type Column,
  InterningDictionary,
  type Schema,
  type ValueType,
} from '../../src/columnar/batch.ts'
import { columnOf } from '../../src/columnar/builder.ts'
import type { Scalar } from '../../src/columnar/value.ts'
import { type Execution, startExecution } from '../../src/operators/execution.ts'
import type { BatchStream, ExecutionContext } from '../../src/operators/operator.ts'
import type { ColumnRef, Expr, ExprType, Literal } from '../../src/sydraql/expression.ts'
import type { ValuesNode } from '../../src/sydraql/plan.ts'
import { fakeCatalog, fakeContext } from './fake-database.ts'
import type { Row } from './interpreter.ts'
import { rowsOf } from './support.ts'

const span = { start: 0, end: 0 }
export const column = (name: string, type: ValueType): ColumnRef => ({ kind: 'column', name, type, span })
export const literal = (type: ExprType, value: Scalar): Literal => ({ kind: 'literal', type, value, span })
export const call = (type: ExprType, name: string, ...args: Expr[]): Expr => ({ kind: 'call', type, name, args, span })

export const emptyDatabase = { catalog: fakeCatalog({}, []), series: [], pieces: {} }

export const executionOf = (context: Partial<ExecutionContext> = {}): Execution =>
  startExecution(fakeContext(emptyDatabase, context))

/** The rows as a plan, for the model. */
export const valuesOf = (schema: Schema, rows: readonly Row[]): ValuesNode => ({
  kind: 'values',
  schema,
  rows: rows.map(row => schema.map(({ name }) => row[name]!)),
})

/** How rows are cut into batches. */
export interface Layout {
  /** Rows of each batch in turn, over and over. */
  readonly sizes: readonly number[]
  /** Rows that do not count, before each row that does; over and over. Empty: no selection. */
  readonly gaps: readonly number[]
  /** Whether each batch has dictionaries of its own; with `twice`, each text has two codes. */
  readonly dictionaries: 'shared' | 'own' | 'twice'
}

export const layout: fc.Arbitrary<Layout> = fc.record({
  sizes: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }).map(sizes => [...sizes, 3]),
  gaps: fc.oneof(
    fc.constant([]),
    fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 5 }).map(gaps => [...gaps, 0]),
  ),
  dictionaries: fc.constantFrom('shared', 'own', 'twice'),
})

/** Whether a stream has been read, and closed. */
export interface Watched {
  pulled: number
  closed: boolean
}

/** A stream that spoils each batch when the next is pulled: a batch is borrowed. */
export async function* streamOf(
  schema: Schema,
  rows: readonly Row[],
  { sizes, gaps, dictionaries }: Layout,
  watched: Watched = { pulled: 0, closed: false },
): BatchStream {
  const shared = new Map(schema.map(({ name }) => [name, new InterningDictionary(['?'])]))
  let gap = 0
  try {
    for (let from = 0, turn = 0; from < rows.length; turn++) {
      const to = Math.min(rows.length, from + sizes[turn % sizes.length]!)
      const placed: (Row | undefined)[] = []
      for (const row of rows.slice(from, to)) {
        if (gaps.length > 0) for (let i = gaps[gap++ % gaps.length]!; i > 0; i--) placed.push(undefined)
        placed.push(row)
      }
      const batch = batchOf(schema, placed, name =>
        dictionaries === 'shared' ? shared.get(name)! : dictionaries === 'own' ? new InterningDictionary() : undefined,
      )
      watched.pulled++
      yield gaps.length > 0
        ? { ...batch, selection: Uint32Array.from(placed.keys()).filter(at => placed[at] !== undefined) }
        : batch
      for (const { values, valid } of batch.columns) {
        values.fill(0)
        valid?.fill(0)
      }
      from = to
    }
  } finally {
    watched.closed = true
  }
}

/** Absent rows and nulls hold rubbish. */
function batchOf(
  schema: Schema,
  rows: readonly (Row | undefined)[],
  dictionaryOf: (name: string) => InterningDictionary | undefined,
): Batch {
  const columns = schema.map(({ name, type }): Column => {
    const dictionary = type === 'string' ? dictionaryOf(name) : undefined
    const doubled = new ArrayDictionary(['?'])
    const encode = (text: string, at: number): number => {
      if (dictionary !== undefined) return dictionary.code(text)
      const known = doubled.strings.indexOf(text)
      if (known > 0 && at % 2 === 0) return known
      return doubled.strings.push(text) - 1
    }
    const values =
      type === 'string'
        ? new Uint32Array(rows.length)
        : type === 'boolean'
          ? new Uint8Array(rows.length)
          : new Float64Array(rows.length)
    const valid = new Uint8Array(rows.length).fill(1)
    rows.forEach((row, at) => {
      const value = row?.[name] ?? null
      valid[at] = value === null ? 0 : 1
      values[at] = value === null ? 1 : typeof value === 'string' ? encode(value, at) : Number(value)
      if (row === undefined) valid[at] = at % 2
      if (value === null && type === 'string') values[at] = 0
    })
    const isFull = rows.every(row => row !== undefined && row[name] !== null)
    return columnOf(type, values, isFull ? undefined : valid, dictionary ?? doubled)
  })
  return { length: rows.length, columns, selection: undefined }
}

/** All rows of a stream, each batch read before the next is pulled. */
export async function collected(schema: Schema, stream: BatchStream): Promise<Row[]> {
  const rows: Row[] = []
  for await (const batch of stream)
    for (const values of rowsOf(batch)) rows.push(Object.fromEntries(schema.map(({ name }, i) => [name, values[i]!])))
  return rows
}

/** Equal values; NaN equals itself, -0 is 0. Sums of the small numbers that tests add are exact. */
export const identical = (a: readonly Row[], b: readonly Row[]): boolean =>
  a.length === b.length &&
  a.every((row, i) => {
    const names = Object.keys(row)
    const other = b[i]!
    return names.length === Object.keys(other).length && names.every(name => sameScalar(row[name]!, other[name]!))
  })

const sameScalar = (a: Scalar, b: Scalar): boolean =>
  a === b ||
  (typeof a === 'number' &&
    typeof b === 'number' &&
    (Object.is(a, b) || Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(a), Math.abs(b))))

export const orNull = <T>(value: fc.Arbitrary<T>, freq = 4): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null, freq })

/** Numbers whose sums are exact, and the troublesome ones. */
export const numbers = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: -40, max: 40 }).map(n => n / 4) },
  fc.constantFrom(NaN, -0, 0, Infinity, -Infinity),
)
export const texts = fc.constantFrom('', 'a', 'b', 'ä', '😀', '\uffee')
