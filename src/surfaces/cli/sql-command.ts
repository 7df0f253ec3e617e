/** `sydradb sql` and `sydradb query`: one statement in, a table or text out. */
import process from 'node:process'
import { text as readAll } from 'node:stream/consumers'
import { SydraError } from '../../lib/errors.ts'
import type { Precision, QueryParameter, TextFormat } from '../../types.ts'
import { wantsColor, writeOut } from './output.ts'
import { writeTable } from './table.ts'
import type { Target } from './target.ts'

interface SqlCommandOptions {
  readonly format?: 'table' | TextFormat
  readonly epoch?: Precision
  readonly param?: readonly string[]
  readonly color: boolean
}

export async function sqlCommand(
  target: Target,
  statement: string | undefined,
  options: SqlCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const text = statement === undefined || statement === '-' ? await readAll(process.stdin) : statement
  if (text.trim() === '') throw new SydraError('bad_request', 'no statement given', { hint: 'sydradb sql "select …"' })
  const params = (options.param ?? []).map(parameter)
  const format = options.format ?? (process.stdout.isTTY ? 'table' : 'ndjson')
  const { epoch } = options

  if (format === 'table') {
    const chunks = target.sql(text, params, { format: 'ndjson', epoch, signal })
    await writeTable(chunks, writeOut, wantsColor(process.stdout, options.color))
    return
  }
  let last: Uint8Array = new Uint8Array()
  for await (const chunk of target.sql(text, params, { format, epoch, signal })) {
    await writeOut(chunk)
    last = chunk
  }
  // The text's own ending tells a program; the exit code must tell it too.
  if (endedWithError(last)) throw new SydraError('io_error', 'the result is cut short; its last line says why')
}

/** JSON where it is JSON (`5`, `true`, `null`, `"text"`), else the text itself. */
function parameter(text: string): QueryParameter {
  try {
    const value: unknown = JSON.parse(text)
    if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) return value as QueryParameter
  } catch {
    // Not JSON: plain text.
  }
  return text
}

function endedWithError(chunk: Uint8Array): boolean {
  const tail = new TextDecoder().decode(chunk.subarray(Math.max(0, chunk.length - 65_536)))
  const line = tail.trimEnd().slice(tail.trimEnd().lastIndexOf('\n') + 1)
  return /^\{"error":\{|^# error |,?"error":\{"code":"[a-z_0-9]+","message":.*\}\}$/.test(line)
}
