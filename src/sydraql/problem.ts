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

/** Errors that one statement is told of at most; analysis ends with the last of them. */
export const errorsMax = 20

/** A place for errors: makes one that points into the text, and keeps those that analysis goes on beyond. */
export interface Report {
  (code: ErrorCode, message: string, span: Span, hint?: string): SydraError
  readonly kept: SydraError[]
}

export const reporter = (text: string): Report =>
  Object.assign(
    (code: ErrorCode, message: string, span: Span, hint?: string) => problem(code, message, text, span, hint),
    { kept: [] },
  )

/** Thrown when `errorsMax` errors are kept. */
class Enough extends Error {}

/**
 * Runs a part of the analysis that others do not depend on: what it throws is kept, and `otherwise` stands in its place.
 * The typed tree of a statement with kept errors is never used: see `throwKept`.
 */
export function attempt<T>(report: Report, run: () => T, otherwise: T): T {
  try {
    return run()
  } catch (error) {
    keep(report, error)
    return otherwise
  }
}

/** Keeps an error of the user's; throws on a bug, and when there are enough. */
export function keep(report: Report, error: unknown): void {
  if (!(error instanceof SydraError)) throw error
  const { kept } = report
  // One place is wrong in one way: `*` may stand for many columns.
  const isKnown = kept.some(other => other.code === error.code && other.position?.offset === error.position?.offset)
  if (!isKnown) kept.push(error)
  if (kept.length >= errorsMax) throw new Enough()
}

/** Runs an analysis; if it kept errors, throws the first by position with the others beside it. */
export function throwKept<T>(report: Report, run: () => T): T {
  let result: T | undefined
  try {
    result = run()
  } catch (error) {
    if (!(error instanceof Enough)) {
      if (!(error instanceof SydraError) || report.kept.length === 0) throw error
      report.kept.push(error)
    }
  }
  if (report.kept.length === 0) return result as T
  const [first, ...others] = report.kept.toSorted((a, b) => (a.position?.offset ?? 0) - (b.position?.offset ?? 0))
  const { code, message, position, hint } = first!
  throw new SydraError(code, message, { position, hint, others })
}
