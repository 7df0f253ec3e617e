/** What holds for any text whatever: for the robustness tests and `scripts/fuzz-sydraql.ts`. */
import { deepStrictEqual, ok } from 'node:assert/strict'
import { SydraError } from '../../src/lib/errors.ts'
import { complete, completionsMax } from '../../src/sydraql/editor/complete.ts'
import { diagnose } from '../../src/sydraql/editor/diagnose.ts'
import { formatStatement } from '../../src/sydraql/format.ts'
import { parse } from '../../src/sydraql/parse.ts'
import { prepare } from '../../src/sydraql/prepare.ts'
import { demoSchema } from './demo-schema.ts'
import { withoutSpans } from './without-spans.ts'

/** An error's code, or `parsed` where only its meaning is wrong, or `prepared`. Throws when anything does not hold. */
export function checkText(text: string): string {
  const syntaxError = errorOf(() => {
    const { statement } = parse(text)
    deepStrictEqual(withoutSpans(parse(formatStatement(statement)).statement), withoutSpans(statement))
  })
  if (syntaxError !== undefined) checkError(text, syntaxError)
  const error = errorOf(() => prepare(text, demoSchema))
  for (const each of error === undefined ? [] : [error, ...error.others]) checkError(text, each)
  const diagnostics = diagnose(text, demoSchema)
  ok(diagnostics.length > 0 === (error !== undefined), 'a diagnostic for an error')
  for (const { start, end, message } of diagnostics) {
    ok(start <= end && end <= text.length && !message.includes('\n'), 'a diagnostic in one line, in the text')
  }
  return syntaxError?.code ?? (error === undefined ? 'prepared' : 'parsed')
}

export function checkCompletion(text: string, offset: number): void {
  const { from, to, items } = complete(text, offset, demoSchema)
  const cursor = Math.min(Math.max(0, Math.trunc(offset) || 0), text.length)
  ok(0 <= from && from <= cursor && cursor <= to && to <= text.length, 'the word is around the cursor')
  ok(items.length <= completionsMax, 'not too many items')
}

function errorOf(run: () => void): SydraError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof SydraError) return error
    throw error
  }
}

function checkError(text: string, { code, message, position }: SydraError): void {
  ok(code !== 'internal_error', message)
  ok(position !== undefined, `a position for: ${message}`)
  const { line, column, offset, length } = position
  ok(offset >= 0 && length >= 0 && offset + length <= text.length, 'a span in the text')
  const lines = text.slice(0, offset).split('\n')
  deepStrictEqual([line, column], [lines.length, lines.at(-1)!.length + 1])
}
