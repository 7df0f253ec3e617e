/**
 * The face of sydraQL: text to a prepared query, once; a prepared query to a plan, per execution (`bind.ts`).
 *
 *   text → tokens → syntax tree → typed query = Prepared;  Prepared + parameters + now → logical plan → rules
 *
 * A prepared query is valid for the schema version it was made with; keep it by (text, version).
 */
import type { Schema } from '../columnar/batch.ts'
import { analyze } from './analyze/analyze.ts'
import type { Expr } from './expression.ts'
import { parse } from './parse.ts'
import { reporter } from './problem.ts'
import type { Query } from './query.ts'
import { someNode } from './rewrite.ts'
import type { QuerySchema } from './schema.ts'

export interface Prepared {
  readonly text: string
  readonly statement: 'select' | 'show'
  /** Set when the statement asks for the plan instead of its rows: see `explain.ts`. */
  readonly explain: 'text' | 'json' | undefined
  readonly parameterCount: number
  readonly query: Query
  /** Neither parameters nor `now()`: every execution has the same plan. */
  readonly isConstant: boolean
  /** Columns of the result; with `explain`, those of the plan's text. */
  readonly schema: Schema
  readonly schemaVersion: number
  readonly elapsedMs: { readonly parse: number; readonly analyze: number }
}

export const explainSchema: Schema = [{ name: 'plan', type: 'string', nullable: false }]

/**
 * Throws a `SydraError` with a position for anything wrong with the text.
 *
 * @example
 * const prepared = prepare('select avg(usage) from cpu where time >= ?', catalog)
 * const { plan } = bind(prepared, ['2024-03-01'], clock.nowUs())
 */
export function prepare(text: string, schema: QuerySchema, monotonicMs: () => number = () => 0): Prepared {
  const startMs = monotonicMs()
  const { statement, parameterCount } = parse(text)
  const parsedMs = monotonicMs()
  const inner = statement.kind === 'explain' ? statement.statement : statement
  if (inner.kind === 'insert' || inner.kind === 'delete') throw new Error('writes are being written')
  const query = analyze(inner, text, reporter(text), schema)
  const explain = statement.kind === 'explain' ? statement.format : undefined
  return {
    text,
    statement: inner.kind,
    explain,
    parameterCount,
    query,
    isConstant: parameterCount === 0 && !expressionsOf(query).some(readsClock),
    schema: explain === undefined ? query.output : explainSchema,
    schemaVersion: schema.version,
    elapsedMs: { parse: parsedMs - startMs, analyze: monotonicMs() - parsedMs },
  }
}

const readsClock = (expr: Expr): boolean => someNode(expr, node => node.kind === 'now')

function expressionsOf(query: Query): Expr[] {
  if (query.kind === 'insert') return []
  const found: (Expr | undefined)[] = [query.where]
  if (query.kind === 'select') {
    const { grouping } = query
    found.push(...query.items.map(item => item.expr), ...query.orderBy.map(key => key.expr), grouping?.having)
    found.push(...(grouping?.keys.map(key => key.expr) ?? []))
    found.push(...(grouping?.aggregates.flatMap(aggregate => aggregate.args) ?? []))
  }
  return found.filter(expr => expr !== undefined)
}
