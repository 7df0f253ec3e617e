/** Running plans and comparing rows. */
import type { Batch } from '../../src/columnar/batch.ts'
import { type Scalar, valueAt } from '../../src/columnar/value.ts'
import { execute } from '../../src/operators/execute.ts'
import type { ExecutionContext } from '../../src/operators/operator.ts'
import { bind } from '../../src/sydraql/bind.ts'
import type { LogicalPlan } from '../../src/sydraql/plan.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { type FakeDatabase, fakeContext } from './fake-database.ts'
import type { Row } from './interpreter.ts'

export const planOf = (text: string, database: FakeDatabase, withoutRules: readonly string[] = []): LogicalPlan =>
  bind(prepare(text, database.catalog), [], 0, { withoutRules: new Set(withoutRules) }).plan

export function rowsOf(batch: Batch): Scalar[][] {
  const rows = batch.selection ?? Uint32Array.from({ length: batch.length }, (_, row) => row)
  return Array.from(rows, row => batch.columns.map(column => valueAt(column, row)))
}

/** The plan's rows, with every borrowed batch read before the next is pulled. */
export async function run(
  plan: LogicalPlan,
  database: FakeDatabase,
  context: Partial<ExecutionContext> = {},
  disabledRules: readonly string[] = [],
): Promise<Row[]> {
  const { schema, stream } = execute(plan, fakeContext(database, context), { disabledRules: new Set(disabledRules) })
  const rows: Row[] = []
  for await (const batch of stream)
    for (const values of rowsOf(batch)) rows.push(Object.fromEntries(schema.map(({ name }, i) => [name, values[i]!])))
  return rows
}

/** Equal, but for the rounding of sums. */
export function sameValue(a: Scalar | undefined, b: Scalar | undefined): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return a === b
  if (Object.is(a, b) || a === b) return true
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b))
}

export const sameRows = (a: readonly Row[], b: readonly Row[]): boolean =>
  a.length === b.length &&
  a.every((row, i) => {
    const names = Object.keys(row)
    return names.length === Object.keys(b[i]!).length && names.every(name => sameValue(row[name], b[i]![name]))
  })
