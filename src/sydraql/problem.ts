/** Errors that point into the query: positions from spans, and the line printed with a caret. */
import { type ErrorCode, type Position, SydraError } from '../lib/errors.ts'
import type { Span } from './expression.ts'

/** Columns of the printed line at most; a longer line is cut around the caret. */
const printedWidthMax = 120

export function positionOf(text: string, span: Span): Position {
  const start = Math.min(span.start, text.length)
  let line = 1
  let lineStart = 0
  for (let at = text.indexOf('\n'); at !== -1 && at < start; at = text.indexOf('\n', at + 1)) {
    line++
    lineStart = at + 1
  }
  return { line, column: start - lineStart + 1, offset: start, length: Math.max(0, span.end - span.start) }
}

/**
 * The line of the span with a caret under it:
 *
 *     select valu from cpu
 *            ^^^^
 */
export function caretLines(text: string, span: Span): string {
  const start = Math.min(span.start, text.length)
  const lineStart = start === 0 ? 0 : text.lastIndexOf('\n', start - 1) + 1
  const newline = text.indexOf('\n', start)
  const lineEnd = newline === -1 ? text.length : newline
  const from = Math.max(lineStart, start - printedWidthMax / 2)
  const to = Math.min(lineEnd, from + printedWidthMax)
  const line = text.slice(from, to).replaceAll(/\p{Cc}/gu, ' ')
  const width = Math.max(1, Math.min(span.end, to) - start)
  return `  ${line}\n  ${' '.repeat(start - from)}${'^'.repeat(width)}`
}

/** An error at a span. */
export function problem(code: ErrorCode, message: string, text: string, span: Span, hint?: string): SydraError {
  return new SydraError(code, message, { position: positionOf(text, span), hint })
}

/** A `syntax_error`: its message prints the line with a caret. */
export function syntaxProblem(message: string, text: string, span: Span, hint?: string): SydraError {
  return problem('syntax_error', `${message}\n${caretLines(text, span)}`, text, span, hint)
}

/** A construct of the language that this version recognises and does not run. */
export function unsupported(feature: string, text: string, span: Span): SydraError {
  return problem('unsupported_feature', `${feature} is not supported yet`, text, span)
}

/** A place for errors: the text with the thing at fault. Passed around by analysis. */
export type Report = (code: ErrorCode, message: string, span: Span, hint?: string) => SydraError

export const reporter =
  (text: string): Report =>
  (code, message, span, hint) =>
    problem(code, message, text, span, hint)
