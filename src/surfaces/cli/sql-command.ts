/** `sydradb sql` and `sydradb query`: one statement in, a table or text out. */
import process from 'node:process'
import { addAbortSignal } from 'node:stream'
import { text as readAll } from 'node:stream/consumers'
import { SydraError } from '../../lib/errors.ts'
import type { Precision, QueryParameter, QueryParameters, TextFormat } from '../../types.ts'
import { note, wantsColor, writeOut } from './output.ts'
import { ResultEnding } from './result-ending.ts'
import { writeTable } from './table.ts'
import type { Target } from './target.ts'

interface PrintOptions {
  readonly format?: 'table' | TextFormat
  readonly epoch?: Precision
  readonly json?: boolean
  readonly color: boolean
}
interface SqlCommandOptions extends PrintOptions {
  readonly param: readonly string[]
}

export async function sqlCommand(
  target: Target,
  statement: string | undefined,
  options: SqlCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const text = statement === undefined || statement === '-' ? await readStatement(signal) : statement
  if (text.trim() === '') throw new SydraError('bad_request', 'no statement given', { hint: 'sydradb sql "select …"' })
  await print(target, text, options.param.map(parameter), options, signal)
}

/** The points of one series in `[start, end)`. */
export async function queryCommand(
  target: Target,
  series: { readonly id: string; readonly start: string; readonly end: string },
  options: PrintOptions,
  signal: AbortSignal,
): Promise<void> {
  const params: string[] = []
  // a number in the text is read by its magnitude; as a parameter it would be microseconds
  const bound = (moment: string): string => (/^-?\d+$/.test(moment) ? moment : `$${params.push(moment)}`)
  const range = `time >= ${bound(series.start)} and time < ${bound(series.end)}`
  const text = `select time, value from by_id('${series.id.replaceAll("'", "''")}') where ${range}`
  await print(target, text, params, options, signal)
}

async function readStatement(signal: AbortSignal): Promise<string> {
  if (process.stdin.isTTY) note('reading the statement from the terminal; Ctrl-D ends it')
  return readAll(addAbortSignal(signal, process.stdin))
}

/** JSON where it is JSON (`5`, `true`, `null`, `"5"`), else the text itself — also a number that JSON would round. */
export function parameter(text: string): QueryParameter {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value) ? text : value
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  } catch {
    // plain text
  }
  return text
}

async function print(
  target: Target,
  text: string,
  params: QueryParameters,
  options: PrintOptions,
  signal: AbortSignal,
): Promise<void> {
  const { epoch } = options
  const format = options.format ?? (options.json ? 'json' : process.stdout.isTTY ? 'table' : 'ndjson')
  try {
    if (format === 'table') {
      const chunks = target.sql(text, params, { format: 'ndjson', epoch, signal })
      await writeTable(chunks, writeOut, wantsColor(process.stdout, options.color))
      return
    }
    const ending = new ResultEnding(format)
    for await (const chunk of target.sql(text, params, { format, epoch, signal })) {
      await writeOut(chunk)
      ending.push(chunk)
    }
    const failure = ending.failure()
    if (failure !== undefined) throw failure
  } catch (error) {
    throw error instanceof SydraError && options.json !== true ? pointedOut(error, text) : error
  }
}

/** With the line at fault and a caret under it, which syntax errors carry already; so its others. */
export function pointedOut(error: SydraError, text: string): SydraError {
  const { code, position, hint } = error
  const others = error.others.map(other => pointedOut(other, text))
  return new SydraError(code, withCaret(error, text), { position, hint, others, cause: error })
}

function withCaret({ message, position }: SydraError, text: string): string {
  if (position === undefined || message.includes('\n')) return message
  const line = (text.split('\n')[position.line - 1] ?? '').replaceAll(/\p{Cc}/gu, ' ')
  const from = Math.max(0, position.column - 1 - lineWidthMax / 2)
  const shown = line.slice(from, from + lineWidthMax)
  const at = position.column - 1 - from
  const carets = '^'.repeat(Math.max(1, Math.min(position.length, shown.length - at)))
  return `${message}\n  ${shown}\n  ${' '.repeat(at)}${carets}`
}
const lineWidthMax = 120
