/** Text to syntax tree: `syntax_error` with position, caret and what was expected, or `query_too_complex`. */
import { EOF, type IToken } from 'chevrotain'
import { assert } from '../lib/assert.ts'
import { SydraError } from '../lib/errors.ts'
import type { ExplainStatement, Statement, SyntaxExpr } from './ast.ts'
import { compileGrammar, type Follow, follow, type Grammar } from './grammar-follow.ts'
import { tokenize } from './lexer.ts'
import { expectedClauses } from './parse-messages.ts'
import { SydraqlParser } from './parser.ts'
import { syntaxProblem } from './problem.ts'
import { checkDepth, SyntaxBuilder, spanOf } from './syntax-builder.ts'
import { syntaxHint } from './syntax-hints.ts'

export interface Parsed {
  readonly statement: Statement
  readonly parameterCount: number
}

let parser: SydraqlParser | undefined
let grammar: Grammar | undefined

/** Analysing the grammar takes milliseconds: done at the first query, not at import. */
function theParser(): SydraqlParser {
  parser ??= new SydraqlParser(true)
  return parser
}

/** What may come after these tokens; undefined when that takes too long to tell. */
export function followOf(tokens: readonly IToken[]): Follow | undefined {
  grammar ??= compileGrammar(theParser().getGAstProductions())
  return follow(grammar, tokens)
}

/** Whether a statement may begin with these tokens. */
export function begins(tokens: readonly IToken[]): boolean {
  const parser = theParser()
  try {
    parser.parse(new SyntaxBuilder(''), [...tokens])
  } catch (error) {
    if (error instanceof SydraError) return false
    throw error
  }
  const error = parser.errors[0]
  return error === undefined || error.token.tokenType === EOF
}

/**
 * @example
 * parse('select value from cpu limit 10').statement.kind // 'select'
 */
export function parse(text: string): Parsed {
  const tokens = tokenize(text)
  const build = new SyntaxBuilder(text)
  const parser = theParser()
  const statement = parser.parse(build, tokens)
  const error = parser.errors[0]
  if (error !== undefined) throw grammaticalError(build, error.message, error.token, tokens)
  assert(statement !== undefined, 'a parse without an error gives a statement')
  checkDepth(expressionsOf(statement), build)
  return { statement, parameterCount: build.parameterCount }
}

/** The expressions of the statement's clauses, by the depth at which they stand: those of a sub-select one deeper. */
export function expressionsOf(statement: Statement): SyntaxExpr[][] {
  const found: SyntaxExpr[][] = []
  // A list of what is still to visit instead of recursion: the depth is checked with what is found here.
  const open: { readonly statement: Statement; readonly depth: number }[] = [{ statement, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { statement, depth } = next
    if (statement.kind === 'explain') {
      open.push({ statement: statement.statement, depth })
      continue
    }
    while (found.length <= depth) found.push([])
    for (const expr of clausesOf(statement)) if (expr !== undefined) found[depth]!.push(expr)
    if (statement.kind !== 'select') continue
    for (const source of [statement.source, ...statement.joins.map(join => join.source)]) {
      if (source?.kind === 'query') open.push({ statement: source.select, depth: depth + 1 })
    }
  }
  return found
}

function clausesOf(statement: Exclude<Statement, ExplainStatement>): (SyntaxExpr | undefined)[] {
  switch (statement.kind) {
    case 'select': {
      const { items, where, groupBy, having, orderBy, limit, limitPer, offset } = statement
      const listed = [...items.map(item => item.expr), ...groupBy, ...orderBy.map(item => item.expr)]
      return [...listed, where, having, limit, limitPer, offset]
    }
    case 'show':
      return [statement.where, statement.limit]
    case 'insert':
      return [...statement.tags.map(tag => tag.value), ...statement.rows.flatMap(row => [row.time, ...row.values])]
    case 'delete':
      return [statement.where]
  }
}

function grammaticalError(build: SyntaxBuilder, message: string, token: IToken, tokens: readonly IToken[]): SydraError {
  const { text, note } = build
  const atEnd = token.tokenType === EOF
  const end = text.trimEnd().length
  const span = atEnd ? { start: end, end } : spanOf(token)
  const hint = syntaxHint(tokens, atEnd ? tokens.length : tokens.indexOf(token))
  if (note?.token === token) return syntaxProblem(`${note.message}; ${message}`, text, span, hint ?? note.hint)
  const rest = message.startsWith('unexpected') ? followOf(tokens.slice(0, tokens.indexOf(token))) : undefined
  const expected = rest === undefined ? '' : `, ${expectedClauses(rest.allowed)}`
  return syntaxProblem(message + expected, text, span, hint)
}
