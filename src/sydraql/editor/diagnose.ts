/** Everything that is wrong with a text, for an editor to underline. */
import { type ErrorCode, type SydraError, toSydraError } from '../../lib/errors.ts'
import { prepare } from '../prepare.ts'
import type { QuerySchema } from '../schema.ts'

/** One thing that is wrong with a statement, and where. */
export interface Diagnostic {
  readonly code: ErrorCode
  /** One line: the place is in the positions. */
  readonly message: string
  readonly hint: string | undefined
  /** UTF-16 units from 0; `start` equals `end` where something is missing. */
  readonly start: number
  readonly end: number
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly severity: 'error'
}

/**
 * The one syntax error, or every error of its meaning, in the order of their places. Never throws.
 *
 * @example
 * diagnose('select usr from cpu', schema)[0] // { code: 'unknown_field', start: 7, end: 10, … }
 */
export function diagnose(text: string, schema: QuerySchema): Diagnostic[] {
  try {
    prepare(text, schema)
    return []
  } catch (thrown) {
    const error = toSydraError(thrown)
    return [error, ...error.others].map(each => diagnostic(each, text)).sort((a, b) => a.start - b.start)
  }
}

function diagnostic({ code, message, hint, position }: SydraError, text: string): Diagnostic {
  const { line, column, offset, length } = position ?? { line: 1, column: 1, offset: 0, length: text.length }
  // A syntax error's message goes on with the line and a caret, for terminals.
  return {
    code,
    message: message.split('\n')[0]!,
    hint,
    start: offset,
    end: offset + length,
    line,
    column,
    severity: 'error',
  }
}
