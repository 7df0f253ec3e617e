/**
 * The face of sydraQL: text to a prepared query, once; a prepared query to a plan, per execution (`bind.ts`).
 *
 *   text → tokens → syntax tree → typed query = Prepared;  Prepared + parameters + now → logical plan → rules
 *
 * A prepared query is valid for the schema version it was made with; keep it by (text, version).
 */
import type { Schema } from '../columnar/batch.ts'
import { analyze } from './analyze/analyze.ts'
import { parse } from './parse.ts'
import type { Query } from './query.ts'
import type { QuerySchema } from './schema.ts'

export interface Prepared {
  readonly text: string
  readonly statement: 'select' | 'show' | 'insert' | 'delete'
  /** Set when the statement asks for the plan instead of its rows: see `explain.ts`. `analyze`: the query runs, too. */
  readonly explain: { readonly format: 'text' | 'json'; readonly analyze: boolean } | undefined
  readonly parameterCount: number
  readonly query: Query
  /** Columns of the result; with `explain`, those of the plan's text. */
  readonly schema: Schema
  readonly schemaVersion: number
  readonly elapsedMs: { readonly parse: number; readonly analyze: number }
}

export const explainSchema: Schema = [{ name: 'plan', type: 'string', nullable: false }]

/**
 * Throws a `SydraError` with a position for anything wrong with the text; further errors are in its `others`.
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
  const query = analyze(inner, text, schema)
  const explain = statement.kind === 'explain' ? { format: statement.format, analyze: statement.analyze } : undefined
  return {
    text,
    statement: inner.kind,
    explain,
    parameterCount,
    query,
    schema: explain === undefined ? query.output : explainSchema,
    schemaVersion: schema.version,
    elapsedMs: { parse: parsedMs - startMs, analyze: monotonicMs() - parsedMs },
  }
}
