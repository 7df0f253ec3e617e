/** Text to syntax tree: `syntax_error` with position, caret and what was expected, or `query_too_complex`. */
import { EOF, type IToken } from 'chevrotain'
import { assert } from '../lib/assert.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import type { SydraError } from '../lib/errors.ts'
import type { Statement, SyntaxExpr } from './ast.ts'
import { tokenize } from './lexer.ts'
import { SydraqlParser } from './parser.ts'
import { syntaxProblem } from './problem.ts'
import { checkDepth, SyntaxBuilder, spanOf } from './syntax-builder.ts'

export interface Parsed {
  readonly statement: Statement
  readonly parameterCount: number
}

let parser: SydraqlParser | undefined

/**
 * @example
 * parse('select value from cpu limit 10').statement.kind // 'select'
 */
export function parse(text: string): Parsed {
  const tokens = tokenize(text)
  // Analysing the grammar takes milliseconds: done at the first query, not at import.
  parser ??= new SydraqlParser(true)
  const build = new SyntaxBuilder(text)
  const statement = parser.parse(build, tokens)
  const error = parser.errors[0]
  if (error !== undefined) throw grammaticalError(text, error.message, error.token, tokens)
  assert(statement !== undefined, 'a parse without an error gives a statement')
  checkDepth(expressionsOf(statement), build)
  return { statement, parameterCount: build.parameterCount }
}

/** The expressions of the statement's clauses. */
export function expressionsOf(statement: Statement): SyntaxExpr[] {
  if (statement.kind === 'explain') return expressionsOf(statement.statement)
  if (statement.kind === 'insert' || statement.kind === 'delete') return []
  const found: (SyntaxExpr | undefined)[] = [statement.where, statement.limit]
  if (statement.kind === 'select') {
    found.push(...statement.items.map(item => item.expr), ...statement.groupBy)
    found.push(statement.having, ...statement.orderBy.map(item => item.expr), statement.offset)
  }
  return found.filter(expr => expr !== undefined)
}

const clauseWords = 'select from where group having fill order limit offset by as and or asc desc'.split(' ')

function grammaticalError(text: string, message: string, token: IToken, tokens: readonly IToken[]): SydraError {
  const atEnd = token.tokenType === EOF
  const end = text.trimEnd().length
  const span = atEnd ? { start: end, end } : spanOf(token)
  // A misspelt clause word reads as a name or an alias: the error then shows at it, or right behind it.
  const index = atEnd ? tokens.length : tokens.indexOf(token)
  for (const suspect of [tokens[index], tokens[index - 1]]) {
    if (suspect === undefined || !/^[a-z]{3,}$/i.test(suspect.image)) continue
    if (clauseWords.includes(suspect.image.toLowerCase())) continue
    const word = didYouMean(suspect.image, clauseWords)
    if (word !== undefined) return syntaxProblem(message, text, span, `did you mean "${word}" for "${suspect.image}"?`)
  }
  return syntaxProblem(message, text, span)
}
